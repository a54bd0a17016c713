//! Clients that go away: by a reset, which nobody takes for anything else.

use std::time::Duration;

use edgelb_tests::client::Client;
use edgelb_tests::script::{Feed, Reply};

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::{NAMES, Stage, by, own};

scenarios!("Clients":
    a_client_that_leaves_before_the_response_cancels_the_request,
    a_client_that_leaves_within_the_response_cancels_the_rest,
    a_client_that_leaves_within_its_own_body_cancels_the_request,
    a_client_that_closes_has_left,
    nobody_is_blamed_for_a_client_that_leaves,
);

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

async fn a_client_that_leaves_before_the_response_cancels_the_request(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    leave(waiting(&stage, home).await);
    is_cancelled(&stage, home).await;
}

async fn a_client_that_leaves_within_the_response_cancels_the_rest(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    // The feeder lives on: there may be more to come.
    let (feeder, feed) = Feed::new();
    feeder.send("first".into()).unwrap();
    stage.backends[home].always(Reply::chunked(&[], feed));
    let mut client = stage.client().await;
    client.send(GET).await;
    let (_, _, mut body) = client.response_head("GET").await;
    client.data(&mut body).await.unwrap();
    leave(client);
    is_cancelled(&stage, home).await;
}

async fn a_client_that_leaves_within_its_own_body_cancels_the_request(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    let mut client = stage.client().await;
    // More than is ever kept for another attempt, so that it is sent as it comes.
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nsome")
        .await;
    stage.backends[home]
        .until("the request", |seen| seen.requests == 2)
        .await;
    leave(client);
    is_cancelled(&stage, home).await;
    let response = stage.get("/").await;
    assert_eq!(by(&response), home, "nobody is blamed");
}

/// Who half-closes and waits is not told from who is gone.
async fn a_client_that_closes_has_left(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    drop(waiting(&stage, home).await);
    is_cancelled(&stage, home).await;
}

async fn nobody_is_blamed_for_a_client_that_leaves(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    leave(waiting(&stage, home).await);
    stage.backends[home].script(move |_| own(NAMES[home]));
    for _ in 0..3 {
        assert_eq!(by(&stage.get("/").await), home);
    }
}

/// A client whose request has reached a backend that says nothing.
async fn waiting(stage: &Stage, home: usize) -> Client {
    let backend = &stage.backends[home];
    backend.always(Reply::silence());
    let mut client = stage.client().await;
    client.send(GET).await;
    backend
        .until("the request", |seen| seen.requests == 2)
        .await;
    client
}

fn leave(client: Client) {
    client.wire.abort().unwrap();
}

/// At once: no timeout is as short.
async fn is_cancelled(stage: &Stage, home: usize) {
    let cancelled = stage.backends[home].until("its end", |seen| seen.gone == 1);
    let cancelled = tokio::time::timeout(Duration::from_secs(4), cancelled).await;
    let health = stage.get("/.well-known/edgelb/health").await.status();
    assert!(
        cancelled.is_ok(),
        "the backend's connection ends; it is kept, by a balancer whose health is {health}"
    );
}
