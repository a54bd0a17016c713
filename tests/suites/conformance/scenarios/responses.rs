//! What clients are sent.

use edgelb_tests::client::Client;
use edgelb_tests::script::Reply;

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::Stage;

scenarios!("Responses":
    statuses_and_fields_pass,
    repeated_response_fields_stay_repeated,
    hop_by_hop_response_fields_go,
    response_fields_that_connection_names_go,
    redirects_are_not_followed,
    encodings_pass_untouched,
    parts_pass,
    statuses_without_a_body_pass,
    a_response_to_head_keeps_its_length,
    an_empty_body_keeps_its_length,
    early_hints_are_relayed,
    an_expectation_is_met,
);

async fn statuses_and_fields_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("STICKY_SESSIONS", "false")]).await;
    for status in [200, 201, 203, 299, 400, 404, 418, 451, 501] {
        let fields = [
            ("etag", "\"1\""),
            ("cache-control", "public, max-age=60"),
            ("content-type", "text/x-any; charset=utf-8"),
            ("x-any", "a, b;  c"),
            ("via", "1.1 inner"),
        ];
        stage.all(&Reply::new(status, &fields, "the body"));
        let response = stage.get("/").await;
        assert_eq!((response.status(), response.text()), (status, "the body"));
        for (name, value) in &fields[..4] {
            assert_eq!(response.head.field(name), Some(*value), "{status}");
        }
        assert_eq!(response.head.field("content-length"), Some("8"));
        // https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3
        let via = response.head.fields.all("via").join(", ");
        assert_eq!(via, "1.1 inner, 1.1 edgelb");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-5.3>
async fn repeated_response_fields_stay_repeated(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("STICKY_SESSIONS", "false")]).await;
    let fields = [
        ("link", "<a>; rel=preload"),
        ("etag", "\"1\""),
        ("link", "<b>; rel=preload"),
    ];
    stage.all(&Reply::new(200, &fields, ""));
    let response = stage.get("/").await;
    let links = response.head.fields.all("link");
    assert_eq!(links, ["<a>; rel=preload", "<b>; rel=preload"]);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>
async fn hop_by_hop_response_fields_go(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let fields = [
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authenticate", "Basic"),
        ("x-kept", "1"),
    ];
    stage.all(&Reply::new(200, &fields, ""));
    let response = stage.get("/").await;
    for name in ["keep-alive", "proxy-connection"] {
        assert!(!response.head.fields.has(name), "{name}: {response:?}");
    }
    assert_eq!(response.head.field("x-kept"), Some("1"));
}

async fn response_fields_that_connection_names_go(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let fields = [("connection", "x-hop"), ("x-hop", "this hop only")];
    stage.all(&Reply::new(200, &fields, ""));
    let response = stage.get("/").await;
    assert_eq!(response.status(), 200);
    assert!(!response.head.fields.has("x-hop"), "`x-hop` goes");
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.4>
async fn redirects_are_not_followed(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let location = "/elsewhere?a=%20";
    for status in [301, 302, 303, 307, 308] {
        stage.all(&Reply::new(status, &[("location", location)], ""));
        let response = stage.get("/").await;
        assert_eq!(response.status(), status);
        assert_eq!(response.head.field("location"), Some(location));
    }
    assert_eq!(stage.requests(), 5);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-8.4>
async fn encodings_pass_untouched(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    for (encoding, body) in [
        (
            "gzip",
            &b"\x1f\x8b\x08\0\0\0\0\0\0\x03not for us to read"[..],
        ),
        ("br", b"nor is this"),
        ("x-any", b"nor this"),
    ] {
        let fields = [("content-encoding", encoding), ("vary", "accept-encoding")];
        stage.all(&Reply::new(200, &fields, body));
        for accepted in ["", "accept-encoding: gzip, br\r\n"] {
            let response = stage.ask("GET", "/", accepted).await;
            assert_eq!(response.head.field("content-encoding"), Some(encoding));
            assert_eq!(response.body, body, "{encoding}");
            let length = body.len().to_string();
            assert_eq!(response.head.field("content-length"), Some(&*length));
        }
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7>
async fn parts_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let fields = [
        ("content-range", "bytes 10-19/100"),
        ("accept-ranges", "bytes"),
    ];
    stage.all(&Reply::new(206, &fields, "ten bytes."));
    let response = stage.ask("GET", "/", "range: bytes=10-19\r\n").await;
    assert_eq!((response.status(), response.text()), (206, "ten bytes."));
    for (name, value) in fields {
        assert_eq!(response.head.field(name), Some(value));
    }
    assert_eq!(response.head.field("content-length"), Some("10"));
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>
async fn statuses_without_a_body_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let mut client = stage.client().await;
    for status in [304, 204] {
        stage.all(&Reply::raw(format!(
            "HTTP/1.1 {status} Any\r\netag: \"1\"\r\n\r\n"
        )));
        let response = client.ask("GET", "/", "").await;
        assert_eq!((response.status(), response.text()), (status, ""));
        assert_eq!(response.head.field("etag"), Some("\"1\""));
        assert!(
            !response.head.fields.has("transfer-encoding"),
            "{response:?}"
        );
    }
    // https://www.rfc-editor.org/rfc/rfc9110#section-8.6
    let response = client.ask("GET", "/", "").await;
    assert!(!response.head.fields.has("content-length"), "{response:?}");
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2>
async fn a_response_to_head_keeps_its_length(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"1\"\r\n\r\n",
    ));
    let mut client: Client = stage.client().await;
    for _ in 0..2 {
        let response = client.ask("HEAD", "/", "").await;
        assert_eq!(response.head.field("content-length"), Some("1234"));
        assert_eq!(response.head.field("etag"), Some("\"1\""));
    }
}

async fn an_empty_body_keeps_its_length(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::ok(""));
    let response = stage.get("/").await;
    assert_eq!(response.head.field("content-length"), Some("0"));
}

/// <https://www.rfc-editor.org/rfc/rfc8297#section-2>
async fn early_hints_are_relayed(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    stage.all(&Reply::raw(hints).followed_by(Reply::ok("final")));
    let response = stage.get("/").await;
    assert_eq!((response.status(), response.text()), (200, "final"));
    assert_eq!(response.interim.len(), 1);
    assert_eq!(response.interim[0].field("link"), Some("</a>; rel=preload"));
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1>
async fn an_expectation_is_met(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::ok("well"));
    let mut client = stage.client().await;
    client
        .send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        .await;
    // Nothing of the body is sent before this.
    assert_eq!(client.head().await.status(), 100);
    client.send("body").await;
    assert_eq!(client.response("PUT").await.status(), 200);
    assert_eq!(stage.last().upload.unwrap().start, "body");
}
