//! Connections that are kept: to clients, and to backends that may have
//! closed them meanwhile.

use edgelb_tests::client::Client;
use edgelb_tests::script::Reply;

use crate::stage::{Door, Stage};

crate::both_doors!(
    connections_are_kept_on_both_sides,
    a_connection_closed_after_each_response_costs_no_request,
    a_connection_closed_under_a_request_costs_no_idempotent_one,
    a_connection_closed_under_a_post_does_not_send_it_twice,
    pipelined_requests_are_answered_in_order,
    http_1_0_is_answered_and_closed,
);

async fn connections_are_kept_on_both_sides(door: Door) {
    let stage = Stage::with(door.serve().arg("--threads").arg("1")).await;
    stage.both(&Reply::ok("kept"));
    let mut client = Client::connect(stage.address()).await;
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/", "").await.text(), "kept");
    }
    let seen = stage.backends.each_ref().map(|backend| backend.seen());
    let connections: usize = seen.iter().map(|seen| seen.connections).sum();
    assert_eq!(connections, 1, "{seen:?}");
}

async fn a_connection_closed_after_each_response_costs_no_request(door: Door) {
    let stage = Stage::new(door).await;
    // It does not say so: whoever keeps the connection finds it closed.
    stage.both(&Reply::ok("closed").close());
    let mut client = Client::connect(stage.address()).await;
    for method in ["GET", "POST"].repeat(25) {
        let response = client.ask(method, "/", "content-length: 0\r\n").await;
        assert_eq!(response.status(), 200, "{method}");
    }
    let requests: usize = stage.backends.iter().map(|it| it.seen().requests).sum();
    assert_eq!(requests, 50, "none was sent twice");
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1>
async fn a_connection_closed_under_a_request_costs_no_idempotent_one(door: Door) {
    let stage = Stage::with(door.serve().arg("--threads").arg("1")).await;
    let home = stage.home().await;
    stage.backends[home].script(each_connection_serves_one());
    let mut client = Client::connect(stage.address()).await;
    for _ in 0..5 {
        assert_eq!(client.ask("GET", "/", "").await.text(), "fresh");
    }
    // It is nobody's failure, so nobody else was asked.
    assert_eq!(stage.backends[1 - home].seen().requests, 0);
}

async fn a_connection_closed_under_a_post_does_not_send_it_twice(door: Door) {
    let stage = Stage::with(door.serve().arg("--threads").arg("1")).await;
    let home = stage.home().await;
    stage.backends[home].script(each_connection_serves_one());
    let mut client = Client::connect(stage.address()).await;
    client.ask("GET", "/", "").await;
    let before = stage.backends[home].seen().requests;
    let response = client.ask("POST", "/", "content-length: 0\r\n").await;
    assert_eq!(response.status(), 502);
    assert_eq!(stage.backends[home].seen().requests - before, 1);
    assert_eq!(stage.backends[1 - home].seen().requests, 0);
}

/// The second request on a connection is read, and answered by a close.
fn each_connection_serves_one()
-> impl Fn(&edgelb_tests::backend::Received) -> Reply + Send + Sync + 'static {
    let served = std::sync::Mutex::new(std::collections::BTreeSet::new());
    move |request| {
        if served.lock().unwrap().insert(request.connection) {
            Reply::ok("fresh")
        } else {
            Reply::default().close()
        }
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2>
async fn pipelined_requests_are_answered_in_order(door: Door) {
    let stage = Stage::new(door).await;
    for backend in &stage.backends {
        backend.script(|request| Reply::ok(request.head.target().to_owned()));
    }
    let mut client = Client::connect(stage.address()).await;
    let requests: String = ["/1", "/2", "/3", "/4"]
        .map(|target| format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"))
        .concat();
    client.send(requests).await;
    for target in ["/1", "/2", "/3", "/4"] {
        assert_eq!(client.response("GET").await.text(), target);
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-9.3> and
/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.1>: it knows no chunks.
async fn http_1_0_is_answered_and_closed(door: Door) {
    let stage = Stage::new(door).await;
    let feed = || edgelb_tests::script::Feed::of(["one", "two"]);
    for reply in [Reply::ok("onetwo"), Reply::chunked(&[], feed())] {
        stage.both(&reply);
        let mut client = Client::connect(stage.address()).await;
        client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
        let response = client.response("GET").await;
        assert_eq!((response.status(), response.text()), (200, "onetwo"));
        assert!(!response.head.fields.has("transfer-encoding"));
        edgelb_tests::within("the connection closes", client.wire.gone()).await;
    }
}
