//! What is said on standard error: why a backend is out, and for how long.

use edgelb_tests::client::{self, Client};
use edgelb_tests::process::Signal;
use edgelb_tests::script::Reply;

use crate::stage::{Door, Stage};

crate::both_doors!(
    an_ejection_says_which_backend_how_long_and_why,
    a_trial_and_a_recovery_are_told,
    what_the_end_of_draining_cuts_off_is_counted,
);

const NAMES: [&str; 2] = ["ONE", "TWO"];

/// What a line says of a backend, its date aside.
async fn said(stage: &mut Stage, home: usize, what: &str) -> String {
    let name = format!(" backend {} (", NAMES[home]);
    let meant = |line: &str| line.contains(&name) && line.contains(what);
    let line = stage.edgelb.process.stderr(meant).await;
    // https://www.rfc-editor.org/rfc/rfc3339#section-5.6
    let (time, said) = line.split_once(' ').unwrap();
    assert_eq!((time.len(), &time[10..11], &time[23..]), (24, "T", "Z"));
    said.to_owned()
}

async fn an_ejection_says_which_backend_how_long_and_why(door: Door) {
    let broken = Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").close();
    for (reply, reason) in [
        (Reply::new(503, &[], ""), "status 503"),
        (Reply::default().reset(), "connection_terminated"),
        (broken, "the body broke off"),
    ] {
        let mut stage = Stage::with(door.serve().env("BACKEND_DOWN_TIME", "1500")).await;
        let home = stage.home().await;
        stage.backends[home].always(reply);
        let mut client = Client::connect(stage.address()).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        // One of them does not arrive whole.
        let _ = client.try_response("GET").await;
        let url = stage.backends[home].url();
        let expected = format!(
            "backend {} ({url}) ejected for 1500 ms: {reason}",
            NAMES[home]
        );
        assert_eq!(said(&mut stage, home, "ejected").await, expected);
    }
}

async fn a_trial_and_a_recovery_are_told(door: Door) {
    let edgelb = door.serve().args(["--threads", "1"]);
    let mut stage = Stage::with(edgelb.env("BACKEND_DOWN_TIME", "1000")).await;
    let home = stage.home().await;
    stage.backends[home].refuse();
    assert_eq!(stage.get("/").await.status(), 200);
    let url = stage.backends[home].url();
    let who = format!("backend {} ({url})", NAMES[home]);
    let ejected = said(&mut stage, home, "ejected").await;
    assert_eq!(
        ejected,
        format!("{who} ejected for 1 s: connection_refused")
    );
    stage.heal(home).await;
    for what in ["on trial", "recovered"] {
        assert_eq!(said(&mut stage, home, what).await, format!("{who} {what}"));
    }
}

async fn what_the_end_of_draining_cuts_off_is_counted(door: Door) {
    let mut stage = Stage::with(door.serve().args(["--drain-timeout", "1"])).await;
    let home = stage.home().await;
    stage.both(&Reply::silence());
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(stage.address()).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        clients.push(client);
    }
    let mut idle = Client::connect(stage.address()).await;
    idle.ask("GET", "/.well-known/edgelb/health", "").await;
    let backend = &stage.backends[home];
    backend
        .until("the requests", |seen| seen.requests == 4)
        .await;
    stage.edgelb.process.signal(Signal::TERM);
    let ended = stage.edgelb.process.ended().await;
    assert_eq!(ended.status.code(), Some(0));
    let told = " 3 under way still after 1 s: cut off";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[tokio::test]
async fn the_status_page_says_where_backends_are() {
    let token = "a-token-of-some-length";
    let stage = Stage::with(Door::Exchange.serve().env("STATUS_TOKEN", token)).await;
    let authorization = format!("authorization: Bearer {token}\r\n");
    let target = "/.well-known/edgelb/status";
    let page = client::ask(stage.address(), "GET", target, &authorization).await;
    let page: serde_json::Value = serde_json::from_str(page.text()).unwrap();
    for (backend, shown) in stage
        .backends
        .iter()
        .zip(page["backends"].as_array().unwrap())
    {
        assert_eq!(shown["origin"], backend.url());
    }
}
