//! What the host says in its own name, where there is no component to say it.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::body::Body;
use crate::metering::Exceeded;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The request is at fault.
pub(crate) fn client(status: StatusCode) -> Response<Body> {
    answer(status, "http_request_error")
}

/// The component trapped, ran away, or does not start.
pub(crate) fn trapped() -> Response<Body> {
    answer(StatusCode::BAD_GATEWAY, "proxy_internal_error")
}

/// The component trapped; where it was for exceeding what a platform grants,
/// the answer says so to whoever plays the platform.
pub(crate) fn lost(exceeded: Option<Exceeded>) -> Response<Body> {
    let mut response = trapped();
    if let Some(exceeded) = exceeded {
        response.extensions_mut().insert(exceeded);
    }
    response
}

/// A status, and the proxy error type that explains it
/// (<https://www.rfc-editor.org/rfc/rfc9209#section-2.3>).
pub(crate) fn answer(status: StatusCode, error: &'static str) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("error");
    let mut response = Response::new(Body::from(format!("{reason}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(format!("edgelb; error={error}")) {
        headers.insert(PROXY_STATUS, value);
    }
    response
}
