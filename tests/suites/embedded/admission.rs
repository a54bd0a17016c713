//! Requests that no backend sees.

use edgelb_host::Door;
use edgelb_tests::scene::{Scene, ask, from, get, values};

crate::both_doors!(
    malformed_hosts_are_bad_requests,
    foreign_hosts_are_misdirected,
    methods_that_no_backend_takes,
    requests_in_a_circle_are_stopped,
    plain_http_is_sent_to_https,
    health_and_status_are_the_balancers_own,
    what_the_balancer_says_is_stored_by_nobody,
);

/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2>
async fn malformed_hosts_are_bad_requests(door: Door) {
    let scene = Scene::new(door, &[]);
    // A target that names a host and no path is CONNECT's.
    assert_eq!(scene.get("service.test").await.status(), 400);
    for host in [
        "",
        "a b",
        "user@service.test",
        "service.test:port",
        "[::1",
        "a/b",
    ] {
        let response = scene.send(ask("GET", "/", &[("host", host)], "")).await;
        assert_eq!(response.status(), 400, "`{host}`");
    }
    let twice = [("host", "service.test"), ("host", "service.test")];
    let response = scene.send(ask("GET", "/", &twice, "")).await;
    assert_eq!(response.status(), 400);
    assert_eq!(scene.attempts(), 0);
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20>
async fn foreign_hosts_are_misdirected(door: Door) {
    let domains = [
        ("PRIMARY_DOMAIN", "one.test, two.test"),
        ("HTTPS_REDIRECT", "false"),
    ];
    let scene = Scene::new(door, &domains);
    for (host, status) in [
        ("one.test", 200),
        ("TWO.test:8443", 200),
        ("three.test", 421),
        ("sub.one.test", 421),
        ("one.test.evil.test", 421),
    ] {
        let response = scene.send(ask("GET", "/", &[("host", host)], "")).await;
        assert_eq!(response.status(), status, "{host}");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6>
async fn methods_that_no_backend_takes(door: Door) {
    let scene = Scene::new(door, &[]);
    let trace = scene.send(ask("TRACE", "/", &[], "")).await;
    assert_eq!(trace.status(), 405);
    assert_eq!(values(trace.headers(), "allow").len(), 1);
    let connect = scene
        .send(ask("CONNECT", "service.test:443", &[], ""))
        .await;
    assert_eq!(connect.status(), 501);
    assert_eq!(scene.attempts(), 0);
}

/// <https://www.rfc-editor.org/rfc/rfc8586#section-2> and
/// <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3>
async fn requests_in_a_circle_are_stopped(door: Door) {
    let scene = Scene::new(door, &[]);
    for (name, value, status) in [
        ("cdn-loop", "other, edgelb; v=1", 508),
        ("cdn-loop", "other", 200),
        ("via", "1.1 edgelb, 1.1 edgelb", 508),
        ("via", "1.1 other", 200),
    ] {
        let response = scene.send(ask("GET", "/", &[(name, value)], "")).await;
        assert_eq!(response.status(), status, "{name}: {value}");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.4.2> and
/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.4.9>
async fn plain_http_is_sent_to_https(door: Door) {
    let environment = [
        ("PRIMARY_DOMAIN", "service.test"),
        ("TRUSTED_PROXIES", "10.0.0.1"),
    ];
    let scene = Scene::new(door, &environment);
    for (method, status) in [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308)] {
        let response = scene.send(ask(method, "/a%2Fb?c=%20&d", &[], "")).await;
        assert_eq!(response.status(), status, "{method}");
        assert_eq!(
            values(response.headers(), "location"),
            ["https://service.test/a%2Fb?c=%20&d"]
        );
    }
    assert_eq!(scene.attempts(), 0);
    // https://www.rfc-editor.org/rfc/rfc8555#section-8.3
    let challenge = scene.get("/.well-known/acme-challenge/token").await;
    assert_eq!(challenge.status(), 200);

    // Behind a proxy that ends TLS the redirect would never end.
    let proxy = "10.0.0.1".parse().unwrap();
    let https = [("x-forwarded-proto", "https")];
    let response = scene.send(from(proxy, "GET", "/", &https, "")).await;
    assert_eq!(response.status(), 200);
    let stranger = scene.send(ask("GET", "/", &https, "")).await;
    assert_eq!(stranger.status(), 301);
}

async fn health_and_status_are_the_balancers_own(door: Door) {
    const TOKEN: &str = "a-token-of-some-length";
    let scene = Scene::new(door, &[("STATUS_TOKEN", TOKEN)]);
    assert_eq!(scene.get("/.well-known/edgelb/health").await.status(), 200);
    assert_eq!(scene.get("/.well-known/edgelb/status").await.status(), 404);
    assert_eq!(scene.get("/.well-known/edgelb/other").await.status(), 404);

    let ask = |token: &str| {
        let bearer = format!("Bearer {token}");
        ask(
            "GET",
            "/.well-known/edgelb/status",
            &[("authorization", &bearer)],
            "",
        )
    };
    assert_eq!(scene.send(ask("another")).await.status(), 404);
    let page = scene.send(ask(TOKEN)).await;
    assert_eq!(page.status(), 200);
    assert_eq!(values(page.headers(), "content-type"), ["application/json"]);
    let page: serde_json::Value = serde_json::from_slice(page.body()).unwrap();
    let backends = page["backends"].as_array().unwrap();
    let names: Vec<_> = backends
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["A", "B", "C"]);
    assert!(
        backends
            .iter()
            .all(|backend| backend["state"] == "admitting")
    );
    assert_eq!(scene.attempts(), 0);

    let closed = Scene::new(door, &[]);
    assert_eq!(closed.send(ask("")).await.status(), 404);
}

async fn what_the_balancer_says_is_stored_by_nobody(door: Door) {
    let scene = Scene::new(door, &[("PRIMARY_DOMAIN", "service.test")]);
    for request in [
        get("/"),
        get("/.well-known/edgelb/health"),
        get("/.well-known/edgelb/status"),
        ask("GET", "/", &[("host", "other.test")], ""),
        ask("TRACE", "/", &[], ""),
    ] {
        let response = scene.send(request).await;
        assert_eq!(values(response.headers(), "cache-control"), ["no-store"]);
        assert!(values(response.headers(), "set-cookie").is_empty());
    }
}
