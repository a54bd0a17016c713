//! Stub.
/// b
pub const BALANCER: &[u8] = &[];
/// e
pub const EDGELB: &[u8] = &[];
