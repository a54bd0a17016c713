//! Builds the test guests.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};

/// What they are made of, from the workspace's root.
const SOURCES: [&str; 7] = [
    "crates/balancer/Cargo.toml",
    "crates/balancer/src",
    "crates/config/Cargo.toml",
    "crates/config/src",
    "tests/guests",
    "worker-wasm/policy",
    "worker-wasm/wit",
];

fn main() -> Result<()> {
    let built = edgelb_build::components(&["edgelb-faulty"], &SOURCES)?;
    let out_dir = env::var_os("OUT_DIR").context("OUT_DIR is not set")?;
    let faulty = built.join("edgelb_faulty.wasm");
    fs::copy(&faulty, Path::new(&out_dir).join("faulty.wasm"))
        .with_context(|| format!("`{}` cannot be copied", faulty.display()))?;
    Ok(())
}
