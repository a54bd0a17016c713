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
    /// A line is none that a recording has.
    #[error("line {number}: {message}")]
    Line {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        message: String,
    },
    /// There is no line in it.
    #[error("it is empty; expected a recording, as `edgelb serve --record` writes it")]
    Empty,
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
        match line {
            Line::Recording(header) => self.header(header).map_err(wrong),
            Line::Exchange(exchange) => self.exchange(*exchange).map_err(wrong),
            Line::Lost { exchanges } => {
                let recording = self.recording.as_mut();
                let recording = recording.ok_or_else(headless).map_err(wrong)?;
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

    fn exchange(&mut self, exchange: Exchange) -> Result<(), String> {
        let recording = self.recording.as_mut().ok_or_else(headless)?;
        if exchange.method.parse::<http::Method>().is_err() {
            return Err(format!("method: `{}` is no method", exchange.method));
        }
        check(&exchange)?;
        let at = exchange.at.saturating_add(self.offset);
        recording.exchanges.push(Exchange { at, ..exchange });
        Ok(())
    }

    /// `whole` is whether the last line has its line feed.
    fn finish(self, whole: bool) -> Result<Recording, RecordingError> {
        let mut cut_off = Vec::new();
        if let Some((number, message)) = self.suspect {
            if whole || self.recording.is_none() {
                return Err(RecordingError::Line { number, message });
            }
            cut_off.push(number);
        }
        let mut recording = self.recording.ok_or(RecordingError::Empty)?;
        recording.cut_off.append(&mut cut_off);
        // They are written when they end.
        recording.exchanges.sort_by_key(|it| (it.at, it.request));
        recording.begin_with_the_first();
        Ok(recording)
    }
}

/// Whether the numbers and names are those that an exchange can have.
fn check(exchange: &Exchange) -> Result<(), String> {
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

fn headless() -> String {
    "an exchange before the header; expected `{\"line\":\"recording\", ...}` first".to_owned()
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
#[expect(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"line":"recording","version":1,"time":"2026-11-22T10:00:00.000Z","backends":[],"settings":[]}"#;

    fn exchange(request: u64, at: u64) -> String {
        format!(
            r#"{{"line":"exchange","request":{request},"at":{at},"client":"c","method":"GET","target":"/","fields":[],"attempts":[],"status":200,"head":1,"ended":1,"end":"whole"}}"#
        )
    }

    /// An exchange with one attempt.
    fn attempted(members: &str) -> String {
        let attempts = format!(r#""attempts":[{{"backend":"A",{members}}}]"#);
        exchange(0, 1).replace(r#""attempts":[]"#, &attempts)
    }

    #[test]
    fn exchanges_come_in_the_order_in_which_they_were_made() {
        let text = format!("{HEADER}\n{}\n{}\n", exchange(1, 20), exchange(0, 10));
        let recording: Recording = text.parse().unwrap();
        let requests: Vec<_> = recording.exchanges.iter().map(|it| it.request).collect();
        assert_eq!(requests, [0, 1]);
    }

    #[test]
    fn times_count_from_the_first_request() {
        let day = 86_400_000;
        let lines = [exchange(8, day + 20), exchange(7, day + 10)];
        let recording: Recording = format!("{HEADER}\n{}\n{}\n", lines[0], lines[1])
            .parse()
            .unwrap();
        let times: Vec<_> = recording.exchanges.iter().map(|it| it.at).collect();
        assert_eq!(times, [0, 10]);
        assert_eq!(recording.span(), Duration::from_millis(10));
        let began = humantime::format_rfc3339_millis(UNIX_EPOCH + recording.began);
        assert_eq!(began.to_string(), "2026-11-23T10:00:00.010Z");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let one = exchange(0, 1);
        let table = [
            (String::new(), "it is empty"),
            (one.clone(), "line 1: an exchange before the header"),
            ("nonsense\n".to_owned(), "line 1: expected ident"),
            (
                HEADER.replace("\"version\":1", "\"version\":2"),
                "line 1: version: `2`",
            ),
            (HEADER.replace("2026-", "x"), "line 1: time: `x"),
            (
                format!("{HEADER}\nnonsense\n{one}\n"),
                "line 2: expected ident",
            ),
            (
                format!("{HEADER}\n{}\n{one}", one.replace("\"at\":1,", "")),
                "line 2: missing field `at`",
            ),
            (
                format!(
                    "{HEADER}\n{}\n",
                    one.replace("\"at\":1", "\"at\":18446744073709551615")
                ),
                "line 2: at: `18446744073709551615` is too long",
            ),
            (
                format!(
                    "{HEADER}\n{}\n",
                    one.replace("\"ended\":1", "\"ended\":3162240000000")
                ),
                "line 2: ended: `3162240000000` is too long; expected milliseconds",
            ),
            (
                format!("{HEADER}\n{}\n", one.replace("200", "1000")),
                "line 2: status: `1000` is no status code; expected 100 to 999",
            ),
            (
                format!("{HEADER}\n{}\n", attempted(r#""at":0,"status":99"#)),
                "line 2: attempts: status: `99` is no status code",
            ),
            (
                format!("{HEADER}\n{}\n", attempted(r#""at":3162240000000"#)),
                "line 2: attempts: at: `3162240000000` is too long",
            ),
            (
                format!("{HEADER}\n{}\n", attempted(r#""at":0,"failure":"no""#)),
                "line 2: attempts: failure: `no` is no Proxy-Status",
            ),
            (
                format!("{HEADER}\n{one}\n{}\n", one.replace("GET", "G T")),
                "line 3: method: `G T`",
            ),
            (
                format!(
                    "{HEADER}\n{}",
                    HEADER.replace(
                        "\"settings\":[]",
                        "\"settings\":[{\"name\":\"A\",\"value\":\"\"}]"
                    )
                ),
                "line 2: a recording with another configuration",
            ),
        ];
        for (text, expected) in table {
            let error = text.parse::<Recording>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_required_is_said_if_it_is_missing() {
        const EXCHANGE: &str = r#"{"line":"exchange","request":0,"at":1,"client":"c","method":"GET","target":"/","ended":1,"end":"whole","body":{},"attempts":[{"at":0}]}"#;
        let text = format!(
            "{}\n{EXCHANGE}\n",
            HEADER.replace(r#","backends":[],"settings":[]"#, "")
        );
        assert_eq!(text.parse::<Recording>().unwrap().requests(), 1);
        for (member, name) in [
            (r#""request":0,"#, "request"),
            (r#""at":1,"#, "at"),
            (r#""client":"c","#, "client"),
            (r#""method":"GET","#, "method"),
            (r#""target":"/","#, "target"),
            (r#""ended":1,"#, "ended"),
            (r#""end":"whole","#, "end"),
            (r#""at":0"#, "at"),
        ] {
            let without = format!("{HEADER}\n{}\n", EXCHANGE.replacen(member, "", 1));
            let error = without.parse::<Recording>().unwrap_err().to_string();
            let expected = format!("line 2: missing field `{name}`");
            assert!(error.starts_with(&expected), "{member}: {error}");
        }
    }

    #[test]
    fn what_a_crash_cut_off_is_left_out() {
        let one = exchange(0, 1);
        let cut = &one[..40];
        let recording: Recording = format!("{HEADER}\n{one}\n{cut}").parse().unwrap();
        assert_eq!((recording.requests(), recording.cut_off()), (1, &[3][..]));
        let later = HEADER.replace("10:00:00", "10:00:05");
        let restarted = format!("{HEADER}\n{one}\n{cut}\n{later}\n{one}\n");
        let recording: Recording = restarted.parse().unwrap();
        assert_eq!((recording.requests(), recording.cut_off()), (2, &[3][..]));
        assert_eq!(recording.exchanges[1].at, 5000);
    }

    #[test]
    fn what_was_lost_is_counted() {
        let lost = r#"{"line":"lost","exchanges":7}"#;
        let recording: Recording = format!("{HEADER}\n{lost}\n").parse().unwrap();
        assert_eq!(recording.lost(), 7);
        let most = lost.replace('7', &u64::MAX.to_string());
        let recording: Recording = format!("{HEADER}\n{lost}\n{most}\n").parse().unwrap();
        assert_eq!(recording.lost(), u64::MAX);
    }
}
