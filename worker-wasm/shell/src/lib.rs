//! The WASI-HTTP shell: `wasi:http/handler` over `edgelb:balancer/exchange`.
//!
//! It does the I/O of a balancer that decides elsewhere: shows each request to
//! the policy, performs the attempts the policy asks for over
//! `wasi:http/client`, reports what became of them, and forwards a response or
//! answers as the policy says. Composed with `balancer.wasm` it is
//! `edgelb.wasm`, which runs wherever `wasi:http/service@0.3` does.
//!
//! Bodies and trailers are handed from one side to the other and never copied
//! through this component's memory, save request bodies of a known length
//! within `REPLAY_LIMIT`, which are read first, for another attempt may need
//! them, and those of DELETE and OPTIONS, which are looked into, for they mostly
//! turn out to be none. Fields are always new lists: runtimes hide different ones,
//! and a clone would carry what was never shown.
//!
//! # What it reads from the environment
//! The policy reads its own variables. One more is a contract between this
//! shell and a host that knows its clients, for WASI-HTTP tells no peer:
//! `EDGELB_PEER_FIELD=NAME` names the request field whose *last* value is the
//! peer's address without a port. All fields of that name are then taken out,
//! before anything else sees them. Unset, the peer is unknown. Never set it
//! where the runtime does not append that field itself: clients could.
//!
//! Standard error is its log: a dated line for each error of the configuration,
//! once an instance, and for each ejection, trial and recovery of a backend.
//!
//! # What WASI-HTTP cannot do
//! - Interim responses (1xx) are not visible, so they are not relayed, unless
//!   the runtime does so of itself, as our own host does.
//! - Where the runtime hides `connection`, fields it names cannot be dropped.
//! - Where the runtime hides `transfer-encoding`, a GET or HEAD with content
//!   looks like one without: it is sent with its content once, without it again.
//! - A body that was handed to a failed attempt is gone: if it is longer than
//!   `REPLAY_LIMIT` or of unknown length, even an attempt that reached nobody is
//!   the last one.
//! - A response body that breaks off counts against its backend only where the
//!   runtime tells: by the transmission results of request and response.
//! - Where the runtime times the first byte from the start of an attempt, as
//!   `wasmtime serve` does, `FIRST_BYTE_TIMEOUT` includes the upload.
//! - A server-wide OPTIONS (`*`) has no expression in a runtime that wants a path
//!   to begin with `/`: it is answered with 502 there.
//! - Tunnels (101) work where the runtime lets `connection` and `upgrade`
//!   through and takes the bodies for the tunnel's ends, as our own host does.

#![cfg_attr(
    not(target_family = "wasm"),
    allow(dead_code, reason = "only components export the handler")
)]

mod attempt;
mod clock;
mod conversation;
mod failure;
mod fields;
mod incoming;
mod log;
mod policy;
mod response;
mod settings;

/// The policy's interface.
mod bindings {
    wit_bindgen::generate!({
        world: "shell",
        path: "../wit",
    });
}

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

struct Shell;

impl Guest for Shell {
    /// Always answers: runtimes turn an error into a 500 without a word.
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        Ok(conversation::hold(request).await)
    }
}

#[cfg(target_family = "wasm")]
wasip3::http::service::export!(Shell);
