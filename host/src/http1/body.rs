//! Bodies as they arrive (<https://www.rfc-editor.org/rfc/rfc9112#section-7.1>).

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Status;
use memchr::{memchr, memchr_iter, memmem};

use super::{Framing, MAX_FIELDS};

/// How many bytes the lines that chunks begin with may have beside their sizes, all
/// of a body together; and how many its trailers.
const MAX_ASIDE: usize = 16 << 10;

/// Takes a body out of the bytes that it arrives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoder {
    state: State,
    /// How many bytes at the beginning are known not to end what is read.
    scanned: usize,
    /// How many bytes of [`MAX_ASIDE`] there were.
    aside: usize,
}

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
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::Close => State::Close,
        };
        Self {
            state,
            scanned: 0,
            aside: 0,
        }
    }

    /// Whether the body is read to its end.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How much of it is to come, where that is known.
    pub(crate) const fn left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            State::Size | State::Chunk(_) | State::ChunkEnd | State::Trailers | State::Close => {
                None
            }
        }
    }

    /// The connection has ended. Whether the body has, too.
    pub(crate) const fn close(&mut self) -> bool {
        if matches!(self.state, State::Close) {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// Takes what there is of the body.
    ///
    /// # Errors
    /// Its framing is malformed.
    pub(crate) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, MalformedBody> {
        loop {
            match self.state {
                State::Done => return Ok(Decoded::End),
                State::Length(left) | State::Chunk(left) => {
                    if bytes.is_empty() {
                        return Ok(Decoded::Wanting);
                    }
                    let data = take(bytes, left);
                    let left = left - data.len() as u64;
                    self.state = match (self.state, left) {
                        (State::Length(_), 0) => State::Done,
                        (State::Length(_), left) => State::Length(left),
                        (_, 0) => State::ChunkEnd,
                        (_, left) => State::Chunk(left),
                    };
                    // The end may have come with it: whoever knows does not ask again.
                    // What is wrong with that is for the next to find.
                    let _ = self.advance(bytes);
                    if matches!(self.state, State::Trailers) && bytes.starts_with(b"\r\n") {
                        bytes.advance(2);
                        self.state = State::Done;
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
        if self.state == State::ChunkEnd {
            match &bytes[..] {
                [b'\r', b'\n', ..] => {
                    bytes.advance(2);
                    self.state = State::Size;
                }
                [] | [b'\r'] => return Ok(false),
                _ => return Err(MalformedBody),
            }
        }
        if self.state != State::Size {
            return Ok(true);
        }
        if bytes.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
            return Err(MalformedBody);
        }
        let Some(line) = self.find(bytes, |bytes| memchr(b'\n', bytes))? else {
            return Ok(false);
        };
        // An extension means nothing here, but where its line ends must be clear to all.
        let parsed = httparse::parse_chunk_size(&bytes[..=line]);
        let Ok(Status::Complete((length, size))) = parsed else {
            return Err(MalformedBody);
        };
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let aside = (length - 2).saturating_sub(digits.count());
        self.aside += aside;
        if length != line + 1 || self.aside > MAX_ASIDE {
            return Err(MalformedBody);
        }
        bytes.advance(length);
        self.state = match size {
            0 => State::Trailers,
            size => State::Chunk(size),
        };
        Ok(true)
    }

    fn trailers(&mut self, bytes: &mut BytesMut) -> Result<Decoded, MalformedBody> {
        let none = bytes.starts_with(b"\r\n");
        let end = |bytes: &[u8]| memmem::find(bytes, b"\r\n\r\n");
        if !none && self.find(bytes, end)?.is_none() {
            return Ok(Decoded::Wanting);
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let Ok(Status::Complete((length, fields))) = httparse::parse_headers(bytes, &mut fields)
        else {
            return Err(MalformedBody);
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for field in fields {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            trailers.append(
                name.map_err(|_| MalformedBody)?,
                value.map_err(|_| MalformedBody)?,
            );
        }
        let lines = bytes.split_to(length);
        if memchr_iter(b'\n', &lines).any(|end| end == 0 || lines[end - 1] != b'\r') {
            return Err(MalformedBody);
        }
        self.state = State::Done;
        Ok(if trailers.is_empty() {
            Decoded::End
        } else {
            Decoded::Trailers(trailers)
        })
    }

    /// Where what is read ends, if that has come. What came before is not looked at
    /// again.
    fn find(
        &mut self,
        bytes: &[u8],
        end: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> Result<Option<usize>, MalformedBody> {
        // An end of up to four bytes may have come in part.
        let from = self.scanned.min(bytes.len()).saturating_sub(3);
        match end(&bytes[from..]) {
            Some(end) if from + end < MAX_ASIDE => {
                self.scanned = 0;
                Ok(Some(from + end))
            }
            None if bytes.len() < MAX_ASIDE => {
                self.scanned = bytes.len();
                Ok(None)
            }
            Some(_) | None => Err(MalformedBody),
        }
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
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\r\na: 1\nb: 2\r\n\r\n",
            "5\r\nhello\r\n0\r\n\n",
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
    }

    #[test]
    fn what_is_beside_the_content_has_an_end() {
        let long = "x".repeat(MAX_ASIDE);
        let line = format!("5;{}", &long[..1000]);
        for endless in [
            format!("5;{long}"),
            format!("{line}\r\nhello\r\n").repeat(17),
            format!("0\r\na: {long}"),
            format!("0\r\na: {long}\r\n\r\n"),
        ] {
            for size in [1000, endless.len()] {
                assert!(decoded(Framing::Chunked, endless.as_bytes(), size).is_err());
            }
        }
    }
}
