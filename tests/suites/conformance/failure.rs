//! How a scenario failed, so that a gap covers this failure and no other.

use std::panic;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The first panic of this process, from which others may come.
static FIRST: OnceLock<Failure> = OnceLock::new();

/// Whether a balancer has been started, and has answered.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Where scenarios are; what is elsewhere helps them.
const SCENARIOS: &str = "/conformance/scenarios/";

/// A panic.
pub(crate) struct Failure {
    file: String,
    message: String,
    answered: bool,
}

/// Keeps the first failure from here on.
pub(crate) fn watch() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let _ = FIRST.set(Failure {
            file: panic.location().map_or("", |at| at.file()).to_owned(),
            message: panic.payload_as_str().unwrap_or_default().to_owned(),
            answered: ANSWERED.load(Ordering::SeqCst),
        });
        report(panic);
    }));
}

/// The balancer has answered: what fails from here on is what it does.
pub(crate) fn answered(whether: bool) {
    ANSWERED.store(whether, Ordering::SeqCst);
}

/// The first failure, if any.
pub(crate) fn first() -> Option<&'static Failure> {
    FIRST.get()
}

impl Failure {
    /// Whether it is that of a scenario which found this in a balancer that works.
    ///
    /// # Errors
    /// It is another: how it differs.
    pub(crate) fn is(&self, seen: &str) -> Result<(), String> {
        let Self { file, message, .. } = self;
        if !self.answered {
            return Err("the balancer had not been started".to_owned());
        }
        if !file.contains(SCENARIOS) {
            return Err(format!("it is not the scenario that failed, but `{file}`"));
        }
        if !message.contains(seen) {
            return Err(format!("expected to see `{seen}`, not `{message}`"));
        }
        Ok(())
    }
}

/// Sees whether failures are told apart.
///
/// # Panics
/// They are not.
pub(crate) fn check() {
    let found = |file: &str, message: &str, answered| Failure {
        file: file.to_owned(),
        message: message.to_owned(),
        answered,
    };
    let (scenario, helper) = (
        "tests/suites/conformance/scenarios/x.rs",
        "tests/support/x.rs",
    );
    let seen = "left: 500\n right: 501";
    let said = "assertion `left == right` failed\n  left: 500\n right: 501";
    assert_eq!(found(scenario, said, true).is(seen), Ok(()));
    for (other, word) in [
        (found(scenario, said, false), "not been started"),
        (found(helper, said, true), helper),
        (
            found(scenario, "  left: 502\n right: 501", true),
            "left: 502",
        ),
        (found(scenario, "", true), seen),
    ] {
        let told = other.is(seen).unwrap_err();
        assert!(told.contains(word), "{told}");
    }
}
