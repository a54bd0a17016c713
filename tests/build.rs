//! Builds the test guests.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};
use edgelb_build::Target;

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
    for (target, package, name) in [
        (Target::Component, "edgelb-faulty", "faulty"),
        (Target::Component, "edgelb-handler", "handler"),
        (Target::Bare, "edgelb-pure", "pure"),
    ] {
        let built = edgelb_build::guests(target, &[package], &SOURCES)?;
        let guest = built.join(format!("edgelb_{name}.wasm"));
        let out_dir = env::var_os("OUT_DIR").context("OUT_DIR is not set")?;
        fs::copy(&guest, Path::new(&out_dir).join(format!("{name}.wasm")))
            .with_context(|| format!("`{}` cannot be copied", guest.display()))?;
    }
    Ok(())
}
