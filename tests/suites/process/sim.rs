//! `edgelb sim`, as it is used.

use edgelb_tests::FAULTY;
use edgelb_tests::nginx::Directory;
use edgelb_tests::process::{Edgelb, Ended, program};

const SCENARIO: &str = r#"
name = "short"
duration = "2m"

[[backend]]
name = "A"

[[backend]]
name = "B"

[[clients]]
name = "people"
rate = 5.0

[[fault]]
kind = "down"
backend = "A"
at = "1m"

[expect]
availability = "= 100 %"
ejections = ">= 1"
"#;

async fn sim(directory: &Directory, scenario: &str, arguments: &[&str]) -> Ended {
    let file = directory.write("scenario.toml", scenario);
    let edgelb = Edgelb::new("sim").args([file.as_str()]);
    edgelb.args(arguments.iter().copied()).run().await
}

#[tokio::test]
async fn what_came_of_it_is_shown_and_was_expected() {
    let ended = sim(&Directory::new(), SCENARIO, &[]).await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    for expected in [
        "short",
        "2m of virtual time",
        "availability       100.000 %",
        "share.A",
        "passed: all laws, 2 of 2 expectations",
    ] {
        assert!(ended.stdout.contains(expected), "{}", ended.stdout);
    }
}

/// `edgelb sim FILE | head`
#[test]
fn who_no_longer_reads_what_is_shown_costs_nothing() {
    let directory = Directory::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = std::process::Command::new(program())
        .args(["sim", &directory.write("scenario.toml", SCENARIO)])
        .stdout(writer)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[tokio::test]
async fn what_was_not_expected_exits_with_1() {
    let scenario = SCENARIO.replace("ejections = \">= 1\"", "ejections = \"= 0\"");
    let ended = sim(&Directory::new(), &scenario, &[]).await;
    assert_eq!(ended.status.code(), Some(1));
    let line = ended.stdout.lines().find(|line| line.contains("FAILED"));
    assert!(
        line.is_some_and(|it| it.ends_with("expected = 0")),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn equal_seeds_leave_equal_traces() {
    let directory = Directory::new();
    let trace = directory.write("trace.jsonl", "");
    let mut traces = Vec::new();
    for seed in ["5", "5", "6"] {
        let ended = sim(&directory, SCENARIO, &["--seed", seed, "--trace", &trace]).await;
        assert!(ended.status.success(), "{}", ended.stderr);
        traces.push(std::fs::read_to_string(&trace).unwrap());
    }
    assert!(traces[0].lines().count() > 500);
    assert!(traces[0] == traces[1] && traces[1] != traces[2]);
    let parsed: Result<Vec<serde_json::Value>, _> =
        traces[0].lines().map(serde_json::from_str).collect();
    assert!(parsed.is_ok());
}

#[tokio::test]
async fn a_sweep_says_the_extremes_of_what_is_expected() {
    let ended = sim(&Directory::new(), SCENARIO, &["--seeds", "0..3"]).await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("3 of 3 seeds passed"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("ejections       2 .. 2"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn a_law_that_is_broken_is_shown_by_the_smallest_scenario() {
    let directory = Directory::new();
    let faulty = directory.write("faulty.wasm", FAULTY);
    let clients = "rate = 5.0\npath = \"/deliver-twice\"\nmethods = { POST = 1 }";
    let scenario = SCENARIO
        .replace("rate = 5.0", clients)
        .replace("kind = \"down\"", "kind = \"reset\"");
    let ended = sim(
        &directory,
        &scenario,
        &["--component", &faulty, "--seeds", "0..8"],
    )
    .await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
    for expected in [
        "what may not be repeated is delivered once",
        "again: edgelb sim",
        "--seed 0",
        "the smallest scenario found",
        "kind = \"reset\"",
    ] {
        assert!(
            ended.stdout.contains(expected),
            "{expected}:\n{}",
            ended.stdout
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_with_its_name_and_line() {
    let table = [
        ("rate = 5.0", "rate = -5.0", "line 13"),
        (
            "backend = \"A\"",
            "backend = \"Q\"",
            "there is no backend `Q`",
        ),
        ("duration", "durration", "unknown field `durration`"),
        (
            "[expect]",
            "[environment]\nMAX_RETRIES = 1000\n[expect]",
            "MAX_RETRIES",
        ),
        (
            "[expect]",
            "[environment]\nBACKEND_C = \"http://c.test\"\n[expect]",
            "there is no backend `C`",
        ),
        ("at = \"1m\"", "at = \"2m\"", "line 18: fault 1: at: `2m`"),
        ("ejections = \">= 1\"", "ejections = \">= 1 s\"", "line 22"),
    ];
    for (right, wrong, expected) in table {
        let ended = sim(&Directory::new(), &SCENARIO.replace(right, wrong), &[]).await;
        assert_eq!(ended.status.code(), Some(1));
        let told = ended.stderr.contains("scenario.toml");
        let once = ended.stderr.matches(expected).count() == 1;
        assert!(told && once, "{expected}: {}", ended.stderr);
    }
    let ended = Edgelb::new("sim").args(["nowhere.toml"]).run().await;
    assert!(
        ended.stderr.contains("`nowhere.toml` cannot be read"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn what_is_written_never_takes_the_place_of_what_is_read() {
    let directory = Directory::new();
    let file = directory.write("scenario.toml", SCENARIO);
    let other = format!("{}/./scenario.toml", directory.path().display());
    let fresh = format!("{}/fresh", directory.path().display());
    for arguments in [
        ["--trace", &*file].as_slice(),
        &["--report", &*other],
        &["--trace", &*fresh, "--report", &*fresh],
        &["--trace", "-"],
    ] {
        let ended = sim(&directory, SCENARIO, arguments).await;
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
        let told = ended.stderr.contains("expected one each") || ended.stderr.contains("stdout");
        assert!(told, "{}", ended.stderr);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), SCENARIO);
        assert!(!std::path::Path::new(&fresh).exists());
    }
}

#[tokio::test]
async fn what_was_answered_in_the_place_of_backends_is_noted() {
    let scenario = format!("{SCENARIO}\n[environment]\nPRIMARY_DOMAIN = \"shop.example\"\n");
    let ended = sim(&Directory::new(), &scenario, &[]).await;
    let note = ended.stdout.lines().find(|it| it.starts_with("note: "));
    let note = note.unwrap_or_default();
    assert!(
        note.contains("no request reached a backend; "),
        "{}",
        ended.stdout
    );
    assert!(note.ends_with("were answered with 421"), "{note}");
}
