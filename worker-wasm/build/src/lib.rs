//! Builds guests of this workspace as components, for build scripts.
//!
//! A build inside the build, so that nobody has to remember a step: `cargo` is
//! run again for a target of wasm with the profile `component`, in a target
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

/// What guests are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `wasm32-wasip2`: a `cdylib` is a component.
    Component,
    /// `wasm32-unknown-unknown`: a `cdylib` is a module that has only what it
    /// brings along.
    Bare,
}

impl Target {
    const fn triple(self) -> &'static str {
        match self {
            Self::Component => "wasm32-wasip2",
            Self::Bare => "wasm32-unknown-unknown",
        }
    }
}

/// Builds packages of this workspace for a target and answers with the
/// directory that holds them, each named after its library with `.wasm`.
///
/// The calling build script is run again when any of `sources`, given relative
/// to the workspace's root, has changed, or the workspace's manifest or lock.
///
/// # Errors
/// When the target is missing and cannot be installed, or the build fails; its
/// own messages are on standard error.
pub fn guests(target: Target, packages: &[&str], sources: &[&str]) -> Result<PathBuf> {
    let workspace = workspace()?;
    for source in ["Cargo.toml", "Cargo.lock"].iter().chain(sources) {
        rerun_if_changed(&workspace.join(source));
    }
    let toolchain = Toolchain::of_build_script()?;
    let target = target.triple();
    toolchain.require_target(target)?;

    let target_dir = shared_directory()?;
    let mut build = Command::new(variable("CARGO")?);
    environment::isolate(&mut build);
    build
        .current_dir(&workspace)
        .env("CARGO_ENCODED_RUSTFLAGS", toolchain.flags(&workspace)?)
        .args(["build", "--locked", "--profile", "component"])
        .args(["--target", target])
        .arg("--target-dir")
        .arg(&target_dir);
    for package in packages {
        build.args(["--package", package]);
    }
    let status = build.status().context("cargo cannot be run")?;
    ensure!(
        status.success(),
        "building {} for {target} failed: {status}",
        packages.join(", ")
    );
    Ok(target_dir.join(target).join("component"))
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
