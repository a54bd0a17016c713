//! What a platform gives a request that exceeds one of its limits.

use std::collections::BTreeMap;

use super::super::limits::{Limit, Preset};
use super::super::platform::answer;
use super::super::trace::{End, Entry, Exchange, Isolate, Outcome, Trace};
use super::Law;
use crate::upstream::Cause;

/// The limits that requests exceeded, and the instances that went by it.
pub(super) struct Granted {
    platform: Preset,
    exceeded: BTreeMap<u64, Vec<Limit>>,
    lost: Vec<(Isolate, u64)>,
}

impl Granted {
    pub(super) fn of(trace: &Trace, platform: Preset) -> Self {
        let mut granted = Self {
            platform,
            exceeded: BTreeMap::new(),
            lost: Vec::new(),
        };
        for entry in &trace.entries {
            match entry {
                Entry::Exceeded { request, limit, .. } => {
                    if let (Some(request), Some(limit)) = (*request, Limit::named(limit)) {
                        granted.exceeded.entry(request).or_default().push(limit);
                    }
                }
                Entry::Lost { at, isolate, .. } => granted.lost.push((*isolate, *at)),
                Entry::Exchange(_)
                | Entry::Ejected { .. }
                | Entry::Trial { .. }
                | Entry::Recovered { .. }
                | Entry::Told { .. }
                | Entry::Started { .. }
                | Entry::Evicted { .. } => {}
            }
        }
        granted
    }

    /// Each attempt beyond the last that is granted fails, and the request goes
    /// on; any other limit that is exceeded is the end of it.
    pub(super) fn check(&self, exchange: &Exchange, broken: &mut impl FnMut(Law, String)) {
        let exceeded = self
            .exceeded
            .get(&exchange.id)
            .map_or(&[][..], Vec::as_slice);
        let (denials, ends): (Vec<Limit>, Vec<_>) = exceeded
            .iter()
            .partition(|limit| **limit == Limit::Subrequests);
        let denied = exchange.attempts.iter().filter(|attempt| {
            matches!(
                attempt.outcome,
                Outcome::Failed(Cause::HttpRequestDenied, _)
            )
        });
        let (told, denied) = (denials.len(), denied.count());
        if told != denied {
            let message = format!("{denied} attempts were denied, and {told} told of");
            broken(Law::Granted, message);
        }
        match *ends {
            [] => {}
            [limit] => self.check_end(exchange, limit, broken),
            [first, ..] => {
                let (limit, count) = (first.name(), ends.len());
                let message = format!("`{limit}` was exceeded, which was told of {count} times");
                broken(Law::Granted, message);
            }
        }
    }

    fn check_end(&self, exchange: &Exchange, limit: Limit, broken: &mut impl FnMut(Law, String)) {
        let name = limit.name();
        let due = answer(self.platform, limit).status().as_u16();
        // Of what is under way already, the rest does not come.
        let breaks_off = matches!(limit, Limit::WallTime | Limit::CpuTime | Limit::Memory);
        let broke_off = breaks_off && exchange.end == End::Broken;
        if let Some(status) = exchange.status
            && status != due
            && !broke_off
        {
            let message = format!("`{name}` was exceeded, and {status} answered, not {due}");
            broken(Law::Granted, message);
        }
        let span = exchange.begun..=exchange.ended;
        let lost = |(isolate, at): &(Isolate, u64)| {
            exchange.isolate == Some(*isolate) && span.contains(at)
        };
        if limit.ends_instance() && !self.lost.iter().any(lost) {
            let message = format!("`{name}` was exceeded, and the instance not lost");
            broken(Law::Granted, message);
        }
    }
}
