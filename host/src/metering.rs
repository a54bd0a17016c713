//! How much a guest takes of its processor, and the end of one that never stops.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Config, Store, Trap, UpdateDeadline};

use crate::ticker::Ticker;

/// How many units of fuel stand for a nanosecond of processor time.
///
/// A unit is about one WebAssembly instruction, of which one core of an edge
/// machine, shared and no faster than it must be, executes a thousand million
/// a second; one to itself may do three times that, so what is simulated
/// exceeds a limit rather too early than too late. A request through the
/// balancer takes some 18,000 units, or 0.02 ms.
const FUEL_PER_NANOSECOND: u128 = 1;

/// By what the processor time of guests is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Metering {
    /// By their thread's own time, looked at by epochs: what serves must not
    /// pay for being measured.
    #[default]
    Epochs,
    /// By fuel: what is simulated must take the same on every machine.
    Fuel(Grant),
}

/// What a platform grants, where one is simulated; no limit where there is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Processor time of one request.
    pub(crate) cpu_time: Option<Duration>,
    /// Bytes of memory of one instance.
    pub(crate) memory: Option<usize>,
}

/// What a guest took more of than its platform grants. As an error, it is what
/// the guest trapped by; as an extension of a response, why that is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exceeded {
    #[error("the guest exceeded its processor time")]
    CpuTime,
    #[error("the guest exceeded its memory")]
    Memory,
}

/// What one request has taken so far, in fuel; nothing where epochs measure.
#[derive(Debug, Default)]
pub(crate) struct Spent(AtomicU64);

/// One request's consumption, for as long as anything is done for it: after
/// its response's head has left, too.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) spent: Spent,
    exceeded: OnceLock<Exceeded>,
    told: Option<Told>,
}

/// Hears what a request took too much of.
type Told = Box<dyn Fn(Exceeded) + Send + Sync>;

impl Spent {
    /// What is left of so much.
    pub(crate) fn left_of(&self, granted: u64) -> u64 {
        granted.saturating_sub(self.0.load(Ordering::Relaxed))
    }

    /// Spends so much more.
    pub(crate) fn add(&self, fuel: u64) {
        // It does not wrap round: a request's fuel is counted down from a u64.
        self.0.fetch_add(fuel, Ordering::Relaxed);
    }
}

impl Account {
    /// One whose excess is told of: once, and whenever it comes.
    pub(crate) fn telling(told: impl Fn(Exceeded) + Send + Sync + 'static) -> Self {
        Self {
            told: Some(Box::new(told)),
            ..Self::default()
        }
    }

    /// An instance was lost because too much of this was taken.
    pub(crate) fn exceed(&self, exceeded: Exceeded) {
        if self.exceeded.set(exceeded).is_ok()
            && let Some(told) = &self.told
        {
            told(exceeded);
        }
    }

    /// What was taken too much of.
    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded.get().copied()
    }
}

impl Metering {
    /// Has an engine measure so.
    pub(crate) fn configure(self, config: &mut Config) {
        match self {
            Self::Epochs => config.epoch_interruption(true),
            Self::Fuel(_) => config.consume_fuel(true),
        };
    }

    pub(crate) fn grant(self) -> Grant {
        match self {
            Self::Epochs => Grant::default(),
            Self::Fuel(grant) => grant,
        }
    }
}

/// Meters one store's guest, turn by turn. A turn is what the guest does
/// before it gives its thread back.
pub(crate) enum Meter {
    Epochs(Epochs),
    Fuel(Fuel),
}

/// Meters by epochs.
pub(crate) struct Epochs {
    turns: Arc<AtomicU64>,
    /// In nanoseconds.
    budget: Arc<AtomicU64>,
    ticker: Arc<Ticker>,
}

/// Meters by fuel.
pub(crate) struct Fuel {
    /// Of a turn, where the platform says nothing of it.
    pub(crate) budget: u64,
    /// Of a request.
    pub(crate) granted: Option<u64>,
}

impl Meter {
    /// Meters by epochs where there is a ticker, else by fuel. From now on a
    /// turn that takes more than `budget` traps, by epochs within a few ticks.
    ///
    /// # Errors
    /// The engine does not measure so.
    pub(crate) fn attach<T>(
        store: &mut Store<T>,
        ticker: Option<&Arc<Ticker>>,
        budget: Duration,
    ) -> wasmtime::Result<Self> {
        if let Some(ticker) = ticker {
            return Ok(Self::Epochs(Epochs::attach(store, ticker, budget)));
        }
        let budget = fuel(budget);
        store.set_fuel(budget)?;
        Ok(Self::Fuel(Fuel {
            budget,
            granted: None,
        }))
    }

    /// From now on a turn may take this much; or, where the platform grants
    /// each request its own, what that has left.
    pub(crate) fn allow(&mut self, budget: Duration, grant: Grant) {
        match self {
            Self::Epochs(meter) => meter.allow(budget),
            Self::Fuel(meter) => {
                meter.budget = fuel(budget);
                meter.granted = grant.cpu_time.map(fuel);
            }
        }
    }

    /// Has the guest take a turn, for a request that has spent so much.
    pub(crate) fn turn<T, R>(
        &self,
        store: &mut Store<T>,
        spent: &Spent,
        turn: impl FnOnce(&mut Store<T>) -> wasmtime::Result<R>,
    ) -> wasmtime::Result<R> {
        match self {
            Self::Epochs(meter) => {
                // In this order: once it is told of the turn, the ticker ticks at least once more.
                store.set_epoch_deadline(Ticker::DEADLINE);
                meter.turn();
                turn(store)
            }
            Self::Fuel(meter) => {
                let granted = |granted| spent.left_of(granted);
                let fuel = meter.granted.map_or(meter.budget, granted);
                store.set_fuel(fuel)?;
                let turned = turn(store);
                spent.add(fuel.saturating_sub(store.get_fuel()?));
                turned.map_err(|trap| self.explain(trap))
            }
        }
    }

    /// The trap that an empty tank is, in words of what it was filled for.
    pub(crate) fn explain(&self, trap: wasmtime::Error) -> wasmtime::Error {
        match self {
            Self::Fuel(meter) if trap.downcast_ref() == Some(&Trap::OutOfFuel) => {
                match meter.granted {
                    Some(_) => Exceeded::CpuTime.into(),
                    None => overran(),
                }
            }
            Self::Fuel(_) | Self::Epochs(_) => trap,
        }
    }
}

impl Epochs {
    fn attach<T>(store: &mut Store<T>, ticker: &Arc<Ticker>, budget: Duration) -> Self {
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
                Err(overran())
            }
        });
        store.set_epoch_deadline(Ticker::DEADLINE);
        meter
    }

    fn allow(&self, budget: Duration) {
        let nanos = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        self.budget.store(nanos, Ordering::Relaxed);
    }

    /// The guest is about to be entered.
    pub(crate) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.ticker.wake();
    }
}

/// The trap of a guest that took more than its host allows, which no platform
/// has a say in: a message, and no [`Exceeded`].
fn overran() -> wasmtime::Error {
    wasmtime::Error::msg(Exceeded::CpuTime.to_string())
}

/// So much processor time, in fuel.
fn fuel(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() * FUEL_PER_NANOSECOND).unwrap_or(u64::MAX)
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}
