//! Bodies of which only the length is known.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::BodyError;

/// So many bytes, in steps.
pub(super) struct Filler {
    left: u64,
    /// Bytes a step, and the time it takes.
    step: u64,
    interval: Duration,
    next: Option<Pin<Box<Sleep>>>,
    in_step: u64,
    broken: bool,
}

static FILLING: [u8; 1 << 16] = [b'.'; 1 << 16];

impl Filler {
    /// The most bytes that a body is played with: far more than is ever kept
    /// for a retry, and no more than fit into memory many times.
    pub(super) const LONGEST: u64 = 16 << 20;
    /// How many steps a body comes in.
    const STEPS: u32 = 10;

    pub(super) fn new(length: u64, transfer: Duration, broken: bool) -> Self {
        let interval = transfer / Self::STEPS;
        let next = (!interval.is_zero()).then(|| Box::pin(sleep_until(Instant::now() + interval)));
        let step = length.div_ceil(u64::from(Self::STEPS)).max(1);
        Self {
            left: length,
            step,
            interval,
            next,
            in_step: step,
            broken,
        }
    }
}

impl HttpBody for Filler {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.left == 0 {
            let broken = this.broken;
            this.broken = false;
            return Poll::Ready(broken.then(|| Err("the connection was reset".into())));
        }
        if let Some(next) = &mut this.next {
            ready!(next.as_mut().poll(cx));
        }
        let chunk = this.left.min(this.in_step).min(FILLING.len() as u64);
        this.left -= chunk;
        this.in_step -= chunk;
        if this.in_step == 0 {
            this.in_step = this.step;
            if let Some(next) = &mut this.next {
                let due = next.deadline() + this.interval;
                next.as_mut().reset(due);
            }
        }
        let chunk = usize::try_from(chunk).unwrap_or(FILLING.len());
        let data = FILLING.get(..chunk).unwrap_or_default();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && !self.broken
    }

    fn size_hint(&self) -> SizeHint {
        if self.broken {
            SizeHint::default()
        } else {
            SizeHint::with_exact(self.left)
        }
    }
}
