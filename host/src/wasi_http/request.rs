//! A request's head, as the guest is shown it.

use std::net::IpAddr;

use http::header::{CONTENT_LENGTH, HOST};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, request};
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::{FieldMap, WasiHttpHooks};

use super::body::Inbound;
use super::fields::{PEER_FIELD, is_hidden};
use crate::headers;

/// Cheap to show more than once: should the instance be lost, another is asked.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) method: Method,
    authority: Option<Authority>,
    target: Option<PathAndQuery>,
    fields: FieldMap,
}

/// The request names no host that could be one, or no path.
#[derive(Debug)]
pub(super) struct BadTarget;

impl Head {
    /// Hides what is the host's affair, and tells the client's address.
    pub(super) fn new(
        parts: request::Parts,
        peer: Option<IpAddr>,
        hooks: &mut dyn WasiHttpHooks,
    ) -> Result<Self, BadTarget> {
        // The authority alone is CONNECT's form
        // (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.3).
        if parts.uri.path_and_query().is_none() && parts.method != Method::CONNECT {
            return Err(BadTarget);
        }
        let authority = match parts.uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => host(&parts.headers)?,
        };
        let mut fields = parts.headers;
        let shown = |name: &_| !is_hidden(name) && *name != PEER_FIELD;
        headers::retain(&mut fields, shown, 1);
        if let Some(peer) = peer.and_then(|peer| HeaderValue::try_from(peer.to_string()).ok()) {
            fields.insert(PEER_FIELD, peer);
        }
        Ok(Self {
            method: parts.method,
            authority,
            target: parts.uri.path_and_query().cloned(),
            fields: FieldMap::new_immutable(hooks, fields),
        })
    }

    /// The request with this body.
    pub(super) fn with(self, body: Inbound) -> Request {
        // The second value tells how the guest fared with the body, which nobody asks.
        let (request, _) = Request::new(
            self.method,
            Some(Scheme::HTTP),
            self.authority,
            self.target,
            self.fields,
            None,
            body,
        );
        request
    }
}

/// The authority of the Host field; `None` without one (HTTP/1.0).
///
/// Several, or one that is no authority, must be answered 400:
/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2>
fn host(headers: &HeaderMap) -> Result<Option<Authority>, BadTarget> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(host), None) => match Authority::try_from(host.as_bytes()) {
            Ok(authority) => Ok(Some(authority)),
            Err(_) => Err(BadTarget),
        },
        (Some(_), Some(_)) => Err(BadTarget),
    }
}

/// Says of a request without a body that it has none, where the method leaves
/// that open: the field that tells chunked content from no content,
/// `transfer-encoding`, is hidden from guests. Answers whether it had to.
pub(super) fn tell_no_body(parts: &mut request::Parts) -> bool {
    let clear = matches!(
        parts.method,
        Method::GET | Method::HEAD | Method::CONNECT | Method::TRACE
    );
    let told = !clear && !parts.headers.contains_key(CONTENT_LENGTH);
    if told {
        let none = HeaderValue::from_static("0");
        parts.headers.insert(CONTENT_LENGTH, none);
    }
    told
}
