//! Time and randomness, as arguments.

use core::time::Duration;

/// Milliseconds since the Unix epoch, as the caller's clock has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The end of time.
    pub(crate) const END: Self = Self(u64::MAX);

    /// The time this many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This much later; stays at the end of time rather than wrap.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The second that it is in, since the Unix epoch.
    pub(crate) const fn second(self) -> u64 {
        self.0 / 1_000
    }

    /// When the second that it is in is over.
    pub(crate) const fn next_second(self) -> Self {
        Self((self.second() + 1).saturating_mul(1_000))
    }

    /// A millisecond later.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole milliseconds, at most [`u64::MAX`] of them. Those of
/// [`Duration::as_millis`] have 128 bits, which wasm divides and prints at length.
pub const fn millis(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000);
    seconds.saturating_add(duration.subsec_millis() as u64)
}

/// 64 random bits, drawn by the caller for one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub u64);
