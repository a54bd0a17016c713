//! The simulator: what it says of the component, and what it finds.

#![expect(clippy::unwrap_used, reason = "tests")]

mod groups;
mod laws;
mod limits;
mod native;
mod replay;
mod report;
mod runs;
mod shipped;
