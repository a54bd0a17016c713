//! Messages as they should be, and as they should not.

use std::fmt;

use proptest::prelude::*;

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("\r\r\n")]
}

/// Fields that say where a body ends, as it should be said and as it should not.
fn fields() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        6 => prop::sample::select(&[
            "host: a", "Content-Length: 5", "Transfer-Encoding: chunked", "x: y",
        ][..]),
        3 => prop::sample::select(&[
            "connection: close",
            "connection: keep-alive",
            "content-length: +5",
            "content-length: 0",
            "content-length: 05",
            "content-length: 5 ",
            "content-length: 5, 5",
            "content-length: 5,6",
            "content-length: 18446744073709551616",
            "content-length:",
            "content-length : 5",
            "content_length: 5",
            "expect: 100-continue",
            "transfer-encoding : chunked",
            "transfer-encoding:\tchunked\t",
            "transfer-encoding: CHUNKED",
            "transfer-encoding: chunked;x=y",
            "transfer-encoding: chunked, chunked",
            "transfer-encoding: chunked, gzip",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: identity",
            "transfer-encoding: xchunked",
            "transfer-encoding: \u{b}chunked",
            "transfer-encoding: \"chunked\"",
            "transfer_encoding: chunked",
            " folded: chunked",
            "x: y\r\n transfer-encoding: chunked",
            "",
        ][..]),
    ];
    let line = (field, line_end()).prop_map(|(field, end)| format!("{field}{end}"));
    prop::collection::vec(line, 0..4).prop_map(|lines| lines.concat())
}

/// Bodies for either framing, and for none.
fn content() -> impl Strategy<Value = String> {
    let chunk = prop::sample::select(
        &[
            "5\r\nhello\r\n",
            "05;a=b\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5\nhello\r\n",
            "5\r\nhello\n",
            "5\r\nhello",
            "+5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "5;a\rb\r\nhello\r\n",
            "5;\"\r\n\"\r\nhello\r\n",
            "ffffffffffffffff\r\n",
            "10000000000000005\r\nhello\r\n",
            "00000000000000000000005\r\nhello\r\n",
            "-1\r\n",
            "\r\nhello\r\n",
        ][..],
    );
    let usual = prop_oneof![8 => Just("5\r\nhello\r\n"), 1 => chunk];
    let last = prop::sample::select(
        &[
            "0\r\n\r\n",
            "0\r\n\r\n",
            "0\r\n\r\n",
            "000\r\n\r\n",
            "0\r\na: 1\r\n\r\n",
            "0\n\n",
            "0\r\n\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\n",
            "",
        ][..],
    );
    let chunks = (prop::collection::vec(usual, 0..3), last)
        .prop_map(|(chunks, last)| chunks.concat() + last);
    prop_oneof![2 => Just("hello".to_owned()), 1 => Just(String::new()), 3 => chunks]
}

pub(super) fn one_request() -> impl Strategy<Value = String> {
    let start = prop_oneof![
        8 => prop::sample::select(&["GET /a HTTP/1.1", "POST /b?c HTTP/1.1", "PUT /d HTTP/1.0"][..]),
        1 => prop::sample::select(&[
            "get / HTTP/1.1", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /\u{e9} HTTP/1.1",
            "GET http://a/b HTTP/1.1", "OPTIONS * HTTP/1.1", "GET / HTTP/2.0", "GET /", " GET / HTTP/1.1",
            "GET / http/1.1", "\r\n\r\nGET / HTTP/1.1", "G\u{0}T / HTTP/1.1", "GET /#f HTTP/1.1",
        ][..]),
    ];
    (start, line_end(), fields(), line_end(), content()).prop_map(
        |(start, one, fields, two, content)| format!("{start}{one}{fields}{two}{content}"),
    )
}

pub(super) fn one_response() -> impl Strategy<Value = String> {
    let start = prop::sample::select(
        &[
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200",
            "HTTP/1.0 200 OK",
            "HTTP/1.1 204 No Content",
            "HTTP/1.1 304 Not Modified",
            "HTTP/1.1 205 Reset Content",
            "HTTP/1.1 404 Not Found",
            "HTTP/1.1 100 Continue",
            "HTTP/1.1 103 Early Hints",
        ][..],
    );
    (start, line_end(), fields(), line_end(), content()).prop_map(
        |(start, one, fields, two, content)| format!("{start}{one}{fields}{two}{content}"),
    )
}

/// Bytes that are mostly text.
#[derive(Clone)]
pub(super) struct Text(pub(super) Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Text in which a byte may be another, up to this one.
pub(super) fn bytes(text: impl Strategy<Value = String>, last: u8) -> impl Strategy<Value = Text> {
    let other = prop::option::weighted(0.2, (any::<prop::sample::Index>(), 0..=last));
    (text, other).prop_map(|(text, other)| {
        let mut bytes = text.into_bytes();
        if let Some((index, byte)) = other {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        Text(bytes)
    })
}
