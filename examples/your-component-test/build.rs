//! Builds the component that is tested.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};
use edgelb_build::Target;

fn main() -> Result<()> {
    let sources = ["examples/your-component-test/component"];
    let built = edgelb_build::guests(Target::Component, &["your-component"], &sources)?;
    let out_dir = env::var_os("OUT_DIR").context("OUT_DIR is not set")?;
    fs::copy(
        built.join("your_component.wasm"),
        Path::new(&out_dir).join("your_component.wasm"),
    )?;
    Ok(())
}
