//! What a file may say, and what is said of one that may not.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::sim::Preset;

const WHOLE: &str = r#"
name = "whole"
about = "Everything a scenario can say."
duration = "10m"
seed = 3
host = "example.com"
limits = { preset = "cloudflare-free", cpu-time = "5ms", subrequests = 3 }

[environment]
MAX_RETRIES = 2
STICKY_SESSIONS = false

[[location]]
name = "fra"
isolates = 2
latency = "20ms"
cold-start = { min = "5ms", max = "20ms" }
evict-after = "5m"
lifetime = "1h"

[[backend]]
name = "A"
latency = { median = "40ms", p99 = "300ms" }
workers = 10
queue = 20
error-rate = 0.01
rate-limit = 50.0
warm-up = "30s"
body = "2 kB"
transfer = "1s"

[[link]]
location = "fra"
backend = "A"
latency = "80ms"

[[clients]]
name = "players"
count = 10
rate = 5.0
daily-swing = 0.5
methods = { GET = 9, POST = 1 }
path = "/stremio/{client}/stream"
patience = "20s"

[[fault]]
kind = "down"
backend = "A"
at = "1m"
for = "10s"
every = "1m"

[expect]
availability = ">= 99 %"
share.A = "10% .. 100%"
"#;

#[test]
fn a_scenario_reads_back_as_it_is_written() {
    let scenario: Scenario = WHOLE.parse().unwrap();
    assert_eq!(scenario.environment["MAX_RETRIES"], "2");
    assert_eq!(scenario.to_string().parse(), Ok(scenario));
}

#[test]
fn a_share_is_a_number_or_a_percentage() {
    for (text, share) in [
        ("0.5", 0.5),
        ("0", 0.0),
        ("1", 1.0),
        ("\"2.5 %\"", 0.025),
        ("\"0.25\"", 0.25),
    ] {
        let text = WHOLE.replace("error-rate = 0.01", &format!("error-rate = {text}"));
        let scenario: Scenario = text.parse().unwrap();
        assert_eq!(scenario.backends[0].error_rate, share.into(), "{text}");
    }
}

#[test]
fn a_fragment_leaves_the_duration_to_the_recording() {
    let table = [
        ("", Duration::ZERO, 60),
        ("duration = \"1m\"", Duration::from_secs(60), 60),
        ("duration = \"2m\"", Duration::from_secs(120), 120),
    ];
    for (text, fragment, whole) in table {
        assert_eq!(Scenario::fragment(text).unwrap().duration, fragment);
        let scenario: Scenario = text.parse().unwrap();
        assert_eq!(scenario.duration, Duration::from_secs(whole), "{text}");
    }
}

#[test]
fn a_bound_has_the_unit_of_what_it_bounds() {
    let figures = [
        ("availability", "<= 99 %", "<= 5 ms"),
        ("retries", "<= 5", "<= 5 ms"),
        ("ejections", "1 .. 5", "1 % .. 5 %"),
        ("p99", "<= 1s", "<= 1"),
        ("detect", "<= 1m 30s", "<= 90 %"),
        ("share.A", "<= 0.5", "<= 5 s"),
    ];
    for (figure, right, wrong) in figures {
        let with = |bound| {
            let line = format!("[expect]\n{figure} = \"{bound}\"\n");
            WHOLE
                .replace("[expect]\n", &line)
                .replace("\nshare.A = \"10% .. 100%\"", "")
        };
        let with = |bound| with(bound).replace("availability = \">= 99 %\"\n", "");
        assert!(
            with(right).parse::<Scenario>().is_ok(),
            "{figure} = {right}"
        );
        let error = with(wrong).parse::<Scenario>().unwrap_err().to_string();
        let told = ["line 54", figure, wrong, "expected"];
        assert!(told.iter().all(|it| error.contains(it)), "{error}");
    }
}

