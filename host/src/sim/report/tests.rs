#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use super::buckets::tests::made;
use crate::sim::trace::{Attempt, End, Entry, Exchange, Isolate, Names, Outcome, Trace};
use crate::sim::{Backend, Fault, FaultKind, Location, Run, Scenario, Simulation, Summary};
use crate::upstream::{Cause, Delivery};

const SECOND: Duration = Duration::from_secs(1);

/// Two locations; one backend dies, another flaps, and not all goes well.
fn eventful() -> Scenario {
    let text = r#"
name = "one-backend-dies"
about = "A dies for three minutes while B flaps; clients must not notice."
duration = "10m"
seed = 7

[[location]]
name = "fra"
isolates = 3
latency = "12ms"
cold-start = "5ms"

[[location]]
name = "iad"
isolates = 2
latency = "35ms"

[[backend]]
name = "ALPHA"
latency = { median = "40ms", p99 = "300ms" }

[[backend]]
name = "BRAVO"
latency = { median = "60ms", p99 = "400ms" }
error-rate = 0.004

[[backend]]
name = "CHARLIE"
latency = { median = "35ms", p99 = "180ms" }

[[clients]]
name = "viewers"
count = 300
rate = 22.0
patience = "2s"
methods = { GET = 8, POST = 1 }

[[fault]]
kind = "down"
backend = "ALPHA"
at = "2m"
for = "3m"

[[fault]]
kind = "error"
backend = "BRAVO"
at = "4m 20s"
for = "12s"
every = "40s"
until = "7m"

[[fault]]
kind = "slow"
at = "8m"
for = "50s"
factor = 14.0

[expect]
availability = ">= 99.9 %"
p99 = "<= 800 ms"
detect = "<= 5 s"
ejections = "1 .. 60"
share.CHARLIE = "30% .. 60%"
"#;
    text.parse().unwrap()
}

fn made_up(entries: Vec<Entry>, scenario: &Scenario) -> Run {
    let names = |names: Vec<&String>| names.into_iter().cloned().collect();
    let names = Names {
        locations: names(scenario.locations.iter().map(|it| &it.name).collect()),
        backends: names(scenario.backends.iter().map(|it| &it.name).collect()),
        clients: Vec::new(),
    };
    let trace = Trace { entries, names };
    Run {
        seed: 1,
        summary: Summary::of(&trace, scenario),
        trace,
        laws: &[],
        violations: Vec::new(),
        received: Vec::new(),
        scenario: std::sync::Arc::new(scenario.clone()),
    }
}

/// Begun elements end, in order; and nothing stands outside of quotes.
fn check(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!doctype html>").unwrap();
    while let Some(begin) = rest.find('<') {
        assert!(!rest.get(..begin).unwrap().contains('>'), "{rest:.80}");
        rest = rest.get(begin + 1..).unwrap();
        let end = rest.find('>').unwrap();
        let tag = rest.get(..end).unwrap();
        assert!(
            !tag.contains('<') && tag.matches('"').count() % 2 == 0,
            "{tag}"
        );
        rest = rest.get(end + 1..).unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            let name = tag.split(' ').next().unwrap();
            open.push(name);
            if ["script", "style"].contains(&name) {
                rest = rest
                    .get(rest.find(&format!("</{name}>")).unwrap()..)
                    .unwrap();
            }
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn it_tells_of_each_backend_fault_and_expectation() {
    let scenario = eventful();
    let simulation = Simulation::of(scenario.clone()).build().unwrap();
    let run = simulation.run().unwrap();
    let page = run.report(&scenario, &["a law <that> broke".to_owned()]);
    check(&page);
    for expected in [
        "<h1>one-backend-dies</h1>",
        "clients must not notice",
        ">ALPHA</text>",
        ">BRAVO</text>",
        ">CHARLIE</text>",
        ">ALPHA down </tspan>",
        "BRAVO error",
        "all slow",
        "10\u{a0}min",
        "share.CHARLIE",
        "1 law violated",
        "<li>a law &lt;that&gt; broke</li>",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    assert!(page.len() < 300_000, "{}", page.len());
    assert!(!page.contains("http:") && !page.contains("https:"));
    assert!(!page.contains("url(") && !page.contains("src="));
    let again = simulation.run().unwrap();
    assert_eq!(
        again.report(&scenario, &["a law <that> broke".to_owned()]),
        page
    );
}

#[test]
fn a_run_without_a_request_has_a_page() {
    let mut scenario = Scenario::new("");
    for length in [0, 1, 60_000, 1 << 40] {
        scenario.duration = Duration::from_millis(length);
        check(&made_up(Vec::new(), &scenario).report(&scenario, &[]));
    }
    scenario.backends.push(Backend::new("A"));
    let page = made_up(vec![Entry::Exchange(made(0))], &scenario).report(&scenario, &[]);
    check(&page);
    assert!(page.contains("nothing was expected"));
}

#[test]
fn names_stay_text() {
    const NAME: &str = "</script><script>alert('&\"')</script>";
    let mut scenario = Scenario::new(NAME);
    scenario.about = NAME.to_owned();
    scenario.backends.push(Backend::new(NAME));
    scenario.locations.push(Location::new(NAME));
    scenario
        .faults
        .push(Fault::new(FaultKind::Down, NAME).from(NAME));
    let isolate = Isolate {
        location: 0,
        number: 0,
    };
    let lost = Entry::Lost {
        at: 5,
        isolate,
        reason: NAME.to_owned(),
    };
    let run = made_up(vec![Entry::Exchange(made(0)), lost], &scenario);
    let page = run.report(&scenario, &[NAME.to_owned()]);
    check(&page);
    assert!(!page.contains("<script>alert") && !page.contains("</script><script>a"));
}

#[test]
fn a_long_run_has_a_small_page() {
    let mut scenario = Scenario::new("flapping for a day");
    scenario.duration = 86_400 * SECOND;
    for index in 0..12 {
        scenario.backends.push(Backend::new(format!("B{index}")));
        let mut fault = Fault::new(FaultKind::Down, format!("B{index}")).lasting(7 * SECOND);
        fault.every = Some((50 + index) * SECOND);
        scenario.faults.push(fault);
    }
    let mut entries = Vec::new();
    for number in 0..430_000_u64 {
        let at = number * 200;
        let backend = usize::try_from(number * 7919 % 12).unwrap();
        let isolate = Isolate {
            location: 0,
            number: u32::try_from(number % 40).unwrap(),
        };
        let failed = number % 97 == 0;
        entries.push(Entry::Exchange(Exchange {
            by: Some(backend),
            status: Some(if failed {
                500 + u16::try_from(number % 5).unwrap()
            } else {
                200
            }),
            answered: at + number * 31 % 400,
            end: if number % 1009 == 0 {
                End::Left
            } else {
                End::Whole
            },
            attempts: vec![Attempt {
                backend: Some(backend),
                begun: at,
                ended: at + 5,
                outcome: Outcome::Failed(Cause::ConnectionRefused, Delivery::NotSent),
                length: None,
            }],
            ..made(at)
        }));
        if number % 13 == 0 {
            entries.push(Entry::Ejected {
                at,
                isolate,
                backend,
                until: at + 30_000,
                reason: "connection-refused".to_owned(),
            });
        }
        if number % 17 == 0 {
            entries.push(Entry::Recovered {
                at,
                isolate,
                backend,
            });
        }
    }
    let mut run = made_up(Vec::new(), &scenario);
    run.trace.entries = entries;
    let page = run.report(&scenario, &[]);
    check(&page);
    assert!(page.len() < 300_000, "{}", page.len());
}
