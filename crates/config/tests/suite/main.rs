//! The crate as its users see it: golden cases, laws, and the documentation.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documentation;
mod golden;
mod laws;

use std::path::{Path, PathBuf};

use edgelb_config::{Config, ConfigError, from_env};

/// A file of this crate, or with `../..` of the workspace.
fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Reads `NAME=value` lines; blank ones and comments (`#`) are skipped.
fn read(text: &str) -> Result<Config, Vec<ConfigError>> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    from_env(lines.map(|line| {
        let (name, value) = line.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    }))
}
