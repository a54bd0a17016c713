//! What the host knows of one request while the guest is at work on it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use hyper::upgrade::OnUpgrade;
use tokio::sync::Notify;

/// Shared by the request's `fetch` and by all that the guest sends for it.
#[derive(Default)]
pub(super) struct Ticket {
    sent: AtomicU32,
    cancelled: AtomicBool,
    cancel: Notify,
    tunnel: Mutex<Option<OnUpgrade>>,
}

impl Ticket {
    /// Counts a request to a backend.
    pub(super) fn count(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were sent to backends.
    pub(super) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The client went away: nothing that is under way for it goes on.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.cancel.notify_waiters();
    }

    /// Returns once the client has gone away.
    pub(super) async fn cancelled(&self) {
        // Registers first: who cancels between the two lines is still heard.
        let cancel = self.cancel.notified();
        if !self.cancelled.load(Ordering::SeqCst) {
            cancel.await;
        }
    }

    /// Leaves the connection of a 101 here for whoever reads its body.
    pub(super) fn leave(&self, tunnel: OnUpgrade) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    /// Takes the connection that was left here, if any.
    pub(super) fn take(&self) -> Option<OnUpgrade> {
        self.tunnel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
