//! How far an exchange has got, for whoever tells of it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use http::StatusCode;

use crate::tape::Tape;
use crate::upstream::SendError;

/// Kept up to date by the door that an exchange goes by, and of use whenever it
/// ends: its future may be dropped at any attempt.
#[derive(Debug)]
pub(crate) struct Progress {
    attempts: AtomicU32,
    /// Index of the backend tried last, or [`NONE`].
    backend: AtomicU32,
    client: OnceLock<IpAddr>,
    /// Keeps what becomes of each attempt, if that is recorded.
    tape: Option<Arc<Tape>>,
}

const NONE: u32 = u32::MAX;

impl Default for Progress {
    fn default() -> Self {
        Self {
            attempts: AtomicU32::new(0),
            backend: AtomicU32::new(NONE),
            client: OnceLock::new(),
            tape: None,
        }
    }
}

impl Progress {
    /// One whose attempts are kept here.
    pub(crate) fn taped(tape: Arc<Tape>) -> Self {
        Self {
            tape: Some(tape),
            ..Self::default()
        }
    }

    /// Another of the same exchange.
    pub(crate) fn beside(&self) -> Self {
        Self {
            tape: self.tape.clone(),
            ..Self::default()
        }
    }

    /// An attempt begins, at a backend if it is one of the configuration's.
    /// Answers its number, for [`Self::settle`].
    pub(crate) fn attempt(&self, backend: Option<u32>) -> usize {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.backend
            .store(backend.unwrap_or(NONE), Ordering::Relaxed);
        self.tape.as_ref().map_or(0, |tape| tape.attempt(backend))
    }

    /// The attempt of this number came to this, as [`Tape::settle`] has it: asked
    /// for if it is kept.
    pub(crate) fn settle(
        &self,
        number: usize,
        sent: impl FnOnce() -> Result<(StatusCode, Vec<u8>), SendError>,
    ) {
        if let Some(tape) = &self.tape {
            tape.settle(number, sent());
        }
    }

    /// The client is this, and not the peer.
    pub(crate) fn identify(&self, client: IpAddr) {
        // It is the same by each attempt.
        let _ = self.client.set(client);
    }

    /// As far as another has got.
    pub(crate) fn follow(&self, other: &Self) {
        self.attempts.store(other.attempts(), Ordering::Relaxed);
        let backend = other.backend.load(Ordering::Relaxed);
        self.backend.store(backend, Ordering::Relaxed);
    }

    /// How many attempts there were.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Index of the backend tried last.
    pub(crate) fn backend(&self) -> Option<usize> {
        let backend = self.backend.load(Ordering::Relaxed);
        (backend != NONE).then_some(backend as usize)
    }

    /// The client, where it is known not to be the peer.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.client.get().copied()
    }
}
