//! Epochs: how a guest that does not come back is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// How often running guests are looked at.
const TICK: Duration = Duration::from_millis(2);
/// How often otherwise. A guest's thread may be held up between the moment it
/// says that it runs and the moment its deadline is set; where that took more
/// than two ticks, nobody else would wake this thread.
const REST: Duration = Duration::from_millis(50);

/// Nobody calls; the thread rests until somebody does.
const ASLEEP: u8 = 0;
/// Nobody has called since the last tick.
const QUIET: u8 = 1;
/// Somebody has.
const BUSY: u8 = 2;

/// Advances an engine's epoch every two milliseconds while calls are made, and
/// all but sleeps while none are.
pub(crate) struct Ticker {
    state: Arc<AtomicU8>,
    thread: Thread,
}

impl Ticker {
    /// How many ticks ahead deadlines are to be. One tick is sure to come after
    /// each [`Self::wake`]; a second is not, if the thread was between its tick
    /// and noting it.
    pub(crate) const DEADLINE: u64 = 1;

    /// Starts the thread; it ends with the ticker.
    pub(crate) fn start(engine: &Engine) -> wasmtime::Result<Self> {
        let state = Arc::new(AtomicU8::new(BUSY));
        let engine = engine.weak();
        let shared = Arc::downgrade(&state);
        let thread = thread::Builder::new()
            .name("edgelb-epoch".to_owned())
            .spawn(move || {
                while let (Some(engine), Some(state)) = (engine.upgrade(), shared.upgrade()) {
                    engine.increment_epoch();
                    let before = if state.load(Ordering::SeqCst) == BUSY {
                        state.swap(QUIET, Ordering::SeqCst)
                    } else {
                        // Unless somebody called just now.
                        let fell = state.compare_exchange(
                            QUIET,
                            ASLEEP,
                            Ordering::SeqCst,
                            Ordering::SeqCst,
                        );
                        fell.unwrap_or_else(|found| found)
                    };
                    drop((engine, state));
                    if before == BUSY {
                        thread::park_timeout(TICK);
                    } else {
                        thread::park_timeout(REST);
                    }
                }
            })?;
        Ok(Self {
            state,
            thread: thread.thread().clone(),
        })
    }

    /// Keeps the epoch going. A call says so when it begins, and again each
    /// time its deadline has passed.
    pub(crate) fn wake(&self) {
        // Nearly always busy already: threads only read what they share.
        if self.state.load(Ordering::Relaxed) != BUSY
            && self.state.swap(BUSY, Ordering::SeqCst) == ASLEEP
        {
            self.thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state = Arc::default();
        self.thread.unpark();
    }
}
