//! Where a component's time comes from.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The time a component is told: milliseconds since the Unix epoch.
///
/// Must never go backwards: ejections are compared by it.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> u64;
}

/// Wall time at its creation, advanced by tokio's monotonic clock: steps of the
/// wall clock do not show, and on a paused tokio runtime time is virtual.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    anchor: Instant,
    unix: Duration,
}

impl TokioClock {
    /// Anchored at the wall time of now.
    pub fn new() -> Self {
        Self::anchored(SystemTime::now())
    }

    /// Anchored at a time of choice, for runs that must repeat.
    pub fn anchored(time: SystemTime) -> Self {
        Self {
            anchor: Instant::now(),
            unix: time.duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> u64 {
        let now = self.unix + self.anchor.elapsed();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}
