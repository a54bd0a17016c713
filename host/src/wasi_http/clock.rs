//! The guest's clocks and dice: those of the edge.

use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use crate::clock::Clock;

/// An edge's clock as both clocks of WASI, in steps of a millisecond.
///
/// The guest's sleeps are tokio's: a clock other than tokio's wakes it early or late.
pub(super) struct WasiClock(pub(super) Arc<dyn Clock>);

const STEP: Duration = Duration::from_millis(1);

impl HostWallClock for WasiClock {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now())
    }
}

/// Nanoseconds since the Unix epoch: WASI leaves the origin open.
impl HostMonotonicClock for WasiClock {
    fn resolution(&self) -> u64 {
        nanos(STEP)
    }

    fn now(&self) -> u64 {
        nanos(HostWallClock::now(self))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
