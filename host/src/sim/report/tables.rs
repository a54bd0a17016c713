//! Figures and tables.

use std::fmt::Display;

use super::axis::{count, cut, duration, float, measured, percent, plural};
use super::buckets::is_failure;
use super::markup::Markup;
use super::plot;
use crate::sim::trace::{Entry, Trace};
use crate::sim::world::millis;
use crate::sim::{Bound, Measure, Scenario, Summary};

/// How many violations and faults are told one by one.
const VIOLATIONS: usize = 50;
const FAULTS: usize = 50;
/// How much of a text that comes from elsewhere.
pub(super) const CHARACTERS: usize = 300;

/// The laws that were broken.
pub(super) fn violations(page: &mut Markup, violations: &[String]) {
    if violations.is_empty() {
        return;
    }
    page.element("section", &[("class", &"violations")], |page| {
        page.leaf("h2", &[], "Laws violated");
        page.element("ol", &[], |page| {
            for violation in violations.iter().take(VIOLATIONS) {
                page.leaf("li", &[], cut(violation, CHARACTERS));
            }
        });
        rest(page, violations.len(), VIOLATIONS);
    });
}

/// What the run comes to.
pub(super) fn figures(page: &mut Markup, summary: &Summary) {
    let of = |measure: Measure| measured(&measure, summary.measure(&measure));
    let answered = !summary.latencies.is_empty();
    let time = |measure| {
        if answered {
            of(measure)
        } else {
            "–".to_owned()
        }
    };
    let rare = |time: Option<u64>| time.map_or("–".to_owned(), duration);
    let some = |any: bool, measure| if any { of(measure) } else { "–".to_owned() };
    let figures = [
        (
            "availability",
            of(Measure::Availability),
            format!(
                "{} of {} failed",
                count(summary.failures),
                count(summary.requests - summary.left)
            ),
        ),
        (
            "latency p50",
            time(Measure::P50),
            "half of the answers".to_owned(),
        ),
        (
            "latency p95",
            time(Measure::P95),
            format!("slowest {}", time(Measure::Slowest)),
        ),
        (
            "latency p99",
            time(Measure::P99),
            "time to the first byte".to_owned(),
        ),
        (
            "requests",
            count(summary.requests),
            format!("{} left", plural(summary.left, "client")),
        ),
        (
            "retries",
            count(summary.retries),
            "beyond first attempts".to_owned(),
        ),
        (
            "stickiness kept",
            some(summary.sessions > 0, Measure::Stickiness),
            format!("of {} with a session", count(summary.sessions)),
        ),
        (
            "keys moved",
            some(summary.clients > 0, Measure::Moved),
            format!("of {}", plural(summary.clients, "client")),
        ),
        (
            "ejections",
            count(summary.ejections),
            "by any isolate".to_owned(),
        ),
        (
            "time to detect",
            rare(summary.detect),
            "to the first ejection".to_owned(),
        ),
        (
            "time to recover",
            rare(summary.recover),
            "to the first answer".to_owned(),
        ),
        (
            "limits exceeded",
            count(summary.exceeded),
            format!("{} lost", plural(summary.lost, "instance")),
        ),
    ];
    page.element("dl", &[("class", &"figures")], |page| {
        for (name, value, note) in figures {
            page.element("div", &[], |page| {
                page.leaf("dt", &[], name);
                page.leaf("dd", &[], value);
                page.leaf("dd", &[("class", &"note")], note);
            });
        }
    });
}

/// What was expected, and what it came to.
pub(super) fn expectations(page: &mut Markup, summary: &Summary, scenario: &Scenario) {
    let bounds = scenario.expect.bounds();
    if bounds.is_empty() {
        return;
    }
    let heads = ["measure", "expected", "came to", "verdict"];
    table(page, "Expectations", Cells::Text, &heads, |page| {
        for (measure, bound) in bounds {
            let value = summary.measure(&measure);
            let (class, verdict) = match bound.holds(value) {
                true => ("met", "✓ met"),
                false => ("unmet", "✗ not met"),
            };
            page.element("tr", &[], |page| {
                page.leaf("th", &[("scope", &"row")], &measure);
                page.leaf("td", &[], bounded(&measure, bound));
                page.leaf("td", &[], measured(&measure, value));
                page.element("td", &[], |page| {
                    page.leaf("span", &[("class", &class)], verdict)
                });
            });
        }
    });
}

