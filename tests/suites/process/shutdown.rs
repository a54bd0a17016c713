//! How it ends when it is told to.

use std::time::Instant;

use edgelb_tests::client::Client;
use edgelb_tests::process::Signal;
use edgelb_tests::script::{Feed, Reply};
use edgelb_tests::within;

use crate::stage::{Door, Stage};

crate::both_doors!(sigterm_lets_requests_under_way_end, sigint_does_the_same,);

async fn sigterm_lets_requests_under_way_end(door: Door) {
    drained(door, Signal::TERM).await;
}

async fn sigint_does_the_same(door: Door) {
    drained(door, Signal::INT).await;
}

async fn drained(door: Door, signal: Signal) {
    let mut stage = Stage::new(door).await;
    let (feeder, feed) = Feed::new();
    feeder.send("begun, ".into()).unwrap();
    let mut idle = Client::connect(stage.address()).await;
    idle.ask("GET", "/", "").await;
    stage.both(&Reply::chunked(&[], feed));
    let mut client = Client::connect(stage.address()).await;
    client
        .send("GET /under-way HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    let (_, _, mut body) = client.response_head("GET").await;
    assert_eq!(client.data(&mut body).await.unwrap().unwrap(), "begun, ");

    stage.edgelb.process.signal(signal);
    within("the idle connection is closed", idle.wire.gone()).await;
    let refused = async { while Client::try_connect(stage.address()).await.is_ok() {} };
    within("no new connection is taken", refused).await;

    feeder.send("and ended".into()).unwrap();
    drop(feeder);
    assert_eq!(client.data(&mut body).await.unwrap().unwrap(), "and ended");
    assert_eq!(client.data(&mut body).await.unwrap(), None);
    let ended = stage.edgelb.process.ended().await;
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stdout.contains("/under-way"), "it is in the log");
}

#[tokio::test]
async fn requests_that_do_not_end_are_left_when_the_time_is_over() {
    let edgelb = Door::Exchange.serve().arg("--drain-timeout").arg("1");
    let mut stage = Stage::with(edgelb).await;
    let home = stage.home().await;
    stage.both(&Reply::silence());
    let mut client = Client::connect(stage.address()).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let backend = &stage.backends[home];
    backend
        .until("the request", |seen| seen.requests == 2)
        .await;
    let begun = Instant::now();
    stage.edgelb.process.signal(Signal::TERM);
    let ended = stage.edgelb.process.ended().await;
    assert_eq!(ended.status.code(), Some(0));
    let took = begun.elapsed();
    assert!(took.as_secs() >= 1, "{took:?}");
    assert!(
        took.as_secs() < 30,
        "the default is not what was asked for: {took:?}"
    );
}

/// Half a head is no request, and may never become one.
#[tokio::test]
async fn half_a_head_does_not_keep_from_the_end() {
    let edgelb = Door::Exchange.serve().arg("--drain-timeout").arg("60");
    let mut stage = Stage::with(edgelb).await;
    let mut client = Client::connect(stage.address()).await;
    client.ask("GET", "/", "").await;
    client.send("GET / HTTP/1.1\r\nho").await;
    stage.edgelb.process.signal(Signal::TERM);
    let ended = stage.edgelb.process.ended().await;
    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.stderr.contains("cut off"), "{}", ended.stderr);
}
