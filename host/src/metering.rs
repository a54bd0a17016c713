//! How much processor time a guest takes, and the end of one that never stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Engine, Store, UpdateDeadline};

/// How often running guests are looked at.
const TICK: Duration = Duration::from_millis(2);

/// Meters one store's guest, turn by turn. A turn is what the guest does
/// before it gives its thread back.
pub(crate) struct Meter {
    turns: Arc<AtomicU64>,
    ticker: Arc<Ticker>,
}

impl Meter {
    /// From now on a turn that takes more than `budget` of processor time
    /// traps: within a few ticks of 2 ms, at the worst (the ticker was just
    /// falling asleep) within 200 ms.
    pub(crate) fn attach<T>(store: &mut Store<T>, ticker: &Arc<Ticker>, budget: Duration) -> Self {
        let meter = Self {
            turns: Arc::default(),
            ticker: Arc::clone(ticker),
        };
        let turns = Arc::clone(&meter.turns);
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
            if now.saturating_sub(seen.1) < budget {
                Ok(UpdateDeadline::Continue(1))
            } else {
                Err(wasmtime::Error::msg(
                    "the guest exceeded its processor time",
                ))
            }
        });
        store.set_epoch_deadline(2);
        meter
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

/// Advances an engine's epoch while guests run, and sleeps while none does.
pub(crate) struct Ticker {
    turns: AtomicU64,
    asleep: AtomicBool,
    thread: Thread,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Arc<Self> {
        let weak = engine.weak();
        let (send, receive) = std::sync::mpsc::sync_channel::<std::sync::Weak<Self>>(1);
        let thread = thread::spawn(move || {
            let Ok(ticker) = receive.recv() else { return };
            let mut seen = u64::MAX;
            while let (Some(engine), Some(ticker)) = (weak.upgrade(), ticker.upgrade()) {
                engine.increment_epoch();
                let turns = ticker.turns.load(Ordering::Relaxed);
                let idle = turns == seen;
                seen = turns;
                ticker.asleep.store(idle, Ordering::SeqCst);
                drop((engine, ticker));
                if idle {
                    // A turn may have begun since; should it spin, it is found this late.
                    thread::park_timeout(TICK * 100);
                } else {
                    thread::park_timeout(TICK);
                }
            }
        });
        let ticker = Arc::new(Self {
            turns: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            thread: thread.thread().clone(),
        });
        // The thread waits for this before anything else.
        let _ = send.send(Arc::downgrade(&ticker));
        ticker
    }

    fn wake(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}
