//! Bodies as they arrive (<https://www.rfc-editor.org/rfc/rfc9112#section-7.1>).

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Status;

use super::{Framing, MAX_FIELDS, MAX_HEAD};

/// How many bytes the line may have that a chunk begins with.
const MAX_SIZE_LINE: usize = 16 << 10;

/// Takes a body out of the bytes that it arrives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoder(State);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are to come.
    Length(u64),
    /// A chunk is to begin.
    Size,
    /// So many bytes of a chunk are to come.
    Chunk(u64),
    /// A chunk is to end.
    ChunkEnd,
    /// Behind the last chunk.
    Trailers,
    /// All that comes belongs to it.
    Close,
    Done,
}

/// What of a body has arrived.
#[derive(Debug)]
pub(crate) enum Decoded {
    Data(Bytes),
    Trailers(HeaderMap),
    /// There is no more.
    End,
    /// Nothing, until there are more bytes.
    Wanting,
}

/// The body's framing is malformed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body's chunks are malformed")]
pub(crate) struct MalformedBody;

impl Decoder {
    pub(crate) const fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::Close => State::Close,
        })
    }

    /// Whether the body is read to its end.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// How much of it is to come, where that is known.
    pub(crate) const fn left(&self) -> Option<u64> {
        match self.0 {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            State::Size | State::Chunk(_) | State::ChunkEnd | State::Trailers | State::Close => {
                None
            }
        }
    }

    /// The connection has ended. Whether the body has, too.
    pub(crate) const fn close(&mut self) -> bool {
        if matches!(self.0, State::Close) {
            self.0 = State::Done;
        }
        self.is_done()
    }

    /// Takes what there is of the body.
    ///
    /// # Errors
    /// Its framing is malformed.
    pub(crate) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, MalformedBody> {
        loop {
            match self.0 {
                State::Done => return Ok(Decoded::End),
                State::Length(left) | State::Chunk(left) => {
                    if bytes.is_empty() {
                        return Ok(Decoded::Wanting);
                    }
                    let data = take(bytes, left);
                    let left = left - data.len() as u64;
                    self.0 = match (self.0, left) {
                        (State::Length(_), 0) => State::Done,
                        (State::Length(_), left) => State::Length(left),
                        (_, 0) => State::ChunkEnd,
                        (_, left) => State::Chunk(left),
                    };
                    // The end may have come with it: whoever knows does not ask again.
                    // What is wrong with that is for the next to find.
                    let _ = self.advance(bytes);
                    if matches!(self.0, State::Trailers) && bytes.starts_with(b"\r\n") {
                        bytes.advance(2);
                        self.0 = State::Done;
                    }
                    return Ok(Decoded::Data(data));
                }
                State::Close => {
                    if bytes.is_empty() {
                        return Ok(Decoded::Wanting);
                    }
                    return Ok(Decoded::Data(bytes.split().freeze()));
                }
                State::Size | State::ChunkEnd => {
                    if !self.advance(bytes)? {
                        return Ok(Decoded::Wanting);
                    }
                }
                State::Trailers => return self.trailers(bytes),
            }
        }
    }

    /// Goes on to the next chunk's content or the last one's end, if all that
    /// comes before that is there.
    fn advance(&mut self, bytes: &mut BytesMut) -> Result<bool, MalformedBody> {
        if self.0 == State::ChunkEnd {
            match &bytes[..] {
                [b'\r', b'\n', ..] => {
                    bytes.advance(2);
                    self.0 = State::Size;
                }
                [] | [b'\r'] => return Ok(false),
                _ => return Err(MalformedBody),
            }
        }
        if self.0 != State::Size {
            return Ok(true);
        }
        match httparse::parse_chunk_size(bytes) {
            // A line of nothing but a line's end is no size.
            Ok(Status::Complete((length, _))) if !bytes[0].is_ascii_hexdigit() || length < 3 => {
                Err(MalformedBody)
            }
            Ok(Status::Complete((length, size))) => {
                bytes.advance(length);
                self.0 = match size {
                    0 => State::Trailers,
                    size => State::Chunk(size),
                };
                Ok(true)
            }
            Ok(Status::Partial) if bytes.len() < MAX_SIZE_LINE => Ok(false),
            Ok(Status::Partial) | Err(_) => Err(MalformedBody),
        }
    }

    fn trailers(&mut self, bytes: &mut BytesMut) -> Result<Decoded, MalformedBody> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let (length, trailers) = match httparse::parse_headers(bytes, &mut fields) {
            Ok(Status::Complete((length, fields))) => {
                let mut trailers = HeaderMap::with_capacity(fields.len());
                for field in fields {
                    let name = HeaderName::from_bytes(field.name.as_bytes());
                    let value = HeaderValue::from_bytes(field.value);
                    trailers.append(
                        name.map_err(|_| MalformedBody)?,
                        value.map_err(|_| MalformedBody)?,
                    );
                }
                (length, trailers)
            }
            Ok(Status::Partial) if bytes.len() < MAX_HEAD => return Ok(Decoded::Wanting),
            Ok(Status::Partial) | Err(_) => return Err(MalformedBody),
        };
        bytes.advance(length);
        self.0 = State::Done;
        Ok(if trailers.is_empty() {
            Decoded::End
        } else {
            Decoded::Trailers(trailers)
        })
    }
}

