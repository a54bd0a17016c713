//! What a platform gives a request that exceeds one of its limits.

use std::collections::BTreeMap;

use super::super::limits::{Limit, Preset};
use super::super::platform::answer;
use super::super::trace::{Entry, Exchange, Isolate, Outcome, Trace};
use super::Law;
use crate::upstream::Cause;

/// The limits that requests exceeded, and the instances that went by it.
pub(super) struct Granted {
    platform: Preset,
    exceeded: BTreeMap<u64, Vec<(Limit, u64)>>,
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
                Entry::Exceeded {
                    at, request, limit, ..
                } => {
                    if let (Some(request), Some(limit)) = (*request, Limit::named(limit)) {
                        let exceeded = granted.exceeded.entry(request).or_default();
                        exceeded.push((limit, *at));
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
        let (denials, ends): (Vec<_>, Vec<_>) = exceeded
            .iter()
            .partition(|(limit, _)| *limit == Limit::Subrequests);
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
            [(limit, at)] => self.check_end(exchange, limit, at, broken),
            [(first, _), ..] => {
                let (limit, count) = (first.name(), ends.len());
                let message = format!("`{limit}` was exceeded, which was told of {count} times");
                broken(Law::Granted, message);
            }
        }
    }

    fn check_end(
        &self,
        exchange: &Exchange,
        limit: Limit,
        at: u64,
        broken: &mut impl FnMut(Law, String),
    ) {
        let name = limit.name();
        let due = answer(self.platform, limit).status().as_u16();
        // What had left by then is not taken back; of the rest some may come that
        // is none of the instance's.
        let late = limit.ends_instance() || limit == Limit::WallTime;
        let answered = late && exchange.answered <= at;
        if let Some(status) = exchange.status
            && status != due
            && !answered
        {
            let message = format!("`{name}` was exceeded, and {status} answered, not {due}");
            broken(Law::Granted, message);
        }
        if limit.ends_instance()
            && !self
                .lost
                .iter()
                .any(|lost| Some(lost.0) == exchange.isolate && lost.1 == at)
        {
            let message = format!("`{name}` was exceeded, and the instance not lost");
            broken(Law::Granted, message);
        }
    }
}
