//! What is sent again, and where.

use edgelb_tests::client::{HOST, Response};
use edgelb_tests::noise::Noise;
use edgelb_tests::script::{Reply, head};
use edgelb_tests::within;

use super::failures::failures;
use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::{FORGIVING, Stage, by};

scenarios!("Retries":
    what_fails_before_a_response_goes_to_another_backend,
    what_may_have_arrived_is_not_sent_twice,
    what_may_be_repeated_is_sent_again,
    what_has_no_body_is_sent_again,
    a_get_that_reached_nobody_is_sent_again,
    whatever_reached_nobody_is_sent_again,
    a_body_within_the_limit_is_sent_again_whole,
    a_body_beyond_the_limit_is_not_sent_again_once_read,
    a_body_nobody_read_is_sent_again_whatever_its_length,
    a_get_with_content_is_sent_again_with_it,
    retries_are_bounded_and_never_repeat_a_backend,
    the_last_response_is_forwarded_as_it_is,
    a_backend_that_lets_nobody_in_costs_the_connect_timeout,
    killed_backends_cost_no_idempotent_request,
);

async fn what_fails_before_a_response_goes_to_another_backend(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &FORGIVING).await;
    let home = stage.home().await;
    let statuses = [500, 502, 503, 504].map(|status| ("status", Reply::new(status, &[], "broken")));
    let failures = failures().map(|(failure, reply, ..)| (failure, reply));
    for (failure, reply) in failures.into_iter().chain(statuses) {
        stage.backends[home].always(reply);
        let response = stage.get("/").await;
        assert_eq!(response.status(), 200, "{failure}: {response:?}");
        assert_ne!(by(&response), home, "{failure}");
        stage.heal(home).await;
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2>
async fn what_may_have_arrived_is_not_sent_twice(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &FORGIVING).await;
    let home = stage.home().await;
    for method in ["POST", "PATCH"] {
        for (failure, reply, status, _) in failures() {
            stage.backends[home].always(reply);
            let before = stage.requests();
            let response = stage.send(method, "", b"body").await;
            assert_eq!(response.status(), status, "{method}, {failure}");
            assert_eq!(stage.requests() - before, 1, "{method}, {failure}");
            stage.heal(home).await;
        }
    }
    stage.backends[home].always(Reply::new(500, &[], "its own words"));
    let response = stage.send("POST", "", b"body").await;
    assert_eq!((response.status(), response.text()), (500, "its own words"));
}

async fn what_may_be_repeated_is_sent_again(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &FORGIVING).await;
    let home = stage.home().await;
    for (method, fields) in [
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "idempotency-key: \"8e03978e\"\r\n"),
        ("PATCH", "idempotency-key: \"8e03978e\"\r\n"),
    ] {
        for (failure, reply, ..) in failures() {
            stage.backends[home].always(reply);
            let response = stage.send(method, fields, b"body").await;
            assert_eq!(response.status(), 200, "{method}, {failure}");
            assert_eq!(
                body_of_last(&stage, &response),
                b"body",
                "{method}, {failure}"
            );
            stage.heal(home).await;
        }
    }
}

/// What the backend that answered was sent.
fn body_of_last(stage: &Stage, response: &Response) -> Vec<u8> {
    let request = stage.backends[by(response)].received().pop().unwrap();
    request.upload.unwrap().start.into()
}

/// Browsers' preflight requests are such. That there is no body is told by what
/// is not there: neither a length nor chunks.
async fn what_has_no_body_is_sent_again(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &FORGIVING).await;
    let home = stage.home().await;
    for method in ["OPTIONS", "DELETE"] {
        for reply in [Reply::default().reset(), Reply::new(500, &[], "")] {
            stage.backends[home].always(reply.clone());
            let response = stage.ask(method, "/", "").await;
            assert_eq!(response.status(), 200, "{method}, {reply:?}");
            assert_eq!(body_of_last(&stage, &response), b"", "{method}");
            stage.heal(home).await;
        }
        stage.backends[home].refuse();
        let response = stage.ask(method, "/", "").await;
        assert_eq!(response.status(), 200, "{method}");
        stage.heal(home).await;
    }
}

async fn a_get_that_reached_nobody_is_sent_again(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &FORGIVING).await;
    let home = stage.home().await;
    stage.backends[home].refuse();
    let response = stage.get("/").await;
    assert_eq!(response.status(), 200);
    assert_ne!(by(&response), home);
}

async fn whatever_reached_nobody_is_sent_again(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &FORGIVING).await;
    let home = stage.home().await;
    for method in ["POST", "PATCH"] {
        stage.backends[home].refuse();
        let response = stage.send(method, "", b"body").await;
        assert_eq!(response.status(), 200, "{method}");
        assert_ne!(by(&response), home, "{method}");
        stage.heal(home).await;
    }
}

async fn a_body_within_the_limit_is_sent_again_whole(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("REPLAY_LIMIT", "65536")]).await;
    let home = stage.home().await;
    stage.backends[home].always(Reply::new(500, &[], ""));
    let noise = Noise::new(7, 65_536);
    let body: Vec<u8> = noise.clone().flatten().collect();
    let response = stage.send("PUT", "", &body).await;
    assert_eq!(response.status(), 200);
    assert_ne!(by(&response), home);
    let second = stage.backends[by(&response)].only();
    assert_eq!(second.upload.unwrap().digest, noise.digest());
    assert_eq!(second.head.field("content-length"), Some("65536"));
}

