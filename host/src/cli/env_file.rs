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

    use super::parse;

    #[test]
    fn names_and_values_are_read_as_people_write_them() {
        let text = "# a comment\n\nA=1\nexport B = two words \nC=\"  kept \"\nD='a=b;c'\nE=\nF=x#y\n\
            G=1 # one\nH= \t# nothing\nI=\"a # b\" # c\nJ='\"'#d\nK=#e\nL=it's\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "  kept "),
            ("D", "a=b;c"),
            ("E", ""),
            ("F", "x#y"),
            ("G", "1"),
            ("H", ""),
            ("I", "a # b"),
            ("J", "\""),
            ("K", "#e"),
            ("L", "it's"),
        ];
        let expected: Vec<_> = expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_is_no_variable_is_named_by_its_line() {
        for (text, error) in [
            (
                "A=1\nnonsense\n",
                "line 2: there is no `=`; expected NAME=value",
            ),
            (
                "=1",
                "line 1: no name is before the `=`; expected NAME=value",
            ),
            (
                "A B=1",
                "line 1: no name is before the `=`; expected NAME=value",
            ),
            ("A=1\nA=2", "line 2: `A` is set a second time"),
            ("A=\"1", "line 1: the quote of `A` does not close"),
            ("A=\"", "line 1: the quote of `A` does not close"),
            (
                "A='1' 2",
                "line 1: more than a comment follows the closing quote of `A`",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error);
        }
    }
}
