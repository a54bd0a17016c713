//! Message heads between `http` and the door's packed lines.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::request;
use http_body::Body as _;
use memchr::memchr;

use super::bindings::{BodySize, IpAddress};
use crate::body::Body;

/// The head of a request, as the door takes it: pseudo-header fields before all others.
pub(super) fn pack_request(parts: &request::Parts) -> Vec<u8> {
    let authority = authority(parts);
    // Without a path the target is the authority alone, which is CONNECT's form
    // (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.3).
    let target = (parts.uri.path_and_query()).map_or(authority, |path| path.as_str().as_bytes());
    let method = parts.method.as_str().as_bytes();
    let pseudo = [
        (":method", method),
        (":authority", authority),
        (":path", target),
    ];
    let size: usize = pseudo
        .iter()
        .map(|&(name, value)| length(name, value))
        .sum();
    let mut lines = Vec::with_capacity(size + packed_size(&parts.headers));
    for (name, value) in pseudo {
        if !value.is_empty() {
            push(&mut lines, name, value);
        }
    }
    extend(&mut lines, &parts.headers);
    lines
}

/// Field lines, as the door takes them.
pub(crate) fn pack(headers: &HeaderMap) -> Vec<u8> {
    let mut lines = Vec::with_capacity(packed_size(headers));
    extend(&mut lines, headers);
    lines
}

fn extend(lines: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        push(lines, name.as_str(), value.as_bytes());
    }
}

fn push(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    lines.extend_from_slice(name.as_bytes());
    lines.push(b':');
    lines.extend_from_slice(value);
    lines.push(b'\n');
}

fn packed_size(headers: &HeaderMap) -> usize {
    let lengths = headers
        .iter()
        .map(|(name, value)| length(name.as_str(), value.as_bytes()));
    lengths.sum()
}

/// Of a line.
const fn length(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + 2
}

/// The authority of a request (RFC 9112 section 3.3): that of an absolute
/// target, else the Host field; empty without either.
fn authority(parts: &request::Parts) -> &[u8] {
    match parts.uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => (parts.headers.get(HOST)).map_or(&[], HeaderValue::as_bytes),
    }
}

/// A peer's address, as the door takes it.
pub(super) fn address(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(address) => IpAddress::Ipv4(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            IpAddress::Ipv6(((bits >> 64) as u64, bits as u64))
        }
    }
}

/// The fields of packed lines. What is no field is left out: the component is
/// ours, but its bytes are input all the same.
pub(crate) fn unpack(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        if let Some((name, value)) = field(line) {
            headers.append(name, value);
        }
    }
    headers
}

/// What is known of a body.
pub(super) fn size(body: &Body) -> BodySize {
    if body.is_end_stream() {
        return BodySize::None;
    }
    match body.size_hint().exact() {
        Some(size) => BodySize::Known(size),
        None => BodySize::Unknown,
    }
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = memchr(b':', line)?;
    let value = HeaderValue::from_bytes(&line[colon + 1..]).ok()?;
    Some((HeaderName::from_bytes(&line[..colon]).ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(headers: &HeaderMap) -> String {
        String::from_utf8_lossy(&pack(headers)).into_owned()
    }

    #[test]
    fn fields_survive_packing_in_order_with_repetitions_and_odd_bytes() {
        let lines = b"b:1\na:2\nb:3\nx-latin:caf\xe9\nempty:\n";
        // Repetitions of a name stand together: their order among each other is what counts.
        assert_eq!(
            pack(&unpack(lines)),
            b"b:1\nb:3\na:2\nx-latin:caf\xe9\nempty:\n"
        );
    }

    #[test]
    fn what_is_no_field_is_left_out() {
        assert_eq!(
            packed(&unpack(b"no colon\n:nameless\nok:1\nbad name:2\n")),
            "ok:1\n"
        );
    }
}
