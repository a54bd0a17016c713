//! WebSocket through and through (<https://www.rfc-editor.org/rfc/rfc6455>).

use edgelb_tests::client::Client;
use edgelb_tests::noise::Noise;
use edgelb_tests::script::Reply;
use edgelb_tests::websocket::{
    CloseCode, CloseFrame, Echo, Error, Message, connect, receive, try_connect,
};
use edgelb_tests::within;
use futures_util::SinkExt as _;
use futures_util::future::join_all;

use crate::stage::{Door, Stage};

crate::both_doors!(
    messages_of_a_mebibyte_pass_both_ways,
    close_codes_pass_both_ways,
    fifty_at_once,
    a_failed_handshake_goes_to_another_backend,
    a_refused_handshake_is_forwarded,
    either_half_may_close_first,
    a_client_that_leaves_ends_the_tunnel,
);

const HANDSHAKE: &str = "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn messages_of_a_mebibyte_pass_both_ways(door: Door) {
    let echo = Echo::start();
    let edgelb = door.serve().env("BACKEND_A", echo.url()).start().await;
    let mut socket = connect(edgelb.address, "/socket").await;
    let noise: Vec<u8> = Noise::new(3, 1 << 20).flatten().collect();
    let text = "ö".repeat(1 << 19);
    for message in [Message::binary(noise), Message::text(text)] {
        within("it is sent", socket.send(message.clone()))
            .await
            .unwrap();
        assert!(
            receive(&mut socket).await == message,
            "it came back changed"
        );
    }
}

/// <https://www.rfc-editor.org/rfc/rfc6455#section-7.1.5>
async fn close_codes_pass_both_ways(door: Door) {
    let echo = Echo::start();
    let edgelb = door.serve().env("BACKEND_A", echo.url()).start().await;

    let mut socket = connect(edgelb.address, "/").await;
    socket
        .send(Message::text("close 4001 enough"))
        .await
        .unwrap();
    let Message::Close(Some(frame)) = receive(&mut socket).await else {
        panic!("a close frame");
    };
    assert_eq!((frame.code.into(), &*frame.reason), (4001_u16, "enough"));
    drop(socket);

    let mut socket = connect(edgelb.address, "/").await;
    let frame = CloseFrame {
        code: CloseCode::from(4002),
        reason: "goodbye".into(),
    };
    socket.close(Some(frame)).await.unwrap();
    let answer = receive(&mut socket).await;
    assert!(answer.is_close(), "{answer:?}");
    let heard = echo.closes_until(2).await;
    assert_eq!(heard[1], Some((4002, "goodbye".to_owned())));
}

async fn fifty_at_once(door: Door) {
    let echo = Echo::start();
    let edgelb = door.serve().env("BACKEND_A", echo.url()).start().await;
    let mut sockets = join_all((0..50).map(|_| connect(edgelb.address, "/"))).await;
    for round in 0..3 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            let message = Message::text(format!("{round} of {number}"));
            socket.send(message).await.unwrap();
        }
        // Each gets its own, though all were sent before any was read.
        for (number, socket) in sockets.iter_mut().enumerate() {
            let expected = Message::text(format!("{round} of {number}"));
            assert_eq!(receive(socket).await, expected);
        }
    }
}

async fn a_failed_handshake_goes_to_another_backend(door: Door) {
    let edgelb = door
        .serve()
        .env("BACKEND_DOWN_TIME", "1")
        .env("BACKEND_DOWN_TIME_MAX", "1")
        .env("FIRST_BYTE_TIMEOUT", "300");
    let mut stage = Stage::with(edgelb).await;
    let home = stage.home().await;
    for trouble in [
        Reply::new(500, &[], ""),
        Reply::silence(),
        Reply::default().reset(),
    ] {
        stage.backends[1 - home].always(Reply::tunnel());
        stage.backends[home].always(trouble.clone());
        assert_eq!(tunnelled(&stage).await, "through", "{trouble:?}");
        stage.heal(home).await;
    }
    stage.backends[1 - home].always(Reply::tunnel());
    stage.backends[home].refuse();
    assert_eq!(tunnelled(&stage).await, "through", "refusal");
}

/// What comes back through a new tunnel.
async fn tunnelled(stage: &Stage) -> bytes::Bytes {
    let mut client = Client::connect(stage.address()).await;
    client.send(HANDSHAKE).await;
    let head = client.head().await;
    assert_eq!(head.status(), 101, "{head:?}");
    client.send("through").await;
    within("the echo", client.wire.bytes())
        .await
        .unwrap()
        .unwrap()
}

async fn a_refused_handshake_is_forwarded(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::new(403, &[], "not you"));
    match try_connect(stage.address(), "/").await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("a 403 in place of {other:?}"),
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9293#section-3.6>
async fn either_half_may_close_first(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::tunnel().then("and the rest").close());
    let mut client = Client::connect(stage.address()).await;
    client.send(HANDSHAKE).await;
    assert_eq!(client.head().await.status(), 101);
    client.send("something").await;
    client.wire.finish().await.unwrap();
    assert_eq!(rest(&mut client).await, "somethingand the rest");

    let (feeder, mut collected) = tokio::sync::mpsc::unbounded_channel();
    stage.both(&Reply::switch().then("that is all").finish().collect(feeder));
    let mut client = Client::connect(stage.address()).await;
    client.send(HANDSHAKE).await;
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(rest(&mut client).await, "that is all");
    client.send("still here").await;
    let piece = within("the other half lives on", collected.recv()).await;
    assert_eq!(piece.unwrap(), "still here");
}

/// Everything up to the end of the other direction.
async fn rest(client: &mut Client) -> String {
    let mut rest = Vec::new();
    while let Some(piece) = within("the end", client.wire.bytes()).await.unwrap() {
        rest.extend_from_slice(&piece);
    }
    String::from_utf8(rest).unwrap()
}

async fn a_client_that_leaves_ends_the_tunnel(door: Door) {
    let stage = Stage::new(door).await;
    let home = stage.home().await;
    stage.both(&Reply::switch().hang());
    let mut client = Client::connect(stage.address()).await;
    client.send(HANDSHAKE).await;
    assert_eq!(client.head().await.status(), 101);
    drop(client);
    let backend = &stage.backends[home];
    backend
        .until("the tunnel ends", |seen| seen.gone == 1)
        .await;
}
