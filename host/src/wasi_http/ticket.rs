//! What the host knows of one request while the guest is at work on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::StatusCode;
use tokio::sync::Notify;

use crate::edge::Tag;
use crate::metering::Account;
use crate::progress::Progress;
use crate::tunnel::Tunnel;
use crate::upstream::InterimSink;

/// Shared by the request's `fetch` and by all that the guest sends for it.
pub(super) struct Ticket {
    told_no_body: bool,
    tag: Option<Tag>,
    /// What was sent to backends.
    pub(super) progress: Progress,
    cancelled: AtomicBool,
    cancel: Notify,
    awaits_client: AtomicBool,
    client_failure: OnceLock<StatusCode>,
    /// What is taken for it.
    pub(super) account: Arc<Account>,
    tunnel: Mutex<Option<Tunnel>>,
    /// Takes interim responses, if the client can.
    pub(super) interim: Option<InterimSink>,
}

impl Ticket {
    /// `told_no_body` is whether the guest was shown a `content-length` of 0
    /// that the client did not send.
    pub(super) fn new(
        told_no_body: bool,
        tag: Option<Tag>,
        interim: Option<InterimSink>,
        progress: Progress,
        account: Arc<Account>,
    ) -> Self {
        Self {
            told_no_body,
            tag,
            progress,
            cancelled: AtomicBool::default(),
            cancel: Notify::default(),
            awaits_client: AtomicBool::default(),
            client_failure: OnceLock::default(),
            account,
            tunnel: Mutex::default(),
            interim,
        }
    }

    /// Whether a `content-length` of 0 is not the client's.
    pub(super) fn told_no_body(&self) -> bool {
        self.told_no_body
    }

    /// What the request is known by.
    pub(super) fn tag(&self) -> Option<Tag> {
        self.tag
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

    /// Whoever reads the request's body waits for the client, or in vain; or
    /// no longer does.
    pub(super) fn await_client(&self, awaits: bool) {
        self.awaits_client.store(awaits, Ordering::Relaxed);
    }

    /// A body failed on its way to a backend, which deserves this status if it
    /// was the client's.
    pub(super) fn body_failed(&self, status: StatusCode) {
        if self.awaits_client.load(Ordering::Relaxed) {
            // The first is what the others come from.
            let _ = self.client_failure.set(status);
        }
    }

    /// What the client is answered because its body failed, whatever the guest
    /// makes of it.
    pub(super) fn client_failure(&self) -> Option<StatusCode> {
        self.client_failure.get().copied()
    }

    /// Leaves the connection of a 101 here for whoever reads its body.
    pub(super) fn leave(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    /// Takes the connection that was left here, if any.
    pub(super) fn take(&self) -> Option<Tunnel> {
        self.tunnel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
