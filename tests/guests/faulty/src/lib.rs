//! The policy with faults on request, for tests of the host.
//!
//! By the request's path: one that ends in `/trap-begin` traps in `begin`,
//! `/trap-settle` in the first `settle` of the exchange, which there is whatever the
//! response unless the attempt was reused, `/trap-if-settled` in that as well, if there
//! is one, `/trap-abandon` when its client leaves, `/trap-unless-over` in `begin` if it
//! names no exchange that is over, `/spin-begin` never returns from `begin`,
//! `/hog-begin/N` takes N bytes of memory there, never to give them back, and
//! `/deliver-twice` takes all that failed for not delivered. All else is the
//! real policy.

#![cfg(target_family = "wasm")]

use std::cell::RefCell;
use std::collections::BTreeSet;

use edgelb_policy::Policy;
use edgelb_policy::bindings::exports::edgelb::balancer::exchange::{
    BodyEnd, Delivery, EffectiveConfiguration, Effects, ExchangeId, Guest, Outcome, RequestHead,
    Step, Tail, Timestamp, Turn,
};

thread_local! {
    /// The exchanges whose `settle` traps.
    static DOOMED: RefCell<BTreeSet<ExchangeId>> = const { RefCell::new(BTreeSet::new()) };
    /// The exchanges whose `abandon` traps.
    static DESERTED: RefCell<BTreeSet<ExchangeId>> = const { RefCell::new(BTreeSet::new()) };
    /// The exchanges whose failures are told wrongly.
    static HASTY: RefCell<BTreeSet<ExchangeId>> = const { RefCell::new(BTreeSet::new()) };
}

struct Faulty;

impl Guest for Faulty {
    fn configuration() -> Result<EffectiveConfiguration, Vec<String>> {
        Policy::configuration()
    }

    fn begin(head: RequestHead, now: Timestamp, seed: u64, over: ExchangeId) -> Step {
        let always_settled = path(&head.fields) == b"/trap-settle";
        let doomed = match path(&head.fields) {
            path if path.ends_with(b"/trap-begin") => std::process::abort(),
            b"/trap-unless-over" if over == 0 => std::process::abort(),
            b"/spin-begin" => loop {
                std::hint::spin_loop();
            },
            path => {
                if let Some(bytes) = path.strip_prefix(b"/hog-begin/") {
                    hog(bytes);
                }
                always_settled || path == b"/trap-if-settled"
            }
        };
        let hasty = path(&head.fields) == b"/deliver-twice";
        let deserted = path(&head.fields) == b"/trap-abandon";
        let mut step = Policy::begin(head, now, seed, over);
        if always_settled && let Turn::Send(attempt) = &mut step.turn {
            attempt.ordinary = None;
        }
        note(step.exchange, doomed, hasty);
        if deserted {
            DESERTED.with_borrow_mut(|ids| ids.insert(step.exchange));
        }
        step
    }

    fn settle(exchange: ExchangeId, mut outcome: Outcome, now: Timestamp) -> Step {
        if let Outcome::Failed(failure) = &mut outcome
            && HASTY.with_borrow(|ids| ids.contains(&exchange))
        {
            failure.delivery = Delivery::NotSent;
            failure.replayable = true;
        }
        if DOOMED.with_borrow_mut(|ids| ids.remove(&exchange)) {
            std::process::abort();
        }
        Policy::settle(exchange, outcome, now)
    }

    fn adopt(head: RequestHead, tail: Tail, seed: u64) -> ExchangeId {
        let doomed = matches!(path(&head.fields), b"/trap-settle" | b"/trap-if-settled");
        let hasty = path(&head.fields) == b"/deliver-twice";
        let exchange = Policy::adopt(head, tail, seed);
        note(exchange, doomed, hasty);
        exchange
    }

    fn abandon(exchange: ExchangeId, now: Timestamp) -> Option<Effects> {
        DOOMED.with_borrow_mut(|ids| ids.remove(&exchange));
        if DESERTED.with_borrow(|ids| ids.contains(&exchange)) {
            std::process::abort();
        }
        Policy::abandon(exchange, now)
    }

    fn finish(tail: Tail, end: BodyEnd, now: Timestamp) -> Option<Effects> {
        Policy::finish(tail, end, now)
    }

    fn ledger() -> Vec<u8> {
        Policy::ledger()
    }

    fn merge(ledger: Vec<u8>) -> Option<Timestamp> {
        Policy::merge(ledger)
    }
}

/// What is to become of an exchange.
fn note(exchange: ExchangeId, doomed: bool, hasty: bool) {
    if doomed {
        DOOMED.with_borrow_mut(|ids| ids.insert(exchange));
    }
    if hasty {
        HASTY.with_borrow_mut(|ids| ids.insert(exchange));
    }
}

/// The request's path without its query.
fn path(fields: &[u8]) -> &[u8] {
    fields
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b":path:"))
        .and_then(|target| target.split(|&byte| byte == b'?').next())
        .unwrap_or_default()
}

/// Takes that many bytes of memory, and keeps them.
fn hog(bytes: &[u8]) {
    let bytes = str::from_utf8(bytes).ok().and_then(|it| it.parse().ok());
    if let Some(bytes) = bytes {
        std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(bytes)));
    }
}

edgelb_policy::bindings::export!(Faulty);
