//! The client's request: its head, and its body until an attempt takes it.

use std::net::IpAddr;

use wasip3::http::types::{ErrorCode, Fields, Method, Request, Scheme, Trailers};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn_local};
use wasip3::{wit_future, wit_stream};

use crate::bindings::edgelb::balancer::exchange;
use crate::fields::{self, FieldList};
use crate::response::accepted;

/// What follows a body.
pub(crate) type TrailersFuture = FutureReader<Result<Option<Trailers>, ErrorCode>>;

/// A request as it arrived.
pub(crate) struct Incoming {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    /// All fields, but for the one that tells the peer.
    pub(crate) fields: FieldList,
    scheme: exchange::Scheme,
    authority: String,
    peer: Option<exchange::IpAddress>,
    size: exchange::BodySize,
    body: Body,
}

/// Where the body is.
enum Body {
    /// Nobody has read of it.
    Unread(Request),
    /// Read, and kept for any number of attempts.
    Kept {
        content: Vec<u8>,
        trailers: Option<FieldList>,
    },
    /// Its first bytes are read.
    Begun {
        start: Vec<u8>,
        rest: StreamReader<u8>,
        trailers: TrailersFuture,
    },
    /// Handed to an attempt.
    Gone,
}

/// Bytes read of a body at once.
const PIECE: usize = 16 << 10;

impl Incoming {
    /// Reads the head. The peer is the last value of `peer_field`, which is
    /// taken out.
    pub(crate) fn new(request: Request, peer_field: Option<&str>) -> Self {
        let mut fields = request.get_headers().copy_all();
        let mut peer = None;
        if let Some(name) = peer_field {
            peer = fields::values(&fields, name).next_back().and_then(address);
            fields::remove(&mut fields, name.as_bytes());
        }
        let method = request.get_method();
        Self {
            target: request
                .get_path_with_query()
                .unwrap_or_else(|| "/".to_owned()),
            scheme: match request.get_scheme() {
                Some(Scheme::Https) => exchange::Scheme::Https,
                Some(Scheme::Http | Scheme::Other(_)) | None => exchange::Scheme::Http,
            },
            authority: request
                .get_authority()
                .or_else(|| host(&fields))
                .unwrap_or_default(),
            peer,
            size: body_size(&method, &fields),
            method,
            fields,
            body: Body::Unread(request),
        }
    }

    /// The head as the policy is shown it.
    pub(crate) fn head(&self) -> exchange::RequestHead {
        let authority = Some((":authority", self.authority.as_bytes()));
        let pseudo = [
            Some((":method", method_name(&self.method).as_bytes())),
            authority.filter(|(_, value)| !value.is_empty()),
            Some((":path", self.target.as_bytes())),
        ];
        exchange::RequestHead {
            scheme: self.scheme,
            peer: self.peer,
            body: self.size,
            fields: fields::pack(
                pseudo
                    .into_iter()
                    .flatten()
                    .chain(fields::views(&self.fields)),
            ),
        }
    }

    /// Whether the response has no content whatever its fields say.
    pub(crate) fn is_head(&self) -> bool {
        matches!(self.method, Method::Head)
    }

    /// Whether another attempt could send the body from its first byte.
    pub(crate) fn is_replayable(&self) -> bool {
        match self.body {
            Body::Unread(_) | Body::Kept { .. } | Body::Begun { .. } => true,
            Body::Gone => matches!(self.size, exchange::BodySize::None),
        }
    }

    /// Reads the body into memory if nobody has read of it and it is known to
    /// have no more than `limit` bytes, or is likely to have none.
    ///
    /// # Errors
    /// If it does not arrive whole.
    pub(crate) async fn keep_body(&mut self, limit: u64) -> Result<(), ErrorCode> {
        let may_be_kept = match self.size {
            exchange::BodySize::None => false,
            exchange::BodySize::Known(length) => length <= limit,
            exchange::BodySize::Unknown => is_mostly_empty(&self.method),
        };
        if !may_be_kept {
            return Ok(());
        }
        match std::mem::replace(&mut self.body, Body::Gone) {
            Body::Unread(request) => self.body = self.read(request).await?,
            body @ (Body::Kept { .. } | Body::Begun { .. } | Body::Gone) => self.body = body,
        }
        Ok(())
    }

    /// Reads a body of known length; of any other no more than shows whether it
    /// has any.
    async fn read(&mut self, request: Request) -> Result<Body, ErrorCode> {
        let (mut rest, trailers) = Request::consume_body(request, accepted());
        let content = match self.size {
            exchange::BodySize::Known(length) => read(rest, length).await,
            exchange::BodySize::None | exchange::BodySize::Unknown => {
                let start = piece(&mut rest).await;
                if !start.is_empty() {
                    return Ok(Body::Begun {
                        start,
                        rest,
                        trailers,
                    });
                }
                self.size = exchange::BodySize::None;
                start
            }
        };
        let trailers = trailers.await?.map(|trailers| trailers.copy_all());
        Ok(Body::Kept { content, trailers })
    }

