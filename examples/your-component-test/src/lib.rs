//! The component of this example, as bytes; `tests/` is what the example is about.
//!
//! The pages of the tutorial are compiled and run here, too.
#![doc = include_str!("../../../docs/simulator.md")]

/// `component/`: answers from its origin, and from memory when that fails.
pub const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/your_component.wasm"));
