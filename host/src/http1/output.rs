//! What is to be written, and how bodies are framed in it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::{beside, write};

/// Content up to this length is copied behind its head: to write one piece costs
/// less than to write three.
const COPIED: usize = 8 << 10;
/// Room that is kept for the next head.
const KEPT: usize = 4 << 10;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(crate) struct Output {
    head: Vec<u8>,
    /// How many of these are written.
    written: usize,
    /// Whether anything was written since there was nothing to write.
    begun: bool,
    /// Content that is not copied.
    data: Bytes,
    /// What frames its end.
    tail: Vec<u8>,
}

impl Output {
    /// Where heads are written. They go before all content, so none may wait.
    pub(crate) fn head(&mut self) -> &mut Vec<u8> {
        &mut self.head
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.head.len() - self.written + self.data.len() + self.tail.len()
    }

    /// Whether there is room for more content.
    pub(crate) fn has_room(&self) -> bool {
        // What is added goes behind all of this, and the head comes first.
        self.data.is_empty() && self.tail.is_empty() && self.len() < COPIED
    }

    /// Whether any of it was written since there was nothing to write.
    pub(crate) const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Writes all there is.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let head = self.head.get(self.written..).unwrap_or_default();
            let writer = Pin::new(&mut *writer);
            let written = if self.data.is_empty() && self.tail.is_empty() {
                ready!(writer.poll_write(cx, head))?
            } else {
                let slices = [head, &self.data, &self.tail].map(IoSlice::new);
                ready!(writer.poll_write_vectored(cx, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.begun = true;
            self.advance(written);
        }
        self.head.clear();
        self.head.shrink_to(KEPT);
        self.written = 0;
        self.begun = false;
        Poll::Ready(Ok(()))
    }

    /// Nothing is to be written for a while.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    fn advance(&mut self, mut written: usize) {
        let of_head = written.min(self.head.len() - self.written);
        self.written += of_head;
        written -= of_head;
        if self.written >= COPIED {
            // However slowly it goes, what has gone takes no room.
            self.head.drain(..std::mem::take(&mut self.written));
        }
        let of_data = written.min(self.data.len());
        self.data.advance(of_data);
        if self.data.is_empty() {
            // Its buffer can be read into again.
            self.data = Bytes::new();
        }
        self.tail.drain(..(written - of_data).min(self.tail.len()));
    }

    /// Adds content. There must be room.
    fn push(&mut self, data: Bytes) {
        if data.len() <= COPIED {
            self.head.extend_from_slice(&data);
        } else {
            self.data = data;
        }
    }

    /// Adds what frames content, behind it.
    fn end(&mut self) -> &mut Vec<u8> {
        if self.data.is_empty() && self.tail.is_empty() {
            &mut self.head
        } else {
            &mut self.tail
        }
    }
}

/// Frames a body (<https://www.rfc-editor.org/rfc/rfc9112#section-6>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// So many bytes are owed.
    Length(u64),
    Chunked,
    /// It ends with the connection.
    Close,
}

/// A body that is not as long as its head says.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body is not as long as was said")]
pub(crate) struct WrongLength;