#[test]
fn limits_are_a_platform_or_what_differs_from_one() {
    let scenario: Scenario = WHOLE.parse().unwrap();
    let named = "limits = \"cloudflare-paid\"".parse::<Scenario>().unwrap();
    assert_eq!(named.limits, Preset::CloudflarePaid.into());
    assert!(named.to_string().contains("limits = \"cloudflare-paid\""));
    assert_eq!(scenario.limits.preset, Preset::CloudflareFree);
    assert_eq!(scenario.limits.subrequests, Some(3));
    let table = [
        ("subrequests = 3", "subrequests = -3", "subrequests = -3"),
        (
            "subrequests = 3",
            "connections = 0",
            "a whole number from 1 on",
        ),
        ("subrequests = 3", "subrequest = 3", "`subrequest`"),
        ("cpu-time = \"5ms\"", "cpu-time = \"5\"", "as `500ms`"),
        ("subrequests = 3", "memory = \"1 Mb\"", "as `\"64 KiB\"`"),
        ("\"cloudflare-free\"", "\"cloudflare\"", "`cloudflare-paid`"),
    ];
    for (right, wrong, expected) in table {
        let text = WHOLE.replace(right, wrong);
        let error = text.parse::<Scenario>().unwrap_err().to_string();
        assert!(error.contains("line 7"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let error = "limits = 3".parse::<Scenario>().unwrap_err().to_string();
    assert!(
        error.contains("line 1") && error.contains("expected limits"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let table = [
        ("duration = \"10m\"", "duration = \"10x\"", "line 4"),
        ("seed = 3", "sead = 3", "line 5"),
        ("duration = \"10m\"", "duration = \"99y\"", "ten years"),
        (
            "duration = \"10m\"",
            "duration = \"0s\"",
            "line 4: duration",
        ),
        (
            "duration = \"10m\"",
            "duration = 10",
            "a length of time in quotes",
        ),
        ("\">= 99 %\"", "0.99", "a bound in quotes"),
        ("GET = 9", "get = 9", "expected `GET`"),
        ("error-rate = 0.01", "error-rate = 1.5", "from 0.0 to 1.0"),
        (
            "error-rate = 0.01",
            "error-rate = 2",
            "`2`, expected a share",
        ),
        (
            "error-rate = 0.01",
            "error-rate = \"101 %\"",
            "or as `\"50 %\"`",
        ),
        ("rate = 5.0", "rate = \"5\"", "expected a number"),
        ("[[link]]", "[link]", "in two brackets"),
        (
            "count = 10",
            "count = 1.5",
            "a whole number from 1 to 4294967295",
        ),
        ("rate = 5.0", "rate = 1e9", "more than 100000 a second"),
        (
            "path = \"/stremio/{client}/stream\"",
            "path = \"/a b\"",
            "`/a b` is no path",
        ),
        (
            "host = \"example.com\"",
            "host = \"exa mple\"",
            "line 6: host",
        ),
        ("\">= 99 %\"", "\">= 99\"", "expected up to 100 %"),
        ("count = 10", "count = 4000000000", "more than 65536"),
        ("\"2 kB\"", "1000000000000", "more than 67108864"),
        ("\"2 kB\"", "-2", "`-2`, expected a size"),
        ("\"2 kB\"", "\"2 ms\"", "expected a size"),
        ("\">= 99 %\"", "\"<= 5 ms\"", "line 54"),
        (
            "\"10% .. 100%\"",
            "\"10 .. 20\"",
            "line 55: expect: share.A",
        ),
        ("at = \"1m\"", "at = \"10m\"", "line 49: fault 1: at: `10m`"),
        ("isolates = 2", "isolates = 20000", "more than 1000"),
        (
            "for = \"10s\"\nevery = \"1m\"",
            "for = \"1ns\"\nevery = \"2ns\"",
            "a millisecond",
        ),
        ("kind = \"down\"", "kind = \"gone\"", "line 47"),
        (
            "availability = \">= 99 %\"",
            "availability = \"99\"",
            ">= 99.9 %",
        ),
        (
            "median = \"40ms\", p99",
            "median = \"400ms\", p99",
            "more than `p99`",
        ),
    ];
    for (right, wrong, expected) in table {
        let text = WHOLE.replace(right, wrong);
        let error = text.parse::<Scenario>().unwrap_err().to_string();
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

#[test]
fn what_does_not_go_together_is_said_all_at_once() {
    let text = WHOLE
        .replace("backend = \"A\"\nat", "backend = \"B\"\nat")
        .replace("rate = 5.0", "rate = 5.0\nthink = \"1s\"")
        .replace("location = \"fra\"", "location = \"lhr\"");
    let error = text.parse::<Scenario>().unwrap_err().to_string();
    for expected in [
        "line 33: link 1: location: there is no location `lhr`; there is `fra`",
        "line 41: clients `players`: `rate` and `think` exclude each other",
        "line 49: fault 1: backend: there is no backend `B`; there is `A`",
    ] {
        assert!(error.contains(expected), "{error}");
    }
}
