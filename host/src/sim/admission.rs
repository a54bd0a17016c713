//! Which backends admitted when, seen from outside.

use std::collections::{BTreeMap, BTreeSet};

use super::trace::{Entry, Exchange, Isolate, Trace};

/// Which backends admitted when, as each isolate told it.
pub(super) struct Admission(BTreeMap<(Isolate, usize), Vec<Change>>);

/// From then on, a backend admits or not.
struct Change {
    at: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Admits,
    /// Until then, and no longer.
    Ejected(u64),
    /// To the one that went at this time.
    Trial,
}

impl Admission {
    pub(super) fn of(trace: &Trace) -> Self {
        let mut changes: BTreeMap<_, Vec<Change>> = BTreeMap::new();
        for entry in &trace.entries {
            let (at, isolate, backend, state) = match entry {
                Entry::Ejected {
                    at,
                    isolate,
                    backend,
                    until,
                    ..
                } => (at, isolate, backend, State::Ejected(*until)),
                Entry::Trial {
                    at,
                    isolate,
                    backend,
                } => (at, isolate, backend, State::Trial),
                Entry::Recovered {
                    at,
                    isolate,
                    backend,
                } => (at, isolate, backend, State::Admits),
                Entry::Exchange(_)
                | Entry::Lost { .. }
                | Entry::Told { .. }
                | Entry::Started { .. }
                | Entry::Evicted { .. }
                | Entry::Exceeded { .. } => continue,
            };
            let change = Change { at: *at, state };
            changes
                .entry((*isolate, *backend))
                .or_default()
                .push(change);
        }
        Self(changes)
    }

    /// The state before this millisecond, and whether it changes within.
    fn before(&self, isolate: Isolate, backend: usize, time: u64) -> (State, bool) {
        let Some(changes) = self.0.get(&(isolate, backend)) else {
            return (State::Admits, false);
        };
        let earlier = changes.partition_point(|change| change.at < time);
        let state = earlier.checked_sub(1).and_then(|last| changes.get(last));
        let changing = changes.get(earlier).is_some_and(|next| next.at == time);
        (state.map_or(State::Admits, |change| change.state), changing)
    }

    /// Whether it certainly did not admit.
    pub(super) fn refuses(&self, isolate: Isolate, backend: usize, time: u64) -> bool {
        match self.before(isolate, backend, time) {
            (_, true) | (State::Admits, _) => false,
            // When it is over, who comes next is the trial: told of at that time.
            (State::Ejected(_) | State::Trial, false) => true,
        }
    }

    /// Whether it certainly admitted.
    pub(super) fn admits(&self, isolate: Isolate, backend: usize, time: u64) -> bool {
        self.before(isolate, backend, time) == (State::Admits, false)
    }
}

/// Where the platform had a hand in it: a request that exceeded a limit, or was
/// in an instance as it was lost. What becomes of these is not the balancer's doing.
pub(super) struct Interference {
    exceeded: BTreeSet<u64>,
    lost: Vec<(Isolate, u64)>,
}

impl Interference {
    pub(super) fn of(trace: &Trace) -> Self {
        let mut interference = Self {
            exceeded: BTreeSet::new(),
            lost: Vec::new(),
        };
        for entry in &trace.entries {
            if let Entry::Exceeded { request, .. } = entry {
                interference.exceeded.extend(*request);
            }
            if let Entry::Lost { at, isolate, .. } = entry {
                interference.lost.push((*isolate, *at));
            }
        }
        interference
    }

    pub(super) fn with(&self, exchange: &Exchange) -> bool {
        let span = exchange.begun..=exchange.ended;
        let lost = |(isolate, at): &(Isolate, u64)| {
            exchange.isolate == Some(*isolate) && span.contains(at)
        };
        self.exceeded.contains(&exchange.id) || self.lost.iter().any(lost)
    }
}
