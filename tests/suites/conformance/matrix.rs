//! Scenarios by runtimes: on standard output as it was found, in
//! docs/runtimes.md as it is declared. Where nothing fails the two agree.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;

use crate::gaps;
use crate::runner::{Outcome, Selection, Verdict};
use crate::runtime::Runtime;
use crate::runtimes;
use crate::scenarios::{self, Scenario};

/// Something is not as it should be.
pub(crate) struct Failure;

/// Says how it went, failures last.
///
/// # Errors
/// A scenario failed, or a gap closed, or a runtime is missing that must not be.
#[expect(clippy::print_stdout, reason = "what it is for")]
pub(crate) fn report(selection: &Selection, outcomes: &[Outcome]) -> Result<(), Failure> {
    print!("\n{}", found(selection, outcomes));
    for (runtime, what) in &selection.missing {
        println!("SKIPPED {}: {what}", runtime.name);
    }
    let mut bad = selection
        .missing
        .iter()
        .any(|(runtime, _)| selection.requires(runtime));
    for outcome in outcomes {
        let what = match outcome.verdict {
            Verdict::Passed | Verdict::Gap(_) => continue,
            Verdict::Failed => &*outcome.output,
            Verdict::Closed(gap) => gaps::ALL[gap].reason,
        };
        let (scenario, runtime) = (outcome.scenario.name, outcome.runtime.name);
        println!(
            "\n---- {} {runtime} {scenario} ----\n{what}",
            outcome.verdict.word()
        );
        bad = true;
    }
    if bad { Err(Failure) } else { Ok(()) }
}

/// The matrix of what was run.
fn found(selection: &Selection, outcomes: &[Outcome]) -> String {
    let mut text = format!("{:66}", "");
    for runtime in &selection.runtimes {
        let _ = write!(text, "{:>15}", runtime.name);
    }
    text.push('\n');
    for scenario in &selection.scenarios {
        let _ = write!(text, "{:66}", scenario.name);
        for runtime in &selection.runtimes {
            let here = |it: &&Outcome| {
                it.runtime.name == runtime.name && it.scenario.name == scenario.name
            };
            let word = outcomes
                .iter()
                .find(here)
                .map_or("", |it| it.verdict.word());
            let _ = write!(text, "{word:>15}");
        }
        text.push('\n');
    }
    text
}

/// Sees whether docs/runtimes.md says what is declared here; `UPDATE_GOLDEN=1`
/// rewrites it.
///
/// # Errors
/// It says something else.
#[expect(clippy::print_stdout, reason = "tells what to do")]
pub(crate) fn document() -> Result<(), Failure> {
    let path = runtimes::repository("docs/runtimes.md");
    let declared = declared();
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, declared).unwrap();
        return Ok(());
    }
    if fs::read_to_string(&path).unwrap_or_default() == declared {
        return Ok(());
    }
    println!("docs/runtimes.md is not current; `./just golden` rewrites it");
    Err(Failure)
}

const INTRODUCTION: &str = "\
<!-- Written by the conformance suite from what it declares: `./just golden`. -->

# Runtimes

The same balancing bytes run on all of these. One suite
([tests/suites/conformance](../tests/suites/conformance/main.rs)) speaks HTTP to
each, with scripted backends behind it, and does not know which it is:

```sh
./just conformance                    # every scenario on every runtime
./just conformance wasmtime session   # those of a runtime whose names have a word in them
```

A ✓ is a scenario that passes. A number is one that the platform cannot pass, for
[the reason below](#what-platforms-cannot-do); the suite fails if it passes after
all, or falls short in another way than declared, so none of them is out of date.

";

const SPIN: &str = "
Spin is in no registry that a build could take it from, so it has no column here:
`SPIN=/path/to/spin ./just conformance spin` runs the same scenarios there.
[Its manifest](../deploy/spin) says what is known.
";

/// The document.
fn declared() -> String {
    let columns: Vec<&Runtime> = runtimes::ALL
        .iter()
        .filter(|it| it.name != "spin")
        .collect();
    let mut text = INTRODUCTION.to_owned();
    text.push_str("| runtime | what is run |\n|---|---|\n");
    for runtime in &columns {
        let _ = writeln!(text, "| {} | {} |", runtime.name, runtime.about);
    }
    text.push_str(SPIN);
    let sections: Vec<_> = scenarios::all().map(|it| it.section).collect();
    for section in sections.chunk_by(|a, b| a == b).map(|them| them[0]) {
        let _ = write!(text, "\n## {section}\n\n| |");
        for runtime in &columns {
            let _ = write!(text, " {} |", runtime.name);
        }
        let _ = writeln!(text, "\n|---|{}", ":-:|".repeat(columns.len()));
        for scenario in scenarios::all().filter(|it| it.section == section) {
            let _ = write!(text, "| {} |", scenario.name.replace('_', " "));
            for runtime in &columns {
                let _ = write!(text, " {} |", cell(runtime, scenario));
            }
            text.push('\n');
        }
    }
    text.push_str("\n## What platforms cannot do\n\n");
    for (gap, number) in gaps::ALL.iter().zip(1..) {
        let runtimes: BTreeSet<_> = gap.runtimes.iter().copied().collect();
        let runtimes: Vec<_> = runtimes.into_iter().collect();
        let _ = writeln!(text, "{number}. {}: {}.", runtimes.join(", "), gap.reason);
    }
    text
}

fn cell(runtime: &Runtime, scenario: &Scenario) -> String {
    gaps::of(runtime, scenario).map_or_else(
        || "✓".to_owned(),
        |gap| format!("[{}](#what-platforms-cannot-do)", gap.number + 1),
    )
}
