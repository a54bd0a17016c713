//! What is recorded, and that it happens again when it is played.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use edgelb_tests::client;
use edgelb_tests::nginx::Directory;
use edgelb_tests::process::{Edgelb, Ended, Signal};
use edgelb_tests::script::Reply;
use edgelb_tests::within;
use serde_json::Value;

use crate::stage::{Door, Stage};

const NAMES: [&str; 2] = ["ONE", "TWO"];

crate::both_doors!(
    an_outage_that_was_recorded_happens_again,
    no_secret_is_recorded,
    bodies_are_recorded_by_length_and_hash,
    what_the_balancer_answers_itself_is_recorded_as_whole,
    an_upload_that_fails_is_not_the_backends_failure,
);

/// A place for a recording, an edgelb that makes one, and the option for it.
async fn recording(directory: &Directory, serve: Edgelb) -> (String, Stage) {
    let file = directory.path().join("recording.jsonl");
    let file = file.to_str().unwrap().to_owned();
    let stage = Stage::with(serve.args(["--record", &file])).await;
    (file, stage)
}

/// Its lines, once it is complete.
async fn lines(mut stage: Stage, file: &str) -> Vec<Value> {
    stage.edgelb.process.signal(Signal::TERM);
    assert_eq!(stage.edgelb.process.ended().await.status.code(), Some(0));
    parsed(file)
}

fn parsed(file: impl AsRef<Path>) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn replay(file: &str, trace: &str) -> Ended {
    let sim = Edgelb::new("sim").args(["--replay", file, "--trace", trace]);
    sim.run().await
}

