//! What a run comes to, in figures.

use std::collections::BTreeMap;

use super::scenario::{Bound, Measure, Scenario};
use super::trace::{Entry, Outcome, Trace};
use super::world::millis;

/// The figures of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many requests were made.
    pub requests: usize,
    /// Of how many of them the client went away.
    pub left: usize,
    /// How many failed: with 500 or more, or in the middle.
    pub failures: usize,
    /// How many attempts were made beyond the first of each request.
    pub retries: usize,
    /// How long answers took to begin, in milliseconds, in rising order.
    pub latencies: Vec<u64>,
    /// How many requests carried a session.
    pub sessions: usize,
    /// How many of these stayed with their backend.
    pub kept: usize,
    /// How many clients were answered by any backend.
    pub clients: usize,
    /// How many of these by more than one.
    pub moved: usize,
    /// How many times a backend was ejected.
    pub ejections: usize,
    /// The longest time to the first ejection, in milliseconds.
    pub detect: Option<u64>,
    /// The longest time to the first answer after it was well again.
    pub recover: Option<u64>,
    /// How many answers came from each backend.
    pub answers: Vec<(String, usize)>,
    /// How many times a limit was exceeded.
    pub exceeded: usize,
    /// How many instances of the component were lost.
    pub lost: usize,
}

impl Summary {
    pub(crate) fn of(trace: &Trace, scenario: &Scenario) -> Self {
        let mut summary = Self::default();
        let mut answers = vec![0; scenario.backends.len()];
        let mut homes: BTreeMap<_, (usize, bool)> = BTreeMap::new();
        for exchange in trace.exchanges() {
            summary.requests += 1;
            summary.retries += exchange.attempts.len().saturating_sub(1);
            match exchange.succeeded() {
                None => summary.left += 1,
                Some(succeeded) => {
                    summary.failures += usize::from(!succeeded);
                    summary.latencies.push(exchange.latency());
                }
            }
            let Some(by) = exchange.by else {
                continue;
            };
            if let Some(answers) = answers.get_mut(by) {
                *answers += 1;
            }
            if let Some(session) = exchange.session {
                summary.sessions += 1;
                summary.kept += usize::from(session == by);
            }
            if let Some(client) = exchange.client {
                let home = homes.entry(client).or_insert((by, false));
                home.1 |= home.0 != by;
            }
        }
        summary.latencies.sort_unstable();
        summary.clients = homes.len();
        summary.moved = homes.values().filter(|(_, moved)| *moved).count();
        let names = trace.names.backends.iter().cloned();
        summary.answers = names.zip(answers).collect();
        for entry in &trace.entries {
            match entry {
                Entry::Ejected { .. } => summary.ejections += 1,
                Entry::Lost { .. } => summary.lost += 1,
                Entry::Exceeded { .. } => summary.exceeded += 1,
                Entry::Exchange(_)
                | Entry::Told { .. }
                | Entry::Trial { .. }
                | Entry::Recovered { .. }
                | Entry::Started { .. }
                | Entry::Evicted { .. } => {}
            }
        }
        summary.times(trace, scenario);
        summary
    }

    /// How long outages took to be noticed, and recoveries. An outage that
    /// nobody met has neither; one that was met and not noticed, or not
    /// recovered from, took all the time there was.
    fn times(&mut self, trace: &Trace, scenario: &Scenario) {
        let outages = scenario.faults.iter().filter(|fault| fault.is_outage());
        let end = millis(scenario.duration);
        for fault in outages {
            let named =
                |name: &Option<String>, it: &str| name.as_ref().is_none_or(|name| name == it);
            let seen_from: Vec<_> = (scenario.locations.iter())
                .map(|location| named(&fault.location, &location.name))
                .collect();
            for (index, backend) in scenario.backends.iter().enumerate() {
                if !named(&fault.backend, &backend.name) {
                    continue;
                }
                let history = History::of(trace, index, &seen_from);
                for (onset, over) in fault.windows(scenario.duration) {
                    let (onset, over) = (millis(onset), millis(over));
                    let ejected = first(&history.ejections, onset, over);
                    if ejected.is_none() && first(&history.failures, onset, over).is_none() {
                        continue;
                    }
                    let detect = ejected.unwrap_or(over) - onset;
                    self.detect = self.detect.max(Some(detect));
                    if over < end {
                        let recover = first(&history.answers, over, end).unwrap_or(end) - over;
                        self.recover = self.recover.max(Some(recover));
                    }
                }
            }
        }
    }

