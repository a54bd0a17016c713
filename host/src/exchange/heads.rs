//! Message heads between `http` and the door's packed lines.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body as _;

use super::bindings::BodySize;
use crate::body::Body;
use crate::headers;

/// Field lines, as the door takes them.
pub(super) fn pack(headers: &HeaderMap) -> Vec<u8> {
    let size = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 2)
        .sum();
    let mut lines = Vec::with_capacity(size);
    for (name, value) in headers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value.as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// The fields of packed lines. What is no field is left out: the component is
/// ours, but its bytes are input all the same.
pub(super) fn unpack(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        if let Some((name, value)) = field(line) {
            headers.append(name, value);
        }
    }
    headers
}

/// Carries out edits. The fields that stay keep their order.
pub(super) fn apply(edits: &[u8], headers: &mut HeaderMap) {
    let lines = || {
        edits
            .split(|&byte| byte == b'\n')
            .filter_map(<[u8]>::split_first)
    };
    let removed = |name: &HeaderName| {
        lines().any(|(&kind, rest)| kind == b'-' && rest == name.as_str().as_bytes())
    };
    headers::retain(headers, |name| !removed(name));
    for (&kind, rest) in lines() {
        match (kind, field(rest)) {
            (b'=', Some((name, value))) => {
                headers.insert(name, value);
            }
            (b'+', Some((name, value))) => {
                headers.append(name, value);
            }
            _ => {}
        }
    }
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
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = HeaderValue::from_bytes(&line[colon + 1..]).ok()?;
    Some((name, value))
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
        apply(b"-b\n=c:changed\n+a:6\n+z:7\n", &mut headers);
        assert_eq!(packed(&headers), "a:1\na:6\nc:changed\nd:4\ne:5\nz:7\n");
    }

    #[test]
    fn setting_replaces_every_field_of_the_name() {
        let mut headers = unpack(b"a:1\na:2\nb:3\n");
        apply(b"=a:9\n", &mut headers);
        assert_eq!(packed(&headers), "a:9\nb:3\n");
    }

    #[test]
    fn what_is_no_field_is_left_out() {
        assert_eq!(
            packed(&unpack(b"no colon\n:nameless\nok:1\nbad name:2\n")),
            "ok:1\n"
        );
        let mut headers = unpack(b"a:1\n");
        apply(b"\n?\n=\n=a\n+bad name:1\n-\n", &mut headers);
        assert_eq!(packed(&headers), "a:1\n");
    }
}
