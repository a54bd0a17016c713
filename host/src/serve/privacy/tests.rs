//! What is written of values that must not be, and of those that may.
#![expect(clippy::unwrap_used, reason = "tests")]

use http::Method;

use super::*;
use crate::recording::{Body, Line, Setting};
use crate::sim::End;
use crate::upstream::{Cause, Delivery};

fn privacy() -> Privacy {
    let setting = |name: &str, value: &str| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        default: true,
    };
    let header = Header {
        settings: vec![setting("SESSION_COOKIE_NAME", "lb")],
        ..Header::new("2026-01-01T00:00:00Z".to_owned(), None)
    };
    Privacy::new(Salt::random().unwrap(), &header)
}

fn recorded(client: &str, target: &str, fields: &[(&str, &str)]) -> Recorded {
    answered(client, target, fields, &[])
}

fn answered(
    client: &str,
    target: &str,
    fields: &[(&str, &str)],
    response: &[(&str, &str)],
) -> Recorded {
    Recorded {
        request: 0,
        at: Duration::ZERO,
        client: client.parse().unwrap(),
        proxied: false,
        method: Method::GET,
        target: target.to_owned(),
        fields: packed(fields),
        body: Body::default(),
        attempts: vec![
            Taped {
                backend: Some(0),
                begun: Duration::ZERO,
                outcome: Some((
                    Duration::from_millis(3),
                    TapedOutcome::Failed(Cause::ConnectionRefused, Delivery::NotSent),
                )),
            },
            Taped {
                backend: Some(1),
                begun: Duration::from_millis(3),
                outcome: Some((
                    Duration::from_millis(9),
                    TapedOutcome::Head {
                        status: 200,
                        fields: packed(response),
                    },
                )),
            },
        ],
        status: Some(200),
        head: Some(Duration::from_millis(9)),
        new_cookies: ["sid=s3cret-set; Path=/", "lb=s3cret-new; Path=/"]
            .map(|it| it.as_bytes().into())
            .to_vec(),
        ended: Duration::from_millis(10),
        end: End::Whole,
        response: Body::default(),
    }
}

fn packed(fields: &[(&str, &str)]) -> Vec<u8> {
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"));
    lines.collect::<String>().into_bytes()
}

