//! The simulator, with the component that ships and with others.
#![expect(clippy::unwrap_used, reason = "tests")]

mod limits;
