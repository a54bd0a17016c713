//! Clients that go away.

use edgelb_tests::client::Client;
use edgelb_tests::noise::Noise;
use edgelb_tests::script::{Feed, Reply};

use crate::stage::{Door, Stage};

crate::both_doors!(
    a_client_that_leaves_before_the_response_cancels_the_request,
    a_client_that_leaves_within_the_response_cancels_the_rest,
    a_client_that_leaves_within_its_own_body_cancels_the_request,
    a_client_that_leaves_while_its_answered_body_is_awaited_is_noticed,
    a_client_that_stops_reading_is_given_up,
    beyond_the_most_connections_clients_wait,
);

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

async fn a_client_that_leaves_before_the_response_cancels_the_request(door: Door) {
    let stage = Stage::new(door).await;
    let home = stage.home().await;
    let backend = &stage.backends[home];
    backend.always(Reply::silence());
    let mut client = Client::connect(stage.address()).await;
    client.send(GET).await;
    backend
        .until("the request", |seen| seen.requests == 2)
        .await;
    drop(client);
    backend.until("its end", |seen| seen.gone == 1).await;
    // And nobody is blamed for it.
    backend.always(Reply::ok("back"));
    assert_eq!(stage.get("/").await.text(), "back");
}

async fn a_client_that_leaves_within_the_response_cancels_the_rest(door: Door) {
    let stage = Stage::new(door).await;
    let home = stage.home().await;
    let backend = &stage.backends[home];
    let (feeder, feed) = Feed::new();
    feeder.send("first".into()).unwrap();
    backend.always(Reply::chunked(&[], feed));
    let mut client = Client::connect(stage.address()).await;
    client.send(GET).await;
    let (_, _, mut body) = client.response_head("GET").await;
    client.data(&mut body).await.unwrap();
    drop(client);
    backend.until("its end", |seen| seen.gone == 1).await;
    backend.always(Reply::ok("back"));
    assert_eq!(stage.get("/").await.text(), "back");
}

async fn a_client_that_leaves_within_its_own_body_cancels_the_request(door: Door) {
    let stage = Stage::new(door).await;
    let home = stage.home().await;
    let backend = &stage.backends[home];
    let mut client = Client::connect(stage.address()).await;
    // More than is ever kept for another attempt, so that it is sent as it comes.
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nsome")
        .await;
    backend
        .until("the request", |seen| seen.requests == 2)
        .await;
    drop(client);
    backend.until("its end", |seen| seen.gone == 1).await;
    assert_eq!(stage.get("/").await.status(), 200);
    assert_eq!(stage.backends[1 - home].seen().requests, 0);
}

async fn a_client_that_leaves_while_its_answered_body_is_awaited_is_noticed(door: Door) {
    let stage = Stage::new(door).await;
    let home = stage.home().await;
    let backend = &stage.backends[home];
    let (feeder, feed) = Feed::new();
    feeder.send("early".into()).unwrap();
    backend.always(Reply::chunked(&[], feed).before_body());
    let mut client = Client::connect(stage.address()).await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nsome")
        .await;
    let (_, _, mut body) = client.response_head("POST").await;
    client.data(&mut body).await.unwrap();
    drop(client);
    backend.until("its end", |seen| seen.gone == 1).await;
    backend.always(Reply::ok("back"));
    assert_eq!(stage.get("/").await.text(), "back");
}

async fn a_client_that_stops_reading_is_given_up(door: Door) {
    let stage = Stage::with(door.serve().env("IDLE_TIMEOUT", "300")).await;
    let home = stage.home().await;
    let backend = &stage.backends[home];
    // More than all the buffers on the way take.
    backend.always(Reply::noise(Noise::new(1, 64 << 20)));
    let mut client = Client::connect(stage.address()).await;
    client.send(GET).await;
    client.response_head("GET").await;
    backend.until("its end", |seen| seen.gone == 1).await;
    // And nobody is blamed for it.
    backend.always(Reply::ok("back"));
    assert_eq!(stage.get("/").await.text(), "back");
}

async fn beyond_the_most_connections_clients_wait(door: Door) {
    let serve = door
        .serve()
        .args(["--threads", "1", "--max-connections", "1"]);
    let stage = Stage::with(serve).await;
    stage.both(&Reply::ok("served"));
    let mut first = Client::connect(stage.address()).await;
    first.ask("GET", "/", "").await;
    let mut second = Client::connect(stage.address()).await;
    second.send(GET).await;
    for _ in 0..20 {
        first.ask("GET", "/", "").await;
    }
    let requests = || -> usize { stage.backends.iter().map(|it| it.seen().requests).sum() };
    assert_eq!(requests(), 21, "none of the one who waits");
    drop(first);
    assert_eq!(second.response("GET").await.text(), "served");
}
