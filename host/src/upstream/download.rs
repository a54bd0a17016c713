//! A response body on its way down: gives its connection back when it is done.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::client::{Client, Lease};
use crate::body::BodyError;

/// The backend sent nothing for IDLE_TIMEOUT.
#[derive(Debug, thiserror::Error)]
#[error("no byte from the backend for {} ms", .0.as_millis())]
pub(crate) struct BodyTimeout(Duration);

/// The body of a response from a pooled connection.
pub(super) struct Download {
    body: Incoming,
    /// The connection, until the body is read.
    lease: Option<(Lease, Arc<Client>)>,
    idle: Duration,
    waiting: bool,
}

impl Download {
    pub(super) fn new(body: Incoming, lease: Lease, client: Arc<Client>, idle: Duration) -> Self {
        let mut this = Self {
            body,
            lease: Some((lease, client)),
            idle,
            waiting: false,
        };
        this.release_if_read();
        this
    }

    fn release_if_read(&mut self) {
        if self.body.is_end_stream()
            && let Some((lease, client)) = self.lease.take()
        {
            client.give_back(lease);
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
                this.release_if_read();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                if let Some((lease, client)) = this.lease.take() {
                    client.give_back(lease);
                }
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some((lease, _)) = &mut this.lease else {
                    return Poll::Pending;
                };
                if !this.waiting {
                    this.waiting = true;
                    lease.timer.as_mut().reset(Instant::now() + this.idle);
                }
                ready!(lease.timer.as_mut().poll(cx));
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
