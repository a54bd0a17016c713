//! Recordings of real traffic, played again in virtual time.

mod backends;
mod browsers;
mod casting;
mod compose;
mod filler;
mod read;
mod visitors;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;

pub(crate) use backends::Played;
pub(crate) use casting::{Cast, cast};
pub use read::RecordingError;
pub(crate) use visitors::Visitors;

use super::run::Run;
use super::scenario::{Backend, Measure, Scenario};
use super::summary::Summary;
use super::trace::{Attempt, Client, Entry, Exchange, Names, Outcome, Trace};
use crate::recording::{self, Header};
use crate::upstream::Delivery;

/// The name by which the clients of a recording go in a trace.
pub(crate) const RECORDED: &str = "recorded";

/// The traffic of `edgelb serve --record`, read.
///
/// ```
/// let recording: edgelb_host::sim::Recording = concat!(
///     r#"{"line":"recording","version":2,"time":"2026-11-22T10:00:00.000Z","#,
///     r#""backends":[{"name":"A","origin":"http://a.test"}],"settings":[]}"#, "\n",
/// ).parse()?;
/// assert_eq!(recording.requests(), 0);
/// # Ok::<(), edgelb_host::sim::RecordingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recording {
    pub(crate) header: Header,
    /// When the first request was made, since the Unix epoch.
    pub(crate) began: Duration,
    /// In the order in which they were made; times count from the first.
    pub(crate) exchanges: Vec<recording::Exchange>,
    lost: u64,
    cut_off: Vec<usize>,
}

impl Recording {
    /// How many requests it has.
    pub fn requests(&self) -> usize {
        self.exchanges.len()
    }

    /// How many exchanges were not recorded, because they were too many.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Numbers of lines, from 1, that were cut off in the middle by the end of
    /// the process that wrote them, and are left out.
    pub fn cut_off(&self) -> &[usize] {
        &self.cut_off
    }

    /// From the first request to the last.
    pub fn span(&self) -> Duration {
        let last = self.exchanges.last();
        Duration::from_millis(last.map_or(0, |last| last.at))
    }

    /// What a measure came to when it was recorded. Of ejections it knows
    /// nothing: they are what the component made of it.
    pub fn measure(&self, measure: &Measure) -> f64 {
        let mut scenario = Scenario::new("");
        for name in self.backends() {
            scenario.backends.push(Backend::new(name));
        }
        Summary::of(&self.trace(), &scenario).measure(measure)
    }

    /// The names of all backends, of the configuration and of attempts.
    pub(crate) fn backends(&self) -> Vec<String> {
        let mut names: Vec<_> = (self.header.backends.iter())
            .map(|it| it.name.clone())
            .collect();
        let attempts = self.exchanges.iter().flat_map(|it| &it.attempts);
        let others: BTreeSet<_> = (attempts.filter_map(|it| it.backend.as_ref()))
            .filter(|name| !names.contains(name))
            .cloned()
            .collect();
        names.extend(others);
        names
    }

    /// Adds what was there to what a scenario says, which comes first.
    pub(crate) fn furnish(&self, scenario: &mut Scenario) {
        // A variable for what is hidden; any will do, as nobody knows it.
        const HIDDEN: &str = "hidden-in-the-recording";
        if scenario.name.is_empty() {
            scenario.name = RECORDED.to_owned();
        }
        let settings = self.header.settings.iter().filter(|it| !it.default);
        for setting in settings.filter(|setting| !setting.value.is_empty()) {
            let value = match setting.value.as_str() {
                "****" => HIDDEN,
                value => value,
            };
            (scenario.environment)
                .entry(setting.name.clone())
                .or_insert_with(|| value.to_owned());
        }
        for backend in &self.header.backends {
            let mut others = scenario.backends.iter();
            if !others.any(|it| it.name == backend.name && it.authority.is_some()) {
                (scenario.environment)
                    .entry(format!("BACKEND_{}", backend.name))
                    .or_insert_with(|| backend.variable());
            }
        }
        for name in self.backends() {
            if scenario.backends.iter().any(|it| it.name == name) {
                continue;
            }
            let mut configured = self.header.backends.iter();
            let configured = configured.find(|it| it.name == name);
            let authority = configured.and_then(|it| it.origin.split_once("://"));
            scenario.backends.push(Backend {
                authority: authority.map(|(_, authority)| authority.to_owned()),
                ..Backend::new(name)
            });
        }
        if scenario.duration.is_zero() {
            // Beyond the last request, so that all of them lie within.
            scenario.duration = self.span() + Duration::from_secs(1);
        }
    }

    /// Leaves out the requests that were not made within this time.
    pub(crate) fn end_after(&mut self, duration: Duration) {
        self.exchanges
            .retain(|it| Duration::from_millis(it.at) < duration);
    }

    /// What happened when it was recorded, as a run of the simulator tells it.
    fn trace(&self) -> Trace {
        let backends = self.backends();
        let index = |name: &str| backends.iter().position(|it| it == name);
        let numbers: BTreeMap<_, u32> = (self.exchanges.iter())
            .map(|it| it.client.as_str())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .zip(0..)
            .collect();
        let entries = self.exchanges.iter().map(|it| {
            let attempts: Vec<_> = (it.attempts.iter())
                .map(|attempt| Attempt {
                    backend: attempt.backend.as_deref().and_then(index),
                    begun: it.at + attempt.at,
                    ended: it.at + attempt.ended.unwrap_or(it.ended),
                    outcome: outcome(attempt),
                    length: None,
                })
                .collect();
            let answered = attempts.last().filter(|last| {
                let sent = it.status.map(Outcome::Status);
                sent == Some(last.outcome)
            });
            let number = numbers.get(it.client.as_str()).copied();
            Entry::Exchange(Exchange {
                id: it.request,
                begun: it.at,
                location: 0,
                isolate: None,
                client: number.map(|number| Client { group: 0, number }),
                method: it.method.parse().unwrap_or(Method::GET),
                repeatable: false,
                session: None,
                by: answered.and_then(|last| last.backend),
                attempts,
                status: it.status,
                answered: it.at + it.head.unwrap_or(it.ended),
                end: it.end,
                ended: it.at + it.ended,
                bytes: it.response.bytes,
            })
        });
        Trace {
            entries: entries.collect(),
            names: Names {
                backends: backends.clone(),
                ..Names::default()
            },
        }
    }
}

impl Run {
    /// What the requests of the recording came to, without those of the
    /// scenario's own clients; where nothing is replayed, nothing.
    pub fn replayed(&self) -> Summary {
        let recorded = |client: Option<Client>| {
            client.is_some_and(|it| it.group == self.scenario.clients.len())
        };
        let exchanges = self.trace.exchanges();
        let exchanges = exchanges.filter(|it| recorded(it.client));
        let trace = Trace {
            entries: exchanges.cloned().map(Entry::Exchange).collect(),
            names: self.trace.names.clone(),
        };
        Summary::of(&trace, &self.scenario)
    }
}

/// What came of an attempt that was recorded.
pub(crate) fn outcome(attempt: &recording::Attempt) -> Outcome {
    match (attempt.status, &attempt.failure) {
        (Some(status), _) => Outcome::Status(status),
        (None, Some(failure)) => {
            let cause = recording::cause(failure);
            let cause = cause.unwrap_or(crate::upstream::Cause::InternalError);
            let delivery = attempt.delivery.map(Delivery::from);
            Outcome::Failed(cause, delivery.unwrap_or(Delivery::MaybeSent))
        }
        (None, None) => Outcome::Cancelled,
    }
}
