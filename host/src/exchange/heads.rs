//! Message heads between `http` and the door's packed lines.

use std::net::IpAddr;
use std::ops::Range;

use bytes::Bytes;
use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::request;
use http_body::Body as _;
use memchr::{memchr, memchr_iter};
use smallvec::SmallVec;

use super::bindings::{BodySize, IpAddress};
use crate::body::Body;
use crate::headers;

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

/// Carries out edits, in order. The fields that stay keep theirs.
pub(super) fn apply(edits: &Bytes, headers: &mut HeaderMap) {
    // First all removals at once, as the fields behind one have to be moved.
    let mut removed = SmallVec::<[&[u8]; LIKELY]>::new();
    let mut additions = 0;
    for line in lines(edits) {
        match edits[line].split_first() {
            Some((b'-', name)) => removed.push(name),
            Some(_) => additions += 1,
            None => {}
        }
    }
    let stays = |name: &HeaderName| !removed.contains(&name.as_str().as_bytes());
    headers::retain(headers, stays, additions);

    let mut added = false;
    for line in lines(edits) {
        match edits[line.clone()].split_first() {
            // It takes what was added before it, too.
            Some((b'-', gone)) if added => {
                headers::retain(headers, |name| name.as_str().as_bytes() != gone, 0);
            }
            Some((b'=', _)) => {
                if let Some((name, value)) = shared_field(edits, line) {
                    headers.insert(name, value);
                    added = true;
                }
            }
            Some((b'+', _)) => {
                if let Some((name, value)) = shared_field(edits, line) {
                    headers.append(name, value);
                    added = true;
                }
            }
            Some(_) | None => {}
        }
    }
}

/// Where each line is, without its line feed.
fn lines(edits: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    memchr_iter(b'\n', edits).map(move |end| std::mem::replace(&mut start, end + 1)..end)
}

/// How many removals there seldom are more of.
const LIKELY: usize = 8;

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
    Some((name(&line[..colon])?, value))
}

/// The field behind the kind of an edit. Its value stays where it is.
fn shared_field(edits: &Bytes, line: Range<usize>) -> Option<(HeaderName, HeaderValue)> {
    let start = line.start + 1;
    let colon = start + memchr(b':', &edits[start..line.end])?;
    let value = HeaderValue::from_maybe_shared(edits.slice(colon + 1..line.end)).ok()?;
    Some((name(&edits[start..colon])?, value))
}

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A name; those that are in every request without a search.
fn name(bytes: &[u8]) -> Option<HeaderName> {
    Some(match bytes {
        b"via" => VIA,
        b"forwarded" => FORWARDED,
        b"cdn-loop" => CDN_LOOP,
        b"x-forwarded-for" => X_FORWARDED_FOR,
        b"x-forwarded-host" => X_FORWARDED_HOST,
        b"x-forwarded-proto" => X_FORWARDED_PROTO,
        bytes => HeaderName::from_bytes(bytes).ok()?,
    })
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
    fn edits_leave_the_order_of_the_rest() {
        let mut headers = unpack(b"a:1\nb:2\nc:3\nd:4\ne:5\n");
        apply(
            &Bytes::from_static(b"-b\n=c:changed\n+a:6\n+z:7\n"),
            &mut headers,
        );
        assert_eq!(packed(&headers), "a:1\na:6\nc:changed\nd:4\ne:5\nz:7\n");
    }

    #[test]
    fn setting_replaces_every_field_of_the_name() {
        let mut headers = unpack(b"a:1\na:2\nb:3\n");
        apply(&Bytes::from_static(b"=a:9\n"), &mut headers);
        assert_eq!(packed(&headers), "a:9\nb:3\n");
    }

    #[test]
    fn a_removal_takes_what_was_added_before_it_and_not_after() {
        let mut headers = unpack(b"a:1\nb:2\n");
        apply(
            &Bytes::from_static(b"+a:3\n-a\n+a:4\n=c:5\n-c\n"),
            &mut headers,
        );
        assert_eq!(packed(&headers), "b:2\na:4\n");
    }

    #[test]
    fn what_is_no_field_is_left_out() {
        assert_eq!(
            packed(&unpack(b"no colon\n:nameless\nok:1\nbad name:2\n")),
            "ok:1\n"
        );
        let mut headers = unpack(b"a:1\n");
        apply(
            &Bytes::from_static(b"\n?\n=\n=a\n+bad name:1\n-\n"),
            &mut headers,
        );
        assert_eq!(packed(&headers), "a:1\n");
    }
}
