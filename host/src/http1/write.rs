//! Heads as they leave.

use http::{Method, StatusCode, Version};
use http_body::Body as _;

use super::head::number;
use super::{Encoder, date};
use crate::body::Body;
use crate::edits::Edited;
use crate::lines;

/// A request to a backend.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a str,
    pub(crate) host: &'a [u8],
    /// All fields else. Framing is not theirs.
    pub(crate) fields: Edited<'a>,
}

/// A response to a client.
pub(crate) struct Response<'a> {
    pub(crate) status: StatusCode,
    /// In place of the usual one.
    pub(crate) reason: Option<&'a [u8]>,
    /// All fields. Framing is not theirs.
    pub(crate) fields: Edited<'a>,
    /// What it answers.
    pub(crate) to: To,
    /// Whether another one may follow it on the connection.
    pub(crate) persistent: bool,
}

/// What of a request its response depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct To {
    pub(crate) head: bool,
    pub(crate) version: Version,
    pub(crate) trailers: bool,
}

/// What of a field `Content-Length` may stay where it stands.
#[derive(Clone, Copy, Debug)]
enum Length {
    /// None: the body is framed otherwise.
    No,
    /// One that says this.
    Is(u64),
    /// Any number: there is no body that it would frame.
    Any,
}

/// What was said of a message by its field lines.
#[derive(Default)]
struct Passed {
    length: bool,
    date: bool,
}

impl Request<'_> {
    /// Appends it; answers how its body is to be framed.
    pub(crate) fn write(&self, out: &mut Vec<u8>, body: &Body) -> Encoder {
        out.reserve(self.target.len() + 512);
        for part in [
            self.method.as_str(),
            " ",
            self.target,
            " HTTP/1.1\r\nhost: ",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(self.host);
        out.extend_from_slice(b"\r\n");
        let encoder = if body.is_end_stream() {
            // That there is no content may be said, or not.
            pass(out, self.fields, Length::Is(0), true);
            Encoder::Length(0)
        } else {
            frame(out, self.fields, body, true, true).0
        };
        out.extend_from_slice(b"\r\n");
        encoder
    }
}

