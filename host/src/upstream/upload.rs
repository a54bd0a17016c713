//! A request body on its way up, watched: who is keeping whom waiting?

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::body::{Body, BodyError};

/// The client stopped sending, or sent what is no body.
#[derive(Debug, thiserror::Error)]
#[error("the client's request body ended early: {0}")]
pub(super) struct ClientGone(pub(super) BodyError);

/// What a watcher sees of an upload.
#[derive(Clone, Copy, Debug)]
struct Progress {
    at: Instant,
    /// The connection wants more, and the client has not sent it yet.
    awaits_client: bool,
}

/// Watches one upload.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<Progress>>);

impl Watch {
    /// Until when to wait for a response; `None`: no longer. The backend's time
    /// runs from the last byte it was given, and not while the client is
    /// waited for, whose body has a timeout of its own.
    pub(super) fn patience(&self, now: Instant, first_byte: Duration) -> Option<Instant> {
        let progress = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = if progress.awaits_client {
            now + first_byte
        } else {
            progress.at + first_byte
        };
        (until > now).then_some(until)
    }
}

/// The body, as the connection takes it.
pub(super) struct Upload {
    body: Body,
    watch: Watch,
}

impl Upload {
    pub(super) fn new(body: Body) -> (Self, Watch) {
        let watch = Watch(Arc::new(Mutex::new(Progress {
            at: Instant::now(),
            awaits_client: false,
        })));
        let upload = Self {
            body,
            watch: watch.clone(),
        };
        (upload, watch)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let mut progress = this.watch.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &frame {
            Poll::Ready(_) => {
                *progress = Progress {
                    at: Instant::now(),
                    awaits_client: false,
                };
            }
            Poll::Pending => progress.awaits_client = true,
        }
        drop(progress);
        frame.map_err(|error| Box::new(ClientGone(error)) as BodyError)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
