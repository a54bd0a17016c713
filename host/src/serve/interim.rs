//! Interim responses towards the client
//! (<https://www.rfc-editor.org/rfc/rfc9110#section-15.2>): "A proxy MUST forward 1xx
//! responses".

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use http::{HeaderMap, StatusCode};

use crate::http1;
use crate::upstream::InterimSink;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How many bytes of them may wait.
const WAITING: usize = 64 << 10;

/// Interim responses waiting for a connection.
#[derive(Default)]
pub(super) struct Interim(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    waker: Option<Waker>,
}

impl Interim {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes interim responses for the connection.
    pub(super) fn sink(self: &Arc<Self>) -> InterimSink {
        let this = Arc::clone(self);
        Arc::new(move |status, headers| this.push(status, headers))
    }

    fn push(&self, status: StatusCode, headers: &HeaderMap) {
        // 100 answers an expectation on each hop for itself; 101 is final here.
        if matches!(
            status,
            StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS
        ) {
            return;
        }
        let mut queue = self.lock();
        if queue.bytes.len() > WAITING {
            // A client that does not read can do without the hint.
            return;
        }
        http1::interim(&mut queue.bytes, status, headers);
        queue.wake();
    }

    /// Tells a client that waits before it sends its body to go on.
    pub(super) fn go_on(&self) {
        let mut queue = self.lock();
        queue.bytes.extend_from_slice(CONTINUE);
        queue.wake();
    }

    /// Moves what waits, unless so much is under way already; whoever takes it is
    /// woken when there is more. Answers whether some waits still.
    pub(super) fn take(&self, cx: &Context<'_>, out: &mut Vec<u8>) -> bool {
        let mut queue = self.lock();
        if out.len() < WAITING {
            out.append(&mut queue.bytes);
        }
        match &mut queue.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        !queue.bytes.is_empty()
    }

    /// The final response begins, or the next request: what is there comes too late.
    pub(super) fn clear(&self) {
        self.lock().bytes.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_read_is_not_written_to_without_end() {
        let interim = Interim::new();
        let sink = interim.sink();
        let cx = Context::from_waker(Waker::noop());
        let mut out = Vec::new();
        for _ in 0..100_000 {
            sink(StatusCode::EARLY_HINTS, &HeaderMap::new());
            interim.take(&cx, &mut out);
        }
        assert!(out.len() < 2 * WAITING, "{}", out.len());
        assert!(interim.lock().bytes.len() < 2 * WAITING);
    }
}
