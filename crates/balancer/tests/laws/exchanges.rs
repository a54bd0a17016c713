//! Laws of exchanges, and of the health they share.

use edgelb_balancer::{BodySize, Delivery, Event, Policy, Timestamp};
use proptest::prelude::*;

use crate::driver::{Answer, Op, PLAIN, Pending, Told, Turn, Watch, World, op, policy};

/// What a backend may be used for, as events and deadlines have it: a model
/// made without looking into the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Admits,
    Ejected(Timestamp),
    /// By which exchange, and until when it may take.
    Trial(Option<usize>, Timestamp),
}

impl Health {
    fn is_open(self, now: Timestamp) -> bool {
        match self {
            Self::Admits => true,
            Self::Ejected(end) | Self::Trial(_, end) => end <= now,
        }
    }
}

struct Laws {
    policy: Policy,
    health: Vec<Health>,
    /// Before the events of the step at hand.
    before: Vec<Health>,
    last: Option<(usize, Answer)>,
}

impl Laws {
    fn new(policy: Policy) -> Self {
        let health = vec![Health::Admits; policy.backends.len()];
        Self {
            policy,
            before: health.clone(),
            health,
            last: None,
        }
    }

    fn idempotent(turn: &Turn<'_>) -> bool {
        matches!(turn.request.method, "GET" | "PUT") || turn.request.idempotency_key
    }

    fn release(&mut self, pending: &Pending, now: Timestamp) {
        for health in &mut self.health {
            if matches!(*health, Health::Trial(Some(id), _) if id == pending.id) {
                *health = Health::Ejected(now);
            }
        }
    }
}

impl Watch for Laws {
    fn settling(&mut self, pending: &Pending, answer: Answer, now: Timestamp) {
        self.last = Some((pending.id, answer));
        if answer.is_nobodys() {
            self.release(pending, now);
        }
    }

    fn abandoned(&mut self, pending: &Pending, now: Timestamp) {
        self.release(pending, now);
    }

    fn events(&mut self, events: &[Event], now: Timestamp) {
        for event in events {
            match *event {
                Event::Ejected { backend, until, .. } => {
                    assert!(until >= now, "an ejection lies ahead");
                    let most = now.after(self.policy.backend_down_time_max);
                    assert!(until <= most, "and is no longer than the longest");
                    self.health[backend] = Health::Ejected(until);
                }
                Event::Recovered { backend } => {
                    assert_ne!(self.health[backend], Health::Admits);
                    self.health[backend] = Health::Admits;
                }
                Event::Trial { backend } => {
                    let health = self.health[backend];
                    assert_ne!(health, Health::Admits, "the well need no trial");
                    assert!(
                        health.is_open(now),
                        "one trial at a time, after the ejection"
                    );
                    // The choice was made before the trial was taken.
                    self.before.clone_from(&self.health);
                    let patience = self.policy.connect_timeout + self.policy.first_byte_timeout;
                    self.health[backend] = Health::Trial(None, now.after(patience));
                }
            }
        }
        if !events
            .iter()
            .any(|event| matches!(event, Event::Trial { .. }))
        {
            self.before.clone_from(&self.health);
        }
    }

