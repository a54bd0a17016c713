//! Bodies that are larger than memory should be, or never end.

use edgelb_tests::client::Client;
use edgelb_tests::noise::Noise;
use edgelb_tests::script::{Feed, Reply};

use crate::stage::{Door, Stage};

crate::both_doors!(
    a_hundred_megabytes_down_pass_whole_and_are_not_held,
    a_hundred_megabytes_up_pass_whole_and_are_not_held,
    bytes_come_back_while_the_request_is_still_sent,
    events_arrive_as_they_are_sent,
);

const LARGE: u64 = 100 << 20;
const GROWTH: u64 = 32 << 20;

async fn a_hundred_megabytes_down_pass_whole_and_are_not_held(door: Door) {
    let stage = Stage::new(door).await;
    stage.home().await;
    let noise = Noise::new(11, LARGE);
    stage.both(&Reply::noise(noise.clone()));
    let before = stage.edgelb.process.resident();
    let mut client = Client::connect(stage.address()).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (_, head, mut body) = client.response_head("GET").await;
    assert_eq!(head.field("content-length"), Some(&*LARGE.to_string()));
    let received = client.digest(&mut body).await;
    let growth = stage.edgelb.process.peak().saturating_sub(before);
    assert_eq!(received, noise.digest());
    assert!(growth < GROWTH, "{} KiB", growth >> 10);
}

async fn a_hundred_megabytes_up_pass_whole_and_are_not_held(door: Door) {
    let stage = Stage::new(door).await;
    stage.home().await;
    stage.both(&Reply::digest());
    let noise = Noise::new(12, LARGE);
    let before = stage.edgelb.process.resident();
    let mut client = Client::connect(stage.address()).await;
    client
        .send(format!(
            "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {LARGE}\r\n\r\n"
        ))
        .await;
    for piece in noise.clone() {
        client.send(&piece).await;
    }
    let response = client.response("PUT").await;
    let growth = stage.edgelb.process.peak().saturating_sub(before);
    assert_eq!(response.text(), noise.digest().sha256);
    assert!(growth < GROWTH, "{} KiB", growth >> 10);
}

async fn bytes_come_back_while_the_request_is_still_sent(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::echo());
    let mut client = Client::connect(stage.address()).await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    client.send("3\r\none\r\n").await;
    let (_, _, mut body) = client.response_head("POST").await;
    assert_eq!(client.data(&mut body).await.unwrap().unwrap(), "one");
    client.send("3\r\ntwo\r\n").await;
    assert_eq!(client.data(&mut body).await.unwrap().unwrap(), "two");
    client.send("0\r\n\r\n").await;
    assert_eq!(client.data(&mut body).await.unwrap(), None);
}

async fn events_arrive_as_they_are_sent(door: Door) {
    let stage = Stage::new(door).await;
    let (feeder, feed) = Feed::new();
    let fields = [("content-type", "text/event-stream")];
    stage.both(&Reply::chunked(&fields, feed));
    let mut client = Client::connect(stage.address()).await;
    client.send("GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (_, head, mut body) = client.response_head("GET").await;
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    for number in 0..5 {
        let event = format!("id: {number}\ndata: hello\n\n");
        feeder.send(event.clone().into()).unwrap();
        // The next is not sent before this one has arrived.
        assert_eq!(client.data(&mut body).await.unwrap().unwrap(), event);
    }
    drop(feeder);
    assert_eq!(client.data(&mut body).await.unwrap(), None);
}
