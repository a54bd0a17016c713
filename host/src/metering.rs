//! How much processor time a guest takes, and the end of one that never stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Store, UpdateDeadline};

use crate::ticker::Ticker;

/// Meters one store's guest, turn by turn. A turn is what the guest does
/// before it gives its thread back.
pub(crate) struct Meter {
    turns: Arc<AtomicU64>,
    /// In nanoseconds.
    budget: Arc<AtomicU64>,
    ticker: Arc<Ticker>,
}

impl Meter {
    /// From now on a turn that takes more than `budget` of processor time
    /// traps, within a few ticks of the epoch.
    pub(crate) fn attach<T>(store: &mut Store<T>, ticker: &Arc<Ticker>, budget: Duration) -> Self {
        let meter = Self {
            turns: Arc::default(),
            budget: Arc::default(),
            ticker: Arc::clone(ticker),
        };
        meter.allow(budget);
        let turns = Arc::clone(&meter.turns);
        let budget = Arc::clone(&meter.budget);
        let ticker = Arc::clone(ticker);
        let mut seen = (0, thread_time());
        store.epoch_deadline_callback(move |_| {
            // Nobody else may be calling to keep it ticking.
            ticker.wake();
            let now = thread_time();
            let turn = turns.load(Ordering::Relaxed);
            if seen.0 != turn {
                seen = (turn, now);
            }
            // The thread may have been waiting for a processor, not the guest spinning.
            let budget = Duration::from_nanos(budget.load(Ordering::Relaxed));
            if now.saturating_sub(seen.1) < budget {
                Ok(UpdateDeadline::Continue(Ticker::DEADLINE))
            } else {
                Err(wasmtime::Error::msg(
                    "the guest exceeded its processor time",
                ))
            }
        });
        store.set_epoch_deadline(Ticker::DEADLINE);
        meter
    }

    /// From now on a turn may take this much.
    pub(crate) fn allow(&self, budget: Duration) {
        let nanos = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        self.budget.store(nanos, Ordering::Relaxed);
    }

    /// The guest is about to be entered.
    pub(crate) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.ticker.wake();
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}