/// So many bytes, or as many as there are.
fn take(bytes: &mut BytesMut, most: u64) -> Bytes {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    bytes.split_to(most.min(bytes.len())).freeze()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// What becomes of a body that arrives in pieces of a size: its content, its
    /// trailers, and what is left behind it.
    fn decoded(
        framing: Framing,
        bytes: &[u8],
        size: usize,
    ) -> Result<(Vec<u8>, HeaderMap, Vec<u8>), MalformedBody> {
        let mut decoder = Decoder::new(framing);
        let (mut content, mut trailers) = (Vec::new(), HeaderMap::new());
        let mut buffer = BytesMut::new();
        let mut pieces = bytes.chunks(size);
        loop {
            match decoder.decode(&mut buffer)? {
                Decoded::Data(data) => content.extend_from_slice(&data),
                Decoded::Trailers(fields) => trailers = fields,
                Decoded::End => break,
                Decoded::Wanting => match pieces.next() {
                    Some(piece) => buffer.extend_from_slice(piece),
                    None if decoder.close() => break,
                    None => return Err(MalformedBody),
                },
            }
        }
        let rest = [&buffer[..], &pieces.collect::<Vec<_>>().concat()].concat();
        Ok((content, trailers, rest))
    }

    #[test]
    fn bodies_arrive_whole_in_whatever_pieces() {
        let table = [
            (Framing::Length(5), "hellorest", "rest"),
            (Framing::Chunked, "5\r\nhello\r\n0\r\n\r\nrest", "rest"),
            (
                Framing::Chunked,
                "2;a=b\r\nhe\r\n03 ; x\r\nllo\r\n000\r\n\r\n",
                "",
            ),
            (
                Framing::Chunked,
                "5\r\nhello\r\n0\r\nA: 1\r\nb: 2\r\n\r\nrest",
                "rest",
            ),
            (Framing::Close, "hello", ""),
        ];
        for (framing, text, rest) in table {
            for size in 1..=text.len() {
                let (content, trailers, behind) = decoded(framing, text.as_bytes(), size).unwrap();
                assert_eq!(content, b"hello", "{text:?} by {size}");
                assert_eq!(behind, rest.as_bytes(), "{text:?} by {size}");
                assert_eq!(
                    trailers.len(),
                    if text.contains('A') { 2 } else { 0 },
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn whoever_has_the_last_of_a_body_need_not_ask_for_the_end() {
        for (framing, text) in [
            (Framing::Length(5), "hello"),
            (Framing::Chunked, "5\r\nhello\r\n0\r\n\r\n"),
        ] {
            let mut decoder = Decoder::new(framing);
            let mut bytes = BytesMut::from(text);
            assert!(matches!(decoder.decode(&mut bytes), Ok(Decoded::Data(_))));
            assert!(decoder.is_done() && bytes.is_empty(), "{text:?}");
        }
    }

    /// <https://www.rfc-editor.org/rfc/rfc9112#section-7.1>
    #[test]
    fn malformed_chunks_are_no_body() {
        for text in [
            "x\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            "\r\n5\r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            ";a\r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello and more\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "10000000000000000\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
            "5\r\nhello\r\n",
            "5\r\nhel",
        ] {
            for size in 1..=text.len() {
                let found = decoded(Framing::Chunked, text.as_bytes(), size);
                assert!(found.is_err(), "{text:?} by {size}: {found:?}");
            }
        }
        let endless = format!("5;{}", "x".repeat(MAX_SIZE_LINE));
        assert!(decoded(Framing::Chunked, endless.as_bytes(), 1000).is_err());
    }
}
