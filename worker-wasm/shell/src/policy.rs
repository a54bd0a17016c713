//! The calls to the policy. What they did to its view of the backends is logged.

use wasip3::random::insecure::get_insecure_random_u64;

use crate::bindings::edgelb::balancer::exchange::{
    self, BodyEnd, Effects, ExchangeId, Outcome, RequestHead, Step, Tail,
};
use crate::settings::Settings;
use crate::{clock, log};

/// No exchange: every one is settled.
const NONE: ExchangeId = 0;

/// Opens an exchange.
pub(crate) fn begin(head: &RequestHead) -> Step {
    let now = clock::now();
    let step = exchange::begin(head, now, get_insecure_random_u64(), NONE);
    report(step.effects.as_ref(), now);
    step
}

/// Reports an attempt's outcome.
pub(crate) fn settle(exchange: ExchangeId, outcome: &Outcome) -> Step {
    let now = clock::now();
    let step = exchange::settle(exchange, outcome, now);
    report(step.effects.as_ref(), now);
    step
}

/// The client of an exchange under way went away.
pub(crate) fn abandon(exchange: ExchangeId) {
    let now = clock::now();
    report(exchange::abandon(exchange, now).as_ref(), now);
}

/// A forwarded body did not arrive whole.
pub(crate) fn finish(tail: Tail, end: BodyEnd) {
    let now = clock::now();
    report(exchange::finish(tail, end, now).as_ref(), now);
}

fn report(effects: Option<&Effects>, now: u64) {
    if let Some(Effects { events, .. }) = effects
        && !events.is_empty()
    {
        log::events(events, &Settings::shared().backends, now);
    }
}
