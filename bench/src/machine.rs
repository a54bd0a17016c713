//! What else the machine does meanwhile.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

use crate::process;

/// Up to this share of the machine others are no matter: whatever runs on an
/// idle system.
pub(crate) const QUIET: f64 = 0.1;

/// Watches who has the processors.
pub(crate) struct Watch {
    all: Ticks,
    ours: Duration,
}

/// Clock ticks since the machine started, of all processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    /// In processes, and in other machines on the same hardware.
    busy: u64,
    total: u64,
}

impl Watch {
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self {
            all: Ticks::now()?,
            ours: ours()?,
        })
    }

    /// The share of the machine that others had since the start, 0 to 1: who
    /// is neither this process nor one that it started and that still runs.
    pub(crate) fn others(&self) -> anyhow::Result<f64> {
        let all = Ticks::now()?;
        let busy = (all.busy - self.all.busy) as f64 / process::ticks_per_second();
        let total = (all.total - self.all.total) as f64 / process::ticks_per_second();
        let ours = ours()?.saturating_sub(self.ours).as_secs_f64();
        Ok(((busy - ours) / total).clamp(0.0, 1.0))
    }
}

fn ours() -> anyhow::Result<Duration> {
    process::cpu_time(std::process::id())
}

impl Ticks {
    /// From `/proc` (<https://man7.org/linux/man-pages/man5/proc_stat.5.html>).
    fn now() -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("cannot read `/proc/stat`")?;
        Self::parse(&stat).context("`/proc/stat` is malformed")
    }

    fn parse(stat: &str) -> Option<Self> {
        let all = stat.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<u64> = all
            .split_whitespace()
            .map(|it| it.parse().ok())
            .collect::<Option<_>>()?;
        // What interrupts take is nobody's.
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = times[..] else {
            return None;
        };
        let busy = user + nice + system + steal;
        Some(Self {
            busy,
            total: busy + idle + iowait + irq + softirq,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stolen_is_busy_and_what_waits_is_not() {
        let stat = "cpu  10 20 30 400 50 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        let (busy, total) = (68, 531);
        assert_eq!(Ticks::parse(stat), Some(Ticks { busy, total }));
        assert_eq!(Ticks::parse("cpu  10 20\n"), None);
    }
}