impl Encoder {
    /// Whether the message is whole without another word.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Length(0))
    }

    /// Adds content.
    ///
    /// # Errors
    /// There is more of it than was said. What was said is written.
    pub(crate) fn data(&mut self, out: &mut Output, mut data: Bytes) -> Result<(), WrongLength> {
        match self {
            Self::Length(left) => {
                let length = data.len() as u64;
                let fits = length <= *left;
                if !fits {
                    data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                }
                *left -= length.min(*left);
                out.push(data);
                if fits { Ok(()) } else { Err(WrongLength) }
            }
            Self::Chunked => {
                // A chunk of nothing would be the last.
                if !data.is_empty() {
                    write::push_hex(&mut out.head, data.len());
                    out.head.extend_from_slice(b"\r\n");
                    out.push(data);
                    out.end().extend_from_slice(b"\r\n");
                }
                Ok(())
            }
            Self::Close => {
                out.push(data);
                Ok(())
            }
        }
    }

    /// Ends the body, with trailers where it can have them.
    ///
    /// # Errors
    /// There was less of it than was said.
    pub(crate) fn end(
        &mut self,
        out: &mut Output,
        trailers: Option<&HeaderMap>,
    ) -> Result<(), WrongLength> {
        match self {
            Self::Length(0) | Self::Close => {}
            Self::Length(_) => return Err(WrongLength),
            Self::Chunked => {
                let end = out.end();
                end.extend_from_slice(b"0\r\n");
                if let Some(trailers) = trailers {
                    beside::push_trailers(end, trailers);
                }
                end.extend_from_slice(b"\r\n");
            }
        }
        *self = Self::Length(0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::task::Waker;

    use super::*;

    /// Takes a few bytes at a time, and every other time none.
    struct Narrow {
        taken: Vec<u8>,
        width: usize,
        tired: bool,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let width = self.width;
            self.as_mut()
                .poll_write_vectored(cx, &[IoSlice::new(&bytes[..width.min(bytes.len())])])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.tired = !self.tired;
            if self.tired {
                return Poll::Pending;
            }
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = &all[..self.width.min(all.len())];
            self.taken.extend_from_slice(taken);
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// All that is written, with more put in whenever there is room.
    fn written(
        out: &mut Output,
        width: usize,
        mut more: impl FnMut(&mut Output) -> bool,
    ) -> Vec<u8> {
        let mut narrow = Narrow {
            taken: Vec::new(),
            width,
            tired: false,
        };
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            while out.has_room() && more(out) {}
            if out.poll_write(&mut cx, &mut narrow).is_ready() && !more(out) {
                assert!(out.is_empty() && !out.has_begun());
                return narrow.taken;
            }
        }
    }

    #[test]
    fn what_goes_out_is_in_order_however_little_is_taken_at_a_time() {
        let long = Bytes::from(vec![b'x'; COPIED + 1]);
        let short = Bytes::from_static(b"short");
        for data in [short, long] {
            let size = format!("{:x}\r\n", data.len());
            let chunked: [&[u8]; 4] = [b"head:", size.as_bytes(), &data, b"\r\n0\r\n\r\n"];
            for (encoder, expected) in [
                (
                    Encoder::Length(data.len() as u64),
                    [b"head:", &data[..]].concat(),
                ),
                (Encoder::Close, [b"head:", &data[..]].concat()),
                (Encoder::Chunked, chunked.concat()),
            ] {
                for width in [1, 3, 100, usize::MAX] {
                    let mut out = Output::default();
                    out.head().extend_from_slice(b"head:");
                    let mut encoder = encoder;
                    encoder.data(&mut out, data.clone()).unwrap();
                    encoder.end(&mut out, None).unwrap();
                    assert!(encoder.is_done());
                    assert_eq!(
                        written(&mut out, width, |_| false),
                        expected,
                        "{encoder:?} {width}"
                    );
                }
            }
        }
    }

    /// What frames the end of a chunk goes before the next, wherever a write is cut.
    #[test]
    fn chunks_follow_each_other_wherever_writes_are_cut() {
        let lengths = [COPIED + 1, 5, COPIED + 1, 0, COPIED, 3];
        let mut expected = Vec::new();
        for length in lengths.into_iter().filter(|&length| length > 0) {
            expected.extend_from_slice(format!("{length:x}\r\n").as_bytes());
            expected.resize(expected.len() + length, b'x');
            expected.extend_from_slice(b"\r\n");
        }
        expected.extend_from_slice(b"0\r\n\r\n");
        for width in (1..20).chain(COPIED - 20..COPIED + 20) {
            let mut chunks = lengths.into_iter();
            let mut encoder = Encoder::Chunked;
            let found = written(&mut Output::default(), width, |out| match chunks.next() {
                Some(length) => encoder.data(out, vec![b'x'; length].into()).is_ok(),
                None if !encoder.is_done() => encoder.end(out, None).is_ok(),
                None => false,
            });
            assert!(found == expected, "{width} at a time");
        }
    }

    #[test]
    fn a_body_is_as_long_as_was_said() {
        let mut out = Output::default();
        let mut encoder = Encoder::Length(3);
        assert!(encoder.data(&mut out, Bytes::from_static(b"four")).is_err());
        assert_eq!(written(&mut out, 100, |_| false), b"fou");
        let mut encoder = Encoder::Length(3);
        encoder.data(&mut out, Bytes::from_static(b"ab")).unwrap();
        assert!(encoder.end(&mut out, None).is_err());
    }

    #[test]
    fn a_chunk_of_nothing_does_not_end_a_body() {
        let mut out = Output::default();
        Encoder::Chunked.data(&mut out, Bytes::new()).unwrap();
        assert!(out.is_empty());
    }
}
