//! One line a request, without credentials.

use std::net::{SocketAddr, TcpListener};

use edgelb_tests::client::{self, Client};
use edgelb_tests::nginx::Directory;
use edgelb_tests::process::{Edgelb, Signal};
use edgelb_tests::script::Reply;
use edgelb_tests::within;
use serde_json::Value;

use crate::stage::{Door, Stage};

const CREDENTIALS: &str = "/stremio/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/\
    eyJpIjoiZm9vIiwiZSI6ImJhciJ9/stream/movie/tt0111161.json?token=hunter2";

async fn json(door: Door) -> Stage {
    Stage::with(door.serve().args(["--log-format", "json"])).await
}

async fn line(stage: &mut Stage, mention: &str) -> Value {
    serde_json::from_str(&stage.edgelb.logged(mention).await).unwrap()
}

const NAMES: [&str; 2] = ["ONE", "TWO"];

crate::both_doors!(
    a_line_says_what_happened,
    credentials_in_targets_are_left_out,
    a_failover_counts_its_attempts,
    a_request_that_nobody_answered_is_of_the_backend_tried_last,
    a_client_that_left_is_of_the_backend_it_waited_for,
    a_tunnel_is_logged_when_it_ends,
);

async fn a_line_says_what_happened(door: Door) {
    let mut stage = json(door).await;
    stage.both(&Reply::new(206, &[], "twelve bytes"));
    stage.ask("PROPFIND", "/what", "").await;
    let line = line(&mut stage, "/what").await;
    let fields: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
    let mut expected = [
        "time",
        "client",
        "method",
        "target",
        "status",
        "bytes",
        "duration_ms",
        "backend",
        "attempts",
        "host",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(line["client"], "127.0.0.1");
    assert_eq!(line["method"], "PROPFIND");
    assert_eq!(line["host"], client::HOST);
    assert_eq!(line["target"], "/what");
    assert_eq!(line["status"], 206);
    assert_eq!(line["bytes"], 12);
    assert_eq!(line["attempts"], 1);
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
    assert!(NAMES.contains(&line["backend"].as_str().unwrap()), "{line}");
    // https://www.rfc-editor.org/rfc/rfc3339#section-5.6
    let time = line["time"].as_str().unwrap();
    assert_eq!((time.len(), &time[10..11], &time[23..]), (24, "T", "Z"));
}

async fn credentials_in_targets_are_left_out(door: Door) {
    let mut stage = json(door).await;
    stage.get(CREDENTIALS).await;
    let logged = stage.edgelb.logged("/stremio/").await;
    for secret in ["0b9c1d52", "eyJp", "hunter2"] {
        assert!(!logged.contains(secret), "{logged}");
    }
    let line: Value = serde_json::from_str(&logged).unwrap();
    let target = line["target"].as_str().unwrap();
    assert!(target.contains("/stream/movie/tt0111161.json"), "{target}");
}

async fn a_failover_counts_its_attempts(door: Door) {
    let mut stage = json(door).await;
    let home = stage.home().await;
    stage.backends[home].refuse();
    assert_eq!(stage.get("/failover").await.status(), 200);
    let line = line(&mut stage, "/failover").await;
    assert_eq!(line["attempts"], 2);
    assert_eq!(line["backend"], NAMES[1 - home]);
}

async fn a_request_that_nobody_answered_is_of_the_backend_tried_last(door: Door) {
    // By the standard door, one view of health.
    let serve = door.serve().args(["--threads", "1"]);
    let mut stage = Stage::with(serve.args(["--log-format", "json"])).await;
    let home = stage.home().await;
    stage.backends[home].always(Reply::default().reset());
    stage.ask("POST", "/once", "content-length: 0\r\n").await;
    let once = line(&mut stage, "/once").await;
    assert_eq!(
        (&once["status"], &once["attempts"]),
        (&502.into(), &1.into())
    );
    assert_eq!(once["backend"], NAMES[home]);

    stage.backends[home].refuse();
    stage.backends[1 - home].refuse();
    stage.get("/nobody").await;
    let nobody = line(&mut stage, "/nobody").await;
    assert_eq!(
        (&nobody["status"], &nobody["attempts"]),
        (&503.into(), &2.into())
    );
    assert_eq!(nobody["backend"], NAMES[home], "the ejected one comes last");
}

async fn a_client_that_left_is_of_the_backend_it_waited_for(door: Door) {
    let mut stage = json(door).await;
    let home = stage.home().await;
    stage.backends[home].always(Reply::silence());
    let mut client = Client::connect(stage.address()).await;
    client.send("GET /left HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let backend = &stage.backends[home];
    backend
        .until("the request", |seen| seen.requests == 2)
        .await;
    drop(client);
    let line = line(&mut stage, "/left").await;
    assert_eq!(
        (&line["status"], &line["attempts"]),
        (&499.into(), &1.into())
    );
    assert_eq!(line["backend"], NAMES[home]);
}

async fn a_tunnel_is_logged_when_it_ends(door: Door) {
    let mut stage = json(door).await;
    let home = stage.home().await;
    stage.both(&Reply::tunnel().close());
    let mut client = Client::connect(stage.address()).await;
    client
        .send(
            "GET /tunnel HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_eq!(client.head().await.status(), 101);
    client.send("eleven byte").await;
    let mut returned = 0;
    while returned < 11 {
        returned += client.wire.bytes().await.unwrap().unwrap().len();
    }
    // A request that follows is logged first.
    stage.both(&Reply::ok(""));
    stage.get("/meanwhile").await;
    stage.edgelb.logged("/meanwhile").await;
    assert!(!stage.edgelb.process.stdout_so_far().contains("/tunnel"));
    drop(client);
    let line = line(&mut stage, "/tunnel").await;
    assert_eq!((&line["status"], &line["bytes"]), (&101.into(), &11.into()));
    assert_eq!(line["backend"], NAMES[home]);
}

#[tokio::test]
async fn an_address_of_ipv4_is_written_so() {
    if TcpListener::bind("[::]:0").is_err() {
        // A machine without IPv6 has no such listener.
        return;
    }
    let both = Edgelb::new("serve").args(["--listen", "[::]:0"]);
    let mut stage = Stage::with(both).await;
    let address = SocketAddr::from(([127, 0, 0, 1], stage.address().port()));
    client::get(address, "/four").await;
    let line = stage.edgelb.logged("/four").await;
    assert_eq!(line.split(' ').nth(1), Some("127.0.0.1"));
}

/// By the standard door only the guest knows.
#[tokio::test]
async fn the_client_is_who_a_trusted_proxy_says() {
    let serve = Door::Exchange.serve().env("TRUSTED_PROXIES", "127.0.0.1");
    let mut stage = Stage::with(serve).await;
    let home = stage.home().await;
    let forwarded = "x-forwarded-for: 192.0.2.66, ::ffff:198.51.100.7\r\n";
    stage.ask("GET", "/told", forwarded).await;
    stage.backends[home].refuse();
    stage.backends[1 - home].refuse();
    stage.ask("GET", "/failed", forwarded).await;
    for target in ["/told", "/failed"] {
        let line = stage.edgelb.logged(target).await;
        assert_eq!(line.split(' ').nth(1), Some("198.51.100.7"), "{line}");
    }
}

#[tokio::test]
async fn what_the_balancer_answers_itself_is_of_no_backend() {
    let mut stage = json(Door::Exchange).await;
    stage.get("/.well-known/edgelb/health").await;
    let line = line(&mut stage, "health").await;
    assert_eq!(
        (&line["backend"], &line["status"]),
        (&Value::Null, &200.into())
    );
    assert_eq!(line["attempts"], 0);
}

#[tokio::test]
async fn lines_are_for_people_by_default() {
    let mut stage = Stage::new(Door::Exchange).await;
    stage.get("/people?key=hunter2").await;
    let line = stage.edgelb.logged("/people").await;
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!(words[1], "127.0.0.1");
    let request = format!("\"GET {} /people?key=*\"", client::HOST);
    assert!(line.contains(&request), "{line}");
    assert_eq!(words[5], "200");
}

#[tokio::test]
async fn a_file_gets_the_lines_instead_of_stdout() {
    let directory = Directory::new();
    let file = directory.write("access.log", "earlier\n");
    let mut stage = Stage::with(Door::Exchange.serve().args(["--access-log", &file])).await;
    stage.get("/filed").await;
    stage.edgelb.process.signal(Signal::TERM);
    let ended = stage.edgelb.process.ended().await;
    assert_eq!(ended.stdout, "");
    let lines = std::fs::read_to_string(file).unwrap();
    assert!(lines.starts_with("earlier\n"), "appended to: {lines}");
    assert!(lines.contains("/filed"), "{lines}");
}

#[tokio::test]
async fn a_hangup_opens_the_file_anew() {
    let directory = Directory::new();
    let file = directory.write("access.log", "");
    let rotated = format!("{file}.1");
    let mut stage = Stage::with(Door::Exchange.serve().args(["--access-log", &file])).await;
    stage.get("/before").await;
    std::fs::rename(&file, &rotated).unwrap();
    stage.edgelb.process.signal(Signal::HUP);
    let opened = async {
        while !std::path::Path::new(&file).exists() {
            tokio::task::yield_now().await;
        }
    };
    within("the file is there again", opened).await;
    stage.get("/after").await;
    stage.edgelb.process.signal(Signal::TERM);
    let ended = stage.edgelb.process.ended().await;
    assert_eq!(ended.status.code(), Some(0));
    let [rotated, file] = [rotated, file].map(|file| std::fs::read_to_string(file).unwrap());
    assert!(
        file.contains("/after") && !rotated.contains("/after"),
        "{file}"
    );
    assert!((rotated + &file).contains("/before"));
}

#[tokio::test]
async fn a_hangup_without_a_file_is_ignored() {
    let mut stage = Stage::new(Door::Exchange).await;
    stage.edgelb.process.signal(Signal::HUP);
    stage.get("/still-here").await;
    stage.edgelb.logged("/still-here").await;
    stage.edgelb.process.signal(Signal::TERM);
    assert_eq!(stage.edgelb.process.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_told_once() {
    let mut stage = Stage::with(Door::Exchange.serve().args(["--access-log", "/dev/full"])).await;
    let told = |line: &str| line.contains("the access log cannot be written: ");
    for _ in 0..3 {
        stage.get("/").await;
        stage.edgelb.process.stderr(told).await;
    }
    stage.edgelb.process.signal(Signal::TERM);
    let ended = stage.edgelb.process.ended().await;
    assert_eq!(ended.stderr.lines().filter(|line| told(line)).count(), 1);
}

#[tokio::test]
async fn off_is_off() {
    let mut stage = Stage::with(Door::Exchange.serve().args(["--access-log", "off"])).await;
    stage.get("/").await;
    stage.edgelb.process.signal(Signal::TERM);
    assert_eq!(stage.edgelb.process.ended().await.stdout, "");
}
