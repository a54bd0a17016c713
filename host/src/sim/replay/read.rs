//! Recordings as files: what is wrong with one is said with its line.

use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use super::Recording;
use crate::recording::{Attempt, Exchange, Header, Line, VERSION};

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("is no recording, as `edgelb serve --record` writes it: {reason}")]
    NoRecording {
        /// What its first line is, or that there is none.
        reason: String,
    },
    /// A line is none that a recording has, or that this one can have.
    #[error("line {number}: {message}")]
    Line {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        message: String,
    },
}

/// A recording, as far as it is read.
#[derive(Default)]
struct Reader {
    recording: Option<Recording>,
    /// How long after the first header the last one was written.
    offset: u64,
    /// A line that may have been cut off: the next will tell.
    suspect: Option<(usize, String)>,
}

impl Recording {
    /// Reads one, line by line.
    ///
    /// A line that ends in the middle, because the process that wrote it did,
    /// is left out: the last, and one before another header.
    ///
    /// # Errors
    /// It cannot be read, or is no recording.
    pub fn read(source: impl Read) -> Result<Self, RecordingError> {
        let mut source = BufReader::new(source);
        let mut reader = Reader::default();
        let mut line = Vec::new();
        let mut whole = true;
        for number in 1.. {
            line.clear();
            if source.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            whole = line.ends_with(b"\n");
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            reader.line(number, text)?;
        }
        reader.finish(whole)
    }
}

impl Recording {
    /// A file that was opened under way has the times of the one before: they
    /// count from when the process started, maybe days ago.
    fn begin_with_the_first(&mut self) {
        let first = self.exchanges.first().map_or(0, |it| it.at);
        self.began = self.began.saturating_add(Duration::from_millis(first));
        for exchange in &mut self.exchanges {
            exchange.at -= first;
        }
    }
}

impl FromStr for Recording {
    type Err = RecordingError;

    fn from_str(text: &str) -> Result<Self, RecordingError> {
        Self::read(text.as_bytes())
    }
}

impl Reader {
    fn line(&mut self, number: usize, text: &[u8]) -> Result<(), RecordingError> {
        let wrong = |message: String| RecordingError::Line { number, message };
        let line = match serde_json::from_slice(text) {
            Ok(line) => line,
            Err(error) if self.recording.is_none() => {
                let found = if error.is_data() {
                    "not its header"
                } else {
                    "not JSON"
                };
                let reason = format!("line {number} is {found}: {}", said(&error));
                return Err(RecordingError::NoRecording { reason });
            }
            Err(error) => {
                let message = said(&error);
                // Two in a row were not cut off by one end of a process.
                if let Some((number, message)) = self.suspect.replace((number, message)) {
                    return Err(RecordingError::Line { number, message });
                }
                return Ok(());
            }
        };
        if let Some((number, message)) = self.suspect.take() {
            match (&line, &mut self.recording) {
                (Line::Recording(_), Some(recording)) => recording.cut_off.push(number),
                _ => return Err(RecordingError::Line { number, message }),
            }
        }
        match (line, &mut self.recording) {
            (Line::Recording(header), _) => self.header(header).map_err(wrong),
            (Line::Exchange(_) | Line::Lost { .. }, None) => Err(RecordingError::NoRecording {
                reason: format!("line {number} is one that comes after its header"),
            }),
            (Line::Exchange(exchange), Some(recording)) => {
                check(&exchange).map_err(wrong)?;
                let at = exchange.at.saturating_add(self.offset);
                recording.exchanges.push(Exchange { at, ..*exchange });
                Ok(())
            }
            (Line::Lost { exchanges }, Some(recording)) => {
                recording.lost = recording.lost.saturating_add(exchanges);
                Ok(())
            }
        }
    }

