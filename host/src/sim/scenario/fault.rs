//! What goes wrong, with whom, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::values::{Latency, Share, length, optional};

/// Something that goes wrong for a while.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// With which backend. Default with all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Seen from which location. Default from all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// When it begins.
    #[serde(default, with = "length")]
    pub at: Duration,
    /// How long it lasts. Default to the end.
    #[serde(
        default,
        rename = "for",
        with = "optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub lasting: Option<Duration>,
    /// After how long it begins anew, again and again. Default never.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// When it does so for the last time. Default: there is no last time.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub until: Option<Duration>,
    /// How many of the attempts it meets. Default all.
    #[serde(default, skip_serializing_if = "Share::is_all")]
    pub share: Share,
    /// For `error`: with which status. Default 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For `error`: with which `Retry-After`, in whole seconds. Default none.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// For `slow`: how many times as long it takes. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// For `delay`: how much longer the way there and back is. Default 100 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The process is gone: connections are refused, and when it begins, those
    /// that stand break off.
    Down,
    /// Its name does not resolve.
    Dns,
    /// Nothing comes through: connections time out, and when it begins, those
    /// that stand fall silent.
    Partition,
    /// It takes requests and never answers.
    Hang,
    /// It answers with an error ([`Fault::status`]).
    Error,
    /// It answers 429.
    RateLimit,
    /// Its connection is reset once the request is sent.
    Reset,
    /// Its connection is reset in the middle of the response's body.
    Truncate,
    /// It takes longer ([`Fault::factor`]).
    Slow,
    /// The way there and back is longer ([`Fault::latency`]).
    Delay,
}

impl Fault {
    /// From the beginning to the end, seen from everywhere.
    pub fn new(kind: FaultKind, backend: impl Into<String>) -> Self {
        Self {
            kind,
            backend: Some(backend.into()),
            location: None,
            at: Duration::ZERO,
            lasting: None,
            every: None,
            until: None,
            share: Share::ALL,
            status: None,
            retry_after: None,
            factor: None,
            latency: None,
        }
    }

    /// From then on.
    #[must_use]
    pub fn at(mut self, at: Duration) -> Self {
        self.at = at;
        self
    }

    /// So long.
    #[must_use]
    pub fn lasting(mut self, length: Duration) -> Self {
        self.lasting = Some(length);
        self
    }

    /// Seen from there alone.
    #[must_use]
    pub fn from(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Whether it makes a backend useless.
    pub(crate) fn is_outage(&self) -> bool {
        let useless = match self.kind {
            FaultKind::Down
            | FaultKind::Dns
            | FaultKind::Partition
            | FaultKind::Hang
            | FaultKind::Error
            | FaultKind::Reset => true,
            FaultKind::RateLimit | FaultKind::Truncate | FaultKind::Slow | FaultKind::Delay => {
                false
            }
        };
        useless && self.share.is_all()
    }

    /// Whether it is there at this time.
    pub(crate) fn is_on(&self, now: Duration) -> bool {
        self.onset(now).is_some()
    }

    /// Since when it is there at this time.
    pub(crate) fn onset(&self, now: Duration) -> Option<Duration> {
        let begun = self.last_onset(now)?;
        let lasts = |length| now < begun + length;
        self.lasting.is_none_or(lasts).then_some(begun)
    }

    /// When it ended last, up to this time.
    pub(crate) fn ended(&self, now: Duration) -> Option<Duration> {
        let length = self.lasting?;
        let begun = self.last_onset(now)?;
        if begun + length <= now {
            return Some(begun + length);
        }
        let before = begun.checked_sub(self.every?)?;
        (before >= self.at).then(|| before + length)
    }

    /// When it begins next, after this time.
    pub(crate) fn next_onset(&self, now: Duration) -> Option<Duration> {
        if now < self.at {
            return Some(self.at);
        }
        let next = self.last_onset(now)? + self.every?;
        let next = if next > now { next } else { next + self.every? };
        self.until.is_none_or(|until| next <= until).then_some(next)
    }

    fn last_onset(&self, now: Duration) -> Option<Duration> {
        let since = now.checked_sub(self.at)?;
        let Some(every) = self.every.filter(|every| !every.is_zero()) else {
            return Some(self.at);
        };
        let since = match self.until {
            Some(until) => since.min(until.saturating_sub(self.at)),
            None => since,
        };
        let rounds = since.as_nanos() / every.as_nanos();
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        Some(self.at + every * rounds)
    }

    /// The times at which it is there, up to `end`.
    pub(crate) fn windows(&self, end: Duration) -> Vec<(Duration, Duration)> {
        let mut windows = Vec::new();
        let mut next = Some(self.at);
        while let Some(onset) = next.filter(|onset| *onset < end) {
            let over = self.lasting.map_or(end, |length| (onset + length).min(end));
            windows.push((onset, over));
            next = self.next_onset(onset);
        }
        windows
    }
}

impl FaultKind {
    /// As scenarios spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Dns => "dns",
            Self::Partition => "partition",
            Self::Hang => "hang",
            Self::Error => "error",
            Self::RateLimit => "rate-limit",
            Self::Reset => "reset",
            Self::Truncate => "truncate",
            Self::Slow => "slow",
            Self::Delay => "delay",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_fault_is_there_from_its_beginning_to_its_end() {
        let fault = Fault::new(FaultKind::Down, "A")
            .at(seconds(10))
            .lasting(seconds(5));
        let on: Vec<_> = (0..20).filter(|at| fault.is_on(seconds(*at))).collect();
        assert_eq!(on, [10, 11, 12, 13, 14]);
        assert_eq!(fault.next_onset(seconds(3)), Some(seconds(10)));
        assert_eq!(fault.next_onset(seconds(10)), None);
        assert_eq!(fault.ended(seconds(14)), None);
        assert_eq!(fault.ended(seconds(15)), Some(seconds(15)));
    }

    #[test]
    fn a_flapping_one_comes_again_until_its_last_time() {
        let mut fault = Fault::new(FaultKind::Down, "A")
            .at(seconds(10))
            .lasting(seconds(2));
        fault.every = Some(seconds(5));
        fault.until = Some(seconds(20));
        let on: Vec<_> = (0..40).filter(|at| fault.is_on(seconds(*at))).collect();
        assert_eq!(on, [10, 11, 15, 16, 20, 21]);
        assert_eq!(fault.next_onset(seconds(12)), Some(seconds(15)));
        assert_eq!(fault.next_onset(seconds(20)), None);
        assert_eq!(fault.ended(seconds(16)), Some(seconds(12)));
        assert_eq!(fault.ended(seconds(39)), Some(seconds(22)));
        assert_eq!(fault.windows(seconds(60)).len(), 3);
    }
}
