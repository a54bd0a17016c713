//! What a run is made of while it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::backend::Model;
use super::dice::Dice;
use super::identity::Identity;
use super::limits::Limits;
use super::replay::{Cast, Played};
use super::scenario::{Fault, FaultKind, Scenario};
use super::trace::{Attempt, Entry, Exchange, Isolate, Names, Outcome, Trace};
use crate::clock::TokioClock;

/// When all runs begin but those of a recording: 2026-01-01T00:00:00Z, in seconds since the Unix epoch.
pub(crate) const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// The field by which an attempt is known to be of a request.
pub(crate) const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

/// One run: its time, its chance, its backends and its record.
pub(crate) struct World {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) limits: Limits,
    pub(crate) dice: Dice,
    pub(crate) clock: Arc<TokioClock>,
    pub(crate) backends: Vec<Model>,
    /// `host` or `host:port` of each backend, and its index.
    pub(crate) authorities: BTreeMap<String, usize>,
    /// The recording that is played again, if one is.
    pub(crate) cast: Option<Arc<Cast>>,
    start: Instant,
    /// How far the run is, in milliseconds, for whoever watches.
    pulse: Arc<AtomicU64>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    open: BTreeMap<u64, Exchange>,
    /// What those that are open may send at a time.
    connections: BTreeMap<u64, Arc<Semaphore>>,
    trace: Trace,
    received: Vec<Received>,
}

/// A request as a backend received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Index of the backend.
    pub backend: usize,
    /// When, in milliseconds since the run began.
    pub at: u64,
    /// Where it came from.
    pub isolate: Isolate,
    /// The request, whole.
    pub request: Request<Bytes>,
}

impl fmt::Display for Received {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, target) = (self.request.method(), self.request.uri());
        let length = self.request.body().len();
        write!(
            formatter,
            "{:>8} ms  {method} {target}, {length} bytes",
            self.at
        )
    }
}

/// Of all that was received, what this backend received.
///
/// # Panics
/// There is no such backend, or what it receives is not kept.
#[track_caller]
pub(crate) fn of_backend<'a>(
    scenario: &Scenario,
    received: &'a [Received],
    backend: &str,
) -> Vec<&'a Received> {
    assert!(
        scenario.keep_requests,
        "what backends receive is not kept: the scenario must say `keep-requests`"
    );
    let names: Vec<_> = scenario
        .backends
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let index = names.iter().position(|name| *name == backend);
    assert!(
        index.is_some(),
        "there is no backend `{backend}`; there is {names:?}"
    );
    received
        .iter()
        .filter(|it| Some(it.backend) == index)
        .collect()
}

/// # Panics
/// They are not so many; the message lists them.
#[track_caller]
pub(crate) fn assert_count(received: &[&Received], backend: &str, count: usize) {
    let lines: Vec<_> = received.iter().map(|it| format!("\n  {it}")).collect();
    assert!(
        received.len() == count,
        "`{backend}` received {} requests, not {count}:{}",
        received.len(),
        lines.concat()
    );
}

impl World {
    /// A world that begins now.
    pub(crate) fn new(
        scenario: Arc<Scenario>,
        seed: u64,
        names: Names,
        authorities: BTreeMap<String, usize>,
        backends: Vec<Model>,
        cast: Option<Arc<Cast>>,
        pulse: Arc<AtomicU64>,
    ) -> Self {
        // Dates in what was recorded mean what they meant.
        let epoch = cast.as_ref().map_or(EPOCH, |cast| cast.recording.began);
        let record = Record {
            trace: Trace {
                names,
                ..Trace::default()
            },
            ..Record::default()
        };
        Self {
            limits: scenario.limits.effective(),
            dice: Dice::new(seed),
            clock: Arc::new(TokioClock::anchored(SystemTime::UNIX_EPOCH + epoch)),
            backends,
            authorities,
            cast,
            start: Instant::now(),
            pulse,
            record: Mutex::new(record),
            scenario,
        }
    }

    /// How long the run has gone.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The same in milliseconds, as it is recorded.
    pub(crate) fn millis(&self) -> u64 {
        millis(self.now())
    }

    /// Returns at this time of the run.
    pub(crate) async fn until(&self, time: Duration) {
        tokio::time::sleep_until(self.start + time).await;
    }

    /// The moment of this time of the run.
    pub(crate) fn instant(&self, time: Duration) -> Instant {
        self.start + time
    }

    /// The id of this request of the recording.
    pub(crate) fn recorded_id(&self, index: usize) -> u64 {
        Identity::RECORDED.request(index as u64)
    }

