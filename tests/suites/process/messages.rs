//! Messages of every kind, through and through.

use edgelb_tests::backend::Backend;
use edgelb_tests::client::Client;
use edgelb_tests::script::Reply;

use crate::stage::{Door, Stage};

crate::both_doors!(
    requests_arrive_as_they_were_sent,
    chunked_bodies_and_trailers_pass_both_ways,
    responses_without_a_body_keep_their_lengths,
    parts_and_encodings_pass_untouched,
    redirects_pass_unfollowed,
    large_heads_pass,
    a_server_wide_options_passes,
    an_expectation_is_met,
    interim_responses_arrive_before_the_final_one,
    interim_responses_do_not_wait_for_the_final_one,
    http_1_0_gets_no_interim_response,
);

/// The backend that received the only request.
fn asked(stage: &Stage) -> &Backend {
    let mut asked = stage.backends.iter().filter(|it| it.seen().requests > 0);
    asked.next().unwrap()
}

async fn requests_arrive_as_they_were_sent(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::ok(""));
    let mut client = Client::connect(stage.address()).await;
    client
        .send(
            "PROPFIND /a%2Fb//../c;d=1?e=%20&f=&%zz HTTP/1.1\r\n\
             Host: service.test:8080\r\n\
             X-First: 1\r\n\
             Accept-Encoding: br\r\n\
             x-second: caf\u{e9}\r\n\
             X-First: 2\r\n\
             Connection: x-hop\r\n\
             X-Hop: this hop only\r\n\
             Content-Length: 4\r\n\
             \r\nbody",
        )
        .await;
    assert_eq!(client.response("PROPFIND").await.status(), 200);
    let backend = asked(&stage);
    let request = backend.only();
    let head = &request.head;
    assert_eq!(
        head.start,
        "PROPFIND /a%2Fb//../c;d=1?e=%20&f=&%zz HTTP/1.1"
    );
    assert_eq!(head.field("host"), Some(&*backend.authority()));
    assert_eq!(head.field("x-forwarded-host"), Some("service.test:8080"));
    assert_eq!(head.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.fields.all("x-first"), ["1", "2"]);
    assert_eq!(head.field("accept-encoding"), Some("br"));
    // https://www.rfc-editor.org/rfc/rfc9110#section-5.5: obs-text is opaque.
    let raw = "x-second: caf\u{e9}\r\n".as_bytes();
    let mut windows = head.bytes.windows(raw.len());
    assert!(
        windows.any(|window| window.eq_ignore_ascii_case(raw)),
        "{head:?}"
    );
    assert!(!head.fields.has("x-hop"));
    assert_eq!(head.field("content-length"), Some("4"));
    assert_eq!(request.upload.unwrap().start, "body");
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-7.1.2>
async fn chunked_bodies_and_trailers_pass_both_ways(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::raw(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
         3\r\none\r\n3;ext=1\r\ntwo\r\n0\r\nx-sum: 2\r\n\r\n",
    ));
    let mut client = Client::connect(stage.address()).await;
    client
        .send(
            "PUT / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\
             transfer-encoding: chunked\r\ntrailer: x-check\r\n\r\n\
             2\r\nup\r\n0\r\nx-check: 1\r\n\r\n",
        )
        .await;
    let response = client.response("PUT").await;
    assert_eq!(response.text(), "onetwo");
    assert_eq!(response.trailers.only("x-sum"), Some("2"));
    let upload = asked(&stage).only().upload.unwrap();
    assert_eq!(upload.start, "up");
    assert_eq!(upload.trailers.only("x-check"), Some("1"));
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>
async fn responses_without_a_body_keep_their_lengths(door: Door) {
    let stage = Stage::new(door).await;
    let mut client = Client::connect(stage.address()).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"1\"\r\n\r\n";
    stage.both(&Reply::raw(head));
    let response = client.ask("HEAD", "/", "").await;
    assert_eq!(response.head.field("content-length"), Some("1234"));

    stage.both(&Reply::raw(
        "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n",
    ));
    let response = client.ask("GET", "/", "if-none-match: \"1\"\r\n").await;
    assert_eq!((response.status(), response.text()), (304, ""));
    assert_eq!(response.head.field("etag"), Some("\"1\""));

    stage.both(&Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"));
    let response = client.ask("DELETE", "/", "").await;
    assert_eq!((response.status(), response.text()), (204, ""));
    // https://www.rfc-editor.org/rfc/rfc9110#section-8.6
    assert!(!response.head.fields.has("content-length"));

    stage.both(&Reply::ok(""));
    let response = client.ask("GET", "/", "").await;
    assert_eq!(response.head.field("content-length"), Some("0"));
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7>
async fn parts_and_encodings_pass_untouched(door: Door) {
    const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03not for us to read";
    let stage = Stage::new(door).await;
    let fields = [
        ("content-range", "bytes 10-19/100"),
        ("content-encoding", "gzip"),
        ("vary", "accept-encoding"),
    ];
    stage.both(&Reply::new(206, &fields, GZIP));
    let response = stage.ask("GET", "/", "range: bytes=10-19\r\n").await;
    assert_eq!(response.status(), 206);
    for (name, value) in fields {
        assert_eq!(response.head.field(name), Some(value));
    }
    assert_eq!(response.body, GZIP);
    let request = asked(&stage).only();
    assert_eq!(request.head.field("range"), Some("bytes=10-19"));
}

async fn redirects_pass_unfollowed(door: Door) {
    let stage = Stage::new(door).await;
    for status in [301, 302, 303, 307, 308] {
        let location = "/elsewhere?a=%20";
        stage.both(&Reply::new(status, &[("location", location)], ""));
        let response = stage.get("/").await;
        assert_eq!(response.status(), status);
        assert_eq!(response.head.field("location"), Some(location));
    }
    let requests: usize = stage.backends.iter().map(|it| it.seen().requests).sum();
    assert_eq!(requests, 5);
}

async fn large_heads_pass(door: Door) {
    let stage = Stage::new(door).await;
    let large = "x".repeat(48 << 10);
    stage.both(&Reply::new(200, &[("x-large", &large)], ""));
    let target = format!("/{}", "p".repeat(12 << 10));
    let response = stage
        .ask("GET", &target, &format!("x-large: {large}\r\n"))
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.head.field("x-large"), Some(&*large));
    let request = asked(&stage).only();
    assert_eq!(request.head.target(), target);
    assert_eq!(request.head.field("x-large"), Some(&*large));
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2.4>
async fn a_server_wide_options_passes(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::ok(""));
    assert_eq!(stage.ask("OPTIONS", "*", "").await.status(), 200);
    assert_eq!(asked(&stage).only().head.start, "OPTIONS * HTTP/1.1");
    // Of all methods this one alone has such a target.
    assert_eq!(stage.ask("GET", "*", "").await.status(), 400);
    assert_eq!(asked(&stage).seen().requests, 1);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1>
async fn an_expectation_is_met(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::digest());
    let mut client = Client::connect(stage.address()).await;
    client
        .send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        .await;
    // Nothing of the body is sent before this.
    let interim = client.head().await;
    assert_eq!(interim.status(), 100);
    client.send("body").await;
    assert_eq!(client.response("PUT").await.status(), 200);
    assert_eq!(asked(&stage).only().upload.unwrap().start, "body");
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.2>
async fn interim_responses_arrive_before_the_final_one(door: Door) {
    let stage = Stage::new(door).await;
    let hints = |path| format!("HTTP/1.1 103 Early Hints\r\nlink: <{path}>; rel=preload\r\n\r\n");
    let interim = hints("/a") + &hints("/b");
    stage.both(&Reply::raw(interim).followed_by(Reply::ok("final")));
    let mut client = Client::connect(stage.address()).await;
    // The second time on a connection that has carried a response.
    for _ in 0..2 {
        let response = client.ask("GET", "/", "").await;
        let links: Vec<_> = response
            .interim
            .iter()
            .map(|head| (head.status(), head.field("link").unwrap()))
            .collect();
        assert_eq!(
            links,
            [(103, "</a>; rel=preload"), (103, "</b>; rel=preload")]
        );
        assert_eq!((response.status(), response.text()), (200, "final"));
    }
}

/// The client learns of them while the backend still thinks.
async fn interim_responses_do_not_wait_for_the_final_one(door: Door) {
    let stage = Stage::new(door).await;
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    stage.both(&Reply::raw(hints).hang());
    let mut client = Client::connect(stage.address()).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 103);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.2>: to a client that
/// knows none, none is sent.
async fn http_1_0_gets_no_interim_response(door: Door) {
    let stage = Stage::new(door).await;
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    stage.both(&Reply::raw(hints).followed_by(Reply::ok("final")));
    let mut client = Client::connect(stage.address()).await;
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    let response = client.response("GET").await;
    assert_eq!((response.interim.len(), response.text()), (0, "final"));
}
