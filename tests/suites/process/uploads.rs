//! Requests whose bodies are unusual, or never end.

use edgelb_tests::client::Client;
use edgelb_tests::script::{Feed, Reply};
use edgelb_tests::within;

use crate::stage::{Door, Stage};

crate::both_doors!(
    a_chunked_get_reaches_its_backend_whole,
    of_two_lengths_of_a_response_the_chunks_count,
    a_client_that_falls_silent_is_told_so,
    an_upload_that_stalls_after_its_answer_is_given_up,
    an_upload_that_ends_within_its_answer_ends_nothing_else,
    an_upload_that_nobody_takes_after_its_answer_is_given_up,
);

/// `printf hello | sha256sum`
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Content of a GET has no meaning, but it is not ours to drop
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-9.3.1>).
async fn a_chunked_get_reaches_its_backend_whole(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::digest());
    let mut client = Client::connect(stage.address()).await;
    client
        .send("GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.response("GET").await.text(), HELLO);
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>
async fn of_two_lengths_of_a_response_the_chunks_count(door: Door) {
    let stage = Stage::new(door).await;
    for lengths in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 3",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\n5\r\nwhole\r\n0\r\n\r\n");
        stage.both(&Reply::raw(response).close());
        assert_eq!(stage.get("/").await.text(), "whole", "{lengths:?}");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9>
async fn a_client_that_falls_silent_is_told_so(door: Door) {
    let stage = Stage::with(door.serve().env("IDLE_TIMEOUT", "200")).await;
    stage.both(&Reply::digest());
    let mut client = Client::connect(stage.address()).await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    assert_eq!(client.response("POST").await.status(), 408);
    assert!(!stage.edgelb.process.stderr_so_far().contains(" ejected "));
    assert_eq!(stage.get("/").await.status(), 200);
}

async fn an_upload_that_stalls_after_its_answer_is_given_up(door: Door) {
    let stage = Stage::with(door.serve().env("IDLE_TIMEOUT", "200")).await;
    stage.both(&Reply::ok("early").before_body());
    let mut client = Client::connect(stage.address()).await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nabc")
        .await;
    let status = client.response("POST").await.status();
    assert!(matches!(status, 200 | 408), "{status}");
    within("the connection's end", client.wire.gone()).await;
}

/// The end of the request is not the end of the connection to the backend, which
/// would take it for a client that left.
async fn an_upload_that_ends_within_its_answer_ends_nothing_else(door: Door) {
    let stage = Stage::new(door).await;
    let (feeder, feed) = Feed::new();
    stage.both(&Reply::chunked(&[], feed).before_body());
    let mut client = Client::connect(stage.address()).await;
    // More than is ever kept for another attempt, so that it is sent as it comes.
    let half = "x".repeat(100_000);
    client
        .send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n{half}"
        ))
        .await;
    let (_, _, mut body) = client.response_head("POST").await;
    client.send(half).await;
    for number in 0..20 {
        let piece = format!("piece {number}");
        feeder.send(piece.clone().into()).unwrap();
        assert_eq!(client.data(&mut body).await.unwrap().unwrap(), piece);
    }
    drop(feeder);
    assert_eq!(client.data(&mut body).await.unwrap(), None);
}

/// The response is whole, the backend keeps the connection, and reads no more.
async fn an_upload_that_nobody_takes_after_its_answer_is_given_up(door: Door) {
    let stage = Stage::with(door.serve().env("IDLE_TIMEOUT", "300")).await;
    let (_feeder, feed) = Feed::new();
    stage.both(&Reply::ok("no").before_body().wait(feed));
    let mut client = Client::connect(stage.address()).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n";
    client.send(head).await;
    let piece = vec![b'x'; 1 << 20];
    let sent = async {
        // For a while it is let go, so that the client sees its response.
        while client.wire.write(&piece).await.is_ok() {}
    };
    within("the end of what is taken", sent).await;
}
