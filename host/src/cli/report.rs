//! What `serve` and `demo` tell of on standard error while they run.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use edgelb_host::{Edge, Ejection, Event, Scheme};

/// Writes a line, dated.
pub(super) fn line(text: impl fmt::Display) {
    let time = humantime::format_rfc3339_millis(SystemTime::now());
    write(format!("{time} {text}\n"));
}

/// In one piece, as others write there, too. If nobody takes it, there is
/// nobody to tell.
fn write(line: String) {
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Tells of an edge's events, the backends by name and origin.
#[derive(Clone, Default)]
pub(super) struct Reporter(Arc<OnceLock<Vec<String>>>);

impl Reporter {
    /// What an edge is built with.
    pub(super) fn sink(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let reporter = self.clone();
        move |event| {
            // Guests date what they write, if they want to.
            if let Event::Told { line } = event {
                write(format!("{line}\n"));
            } else {
                line(reporter.told(event));
            }
        }
    }

    /// Learns the backends of the edge, which is known once it is built.
    pub(super) fn learn(&self, edge: &Edge) {
        let backends = edge.configuration().into_iter().flat_map(|it| &it.backends);
        let names = backends.map(|backend| {
            let scheme = match backend.scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            };
            format!("{} ({scheme}://{})", backend.name, backend.authority)
        });
        let _ = self.0.set(names.collect());
    }

    fn told(&self, event: &Event) -> String {
        let backend = |index: u32| {
            let name = self.0.get().and_then(|names| names.get(index as usize));
            name.map_or("?", String::as_str)
        };
        match event {
            Event::Ejected(Ejection {
                backend: index,
                length,
                reason,
                ..
            }) => {
                let (backend, length) = (backend(*index), Length(*length));
                format!("backend {backend} ejected for {length}: {reason}")
            }
            Event::Trial(index) => format!("backend {} on trial", backend(*index)),
            Event::Recovered(index) => format!("backend {} recovered", backend(*index)),
            Event::Told { line } => line.clone(),
            Event::InstanceLost { reason } => format!("instance lost and replaced: {reason}"),
        }
    }
}

/// `30 s`, or `1500 ms`.
struct Length(Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(f, "{} s", self.0.as_secs())
        } else {
            write!(f, "{} ms", self.0.as_millis())
        }
    }
}
