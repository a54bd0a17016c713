//! Messages between a connection and a door: their fields are lines (`lines.rs`).

use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri, Version};

use crate::body::Body;
use crate::edits::{self, Edited, Edits};
use crate::lines;

/// A request of a client.
pub(crate) struct PackedRequest {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    /// With the pseudo-header fields.
    pub(crate) lines: Vec<u8>,
    pub(crate) body: Body,
    pub(crate) extensions: Extensions,
}

/// A response, a backend's or our own.
pub(crate) struct PackedResponse {
    pub(crate) status: StatusCode,
    /// The reason phrase, if it is not the usual one.
    pub(crate) reason: Option<Box<[u8]>>,
    pub(crate) lines: Vec<u8>,
    /// What is to be done to these; nothing by default.
    pub(crate) edits: Option<Arc<Edits>>,
    pub(crate) body: Body,
    pub(crate) extensions: Extensions,
}

impl From<Request<Body>> for PackedRequest {
    fn from(request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            lines: lines::pack_request(&parts.method, &parts.uri, &parts.headers),
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            extensions: parts.extensions,
            body,
        }
    }
}

impl From<PackedRequest> for Request<Body> {
    fn from(packed: PackedRequest) -> Self {
        let headers = lines::unpack(&packed.lines);
        let mut request = Self::new(packed.body);
        *request.method_mut() = packed.method;
        *request.uri_mut() = packed.uri;
        *request.version_mut() = packed.version;
        *request.headers_mut() = headers;
        *request.extensions_mut() = packed.extensions;
        request
    }
}

impl PackedResponse {
    /// One with these fields.
    pub(crate) fn new(status: StatusCode, fields: &HeaderMap, body: Body) -> Self {
        Self {
            status,
            reason: None,
            lines: lines::pack(fields),
            edits: None,
            body,
            extensions: Extensions::new(),
        }
    }

    /// Its fields, as they are to be sent.
    pub(crate) fn fields(&self) -> Edited<'_> {
        self.edits
            .as_deref()
            .unwrap_or(&edits::NONE)
            .of(&self.lines)
    }
}

impl From<Response<Body>> for PackedResponse {
    fn from(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            extensions: parts.extensions,
            ..Self::new(parts.status, &parts.headers, body)
        }
    }
}

impl From<PackedResponse> for Response<Body> {
    fn from(packed: PackedResponse) -> Self {
        let headers = match &packed.edits {
            Some(_) => lines::unpack(&packed.fields().lines()),
            None => lines::unpack(&packed.lines),
        };
        let mut response = Self::new(packed.body);
        *response.status_mut() = packed.status;
        *response.headers_mut() = headers;
        *response.extensions_mut() = packed.extensions;
        response
    }
}
