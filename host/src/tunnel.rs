//! The connection on the far side of a 101 (RFC 9110 section 15.2.2).

use std::fmt;
use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream};

/// A connection that no longer speaks HTTP: [`Tunnel::open`] takes it over.
pub struct Tunnel(Kind);

enum Kind {
    Network(Box<dyn Connection>),
    Pipe(DuplexStream),
}

/// Bytes both ways.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Tunnel {
    /// A connection of the network, of which something was read already.
    pub(crate) fn joined<R, W>(read: Bytes, reader: R, writer: W) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let reader = io::Cursor::new(read).chain(reader);
        Self(Kind::Network(Box::new(tokio::io::join(reader, writer))))
    }

    /// The connection.
    ///
    /// # Errors
    /// It broke before.
    pub async fn open(self) -> io::Result<Box<dyn Connection>> {
        match self.0 {
            Kind::Network(connection) => Ok(connection),
            Kind::Pipe(pipe) => Ok(Box::new(pipe)),
        }
    }
}

/// A connection within this process.
impl From<DuplexStream> for Tunnel {
    fn from(pipe: DuplexStream) -> Self {
        Self(Kind::Pipe(pipe))
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Kind::Network(_) => "Tunnel(Network)",
            Kind::Pipe(_) => "Tunnel(Pipe)",
        })
    }
}
