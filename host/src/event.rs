//! What an edge tells of as it happens.

use std::sync::Arc;

use crate::exchange::bindings;
pub use crate::exchange::bindings::Ejection;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A backend failed often enough to be ejected ([`Door::Exchange`](crate::Door) only).
    Ejected(Ejection),
    /// An ejection ran out; one request went to this backend as a trial
    /// ([`Door::Exchange`](crate::Door) only).
    Trial(u32),
    /// This backend admits again ([`Door::Exchange`](crate::Door) only).
    Recovered(u32),
    /// An instance of the component trapped, took more than it is given of
    /// processor time or memory, or did not start. Another takes its place.
    InstanceLost {
        /// Why.
        reason: String,
    },
}

/// Hears of events, on whatever thread they happen.
pub(crate) type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

impl Event {
    /// The event that a trap is.
    pub(crate) fn lost(trap: &wasmtime::Error) -> Self {
        let reason = trap.root_cause().to_string();
        Self::InstanceLost { reason }
    }
}

impl From<bindings::Event> for Event {
    fn from(event: bindings::Event) -> Self {
        match event {
            bindings::Event::Ejected(ejection) => Self::Ejected(ejection),
            bindings::Event::Trial(backend) => Self::Trial(backend),
            bindings::Event::Recovered(backend) => Self::Recovered(backend),
        }
    }
}
