//! One view of health per process: what one instance learns, all know.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ledger as it was last published, shared by the isolates of a process.
///
/// While all is well nobody takes the lock: an isolate compares one number a
/// call. While a backend is ejected or on trial, isolates hold the lock across
/// their calls, so that one trial is one trial.
#[derive(Debug, Default)]
pub(crate) struct Board {
    version: AtomicU64,
    unsettled: AtomicBool,
    ledger: Mutex<Vec<u8>>,
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

    /// Whether calls must hold the board.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Acquire)
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
    pub(crate) fn publish(&mut self, ledger: Vec<u8>, unsettled: bool) -> u64 {
        *self.ledger = ledger;
        self.board.unsettled.store(unsettled, Ordering::Release);
        self.board.version.fetch_add(1, Ordering::AcqRel) + 1
    }
}
