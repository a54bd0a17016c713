//! What keeps it from starting, and how it is said.

use std::net::TcpListener;

use edgelb_tests::nginx::Directory;
use edgelb_tests::process::{Edgelb, Ended};

fn backend() -> (&'static str, &'static str) {
    ("BACKEND_A", "http://127.0.0.1:9")
}

/// It refuses to start: exit 1, and why on stderr, each word of it.
#[track_caller]
fn refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "");
    for word in words {
        assert!(
            ended.stderr.contains(word),
            "`{word}` in:\n{}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

async fn serve_component(door: &str, path: &str) -> Ended {
    let (name, value) = backend();
    Edgelb::serve()
        .args(["--door", door, "--component", path])
        .env(name, value)
        .run()
        .await
}

#[tokio::test]
async fn every_faulty_variable_is_named_with_its_value() {
    for command in [Edgelb::serve(), Edgelb::new("check")] {
        let ended = command
            .env("BACKEND_A", "ftp://a.test")
            .env("BACKEND_B", "")
            .env("MAX_RETRIES", "many")
            .env("AFFINITY_KEY", "mood")
            .env("TRUSTED_PROXIES", "10.0.0.0/33")
            .env("SESION_COOKIE_TTL", "60")
            .run()
            .await;
        refused(
            &ended,
            &[
                "BACKEND_A",
                "ftp://a.test",
                "MAX_RETRIES",
                "many",
                "AFFINITY_KEY",
                "mood",
                "TRUSTED_PROXIES",
                "10.0.0.0/33",
                "SESION_COOKIE_TTL",
                "SESSION_COOKIE_TTL",
            ],
        );
        assert!(!ended.stderr.contains("BACKEND_B"), "blank is unset");
    }
}

#[tokio::test]
async fn no_backend_is_an_error_that_says_what_to_set() {
    refused(&Edgelb::serve().run().await, &["BACKEND_"]);
}

#[tokio::test]
async fn https_backends_need_somebody_to_trust() {
    let directory = Directory::new();
    let none = directory.write("none.pem", "");
    let ended = Edgelb::serve()
        .env("SSL_CERT_FILE", none)
        .env("BACKEND_A", "https://a.test")
        .run()
        .await;
    refused(&ended, &["root certificates", "ca-certificates"]);
}

#[tokio::test]
async fn a_component_that_cannot_be_read_is_named() {
    for door in ["exchange", "wasi-http"] {
        let ended = serve_component(door, "/nonexistent/x.wasm").await;
        refused(&ended, &["/nonexistent/x.wasm", "No such file"]);
    }
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let directory = Directory::new();
    let path = directory.write("x.wasm", "this is text");
    for door in ["exchange", "wasi-http"] {
        let ended = serve_component(door, &path).await;
        refused(&ended, &[&path, "not a WebAssembly component"]);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_missing_export_is_named() {
    let directory = Directory::new();
    let balancer = directory.write("balancer.wasm", edgelb_artifacts::BALANCER);
    let edgelb = directory.write("edgelb.wasm", edgelb_artifacts::EDGELB);
    refused(
        &serve_component("exchange", &edgelb).await,
        &[
            &edgelb,
            "edgelb:balancer/exchange",
            "`edgelb serve --door wasi-http` runs it",
        ],
    );
    refused(
        &serve_component("wasi-http", &balancer).await,
        &[
            &balancer,
            "wasi:http/handler",
            "`edgelb serve --door exchange` runs it",
        ],
    );
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (name, value) = backend();
    let ended = Edgelb::new("serve")
        .args(["--listen", &address])
        .env(name, value)
        .run()
        .await;
    refused(&ended, &[&address, "in use"]);
}

#[tokio::test]
async fn files_that_are_of_no_use_are_named() {
    let directory = Directory::new();
    let text = directory.write("x.pem", "no certificate");
    let lines = directory.write("x.env", "BACKEND_A=a.test\nnonsense\n");
    let (name, value) = backend();
    for (flag, path, why) in [
        ("--upstream-ca", "/nonexistent/ca.pem", "No such file"),
        ("--upstream-ca", &*text, "certificate"),
        ("--env-file", "/nonexistent/x.env", "No such file"),
        ("--env-file", &*lines, "line 2"),
        ("--access-log", "/nonexistent/x.log", "No such file"),
    ] {
        let serve = Edgelb::serve().args([flag, path]).env(name, value);
        refused(&serve.run().await, &[flag, path, why]);
    }
}
