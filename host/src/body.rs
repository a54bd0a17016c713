//! The one body type on either side of a component.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};

use crate::tunnel::Tunnel;

/// Why a body could not be read to its end.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request or response body: streamed, with trailers, never buffered unless
/// it was made of bytes to begin with.
#[derive(Debug, Default)]
pub struct Body(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Full(Full<Bytes>),
    Boxed(UnsyncBoxBody<Bytes, BodyError>),
    Tunnel(Tunnel),
}

impl Body {
    /// No body.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Any other body.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self::watched(body.map_err(Into::into))
    }

    /// One that is made of another.
    pub(crate) fn watched<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        Self(Kind::Boxed(UnsyncBoxBody::new(body)))
    }

    /// The body of a 101: it owns the connection on the far side.
    pub fn tunnel(connection: impl Into<Tunnel>) -> Self {
        Self(Kind::Tunnel(connection.into()))
    }

    /// The connection that a 101 hands over.
    ///
    /// # Errors
    /// The same body, if it is that of another response.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "one kind is a tunnel, the others are bodies"
    )]
    pub fn into_tunnel(self) -> Result<Tunnel, Self> {
        match self.0 {
            Kind::Tunnel(upgrade) => Ok(upgrade),
            other => Err(Self(other)),
        }
    }

    /// Whether all of it is here, and nothing can come in between.
    pub(crate) const fn is_here(&self) -> bool {
        matches!(self.0, Kind::Empty | Kind::Full(_))
    }

    /// Reads it whole, trailers dropped.
    ///
    /// # Errors
    /// The body breaks off.
    pub async fn bytes(self) -> Result<Bytes, BodyError> {
        Ok(self.collect().await?.to_bytes())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().0 {
            Kind::Empty | Kind::Tunnel(_) => Poll::Ready(None),
            Kind::Full(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Kind::Boxed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Tunnel(_) => true,
            Kind::Full(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Tunnel(_) => SizeHint::with_exact(0),
            Kind::Full(body) => body.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Kind::Full(Full::new(bytes)))
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}
