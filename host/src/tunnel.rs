//! The connection on the far side of a 101 (RFC 9110 section 15.2.2).

use std::fmt;
use std::io;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

/// A connection that no longer speaks HTTP: [`Tunnel::open`] takes it over.
pub struct Tunnel(Kind);

enum Kind {
    Upgrade(OnUpgrade),
    Pipe(DuplexStream),
}

/// Bytes both ways.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Tunnel {
    /// The connection, once the 101 is written.
    ///
    /// # Errors
    /// It broke before.
    pub async fn open(self) -> io::Result<Box<dyn Connection>> {
        match self.0 {
            Kind::Upgrade(upgrade) => match upgrade.await {
                Ok(upgraded) => Ok(Box::new(TokioIo::new(upgraded))),
                Err(error) => Err(io::Error::other(error)),
            },
            Kind::Pipe(pipe) => Ok(Box::new(pipe)),
        }
    }
}

/// A connection of the network.
impl From<OnUpgrade> for Tunnel {
    fn from(upgrade: OnUpgrade) -> Self {
        Self(Kind::Upgrade(upgrade))
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
            Kind::Upgrade(_) => "Tunnel(Upgrade)",
            Kind::Pipe(_) => "Tunnel(Pipe)",
        })
    }
}
