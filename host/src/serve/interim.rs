//! Interim responses towards the client
//! (<https://www.rfc-editor.org/rfc/rfc9110#section-15.2>): "A proxy MUST forward 1xx
//! responses".

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use http::{HeaderMap, StatusCode};

use crate::http1;
use crate::upstream::InterimSink;

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
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }

    /// Moves what waits; whoever takes it is woken when there is more.
    pub(super) fn take(&self, cx: &Context<'_>, out: &mut Vec<u8>) {
        let mut queue = self.lock();
        out.append(&mut queue.bytes);
        match &mut queue.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// The final response begins: what comes now comes too late.
    pub(super) fn clear(&self) {
        self.lock().bytes.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
