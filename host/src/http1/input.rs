//! What is read from a connection.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use memchr::memchr_iter;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Decoded, Decoder, MAX_HEAD, Malformed};
use crate::body::BodyError;

/// How much is read at once to begin with: more than most heads have.
const LEAST: usize = 8 << 10;
/// How much at most, for bodies that come faster than they go.
const MOST: usize = 128 << 10;

/// Bytes that have arrived.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: BytesMut,
    /// How much to read at once.
    size: usize,
    /// How many bytes at the beginning are known to be no whole head.
    scanned: usize,
}

/// A body ended before its end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection ended within the body")]
pub(crate) struct Truncated;

impl Input {
    pub(crate) fn new() -> Self {
        Self {
            bytes: BytesMut::new(),
            size: LEAST,
            scanned: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether so little is there that more may be read ahead.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.len() < LEAST
    }

    /// What is there.
    pub(crate) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// All there is.
    pub(crate) fn take(&mut self) -> BytesMut {
        std::mem::take(&mut self.bytes)
    }

    /// Reads more. Answers false at the end of what there is.
    ///
    /// What waits for a message of its own keeps no buffer: see
    /// [`Self::rest`].
    pub(crate) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
    ) -> Poll<io::Result<bool>> {
        if self.bytes.capacity() - self.bytes.len() < self.size / 2 {
            self.bytes.reserve(self.size);
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let mut reading = pin!(reader.read_buf(&mut self.bytes));
        let read = ready!(reading.as_mut().poll(cx))?;
        if read == room {
            self.size = (self.size * 2).min(MOST);
        }
        Poll::Ready(Ok(read > 0))
    }

    /// A message is over: what waits for the next takes no room.
    pub(crate) fn rest(&mut self) {
        self.size = LEAST;
        self.scanned = 0;
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }

    /// Takes a head, by one of the [parsers](super::request), if a whole one is there.
    ///
    /// # Errors
    /// There is none, and never will be.
    pub(crate) fn head<T>(
        &mut self,
        parse: impl FnOnce(&[u8]) -> Result<Option<(T, usize)>, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        // Empty lines before a head mean nothing
        // (https://www.rfc-editor.org/rfc/rfc9112#section-2.2).
        loop {
            let length = match &self.bytes[..] {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                _ => break,
            };
            self.bytes.advance(length);
            self.scanned = self.scanned.saturating_sub(length);
        }
        let parsed = if self.bytes.is_empty() || !self.may_be_whole() {
            None
        } else {
            parse(&self.bytes)?
        };
        let Some((head, length)) = parsed else {
            self.scanned = self.bytes.len();
            return Ok(None);
        };
        self.bytes.advance(length);
        self.scanned = 0;
        Ok(Some(head))
    }

    /// Whether an empty line has come since the last look, so that heads that come
    /// a byte at a time are not parsed for each.
    fn may_be_whole(&self) -> bool {
        if self.scanned == 0 || self.bytes.len() >= MAX_HEAD {
            return true;
        }
        let from = self.scanned.saturating_sub(3);
        memchr_iter(b'\n', &self.bytes[from..]).any(|line| {
            let behind = &self.bytes[from + line + 1..];
            behind.starts_with(b"\n") || behind.starts_with(b"\r\n")
        })
    }

    /// Takes more of a body.
    ///
    /// # Errors
    /// It is malformed, the connection broke, or it ended before the body.
    pub(crate) fn poll_body<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        decoder: &mut Decoder,
    ) -> Poll<Result<Decoded, BodyError>> {
        loop {
            let decoded = decoder.decode(&mut self.bytes)?;
            if !matches!(decoded, Decoded::Wanting) {
                return Poll::Ready(Ok(decoded));
            }
            if !ready!(self.poll_fill(cx, reader))? {
                return Poll::Ready(if decoder.close() {
                    Ok(Decoded::End)
                } else {
                    Err(Box::new(Truncated))
                });
            }
        }
    }

    /// Takes all of a body at once, if it is all there in one piece.
    pub(crate) fn whole_body(&mut self, decoder: &mut Decoder) -> Option<bytes::Bytes> {
        let left = usize::try_from(decoder.left()?).ok()?;
        if left > self.bytes.len() {
            return None;
        }
        let Ok(Decoded::Data(data)) = decoder.decode(&mut self.bytes) else {
            return None;
        };
        Some(data)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::http1::request;

    #[test]
    fn a_head_that_comes_in_pieces_is_parsed_when_it_may_be_whole() {
        let head = b"\r\nGET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n";
        let head = [&[b'\n'; 1000], &head[..]].concat();
        let mut input = Input::new();
        let mut parsed = 0;
        for (index, &byte) in head.iter().enumerate() {
            input.bytes.extend_from_slice(&[byte]);
            let found = input.head(|bytes| {
                parsed += 1;
                request(bytes)
            });
            assert_eq!(found.unwrap().is_some(), index + 1 == head.len());
            // What was looked at is not looked at again.
            assert_eq!(input.scanned, input.bytes.len());
        }
        assert!(parsed <= 5, "parsed {parsed} times");
    }
}
