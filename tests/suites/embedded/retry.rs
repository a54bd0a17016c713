//! What is sent again, where, and what the client hears when nothing helps.

use std::time::Duration;

use edgelb_host::{Cause, Door};
use edgelb_tests::noise::Noise;
use edgelb_tests::scene::{Act, Scene, answer, ask, by, status, values};

crate::both_doors!(
    what_may_be_sent_again,
    a_body_is_sent_again_whole,
    a_body_beyond_the_limit_is_not_sent_again_once_read,
    retries_are_bounded_and_never_repeat_a_backend,
    the_last_response_is_forwarded_as_it_is,
    what_the_client_hears_when_no_backend_answers,
    a_head_request_gets_no_body,
    silence_is_a_timeout,
);

/// Ejections that are over at once, so that one scene does for many cases.
const FORGIVING: [(&str, &str); 2] = [("BACKEND_DOWN_TIME", "1"), ("BACKEND_DOWN_TIME_MAX", "1")];

/// What goes wrong at the first backend.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    NotSent,
    MaybeSent,
    Status(u16),
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2>
async fn what_may_be_sent_again(door: Door) {
    use Trouble::{MaybeSent, NotSent, Status};
    const KEY: &[(&str, &str)] = &[("idempotency-key", "\"8e03978e\"")];
    let table: [(&str, &[(&str, &str)], Trouble, bool); 17] = [
        ("GET", &[], NotSent, true),
        ("GET", &[], MaybeSent, true),
        ("GET", &[], Status(500), true),
        ("GET", &[], Status(503), true),
        ("GET", &[], Status(404), false),
        ("GET", &[], Status(429), false),
        ("GET", &[], Status(501), false),
        ("HEAD", &[], MaybeSent, true),
        ("OPTIONS", &[], MaybeSent, true),
        ("PUT", &[], MaybeSent, true),
        ("DELETE", &[], MaybeSent, true),
        ("POST", &[], NotSent, true),
        ("POST", &[], MaybeSent, false),
        ("POST", &[], Status(502), false),
        ("POST", KEY, MaybeSent, true),
        ("PATCH", &[], MaybeSent, false),
        ("PATCH", KEY, Status(500), true),
    ];
    let scene = Scene::new(door, &FORGIVING);
    let home = scene.home().await;
    for (method, fields, trouble, again) in table {
        scene.heal().await;
        let before = scene.attempts();
        home.script(move |_| match trouble {
            NotSent => Act::Unreachable(Cause::ConnectionRefused),
            MaybeSent => Act::Fail(Cause::ConnectionTerminated),
            Status(code) => status(code),
        });
        let body = match method {
            "PUT" | "POST" | "PATCH" => "body",
            _ => "",
        };
        let response = scene.send(ask(method, "/", fields, body)).await;
        let case = format!("{method} {fields:?} {trouble:?}");
        let attempts = scene.attempts() - before;
        assert_eq!(attempts, if again { 2 } else { 1 }, "{case}");
        let expected = match trouble {
            _ if again => 200,
            Status(code) => code,
            MaybeSent | NotSent => 502,
        };
        assert_eq!(response.status().as_u16(), expected, "{case}");
        if again {
            assert_eq!(scene.backend(by(&response)).last().body(), body, "{case}");
        }
    }
}

async fn a_body_is_sent_again_whole(door: Door) {
    let scene = Scene::new(door, &[("REPLAY_LIMIT", "65536")]);
    let home = scene.home().await;
    home.script(|_| status(500));
    let body: Vec<u8> = Noise::new(7, 65_536).flatten().collect();
    let response = scene.send(ask("PUT", "/", &[], body.clone())).await;
    assert_eq!(response.status(), 200);
    let second = scene.backend(by(&response)).last();
    assert_eq!(*second.body(), body);
    assert_eq!(values(second.headers(), "content-length"), ["65536"]);
}

async fn a_body_beyond_the_limit_is_not_sent_again_once_read(door: Door) {
    let scene = Scene::new(door, &[("REPLAY_LIMIT", "65536")]);
    let home = scene.home().await;
    home.script(|_| answer(500, &[], "as it is"));
    let body: Vec<u8> = Noise::new(7, 65_537).flatten().collect();
    let response = scene.send(ask("PUT", "/", &[], body)).await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.body(), "as it is");
    assert_eq!(scene.attempts(), 2, "home, and its failure");
}

