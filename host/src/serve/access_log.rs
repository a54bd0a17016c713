//! One line a request.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant, SystemTime};
use std::{io, thread};

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::connection::Context;
use super::redact::Redacted;
use crate::body::{Body, BodyError};

/// Lines that may wait for the writer. Whoever does not read the log must not
/// stop the traffic: beyond this, lines are lost, and the log says how many.
const WAITING: usize = 8192;
/// How long a line waits for others. To wake a thread and to write for every
/// line would cost as much as half the request.
const GATHER: Duration = Duration::from_millis(10);
/// How long the writer has for what is left when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// The status of a request whose client left before there was one.
const CLIENT_CLOSED: u16 = 499;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `time client "method host target" status bytes duration_ms backend attempts`
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A log, written by a thread of its own in as few writes as it can.
#[derive(Clone, Debug)]
pub struct AccessLog {
    format: LogFormat,
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

impl AccessLog {
    /// Starts the writer. It ends, everything written, when the last clone is gone.
    ///
    /// # Errors
    /// The thread does not start.
    pub fn start(
        format: LogFormat,
        sink: impl Write + Send + 'static,
    ) -> io::Result<(Self, LogWriter)> {
        let (lines, waiting) = sync_channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let losses = Arc::clone(&lost);
        let thread = thread::Builder::new()
            .name("edgelb-log".to_owned())
            .spawn(move || write_lines(&waiting, &losses, sink))?;
        let log = Self {
            format,
            lines,
            lost,
        };
        Ok((log, LogWriter(thread)))
    }
}

/// The thread behind an [`AccessLog`].
#[derive(Debug)]
pub struct LogWriter(thread::JoinHandle<()>);

impl LogWriter {
    /// Waits until every line is written, two seconds at most where nobody
    /// reads them; all clones of the log must be gone.
    pub fn join(self) {
        let begun = Instant::now();
        while !self.0.is_finished() && begun.elapsed() < FAREWELL {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn write_lines(waiting: &Receiver<String>, lost: &AtomicU64, mut sink: impl Write) {
    let mut batch = String::new();
    while let Ok(line) = waiting.recv() {
        thread::sleep(GATHER);
        batch.push_str(&line);
        for line in waiting.try_iter().take(WAITING) {
            batch.push_str(&line);
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            // Writing to a string does not fail.
            let _ = writeln!(
                batch,
                "({lost} lines lost: the log was not read fast enough)"
            );
        }
        // Whoever reads the log may be gone.
        let _ = sink.write_all(batch.as_bytes());
        let _ = sink.flush();
        batch.clear();
    }
}

/// A line in the making. It is written when it is dropped: when the body has
/// ended, or the client left.
pub(super) struct Line {
    log: AccessLog,
    begun: Instant,
    client: SocketAddr,
    method: Method,
    host: Option<HeaderValue>,
    target: Option<PathAndQuery>,
    status: u16,
    bytes: u64,
    backend: Option<(usize, Arc<Context>)>,
    attempts: u32,
}

impl Line {
    pub(super) fn begin<B>(log: &AccessLog, request: &Request<B>, client: SocketAddr) -> Self {
        Self {
            log: log.clone(),
            begun: Instant::now(),
            client,
            method: request.method().clone(),
            host: request.headers().get(HOST).cloned(),
            target: request.uri().path_and_query().cloned(),
            status: CLIENT_CLOSED,
            bytes: 0,
            backend: None,
            attempts: 0,
        }
    }

    /// Goes with the response to the end of its body.
    pub(super) fn finish(
        mut self,
        response: Response<Body>,
        backend: Option<usize>,
        attempts: u32,
        context: &Arc<Context>,
    ) -> Response<Body> {
        self.status = response.status().as_u16();
        self.backend = backend.map(|index| (index, Arc::clone(context)));
        self.attempts = attempts;
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| Body::new(Counted { body, line: self }))
    }

    fn write(&self) -> String {
        let backend = self.backend.as_ref().and_then(|(index, context)| {
            let configuration = context.edge.configuration()?;
            Some(configuration.backends.get(*index)?.name.as_str())
        });
        let host = self
            .host
            .as_ref()
            .map_or("-".into(), |host| String::from_utf8_lossy(host.as_bytes()));
        let target = Redacted(self.target.as_ref().map_or("*", PathAndQuery::as_str));
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let client = self.client.ip();
        let duration = self.begun.elapsed().as_secs_f64() * 1e3;
        let Self {
            method,
            status,
            bytes,
            attempts,
            ..
        } = self;
        let mut line = String::with_capacity(192);
        // Writing to a string does not fail.
        let _ = match self.log.format {
            LogFormat::Text => writeln!(
                line,
                "{time} {client} \"{method} {} {}\" {status} {bytes} {duration:.3} {} {attempts}",
                unquoted(&host),
                unquoted(&target.to_string()),
                backend.unwrap_or("-"),
            ),
            LogFormat::Json => writeln!(
                line,
                r#"{{"time":"{time}","client":"{client}","method":"{method}","host":{},"target":{},"status":{status},"bytes":{bytes},"duration_ms":{duration:.3},"backend":{},"attempts":{attempts}}}"#,
                serde_json::Value::from(host.as_ref()),
                serde_json::Value::from(target.to_string()),
                serde_json::Value::from(backend),
            ),
        };
        line
    }
}

/// What a client sends must not end the quotes around it.
fn unquoted(text: &str) -> Cow<'_, str> {
    if text.contains(['"', ' ']) {
        text.replace('"', "%22").replace(' ', "%20").into()
    } else {
        text.into()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.log.lines.try_send(self.write()).is_err() {
            self.log.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A body whose bytes are counted.
struct Counted {
    body: Body,
    line: Line,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.line.bytes += data.len() as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A reader that reads nothing until it is told to.
    struct Stalled {
        go: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            let _ = self
                .written
                .send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_loses_lines_and_stops_no_request() {
        let (go, told) = channel();
        let (written, lines) = channel();
        let sink = Stalled { go: told, written };
        let (log, writer) = AccessLog::start(LogFormat::Text, sink).unwrap();
        let client = SocketAddr::from(([192, 0, 2, 1], 80));
        for _ in 0..2 * WAITING {
            drop(Line::begin(&log, &Request::new(()), client));
        }
        drop((log, go));
        writer.join();
        let lines: String = lines.iter().collect();
        assert!(lines.contains(" lines lost: "), "{}", lines.len());
    }
}