/// How each backend fared.
pub(super) fn backends(page: &mut Markup, trace: &Trace) {
    #[derive(Clone, Default)]
    struct Tally {
        attempts: usize,
        failed: usize,
        answers: usize,
        ejections: usize,
        trials: usize,
    }
    let mut tallies = vec![Tally::default(); trace.names.backends.len()];
    for entry in &trace.entries {
        match entry {
            Entry::Exchange(exchange) => {
                for attempt in &exchange.attempts {
                    let tally = attempt.backend.and_then(|it| tallies.get_mut(it));
                    if let Some(tally) = tally {
                        tally.attempts += 1;
                        tally.failed += usize::from(is_failure(attempt.outcome));
                    }
                }
                if let Some(tally) = exchange.by.and_then(|it| tallies.get_mut(it)) {
                    tally.answers += 1;
                }
            }
            Entry::Ejected { backend, .. } => {
                if let Some(tally) = tallies.get_mut(*backend) {
                    tally.ejections += 1;
                }
            }
            Entry::Trial { backend, .. } => {
                if let Some(tally) = tallies.get_mut(*backend) {
                    tally.trials += 1;
                }
            }
            Entry::Recovered { .. }
            | Entry::Lost { .. }
            | Entry::Told { .. }
            | Entry::Started { .. }
            | Entry::Evicted { .. }
            | Entry::Exceeded { .. } => {}
        }
    }
    let answers: usize = tallies.iter().map(|it| it.answers).sum();
    let heads = [
        "backend",
        "answers",
        "share",
        "attempts",
        "failed",
        "ejections",
        "trials",
    ];
    table(page, "Backends", Cells::Numbers, &heads, |page| {
        for (name, tally) in trace.names.backends.iter().zip(&tallies) {
            let share = float(tally.answers as u64) / float(answers.max(1) as u64);
            page.element("tr", &[], |page| {
                page.leaf("th", &[("scope", &"row")], name);
                for cell in [
                    count(tally.answers),
                    percent(share),
                    count(tally.attempts),
                    count(tally.failed),
                    count(tally.ejections),
                    count(tally.trials),
                ] {
                    page.leaf("td", &[], cell);
                }
            });
        }
    });
}

/// What went wrong by the scenario.
pub(super) fn faults(page: &mut Markup, scenario: &Scenario) {
    if scenario.faults.is_empty() {
        return;
    }
    let heads = ["fault", "what", "begins", "lasts", "again every", "meets"];
    table(
        page,
        "Faults of the scenario",
        Cells::Text,
        &heads,
        |page| {
            for (index, fault) in scenario.faults.iter().take(FAULTS).enumerate() {
                let time = |it: Option<_>, none: &str| {
                    it.map_or(none.to_owned(), |it| duration(millis(it)))
                };
                page.element("tr", &[], |page| {
                    page.leaf("th", &[("scope", &"row")], index + 1);
                    page.leaf("td", &[], plot::name(fault));
                    page.leaf("td", &[], duration(millis(fault.at)));
                    page.leaf("td", &[], time(fault.lasting, "to the end"));
                    page.leaf("td", &[], time(fault.every, "–"));
                    page.leaf("td", &[], percent(fault.share.value()));
                });
            }
        },
    );
    rest(page, scenario.faults.len(), FAULTS);
}

/// A bound in the unit of its measure.
fn bounded(measure: &Measure, bound: Bound) -> String {
    let told = |value| measured(measure, value);
    match (bound.min, bound.max) {
        (Some(min), Some(max)) if min.to_bits() == max.to_bits() => format!("= {}", told(min)),
        (Some(min), Some(max)) => format!("{} .. {}", told(min), told(max)),
        (Some(min), None) => format!("≥ {}", told(min)),
        (None, Some(max)) => format!("≤ {}", told(max)),
        (None, None) => "anything".to_owned(),
    }
}

/// What is in most columns of a table.
#[derive(Clone, Copy)]
pub(super) enum Cells {
    Text,
    Numbers,
}

pub(super) fn table(
    page: &mut Markup,
    title: &str,
    cells: Cells,
    heads: &[&str],
    rows: impl FnOnce(&mut Markup),
) {
    let region: [(&str, &dyn Display); 4] = [
        ("class", &"table"),
        ("role", &"region"),
        ("aria-label", &title),
        // What scrolls is to be reached without a mouse.
        ("tabindex", &"0"),
    ];
    page.leaf("h2", &[], title);
    page.element("div", &region, |page| {
        let class = match cells {
            Cells::Text => "text",
            Cells::Numbers => "numbers",
        };
        page.element("table", &[("class", &class)], |page| {
            page.element("thead", &[], |page| {
                page.element("tr", &[], |page| {
                    for head in heads {
                        page.leaf("th", &[("scope", &"col")], head);
                    }
                });
            });
            page.element("tbody", &[], rows);
        });
    });
}

pub(super) fn rest(page: &mut Markup, number: usize, shown: usize) {
    if number > shown {
        let text = format!("and {} more; the trace has them all", count(number - shown));
        page.leaf("p", &[("class", &"rest")], text);
    }
}
