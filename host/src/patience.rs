//! How long a client may leave its request unfinished.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::{Body, BodyError};

/// The client sent nothing for IDLE_TIMEOUT while its body was waited for.
#[derive(Debug, thiserror::Error)]
#[error("no byte from the client for {} ms", .0.as_millis())]
pub(crate) struct ClientSilent(Duration);

/// A request body that is given up after `idle` without a byte, whoever reads
/// it and whatever was answered meanwhile.
pub(crate) struct Patient {
    body: Body,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patient {
    /// Times a body, if there is one.
    pub(crate) fn over(body: Body, idle: Duration) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::watched(Self {
            body,
            idle,
            timer: None,
            waiting: false,
        })
    }
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame);
        }
        let deadline = Instant::now() + this.idle;
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !this.waiting {
            this.waiting = true;
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Box::new(ClientSilent(this.idle)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