#[test]
fn no_secret_is_written() {
    const VARY: &str = concat!(
        "s3cret-vary-0123456789-0123456789-0123456789-0123456789-0123456789",
        "-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789",
    );
    const TARGET: &str = "/stremio/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/\
        eyJpIjoiZm9vIiwiZSI6ImJhciJ9/stream/tt0111161.json?token=hunter2&key=a1b2c3";
    let fields = [
        ("host", "somebody:s3cret-host@example.com"),
        ("cookie", "lb=s3cret-session; sid=s3cret-sid"),
        ("cookie", "other=s3cret-other"),
        ("authorization", "Bearer s3cret-bearer"),
        ("proxy-authorization", "Basic dXNlcjpwYXNz"),
        ("x-api-key", "s3cret-key"),
        ("x-auth-token", "s3cret-token"),
        ("x-forwarded-for", "192.0.2.66, 198.51.100.7"),
        ("forwarded", "for=192.0.2.60"),
        ("cf-connecting-ip", "192.0.2.61"),
        ("referer", "https://example.com/?reset=s3cret-reset"),
        ("user-agent", "Somebody/1.0 (s3cret-device)"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "s3cret-protocol"),
        ("idempotency-key", "s3cret-idem"),
        ("if-none-match", "\"s3cret-etag\""),
        ("x-nobody-knows", "s3cret-unknown"),
        ("accept", "text/html"),
    ];
    let response = [
        ("content-length", "5"),
        ("content-type", "application/json"),
        ("retry-after", "17"),
        ("set-cookie", "sid=s3cret-set; Path=/s3cret-path; HttpOnly"),
        ("set-cookie", "other=s3cret-set-too"),
        ("location", "https://example.com/#access_token=s3cret-token"),
        ("content-location", "/users/s3cret-user"),
        ("refresh", "0; url=/?s3cret-refresh"),
        ("link", "</s3cret-link>; rel=next"),
        ("authorization", "Bearer s3cret-echo"),
        ("authentication-info", "nextnonce=\"s3cret-nonce\""),
        ("www-authenticate", "Digest nonce=\"s3cret-challenge\""),
        ("proxy-authenticate", "Basic realm=\"s3cret-realm\""),
        ("x-auth-token", "s3cret-issued"),
        ("x-amz-security-token", "s3cret-amz"),
        ("etag", "\"s3cret-etag\""),
        ("content-disposition", "attachment; filename=s3cret.pdf"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK"),
        ("server", "Somebody/2"),
        ("cookie", "sid=s3cret-misplaced"),
        ("x-nobody-knows", "s3cret-unknown"),
        // Known, and too long for what it has to say.
        ("vary", VARY),
    ];
    let secrets = [
        "s3cret",
        "0b9c1d52",
        "eyJp",
        "hunter2",
        "a1b2c3",
        "dXNlcjpwYXNz",
        "192.0.2",
        "198.51.100",
        "203.0.113",
        "2001:db8",
        "Somebody",
        "dGhlIHNh",
        "s3pPLMBi",
        "sid",
        "other=",
    ];
    let privacy = privacy();
    for client in ["203.0.113.9", "2001:db8::9"] {
        let exchange = privacy.exchange(answered(client, TARGET, &fields, &response));
        let text = Line::Exchange(Box::new(exchange)).text();
        for secret in secrets {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for kept in [
            "/stremio/*/*/stream/tt0111161.json?token=*&key=*",
            "text/html",
            r#"{"name":"content-type","value":"application/json"}"#,
            r#"{"name":"retry-after","value":"17"}"#,
            r#"{"name":"location","hash":""#,
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}

#[test]
fn equal_values_stay_equal_within_one_recording() {
    let (privacy, elsewhere) = (privacy(), privacy());
    let fields = [("authorization", "Bearer x"), ("cookie", "lb=1; a=2")];
    let first = privacy.exchange(recorded("203.0.113.9", "/a?t=1", &fields));
    let second = privacy.exchange(recorded("::ffff:203.0.113.9", "/a?t=1", &fields));
    assert_eq!(first, second);
    let other = privacy.exchange(recorded("203.0.113.8", "/a?t=2", &fields));
    assert_ne!(first.client, other.client);
    assert_ne!(first.hidden, other.hidden);
    assert_eq!(first.fields, other.fields);
    let elsewhere = elsewhere.exchange(recorded("203.0.113.9", "/a?t=1", &fields));
    assert_ne!(
        first.client, elsewhere.client,
        "another recording, another salt"
    );
    assert_eq!((first.session.is_some(), first.cookies.len()), (true, 1));
}

#[test]
fn a_cookie_that_comes_back_is_the_one_that_was_set() {
    let fields = [("cookie", "sid=1; lb=2")];
    let response = [("set-cookie", "sid=1; Path=/"), ("set-cookie", "sid=")];
    let exchange = privacy().exchange(answered("203.0.113.9", "/", &fields, &response));
    let set = &exchange.attempts[1].set_cookies;
    let sent: Vec<_> = exchange.cookies.iter().collect();
    assert_eq!(sent, [(&set[0].name, &set[0].hash)]);
    assert_eq!(set[1].name, set[0].name);
    assert_ne!(set[1].hash, set[0].hash);
    assert_eq!(exchange.attempts[1].fields, []);
}

#[test]
fn a_line_reads_back_as_it_was_written() {
    let privacy = privacy();
    let exchange = privacy.exchange(answered(
        "203.0.113.9",
        "/a",
        &[("accept", "*/*")],
        &[("date", "now"), ("etag", "x"), ("set-cookie", "a=b")],
    ));
    let line = Line::Exchange(Box::new(exchange));
    let text = line.text();
    assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
}
