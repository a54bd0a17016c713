//! Where the lines go that requests leave.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::queue::{LogWriter, Queue, Render};

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
    lines: Queue<String>,
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
        let (lines, writer) = Queue::start(format, sink)?;
        Ok((Self { format, lines }, writer))
    }

    /// Hands over a line, unless too many wait.
    pub(super) fn write(&self, line: String) {
        let bytes = line.capacity();
        self.lines.write(line, bytes);
    }
}

impl Render<String> for LogFormat {
    fn line(&mut self, line: String, text: &mut String) {
        text.push_str(&line);
    }

    fn lost(&mut self, count: u64, text: &mut String) {
        // Writing to a string does not fail.
        let _ = match self {
            Self::Text => writeln!(
                text,
                "({count} lines lost: the log was not written, or not fast enough)"
            ),
            Self::Json => writeln!(text, r#"{{"lines_lost":{count}}}"#),
        };
    }
}
