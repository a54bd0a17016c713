//! What is told of runs.

use std::collections::BTreeMap;
use std::path::Path;

use edgelb_host::sim::{Bound, Law, Measure, Recording, Run, Scenario, Summary, Unit};

/// How many violations are told of; they tend to be of one kind.
const TOLD: usize = 5;

pub(super) fn title(file: &Path, scenario: &Scenario) -> String {
    let name = match &*scenario.name {
        "" => file.display().to_string(),
        name => name.to_owned(),
    };
    match &*scenario.about {
        "" => name,
        about => format!("{name}: {about}"),
    }
}

/// The figures of a run, one a line.
pub(super) fn table(summary: &Summary) -> String {
    let plain = [
        Measure::Availability,
        Measure::Failures,
        Measure::P50,
        Measure::P95,
        Measure::P99,
        Measure::Slowest,
        Measure::Retries,
        Measure::Stickiness,
        Measure::Moved,
        Measure::Ejections,
        Measure::Detect,
        Measure::Recover,
    ];
    let shares = summary.answers.iter();
    let shares = shares.map(|(backend, _)| Measure::Share(backend.clone()));
    let seldom = [Measure::Exceeded, Measure::Lost];
    let seldom = seldom.into_iter().filter(|it| summary.measure(it) > 0.0);
    let mut table = format!("  {:<16}{:>12}\n", "requests", summary.requests);
    if summary.left > 0 {
        table.push_str(&format!(
            "  {:<16}{:>12}\n",
            "gave up waiting", summary.left
        ));
    }
    for measure in plain.into_iter().chain(shares).chain(seldom) {
        // Where there was no outage that anybody met.
        let never = (measure == Measure::Detect && summary.detect.is_none())
            || (measure == Measure::Recover && summary.recover.is_none());
        let value = if never {
            "-".to_owned()
        } else {
            shown(&measure, summary.measure(&measure))
        };
        table.push_str(&format!("  {:<16}{value:>12}\n", measure.to_string()));
    }
    table
}

/// What was answered most, and how often.
fn statuses(run: &Run) -> String {
    let mut counts = BTreeMap::<u16, usize>::new();
    for status in run.trace.exchanges().filter_map(|it| it.status) {
        *counts.entry(status).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or(String::new(), |(status, count)| {
        format!("; {count} were answered with {status}")
    })
}

/// What came of it when it was recorded, and now.
pub(super) fn comparison(recording: &Recording, summary: &Summary) -> String {
    let measures = [
        Measure::Requests,
        Measure::Availability,
        Measure::P50,
        Measure::P95,
        Measure::P99,
        Measure::Retries,
    ];
    let mut table = format!("  {:<16}{:>12}{:>12}\n", "", "recorded", "replayed");
    for measure in measures {
        let recorded = shown(&measure, recording.measure(&measure));
        let replayed = shown(&measure, summary.measure(&measure));
        table.push_str(&format!(
            "  {:<16}{recorded:>12}{replayed:>12}\n",
            measure.to_string()
        ));
    }
    table
}

/// A value with its unit.
pub(super) fn shown(measure: &Measure, value: f64) -> String {
    match measure.unit() {
        Unit::Share => format!("{:.3} %", value * 100.0),
        Unit::Count => format!("{value}"),
        Unit::Time => format!("{value} ms"),
    }
}

fn bounds(measure: &Measure, bound: &Bound) -> String {
    let number = |value: f64| shown(measure, value);
    match (bound.min, bound.max) {
        (Some(min), Some(max)) if min.to_bits() == max.to_bits() => format!("= {}", number(min)),
        (Some(min), Some(max)) => format!("{} .. {}", number(min), number(max)),
        (Some(min), None) => format!(">= {}", number(min)),
        (None, Some(max)) => format!("<= {}", number(max)),
        (None, None) => "anything".to_owned(),
    }
}

/// Tells what was not as expected, and answers whether all was.
pub(super) fn verdict(scenario: &Scenario, run: &Run) -> bool {
    say!();
    for (measure, value, bound) in run.summary.unmet(scenario) {
        let (value, bound) = (shown(&measure, value), bounds(&measure, &bound));
        say!("FAILED  {measure}: {value}, expected {bound}");
    }
    for violation in run.violations.iter().take(TOLD) {
        say!("BROKEN  {violation}");
    }
    if run.violations.len() > TOLD {
        say!("        and {} more", run.violations.len() - TOLD);
    }
    if run.trace.exchanges().all(|it| it.attempts.is_empty()) {
        say!("note: no request reached a backend{}", statuses(run));
    }
    let passed = run.passed(scenario);
    if passed {
        let expected = scenario.expect.bounds().len();
        let laws = match run.laws.len() {
            laws if laws == Law::ALL.len() => "all laws".to_owned(),
            laws => format!("the {laws} laws that can be checked here"),
        };
        say!("passed: {laws}, {expected} of {expected} expectations");
    }
    say!();
    passed
}
