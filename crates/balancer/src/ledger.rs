//! What is known of the backends.

use crate::policy::Policy;
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

/// Health, ejections and trials of the backends of one policy: all that
/// outlives a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {}

impl Ledger {
    /// Nothing known yet: every backend admits.
    pub fn new(_policy: &Policy) -> Self {
        Self {}
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    /// Whether anything changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        false
    }

    /// Whether any backend is ejected or on trial.
    pub fn is_unsettled(&self) -> bool {
        false
    }

    /// The versioned encoding.
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Learns what another ledger knew; what is no ledger is ignored.
    pub fn merge(&mut self, _encoded: &[u8]) {}
}
