//! What goes beside the head and the content of a message: interim responses and
//! trailers.

use http::header::{CONNECTION, HeaderMap, HeaderName};
use http::{StatusCode, Version};

use super::write;
use crate::lines;

/// Appends an interim response (<https://www.rfc-editor.org/rfc/rfc9110#section-15.2>).
pub(crate) fn interim(out: &mut Vec<u8>, status: StatusCode, fields: &HeaderMap) {
    write::start(out, Version::HTTP_11, status, None);
    for (name, value) in fields {
        if !is_of_this_hop(name.as_str().as_bytes()) && !is_named_by_connection(name, fields) {
            lines::write(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends trailers, but those that would mean something else there
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1>).
pub(super) fn push_trailers(out: &mut Vec<u8>, trailers: &HeaderMap) {
    for (name, value) in trailers {
        let name = name.as_str().as_bytes();
        if !is_of_this_hop(name) && !MISPLACED.contains(&name) {
            lines::write(out, name, value.as_bytes());
        }
    }
}

/// Names that say where a message goes, who sent it or how it is to be read: a
/// recipient must know them before the content.
const MISPLACED: [&[u8]; 17] = [
    b"authorization",
    b"cache-control",
    b"cdn-loop",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"max-forwards",
    b"range",
    b"set-cookie",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
];

/// Names of fields that speak of one hop, or of framing there.
fn is_of_this_hop(name: &[u8]) -> bool {
    matches!(
        name,
        b"connection"
            | b"content-length"
            | b"keep-alive"
            | b"proxy-authenticate"
            | b"proxy-authorization"
            | b"proxy-connection"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
    )
}

fn is_named_by_connection(name: &HeaderName, fields: &HeaderMap) -> bool {
    fields.get_all(CONNECTION).iter().any(|value| {
        value.as_bytes().split(|&byte| byte == b',').any(|option| {
            option
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_that_would_mean_something_else_are_left_out() {
        let mut trailers = HeaderMap::new();
        for name in [
            "x-sum",
            "content-length",
            "x-forwarded-for",
            "trailer",
            "set-cookie",
        ] {
            trailers.insert(
                HeaderName::from_static(name),
                http::HeaderValue::from_static("1"),
            );
        }
        let mut out = Vec::new();
        push_trailers(&mut out, &trailers);
        assert_eq!(out, b"x-sum: 1\r\n");
    }
}
