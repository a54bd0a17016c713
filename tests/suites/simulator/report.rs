//! The report of a run, in a real browser.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use edgelb_host::sim::{Scenario, Simulation};
use edgelb_tests::nginx::Directory;

/// What Chromium is called where it is installed.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// That of `CHROMIUM`, else the first on `PATH`.
fn chromium() -> Option<String> {
    let runs = |name: &String| {
        let mut command = Command::new(name);
        let command = command.arg("--version");
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    match std::env::var("CHROMIUM") {
        Ok(path) => {
            assert!(runs(&path), "CHROMIUM: `{path}` does not run");
            Some(path)
        }
        Err(_) => NAMES.map(str::to_owned).into_iter().find(runs),
    }
}

#[test]
fn a_browser_shows_the_report_without_an_error() {
    let Some(chromium) = chromium() else {
        // Past what catches the output of tests that pass.
        let skipped = "SKIPPED the report in a browser: no Chromium; CHROMIUM=path names one\n";
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let text = std::fs::read_to_string(folder.join("flapping-backend.toml")).unwrap();
    let scenario: Scenario = text.parse().unwrap();
    let run = Simulation::of(scenario.clone())
        .build()
        .unwrap()
        .run()
        .unwrap();
    let directory = Directory::new();
    let path = directory.write("report.html", run.report(&scenario, &[]));

    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", directory.path().display()))
        .arg(format!("file://{path}"))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(dom.contains(r#"data-ready="true""#), "{log}");
    for plot in ["traffic", "errors", "health", "latency", "share"] {
        assert!(dom.contains(&format!(r#"<figure id="{plot}""#)), "{plot}");
    }
    // What a script throws and what the policy of the page refuses end here.
    assert!(!log.contains(":CONSOLE"), "{log}");
}
