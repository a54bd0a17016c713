//! HTTP/1.1 as bytes: what both ends of a test speak, so that either can
//! misbehave and neither hides what it received.

use std::fmt;
use std::io::{self, ErrorKind};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A connection that can be broken off.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes its close a reset (RST) in place of an orderly end (FIN).
    fn abort(&self) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn abort(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl Socket for TlsStream<TcpStream> {
    fn abort(&self) -> io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}

/// A connection, and what was read of it but not yet taken.
pub struct Wire {
    socket: Box<dyn Socket>,
    buffer: BytesMut,
}

/// The head of a message, as received.
#[derive(Clone)]
pub struct Head {
    /// Every byte of it, the empty line included.
    pub bytes: Bytes,
    /// The first line.
    pub start: String,
    /// Names and values in order.
    pub fields: Fields,
}

/// Field lines in order, names as received.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

/// The body of a message: how far it has been read.
#[derive(Debug)]
pub struct Body {
    framing: Framing,
    /// What came after a chunked body.
    pub trailers: Fields,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    /// Before a chunk size.
    Chunks,
    /// Within a chunk.
    Chunk(u64),
    UntilClose,
    Ended,
}

impl Wire {
    /// Over a connection.
    pub fn new(socket: impl Socket + 'static) -> Self {
        Self {
            socket: Box::new(socket),
            buffer: BytesMut::new(),
        }
    }

    /// Writes, and makes sure it leaves.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await
    }

    /// Ends this direction; the other stays open.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.socket.shutdown().await
    }

    /// Makes its close a reset.
    pub fn abort(&self) -> io::Result<()> {
        self.socket.abort()
    }

    /// The next head; `None` if the peer has closed before its first byte.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            let found = self.buffer.windows(4).position(|at| at == b"\r\n\r\n");
            match found {
                Some(at) => break at + 4,
                None if self.fill().await? => {}
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        };
        Head::parse(self.buffer.split_to(end).freeze()).map(Some)
    }

    /// The next piece of a body; `None` at its end.
    pub async fn data(&mut self, body: &mut Body) -> io::Result<Option<Bytes>> {
        loop {
            let left = match &mut body.framing {
                Framing::Ended => return Ok(None),
                Framing::Chunks => {
                    let size = self.line().await?;
                    let digits = size.split(';').next().unwrap_or_default().trim();
                    let size = u64::from_str_radix(digits, 16).map_err(|_| invalid(&size))?;
                    body.framing = if size > 0 {
                        Framing::Chunk(size)
                    } else {
                        body.trailers = self.trailers().await?;
                        Framing::Ended
                    };
                    continue;
                }
                Framing::Length(0) => {
                    body.framing = Framing::Ended;
                    continue;
                }
                Framing::Chunk(0) => {
                    let end = self.line().await?;
                    if !end.is_empty() {
                        return Err(invalid(&end));
                    }
                    body.framing = Framing::Chunks;
                    continue;
                }
                Framing::UntilClose => None,
                Framing::Length(left) | Framing::Chunk(left) => Some(left),
            };
            if self.buffer.is_empty() && !self.fill().await? {
                return match left {
                    None => Ok(None),
                    Some(_) => Err(ErrorKind::UnexpectedEof.into()),
                };
            }
            let held = self.buffer.len();
            let take = match left {
                None => held,
                Some(left) => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(held);
                    *left -= take as u64;
                    take
                }
            };
            return Ok(Some(self.buffer.split_to(take).freeze()));
        }
    }

    /// Whatever comes next, of no message; `None` once the peer has ended.
    pub async fn bytes(&mut self) -> io::Result<Option<Bytes>> {
        self.data(&mut Body::until_close()).await
    }

    /// Returns when the peer has closed or reset the connection.
    pub async fn gone(&mut self) {
        while self.fill().await.unwrap_or(false) {
            self.buffer.clear();
        }
    }

    async fn trailers(&mut self) -> io::Result<Fields> {
        let mut fields = Fields::default();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(fields);
            }
            fields.push(&line)?;
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|at| at == b"\r\n") {
                let line = self.buffer.split_to(at);
                self.buffer.advance(2);
                return Ok(text(&line));
            }
            if !self.fill().await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads more; false at the peer's end.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(64 << 10);
        Ok(self.socket.read_buf(&mut self.buffer).await? > 0)
    }
}

impl Head {
    fn parse(bytes: Bytes) -> io::Result<Self> {
        let lines = text(&bytes);
        let mut lines = lines.trim_end_matches("\r\n").split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut fields = Fields::default();
        for line in lines {
            fields.push(line)?;
        }
        Ok(Self {
            bytes,
            start,
            fields,
        })
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// The target of a request.
    pub fn target(&self) -> &str {
        self.word(1)
    }

    /// The status code of a response.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    /// The only value of a field; `None` if it is absent or repeated.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.only(name)
    }

    fn word(&self, number: usize) -> &str {
        self.start.split(' ').nth(number).unwrap_or_default()
    }
}

impl Fields {
    /// The values of a field in order; names compare without regard to case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self
            .0
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a field; `None` if it is absent or repeated.
    pub fn only(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    fn push(&mut self, line: &str) -> io::Result<()> {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid(line))?;
        self.0.push((name.to_owned(), value.trim().to_owned()));
        Ok(())
    }
}

impl Body {
    /// That of a request (<https://www.rfc-editor.org/rfc/rfc9112#section-6.3>).
    pub fn of_request(head: &Head) -> Self {
        Self::framed(head).unwrap_or_else(|| Self::new(Framing::Ended))
    }

    /// That of the response to a request with this method.
    pub fn of_response(head: &Head, method: &str) -> Self {
        let none = method == "HEAD" || matches!(head.status(), 100..200 | 204 | 304);
        if none {
            return Self::new(Framing::Ended);
        }
        Self::framed(head).unwrap_or_else(Self::until_close)
    }

    /// All that comes until the peer ends.
    pub fn until_close() -> Self {
        Self::new(Framing::UntilClose)
    }

    fn framed(head: &Head) -> Option<Self> {
        if head.fields.has("transfer-encoding") {
            return Some(Self::new(Framing::Chunks));
        }
        let length = head.field("content-length")?.parse().ok()?;
        Some(Self::new(Framing::Length(length)))
    }

    fn new(framing: Framing) -> Self {
        Self {
            framing,
            trailers: Fields::default(),
        }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", text(&self.bytes))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(name, value)| (name, value)))
            .finish()
    }
}

/// Octets as text, each for itself: fields are not UTF-8
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-5.5>).
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("not HTTP/1.1: `{what}`"))
}
