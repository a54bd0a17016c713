//! Behind nginx as `docs/configuration.md` shows it, but for the certificate.

use std::net::Ipv4Addr;

use edgelb_tests::client::Client;
use edgelb_tests::nginx::Nginx;
use edgelb_tests::script::Reply;
use edgelb_tests::within;

use crate::stage::{Door, Stage};

const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

/// The configuration shown, on loopback: what it is told in TLS, it is told plainly.
async fn nginx(stage: &Stage) -> Nginx {
    let shown = DOCUMENT.split("```nginx\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    let lines = shown.lines().filter(|line| !line.contains("ssl_"));
    let lines: Vec<_> = lines.collect();
    let edgelb = stage.address().to_string();
    Nginx::serving(|address| {
        let plain = lines.join("\n");
        assert!(plain.contains("listen 443 ssl") && plain.contains("$scheme"));
        plain
            .replace("443 ssl", &address.to_string())
            .replace("$scheme", "https")
            .replace("127.0.0.1:8080", &edgelb)
    })
    .await
}

/// A client that is not where nginx is.
async fn connect(nginx: &Nginx) -> Client {
    Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), nginx.address()).await
}

#[tokio::test]
async fn nginx_as_it_is_shown_tells_all_there_is_to_tell() {
    let serve = Door::Exchange
        .serve()
        .env("PRIMARY_DOMAIN", "aio.example.com")
        .env("TRUSTED_PROXIES", "127.0.0.1");
    let mut stage = Stage::with(serve).await;
    let nginx = nginx(&stage).await;
    let mut client = connect(&nginx).await;
    client
        .send(
            "GET /behind HTTP/1.1\r\nhost: aio.example.com\r\n\
             x-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: http\r\n\r\n",
        )
        .await;
    assert_eq!(client.response("GET").await.status(), 200);
    let received = stage.backends.iter().flat_map(|it| it.received());
    let [request] = &received.collect::<Vec<_>>()[..] else {
        panic!("one request");
    };
    let field = |name| request.head.field(name);
    assert_eq!(field("x-forwarded-for"), Some("127.0.0.2, 127.0.0.1"));
    assert_eq!(field("x-forwarded-proto"), Some("https"));
    assert_eq!(field("x-forwarded-host"), Some("aio.example.com"));
    let line = stage.edgelb.logged("/behind").await;
    assert_eq!(line.split(' ').nth(1), Some("127.0.0.2"), "{line}");

    stage.both(&Reply::tunnel());
    let mut client = connect(&nginx).await;
    client
        .send(
            "GET / HTTP/1.1\r\nhost: aio.example.com\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_eq!(client.head().await.status(), 101);
    client.send("through").await;
    let returned = within("the echo", client.wire.bytes()).await.unwrap();
    assert_eq!(returned.unwrap(), "through");
}
