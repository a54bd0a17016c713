//! Bodies: framed anew, streamed, whole or seen not to be.

use edgelb_tests::client::HOST;
use edgelb_tests::noise::Noise;
use edgelb_tests::script::{Feed, Reply};

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::{FORGIVING, Stage};

scenarios!("Bodies":
    chunked_bodies_pass_both_ways,
    response_trailers_pass,
    request_trailers_pass,
    events_arrive_as_they_are_sent,
    bytes_come_back_while_the_request_is_still_sent,
    megabytes_down_pass_whole,
    megabytes_up_pass_whole,
    a_body_until_close_passes_whole,
    a_body_cut_short_arrives_cut_short,
    a_body_that_falls_silent_is_cut_short,
);

const LARGE: u64 = 16 << 20;

/// <https://www.rfc-editor.org/rfc/rfc9112#section-7.1>
async fn chunked_bodies_pass_both_ways(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::raw(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3;ext=1\r\ntwo\r\n0\r\n\r\n",
    ));
    for method in ["PUT", "DELETE"] {
        let mut client = stage.client().await;
        let head = format!("{method} / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        client
            .send(format!("{head}2\r\nup\r\n3\r\nper\r\n0\r\n\r\n"))
            .await;
        assert_eq!(client.response(method).await.text(), "onetwo", "{method}");
        let upload = stage.last().upload.unwrap();
        assert_eq!(upload.start, "upper", "{method}");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-6.5>
async fn response_trailers_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::raw(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
         3\r\none\r\n0\r\nx-sum: 2\r\n\r\n",
    ));
    let response = stage
        .ask("GET", "/", "te: trailers\r\nconnection: te\r\n")
        .await;
    assert_eq!(response.text(), "one");
    assert_eq!(response.trailers.only("x-sum"), Some("2"));
}

async fn request_trailers_pass(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let mut client = stage.client().await;
    let head =
        "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-check\r\n\r\n";
    client
        .send(format!("{head}2\r\nup\r\n0\r\nx-check: 1\r\n\r\n"))
        .await;
    assert_eq!(client.response("PUT").await.status(), 200);
    let upload = stage.last().upload.unwrap();
    assert_eq!(upload.start, "up");
    assert_eq!(upload.trailers.only("x-check"), Some("1"));
}

/// <https://html.spec.whatwg.org/multipage/server-sent-events.html>
async fn events_arrive_as_they_are_sent(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let (feeder, feed) = Feed::new();
    stage.all(&Reply::chunked(
        &[("content-type", "text/event-stream")],
        feed,
    ));
    let mut client = stage.client().await;
    client
        .send(format!("GET /events HTTP/1.1\r\nhost: {HOST}\r\n\r\n"))
        .await;
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

async fn bytes_come_back_while_the_request_is_still_sent(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::echo());
    let mut client = stage.client().await;
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

async fn megabytes_down_pass_whole(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let noise = Noise::new(11, LARGE);
    stage.all(&Reply::noise(noise.clone()));
    let mut client = stage.client().await;
    client
        .send(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n"))
        .await;
    let (_, head, mut body) = client.response_head("GET").await;
    assert_eq!(head.field("content-length"), Some(&*LARGE.to_string()));
    assert_eq!(client.digest(&mut body).await, noise.digest());
}

async fn megabytes_up_pass_whole(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::digest());
    let noise = Noise::new(12, LARGE);
    let mut client = stage.client().await;
    let head = format!("PUT / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {LARGE}\r\n\r\n");
    client.send(head).await;
    for piece in noise.clone() {
        client.send(&piece).await;
    }
    assert_eq!(client.response("PUT").await.text(), noise.digest().sha256);
    let length = stage.last().head.field("content-length").map(str::to_owned);
    assert_eq!(length, Some(LARGE.to_string()));
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>
async fn a_body_until_close_passes_whole(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::raw("HTTP/1.1 200 OK\r\nx-any: 1\r\n\r\nall there is").close());
    let response = stage.get("/").await;
    assert_eq!((response.status(), response.text()), (200, "all there is"));
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-8>
async fn a_body_cut_short_arrives_cut_short(runtime: &'static Runtime) {
    let known = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let stage = Stage::new(runtime, &FORGIVING).await;
    for half in [known, chunked] {
        for end in [Reply::reset, Reply::close] {
            // It ends when the client has the first half, and no sooner.
            let (feeder, feed) = Feed::new();
            stage.all(&end(Reply::raw(half).wait(feed)));
            let mut client = stage.client().await;
            client
                .send(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n"))
                .await;
            let (_, _, mut body) = client.response_head("GET").await;
            assert_eq!(client.data(&mut body).await.unwrap().unwrap(), "half");
            drop(feeder);
            let broken = client.data(&mut body).await;
            assert!(broken.is_err(), "{half:?} goes on with {broken:?}");
        }
    }
}

async fn a_body_that_falls_silent_is_cut_short(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("IDLE_TIMEOUT", "500")]).await;
    // The feeder lives on: the backend neither sends nor closes.
    let (feeder, feed) = Feed::new();
    feeder.send("some".into()).unwrap();
    stage.all(&Reply::chunked(&[], feed));
    let mut client = stage.client().await;
    client
        .send(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n"))
        .await;
    let (_, _, mut body) = client.response_head("GET").await;
    assert_eq!(client.data(&mut body).await.unwrap().unwrap(), "some");
    let broken = client.data(&mut body).await;
    assert!(broken.is_err(), "{broken:?}");
}
