//! The policy: `edgelb:balancer/exchange` over the pure core.
//!
//! A translation and nothing else: what the interface says is documented in
//! `worker-wasm/wit/exchange.wit`, what is decided is decided in
//! `edgelb_balancer`, what the environment means in `edgelb_config`. It is handed
//! time and randomness, never suspends and never fails; all it imports is its
//! environment.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod convert;
mod exchanges;
mod state;

/// The interface's types and the trait that exports it.
#[expect(
    missing_docs,
    reason = "generated from exchange.wit, which is documented line by line"
)]
pub mod bindings {
    wit_bindgen::generate!({
        world: "balancer",
        generate_all,
        path: "../wit",
        pub_export_macro: true,
        default_bindings_module: "edgelb_policy::bindings",
    });
}

use alloc::string::String;
use alloc::vec::Vec;

use bindings::exports::edgelb::balancer::exchange::{
    BodyEnd, EffectiveConfiguration, Effects, ExchangeId, Guest, Outcome, RequestHead, Step, Tail,
    Timestamp,
};

/// The policy. Its state is the instance's: the configuration read on the first
/// call, the ledger and the exchanges under way.
#[derive(Debug)]
pub struct Policy;

impl Guest for Policy {
    fn configuration() -> Result<EffectiveConfiguration, Vec<String>> {
        state::with(|state| state.configuration())
    }

    fn begin(head: RequestHead, now: Timestamp, seed: u64, over: ExchangeId) -> Step {
        state::with(|state| state.begin(&head, now, seed, over))
    }

    fn settle(exchange: ExchangeId, outcome: Outcome, now: Timestamp) -> Step {
        state::with(|state| state.settle(exchange, &outcome, now))
    }

    fn adopt(head: RequestHead, tail: Tail, seed: u64) -> ExchangeId {
        state::with(|state| state.adopt(&head, tail, seed))
    }

    fn abandon(exchange: ExchangeId, now: Timestamp) -> Option<Effects> {
        state::with(|state| state.abandon(exchange, now))
    }

    fn finish(tail: Tail, end: BodyEnd, now: Timestamp) -> Option<Effects> {
        state::with(|state| state.finish(tail, end, now))
    }

    fn ledger() -> Vec<u8> {
        state::with(|state| state.ledger())
    }

    fn merge(ledger: Vec<u8>) -> Option<Timestamp> {
        state::with(|state| state.merge(&ledger))
    }
}
