//! What a line of the access log says, written without the machinery of
//! formatting: with it a line cost as much as to parse the request.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::redact::Redacted;

/// One request, as the log tells of it.
pub(super) struct Entry<'a> {
    pub(super) time: SystemTime,
    pub(super) client: IpAddr,
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) target: Redacted<'a>,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) duration: Duration,
    pub(super) backend: Option<&'a str>,
    pub(super) attempts: u32,
}

impl Entry<'_> {
    /// `time client "method host target" status bytes duration_ms backend attempts`
    pub(super) fn text(&self) -> String {
        let mut line = String::with_capacity(192);
        push_time(&mut line, self.time);
        line.push(' ');
        push_address(&mut line, self.client);
        line.push_str(" \"");
        line.push_str(self.method);
        line.push(' ');
        push_visible(&mut line, self.host);
        line.push(' ');
        self.target
            .pieces(|piece| push_visible(&mut line, piece.shown()));
        line.push_str("\" ");
        push_number(&mut line, self.status);
        line.push(' ');
        push_number(&mut line, self.bytes);
        line.push(' ');
        push_millis(&mut line, self.duration);
        line.push(' ');
        line.push_str(self.backend.unwrap_or("-"));
        line.push(' ');
        push_number(&mut line, self.attempts);
        line.push('\n');
        line
    }

    /// The same, as an object with its members by name.
    pub(super) fn json(&self) -> String {
        let mut line = String::with_capacity(256);
        line.push_str("{\"time\":\"");
        push_time(&mut line, self.time);
        line.push_str("\",\"client\":\"");
        push_address(&mut line, self.client);
        let host = visible(self.host);
        let target = self.target.to_string();
        // Writing to a string does not fail.
        let _ = write!(
            line,
            r#"","method":"{}","host":{},"target":{},"status":{},"bytes":{},"duration_ms":"#,
            self.method,
            serde_json::Value::from(host),
            serde_json::Value::from(visible(&target)),
            self.status,
            self.bytes,
        );
        push_millis(&mut line, self.duration);
        let backend = serde_json::Value::from(self.backend);
        let _ = writeln!(
            line,
            r#","backend":{backend},"attempts":{}}}"#,
            self.attempts
        );
        line
    }
}

/// RFC 3339, to the millisecond. Most lines are of the same second as the last.
fn push_time(text: &mut String, time: SystemTime) {
    thread_local! {
        static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, known)| {
        if *second != time.as_secs() || known.is_empty() {
            let whole = UNIX_EPOCH + Duration::from_secs(time.as_secs());
            *known = humantime::format_rfc3339_seconds(whole).to_string();
            // Its fraction comes before the letter.
            known.pop();
            *second = time.as_secs();
        }
        text.push_str(known);
    });
    text.push('.');
    push_three(text, time.subsec_millis());
    text.push('Z');
}

/// Milliseconds, to the microsecond.
fn push_millis(text: &mut String, duration: Duration) {
    push_number(
        text,
        duration.as_secs() * 1_000 + u64::from(duration.subsec_millis()),
    );
    text.push('.');
    push_three(text, duration.subsec_micros() % 1_000);
}

fn push_address(text: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        // Writing to a string does not fail.
        let _ = write!(text, "{address}");
        return;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        push_number(text, octet);
    }
}

fn push_number(text: &mut String, number: impl itoa::Integer) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// A number below 1,000, in three digits.
fn push_three(text: &mut String, number: u32) {
    for digit in [number / 100, number / 10 % 10, number % 10] {
        text.push(char::from_digit(digit, 10).unwrap_or('?'));
    }
}

fn push_visible(text: &mut String, sent: &str) {
    text.push_str(&visible(sent));
}

/// What a client sends, as visible ASCII: it must neither end the quotes around
/// it nor tell a terminal what to do.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let is_fit = |byte: u8| byte.is_ascii_graphic() & (byte != b'"');
    // Looked at all of them, which goes for many at once.
    if text.bytes().fold(true, |fit, byte| fit & is_fit(byte)) {
        return text.into();
    }
    let mut escaped = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        if is_fit(byte) {
            escaped.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: &str) -> Entry<'_> {
        Entry {
            time: UNIX_EPOCH + Duration::from_millis(1_763_800_000_042),
            client: "198.51.100.7".parse().unwrap_or(IpAddr::from([0; 4])),
            method: "GET",
            host: "example.com",
            target: Redacted(target),
            status: 200,
            bytes: 1_234,
            duration: Duration::from_nanos(12_034_567_890),
            backend: Some("A"),
            attempts: 2,
        }
    }

    #[test]
    fn a_line_says_when_who_what_and_how() {
        let line = r#"2025-11-22T08:26:40.042Z 198.51.100.7 "GET example.com /a?b=*" 200 1234 12034.567 A 2"#;
        assert_eq!(entry("/a?b=c").text(), format!("{line}\n"));
        let nobody = Entry {
            client: IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            backend: None,
            duration: Duration::ZERO,
            host: "a\"b",
            ..entry("*")
        };
        let line = r#"2025-11-22T08:26:40.042Z ::1 "GET a%22b *" 200 1234 0.000 - 2"#;
        assert_eq!(nobody.text(), format!("{line}\n"));
        let line = r#"{"time":"2025-11-22T08:26:40.042Z","client":"198.51.100.7","method":"GET","host":"example.com","target":"/a?b=*","status":200,"bytes":1234,"duration_ms":12034.567,"backend":"A","attempts":2}"#;
        assert_eq!(entry("/a?b=c").json(), format!("{line}\n"));
    }

    #[test]
    fn a_second_is_told_as_it_is_however_they_follow() {
        for (millis, told) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (999, "1970-01-01T00:00:00.999Z"),
            (1_000, "1970-01-01T00:00:01.000Z"),
            (59, "1970-01-01T00:00:00.059Z"),
        ] {
            let mut text = String::new();
            push_time(&mut text, UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!(text, told);
        }
    }

    #[test]
    fn what_a_client_sends_is_shown_in_visible_ascii() {
        let table = [
            ("/a?b=*", "/a?b=*"),
            ("/\u{9b}2J", "/%C2%9B2J"),
            ("/\u{202e}x\u{7f}", "/%E2%80%AEx%7F"),
            ("a\" 200", "a%22%20200"),
            ("\tx", "%09x"),
        ];
        for (text, shown) in table {
            assert_eq!(visible(text), shown);
        }
    }
}
