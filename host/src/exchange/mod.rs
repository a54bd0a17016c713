//! The exchange door: the component decides, this module does what it says.
//!
//! One [`Isolate`] holds one instance of the policy component and serves any
//! number of exchanges at once; every call into it is short and synchronous.

mod board;
mod conversation;
mod drive;
mod instance;
mod isolate;
mod plan;
mod replay;
mod reuse;
mod tail;

pub(crate) use board::Board;
pub(crate) use drive::{Client, Driver};
pub(crate) use instance::Blueprint;
pub(crate) use isolate::Isolate;
pub(crate) use reuse::Reusable;

pub(crate) mod bindings {
    //! What `worker-wasm/wit` says, as Rust.
    #![expect(missing_docs, reason = "documented in worker-wasm/wit/exchange.wit")]

    wasmtime::component::bindgen!({
        path: "../worker-wasm/wit",
        world: "policy",
        ownership: Borrowing { duplicate_if_necessary: true },
    });

    pub use exports::edgelb::balancer::exchange::*;
}
