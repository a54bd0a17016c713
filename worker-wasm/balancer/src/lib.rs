//! `balancer.wasm`: `edgelb_policy::Policy`, exported. A crate of its own, so
//! that other components can link the policy and export what wraps it.
//!
//! Without the standard library, which would import input, output and terminals
//! for messages that few runtimes show: a panic is a trap.

#![cfg(target_family = "wasm")]
#![no_std]

use core::panic::PanicInfo;

use dlmalloc::GlobalDlmalloc;
use edgelb_policy::Policy;

edgelb_policy::bindings::export!(Policy);

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

#[panic_handler]
fn trap(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
