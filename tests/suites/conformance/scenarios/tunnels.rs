//! WebSocket (<https://www.rfc-editor.org/rfc/rfc6455>).

use edgelb_tests::backend::Backend;
use edgelb_tests::noise::Noise;
use edgelb_tests::script::Reply;
use edgelb_tests::websocket::{
    CloseCode, CloseFrame, Echo, Error, Message, WebSocket, receive, try_connect,
};
use edgelb_tests::within;
use futures_util::SinkExt as _;

use super::scenarios;
use crate::runtime::{Balancer, Runtime};
use crate::stage::{FORGIVING, Stage};

scenarios!("WebSockets":
    a_web_socket_opens_or_is_refused_clearly,
    messages_of_a_mebibyte_pass_both_ways,
    close_codes_pass_both_ways,
    a_failed_handshake_goes_to_another_backend,
    a_refused_handshake_is_forwarded,
    a_client_that_leaves_ends_the_tunnel,
);

async fn over(runtime: &'static Runtime, echo: &Echo) -> Balancer {
    runtime
        .start(&vec![("BACKEND_A".to_owned(), echo.url())])
        .await
}

/// Opens one.
async fn open(balancer: &Balancer, target: &str) -> WebSocket {
    match try_connect(balancer.address, target).await {
        Ok((socket, _)) => socket,
        Err(Error::Http(response)) => panic!("{} in place of a tunnel", response.status()),
        Err(error) => panic!("{error}"),
    }
}

/// Rather a word than a dead tunnel.
async fn a_web_socket_opens_or_is_refused_clearly(runtime: &'static Runtime) {
    let echo = Echo::start();
    let balancer = over(runtime, &echo).await;
    match try_connect(balancer.address, "/").await {
        Ok((mut socket, _)) => {
            socket.send(Message::text("through")).await.unwrap();
            assert_eq!(receive(&mut socket).await, Message::text("through"));
        }
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 501);
            assert_eq!(response.headers()["proxy-status"], "edgelb");
        }
        Err(error) => panic!("{error}"),
    }
}

async fn messages_of_a_mebibyte_pass_both_ways(runtime: &'static Runtime) {
    let echo = Echo::start();
    let balancer = over(runtime, &echo).await;
    let mut socket = open(&balancer, "/socket").await;
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
async fn close_codes_pass_both_ways(runtime: &'static Runtime) {
    let echo = Echo::start();
    let balancer = over(runtime, &echo).await;
    let mut socket = open(&balancer, "/").await;
    socket
        .send(Message::text("close 4001 enough"))
        .await
        .unwrap();
    let Message::Close(Some(frame)) = receive(&mut socket).await else {
        panic!("a close frame");
    };
    assert_eq!((frame.code.into(), &*frame.reason), (4001_u16, "enough"));
    drop(socket);

    let mut socket = open(&balancer, "/").await;
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

async fn a_failed_handshake_goes_to_another_backend(runtime: &'static Runtime) {
    let echo = Echo::start();
    let mut home = Backend::start(|_| Reply::ok(""));
    // A drained backend is tried when the other has failed, not before.
    let spare = format!("{};drain", echo.url());
    let mut environment = vec![("BACKEND_A", home.url()), ("BACKEND_SPARE", spare)];
    environment.extend(FORGIVING.map(|(name, value)| (name, value.to_owned())));
    let environment = environment.into_iter();
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    let balancer = runtime.start(&environment.collect()).await;
    for trouble in [
        Some(Reply::new(500, &[], "")),
        Some(Reply::silence()),
        Some(Reply::default().reset()),
        None,
    ] {
        let before = home.seen().requests;
        match trouble.clone() {
            Some(reply) => home.always(reply),
            None => home.refuse(),
        }
        let mut socket = open(&balancer, "/").await;
        socket.send(Message::text("through")).await.unwrap();
        assert_eq!(
            receive(&mut socket).await,
            Message::text("through"),
            "{trouble:?}"
        );
        assert_eq!(
            home.seen().requests > before,
            trouble.is_some(),
            "{trouble:?}"
        );
    }
}

async fn a_refused_handshake_is_forwarded(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    stage.all(&Reply::new(403, &[], "not you"));
    match try_connect(stage.address(), "/").await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?} in place of a 403"),
    }
}

async fn a_client_that_leaves_ends_the_tunnel(runtime: &'static Runtime) {
    let echo = Echo::start();
    let balancer = over(runtime, &echo).await;
    let mut socket = open(&balancer, "/").await;
    socket.send(Message::text("through")).await.unwrap();
    receive(&mut socket).await;
    drop(socket);
    echo.closes_until(1).await;
}
