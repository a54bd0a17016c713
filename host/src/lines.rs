//! Field lines: the fields of a message in one list, each as `name:value` and a line
//! feed. So the door takes them (`worker-wasm/wit/exchange.wit`), and so they are kept
//! between a connection and the door, since to build a map of them and take it apart
//! again would be most of the work
//! ([why](../../docs/decisions/packed-field-lines.md)).

use std::net::IpAddr;
use std::sync::LazyLock;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body::Body as _;
use memchr::memchr;
use memchr::memmem::Finder;

use crate::body::Body;
use crate::exchange::bindings::{BodySize, IpAddress};

/// The lines of a request's head as far as they are no fields: the pseudo-header
/// fields. There is room for so many more bytes.
pub(crate) fn begin_request(
    method: &Method,
    uri: &Uri,
    host: Option<&[u8]>,
    room: usize,
) -> Vec<u8> {
    // That of an absolute target, else the Host field
    // (https://www.rfc-editor.org/rfc/rfc9112#section-3.3); empty without either.
    let authority = match uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => host.unwrap_or_default(),
    };
    // Without a path the target is the authority alone, which is CONNECT's form
    // (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.3).
    let target = (uri.path_and_query()).map_or(authority, |path| path.as_str().as_bytes());
    let mut lines = Vec::with_capacity(room + authority.len() + 32);
    for (name, value) in [
        (":method", method.as_str().as_bytes()),
        (":authority", authority),
        (":path", target),
    ] {
        if !value.is_empty() {
            push(&mut lines, name, value);
        }
    }
    lines
}

/// The head of a request, as the door takes it.
pub(crate) fn pack_request(method: &Method, uri: &Uri, headers: &HeaderMap) -> Vec<u8> {
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let room = uri.path().len() + packed_size(headers);
    let mut lines = begin_request(method, uri, host, room);
    extend(&mut lines, headers);
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

fn packed_size(headers: &HeaderMap) -> usize {
    let lengths = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 2);
    lengths.sum()
}

/// Adds a line; its name becomes one of lower case.
pub(crate) fn push(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    let start = lines.len();
    lines.extend_from_slice(name.as_bytes());
    lines[start..].make_ascii_lowercase();
    lines.push(b':');
    lines.extend_from_slice(value);
    lines.push(b'\n');
}

/// The names and values of fields, in order. Pseudo-header fields, and what is no
/// line, are left out.
pub(crate) fn each(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            // Names are short: to call for a search would take longer.
            let colon = rest.iter().position(|&byte| matches!(byte, b':' | b'\n'));
            let (name, from) = rest.split_at(colon.unwrap_or(rest.len()));
            let end = memchr(b'\n', from).unwrap_or(from.len());
            let (value, behind) = from.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            if let Some(value) = value.get(1..).filter(|_| !name.is_empty()) {
                return Some((name, value));
            }
        }
        None
    })
}

/// How many bytes at the beginning can be those of a name in lower case
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2>).
pub(crate) fn name_length(line: &[u8]) -> usize {
    let ends = |&byte: &u8| !NAME[usize::from(byte)];
    line.iter().position(ends).unwrap_or(line.len())
}

const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = matches!(byte as u8,
            b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\''
            | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// Whether these can be the bytes of a value
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-5.5>).
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    // Looked at all of them, which goes for many at once.
    bytes.iter().fold(true, |fine, &byte| {
        fine & ((byte >= b' ') & (byte != 0x7f) | (byte == b'\t'))
    })
}

/// Lines without the pseudo-header fields, which come before all others.
pub(crate) fn fields(lines: &[u8]) -> &[u8] {
    let mut rest = lines;
    while rest.first() == Some(&b':') {
        let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        rest = rest.get(end..).unwrap_or_default();
    }
    rest
}

/// The values of the fields `Connection`. Others are passed over many bytes at a time.
pub(crate) fn connection(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("connection:"));
    let found = NAME.find_iter(lines);
    let begins = found.filter(|&start| start == 0 || lines[start - 1] == b'\n');
    begins.map(|start| {
        let value = &lines[start + NAME.needle().len()..];
        &value[..memchr(b'\n', value).unwrap_or(value.len())]
    })
}

/// Whether there may be a field that tells caches what to do with a response: what a
/// value has in it may look like one.
pub(crate) fn speaks_to_caches(lines: &[u8]) -> bool {
    static NAMES: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| ["cache-control:", "surrogate-control:"].map(Finder::new));
    NAMES.iter().any(|name| name.find(lines).is_some())
}

/// The value of the first field of this name, which is one of lower case.
pub(crate) fn find<'a>(lines: &'a [u8], name: &str) -> Option<&'a [u8]> {
    each(lines)
        .find(|(other, _)| *other == name.as_bytes())
        .map(|(_, value)| value)
}

/// Writes a field as HTTP/1.1 has it.
pub(crate) fn write(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The fields of lines. What is no field is left out: the component is
/// ours, but its bytes are input all the same.
pub(crate) fn unpack(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in each(lines) {
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// A peer's address, as the door takes it.
pub(crate) fn address(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(address) => IpAddress::Ipv4(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            IpAddress::Ipv6(((bits >> 64) as u64, bits as u64))
        }
    }
}

/// What is known of a body, as the door takes it.
pub(crate) fn size(body: &Body) -> BodySize {
    if body.is_end_stream() {
        return BodySize::None;
    }
    match body.size_hint().exact() {
        Some(size) => BodySize::Known(size),
        None => BodySize::Unknown,
    }
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
    fn connection_is_no_other_name_and_no_value() {
        let found = |lines| connection(lines).collect::<Vec<_>>();
        let others = b"proxy-connection:1\na:connection:2\nconnections:3\n";
        assert!(found(&others[..]).is_empty());
        let fields = b"connection:\na:1\nconnection:close\nb:connection:2\nconnection:x";
        assert_eq!(found(&fields[..]), [&b""[..], b"close", b"x"]);
    }

    #[test]
    fn what_is_said_to_caches_is_not_overlooked() {
        for said in [
            "cache-control:public",
            "a:1\nexample-cdn-cache-control:max-age=1",
            "a:1\nsurrogate-control:x\nb:2",
        ] {
            assert!(speaks_to_caches(said.as_bytes()), "{said}");
        }
        assert!(!speaks_to_caches(b"a:1\ncontent-type:text/plain\n"));
    }

    #[test]
    fn what_is_no_field_is_left_out() {
        assert_eq!(
            packed(&unpack(b"no colon\n:nameless\nok:1\nbad name:2\n")),
            "ok:1\n"
        );
    }
}
