//! Bodies that take their time, or never come to their end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::network::Break;
use crate::body::{Body, BodyError};

/// How many pieces a body comes in.
const PIECES: usize = 10;

/// A body in pieces, one at a time.
pub(crate) struct Pieces {
    rest: Bytes,
    piece: usize,
    interval: Duration,
    next: Pin<Box<Sleep>>,
    /// How the connection ends before, if it does.
    ends: Option<Break>,
}

impl Pieces {
    /// All of it within this time from now, unless it is cut off before.
    pub(crate) fn new(body: Bytes, transfer: Duration, ends: Option<Break>) -> Self {
        let interval = transfer / PIECES as u32;
        Self {
            piece: body.len().div_ceil(PIECES).max(1),
            rest: body,
            interval,
            next: Box::pin(sleep_until(Instant::now() + interval)),
            ends,
        }
    }

    /// The same body without its second half: it breaks off there.
    pub(crate) fn broken_off(body: Body) -> Body {
        let half = body.size_hint().exact().unwrap_or(2) / 2;
        Body::new(Half { body, left: half })
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(ends) = this.ends
            && ends.silent <= this.next.deadline()
        {
            if this.next.deadline() != ends.broken {
                this.next.as_mut().reset(ends.broken);
            }
            ready!(this.next.as_mut().poll(cx));
            return Poll::Ready(Some(Err("the connection was reset".into())));
        }
        ready!(this.next.as_mut().poll(cx));
        let next = this.next.deadline() + this.interval;
        this.next.as_mut().reset(next);
        let piece = this.rest.split_to(this.piece.min(this.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// What comes of a body before it breaks off.
struct Half {
    body: Body,
    left: u64,
}

impl HttpBody for Half {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let broken = || Poll::Ready(Some(Err("the connection was reset".into())));
        if this.left == 0 {
            return broken();
        }
        match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => {
                    let most = usize::try_from(this.left).unwrap_or(usize::MAX);
                    data.truncate(most);
                    this.left -= data.len() as u64;
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                Err(_) => broken(),
            },
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => broken(),
        }
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
