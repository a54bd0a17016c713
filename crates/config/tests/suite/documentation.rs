//! `docs/configuration.md` and the code say the same.

use std::collections::BTreeSet;
use std::fs;

use edgelb_config::from_env;

/// The table's rows, each cell without its surrounding space.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter(|line| line.starts_with("| [`"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The contents of the fenced blocks of one kind.
fn blocks<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    text.split(&format!("```{kind}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn document() -> String {
    fs::read_to_string(crate::path("../../docs/configuration.md")).unwrap()
}

/// What a number expects, by the error that something else gets; `None` for
/// other variables.
fn range(name: &str) -> Option<String> {
    let errors = from_env([
        ("BACKEND_A".to_owned(), "a".to_owned()),
        (name.to_owned(), "many".to_owned()),
    ])
    .err()?;
    let error = errors.into_iter().find(|error| error.variable == name)?;
    (error.problem == "is not a whole number").then_some(error.expected)
}

#[test]
fn the_table_has_every_variable_with_its_default_and_range() {
    let document = document();
    let rows = rows(&document);
    let settings = crate::read("BACKEND_A=a").unwrap().settings;
    assert_eq!(rows.len(), settings.len());

    let (backend, others) = rows.split_first().unwrap();
    assert_eq!(backend[0], "[`BACKEND_<NAME>`](#backend_name)");
    for (row, setting) in others.iter().zip(&settings[1..]) {
        let name = &setting.name;
        let link = format!("[`{name}`](#{})", name.to_lowercase());
        assert_eq!(row[0], link, "in the order of the settings");
        let default = match setting.value.as_str() {
            "" => "unset".to_owned(),
            value => format!("`{value}`"),
        };
        assert!(row[1].starts_with(&default), "{name}: {} {default}", row[1]);
        if let Some(range) = range(name) {
            assert_eq!(row[2], range, "{name}");
        }
    }
}

#[test]
fn every_variable_has_a_section() {
    let document = document();
    let sections: BTreeSet<_> = document
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    let documented: BTreeSet<_> = rows(&document)
        .iter()
        .map(|row| row[0].split('`').nth(1).unwrap())
        .collect();
    assert_eq!(sections, documented);
}

#[test]
fn the_examples_are_valid() {
    let document = document();
    let examples = blocks(&document, "env");
    assert!(!examples.is_empty());
    for example in examples {
        assert!(crate::read(example).is_ok(), "{example}");
    }
}

#[test]
fn the_errors_shown_are_those_of_golden_cases() {
    let document = document();
    let printed = crate::golden::outcomes();
    let shown: Vec<_> = blocks(&document, "text")
        .into_iter()
        .flat_map(str::lines)
        .collect();
    assert!(!shown.is_empty());
    for line in shown {
        assert!(line.starts_with("error: "), "{line}");
        assert!(printed.lines().any(|printed| printed == line), "{line}");
    }
}
