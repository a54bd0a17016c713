//! What the suites share.

/// `tests/guests/faulty`: the policy, which traps and spins on request.
pub const FAULTY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/faulty.wasm"));
