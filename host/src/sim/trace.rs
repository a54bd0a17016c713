//! What happened, in the order in which it came to its end.

use std::io::{self, Write};

use http::Method;
use serde::Serialize;

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
    /// An isolate was evicted.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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

    /// Writes it as JSON Lines (<https://jsonlines.org>): one object an entry.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        for entry in &self.entries {
            serde_json::to_writer(&mut *writer, &Line::of(entry, &self.names))?;
            writer.write_all(b"\n")?;
        }
        Ok(())
    }

    /// The same as text.
    pub fn to_jsonl(&self) -> String {
        let mut bytes = Vec::new();
        // Neither the writer nor any of the values can fail.
        let _ = self.write(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// An entry as it is written; what does not apply is left out.
#[derive(Default, Serialize)]
struct Line<'a> {
    at: u64,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    isolate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clients: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptLine<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct AttemptLine<'a> {
    backend: &'a str,
    begun: u64,
    ended: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'static str>,
}

impl<'a> Line<'a> {
    fn of(entry: &'a Entry, names: &'a Names) -> Self {
        let backend_name = |index: usize| name(&names.backends, index);
        let of_isolate = |event, at: u64, isolate: Isolate| Line {
            at,
            event,
            location: Some(name(&names.locations, isolate.location)),
            isolate: Some(isolate.number),
            ..Line::default()
        };
        match entry {
            Entry::Exchange(exchange) => Line {
                at: exchange.ended,
                event: "exchange",
                request: Some(exchange.id),
                begun: Some(exchange.begun),
                location: Some(name(&names.locations, exchange.location)),
                isolate: exchange.isolate.map(|isolate| isolate.number),
                clients: exchange.client.map(|it| name(&names.clients, it.group)),
                client: exchange.client.map(|client| client.number),
                method: Some(exchange.method.as_str()),
                session: exchange.session.map(backend_name),
                attempts: Some(
                    (exchange.attempts.iter())
                        .map(|attempt| AttemptLine::of(attempt, names))
                        .collect(),
                ),
                status: exchange.status,
                latency: Some(exchange.latency()),
                bytes: Some(exchange.bytes),
                end: Some(exchange.end),
                ..Line::default()
            },
            Entry::Ejected {
                at,
                isolate,
                backend,
                until,
                reason,
            } => Line {
                backend: Some(backend_name(*backend)),
                until: Some(*until),
                reason: Some(reason),
                ..of_isolate("ejected", *at, *isolate)
            },
            Entry::Trial {
                at,
                isolate,
                backend,
            } => Line {
                backend: Some(backend_name(*backend)),
                ..of_isolate("trial", *at, *isolate)
            },
            Entry::Recovered {
                at,
                isolate,
                backend,
            } => Line {
                backend: Some(backend_name(*backend)),
                ..of_isolate("recovered", *at, *isolate)
            },
            Entry::Lost {
                at,
                isolate,
                reason,
            } => Line {
                reason: Some(reason),
                ..of_isolate("lost", *at, *isolate)
            },
            Entry::Told { at, isolate, line } => Line {
                reason: Some(line),
                ..of_isolate("told", *at, *isolate)
            },
            Entry::Started { at, isolate } => of_isolate("started", *at, *isolate),
            Entry::Evicted { at, isolate } => of_isolate("evicted", *at, *isolate),
            Entry::Exceeded {
                at,
                isolate,
                request,
                limit,
            } => Line {
                at: *at,
                event: "exceeded",
                reason: Some(limit),
                location: isolate.map(|it| name(&names.locations, it.location)),
                isolate: isolate.map(|isolate| isolate.number),
                request: *request,
                ..Line::default()
            },
        }
    }
}

impl<'a> AttemptLine<'a> {
    fn of(attempt: &'a Attempt, names: &'a Names) -> Self {
        let (status, failure, delivery) = match attempt.outcome {
            Outcome::Pending | Outcome::Cancelled => (None, Some("cancelled"), None),
            Outcome::Status(status) => (Some(status), None, None),
            Outcome::Failed(cause, delivery) => {
                let delivery = match delivery {
                    Delivery::NotSent => "not-sent",
                    Delivery::MaybeSent => "maybe-sent",
                };
                (None, Some(cause_name(cause)), Some(delivery))
            }
        };
        Self {
            backend: attempt.backend.map_or("", |it| name(&names.backends, it)),
            begun: attempt.begun,
            ended: attempt.ended,
            status,
            failure,
            delivery,
        }
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

fn name(names: &[String], index: usize) -> &str {
    names.get(index).map_or("", String::as_str)
}
