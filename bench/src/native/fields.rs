//! Field edits, in place.

use http::header::{
    CACHE_CONTROL, CONNECTION, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, TE,
    VIA,
};

use super::exchange::Client;

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Makes a client's request fields those for a backend, all but `Host`.
pub(super) fn to_backend(headers: &mut HeaderMap, host: &HeaderValue, client: &Client) {
    let trailers = headers
        .get(TE)
        .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    remove(headers, |name| {
        is_hop_by_hop(name) || is_lookalike(name) || is_internal(name)
    });
    headers.insert(FORWARDED_FOR, client.address.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_HOST, host.clone());
    if let Some(element) = forwarded(client, host) {
        headers.insert(FORWARDED, element);
    }
    headers.append(VIA, HeaderValue::from_static("1.1 edgelb"));
    headers.append(CDN_LOOP, HeaderValue::from_static("edgelb"));
    if trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Makes a backend's response fields those for a client.
pub(super) fn to_client(headers: &mut HeaderMap, session: Option<HeaderValue>) {
    remove(headers, is_hop_by_hop);
    headers.append(VIA, HeaderValue::from_static("1.1 edgelb"));
    let Some(session) = session else { return };
    headers.append(SET_COOKIE, session);
    let directives = headers.get_all(CACHE_CONTROL).iter();
    let mut private = String::from("private");
    for directive in directives.flat_map(|value| value.to_str().unwrap_or_default().split(',')) {
        let directive = directive.trim();
        match directive.split('=').next() {
            Some("private" | "no-store") => return,
            Some("public" | "s-maxage") => {}
            _ => {
                private.push_str(", ");
                private.push_str(directive);
            }
        }
    }
    if let Ok(private) = HeaderValue::try_from(private) {
        headers.insert(CACHE_CONTROL, private);
    }
}

/// Whether a request has been here before
/// (<https://www.rfc-editor.org/rfc/rfc8586#section-2>).
pub(super) fn is_loop(headers: &HeaderMap) -> bool {
    headers
        .get_all(CDN_LOOP)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|member| member.trim_ascii().eq_ignore_ascii_case(b"edgelb"))
}

/// The only Host field of a request, if it can be one.
pub(super) fn host(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, None) = (hosts.next()?, hosts.next()) else {
        return None;
    };
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]%~!$&'()*+,;=".contains(byte);
    (!host.is_empty() && host.as_bytes().iter().all(legal)).then(|| host.clone())
}

/// Removes what is to go, and what `Connection` names
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>).
fn remove(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let mut gone: Vec<HeaderName> = Vec::new();
    for options in headers.get_all(CONNECTION) {
        for option in options.as_bytes().split(|&byte| byte == b',') {
            if let Ok(name) = HeaderName::from_bytes(option.trim_ascii())
                && !is_protected(name.as_str())
            {
                gone.push(name);
            }
        }
    }
    gone.extend(headers.keys().filter(|name| goes(name.as_str())).cloned());
    for name in gone {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What `Connection` may not name, because the way depends on it.
fn is_protected(name: &str) -> bool {
    matches!(name, "host" | "content-length" | "cache-control")
}

/// Names that some servers take for ours.
fn is_lookalike(name: &str) -> bool {
    name.contains('_')
        && matches!(
            name.replace('_', "-").as_str(),
            "x-forwarded-for"
                | "x-forwarded-host"
                | "x-forwarded-proto"
                | "forwarded"
                | "via"
                | "cdn-loop"
        )
}

fn is_internal(name: &str) -> bool {
    name.starts_with("spin-") || name.starts_with("edgelb-")
}

/// <https://www.rfc-editor.org/rfc/rfc7239#section-4>
fn forwarded(client: &Client, host: &HeaderValue) -> Option<HeaderValue> {
    let (node, host) = (client.address.to_str().ok()?, host.to_str().ok()?);
    let mut element = String::with_capacity(64);
    element.push_str("for=");
    if node.contains(':') {
        element.extend(["\"[", node, "]\""]);
    } else {
        element.push_str(node);
    }
    if host.contains([':', '[']) {
        element.extend([";host=\"", host, "\";proto=http"]);
    } else {
        element.extend([";host=", host, ";proto=http"]);
    }
    HeaderValue::try_from(element).ok()
}
