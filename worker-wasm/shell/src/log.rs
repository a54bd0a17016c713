//! The log of a component, which is its standard error.

use std::fmt;
use std::io::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use crate::bindings::edgelb::balancer::exchange::{Backend, Ejection, Event, Scheme};
use crate::clock;

/// Writes a line, dated.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let time = UNIX_EPOCH + Duration::from_millis(clock::now());
    let line = format!("{} {text}\n", humantime::format_rfc3339_millis(time));
    // In one piece, lest another instance's line begin within it. If the runtime
    // does not take it, there is nobody to tell.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Writes a line for each event.
pub(crate) fn events(events: &[Event], backends: &[Backend], now: u64) {
    for event in events {
        line(format_args!(
            "{}",
            Told {
                event,
                backends,
                now
            }
        ));
    }
}

/// What an event of this time says.
struct Told<'a> {
    event: &'a Event,
    backends: &'a [Backend],
    now: u64,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, what) = match self.event {
            Event::Ejected(ejection) => (ejection.backend, "ejected"),
            Event::Trial(backend) => (*backend, "on trial"),
            Event::Recovered(backend) => (*backend, "recovered"),
        };
        let backend = usize::try_from(index)
            .ok()
            .and_then(|it| self.backends.get(it));
        match backend {
            None => write!(f, "backend {index} {what}")?,
            Some(backend) => {
                let scheme = match backend.scheme {
                    Scheme::Http => "http",
                    Scheme::Https => "https",
                };
                let Backend {
                    name, authority, ..
                } = backend;
                write!(f, "backend {name} ({scheme}://{authority}) {what}")?;
            }
        }
        match self.event {
            Event::Ejected(Ejection { until, reason, .. }) => {
                let millis = until.saturating_sub(self.now);
                match (millis / 1_000, millis % 1_000) {
                    (seconds, 0) => write!(f, " for {seconds} s: {reason}"),
                    _ => write!(f, " for {millis} ms: {reason}"),
                }
            }
            Event::Trial(_) | Event::Recovered(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_who_and_why() {
        let backends = [Backend {
            name: "A".to_owned(),
            scheme: Scheme::Http,
            authority: "a.test:8080".to_owned(),
            weight: 1,
            drain: false,
        }];
        let ejected = |until| {
            Event::Ejected(Ejection {
                backend: 0,
                until,
                reason: "connection_refused".to_owned(),
            })
        };
        for (event, expected) in [
            (
                ejected(31_000),
                "backend A (http://a.test:8080) ejected for 30 s: connection_refused",
            ),
            (
                ejected(2_500),
                "backend A (http://a.test:8080) ejected for 1500 ms: connection_refused",
            ),
            (Event::Trial(0), "backend A (http://a.test:8080) on trial"),
            (
                Event::Recovered(0),
                "backend A (http://a.test:8080) recovered",
            ),
            (Event::Recovered(7), "backend 7 recovered"),
        ] {
            let told = Told {
                event: &event,
                backends: &backends,
                now: 1_000,
            };
            assert_eq!(told.to_string(), expected);
        }
    }
}
