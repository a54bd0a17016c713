//! `balancer.wasm`: `edgelb_policy::Policy`, exported. A crate of its own, so
//! that other components can link the policy and export what wraps it.

#![cfg(target_family = "wasm")]
#![expect(
    unsafe_code,
    unreachable_pub,
    reason = "generated: the canonical ABI is raw memory and named symbols"
)]

use edgelb_policy::Policy;

edgelb_policy::bindings::export!(Policy);
