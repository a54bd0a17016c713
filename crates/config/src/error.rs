//! What is wrong with a variable.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use core::fmt;

/// One fault of one variable.
///
/// Displayed on one line, in the form that all errors of the project have:
/// ``BACKEND_CF: `ftp://x` has scheme `ftp`; expected http or https``.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The variable.
    pub variable: String,
    /// Its value, or the item of its list, that is at fault: [`MASK`] for a
    /// secret, credentials and paths left out of a URL. `None` where the name
    /// itself is the fault, or a variable is missing.
    ///
    /// [`MASK`]: crate::Setting::MASK
    pub value: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What was expected instead.
    pub expected: String,
}

impl ConfigError {
    pub(crate) fn of_value(variable: &str, value: &str, fault: Fault) -> Self {
        Self {
            value: Some(value.to_owned()),
            ..Self::of_name(variable, fault)
        }
    }

    pub(crate) fn of_name(variable: &str, fault: Fault) -> Self {
        Self {
            variable: variable.to_owned(),
            value: None,
            problem: fault.problem.into_owned(),
            expected: fault.expected.into_owned(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", Line(&self.variable))?;
        if let Some(value) = &self.value {
            write!(f, "`{}` ", Line(value))?;
        }
        let Self {
            problem, expected, ..
        } = self;
        write!(f, "{}; expected {}", Line(problem), Line(expected))
    }
}

impl core::error::Error for ConfigError {}

/// What a parser has to say, which does not know whose value it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) problem: Cow<'static, str>,
    pub(crate) expected: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(
        problem: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            problem: problem.into(),
            expected: expected.into(),
        }
    }
}

/// Text from outside as a part of one line of a log: control characters
/// escaped, and no longer than is of use.
struct Line<'a>(&'a str);

impl Line<'_> {
    const LONGEST: usize = 200;
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(Self::LONGEST) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        if characters.next().is_some() {
            f.write_str("…")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_of_bounded_length() {
        let fault = || Fault::new("is odd", "even");
        for (error, line) in [
            (
                ConfigError::of_value("A", "x", fault()),
                "A: `x` is odd; expected even".to_owned(),
            ),
            (
                ConfigError::of_name("A\r\n", fault()),
                "A\\r\\n: is odd; expected even".to_owned(),
            ),
            (
                ConfigError::of_value("A", &"é".repeat(5_000), fault()),
                format!("A: `{}…` is odd; expected even", "é".repeat(200)),
            ),
        ] {
            assert_eq!(error.to_string(), line);
        }
    }
}
