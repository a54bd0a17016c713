//! Laws of the choice where all are well.

use edgelb_balancer::{AffinityKey, Backend, Balancer, Policy};
use proptest::prelude::*;

use crate::driver::{backend, first_choice};

fn balancer(backends: Vec<Backend>) -> Balancer {
    Balancer::new(Policy {
        backends,
        affinity_key: AffinityKey::Header("x-key".to_owned()),
        ..Policy::default()
    })
    .unwrap()
}

/// The share of each backend over 100,000 keys is its weight's, within 2 %.
#[test]
fn weights_are_respected() {
    const KEYS: u32 = 100_000;
    for weights in [&[1, 2, 3][..], &[10, 1]] {
        let backends = weights.iter().enumerate();
        let balancer = balancer(
            backends
                .map(|(index, &weight)| backend(&format!("B{index}"), weight, false))
                .collect(),
        );
        let mut counts = vec![0_u32; weights.len()];
        for key in 0..KEYS {
            counts[first_choice(&balancer, key.to_string().as_bytes())] += 1;
        }
        let total = f64::from(weights.iter().sum::<u16>());
        for (&count, &weight) in counts.iter().zip(weights) {
            let expected = f64::from(KEYS) * f64::from(weight) / total;
            let error = (f64::from(count) / expected - 1.0).abs();
            assert!(error < 0.02, "{weights:?}: {counts:?}");
        }
    }
}

proptest! {
    #[test]
    fn removing_a_backend_moves_only_its_keys(
        weights in prop::collection::vec(1..=1_000_u16, 2..8),
        removed in any::<prop::sample::Index>(),
        keys in prop::collection::vec(any::<u64>(), 40),
    ) {
        let mut backends: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(index, &weight)| backend(&format!("B{index}"), weight, false))
            .collect();
        let all = balancer(backends.clone());
        let gone = backends.remove(removed.index(weights.len()));
        let rest = balancer(backends);
        for key in keys {
            let key = key.to_string();
            let before = &all.policy().backends[first_choice(&all, key.as_bytes())];
            let after = &rest.policy().backends[first_choice(&rest, key.as_bytes())];
            prop_assert!(before == after || *before == gone);
        }
    }

    /// More weight takes keys from others and loses none.
    #[test]
    fn raising_a_weight_only_attracts(
        weights in prop::collection::vec(1..=500_u16, 2..6),
        raised in any::<prop::sample::Index>(),
        keys in prop::collection::vec(any::<u64>(), 40),
    ) {
        let raised = raised.index(weights.len());
        let backends = |factor: u16| -> Vec<_> {
            weights
                .iter()
                .enumerate()
                .map(|(index, &weight)| {
                    let weight = if index == raised { weight * factor } else { weight };
                    backend(&format!("B{index}"), weight, false)
                })
                .collect()
        };
        let (before, after) = (balancer(backends(1)), balancer(backends(2)));
        for key in keys {
            let key = key.to_string();
            let choice = first_choice(&after, key.as_bytes());
            prop_assert!(choice == raised || choice == first_choice(&before, key.as_bytes()));
        }
    }
}
