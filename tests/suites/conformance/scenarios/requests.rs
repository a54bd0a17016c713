//! What backends are sent.

use edgelb_tests::client::HOST;
use edgelb_tests::script::Reply;

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::Stage;

scenarios!("Requests":
    targets_pass_byte_for_byte,
    dot_segments_pass,
    an_empty_query_passes,
    quotes_pass,
    malformed_escapes_pass,
    methods_pass,
    fields_pass_in_order,
    repeated_fields_stay_repeated,
    opaque_bytes_in_values_pass,
    accepted_encodings_pass,
    hop_by_hop_fields_go,
    fields_that_connection_names_go,
    backends_are_asked_by_their_own_names,
    conditions_and_ranges_pass,
    a_server_wide_options_passes,
    large_heads_pass,
);

async fn targets_pass_byte_for_byte(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    for target in [
        "/",
        "/a%2Fb//c;d=1?e=%20&f=&%7e",
        "/%e2%82%ac?a=/?&b",
        "/stremio/~user/x.json?q=(1)",
    ] {
        stage.get(target).await;
        assert_eq!(stage.last().head.target(), target);
    }
}

/// They are the client's to resolve
/// (<https://www.rfc-editor.org/rfc/rfc3986#section-5.2.4>).
async fn dot_segments_pass(runtime: &'static Runtime) {
    passes(runtime, "/a/../b/./c").await;
}

async fn an_empty_query_passes(runtime: &'static Runtime) {
    passes(runtime, "/?").await;
}

async fn quotes_pass(runtime: &'static Runtime) {
    passes(runtime, "/'a'?q='x'").await;
}

async fn malformed_escapes_pass(runtime: &'static Runtime) {
    passes(runtime, "/%zz").await;
}

async fn passes(runtime: &'static Runtime, target: &str) {
    let stage = Stage::new(runtime, &[]).await;
    stage.get(target).await;
    assert_eq!(stage.last().head.target(), target);
}

async fn methods_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    for method in ["OPTIONS", "PATCH", "PROPFIND", "DELETE"] {
        let response = stage.send(method, "", b"body").await;
        assert_eq!(response.status(), 200, "{method}");
        let request = stage.last();
        assert_eq!(request.head.method(), method);
        assert_eq!(request.upload.unwrap().start, "body", "{method}");
    }
}

async fn fields_pass_in_order(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let fields = [
        ("x-one", "1"),
        ("authorization", "Basic eA=="),
        ("x-two", "a, b;  c=\"d, e\""),
        ("user-agent", "somebody/1.0 (else)"),
        ("x-empty", ""),
    ];
    let lines = fields.map(|(name, value)| format!("{name}: {value}\r\n"));
    stage.ask("GET", "/", &lines.concat()).await;
    let head = stage.last().head;
    for (name, value) in fields {
        assert_eq!(head.field(name), Some(value));
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-5.3>
async fn repeated_fields_stay_repeated(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage
        .ask("GET", "/", "x-one: 1\r\nx-two: 2\r\nx-one: 3\r\n")
        .await;
    assert_eq!(stage.last().head.fields.all("x-one"), ["1", "3"]);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-5.5>
async fn opaque_bytes_in_values_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let mut client = stage.client().await;
    let head = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx-name: caf");
    client
        .send([head.as_bytes(), b"\xc3\xa9 \xe9\r\n\r\n"].concat())
        .await;
    assert_eq!(client.response("GET").await.status(), 200);
    let head = stage.last().head;
    // As the suite reads them: each octet for itself.
    assert_eq!(head.field("x-name"), Some("caf\u{c3}\u{a9} \u{e9}"));
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3>
async fn accepted_encodings_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    for sent in ["zstd;q=0.5, br", "identity"] {
        stage
            .ask("GET", "/", &format!("accept-encoding: {sent}\r\n"))
            .await;
        assert_eq!(stage.last().head.field("accept-encoding"), Some(sent));
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>
async fn hop_by_hop_fields_go(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let fields = "keep-alive: timeout=5\r\nproxy-connection: keep-alive\r\n\
                  proxy-authorization: Basic eA==\r\nte: gzip\r\nupgrade: h2c\r\nx-kept: 1\r\n";
    stage.ask("GET", "/", fields).await;
    let head = stage.last().head;
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "transfer-encoding",
    ] {
        assert!(!head.fields.has(name), "{name}: {head:?}");
    }
    assert_eq!(head.field("x-kept"), Some("1"));
}

async fn fields_that_connection_names_go(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let response = stage
        .ask("GET", "/", "connection: x-hop\r\nx-hop: this hop only\r\n")
        .await;
    assert_eq!(response.status(), 200);
    assert!(!stage.last().head.fields.has("x-hop"), "`x-hop` goes");
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.2>
async fn backends_are_asked_by_their_own_names(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.get("/").await;
    let head = stage.last().head;
    let mut authorities = stage
        .backends
        .iter()
        .map(edgelb_tests::backend::Backend::authority);
    assert!(
        authorities.any(|it| head.field("host") == Some(&*it)),
        "{head:?}"
    );
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-14.2>
async fn conditions_and_ranges_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let fields = [
        ("range", "bytes=10-19"),
        ("if-range", "\"1\""),
        ("if-none-match", "W/\"2\""),
        ("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("cache-control", "no-cache"),
    ];
    let lines = fields.map(|(name, value)| format!("{name}: {value}\r\n"));
    stage.ask("GET", "/", &lines.concat()).await;
    let head = stage.last().head;
    for (name, value) in fields {
        assert_eq!(head.field(name), Some(value));
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2.4>
async fn a_server_wide_options_passes(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::new(200, &[], ""));
    let response = stage.ask("OPTIONS", "*", "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(stage.last().head.start, "OPTIONS * HTTP/1.1");
}

async fn large_heads_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let large = "x".repeat(24 << 10);
    stage.all(&Reply::new(200, &[("x-large", &large)], ""));
    let target = format!("/{}", "p".repeat(7 << 10));
    let response = stage
        .ask("GET", &target, &format!("x-large: {large}\r\n"))
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.head.field("x-large"), Some(&*large));
    let head = stage.last().head;
    assert_eq!(head.target(), target);
    assert_eq!(head.field("x-large"), Some(&*large));
}
