//! Laws of the ledger: it survives encoding, and merging is a join.

use edgelb_balancer::{Ledger, Policy};
use proptest::prelude::*;

use crate::driver::{Op, Watch, World, op, policy};

struct Nothing;

impl Watch for Nothing {}

fn ledger(policy: &Policy, ops: &[Op]) -> Ledger {
    let mut world = World::new(policy.clone());
    world.run(ops, &mut Nothing);
    world.ledger
}

fn merged(into: &Ledger, from: &Ledger) -> Ledger {
    let mut ledger = into.clone();
    ledger.merge(&from.encode());
    ledger
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..40)
}

proptest! {
    #[test]
    fn encoding_loses_nothing(policy in policy(), ops in ops()) {
        let ledger = ledger(&policy, &ops);
        prop_assert_eq!(merged(&Ledger::new(&policy), &ledger), ledger);
    }

    #[test]
    fn merging_is_a_join(policy in policy(), a in ops(), b in ops(), c in ops()) {
        let [a, b, c] = [a, b, c].map(|ops| ledger(&policy, &ops));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &a), a.clone());
        prop_assert_eq!(merged(&merged(&a, &b), &b), merged(&a, &b));
    }

    /// What is learned here stands against what it was learned from.
    #[test]
    fn a_later_state_replaces_an_earlier(policy in policy(), ops in ops(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(ops.len() + 1);
        let mut world = World::new(policy);
        world.run(&ops[..cut], &mut Nothing);
        let earlier = world.ledger.clone();
        world.run(&ops[cut..], &mut Nothing);
        prop_assert_eq!(merged(&earlier, &world.ledger), world.ledger.clone());
        prop_assert_eq!(merged(&world.ledger, &earlier), world.ledger);
    }

    #[test]
    fn a_change_is_told(policy in policy(), ops in ops()) {
        let mut world = World::new(policy);
        for op in &ops {
            let before = world.ledger.clone();
            world.perform(op, &mut Nothing);
            prop_assert_eq!(world.ledger.take_changed(), world.ledger != before);
        }
    }

    #[test]
    fn other_backends_are_none_of_its_business(policy in policy(), ops in ops()) {
        let known = ledger(&policy, &ops);
        let mut renamed = policy;
        for backend in &mut renamed.backends {
            backend.name.push('x');
        }
        prop_assert_eq!(merged(&Ledger::new(&renamed), &known), Ledger::new(&renamed));
    }

    #[test]
    fn garbage_is_ignored_or_at_least_survived(
        policy in policy(),
        ops in ops(),
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut ledger = ledger(&policy, &ops);
        let before = ledger.clone();
        if garbage.first() != Some(&1) {
            ledger.merge(&garbage);
            prop_assert_eq!(&ledger, &before);
        }
        let mut encoded = ledger.encode();
        let at = at.index(encoded.len());
        encoded[at] = byte;
        ledger.merge(&encoded);
        ledger.merge(&encoded[..at]);
        let mut world = World::new(policy);
        world.ledger = ledger;
        world.run(&ops, &mut Nothing);
    }
}
