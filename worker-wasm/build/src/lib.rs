//! Builds guests of this workspace as components, for build scripts.
//!
//! A build inside the build, so that nobody has to remember a step: `cargo` is
//! run again for `wasm32-wasip2` with the profile `component`, in a target
//! directory of its own that all profiles of the outer build share. The
//! bytes depend on the sources and the toolchain only: not on the outer
//! build's flags, nor on where the workspace, Cargo's home or the toolchain lie.

mod environment;
mod toolchain;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use toolchain::Toolchain;

/// The target of every guest: its `cdylib`s are components.
const TARGET: &str = "wasm32-wasip2";

/// Builds packages of this workspace as components and answers with the
/// directory that holds them, each named after its library with `.wasm`.
///
/// The calling build script is run again when any of `sources`, given relative
/// to the workspace's root, has changed, or the workspace's manifest or lock.
///
/// # Errors
/// When the target is missing and cannot be installed, or the build fails; its
/// own messages are on standard error.
pub fn components(packages: &[&str], sources: &[&str]) -> Result<PathBuf> {
    let workspace = workspace()?;
    for source in ["Cargo.toml", "Cargo.lock"].iter().chain(sources) {
        rerun_if_changed(&workspace.join(source));
    }
    let toolchain = Toolchain::of_build_script()?;
    toolchain.require_target(TARGET)?;

    let target_dir = shared_directory()?;
    let mut build = Command::new(variable("CARGO")?);
    environment::isolate(&mut build);
    build
        .current_dir(&workspace)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            toolchain.remapping_flags(&workspace)?,
        )
        .args(["build", "--locked", "--profile", "component"])
        .args(["--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir);
    for package in packages {
        build.args(["--package", package]);
    }
    let status = build.status().context("cargo cannot be run")?;
    ensure!(
        status.success(),
        "building {} for {TARGET} failed: {status}",
        packages.join(", ")
    );
    Ok(target_dir.join(TARGET).join("component"))
}

/// Where components are built and published: `components` in the target
/// directory of the outer build, whatever its profile or target.
///
/// # Errors
/// Outside a build script.
pub fn shared_directory() -> Result<PathBuf> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    // <target directory>[/<triple>]/<profile>/build/<package>/out
    let mut profile = out_dir
        .ancestors()
        .find(|path| path.file_name() == Some(OsStr::new("build")))
        .and_then(Path::parent)
        .and_then(Path::parent)
        .with_context(|| format!("`{}` has no directory of a profile", out_dir.display()))?;
    if profile.file_name() == Some(&variable("TARGET")?) {
        profile = profile.parent().unwrap_or(profile);
    }
    Ok(profile.join("components"))
}

#[expect(clippy::print_stdout, reason = "it is how build scripts talk to Cargo")]
fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// The root of the workspace that this package is a member of.
fn workspace() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .context("the package has left the workspace")
}

/// A variable that Cargo sets for build scripts.
fn variable(name: &str) -> Result<std::ffi::OsString> {
    env::var_os(name).with_context(|| format!("{name} is not set: this is no build script"))
}