    /// What comes of sending a request to a backend now, if that was recorded.
    pub(crate) fn played(&self, request: Option<u64>, backend: usize) -> Option<Played> {
        let cast = self.cast.as_ref()?;
        let name = &self.scenario.backends.get(backend)?.name;
        let index = request.and_then(|id| Identity::RECORDED.number(id));
        let index = index.and_then(|number| usize::try_from(number).ok());
        cast.outcomes.of(index, (backend, name), self.millis())
    }

    /// The faults that a backend can suffer, seen from a location.
    pub(crate) fn faults(&self, location: usize, backend: usize) -> impl Iterator<Item = &Fault> {
        let location = self.scenario.locations.get(location);
        let backend = self.scenario.backends.get(backend);
        self.scenario.faults.iter().filter(move |fault| {
            let from = fault.location.as_ref();
            let with = fault.backend.as_ref();
            from.is_none_or(|name| location.is_some_and(|it| it.name == *name))
                && with.is_none_or(|name| backend.is_some_and(|it| it.name == *name))
        })
    }

    /// The same, of one kind.
    pub(crate) fn faults_of(
        &self,
        kind: FaultKind,
        location: usize,
        backend: usize,
    ) -> impl Iterator<Item = &Fault> {
        (self.faults(location, backend)).filter(move |fault| fault.kind == kind)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub(crate) fn note(&self, entry: Entry) {
        self.record().trace.entries.push(entry);
    }

    /// A request is made.
    pub(crate) fn open(&self, exchange: Exchange) {
        self.record().open.insert(exchange.id, exchange);
    }

    /// Something more is known of a request under way.
    pub(crate) fn update<T>(
        &self,
        request: u64,
        update: impl FnOnce(&mut Exchange) -> T,
    ) -> Option<T> {
        self.record().open.get_mut(&request).map(update)
    }

    /// A request came to its end.
    pub(crate) fn close(&self, request: u64, finish: impl FnOnce(&mut Exchange)) {
        let mut record = self.record();
        record.connections.remove(&request);
        let Some(mut exchange) = record.open.remove(&request) else {
            return;
        };
        finish(&mut exchange);
        self.pulse.store(exchange.ended, Ordering::Relaxed);
        for attempt in &mut exchange.attempts {
            if attempt.outcome == Outcome::Pending {
                attempt.outcome = Outcome::Cancelled;
                attempt.ended = exchange.ended;
            }
        }
        record.trace.entries.push(Entry::Exchange(exchange));
    }

    /// A connection for something that a request sends, once it may have one
    /// more; none where nobody counts them.
    pub(crate) async fn connection(&self, request: Option<u64>) -> Option<OwnedSemaphorePermit> {
        let (most, request) = (self.limits.connections?, request?);
        let connections = {
            let mut record = self.record();
            let of_request = record.connections.entry(request);
            Arc::clone(of_request.or_insert_with(|| Arc::new(Semaphore::new(most.get()))))
        };
        connections.acquire_owned().await.ok()
    }

    /// An attempt begins; its index among those of its request.
    pub(crate) fn attempt(&self, request: Option<u64>, backend: Option<usize>) -> usize {
        let begun = self.millis();
        let attempt = Attempt {
            backend,
            begun,
            ended: begun,
            outcome: Outcome::Pending,
            length: None,
        };
        let added = request.and_then(|request| {
            self.update(request, |exchange| {
                exchange.attempts.push(attempt);
                exchange.attempts.len() - 1
            })
        });
        added.unwrap_or_default()
    }

    /// An attempt ended so.
    pub(crate) fn settle(
        &self,
        request: Option<u64>,
        attempt: usize,
        outcome: Outcome,
        length: Option<u64>,
    ) {
        let now = self.millis();
        request.and_then(|request| {
            self.update(request, |exchange| {
                if let Some(attempt) = exchange.attempts.get_mut(attempt) {
                    attempt.ended = now;
                    attempt.outcome = outcome;
                    attempt.length = length;
                }
            })
        });
    }

    /// A backend received a request.
    pub(crate) fn receive(&self, received: Received) {
        self.record().received.push(received);
    }

    /// What backends have received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.record().received.clone()
    }

    /// What happened so far.
    pub(crate) fn trace(&self) -> Trace {
        self.record().trace.clone()
    }

    /// What happened and what was received, taken away.
    pub(crate) fn take(&self) -> (Trace, Vec<Received>) {
        let mut record = self.record();
        (
            std::mem::take(&mut record.trace),
            std::mem::take(&mut record.received),
        )
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
