//! The conversation.

use std::sync::Arc;

use crate::edits::Edits;
use crate::fields::FieldLines;
use crate::head::RequestHead;
use crate::ledger::Ledger;
use crate::policy::{Policy, PolicyError};
use crate::step::{Attempt, BodyEnd, LocalReply, Outcome, Step, Tail};
use crate::time::{Seed, Timestamp};

/// A policy ready to decide. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Balancer {
    policy: Arc<Policy>,
}

impl Balancer {
    /// Makes a policy ready.
    ///
    /// # Errors
    /// What cannot work.
    pub fn new(policy: Policy) -> Result<Self, PolicyError> {
        if policy.backends.is_empty() {
            return Err(PolicyError::NoBackend);
        }
        Ok(Self {
            policy: Arc::new(policy),
        })
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Opens an exchange.
    pub fn begin(
        &self,
        _head: &RequestHead<'_>,
        _ledger: &mut Ledger,
        now: Timestamp,
        _seed: Seed,
    ) -> Step {
        Step::Send {
            attempt: Attempt {
                backend: 0,
                edits: Edits::new(),
                keep: 0,
                tunnel: false,
            },
            then: InFlight { began: now },
        }
    }

    /// A forwarded body did not arrive whole.
    pub fn finish(&self, _tail: Tail, _end: BodyEnd, _ledger: &mut Ledger, _now: Timestamp) {}

    /// The answer to an outcome of an exchange nobody remembers.
    pub fn settle_unknown(&self, outcome: Outcome<'_>, now: Timestamp) -> Step {
        InFlight { began: now }.settle(outcome, &mut Ledger::default(), now)
    }
}

/// An exchange whose attempt is under way. Settled or abandoned exactly once.
#[derive(Debug)]
#[must_use = "an attempt under way is settled or abandoned"]
pub struct InFlight {
    began: Timestamp,
}

impl InFlight {
    /// Reports what became of the attempt.
    pub fn settle(self, outcome: Outcome<'_>, _ledger: &mut Ledger, _now: Timestamp) -> Step {
        match outcome {
            Outcome::Head(_) => Step::Forward {
                edits: Edits::new(),
                tail: Tail {
                    backend: 0,
                    began: self.began,
                },
            },
            Outcome::Failed(_) => Step::Reply(LocalReply {
                status: 502,
                fields: FieldLines::new(),
                body: Vec::new(),
            }),
        }
    }

    /// The client went away: blames nobody, frees a trial.
    pub fn abandon(self, _ledger: &mut Ledger, _now: Timestamp) {}

    /// When to forget an exchange that nobody settled.
    pub fn deadline(&self) -> Timestamp {
        self.began
    }
}
