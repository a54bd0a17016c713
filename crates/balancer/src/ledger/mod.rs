//! What is known of the backends: all that outlives a request.

mod codec;
mod standing;

use alloc::vec::Vec;
use core::time::Duration;

use self::standing::Transition;
pub(crate) use self::standing::{Departure, Health, Standing, State};
use crate::genuine::Genuine;
use crate::issued::Issued;
use crate::outcome::Reason;
use crate::policy::Policy;
use crate::rendezvous::backend_id;
use crate::time::Timestamp;

/// What happened to the balancer's view of the backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A backend failed often enough to be ejected.
    Ejected {
        /// Index of the backend.
        backend: usize,
        /// Until when.
        until: Timestamp,
        /// What the last of its failures was.
        reason: Reason,
    },
    /// An ejection ran out; one request went to the backend as a trial.
    Trial {
        /// Index of the backend.
        backend: usize,
    },
    /// A backend admits again.
    Recovered {
        /// Index of the backend.
        backend: usize,
    },
}

/// What is held against a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// What it did.
    pub(crate) reason: Reason,
    /// How long it asked to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// Health, ejections and trials of the backends of one policy.
///
/// Two ledgers are equal when they know the same. What waits to be taken
/// ([`Ledger::take_events`], [`Ledger::take_changed`]) and what only spares work
/// are neither compared nor encoded.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// In order of the policy's backends, each with its id.
    records: Vec<(u64, Standing)>,
    events: Vec<Event>,
    changed: bool,
    pub(crate) genuine: Genuine,
    pub(crate) issued: Issued,
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
    }
}

impl Eq for Ledger {}

impl Ledger {
    /// Nothing known yet: every backend admits.
    pub fn new(policy: &Policy) -> Self {
        Self {
            records: policy
                .backends
                .iter()
                .map(|backend| (backend_id(backend), Standing::default()))
                .collect(),
            ..Self::default()
        }
    }

    /// What happened here since the last call; what was learned by merging has
    /// been told elsewhere.
    pub fn take_events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// Whether anything was learned here since the last call, and so is worth
    /// handing to others.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// Whether every backend admits, without a failure since its last success.
    pub fn holds_nothing(&self) -> bool {
        self.records
            .iter()
            .all(|(_, standing)| standing.failures == 0 && standing.next_trial().is_none())
    }

    /// When the first trial falls due of a backend that is ejected or on trial;
    /// `None` where all admit.
    pub fn next_trial(&self) -> Option<Timestamp> {
        self.records
            .iter()
            .filter_map(|(_, standing)| standing.next_trial())
            .min()
    }

    /// The versioned encoding.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self.records.iter().map(|(id, standing)| (*id, standing)))
    }

    /// Learns what another ledger knew: for each backend the later record
    /// stands. Order and repetition do not matter. What is no ledger, or speaks
    /// of other backends, is ignored.
    pub fn merge(&mut self, encoded: &[u8]) {
        for (id, theirs) in codec::decode(encoded) {
            for (_, ours) in self.records.iter_mut().filter(|record| record.0 == id) {
                *ours = theirs.max(*ours);
            }
        }
    }

    /// What is known of a backend; of one that is unknown, nothing.
    pub(crate) fn standing(&self, backend: usize) -> Standing {
        self.records
            .get(backend)
            .map_or_else(Standing::default, |(_, standing)| *standing)
    }

    pub(crate) fn health(&self, backend: usize, now: Timestamp) -> Health {
        self.standing(backend).health(now)
    }

    /// How long until the first backend admits; no time where one does.
    pub(crate) fn reopens_in(&self, now: Timestamp) -> Duration {
        self.records
            .iter()
            .map(|(_, standing)| standing.next_trial().unwrap_or(now).since(now))
            .min()
            .unwrap_or_default()
    }

    /// An attempt sets out for a backend, as its trial if that is due. A trial
    /// is given up after `patience`.
    pub(crate) fn depart(
        &mut self,
        backend: usize,
        now: Timestamp,
        patience: Duration,
    ) -> Departure {
        let mut departure = Departure {
            began: now,
            trial: false,
        };
        let transition = self.update(backend, |standing| {
            let (dated, transition) = standing.depart(now, patience);
            departure = dated;
            transition
        });
        if transition.is_some() {
            self.events.push(Event::Trial { backend });
        }
        departure
    }

    /// An attempt succeeded. Returns the date that its body is to be judged by:
    /// a recovery it brought about is no reason to overlook how it ended.
    pub(crate) fn succeed(
        &mut self,
        backend: usize,
        departure: Departure,
        now: Timestamp,
    ) -> Timestamp {
        let transition = self.update(backend, |standing| standing.succeed(departure.began, now));
        if transition.is_some() {
            self.events.push(Event::Recovered { backend });
            self.standing(backend).since
        } else {
            departure.began
        }
    }

    /// An attempt failed and the backend is to blame.
    pub(crate) fn fail(
        &mut self,
        backend: usize,
        departure: Departure,
        now: Timestamp,
        charge: Charge,
        policy: &Policy,
    ) {
        let Charge {
            reason,
            retry_after,
        } = charge;
        let transition = self.update(backend, |standing| {
            standing.fail(departure, now, retry_after, policy)
        });
        if let Some(Transition::Ejected { until }) = transition {
            self.events.push(Event::Ejected {
                backend,
                until,
                reason,
            });
        }
    }

    /// An attempt ended and nobody is to blame.
    pub(crate) fn release(&mut self, backend: usize, departure: Departure, now: Timestamp) {
        self.update(backend, |standing| {
            standing.release(departure, now);
            None
        });
    }

    fn update(
        &mut self,
        backend: usize,
        change: impl FnOnce(&mut Standing) -> Option<Transition>,
    ) -> Option<Transition> {
        let (_, standing) = self.records.get_mut(backend)?;
        let before = *standing;
        let transition = change(standing);
        self.changed |= *standing != before;
        transition
    }
}