    fn turn(&mut self, turn: &Turn<'_>, now: Timestamp) {
        let Told::Send(attempt) = turn.told else {
            return;
        };
        let backend = attempt.backend;
        assert!(backend < self.policy.backends.len());
        assert!(!turn.tried.contains(&backend), "no backend twice");
        assert!(turn.tried.len() as u64 <= u64::from(self.policy.max_retries));
        let handshake = turn.request.websocket && turn.request.method == "GET";
        assert_eq!(attempt.tunnel, handshake);

        let trial = Event::Trial { backend };
        if turn.events.contains(&trial)
            && let Health::Trial(owner, _) = &mut self.health[backend]
        {
            *owner = Some(turn.id);
        }
        if !self.before[backend].is_open(now) {
            let untried = |index: &usize| !turn.tried.contains(index);
            let better = (0..self.before.len())
                .filter(untried)
                .any(|index| self.before[index].is_open(now));
            assert!(!better, "an ejected one, while an untried one admits");
        }

        if let Some((id, answer)) = self.last.filter(|_| !turn.tried.is_empty()) {
            assert_eq!(id, turn.id);
            let (delivery, replayable) = match answer {
                Answer::Failure(_, delivery, replayable) => (delivery, replayable),
                Answer::Status(200 | 404 | 501) => panic!("an answer is not retried"),
                Answer::Status(_) | Answer::RetryAfter(_) => (Delivery::MaybeSent, true),
            };
            assert!(replayable, "a consumed body is not reused");
            assert!(
                delivery == Delivery::NotSent || Self::idempotent(turn),
                "a request that must not be repeated was sent again"
            );
        }

        let tried = turn.tried.len() + 1;
        let last = tried > self.policy.max_retries as usize || tried == self.policy.backends.len();
        let short = matches!(
            turn.request.body,
            BodySize::Unknown | BodySize::Known(1..=100)
        );
        let useful = short && !last && Self::idempotent(turn);
        assert_eq!(attempt.keep, if useful { 100 } else { 0 });
    }
}

proptest! {
    #[test]
    fn exchanges_keep_the_laws(policy in policy(), ops in prop::collection::vec(op(), 0..120)) {
        let mut world = World::new(policy.clone());
        let mut laws = Laws::new(policy);
        world.run(&ops, &mut laws);
    }

    /// However it began: once the backends are well, all admit again, and
    /// nothing is left of what was.
    #[test]
    fn what_is_well_again_admits_again(policy in policy(), ops in prop::collection::vec(op(), 0..80)) {
        let mut world = World::new(policy.clone());
        let mut laws = Laws::new(policy);
        world.run(&ops, &mut laws);
        while !world.pending.is_empty() {
            world.perform(&Op::Abandon(0), &mut laws);
        }
        let drained = laws.policy.backends.iter().all(|backend| backend.drain);
        for key in (0..=u8::MAX).cycle().take(2_000) {
            world.perform(&Op::Wait(100_000), &mut laws);
            world.perform(&Op::Begin(crate::driver::Request { key, ..PLAIN }), &mut laws);
            world.settle(0, Answer::Status(200), &mut laws);
            if laws.health.iter().zip(&laws.policy.backends).all(|(health, backend)| {
                *health == Health::Admits || (backend.drain && !drained)
            }) {
                break;
            }
        }
        for (health, backend) in laws.health.iter().zip(&laws.policy.backends) {
            prop_assert!(*health == Health::Admits || (backend.drain && !drained), "{health:?}");
        }
    }

    #[test]
    fn the_same_inputs_lead_to_the_same_steps(
        policy in policy(),
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let run = || {
            let mut world = World::new(policy.clone());
            let mut record = Record::default();
            world.run(&ops, &mut record);
            (record.0, world.ledger.encode())
        };
        prop_assert_eq!(run(), run());
    }

    /// A ledger handed on between any two steps changes nothing: what is
    /// encoded is all there is.
    #[test]
    fn a_successor_goes_on_where_its_predecessor_was(
        policy in policy(),
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let run = |handing_on: bool| {
            let mut world = World::new(policy.clone());
            let mut record = Record::default();
            for op in &ops {
                world.perform(op, &mut record);
                if handing_on {
                    let mut successor = edgelb_balancer::Ledger::new(&policy);
                    successor.merge(&world.ledger.encode());
                    world.ledger = successor;
                }
            }
            record.0
        };
        prop_assert_eq!(run(true), run(false));
    }
}

#[derive(Default)]
struct Record(Vec<(usize, Told, Vec<Event>)>);

impl Watch for Record {
    fn turn(&mut self, turn: &Turn<'_>, _now: Timestamp) {
        self.0
            .push((turn.id, turn.told.clone(), turn.events.to_vec()));
    }
}
