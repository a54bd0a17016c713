//! Scenarios as files: what is wrong with one is said with its line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Scenario;
use super::check::{Problem, Step};

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is no TOML, or says something that no scenario says; with the line.
    #[error("{0}")]
    Syntax(String),
    /// Its parts do not go together; all that is wrong, one a line.
    #[error("{}", .0.join("\n"))]
    Contradiction(Vec<String>),
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let scenario = parse(text)?;
        let problems = scenario.problems(scenario.end());
        if problems.is_empty() {
            return Ok(scenario);
        }
        let tree = toml::de::DeTable::parse(text).ok();
        let told = problems.iter().map(|problem| {
            let line = tree.as_ref().and_then(|tree| line(text, tree, problem));
            match line {
                Some(line) => format!("line {line}: {problem}"),
                None => problem.to_string(),
            }
        });
        Err(ScenarioError::Contradiction(told.collect()))
    }
}

impl Scenario {
    /// A scenario that leaves out what a recording brings, its duration among
    /// that: whether its parts go together is seen when it is built.
    ///
    /// # Errors
    /// It is no TOML, or says something that no scenario says.
    pub fn fragment(text: &str) -> Result<Self, ScenarioError> {
        let mut scenario = parse(text)?;
        let tree = toml::de::DeTable::parse(text).ok();
        if !tree.is_some_and(|tree| tree.get_ref().contains_key("duration")) {
            scenario.duration = Duration::ZERO;
        }
        Ok(scenario)
    }

    /// Whether its parts go together.
    ///
    /// # Errors
    /// All that does not.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        self.validate_until(self.end())
    }

    /// The same, if a run is over at this time.
    pub(crate) fn validate_until(&self, end: Option<Duration>) -> Result<(), ScenarioError> {
        let problems = self.problems(end);
        if problems.is_empty() {
            return Ok(());
        }
        let told = problems.iter().map(ToString::to_string);
        Err(ScenarioError::Contradiction(told.collect()))
    }

    /// When a run is over. Where nobody makes requests but a test that lives in
    /// it, that is the test's to say.
    fn end(&self) -> Option<Duration> {
        (!self.clients.is_empty()).then_some(self.duration)
    }
}

fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    toml::from_str(text).map_err(|error| {
        // The last of it is what is wrong, before it is where.
        let told = error.to_string();
        let told = told.trim_end();
        let place = told.strip_suffix(error.message()).unwrap_or(told);
        let told = format!("{place}{}", plain(error.message()));
        ScenarioError::Syntax(told)
    })
}

/// The same, but that the parser calls things as Rust does.
fn plain(message: &str) -> String {
    let mut plain = message
        .replace("expected f64", "expected a number")
        .replace("expected a boolean", "expected `true` or `false`")
        .replace(
            "map, expected a sequence",
            "table, expected a list of them, each below its name in two brackets: `[[name]]`",
        );
    for (kind, to) in [
        ("u16", "to 65535"),
        ("u32", "to 4294967295"),
        ("u64", "on"),
        ("usize", "on"),
    ] {
        let whole = |from| format!("a whole number from {from} {to}");
        plain = plain
            .replace(
                &format!("expected {kind}"),
                &format!("expected {}", whole(0)),
            )
            .replace(&format!("a nonzero {kind}"), &whole(1));
    }
    plain
}

/// As a file that reads back as the same.
impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = toml::to_string(self).map_err(|_| fmt::Error)?;
        formatter.write_str(&text)
    }
}

/// The line of the innermost of a problem's steps that the text has.
fn line(
    text: &str,
    tree: &toml::Spanned<toml::de::DeTable<'_>>,
    problem: &Problem,
) -> Option<usize> {
    let mut place = None;
    let mut steps = problem.path.iter();
    let mut value = match steps.next()? {
        Step::Key(key) => tree.get_ref().get(&**key)?,
        Step::Index(_) => return None,
    };
    loop {
        place = Some(value.span().start).or(place);
        let inner = match (steps.next(), value.get_ref()) {
            (Some(Step::Key(key)), toml::de::DeValue::Table(table)) => table.get(&**key),
            (Some(Step::Index(index)), toml::de::DeValue::Array(array)) => array.get(*index),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => break,
        }
    }
    Some(text.get(..place?)?.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests;
