//! What an edge tells of as it happens.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::exchange::bindings;

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
    /// The component wrote this line to its standard error
    /// ([`Door::WasiHttp`](crate::Door) only).
    Told {
        /// Without its end.
        line: String,
    },
    /// An instance of the component trapped, took more than it is given of
    /// processor time or memory, or did not start. Another takes its place.
    InstanceLost {
        /// Why.
        reason: String,
    },
}

/// A backend was taken out of the choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Index of the backend in the configuration.
    pub backend: u32,
    /// When it is over, in milliseconds since the Unix epoch.
    pub until: u64,
    /// How long it lasts.
    pub length: Duration,
    /// What the last of its failures was, for a log: a Proxy-Status error type
    /// (<https://www.rfc-editor.org/rfc/rfc9209#section-2.3>) such as
    /// `connection_refused`, a status as in `status 503`, or `the body broke off`.
    pub reason: String,
}

/// Hears of events, on whatever thread they happen.
pub(crate) type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

/// Where nobody listens, the component's own words are kept from being lost.
pub(crate) fn unheard() -> EventSink {
    Arc::new(|event| {
        if let Event::Told { line } = event {
            // If nobody takes it, there is nobody to tell.
            let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
        }
    })
}

impl Event {
    /// The event that a trap is.
    pub(crate) fn lost(trap: &wasmtime::Error) -> Self {
        let reason = trap.root_cause().to_string();
        Self::InstanceLost { reason }
    }

    /// What the component told of in a call of this time.
    pub(crate) fn told(event: bindings::Event, now: u64) -> Self {
        match event {
            bindings::Event::Ejected(ejection) => Self::Ejected(Ejection {
                backend: ejection.backend,
                until: ejection.until,
                length: Duration::from_millis(ejection.until.saturating_sub(now)),
                reason: ejection.reason,
            }),
            bindings::Event::Trial(backend) => Self::Trial(backend),
            bindings::Event::Recovered(backend) => Self::Recovered(backend),
        }
    }
}
