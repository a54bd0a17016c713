//! What must hold of every run, seen from outside: the laws of the balancer.
//!
//! They are checked on the trace alone, so they hold of any component that
//! tells its configuration. Times are milliseconds: what happens in the same
//! one may have happened in either order, and is given the benefit of the doubt.

mod granted;
mod rules;

use std::fmt;

use super::admission::{Admission, Interference};
use super::scenario::Scenario;
use super::trace::{End, Trace};
use crate::exchange::bindings::EffectiveConfiguration;
use granted::Granted;
use rules::Rules;

/// A law that a run broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// By which request.
    pub request: u64,
    /// When that was made, in milliseconds since the run began.
    pub at: u64,
    /// When it was over.
    pub ended: u64,
    /// How.
    pub message: String,
}

/// What must hold of every exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// Whoever waits is answered.
    Answered,
    /// What exceeds a limit gets what its platform gives, and is told of once.
    Granted,
    /// There are at most `MAX_RETRIES` attempts beyond the first.
    Bounded,
    /// No attempt goes to a backend that the exchange has tried before.
    AnotherBackend,
    /// What may have been delivered goes again only if it may be repeated
    /// (RFC 9110 section 9.2.2).
    DeliveredOnce,
    /// What has brought an answer that is no failure of the backend's is not
    /// tried again.
    Final,
    /// What fails is tried again as long as it may be.
    Persistent,
    /// The client gets the last attempt's answer, whole.
    Faithful,
    /// A backend that is ejected gets no request while another admits, and
    /// one on trial no other than the trial.
    Ejected,
    /// A session stays with its backend as long as that admits.
    Sticky,
}

impl fmt::Display for Law {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Answered => "whoever waits is answered",
            Self::Granted => "what exceeds a limit gets what the platform gives",
            Self::Bounded => "retries are bounded",
            Self::AnotherBackend => "a retry goes to another backend",
            Self::DeliveredOnce => "what may not be repeated is delivered once",
            Self::Final => "what was answered is not tried again",
            Self::Persistent => "what fails is tried again as long as it may be",
            Self::Faithful => "the client gets what the backend answered",
            Self::Ejected => "an ejected backend is left alone",
            Self::Sticky => "a session stays with its backend",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            law,
            request,
            at,
            message,
            ..
        } = self;
        write!(
            formatter,
            "{law}: request {request}, made at {at} ms: {message}"
        )
    }
}

impl Law {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Answered,
        Self::Granted,
        Self::Bounded,
        Self::AnotherBackend,
        Self::DeliveredOnce,
        Self::Final,
        Self::Persistent,
        Self::Faithful,
        Self::Ejected,
        Self::Sticky,
    ];
}

/// The laws that can be checked of a component, as [`check`] does.
pub(crate) fn checked(configured: bool, tells: bool) -> &'static [Law] {
    match (configured, tells) {
        (true, true) => &Law::ALL,
        (true, false) => &Law::ALL[..8],
        (false, _) => &Law::ALL[..2],
    }
}

/// Checks a trace. Of a component that cannot tell its configuration, only
/// that it answers, and gets what its platform gives; of one that cannot tell of ejections, not what it makes of them.
pub(crate) fn check(
    trace: &Trace,
    scenario: &Scenario,
    configuration: Option<&EffectiveConfiguration>,
    tells: bool,
) -> Vec<Violation> {
    let rules = configuration.map(|it| Rules::new(scenario, it));
    let admission = Admission::of(trace);
    let interference = Interference::of(trace);
    let granted = Granted::of(trace, scenario.limits.preset);
    let mut violations = Vec::new();
    for exchange in trace.exchanges() {
        let mut broken = |law, message| {
            violations.push(Violation {
                law,
                request: exchange.id,
                at: exchange.begun,
                ended: exchange.ended,
                message,
            });
        };
        if exchange.end != End::Left && exchange.status.is_none() {
            broken(Law::Answered, "it got no answer".to_owned());
        }
        granted.check(exchange, &mut broken);
        if let Some(rules) = &rules
            && !interference.with(exchange)
        {
            rules.attempts(exchange, &mut broken);
            rules.answer(exchange, &mut broken);
            if tells {
                rules.choice(exchange, &admission, &mut broken);
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests;
