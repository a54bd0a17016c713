//! A response body on its way down: gives its connection back when it is done.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::client::Lease;
use crate::body::{Body, BodyError};

/// The backend sent nothing for IDLE_TIMEOUT.
#[derive(Debug, thiserror::Error)]
#[error("no byte from the backend for {} ms", .0.as_millis())]
pub(crate) struct BodyTimeout(Duration);

/// The body of a response from a pooled connection.
pub(super) struct Download {
    body: Incoming,
    /// The connection, until the body is read.
    lease: Option<Lease>,
    idle: Duration,
    waiting: bool,
}

impl Download {
    /// The body of a response that arrived by this connection, which may be
    /// all read already.
    pub(super) fn start(body: Incoming, lease: Lease, idle: Duration) -> Body {
        if body.is_end_stream() {
            lease.give_back();
            return Body::empty();
        }
        Body::watched(Self {
            body,
            lease: Some(lease),
            idle,
            waiting: false,
        })
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = false;
                if this.body.is_end_stream() {
                    this.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.give_back();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(lease) = &mut this.lease else {
                    return Poll::Pending;
                };
                if !this.waiting {
                    this.waiting = true;
                    lease.timer().reset(Instant::now() + this.idle);
                }
                ready!(lease.timer().poll(cx));
                this.lease = None;
                Poll::Ready(Some(Err(Box::new(BodyTimeout(this.idle)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
