//! Where the lines go that requests leave.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use std::{io, thread};

/// Lines that may wait for the writer. Whoever does not read the log must not
/// stop the traffic: beyond this, lines are lost, and the log says how many.
const WAITING: usize = 8192;
/// How long a line waits for others. To wake a thread and to write for every
/// line would cost as much as half the request.
const GATHER: Duration = Duration::from_millis(10);
/// How long the writer has for what is left when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

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
    pub(super) format: LogFormat,
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
            .spawn(move || write_lines(format, &waiting, &losses, sink))?;
        let log = Self {
            format,
            lines,
            lost,
        };
        Ok((log, LogWriter(thread)))
    }

    /// Hands over a line, unless too many wait.
    pub(super) fn write(&self, line: String) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
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

fn write_lines(
    format: LogFormat,
    waiting: &Receiver<String>,
    lost: &AtomicU64,
    mut sink: impl Write,
) {
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
            let _ = match format {
                LogFormat::Text => writeln!(
                    batch,
                    "({lost} lines lost: the log was not read fast enough)"
                ),
                LogFormat::Json => writeln!(batch, r#"{{"lines_lost":{lost}}}"#),
            };
        }
        // Whoever reads the log may be gone.
        let _ = sink.write_all(batch.as_bytes());
        let _ = sink.flush();
        batch.clear();
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
        for _ in 0..2 * WAITING {
            log.write("a line\n".to_owned());
        }
        drop((log, go));
        writer.join();
        let lines: String = lines.iter().collect();
        assert!(lines.contains(" lines lost: "), "{}", lines.len());
    }
}
