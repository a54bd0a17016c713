//! One view of health per process: what one instance learns, all know.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ledger as it was last published, shared by the isolates of a process.
///
/// An isolate compares two numbers a call, and takes the lock only to learn, to
/// publish, and when a trial is due: then it holds the lock across its call, so
/// that one trial is one trial.
#[derive(Debug)]
pub(crate) struct Board {
    version: AtomicU64,
    /// In milliseconds; [`NEVER`] where all backends admit.
    next_trial: AtomicU64,
    ledger: Mutex<Vec<u8>>,
}

const NEVER: u64 = u64::MAX;

impl Default for Board {
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            next_trial: AtomicU64::new(NEVER),
            ledger: Mutex::default(),
        }
    }
}

/// The board, held.
pub(crate) struct Held<'a> {
    board: &'a Board,
    ledger: MutexGuard<'a, Vec<u8>>,
}

impl Board {
    /// Counts publications; 0 before the first.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether a call made now may take a trial, and so must hold the board.
    ///
    /// To be asked before [`Self::version`]: whoever has merged that version
    /// then knows of no trial that this has not told of.
    pub(crate) fn is_trial_due(&self, now: u64) -> bool {
        self.next_trial.load(Ordering::Acquire) <= now
    }

    /// Takes the lock. Whoever panicked holding it left a whole ledger behind.
    pub(crate) fn hold(&self) -> Held<'_> {
        Held {
            board: self,
            ledger: self.ledger.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Held<'_> {
    /// The ledger as published.
    pub(crate) fn ledger(&self) -> &[u8] {
        &self.ledger
    }

    /// The version of what [`Self::ledger`] answers.
    pub(crate) fn version(&self) -> u64 {
        self.board.version()
    }

    /// Publishes a ledger that has merged the present one; answers its version.
    pub(crate) fn publish(&mut self, ledger: Vec<u8>, next_trial: Option<u64>) -> u64 {
        *self.ledger = ledger;
        // In this order, for readers read in the other: whoever sees the time of
        // this publication sees that there is something to learn, too.
        let version = self.board.version.fetch_add(1, Ordering::AcqRel) + 1;
        let next_trial = next_trial.unwrap_or(NEVER);
        self.board.next_trial.store(next_trial, Ordering::Release);
        version
    }
}