/// By the standard door a body that was handed to an attempt is gone, whether
/// or not anybody read of it: `wasi:http` has no way to take it back.
#[tokio::test(start_paused = true)]
async fn a_body_nobody_read_is_sent_again_whatever_its_length() {
    let scene = Scene::new(Door::Exchange, &[("REPLAY_LIMIT", "0")]);
    let home = scene.home().await;
    home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    let body: Vec<u8> = Noise::new(7, 1 << 20).flatten().collect();
    let response = scene.send(ask("POST", "/", &[], body.clone())).await;
    assert_eq!(response.status(), 200);
    assert_eq!(*scene.backend(by(&response)).last().body(), body);
}

async fn retries_are_bounded_and_never_repeat_a_backend(door: Door) {
    for (retries, attempts) in [("0", 1), ("1", 2), ("2", 3), ("3", 3)] {
        let scene = Scene::new(door, &[("MAX_RETRIES", retries)]);
        scene.all(|_| Act::Fail(Cause::ConnectionTerminated));
        assert_eq!(scene.get("/").await.status(), 502);
        assert_eq!(scene.attempts(), attempts, "MAX_RETRIES={retries}");
        for backend in &scene.backends {
            assert!(backend.attempts() <= 1, "MAX_RETRIES={retries}");
        }
    }
}

async fn the_last_response_is_forwarded_as_it_is(door: Door) {
    let scene = Scene::new(door, &[]);
    scene.all(|_| answer(500, &[("x-detail", "kept")], "the backend's own words"));
    let response = scene.get("/").await;
    assert_eq!(response.status(), 500);
    assert_eq!(scene.attempts(), 3);
    assert_eq!(values(response.headers(), "x-detail"), ["kept"]);
    assert_eq!(response.body(), "the backend's own words");
    assert!(scene.backend(by(&response)).attempts() == 1);
}

/// <https://www.rfc-editor.org/rfc/rfc9209#section-2.3>
async fn what_the_client_hears_when_no_backend_answers(door: Door) {
    let table = [
        (
            Act::Unreachable as fn(Cause) -> Act,
            Cause::ConnectionRefused,
            503,
            "connection_refused",
        ),
        (Act::Unreachable, Cause::DnsError, 503, "dns_error"),
        (
            Act::Unreachable,
            Cause::TlsCertificateError,
            503,
            "tls_certificate_error",
        ),
        (
            Act::Fail,
            Cause::ConnectionTerminated,
            502,
            "connection_terminated",
        ),
        (
            Act::Fail,
            Cause::HttpProtocolError,
            502,
            "http_protocol_error",
        ),
        (
            Act::Fail,
            Cause::HttpResponseTimeout,
            504,
            "http_response_timeout",
        ),
    ];
    let scene = Scene::new(door, &FORGIVING);
    for (act, cause, status, error) in table {
        scene.all(move |_| act(cause));
        let response = scene.get("/").await;
        assert_eq!(response.status().as_u16(), status, "{error}");
        assert_eq!(
            values(response.headers(), "proxy-status"),
            [format!("edgelb; error={error}")]
        );
        assert_eq!(values(response.headers(), "cache-control"), ["no-store"]);
        // https://www.rfc-editor.org/rfc/rfc9110#section-15.6.4
        let retry_after = values(response.headers(), "retry-after");
        assert_eq!(retry_after.len(), usize::from(status == 503), "{error}");
        let body = str::from_utf8(response.body()).unwrap();
        for internal in ["test", "refused", "edgelb", "wasm"] {
            assert!(!body.contains(internal), "{body}");
        }
    }
}

async fn a_head_request_gets_no_body(door: Door) {
    let scene = Scene::new(door, &[]);
    scene.all(|_| Act::Unreachable(Cause::ConnectionRefused));
    let response = scene.send(ask("HEAD", "/", &[], "")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.body(), "");
}

async fn silence_is_a_timeout(door: Door) {
    let scene = Scene::new(door, &[("FIRST_BYTE_TIMEOUT", "2000")]);
    let home = scene.home().await;
    home.script(|_| Act::Silence);
    let begun = tokio::time::Instant::now();
    let response = scene.get("/").await;
    assert_eq!(response.status(), 200, "another answers");
    let waited = begun.elapsed();
    let expected = Duration::from_millis(2000)..Duration::from_millis(2100);
    assert!(expected.contains(&waited), "{waited:?}");

    // Delivered, and not idempotent: nobody else may get it.
    scene.all(|_| Act::Silence);
    let attempts = scene.attempts();
    let response = scene.send(ask("POST", "/", &[], "body")).await;
    assert_eq!(response.status(), 504);
    assert_eq!(scene.attempts() - attempts, 1);
}
