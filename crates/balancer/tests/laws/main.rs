//! Laws: what holds whatever happens.
//!
//! Each is stated over arbitrary runs, driven through the public interface as a
//! caller would; a failing run is shrunk and printed whole.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod driver;
mod exchanges;
mod hashing;
mod inputs;
mod ledgers;
mod reuse;
