//! What becomes of each attempt of an exchange, for whoever records it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::upstream::{Cause, Delivery, Fault, SendError};

/// Kept by an exchange that is being recorded.
#[derive(Debug)]
pub(crate) struct Tape {
    begun: Instant,
    attempts: Mutex<Vec<Taped>>,
}

/// An attempt. Times are since the exchange began.
#[derive(Clone, Debug)]
pub(crate) struct Taped {
    /// Index in the configuration.
    pub(crate) backend: Option<u32>,
    pub(crate) begun: Duration,
    /// None while it is under way, and for good if the client leaves or its
    /// upload fails: that says nothing of the backend.
    pub(crate) outcome: Option<(Duration, TapedOutcome)>,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub(crate) enum TapedOutcome {
    /// A response, with its fields as the backend sent them, packed.
    Head { status: u16, fields: Vec<u8> },
    /// None.
    Failed(Cause, Delivery),
}

impl Tape {
    pub(crate) fn new(begun: Instant) -> Self {
        Self {
            begun,
            attempts: Mutex::default(),
        }
    }

    /// An attempt begins; answers its number.
    pub(crate) fn attempt(&self, backend: Option<u32>) -> usize {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.push(Taped {
            backend,
            begun: self.begun.elapsed(),
            outcome: None,
        });
        attempts.len() - 1
    }

    /// The attempt of this number came to this: a status and field lines, or nothing.
    pub(crate) fn settle(&self, number: usize, sent: Result<(StatusCode, Vec<u8>), SendError>) {
        let ended = self.begun.elapsed();
        let outcome = match sent {
            Ok((status, fields)) => TapedOutcome::Head {
                status: status.as_u16(),
                fields,
            },
            Err(error) if error.fault == Fault::Client => return,
            Err(error) => TapedOutcome::Failed(error.cause, error.delivery),
        };
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = attempts.get_mut(number) {
            attempt.outcome = Some((ended, outcome));
        }
    }

    /// All attempts so far.
    pub(crate) fn take(&self) -> Vec<Taped> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_did_settles_no_attempt() {
        let table = [
            (Fault::Backend, true),
            (Fault::StaleConnection, true),
            (Fault::Client, false),
        ];
        for (fault, settled) in table {
            let tape = Tape::new(Instant::now());
            let number = tape.attempt(Some(0));
            let error = SendError {
                fault,
                ..SendError::maybe_sent(Cause::ConnectionReadTimeout)
            };
            tape.settle(number, Err(error));
            let outcomes = tape.take().into_iter().map(|it| it.outcome.is_some());
            assert_eq!(outcomes.collect::<Vec<_>>(), [settled], "{fault:?}");
        }
    }
}
