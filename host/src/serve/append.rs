//! What a recording can be appended to.

use std::io::{self, BufRead, BufReader, Read};

use super::record::Recorder;
use crate::exchange::bindings::EffectiveConfiguration;
use crate::recording::{Header, Line, VERSION};

/// The most bytes of a header that are read.
const LONGEST: u64 = 1 << 20;

/// Why a recording cannot be appended to a file.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else. What, is not said: there may be secrets in it.
    #[error(
        "is no recording: its first line is {found}; expected the header of one \
         (`{{\"line\":\"recording\", ...}}`), or a file that is empty or missing"
    )]
    NoRecording {
        /// What its first line is.
        found: String,
    },
    /// It was begun with another configuration.
    #[error(
        "was begun with another configuration ({difference}), and could not be replayed with \
         this one in it; expected another name, for one file each"
    )]
    Configuration {
        /// What is different.
        difference: String,
    },
}

impl Recorder {
    /// Whether a recording of this configuration can be appended to a file that
    /// has this in it.
    ///
    /// # Errors
    /// It is neither empty nor begins as such a recording does, or cannot be read.
    pub fn may_append_to(
        file: impl Read,
        configuration: Option<&EffectiveConfiguration>,
    ) -> Result<(), AppendError> {
        let mut file = BufReader::new(file.take(LONGEST));
        let mut line = Vec::new();
        while line.trim_ascii().is_empty() {
            line.clear();
            if file.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
        }
        let earlier = header(&line).map_err(|found| AppendError::NoRecording {
            found: found.to_owned(),
        })?;
        let now = Header::new(String::new(), configuration);
        match difference(&earlier, &now) {
            Some(difference) => Err(AppendError::Configuration { difference }),
            None => Ok(()),
        }
    }
}

fn header(line: &[u8]) -> Result<Header, &'static str> {
    match serde_json::from_slice(line) {
        Ok(Line::Recording(header)) if header.version == VERSION => Ok(header),
        Ok(Line::Recording(_)) => Err("the header of another version"),
        Ok(Line::Exchange(_) | Line::Lost { .. }) => Err("one that comes after a header"),
        Err(error) if error.is_data() => Err("another JSON value"),
        Err(_) => Err("no JSON"),
    }
}

/// The first that is different, as it was and as it is.
fn difference(earlier: &Header, now: &Header) -> Option<String> {
    if earlier.backends != now.backends {
        let variables = |header: &Header| {
            let backends = header.backends.iter();
            let all: Vec<_> = backends
                .map(|it| format!("{}={}", it.name, it.variable()))
                .collect();
            all.join(" ")
        };
        let (earlier, now) = (variables(earlier), variables(now));
        return Some(format!("backends: `{earlier}` there, `{now}` now"));
    }
    if earlier.settings == now.settings {
        return None;
    }
    let mut names = (now.settings.iter().chain(&earlier.settings)).map(|it| it.name.as_str());
    let changed = names.find(|name| earlier.setting(name) != now.setting(name));
    Some(match changed {
        Some(name) => {
            let (earlier, now) = (earlier.setting(name), now.setting(name));
            format!("{name}: `{earlier}` there, `{now}` now")
        }
        None => "other settings are defaults".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_a_recording_of_the_same_is_appended_to() {
        const HEADER: &str = r#"{"line":"recording","version":2,"time":"2026-11-22T10:00:00Z""#;
        let table = [
            (String::new(), None),
            ("\n\n".to_owned(), None),
            (format!("{HEADER}}}\n"), None),
            (format!("\n{HEADER}}}\n{{\"cut"), None),
            (
                "STATUS_TOKEN=s3cret\n".to_owned(),
                Some("is no recording: its first line is no JSON; expected the header"),
            ),
            (
                "{\"s3cret\":1}\n".to_owned(),
                Some("is no recording: its first line is another JSON value; expected"),
            ),
            (
                r#"{"line":"lost","exchanges":1}"#.to_owned(),
                Some("is no recording: its first line is one that comes after a header"),
            ),
            (
                format!("{HEADER}}}").replace(":2,", ":1,"),
                Some("is no recording: its first line is the header of another version"),
            ),
            (
                format!(r#"{HEADER},"settings":[{{"name":"MAX_RETRIES","value":"3"}}]}}"#),
                Some("was begun with another configuration (MAX_RETRIES: `3` there, `` now)"),
            ),
            (
                format!(r#"{HEADER},"backends":[{{"name":"A","origin":"http://a"}}]}}"#),
                Some("was begun with another configuration (backends: `A=http://a` there"),
            ),
        ];
        for (text, expected) in table {
            let checked = Recorder::may_append_to(text.as_bytes(), None);
            match expected {
                None => checked.unwrap(),
                Some(expected) => {
                    let error = checked.unwrap_err().to_string();
                    assert!(error.starts_with(expected), "{text}: {error}");
                    assert!(!error.contains("s3cret"), "{error}");
                }
            }
        }
    }
}
