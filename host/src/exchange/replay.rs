//! A request body that may have to be sent more than once.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, BodyError};

/// A request body, from which readings are taken, one at a time.
pub(super) struct Replay(Option<Arc<Mutex<Source>>>);

struct Source {
    body: Body,
    size: SizeHint,
    /// What was read, while it can be kept. Trailers are kept as well.
    kept: Vec<Kept>,
    room: u64,
    state: State,
    /// Counts readings: only the last one may go on.
    reading: u64,
    /// Whoever waits for more by the last.
    waker: Option<Waker>,
}

#[derive(Clone)]
enum Kept {
    Data(Bytes),
    Trailers(http::HeaderMap),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// All that was read is kept.
    Whole,
    /// The same, and there is no more.
    Ended,
    /// Something that was read is gone.
    Lost,
}

#[derive(Debug, thiserror::Error)]
#[error("the body is being sent elsewhere")]
struct Superseded;

impl Replay {
    /// A body nobody has read of.
    pub(super) fn new(body: Body) -> Self {
        if body.is_end_stream() {
            return Self(None);
        }
        Self(Some(Arc::new(Mutex::new(Source {
            size: body.size_hint(),
            body,
            kept: Vec::new(),
            room: 0,
            state: State::Whole,
            reading: 0,
            waker: None,
        }))))
    }

    /// Whether another reading would start at the first byte.
    pub(super) fn is_replayable(&self) -> bool {
        self.0.as_ref().is_none_or(|source| {
            source.lock().unwrap_or_else(PoisonError::into_inner).state != State::Lost
        })
    }

    /// A reading from the first byte, of which up to `keep` bytes will be kept
    /// for another. Ends the readings before it.
    pub(super) fn reading(&self, keep: u64) -> Body {
        let Some(source) = &self.0 else {
            return Body::empty();
        };
        let mut locked = source.lock().unwrap_or_else(PoisonError::into_inner);
        locked.reading += 1;
        if let Some(superseded) = locked.waker.take() {
            superseded.wake();
        }
        let kept: u64 = locked.kept.iter().map(Kept::len).sum();
        locked.room = keep.saturating_sub(kept);
        Body::watched(Reading {
            number: locked.reading,
            size: locked.size,
            source: Arc::clone(source),
            next: 0,
            done: false,
        })
    }
}

impl Kept {
    fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Trailers(_) => 0,
        }
    }
}

impl From<Kept> for Frame<Bytes> {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Data(data) => Self::data(data),
            Kept::Trailers(trailers) => Self::trailers(trailers),
        }
    }
}

impl Source {
    /// Keeps a frame if there is room, else lets go of all.
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if self.state == State::Lost {
            return;
        }
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Kept::Data(data.clone()),
            (None, Some(trailers)) => Kept::Trailers(trailers.clone()),
            (None, None) => return,
        };
        match self.room.checked_sub(kept.len()) {
            Some(room) => {
                self.room = room;
                self.kept.push(kept);
            }
            None => {
                self.state = State::Lost;
                self.kept = Vec::new();
            }
        }
    }
}

struct Reading {
    source: Arc<Mutex<Source>>,
    number: u64,
    /// How many of the kept frames were given out.
    next: usize,
    size: SizeHint,
    done: bool,
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let mut source = this.source.lock().unwrap_or_else(PoisonError::into_inner);
        if source.reading != this.number {
            return Poll::Ready(Some(Err(Box::new(Superseded))));
        }
        if let Some(kept) = source.kept.get(this.next) {
            this.next += 1;
            return Poll::Ready(Some(Ok(kept.clone().into())));
        }
        if source.state == State::Ended {
            this.done = true;
            return Poll::Ready(None);
        }
        match Pin::new(&mut source.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                source.keep(&frame);
                this.next += 1;
                this.done = source.body.is_end_stream();
                if this.done && source.state == State::Whole {
                    source.state = State::Ended;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                source.state = State::Lost;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                if source.state == State::Whole {
                    source.state = State::Ended;
                }
                this.done = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                source.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }

    fn size_hint(&self) -> SizeHint {
        // Asked once, before the first frame: it decides the framing.
        self.size
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn chunks(chunks: &[&'static str]) -> Body {
        let frames: Vec<Result<_, BodyError>> = chunks
            .iter()
            .map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes()))))
            .collect();
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_body_within_its_limit_is_read_twice() {
        let replay = Replay::new(chunks(&["ab", "cd"]));
        assert_eq!(replay.reading(4).bytes().await.unwrap(), "abcd");
        assert!(replay.is_replayable());
        assert_eq!(replay.reading(4).bytes().await.unwrap(), "abcd");
    }

    #[tokio::test]
    async fn a_reading_broken_off_is_taken_up_from_the_first_byte() {
        let replay = Replay::new(chunks(&["ab", "cd"]));
        let mut first = replay.reading(100);
        first.frame().await.unwrap().unwrap();
        assert_eq!(replay.reading(100).bytes().await.unwrap(), "abcd");
        // The first must not take what the second is reading.
        first.frame().await.unwrap().unwrap_err();
    }

    #[tokio::test]
    async fn a_body_beyond_its_limit_is_lost_once_read() {
        let replay = Replay::new(chunks(&["ab", "cd"]));
        assert!(replay.is_replayable());
        assert_eq!(replay.reading(3).bytes().await.unwrap(), "abcd");
        assert!(!replay.is_replayable());
    }

    #[tokio::test]
    async fn a_body_nobody_read_is_replayable_whatever_is_kept() {
        let replay = Replay::new(chunks(&["ab"]));
        drop(replay.reading(0));
        assert!(replay.is_replayable());
        assert_eq!(replay.reading(0).bytes().await.unwrap(), "ab");
        assert!(!replay.is_replayable());
    }
}
