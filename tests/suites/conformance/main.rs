//! One list of scenarios, on every runtime that the balancer ships for.
//!
//! A scenario speaks HTTP to a balancer and has scripted backends behind it; it
//! does not know what runs in between. What a platform cannot do is declared,
//! with the reason and with what is seen instead, in [`gaps`]; a gap that closes, or
//! that shows as anything else, fails like a rule that breaks.
//!
//! ```console
//! $ cargo test --test conformance -- [RUNTIME]... [PART OF A SCENARIO'S NAME]...
//! ```
//! Runtimes that are not installed are skipped, and said to be, unless
//! `CONFORMANCE=all` is set or they are named.
#![expect(clippy::unwrap_used, reason = "tests")]

mod failure;
mod gaps;
mod matrix;
mod runner;
mod runtime;
mod runtimes;
mod scenarios;
mod stage;

use std::env;
use std::process::ExitCode;

use runner::Selection;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [case, runtime, scenario] = &*arguments
        && case == runner::CASE
    {
        return runner::perform(runtime, scenario);
    }
    let selection = Selection::of(&arguments);
    gaps::check();
    failure::check();
    let outcomes = runner::run(&selection);
    let report = matrix::report(&selection, &outcomes);
    let document = matrix::document();
    if report.and(document).is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
