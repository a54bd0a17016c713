//! Requests that are wrong, each with a clear answer.

use edgelb_tests::client::Client;
use edgelb_tests::script::Reply;
use edgelb_tests::within;

use crate::stage::{Door, Stage};

crate::both_doors!(
    wrong_heads_are_refused,
    wrong_bodies_are_refused,
    a_body_that_ends_early_is_no_request,
    garbage_in_cookies_loses_nothing,
    contradictory_lengths_smuggle_nothing,
    what_is_answered_before_its_body_came_ends_the_connection,
);

/// The status of the response to these bytes; `None` for a closed connection.
async fn status(stage: &Stage, bytes: &[u8]) -> Option<u16> {
    let mut client = Client::connect(stage.address()).await;
    client.send(bytes).await;
    let head = within("an answer", client.wire.head()).await;
    head.ok().flatten().map(|head| head.status())
}

fn backends_saw(stage: &Stage) -> usize {
    stage.backends.iter().map(|it| it.seen().requests).sum()
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-3.2>,
/// <https://www.rfc-editor.org/rfc/rfc9112#section-5.1> and
/// <https://www.rfc-editor.org/rfc/rfc6585#section-5>
async fn wrong_heads_are_refused(door: Door) {
    let stage = Stage::new(door).await;
    let many: String = (0..2000)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let long = "x".repeat(1 << 20);
    let table = [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n".to_owned(),
            400,
        ),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: user@a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a:port\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n".to_owned(), 400),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n".to_owned(),
            400,
        ),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n".to_owned(), 400),
        ("GE(T / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("GET no-slash HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("complete nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
            431,
        ),
        (
            "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n".to_owned(),
            501,
        ),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 405),
    ];
    for (request, expected) in table {
        let shown = &request[..request.len().min(60)];
        let found = status(&stage, request.as_bytes()).await;
        assert_eq!(found, Some(expected), "{shown:?}");
    }
    assert_eq!(backends_saw(&stage), 0);
    assert_eq!(stage.get("/").await.status(), 200, "and so it goes on");
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-7.1>
async fn wrong_bodies_are_refused(door: Door) {
    let stage = Stage::new(door).await;
    for body in [
        "no size\r\nbody\r\n0\r\n\r\n",
        "-4\r\nbody\r\n0\r\n\r\n",
        "4\r\nbody and more\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nbody",
    ] {
        let request =
            format!("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        assert_eq!(
            status(&stage, request.as_bytes()).await,
            Some(400),
            "{body:?}"
        );
    }
    // Whose fault it is is clear: no backend's.
    assert!(!stage.edgelb.process.stderr_so_far().contains(" ejected "));
    assert_eq!(stage.get("/").await.status(), 200);
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-8>
async fn a_body_that_ends_early_is_no_request(door: Door) {
    let stage = Stage::new(door).await;
    stage.both(&Reply::digest());
    let mut client = Client::connect(stage.address()).await;
    client
        .send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")
        .await;
    client.wire.finish().await.unwrap();
    let head = within("an end", client.wire.head()).await;
    let status = head.ok().flatten().map(|head| head.status());
    assert!(matches!(status, None | Some(400)), "{status:?}");
    let whole = stage.backends.iter().flat_map(|it| it.received());
    assert!(whole.filter_map(|it| it.upload).next().is_none());
}

async fn garbage_in_cookies_loses_nothing(door: Door) {
    let stage = Stage::new(door).await;
    for cookie in [
        "edgelb=",
        "edgelb=\u{1}",
        "edgelb",
        ";;;=;",
        "edgelb=\"; a=b",
        "\u{ff}",
    ] {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\n\r\n");
        let found = status(&stage, request.as_bytes()).await;
        let expected = if cookie.contains('\u{1}') { 400 } else { 200 };
        assert_eq!(found, Some(expected), "{cookie:?}");
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>: whatever is made of
/// them, no second request comes out.
async fn contradictory_lengths_smuggle_nothing(door: Door) {
    let stage = Stage::new(door).await;
    let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    for framing in [
        "content-length: 4\r\ncontent-length: 5\r\n".to_owned(),
        "content-length: 4, 5\r\n".to_owned(),
        "content-length: +4\r\n".to_owned(),
        "content-length: 0x4\r\n".to_owned(),
        format!(
            "content-length: {}\r\ntransfer-encoding: chunked\r\n",
            hidden.len() + 5
        ),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding: x\r\n".to_owned(),
        "transfer-encoding: x, chunked\r\n".to_owned(),
        "transfer-encoding : chunked\r\n".to_owned(),
        "transfer-encoding: chunked\r\ntransfer-encoding: x\r\n".to_owned(),
    ] {
        let request = format!("PUT / HTTP/1.1\r\nhost: a\r\n{framing}\r\n0\r\n\r\n{hidden}");
        let found = status(&stage, request.as_bytes()).await;
        let both = framing.contains("length") && framing.contains("chunked");
        // https://www.rfc-editor.org/rfc/rfc9112#section-6.1
        let unknown = framing.contains("x, chunked");
        if !both {
            let expected = if unknown { 501 } else { 400 };
            assert_eq!(found, Some(expected), "{framing:?}");
        }
    }
    for backend in &stage.backends {
        for request in backend.received() {
            assert_eq!(request.head.target(), "/");
            let framed = ["content-length", "transfer-encoding"]
                .map(|name| usize::from(request.head.fields.has(name)));
            assert!(framed.iter().sum::<usize>() <= 1, "{request:?}");
        }
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>: the client is told, and gets
/// the response whole although it goes on sending.
async fn what_is_answered_before_its_body_came_ends_the_connection(door: Door) {
    let stage = Stage::with(door.serve().env("PRIMARY_DOMAIN", "elsewhere.test")).await;
    let large = "x".repeat(1 << 20);
    for (body, framing, kept) in [
        ("small", "content-length: 5\r\n\r\n", true),
        (&*large, "content-length: 2000000\r\n\r\n", false),
        (
            "",
            "expect: 100-continue\r\ncontent-length: 5\r\n\r\n",
            false,
        ),
    ] {
        let mut client = Client::connect(stage.address()).await;
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}");
        client.send(format!("{head}{body}")).await;
        let response = client.response("POST").await;
        assert_eq!(response.status(), 421, "{framing}");
        assert_eq!(
            response.head.field("connection").is_none(),
            kept,
            "{framing}"
        );
        if kept {
            assert_eq!(client.ask("GET", "/", "").await.status(), 421);
        }
    }
}