async fn a_body_beyond_the_limit_is_not_sent_again_once_read(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("REPLAY_LIMIT", "65536")]).await;
    let home = stage.home().await;
    stage.backends[home].always(Reply::new(500, &[], "as it is"));
    let body: Vec<u8> = Noise::new(7, 65_537).flatten().collect();
    let before = stage.requests();
    let response = stage.send("PUT", "", &body).await;
    assert_eq!((response.status(), response.text()), (500, "as it is"));
    assert_eq!(stage.requests() - before, 1);
}

async fn a_body_nobody_read_is_sent_again_whatever_its_length(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &[("REPLAY_LIMIT", "0")]).await;
    let home = stage.home().await;
    stage.backends[home].refuse();
    let noise = Noise::new(7, 1 << 20);
    let body: Vec<u8> = noise.clone().flatten().collect();
    let mut client = stage.client().await;
    let length = body.len();
    client
        .send(format!(
            "POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {length}\r\n\r\n"
        ))
        .await;
    // Who answers before it is all there may not take the rest.
    let _ = within("it is sent or refused", client.wire.write(&body)).await;
    let response = client.response("POST").await;
    assert_eq!(response.status(), 200);
    let upload = stage.backends[by(&response)].only().upload.unwrap();
    assert_eq!(upload.digest, noise.digest());
}

/// Nobody does this but those who do
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-9.3.1>).
async fn a_get_with_content_is_sent_again_with_it(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    stage.backends[home].always(Reply::new(500, &[], ""));
    let mut client = stage.client().await;
    client
        .send(format!(
            "GET / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 4\r\n\r\nbody"
        ))
        .await;
    let response = client.response("GET").await;
    assert_eq!(response.status(), 200);
    assert_eq!(body_of_last(&stage, &response), b"body");
}

async fn retries_are_bounded_and_never_repeat_a_backend(runtime: &'static Runtime) {
    for (retries, attempts) in [("0", 1), ("1", 2)] {
        let stage = Stage::new(runtime, &[("MAX_RETRIES", retries)]).await;
        stage.all(&Reply::new(500, &[], ""));
        assert_eq!(stage.get("/").await.status(), 500);
        assert_eq!(stage.requests(), attempts, "MAX_RETRIES={retries}");
        for backend in &stage.backends {
            assert!(backend.seen().requests <= 1, "MAX_RETRIES={retries}");
        }
    }
}

async fn the_last_response_is_forwarded_as_it_is(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    for backend in &stage.backends {
        let words = format!("the words of {}", backend.authority());
        backend.always(Reply::new(500, &[("x-detail", "kept")], words));
    }
    let response = stage.get("/").await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.head.field("x-detail"), Some("kept"));
    assert!(response.text().starts_with("the words of"), "{response:?}");
    assert!(!response.head.fields.has("proxy-status"));
}

async fn a_backend_that_lets_nobody_in_costs_the_connect_timeout(runtime: &'static Runtime) {
    let port = edgelb_tests::port::Port::reserve();
    let _swallowing = port.swallow().await;
    let environment = vec![
        ("BACKEND_A".to_owned(), format!("http://{}", port.address())),
        ("CONNECT_TIMEOUT".to_owned(), "400".to_owned()),
        ("FIRST_BYTE_TIMEOUT".to_owned(), "3000".to_owned()),
    ];
    let balancer = runtime.start(&environment).await;
    let begun = std::time::Instant::now();
    let response = edgelb_tests::client::get(balancer.address, "/").await;
    let waited = begun.elapsed();
    assert_eq!(response.status(), 503);
    assert_eq!(
        response.head.field("proxy-status"),
        Some("edgelb; error=connection_timeout")
    );
    assert!((400..3_000).contains(&waited.as_millis()), "{waited:?}");
}

async fn killed_backends_cost_no_idempotent_request(runtime: &'static Runtime) {
    const CLIENTS: usize = 8;
    const KILLS: usize = 4;
    let mut stage = Stage::new(
        runtime,
        &[
            ("AFFINITY_KEY", "path:1"),
            ("BACKEND_DOWN_TIME", "200"),
            ("BACKEND_DOWN_TIME_MAX", "400"),
        ],
    )
    .await;
    // Connections are kept here: they break under requests.
    for backend in &stage.backends {
        backend.script(|request| match request.head.method() {
            "HEAD" => Reply::raw(head(200, &[], "content-length: 4\r\n")),
            _ => Reply::ok("well"),
        });
    }
    let (over, is_over) = tokio::sync::watch::channel(false);
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let is_over = is_over.clone();
        let mut client = stage.client().await;
        clients.spawn(async move {
            let mut answered = 0;
            while !*is_over.borrow() {
                let method = ["GET", "HEAD", "GET", "DELETE"][number % 4];
                let response = client.ask(method, &format!("/{number}"), "").await;
                assert_eq!(response.status(), 200, "{method}: {response:?}");
                answered += 1;
            }
            answered
        });
    }
    // Down for longer than an ejection, so that trials fail, too.
    for kill in 0..KILLS {
        let victim = kill % stage.backends.len();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        stage.backends[victim].refuse();
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        stage.backends[victim].accept();
    }
    over.send(true).unwrap();
    let answered: usize = clients.join_all().await.into_iter().sum();
    assert!(answered > 50, "a load worth the name: {answered}");
}
