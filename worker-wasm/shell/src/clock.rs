//! The time the policy is told.

use wasip3::clocks::{monotonic_clock, system_clock};

/// Milliseconds since the Unix epoch, never going backwards: the monotonic
/// clock, anchored at the wall time when the instance first asked.
pub(crate) fn now() -> u64 {
    thread_local! {
        static ANCHOR: Anchor = Anchor::new();
    }
    ANCHOR.with(|anchor| {
        let elapsed = monotonic_clock::now().saturating_sub(anchor.mark);
        anchor.wall.saturating_add(elapsed / NANOS_PER_MILLI)
    })
}

const NANOS_PER_MILLI: u64 = 1_000_000;

struct Anchor {
    /// Milliseconds since the Unix epoch.
    wall: u64,
    /// The monotonic clock at that time, in nanoseconds.
    mark: u64,
}

impl Anchor {
    fn new() -> Self {
        let wall = system_clock::now();
        let seconds = u64::try_from(wall.seconds).unwrap_or(0);
        Self {
            wall: seconds
                .saturating_mul(1_000)
                .saturating_add(u64::from(wall.nanoseconds) / NANOS_PER_MILLI),
            mark: monotonic_clock::now(),
        }
    }
}
