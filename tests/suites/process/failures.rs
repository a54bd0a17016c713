//! Backends that fail in every way there is, seen by the client.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use edgelb_tests::backend::Backend;
use edgelb_tests::client::{self, Client};
use edgelb_tests::port::Port;
use edgelb_tests::process::Edgelb;
use edgelb_tests::script::{Feed, Reply};

use crate::stage::{Door, Stage, by};

crate::both_doors!(
    what_fails_before_a_response_goes_to_another_backend,
    what_may_have_arrived_is_not_sent_twice,
    what_is_no_failure_is_forwarded,
    a_backend_that_lets_nobody_in_costs_the_connect_timeout,
    a_body_cut_short_arrives_cut_short,
    a_body_that_falls_silent_is_cut_short,
    a_name_that_does_not_resolve_is_said_so,
);

/// Ejections that are over at once, so that one edgelb does for many failures.
fn forgiving(door: Door) -> Edgelb {
    door.serve()
        .env("BACKEND_DOWN_TIME", "1")
        .env("BACKEND_DOWN_TIME_MAX", "1")
        .env("FIRST_BYTE_TIMEOUT", "300")
}

/// Ways to bring no response, each with what it is called.
fn failures() -> Vec<(&'static str, Reply, &'static str)> {
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(2 << 20));
    vec![
        ("reset", Reply::default().reset(), "connection_terminated"),
        ("close", Reply::default().close(), "connection_terminated"),
        (
            "half a head",
            Reply::raw("HTTP/1.1 200 OK\r\nx-half: ").close(),
            "connection_terminated",
        ),
        ("silence", Reply::silence(), "http_response_timeout"),
        (
            "no HTTP",
            Reply::raw("220 ready\r\n\r\n").close(),
            "http_protocol_error",
        ),
        (
            "a tunnel nobody asked for",
            Reply::switch().close(),
            "http_protocol_error",
        ),
        (
            "an endless head",
            Reply::raw(large).close(),
            "http_response_header_section_size",
        ),
    ]
}

async fn what_fails_before_a_response_goes_to_another_backend(door: Door) {
    let mut stage = Stage::with(forgiving(door)).await;
    let home = stage.home().await;
    let statuses =
        [500, 502, 503, 504].map(|status| ("status", Reply::new(status, &[], "broken"), ""));
    for (failure, reply, _) in failures().into_iter().chain(statuses) {
        stage.backends[home].always(reply);
        let response = stage.get("/").await;
        assert_eq!(response.status(), 200, "{failure}: {response:?}");
        assert_ne!(by(&response), home, "{failure}");
        stage.heal(home).await;
    }
    stage.backends[home].refuse();
    let response = stage.get("/").await;
    assert_eq!(
        (response.status(), by(&response)),
        (200, 1 - home),
        "refusal"
    );
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2> and
/// <https://www.rfc-editor.org/rfc/rfc9209#section-2.3>
async fn what_may_have_arrived_is_not_sent_twice(door: Door) {
    let mut stage = Stage::with(forgiving(door)).await;
    let home = stage.home().await;
    for (failure, reply, error) in failures() {
        stage.backends[home].always(reply);
        let others = stage.backends[1 - home].seen();
        let response = stage.ask("POST", "/", "content-length: 0\r\n").await;
        let status = if failure == "silence" { 504 } else { 502 };
        assert_eq!(response.status(), status, "{failure}");
        assert_eq!(
            response.head.field("proxy-status"),
            Some(&*format!("edgelb; error={error}")),
            "{failure}"
        );
        assert_eq!(stage.backends[1 - home].seen(), others, "{failure}");
        stage.heal(home).await;
    }
    stage.backends[home].always(Reply::new(500, &[], "its own words"));
    let response = stage.ask("POST", "/", "content-length: 0\r\n").await;
    assert_eq!((response.status(), response.text()), (500, "its own words"));

    stage.heal(home).await;
    stage.backends[home].refuse();
    let response = stage.ask("POST", "/", "content-length: 0\r\n").await;
    assert_eq!(
        (response.status(), by(&response)),
        (200, 1 - home),
        "nothing arrived where nobody listened"
    );
}

async fn what_is_no_failure_is_forwarded(door: Door) {
    let stage = Stage::new(door).await;
    let home = stage.home().await;
    for status in [400, 404, 429, 501] {
        stage.backends[home].always(Reply::new(status, &[("retry-after", "9")], "no"));
        for _ in 0..2 {
            let response = stage.get("/").await;
            assert_eq!((response.status(), response.text()), (status, "no"));
            assert_eq!(response.head.field("retry-after"), Some("9"));
        }
    }
    assert_eq!(stage.backends[1 - home].seen().requests, 0);
}

async fn a_backend_that_lets_nobody_in_costs_the_connect_timeout(door: Door) {
    let port = Port::reserve();
    let _swallowing = port.swallow().await;
    let edgelb = door
        .serve()
        .env("BACKEND_A", format!("http://{}", port.address()))
        .env("CONNECT_TIMEOUT", "400")
        .start()
        .await;
    let begun = Instant::now();
    let response = client::get(edgelb.address, "/").await;
    let waited = begun.elapsed();
    assert_eq!(response.status(), 503);
    assert_eq!(
        response.head.field("proxy-status"),
        Some("edgelb; error=connection_timeout")
    );
    assert!(waited >= Duration::from_millis(400), "{waited:?}");
    assert!(waited < Duration::from_secs(4), "{waited:?}");
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-8>
async fn a_body_cut_short_arrives_cut_short(door: Door) {
    let mut stage = Stage::with(forgiving(door)).await;
    let home = stage.home().await;
    let known = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for reply in [
        Reply::raw(known).reset(),
        Reply::raw(known).close(),
        Reply::raw(chunked).reset(),
        Reply::raw(chunked).close(),
    ] {
        stage.backends[home].always(reply.clone());
        let mut client = Client::connect(stage.address()).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let broken = client.try_response("GET").await;
        assert!(broken.is_err(), "{reply:?} arrived as {broken:?}");
        stage.heal(home).await;
    }
}

async fn a_body_that_falls_silent_is_cut_short(door: Door) {
    let stage = Stage::with(door.serve().env("IDLE_TIMEOUT", "300")).await;
    // The feeder lives on: the backend neither sends nor closes.
    let (feeder, feed) = Feed::new();
    feeder.send("some".into()).unwrap();
    stage.both(&Reply::chunked(&[], feed));
    let mut client = Client::connect(stage.address()).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (_, _, mut body) = client.response_head("GET").await;
    assert_eq!(client.data(&mut body).await.unwrap().unwrap(), "some");
    let broken = client.data(&mut body).await;
    assert!(
        matches!(
            broken.as_ref().map_err(std::io::Error::kind),
            Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
        ),
        "{broken:?}"
    );
}

async fn a_name_that_does_not_resolve_is_said_so(door: Door) {
    // https://www.rfc-editor.org/rfc/rfc6761#section-6.4
    let nowhere = "http://backend.invalid";
    let edgelb = door.serve().env("BACKEND_A", nowhere).start().await;
    let response = client::get(edgelb.address, "/").await;
    assert_eq!(response.status(), 503);
    assert_eq!(
        response.head.field("proxy-status"),
        Some("edgelb; error=dns_error")
    );

    let well = Backend::start(|_| Reply::ok("well"));
    let edgelb = door
        .serve()
        .env("BACKEND_A", nowhere)
        .env("BACKEND_B", well.url())
        .start()
        .await;
    let response = client::get(edgelb.address, "/").await;
    assert_eq!(response.text(), "well");
}
