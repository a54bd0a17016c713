//! A trace as text: JSON Lines.

use std::io::{self, Write};

use serde::Serialize;

use super::trace::{Attempt, End, Entry, Isolate, Names, Outcome, Trace, cause_name};
use crate::upstream::Delivery;

impl Trace {
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

fn name(names: &[String], index: usize) -> &str {
    names.get(index).map_or("", String::as_str)
}
