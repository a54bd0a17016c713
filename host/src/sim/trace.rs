//! What happened, in the order in which it came to its end.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::upstream::{Cause, Delivery};

/// All that happened in a run. Equal seeds give equal traces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// What the indices in it stand for.
    pub names: Names,
}

/// What the indices in a trace stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of locations.
    pub locations: Vec<String>,
    /// Of backends.
    pub backends: Vec<String>,
    /// Of groups of clients.
    pub clients: Vec<String>,
}

/// Something that happened. Times are milliseconds since the run began.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A client got its answer, or went away without.
    Exchange(Exchange),
    /// A backend was ejected.
    Ejected {
        /// When.
        at: u64,
        /// By which isolate.
        isolate: Isolate,
        /// Index of the backend.
        backend: usize,
        /// Until when.
        until: u64,
        /// The failure that did it.
        reason: String,
    },
    /// An ejection ran out, and one request went to the backend as a trial.
    Trial {
        /// When.
        at: u64,
        /// By which isolate.
        isolate: Isolate,
        /// Index of the backend.
        backend: usize,
    },
    /// A backend admits again.
    Recovered {
        /// When.
        at: u64,
        /// For which isolate.
        isolate: Isolate,
        /// Index of the backend.
        backend: usize,
    },
    /// An instance of the component was lost: it trapped, or took too much.
    Lost {
        /// When.
        at: u64,
        /// Of which isolate.
        isolate: Isolate,
        /// Why.
        reason: String,
    },
    /// An isolate wrote a line to its standard error.
    Told {
        /// When.
        at: u64,
        /// Which.
        isolate: Isolate,
        /// The line.
        line: String,
    },
    /// An isolate started.
    Started {
        /// When.
        at: u64,
        /// Which.
        isolate: Isolate,
    },
    /// An isolate was evicted: it was idle for too long, or too old, or exceeded
    /// what ends isolates on its platform.
    Evicted {
        /// When.
        at: u64,
        /// Which.
        isolate: Isolate,
    },
    /// A limit of the platform was exceeded.
    Exceeded {
        /// When.
        at: u64,
        /// In which isolate, where one was involved.
        isolate: Option<Isolate>,
        /// By which request, where one is known.
        request: Option<u64>,
        /// Which limit.
        limit: &'static str,
    },
}

/// An isolate: the how manyth that was started, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Isolate {
    /// Index of its location.
    pub location: usize,
    /// Its number, counted over all locations from 0.
    pub number: u32,
}

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The `x-request-id` it carried.
    pub id: u64,
    /// When it was made.
    pub begun: u64,
    /// Its location's index.
    pub location: usize,
    /// The isolate that served it; none where it got to none.
    pub isolate: Option<Isolate>,
    /// Who made it; none for those a test made.
    pub client: Option<Client>,
    /// Its method.
    pub method: Method,
    /// Whether it said that it may be repeated (`Idempotency-Key`).
    pub repeatable: bool,
    /// The backend that the client's session was with, if it carried one.
    pub session: Option<usize>,
    /// What was sent to backends.
    pub attempts: Vec<Attempt>,
    /// The status it was answered with; none if the client left before.
    pub status: Option<u16>,
    /// When that came.
    pub answered: u64,
    /// How it ended.
    pub end: End,
    /// When it ended.
    pub ended: u64,
    /// How many bytes of body the client got.
    pub bytes: u64,
    /// The backend that the answer says it is from.
    pub by: Option<usize>,
}

/// Who makes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    /// Index of its group.
    pub group: usize,
    /// Its number in it, from 0.
    pub number: u32,
}

/// One try at one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the backend; none for a name that is none of them.
    pub backend: Option<usize>,
    /// When it was made.
    pub begun: u64,
    /// When its outcome was known.
    pub ended: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// How many bytes of body its response has, where that is known.
    pub length: Option<u64>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is under way.
    Pending,
    /// A response with this status.
    Status(u16),
    /// None.
    Failed(Cause, Delivery),
    /// It was given up.
    Cancelled,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With all of its response.
    Whole,
    /// In the middle of its response.
    Broken,
    /// The client went away.
    Left,
    /// It became a tunnel, which the client closed.
    Tunnel,
    /// It became a tunnel, which broke.
    TunnelBroken,
}

impl Exchange {
    /// Whether it was answered whole and with less than 500; `None` if nobody
    /// waited for the answer.
    pub fn succeeded(&self) -> Option<bool> {
        let status = self.status.unwrap_or(0);
        match self.end {
            End::Left => None,
            End::Whole | End::Tunnel => Some((100..500).contains(&status)),
            End::Broken | End::TunnelBroken => Some(false),
        }
    }

    /// How long the answer took to begin, in milliseconds.
    pub fn latency(&self) -> u64 {
        self.answered - self.begun
    }
}

impl Trace {
    /// The exchanges among the entries.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Exchange(exchange) => Some(exchange),
            Entry::Ejected { .. }
            | Entry::Trial { .. }
            | Entry::Recovered { .. }
            | Entry::Lost { .. }
            | Entry::Told { .. }
            | Entry::Started { .. }
            | Entry::Evicted { .. }
            | Entry::Exceeded { .. } => None,
        })
    }
}

/// By its Proxy-Status error type
/// (<https://www.rfc-editor.org/rfc/rfc9209#section-2.3>).
pub(crate) fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::DnsTimeout => "dns_timeout",
        Cause::DnsError => "dns_error",
        Cause::DestinationNotFound => "destination_not_found",
        Cause::DestinationUnavailable => "destination_unavailable",
        Cause::DestinationIpProhibited => "destination_ip_prohibited",
        Cause::DestinationIpUnroutable => "destination_ip_unroutable",
        Cause::ConnectionRefused => "connection_refused",
        Cause::ConnectionTerminated => "connection_terminated",
        Cause::ConnectionTimeout => "connection_timeout",
        Cause::ConnectionReadTimeout => "connection_read_timeout",
        Cause::ConnectionWriteTimeout => "connection_write_timeout",
        Cause::ConnectionLimitReached => "connection_limit_reached",
        Cause::TlsProtocolError => "tls_protocol_error",
        Cause::TlsCertificateError => "tls_certificate_error",
        Cause::TlsAlertReceived => "tls_alert_received",
        Cause::HttpRequestDenied => "http_request_denied",
        Cause::HttpResponseIncomplete => "http_response_incomplete",
        Cause::HttpResponseHeaderSectionSize => "http_response_header_section_size",
        Cause::HttpResponseTimeout => "http_response_timeout",
        Cause::HttpUpgradeFailed => "http_upgrade_failed",
        Cause::HttpProtocolError => "http_protocol_error",
        Cause::LoopDetected => "proxy_loop_detected",
        Cause::ConfigurationError => "proxy_configuration_error",
        Cause::InternalError => "proxy_internal_error",
    }
}
