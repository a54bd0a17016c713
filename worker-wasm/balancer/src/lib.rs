//! `balancer.wasm`: `edgelb_policy::Policy`, exported. A crate of its own, so
//! that other components can link the policy and export what wraps it.

#![cfg(target_family = "wasm")]

use edgelb_policy::Policy;

edgelb_policy::bindings::export!(Policy);
