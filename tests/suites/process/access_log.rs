//! One line a request, without credentials.

use edgelb_tests::client;
use edgelb_tests::nginx::Directory;
use edgelb_tests::process::Signal;
use edgelb_tests::script::Reply;
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

/// What backends are called. By the standard door only the guest knows them.
fn names(door: Door) -> [Value; 2] {
    match door {
        Door::Exchange => ["ONE", "TWO"].map(Value::from),
        Door::WasiHttp => [Value::Null, Value::Null],
    }
}

crate::both_doors!(
    a_line_says_what_happened,
    credentials_in_targets_are_left_out,
    a_failover_counts_its_attempts,
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
    assert!(names(door).contains(&line["backend"]), "{line}");
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
    assert_eq!(line["backend"], names(door)[1 - home]);
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
async fn off_is_off() {
    let mut stage = Stage::with(Door::Exchange.serve().args(["--access-log", "off"])).await;
    stage.get("/").await;
    stage.edgelb.process.signal(Signal::TERM);
    assert_eq!(stage.edgelb.process.ended().await.stdout, "");
}
