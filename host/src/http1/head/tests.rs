//! Heads as they should be, and as they should not.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn parsed(fields: &str) -> Result<RequestHead, Malformed> {
    let text = format!("PUT /a?b HTTP/1.1\r\nHost: h\r\n{fields}\r\nrest");
    let (head, length) = request(text.as_bytes())?.unwrap();
    assert_eq!(&text[length..], "rest");
    Ok(head)
}

fn answered(fields: &str) -> Result<ResponseHead, Malformed> {
    let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    Ok(response(text.as_bytes(), &Method::GET)?.unwrap().0)
}

#[test]
fn a_head_becomes_lines_in_lower_case() {
    let head = parsed("X-Odd:  caf\u{e9} \r\nA: 1\r\nx-odd:\r\n").unwrap();
    let expected = ":method:PUT\n:authority:h\n:path:/a?b\nhost:h\nx-odd:caf\u{e9}\na:1\nx-odd:\n";
    assert_eq!(str::from_utf8(&head.lines).unwrap(), expected);
}

#[test]
fn a_part_of_a_head_is_none() {
    let text = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for length in 0..text.len() {
        assert!(request(&text[..length]).unwrap().is_none(), "{length}");
    }
    assert!(request(text).unwrap().is_some());
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>
#[test]
fn where_a_request_ends() {
    let table = [
        ("", Some(Framing::Length(0))),
        ("content-length: 5\r\n", Some(Framing::Length(5))),
        (
            "content-length: 5\r\nContent-Length: 5\r\n",
            Some(Framing::Length(5)),
        ),
        ("content-length: 5\r\ncontent-length: 6\r\n", None),
        ("content-length: 5, 5\r\n", None),
        ("content-length: +5\r\n", None),
        ("content-length: \r\n", None),
        ("content-length: 18446744073709551616\r\n", None),
        ("transfer-encoding: Chunked\r\n", Some(Framing::Chunked)),
        ("transfer-encoding: gzip, chunked\r\n", None),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            None,
        ),
        ("transfer-encoding: identity\r\n", None),
        ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", None),
    ];
    for (fields, expected) in table {
        let framing = parsed(fields).map(|head| head.framing);
        assert_eq!(framing.ok(), expected, "{fields:?}");
    }
    for (version, fields, expected) in [
        ("HTTP/1.1", "gzip, chunked", Malformed::Coding),
        (
            "HTTP/1.1",
            "gzip\r\ntransfer-encoding: chunked",
            Malformed::Coding,
        ),
        ("HTTP/1.1", "gzip", Malformed::Syntax),
        ("HTTP/1.1", "chunked, gzip", Malformed::Syntax),
        ("HTTP/1.1", "chunked, chunked", Malformed::Syntax),
        (
            "HTTP/1.1",
            "gzip, chunked\r\ntransfer-encoding: gzip",
            Malformed::Syntax,
        ),
        (
            "HTTP/1.1",
            "gzip, chunked\r\ntransfer-encoding: chunked",
            Malformed::Syntax,
        ),
        (
            "HTTP/1.1",
            "gzip, chunked\r\ncontent-length: 5",
            Malformed::Syntax,
        ),
        ("HTTP/1.1", "", Malformed::Syntax),
        ("HTTP/1.1", ", chunked", Malformed::Syntax),
        ("HTTP/1.1", "gzip,, chunked", Malformed::Syntax),
        ("HTTP/1.1", "chunked,", Malformed::Syntax),
        ("HTTP/1.0", "chunked", Malformed::Syntax),
        ("HTTP/1.0", "gzip, chunked", Malformed::Syntax),
    ] {
        let text = format!("PUT / {version}\r\ntransfer-encoding: {fields}\r\n\r\n");
        assert_eq!(request(text.as_bytes()).unwrap_err(), expected, "{text:?}");
    }
}

#[test]
fn where_a_response_ends() {
    let table = [
        ("", Some((Framing::Close, false))),
        ("content-length: 5\r\n", Some((Framing::Length(5), true))),
        ("content-length: 5, 5\r\n", Some((Framing::Length(5), true))),
        ("content-length: 5\r\ncontent-length: 6\r\n", None),
        ("content-length: x\r\n", None),
        (
            "transfer-encoding: gzip, chunked\r\n",
            Some((Framing::Chunked, true)),
        ),
        ("transfer-encoding: gzip\r\n", Some((Framing::Close, false))),
        (
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            Some((Framing::Chunked, false)),
        ),
    ];
    for (fields, expected) in table {
        let head = answered(fields).map(|head| (head.framing, head.persistent));
        assert_eq!(head.ok(), expected, "{fields:?}");
    }
    for (start, method) in [
        ("HTTP/1.1 204 No Content", Method::GET),
        ("HTTP/1.1 304 Not Modified", Method::GET),
        ("HTTP/1.1 101 Switching Protocols", Method::GET),
        ("HTTP/1.1 200 OK", Method::HEAD),
    ] {
        let text = format!("{start}\r\ncontent-length: 5\r\n\r\n");
        let (head, _) = response(text.as_bytes(), &method).unwrap().unwrap();
        assert_eq!(head.framing, Framing::Length(0), "{start} {method}");
        assert_eq!(lines::find(&head.lines, "content-length"), Some(&b"5"[..]));
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-9.3>
#[test]
fn which_connections_persist() {
    let table = [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "connection: close\r\n", false),
        (
            "HTTP/1.1",
            "connection: x, Close\r\nconnection: keep-alive\r\n",
            false,
        ),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "connection: Keep-Alive\r\n", true),
        ("HTTP/1.0", "connection: keep-alive, close\r\n", false),
    ];
    for (version, fields, expected) in table {
        let text = format!("GET / {version}\r\n{fields}\r\n");
        let (head, _) = request(text.as_bytes()).unwrap().unwrap();
        assert_eq!(head.persistent, expected, "{version} {fields:?}");
    }
}

#[test]
fn how_long_a_backend_keeps_a_connection() {
    let table = [
        ("timeout=5", Some(5)),
        ("max=100, Timeout = 7", Some(7)),
        ("timeout=x", None),
        ("max=3", None),
    ];
    for (value, seconds) in table {
        let head = answered(&format!("keep-alive: {value}\r\n")).unwrap();
        assert_eq!(head.keep, seconds.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn an_unusual_reason_is_kept() {
    let text = b"HTTP/1.1 200 Fine\r\n\r\n";
    let (head, _) = response(text, &Method::GET).unwrap().unwrap();
    assert_eq!(head.reason.as_deref(), Some(&b"Fine"[..]));
    assert_eq!(answered("").unwrap().reason, None);
}

#[test]
fn what_is_too_much_is_told_from_what_is_malformed() {
    let many: String = (0..=MAX_FIELDS)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    assert_eq!(parsed(&many).unwrap_err(), Malformed::TooLarge);
    let long = format!("x: {}\r\n", "x".repeat(MAX_HEAD));
    assert_eq!(parsed(&long).unwrap_err(), Malformed::TooLarge);
    let unfinished = "x".repeat(MAX_HEAD);
    let text = format!("GET / HTTP/1.1\r\nx: {unfinished}");
    assert_eq!(request(text.as_bytes()).unwrap_err(), Malformed::TooLarge);
    let text = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_TARGET));
    assert_eq!(
        request(text.as_bytes()).unwrap_err(),
        Malformed::TargetTooLong
    );
    for text in [
        "nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(
            request(text.as_bytes()).unwrap_err(),
            Malformed::Syntax,
            "{text:?}"
        );
    }
}
