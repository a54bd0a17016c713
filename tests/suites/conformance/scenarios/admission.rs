//! Requests that no backend sees.

use edgelb_tests::client::Response;

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::Stage;

scenarios!("Admission":
    malformed_hosts_are_bad_requests,
    two_hosts_are_a_bad_request,
    trace_is_not_allowed,
    connect_is_not_implemented,
    health_is_told_to_everybody,
    status_is_told_to_those_who_know_the_token,
    foreign_hosts_are_misdirected,
    requests_in_a_circle_are_stopped,
    plain_http_is_sent_to_https,
    certificates_can_be_had_over_plain_http,
    own_paths_come_before_what_is_wrong_with_the_way,
    what_is_wrong_first_is_said,
);

/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2>
async fn malformed_hosts_are_bad_requests(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    for fields in [
        "host: a b\r\n",
        "host: user@service.test\r\n",
        "host: service.test:port\r\n",
        "host: [::1\r\n",
        "host: a/b\r\n",
    ] {
        let mut client = stage.client().await;
        client.send(format!("GET / HTTP/1.1\r\n{fields}\r\n")).await;
        assert_eq!(client.response("GET").await.status(), 400, "{fields:?}");
    }
    assert_eq!(stage.requests(), 0);
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2>
async fn two_hosts_are_a_bad_request(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let response = stage.ask("GET", "/", "host: other.test\r\n").await;
    assert_eq!(response.status(), 400);
    assert_eq!(stage.requests(), 0);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-9.3.8>
async fn trace_is_not_allowed(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let response = stage.ask("TRACE", "/", "").await;
    assert_eq!(response.status(), 405);
    assert!(response.head.fields.has("allow"));
    is_our_own(&response, Some("edgelb; error=http_request_error"));
    assert_eq!(stage.requests(), 0);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6>
async fn connect_is_not_implemented(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let mut client = stage.client().await;
    client
        .send("CONNECT service.test:443 HTTP/1.1\r\nhost: service.test:443\r\n\r\n")
        .await;
    assert_eq!(client.response("CONNECT").await.status(), 501);
    assert_eq!(stage.requests(), 0);
}

async fn health_is_told_to_everybody(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let response = stage.get("/.well-known/edgelb/health").await;
    assert_eq!(response.status(), 200);
    is_our_own(&response, None);
    let response = stage.ask("HEAD", "/.well-known/edgelb/health", "").await;
    assert_eq!((response.status(), response.text()), (200, ""));
    let response = stage.get("/.well-known/edgelb/other").await;
    assert_eq!(response.status(), 404);
    assert_eq!(stage.requests(), 0);
}

/// <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>
async fn status_is_told_to_those_who_know_the_token(runtime: &'static Runtime) {
    const TOKEN: &str = "a-token-of-some-length";
    let stage = Stage::new(runtime, &[("STATUS_TOKEN", TOKEN)]).await;
    let ask = async |token: &str| {
        let fields = format!("authorization: Bearer {token}\r\n");
        stage
            .ask("GET", "/.well-known/edgelb/status", &fields)
            .await
    };
    assert_eq!(stage.get("/.well-known/edgelb/status").await.status(), 404);
    assert_eq!(ask("a-token-of-other-length").await.status(), 404);
    let page = ask(TOKEN).await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.head.field("content-type"), Some("application/json"));
    let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
    let states: Vec<_> = page["backends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|backend| {
            (
                backend["name"].as_str().unwrap(),
                backend["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [("A", "admitting"), ("B", "admitting"), ("C", "admitting")]
    );
    assert_eq!(stage.requests(), 0);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20>
async fn foreign_hosts_are_misdirected(runtime: &'static Runtime) {
    let domains = [
        ("PRIMARY_DOMAIN", "one.test, two.test"),
        ("HTTPS_REDIRECT", "false"),
    ];
    let stage = Stage::new(runtime, &domains).await;
    for (host, status) in [
        ("one.test", 200),
        ("TWO.test:8443", 200),
        ("three.test", 421),
        ("sub.one.test", 421),
        ("one.test.evil.test", 421),
    ] {
        let mut client = stage.client().await;
        client
            .send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"))
            .await;
        assert_eq!(client.response("GET").await.status(), status, "{host}");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc8586#section-2> and
/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3>
async fn requests_in_a_circle_are_stopped(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    for (field, status) in [
        ("cdn-loop: other, edgelb; v=1\r\n", 508),
        ("cdn-loop: other\r\n", 200),
        ("via: 1.1 edgelb, 1.1 edgelb\r\n", 508),
        ("via: 1.1 other\r\n", 200),
    ] {
        let response = stage.ask("GET", "/", field).await;
        assert_eq!(response.status(), status, "{field}");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.4.2> and
/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.4.9>
async fn plain_http_is_sent_to_https(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("PRIMARY_DOMAIN", "service.test")]).await;
    for (method, status) in [("GET", 301), ("HEAD", 301), ("DELETE", 308)] {
        let response = stage.ask(method, "/a%2Fb?c=%20&d", "").await;
        assert_eq!(response.status(), status, "{method}");
        assert_eq!(
            response.head.field("location"),
            Some("https://service.test/a%2Fb?c=%20&d")
        );
        assert_eq!(response.head.field("cache-control"), Some("no-store"));
    }
    let response = stage.send("POST", "", b"body").await;
    assert_eq!(response.status(), 308);
    assert_eq!(stage.requests(), 0);
}

/// <https://www.rfc-editor.org/rfc/rfc8555#section-8.3>
async fn certificates_can_be_had_over_plain_http(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("HTTPS_REDIRECT", "true")]).await;
    let challenge = stage.get("/.well-known/acme-challenge/token").await;
    assert_eq!(challenge.status(), 200);
}

async fn own_paths_come_before_what_is_wrong_with_the_way(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("PRIMARY_DOMAIN", "one.test")]).await;
    for (method, status) in [("GET", 200), ("DELETE", 405)] {
        let target = "/.well-known/edgelb/health";
        // To a foreign host, in a circle, over plain http.
        let response = stage.ask(method, target, "cdn-loop: edgelb\r\n").await;
        assert_eq!(response.status(), status, "{method}");
    }
    assert_eq!(stage.requests(), 0);
}

async fn what_is_wrong_first_is_said(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("PRIMARY_DOMAIN", "one.test")]).await;
    let own = "/.well-known/edgelb/health";
    let circle = "cdn-loop: edgelb\r\n";
    for (what, method, target, host, fields, status) in [
        (
            "a malformed host before its path",
            "GET",
            own,
            "a b",
            "",
            400,
        ),
        (
            "a foreign host before a circle",
            "GET",
            "/",
            "three.test",
            circle,
            421,
        ),
        (
            "a circle before plain http",
            "GET",
            "/",
            "one.test",
            circle,
            508,
        ),
        ("plain http", "GET", "/", "one.test", "", 301),
    ] {
        let mut client = stage.client().await;
        let request = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n");
        client.send(request).await;
        assert_eq!(client.response(method).await.status(), status, "{what}");
    }
    assert_eq!(stage.requests(), 0);
}

/// What the balancer itself says is stored by nobody and sets no cookie; where
/// it refuses, it says that it did (<https://www.rfc-editor.org/rfc/rfc9209>).
fn is_our_own(response: &Response, status: Option<&str>) {
    let head = &response.head;
    assert_eq!(head.field("cache-control"), Some("no-store"));
    assert!(!head.fields.has("set-cookie"));
    assert_eq!(head.field("proxy-status"), status);
}