    fn header(&mut self, header: Header) -> Result<(), String> {
        if header.version != VERSION {
            let version = header.version;
            return Err(format!(
                "version: `{version}` is not the format this reads; expected {VERSION}"
            ));
        }
        let time = humantime::parse_rfc3339(&header.time).map_err(|_| {
            let time = &header.time;
            format!("time: `{time}` is no time; expected one as `2026-11-22T10:00:00.000Z`")
        })?;
        let began = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        match &self.recording {
            None => {
                self.recording = Some(Recording {
                    header,
                    began,
                    exchanges: Vec::new(),
                    lost: 0,
                    cut_off: Vec::new(),
                });
            }
            Some(first) => {
                if (&first.header.backends, &first.header.settings)
                    != (&header.backends, &header.settings)
                {
                    return Err(
                        "a recording with another configuration begins here; expected one file each"
                            .to_owned(),
                    );
                }
                let offset = began.checked_sub(first.began).ok_or_else(|| {
                    "a recording begins here that is older than the one before".to_owned()
                })?;
                self.offset = u64::try_from(offset.as_millis()).unwrap_or(u64::MAX);
            }
        }
        Ok(())
    }

    /// `whole` is whether the last line has its line feed.
    fn finish(self, whole: bool) -> Result<Recording, RecordingError> {
        let mut cut_off = Vec::new();
        if let Some((number, message)) = self.suspect {
            if whole {
                return Err(RecordingError::Line { number, message });
            }
            cut_off.push(number);
        }
        let empty = || RecordingError::NoRecording {
            reason: "it is empty".to_owned(),
        };
        let mut recording = self.recording.ok_or_else(empty)?;
        recording.cut_off.append(&mut cut_off);
        // They are written when they end.
        recording.exchanges.sort_by_key(|it| (it.at, it.request));
        recording.begin_with_the_first();
        Ok(recording)
    }
}

/// Whether the numbers and names are those that an exchange can have.
fn check(exchange: &Exchange) -> Result<(), String> {
    if exchange.method.parse::<http::Method>().is_err() {
        return Err(format!("method: `{}` is no method", exchange.method));
    }
    check_count(exchange.fields.len())?;
    check_time("at", Some(exchange.at))?;
    check_time("head", exchange.head)?;
    check_time("ended", Some(exchange.ended))?;
    check_status(exchange.status)?;
    for attempt in &exchange.attempts {
        check_attempt(attempt).map_err(|message| format!("attempts: {message}"))?;
    }
    Ok(())
}

fn check_attempt(attempt: &Attempt) -> Result<(), String> {
    check_count(attempt.fields.len() + attempt.set_cookies.len())?;
    check_time("at", Some(attempt.at))?;
    check_time("ended", attempt.ended)?;
    check_status(attempt.status)?;
    match &attempt.failure {
        Some(failure) if crate::recording::cause(failure).is_none() => Err(format!(
            "failure: `{failure}` is no Proxy-Status error type"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Ten times as many as `edgelb serve` takes of anybody.
fn check_count(fields: usize) -> Result<(), String> {
    const MOST: usize = 1000;
    if fields > MOST {
        return Err(format!(
            "fields: there are {fields}; expected {MOST} at most"
        ));
    }
    Ok(())
}

/// So short that no sum of times is too large.
fn check_time(member: &str, millis: Option<u64>) -> Result<(), String> {
    const MOST: u64 = 100 * 366 * 86_400_000;
    match millis {
        Some(millis) if millis >= MOST => Err(format!(
            "{member}: `{millis}` is too long; expected milliseconds, of less than a hundred years"
        )),
        Some(_) | None => Ok(()),
    }
}

fn check_status(code: Option<u16>) -> Result<(), String> {
    match code {
        Some(code) if !(100..=999).contains(&code) => Err(format!(
            "status: `{code}` is no status code; expected 100 to 999"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Without the place, which is that of the line.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line 1 column {}", error.column());
    match text.strip_suffix(&place) {
        Some(message) => format!("{message} (column {})", error.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests;