impl Response<'_> {
    /// Appends it; answers how its body is to be framed.
    pub(crate) fn write(&self, out: &mut Vec<u8>, body: &Body) -> Encoder {
        out.reserve(512);
        start(out, self.to.version, self.status, self.reason);
        let switches = self.status == StatusCode::SWITCHING_PROTOCOLS;
        let (encoder, passed) = self.frame(out, body, switches);
        if !passed.date && !switches {
            out.extend_from_slice(b"date: ");
            date::push_now(out);
            out.extend_from_slice(b"\r\n");
        }
        if !switches {
            let closes = !self.persistent || encoder == Encoder::Close;
            if closes {
                out.extend_from_slice(b"connection: close\r\n");
            } else if self.to.version == Version::HTTP_10 {
                out.extend_from_slice(b"connection: keep-alive\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
        encoder
    }

    /// <https://www.rfc-editor.org/rfc/rfc9110#section-8.6>
    fn frame(&self, out: &mut Vec<u8>, body: &Body, switches: bool) -> (Encoder, Passed) {
        let status = self.status.as_u16();
        let none = if matches!(status, 100..=199 | 204) {
            Length::No
        } else if self.to.head || status == 304 {
            // The length that a response to GET would have had, if that is known.
            Length::Any
        } else {
            let can_chunk = self.to.version != Version::HTTP_10;
            return frame(out, self.fields, body, false, can_chunk);
        };
        (Encoder::Length(0), pass(out, self.fields, none, switches))
    }
}

/// Appends a status line.
pub(super) fn start(
    out: &mut Vec<u8>,
    version: Version,
    status: StatusCode,
    reason: Option<&[u8]>,
) {
    if version == Version::HTTP_10 {
        out.extend_from_slice(b"HTTP/1.0 ");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
    }
    let usual = status.canonical_reason().unwrap_or_default().as_bytes();
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason.unwrap_or(usual));
    out.extend_from_slice(b"\r\n");
}

/// Appends fields, and what says where a body ends.
fn frame(
    out: &mut Vec<u8>,
    fields: Edited<'_>,
    body: &Body,
    connection: bool,
    can_chunk: bool,
) -> (Encoder, Passed) {
    let said = || number(fields.find("content-length")?);
    match body.size_hint().exact().or_else(said) {
        Some(length) => {
            let passed = pass(out, fields, Length::Is(length), connection);
            if !passed.length {
                let mut digits = itoa::Buffer::new();
                lines::write(out, b"content-length", digits.format(length).as_bytes());
            }
            (Encoder::Length(length), passed)
        }
        None => {
            let passed = pass(out, fields, Length::No, connection);
            if can_chunk {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                (Encoder::Chunked, passed)
            } else {
                (Encoder::Close, passed)
            }
        }
    }
}

/// Appends the fields that go on, and keeps back those of framing, `Host` and,
/// unless it is asked for, `Connection`.
fn pass(out: &mut Vec<u8>, fields: Edited<'_>, length: Length, connection: bool) -> Passed {
    let mut passed = Passed::default();
    fields.each().for_each(|(name, value)| {
        match name {
            b"content-length" => {
                let stays = !passed.length
                    && match length {
                        Length::No => false,
                        Length::Is(length) => number(value) == Some(length),
                        Length::Any => number(value).is_some(),
                    };
                passed.length |= stays;
                if !stays {
                    return;
                }
            }
            b"transfer-encoding" | b"host" => return,
            b"connection" if !connection => return,
            b"date" => passed.date = true,
            _ => {}
        }
        lines::write(out, name, value);
    });
    passed
}

/// Appends a number to the base of 16.
pub(super) fn push_hex(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - (number | 1).leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        let digit = (number >> (place * 4) & 0xf) as u8;
        out.push(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edits;

    fn request(lines: &[u8], body: &Body) -> (String, Encoder) {
        let request = Request {
            method: &Method::PUT,
            target: "/a?b",
            host: b"backend",
            fields: edits::NONE.of(lines),
        };
        let mut out = Vec::new();
        let encoder = request.write(&mut out, body);
        (String::from_utf8_lossy(&out).into_owned(), encoder)
    }

    fn response(status: u16, to: To, lines: &[u8], body: &Body) -> (String, Encoder) {
        let response = Response {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            reason: None,
            fields: edits::NONE.of(lines),
            to,
            persistent: true,
        };
        let mut out = Vec::new();
        let encoder = response.write(&mut out, body);
        (String::from_utf8_lossy(&out).into_owned(), encoder)
    }

    fn unknown() -> Body {
        Body::new(http_body_util::StreamBody::new(
            futures_util::stream::pending::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>(
            ),
        ))
    }

    #[test]
    fn a_request_says_where_it_ends() {
        let table = [
            (
                &b"a:1\nhost:client\n"[..],
                Body::empty(),
                "a: 1\r\n",
                Encoder::Length(0),
            ),
            (
                b"content-length:0\n",
                Body::empty(),
                "content-length: 0\r\n",
                Encoder::Length(0),
            ),
            (b"content-length:5\n", Body::empty(), "", Encoder::Length(0)),
            (
                b"",
                Body::from("four"),
                "content-length: 4\r\n",
                Encoder::Length(4),
            ),
            (
                b"content-length:5\n",
                unknown(),
                "content-length: 5\r\n",
                Encoder::Length(5),
            ),
            (
                b"transfer-encoding:x\n",
                unknown(),
                "transfer-encoding: chunked\r\n",
                Encoder::Chunked,
            ),
        ];
        for (lines, body, fields, expected) in table {
            let (text, encoder) = request(lines, &body);
            let head = format!("PUT /a?b HTTP/1.1\r\nhost: backend\r\n{fields}\r\n");
            assert_eq!((text, encoder), (head, expected));
        }
    }

    /// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>
    #[test]
    fn a_response_says_where_it_ends() {
        let get = To {
            head: false,
            version: Version::HTTP_11,
            trailers: false,
        };
        let head = To { head: true, ..get };
        let old = To {
            version: Version::HTTP_10,
            ..get
        };
        let chunked = "transfer-encoding: chunked\r\n";
        let table = [
            (
                200,
                get,
                &b""[..],
                Body::empty(),
                "content-length: 0\r\n",
                Encoder::Length(0),
            ),
            (
                200,
                get,
                b"",
                Body::from("four"),
                "content-length: 4\r\n",
                Encoder::Length(4),
            ),
            (200, get, b"", unknown(), chunked, Encoder::Chunked),
            (
                200,
                old,
                b"",
                unknown(),
                "connection: close\r\n",
                Encoder::Close,
            ),
            (
                200,
                old,
                b"connection:x\n",
                Body::empty(),
                "content-length: 0\r\nconnection: keep-alive\r\n",
                Encoder::Length(0),
            ),
            (
                200,
                head,
                b"content-length:5\n",
                Body::empty(),
                "content-length: 5\r\n",
                Encoder::Length(0),
            ),
            (200, head, b"", Body::empty(), "", Encoder::Length(0)),
            (
                304,
                get,
                b"content-length:5\n",
                Body::empty(),
                "content-length: 5\r\n",
                Encoder::Length(0),
            ),
            (
                204,
                get,
                b"content-length:0\n",
                Body::empty(),
                "",
                Encoder::Length(0),
            ),
        ];
        for (status, to, lines, body, fields, expected) in table {
            let lines = [b"date:then\n", lines].concat();
            let (text, encoder) = response(status, to, &lines, &body);
            let (_, rest) = text.split_once("\r\n").unwrap_or_default();
            assert_eq!(
                rest,
                format!("date: then\r\n{fields}\r\n"),
                "{status} {to:?}"
            );
            assert_eq!(encoder, expected, "{status} {to:?}");
        }
    }

    #[test]
    fn a_switch_of_protocols_is_the_fields_and_nothing_else() {
        let to = To {
            head: false,
            version: Version::HTTP_11,
            trailers: false,
        };
        let (text, _) = response(101, to, b"connection:upgrade\nupgrade:x\n", &Body::empty());
        let expected =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_response_without_a_date_gets_one() {
        let to = To {
            head: false,
            version: Version::HTTP_11,
            trailers: false,
        };
        let (text, _) = response(200, to, b"", &Body::empty());
        let date = text.lines().find_map(|line| line.strip_prefix("date: "));
        assert!(
            date.is_some_and(|date| httpdate::parse_http_date(date).is_ok()),
            "{text}"
        );
    }

    #[test]
    fn numbers_to_the_base_of_16() {
        for number in [0, 1, 9, 10, 15, 16, 255, 256, 0x1_0000, usize::MAX] {
            let mut out = Vec::new();
            push_hex(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), format!("{number:x}"));
        }
    }
}