    /// What a measure comes to: a share from 0 to 1, milliseconds, or a number.
    pub fn measure(&self, measure: &Measure) -> f64 {
        let waited = self.requests - self.left;
        match measure {
            Measure::Availability => share(waited - self.failures, waited, 0.0),
            Measure::Requests => number(self.requests),
            Measure::Failures => number(self.failures),
            Measure::Retries => number(self.retries),
            Measure::P50 => self.percentile(0.50),
            Measure::P95 => self.percentile(0.95),
            Measure::P99 => self.percentile(0.99),
            Measure::Slowest => self.percentile(1.0),
            Measure::Stickiness => share(self.kept, self.sessions, 1.0),
            Measure::Moved => share(self.moved, self.clients, 0.0),
            Measure::Ejections => number(self.ejections),
            Measure::Detect => time(self.detect),
            Measure::Recover => time(self.recover),
            Measure::Share(backend) => {
                let sum = self.answers.iter().map(|(_, answers)| answers).sum();
                let of_it = self.answers.iter().find(|(name, _)| name == backend);
                share(of_it.map_or(0, |(_, answers)| *answers), sum, 0.0)
            }
            Measure::Exceeded => number(self.exceeded),
            Measure::Lost => number(self.lost),
        }
    }

    /// The bounds that do not hold: each measure, what it came to, and its bound.
    pub fn unmet(&self, scenario: &Scenario) -> Vec<(Measure, f64, Bound)> {
        let bounds = scenario.expect.bounds().into_iter();
        let measured = bounds.map(|(measure, bound)| {
            let value = self.measure(&measure);
            (measure, value, bound)
        });
        measured
            .filter(|(_, value, bound)| !bound.holds(*value))
            .collect()
    }

    /// The nearest rank: the least value that so many do not exceed.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let rank = (number(self.latencies.len()) * share).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among them"
        )]
        let index = (rank as usize).saturating_sub(1);
        self.latencies.get(index).map_or(0.0, |it| millis_of(*it))
    }
}

/// When what happened to a backend, in order.
struct History {
    ejections: Vec<u64>,
    /// When an attempt was made that brought no answer, or one of 500 or more.
    failures: Vec<u64>,
    /// When it answered with less than 500.
    answers: Vec<u64>,
}

impl History {
    /// As it was seen from these locations.
    fn of(trace: &Trace, backend: usize, seen_from: &[bool]) -> Self {
        let seen = |location: usize| seen_from.get(location).copied().unwrap_or(false);
        let mut history = Self {
            ejections: Vec::new(),
            failures: Vec::new(),
            answers: Vec::new(),
        };
        for entry in &trace.entries {
            if let Entry::Ejected {
                at,
                isolate,
                backend: it,
                ..
            } = entry
                && *it == backend
                && seen(isolate.location)
            {
                history.ejections.push(*at);
            }
        }
        for exchange in trace.exchanges().filter(|it| seen(it.location)) {
            for attempt in &exchange.attempts {
                if attempt.backend != Some(backend) {
                    continue;
                }
                match attempt.outcome {
                    Outcome::Status(status) if status < 500 => history.answers.push(attempt.ended),
                    Outcome::Status(_) | Outcome::Failed(..) => {
                        history.failures.push(attempt.begun)
                    }
                    Outcome::Pending | Outcome::Cancelled => {}
                }
            }
        }
        history.failures.sort_unstable();
        history.answers.sort_unstable();
        history
    }
}

/// The first of these times from one to another.
fn first(times: &[u64], from: u64, to: u64) -> Option<u64> {
    let index = times.partition_point(|time| *time < from);
    times.get(index).copied().filter(|time| *time < to)
}

fn share(part: usize, whole: usize, of_nothing: f64) -> f64 {
    if whole == 0 {
        of_nothing
    } else {
        number(part) / number(whole)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
fn millis_of(time: u64) -> f64 {
    time as f64
}

/// Where there was no outage, it took no time.
fn time(time: Option<u64>) -> f64 {
    time.map_or(0.0, millis_of)
}