    /// The body for an attempt: kept, or handed through and gone thereafter.
    pub(crate) fn take_body(&mut self) -> (Option<StreamReader<u8>>, TrailersFuture) {
        match std::mem::replace(&mut self.body, Body::Gone) {
            Body::Unread(request) => {
                let (content, trailers) = Request::consume_body(request, accepted());
                (Some(content), trailers)
            }
            Body::Kept { content, trailers } => {
                let copy = (!content.is_empty()).then(|| stream(content.clone()));
                let following = following(trailers.as_ref());
                self.body = Body::Kept { content, trailers };
                (copy, following)
            }
            Body::Begun {
                start,
                rest,
                trailers,
            } => (Some(continued(start, rest)), trailers),
            Body::Gone => (None, following(None)),
        }
    }
}

/// A stream of these bytes.
pub(crate) fn stream(content: Vec<u8>) -> StreamReader<u8> {
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        // What is left when the reader goes away is of no use to anybody.
        let _ = writer.write_all(content).await;
    });
    reader
}

/// A stream of these bytes and what follows them.
fn continued(start: Vec<u8>, mut rest: StreamReader<u8>) -> StreamReader<u8> {
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        let mut content = start;
        while !content.is_empty() && writer.write_all(content).await.is_empty() {
            content = piece(&mut rest).await;
        }
    });
    reader
}

/// The future of these trailers.
pub(crate) fn following(trailers: Option<&FieldList>) -> TrailersFuture {
    let (writer, reader) = wit_future::new(|| Ok(None));
    if let Some(trailers) = trailers {
        let trailers: Fields = fields::resource(trailers);
        spawn_local(async move {
            let _ = writer.write(Ok(Some(trailers))).await;
        });
    }
    reader
}

/// Reads a body of a known length.
async fn read(mut body: StreamReader<u8>, length: u64) -> Vec<u8> {
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    loop {
        if content.len() == content.capacity() {
            // The end is only seen by asking for more.
            content.reserve(1);
        }
        let (result, read) = body.read(content).await;
        content = read;
        match result {
            StreamResult::Complete(_) => {}
            StreamResult::Dropped | StreamResult::Cancelled => return content,
        }
    }
}

/// The next bytes of a body; none at its end.
async fn piece(body: &mut StreamReader<u8>) -> Vec<u8> {
    let mut content = Vec::with_capacity(PIECE);
    loop {
        let (result, read) = body.read(content).await;
        content = read;
        match result {
            StreamResult::Complete(_) if content.is_empty() => {}
            StreamResult::Complete(_) | StreamResult::Dropped | StreamResult::Cancelled => {
                return content;
            }
        }
    }
}

/// What is known of the body
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-6.3>). Without a length and
/// with `transfer-encoding` hidden it cannot be known; but content of a GET or
/// HEAD has no defined meaning
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-9.3.1>) and is all but
/// unheard of, so they are taken to have none.
fn body_size(method: &Method, fields: &FieldList) -> exchange::BodySize {
    if fields::values(fields, "transfer-encoding").next().is_some() {
        return exchange::BodySize::Unknown;
    }
    match length(fields) {
        Some(0) => exchange::BodySize::None,
        Some(length) => exchange::BodySize::Known(length),
        None if matches!(method, Method::Get | Method::Head) => exchange::BodySize::None,
        None => exchange::BodySize::Unknown,
    }
}

/// Whether requests with this method, though they may have content, have none as
/// a rule (<https://www.rfc-editor.org/rfc/rfc9110#section-9.3.5> and
/// <https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7>). Whoever sends one of
/// these waits for the response and not in the midst of the content.
const fn is_mostly_empty(method: &Method) -> bool {
    matches!(method, Method::Delete | Method::Options)
}

/// The length that `content-length` tells.
pub(crate) fn length(fields: &FieldList) -> Option<u64> {
    let value = fields::values(fields, "content-length").next()?;
    str::from_utf8(value).ok()?.trim().parse().ok()
}

fn host(fields: &FieldList) -> Option<String> {
    let value = fields::values(fields, "host").next()?;
    String::from_utf8(value.to_vec()).ok()
}

/// The address that a field's value is.
fn address(value: &[u8]) -> Option<exchange::IpAddress> {
    Some(match str::from_utf8(value).ok()?.trim().parse().ok()? {
        IpAddr::V4(address) => exchange::IpAddress::Ipv4(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            exchange::IpAddress::Ipv6(((bits >> 64) as u64, bits as u64))
        }
    })
}

fn method_name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::BodySize;

    #[test]
    fn body_size_by_fields_then_method() {
        let cases = [
            (Method::Get, None, BodySize::None),
            (Method::Head, None, BodySize::None),
            (Method::Post, None, BodySize::Unknown),
            (Method::Delete, None, BodySize::Unknown),
            (Method::Post, Some(("Content-Length", "0")), BodySize::None),
            (
                Method::Get,
                Some(("content-length", "7")),
                BodySize::Known(7),
            ),
            (
                Method::Post,
                Some(("content-length", "x")),
                BodySize::Unknown,
            ),
            (
                Method::Get,
                Some(("transfer-encoding", "chunked")),
                BodySize::Unknown,
            ),
        ];
        for (method, field, expected) in cases {
            let fields = field
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
                .into_iter()
                .collect();
            let size = body_size(&method, &fields);
            assert_eq!(
                format!("{size:?}"),
                format!("{expected:?}"),
                "{method:?} {field:?}"
            );
        }
    }
}
