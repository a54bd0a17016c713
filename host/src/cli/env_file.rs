//! Files of `NAME=value` lines.

use anyhow::{Result, bail};

/// Reads the lines. What is wrong is told by its line's number, and never shown:
/// it may be a secret. Empty ones and those that begin with `#` are skipped,
/// `export` before a name too. A value in single or double quotes is what is
/// between them, byte for byte; any other is trimmed. A `#` after white space, or
/// after the closing quote, begins a comment. Nothing is substituted.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            bail!("line {number}: there is no `=`; expected NAME=value");
        };
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            bail!("line {number}: no name is before the `=`; expected NAME=value");
        }
        if variables.iter().any(|(taken, _)| taken == name) {
            bail!("line {number}: `{name}` is set a second time");
        }
        let value = match quoted(value.trim_start()) {
            None => unquoted(value),
            Some(None) => bail!("line {number}: the quote of `{name}` does not close"),
            Some(Some((value, rest))) => {
                let rest = rest.trim_start();
                if !rest.is_empty() && !rest.starts_with('#') {
                    bail!(
                        "line {number}: more than a comment follows the closing quote of `{name}`"
                    );
                }
                value
            }
        };
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok(variables)
}

/// What is between quotes and what follows them; `Some(None)` where the quote
/// does not close.
fn quoted(text: &str) -> Option<Option<(&str, &str)>> {
    let inner = text.strip_prefix('"').map(|inner| (inner, '"'));
    let inner = inner.or_else(|| text.strip_prefix('\'').map(|inner| (inner, '\'')));
    inner.map(|(inner, quote)| inner.split_once(quote))
}

/// Without the comment.
fn unquoted(text: &str) -> &str {
    let comments = text.match_indices('#').map(|(at, _)| &text[..at]);
    let mut comments = comments.filter(|before| before.ends_with(char::is_whitespace));
    comments.next().unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use super::parse;

    /// What every reader of such files in this repository makes of which text.
    const TABLE: &str = include_str!("../../../tests/env_file.json");

    #[test]
    fn files_are_read_as_the_table_says() {
        let table: Vec<Value> = serde_json::from_str(TABLE).unwrap();
        assert!(!table.is_empty());
        for expected in table {
            let text = expected["text"].as_str().unwrap();
            let read = match parse(text) {
                Ok(variables) => json!({"text": text, "variables": variables}),
                Err(error) => json!({"text": text, "error": error.to_string()}),
            };
            assert_eq!(read, expected);
        }
    }
}
