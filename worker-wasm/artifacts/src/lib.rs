//! The components, built with this crate and carried as bytes.
//!
//! The same files are published as `components/balancer.wasm` and
//! `components/edgelb.wasm` in Cargo's target directory.

/// `balancer.wasm`: the policy. Exports `edgelb:balancer/exchange` and imports its
/// environment.
pub const BALANCER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/balancer.wasm"));

/// `edgelb.wasm`: the policy behind WASI-HTTP. Exports `wasi:http/handler`;
/// [`BALANCER`] is nested in it, byte for byte.
pub const EDGELB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/edgelb.wasm"));

/// Where [`BALANCER`] lies as a file, on the machine that built it.
pub const BALANCER_PATH: &str = concat!(env!("OUT_DIR"), "/balancer.wasm");

/// Where [`EDGELB`] lies as a file, on the machine that built it.
pub const EDGELB_PATH: &str = concat!(env!("OUT_DIR"), "/edgelb.wasm");