async fn an_outage_that_was_recorded_happens_again(door: Door) {
    let directory = Directory::new();
    let (file, mut stage) = recording(&directory, door.serve()).await;
    let home = stage.home().await;
    for _ in 0..4 {
        stage.get("/before").await;
    }
    stage.backends[home].refuse();
    for _ in 0..6 {
        assert_eq!(stage.get("/after").await.status(), 200);
    }
    let recorded = lines(stage, &file).await;
    assert_eq!(recorded[0]["line"], "recording");
    assert_eq!(recorded[0]["backends"][0]["name"], "ONE");
    assert_eq!(recorded.len(), 1 + 11, "{recorded:?}");
    let failover = recorded.iter().find(|line| line["attempts"][1].is_object());
    let attempts = &failover.unwrap()["attempts"];
    assert_eq!(attempts[0]["backend"], NAMES[home]);
    assert_eq!(attempts[0]["delivery"], "not-sent", "{attempts}");
    assert_eq!(attempts[1]["backend"], NAMES[1 - home]);
    assert_eq!(attempts[1]["status"], 200);

    let traces = ["first.jsonl", "second.jsonl"].map(|name| directory.path().join(name));
    for trace in &traces {
        let ended = replay(&file, trace.to_str().unwrap()).await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        let compared = "availability       100.000 %   100.000 %";
        assert!(ended.stdout.contains(compared), "{}", ended.stdout);
        assert!(
            ended.stdout.contains("passed: all laws"),
            "{}",
            ended.stdout
        );
    }
    let [first, second] = traces.map(|trace| std::fs::read_to_string(trace).unwrap());
    assert_eq!(first, second);
    let entries: Vec<Value> = (first.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |event: &str| {
        let entries = entries.iter().filter(move |it| it["event"] == event);
        entries.cloned().collect::<Vec<_>>()
    };
    assert_eq!(of("exchange").len(), 11);
    let ejections = of("ejected");
    assert_eq!(ejections.len(), 1, "{first}");
    assert_eq!(ejections[0]["backend"], NAMES[home]);
}

async fn no_secret_is_recorded(door: Door) {
    const TARGET: &str = "/stremio/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/\
        eyJpIjoiZm9vIiwiZSI6ImJhciJ9/stream/movie/tt0111161.json?token=hunter2";
    let fields = "cookie: sid=s3cret-cookie\r\nauthorization: Bearer s3cret-bearer\r\n\
        proxy-authorization: Basic dXNlcjpwYXNz\r\nx-api-key: s3cret-key\r\n\
        x-forwarded-for: 192.0.2.66\r\nreferer: https://a/?s3cret-reset\r\n";
    let directory = Directory::new();
    let serve = door.serve();
    let serve = serve.env("SESSION_COOKIE_SECRET", "s3cret-of-the-session");
    let (file, stage) = recording(&directory, serve).await;
    let response = [
        ("set-cookie", "sid=s3cret-set; Path=/"),
        ("location", "/?access_token=s3cret-location"),
        ("x-auth-token", "s3cret-issued"),
        ("retry-after", "7"),
    ];
    stage.both(&Reply::new(200, &response, "s3cret-body"));
    stage.ask("GET", TARGET, fields).await;
    stage.ask("GET", TARGET, fields).await;
    let recorded = lines(stage, &file).await;
    for line in &recorded[1..] {
        let text = line.to_string();
        for secret in [
            "s3cret",
            "dXNlcjpwYXNz",
            "0b9c1d52",
            "eyJp",
            "hunter2",
            "192.0.2",
            "127.0.0.1",
            "sid",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(
            line["target"],
            "/stremio/*/*/stream/movie/tt0111161.json?token=*"
        );
        assert!(line["new_session"].is_string(), "{text}");
        let fields = line["attempts"][0]["fields"].as_array().unwrap();
        let value = |name: &str| fields.iter().find(|it| it["name"] == name).unwrap();
        assert_eq!(value("retry-after")["value"], "7");
        assert_eq!(value("content-length")["value"], "11");
        assert!(value("location")["hash"].is_string(), "{text}");
        assert!(value("x-auth-token")["hash"].is_string(), "{text}");
    }
    assert!(
        !recorded[0].to_string().contains("s3cret"),
        "{}",
        recorded[0]
    );
    for equal in ["client", "hidden", "fields", "cookies", "response"] {
        assert_eq!(recorded[1][equal], recorded[2][equal]);
    }
}

async fn bodies_are_recorded_by_length_and_hash(door: Door) {
    let directory = Directory::new();
    let (file, stage) = recording(&directory, door.serve()).await;
    stage.both(&Reply::ok("eleven byte"));
    for body in ["one body", "one body", "not that"] {
        let request = format!(
            "POST /upload HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = client::Client::connect(stage.address()).await;
        client.send(request).await;
        assert_eq!(client.response("POST").await.text(), "eleven byte");
    }
    let recorded = lines(stage, &file).await;
    // In order of their ends, which are told by as many threads as there are.
    let [one, two, three] = &recorded[1..] else {
        panic!("{recorded:?}")
    };
    for line in [one, two, three] {
        assert_eq!(line["body"]["bytes"], 8);
        assert_eq!(line["response"]["bytes"], 11);
        assert_eq!(line["end"], "whole");
        assert!(line["body"]["sha256"].is_string(), "{line}");
        assert!(line["response"]["sha256"].is_string(), "{line}");
        assert_eq!(line["response"]["sha256"], one["response"]["sha256"]);
    }
    let pairs = [(one, two), (two, three), (three, one)];
    let same = pairs.map(|(one, other)| one["body"]["sha256"] == other["body"]["sha256"]);
    assert_eq!(same.iter().filter(|&&same| same).count(), 1, "{recorded:?}");
}

async fn what_the_balancer_answers_itself_is_recorded_as_whole(door: Door) {
    let directory = Directory::new();
    let (file, mut stage) = recording(&directory, door.serve()).await;
    for backend in &mut stage.backends {
        backend.refuse();
    }
    for path in ["/", "/.well-known/edgelb/health"] {
        stage.get(path).await;
    }
    let recorded = lines(stage, &file).await;
    let ends: Vec<_> = recorded.iter().skip(1).map(|line| &line["end"]).collect();
    assert_eq!(ends, ["whole", "whole"], "{recorded:?}");
}

async fn an_upload_that_fails_is_not_the_backends_failure(door: Door) {
    let directory = Directory::new();
    let serve = door.serve().env("IDLE_TIMEOUT", "200");
    let (file, stage) = recording(&directory, serve).await;
    stage.both(&Reply::digest());
    // So much that it is sent before it is whole.
    let some = "x".repeat(0x40000);
    for (framing, expected) in [
        (format!("content-length: 1000000\r\n\r\n{some}"), 408),
        (
            format!("transfer-encoding: chunked\r\n\r\n40000\r\n{some}\r\nx"),
            400,
        ),
    ] {
        let mut client = client::Client::connect(stage.address()).await;
        let request = format!("POST /upload HTTP/1.1\r\nhost: a\r\n{framing}");
        client.send(request).await;
        assert_eq!(client.response("POST").await.status(), expected);
    }
    stage.get("/").await;
    let recorded = lines(stage, &file).await;
    let uploads = (recorded.iter()).filter(|line| line["target"] == "/upload");
    assert_eq!(uploads.clone().count(), 2, "{recorded:?}");
    for line in uploads {
        let attempts = line["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{line}");
        assert!(attempts[0]["backend"].is_string(), "{line}");
        for member in ["ended", "failure", "delivery"] {
            assert!(attempts[0][member].is_null(), "{member}: {line}");
        }
    }
    let trace = directory.path().join("trace.jsonl");
    let ended = replay(&file, trace.to_str().unwrap()).await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(!trace.contains(r#""event":"ejected""#), "{trace}");
}

#[tokio::test]
async fn a_hangup_opens_the_recording_anew_with_its_header() {
    let directory = Directory::new();
    let (file, stage) = recording(&directory, Door::Exchange.serve()).await;
    let rotated = format!("{file}.1");
    std::fs::rename(&file, &rotated).unwrap();
    stage.edgelb.process.signal(Signal::HUP);
    let opened = async {
        while std::fs::metadata(&file).map_or(0, |it| it.len()) == 0 {
            tokio::task::yield_now().await;
        }
    };
    within("the file is there again", opened).await;
    stage.get("/after").await;
    let recorded = lines(stage, &file).await;
    assert_eq!(recorded[0], parsed(&rotated)[0]);
    assert_eq!(recorded[1]["target"], "/after");
}

#[tokio::test]
async fn a_process_that_was_stopped_within_a_line_costs_that_line() {
    let directory = Directory::new();
    let (file, stage) = recording(&directory, Door::Exchange.serve()).await;
    stage.get("/").await;
    lines(stage, &file).await;
    // Another start of the same, after a crash.
    let text = std::fs::read_to_string(&file).unwrap();
    let broken = directory.write("crashed.jsonl", &text[..text.len() - 20]);
    let serve = Door::Exchange.serve().args(["--record", &broken]);
    let header: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let origin = |index: usize| header["backends"][index]["origin"].as_str().unwrap();
    let mut again = serve
        .env("BACKEND_ONE", origin(0))
        .env("BACKEND_TWO", origin(1))
        .start()
        .await;
    client::get(again.address, "/").await;
    again.process.signal(Signal::TERM);
    assert_eq!(again.process.ended().await.status.code(), Some(0));
    let ended = Edgelb::new("sim").args(["--replay", &broken]).run().await;
    let note = format!("{broken}: line 2 was cut off, and is left out");
    assert!(ended.stderr.contains(&note), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("and 1 requests in"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn what_nobody_reads_is_counted_and_keeps_nobody_from_the_end() {
    const REQUESTS: usize = 40;
    let directory = Directory::new();
    let pipe = directory.path().join("recording.pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || BufReader::with_capacity(1, File::open(pipe).unwrap())
    });
    let serve = Door::Exchange
        .serve()
        .args(["--record", pipe.to_str().unwrap()]);
    let mut stage = Stage::with(serve).await;
    let reader = reader.join().unwrap();
    // A pipe holds 64 KiB, which is less than these take.
    let fields: String = (0..80).map(|it| format!("x-field-{it}: x\r\n")).collect();
    for _ in 0..REQUESTS {
        stage.ask("GET", "/", &fields).await;
    }
    stage.edgelb.process.signal(Signal::TERM);
    let ended = stage.edgelb.process.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let said = ended.stderr.lines().find_map(|line| {
        let (counted, _) = line.split_once(" exchanges were not recorded: ")?;
        counted.rsplit(' ').next()?.parse::<usize>().ok()
    });
    let lines = reader.lines().map_while(Result::ok);
    let recorded =
        lines.filter(|line| line.starts_with(r#"{"line":"exchange""#) && line.ends_with('}'));
    let recorded = recorded.count();
    assert!(recorded < REQUESTS, "{recorded}");
    // The last write may have got some of its lines through.
    assert!(
        said.unwrap() + recorded >= REQUESTS,
        "{recorded}, {}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_recording_that_cannot_be_written_or_read_is_said() {
    let directory = Directory::new();
    let path = directory.path().to_str().unwrap();
    let serve = Door::Exchange.serve().env("BACKEND_ONE", "http://one.test");
    let ended = serve.args(["--record", path]).run().await;
    assert_eq!(ended.status.code(), Some(1));
    let expected = format!("edgelb: --record `{path}` cannot be opened: ");
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);

    let header = r#"{"line":"recording","version":2,"time":"2026-11-22T10:00:00.000Z"}"#;
    let file = directory.write("broken.jsonl", format!("{header}\nnonsense\n"));
    let ended = Edgelb::new("sim").args(["--replay", &file]).run().await;
    assert_eq!(ended.status.code(), Some(1));
    let expected = format!("edgelb: --replay `{file}`: line 2: ");
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
}

#[tokio::test]
async fn what_is_no_file_for_a_recording_is_refused() {
    let directory = Directory::new();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let log = directory.write("access.log", "");
    std::os::unix::fs::symlink(&log, path("link")).unwrap();
    std::fs::hard_link(&log, path("twin")).unwrap();
    let spelled = format!("{}/./access.log", directory.path().display());
    let mut table = vec![(
        "-".to_owned(),
        "--record `-` is no file; expected one".to_owned(),
    )];
    for file in [log.clone(), spelled, path("link"), path("twin")] {
        let expected = format!("--record `{file}` is the file of --access-log `{log}`, too");
        table.push((file, expected));
    }
    let stdout = "--record `/dev/stdout` is the file of --access-log `-`, too";
    table.push(("/dev/stdout".to_owned(), stdout.to_owned()));
    for (file, expected) in table {
        let place = if file == "/dev/stdout" { "-" } else { &log };
        let serve = Door::Exchange.serve().env("BACKEND_ONE", "http://one.test");
        let serve = serve.args(["--record", &file, "--access-log", place]);
        let ended = serve.run().await;
        assert_eq!(ended.status.code(), Some(1), "{file}");
        assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "");
    assert!(!Path::new("-").exists());
}

#[tokio::test]
async fn a_scenario_and_a_recording_are_told_apart() {
    let header = r#"{"line":"recording","version":2,"time":"2026-11-22T10:00:00.000Z"}"#;
    let directory = Directory::new();
    let recording = directory.write("traffic.jsonl", format!("{header}\n"));
    let scenario = directory.write("scenario", "name = \"a scenario\"\n");
    let faulty = directory.write("faulty.toml", "nane = \"a scenario\"\n");
    let other = directory.write("other", "\n<html>\n");
    let no = "is no recording, as `edgelb serve --record` writes it: line";
    let plays = format!("is a recording, no scenario; `edgelb sim --replay {recording}` plays it");
    let table = [
        (
            vec!["--replay", &scenario],
            format!(
                "--replay: `{scenario}` {no} 1 is not JSON: expected ident (column 2); \
                 it is a scenario: `edgelb sim {scenario}` runs it"
            ),
        ),
        (
            vec!["--replay", &faulty],
            format!("; it is a scenario: `edgelb sim {faulty}` runs it"),
        ),
        (
            vec!["--replay", &other],
            format!("--replay: `{other}` {no} 2 is not JSON: expected value (column 1)"),
        ),
        (vec![&*recording], format!("`{recording}` {plays}")),
        (
            vec!["--replay", &recording, &recording],
            format!("`{recording}` {plays}"),
        ),
    ];
    for (arguments, expected) in table {
        let ended = Edgelb::new("sim").args(arguments).run().await;
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn nothing_else_is_appended_to() {
    let directory = Directory::new();
    let (file, stage) = recording(&directory, Door::Exchange.serve()).await;
    stage.get("/").await;
    lines(stage, &file).await;
    let environment = directory.write("edgelb.env", "STATUS_TOKEN=s3cret");
    for (file, expected) in [
        (&environment, "is no recording: its first line is no JSON"),
        (
            &file,
            "was begun with another configuration (backends: `ONE=",
        ),
    ] {
        let before = std::fs::read(file).unwrap();
        let serve = Door::Exchange.serve().env("BACKEND_ONE", "http://one.test");
        let ended = serve.args(["--record", file]).run().await;
        assert_eq!(ended.status.code(), Some(1));
        let expected = format!("edgelb: --record: `{file}` {expected}");
        assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
        assert_eq!(std::fs::read(file).unwrap(), before);
    }
}

#[tokio::test]
async fn a_replay_that_fails_says_the_command_that_repeats_it() {
    let directory = Directory::new();
    let (file, stage) = recording(&directory, Door::Exchange.serve()).await;
    stage.get("/").await;
    lines(stage, &file).await;
    let text = "name = \"too much\"\n[expect]\nrequests = \">= 2\"\n";
    let scenario = directory.write("expect.toml", text);
    let sim = Edgelb::new("sim").args(["--replay", &file, &scenario, "--seeds", "0..2"]);
    let ended = sim.run().await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
    let again = format!("again: edgelb sim --replay {file} {scenario} --seed 0");
    assert!(ended.stdout.contains(&again), "{}", ended.stdout);
}
