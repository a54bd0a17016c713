//! Golden cases: `tests/golden/<case>.env` is what is set, `<case>.out` what
//! comes of it, the settings or the errors. After a change that is meant,
//! `UPDATE_GOLDEN=1 cargo test -p edgelb-config` rewrites the `.out` files;
//! review the difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

#[test]
fn every_case_comes_out_as_recorded() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut recorded = files("out");
    let mut wrong = Vec::new();
    for (case, input) in files("env") {
        let actual = outcome(&fs::read_to_string(&input).unwrap());
        let output = input.with_extension("out");
        let expected = recorded
            .remove(&case)
            .map(|path| fs::read_to_string(path).unwrap());
        if update {
            fs::write(output, actual).unwrap();
        } else if expected.as_ref() != Some(&actual) {
            let expected = expected.unwrap_or_else(|| "(no such file)\n".to_owned());
            wrong.push(format!("{case}: expected\n{expected}but got\n{actual}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(recorded, BTreeMap::new(), "outputs without an input");
}

/// All that the cases come out as now, whatever is recorded.
pub(crate) fn outcomes() -> String {
    files("env")
        .values()
        .map(|input| outcome(&fs::read_to_string(input).unwrap()))
        .collect()
}

/// The files of the golden directory with this extension, by case.
fn files(extension: &str) -> BTreeMap<String, PathBuf> {
    fs::read_dir(crate::path("tests/golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .inspect(|path| {
            let known = path.extension().is_some_and(|e| e == "env" || e == "out");
            assert!(known, "{} is no part of a case", path.display());
        })
        .filter(|path| path.extension().is_some_and(|actual| actual == extension))
        .map(|path| {
            let case = path.file_stem().unwrap().to_str().unwrap();
            (case.to_owned(), path.clone())
        })
        .collect()
}

fn outcome(variables: &str) -> String {
    let mut lines = String::new();
    match crate::read(variables) {
        Ok(config) => {
            for setting in config.settings {
                let default = if setting.default { " (default)" } else { "" };
                let line = format!("{} = {}{default}", setting.name, setting.value);
                writeln!(lines, "{}", line.replace("  ", " ").trim_end()).unwrap();
            }
        }
        Err(errors) => {
            for error in errors {
                writeln!(lines, "error: {error}").unwrap();
            }
        }
    }
    lines
}
