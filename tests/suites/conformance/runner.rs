//! Runs scenarios, each in a process of its own: what one leaves behind is no
//! other's, and what it says is shown if it fails.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::failure;
use crate::gaps;
use crate::runtime::Runtime;
use crate::runtimes;
use crate::scenarios::{self, Scenario};

/// The argument that makes this program perform one scenario.
pub(crate) const CASE: &str = "--case";

/// What the program then exits with if the scenario fails as a gap declares.
const AS_DECLARED: u8 = 3;

/// How many are run at once. Most of them wait more than they compute.
const PARALLEL: usize = 2;

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(90);

/// What is asked for.
pub(crate) struct Selection {
    pub(crate) runtimes: Vec<&'static Runtime>,
    pub(crate) scenarios: Vec<&'static Scenario>,
    /// Runtimes that would be run if they were there, and what is missing.
    pub(crate) missing: Vec<(&'static Runtime, String)>,
    /// Whether it is a failure that something is missing.
    strict: Strict,
}

/// Which runtimes must not be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strict {
    /// None: whatever is there is run.
    None,
    /// All that registries provide, for `CONFORMANCE=all`.
    Provided,
    /// All that are asked for by name.
    Named,
}

/// How a scenario went on a runtime.
pub(crate) struct Outcome {
    pub(crate) runtime: &'static Runtime,
    pub(crate) scenario: &'static Scenario,
    pub(crate) verdict: Verdict,
    /// What it said.
    pub(crate) output: String,
}

/// See [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// Failed as declared by this gap.
    Gap(usize),
    /// Passed in spite of it.
    Closed(usize),
}

impl Selection {
    /// Words that name runtimes choose these, other words choose scenarios that
    /// have one of them in their names. Flags are the standard harness's.
    pub(crate) fn of(arguments: &[String]) -> Self {
        let words = || arguments.iter().filter(|word| !word.starts_with('-'));
        let named: Vec<_> = words().filter_map(|word| Runtime::named(word)).collect();
        let parts: Vec<_> = words()
            .filter(|word| Runtime::named(word).is_none())
            .collect();
        let is_named = |runtime: &Runtime| named.iter().any(|it| it.name == runtime.name);
        let (mut runtimes, mut missing) = (Vec::new(), Vec::new());
        for runtime in &runtimes::ALL {
            if !named.is_empty() && !is_named(runtime) {
                continue;
            }
            match (runtime.missing)() {
                Some(what) => missing.push((runtime, what)),
                None => runtimes.push(runtime),
            }
        }
        let all = scenarios::all();
        Self {
            runtimes,
            scenarios: all
                .filter(|it| parts.is_empty() || parts.iter().any(|part| it.name.contains(*part)))
                .collect(),
            strict: match env::var("CONFORMANCE").as_deref() {
                _ if !named.is_empty() => Strict::Named,
                Ok("all") => Strict::Provided,
                Ok(_) | Err(_) => Strict::None,
            },
            missing,
        }
    }

    /// Whether the runtime must not be missing.
    pub(crate) fn requires(&self, runtime: &Runtime) -> bool {
        match self.strict {
            Strict::None => false,
            Strict::Provided => runtime.is_provided,
            Strict::Named => true,
        }
    }
}

/// Runs what is selected.
#[expect(clippy::print_stdout, reason = "tells how far it is")]
pub(crate) fn run(selection: &Selection) -> Vec<Outcome> {
    let cases = selection.scenarios.iter().flat_map(|scenario| {
        let runtimes = selection.runtimes.iter();
        runtimes.map(move |runtime| (*runtime, *scenario))
    });
    let cases = Mutex::new(cases);
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                loop {
                    let Some((runtime, scenario)) = cases.lock().unwrap().next() else {
                        break;
                    };
                    let begun = Instant::now();
                    let outcome = case(runtime, scenario);
                    println!(
                        "{:<8} {:<14} {} ({:.1} s)",
                        outcome.verdict.word(),
                        runtime.name,
                        scenario.name,
                        begun.elapsed().as_secs_f64(),
                    );
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

fn case(runtime: &'static Runtime, scenario: &'static Scenario) -> Outcome {
    let output = Command::new(env::current_exe().unwrap())
        .args([CASE, runtime.name, scenario.name])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Outcome {
        runtime,
        scenario,
        verdict: match (output.status.code(), gaps::of(runtime, scenario)) {
            (Some(0), None) => Verdict::Passed,
            (Some(0), Some(gap)) => Verdict::Closed(gap.number),
            (Some(code), Some(gap)) if code == i32::from(AS_DECLARED) => Verdict::Gap(gap.number),
            (_, _) => Verdict::Failed,
        },
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Performs one scenario in this process. What it exits with, and says on standard
/// error, is for [`case`].
///
/// # Panics
/// There is no such runtime, or scenario.
#[expect(clippy::print_stderr, reason = "read by who runs the suite")]
pub(crate) fn perform(runtime: &str, scenario: &str) -> ExitCode {
    let runtime = Runtime::named(runtime).expect("a runtime");
    let scenario = scenarios::all().find(|it| it.name == scenario);
    let scenario = scenario.expect("a scenario");
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    failure::watch();
    let performed = catch_unwind(AssertUnwindSafe(|| {
        event_loop
            .block_on(async { timeout(LIMIT, (scenario.perform)(runtime)).await })
            .unwrap_or_else(|_| panic!("not done within {} s", LIMIT.as_secs()));
    }));
    let failure = match (performed, failure::first()) {
        (Ok(()), _) => return ExitCode::SUCCESS,
        (Err(_), None) => return ExitCode::FAILURE,
        (Err(_), Some(failure)) => failure,
    };
    let Some(gap) = gaps::of(runtime, scenario) else {
        return ExitCode::FAILURE;
    };
    match failure.is(gap.seen) {
        Ok(()) => AS_DECLARED.into(),
        Err(difference) => {
            eprintln!("not as its gap declares: {difference}");
            ExitCode::FAILURE
        }
    }
}

impl Verdict {
    /// In a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::Gap(_) => "gap",
            Self::Closed(_) => "CLOSED",
        }
    }
}
