//! Files of `NAME=value` lines.

use anyhow::{Result, bail};

/// Reads the lines. Empty ones and those that begin with `#` are skipped,
/// `export` before a name too; a value in single or double quotes is what is
/// between them, byte for byte, any other is trimmed. Nothing is substituted.
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
            bail!("line {number}: `{line}` has no `=`; expected NAME=value");
        };
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            bail!("line {number}: `{name}` is no name; expected NAME=value");
        }
        if variables.iter().any(|(taken, _)| taken == name) {
            bail!("line {number}: `{name}` is set a second time");
        }
        let value = value.trim();
        let value = match value.as_bytes() {
            [quote @ (b'"' | b'\''), .., end] if quote == end => &value[1..value.len() - 1],
            [b'"' | b'\'', ..] => bail!("line {number}: the quote of `{name}` does not close"),
            _ => value,
        };
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::parse;

    #[test]
    fn names_and_values_are_read_as_people_write_them() {
        let text =
            "# a comment\n\nA=1\nexport B = two words \nC=\"  kept \"\nD='a=b;c'\nE=\nF=x#y\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "  kept "),
            ("D", "a=b;c"),
            ("E", ""),
            ("F", "x#y"),
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
                "line 2: `nonsense` has no `=`; expected NAME=value",
            ),
            ("=1", "line 1: `` is no name; expected NAME=value"),
            ("A B=1", "line 1: `A B` is no name; expected NAME=value"),
            ("A=1\nA=2", "line 2: `A` is set a second time"),
            ("A=\"1", "line 1: the quote of `A` does not close"),
            ("A=\"", "line 1: the quote of `A` does not close"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error);
        }
    }
}
