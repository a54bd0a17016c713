//! The component of this example, as bytes; `tests/` is what the example is about.
//!
//! The pages of the tutorial are compiled and run here, too.
#![doc = include_str!("../../../docs/simulator.md")]

/// `component/`: a page that stays up when its origin does not.
pub const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/your_component.wasm"));
