//! The compiler of the outer build, which builds the guests too.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::variable;

/// What separates the flags in `CARGO_ENCODED_RUSTFLAGS`, so that paths may
/// contain spaces.
const FLAG_SEPARATOR: &str = "\u{1f}";

/// The profile says so too, but Cargo forgets it for packages whose `opt-level` is
/// their own.
const STRIP: &str = "-Cstrip=symbols";

/// SHA-256 with its rounds in a loop. Unrolled they are 7 KB of the policy, and
/// save a request with a signed session cookie 0.2 us.
const COMPACT_SHA2: &str = "--cfg=sha2_backend_soft=\"compact\"";

/// A Rust compiler.
pub(crate) struct Toolchain {
    rustc: OsString,
}

impl Toolchain {
    /// The compiler of the build that this build script belongs to.
    pub(crate) fn of_build_script() -> Result<Self> {
        Ok(Self {
            rustc: variable("RUSTC")?,
        })
    }

    /// Makes sure that the standard library for a target is there, installing
    /// it where `rustup` can.
    pub(crate) fn require_target(&self, target: &str) -> Result<()> {
        if self.has_target(target)? {
            return Ok(());
        }
        // Standard output is Cargo's: it reads instructions from it.
        let installed = Command::new("rustup")
            .args(["target", "add", target])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !(installed && self.has_target(target)?) {
            bail!("the Rust target {target} is missing; run: rustup target add {target}");
        }
        Ok(())
    }

    /// The flags that guests are compiled with. Some replace the places of this
    /// machine in what is compiled.
    pub(crate) fn flags(&self, workspace: &Path) -> Result<String> {
        let version = self.ask(&["--version", "--verbose"])?;
        let commit = version
            .lines()
            .find_map(|line| line.strip_prefix("commit-hash: "))
            .unwrap_or("unknown");
        let sysroot = PathBuf::from(self.ask(&["--print", "sysroot"])?);
        let cargo_home = cargo_home()?;

        // With the component rust-src the library's sources have a place on
        // this machine; without it, the compiler knows them by this name.
        let library = (
            sysroot.join("lib/rustlib/src/rust"),
            format!("/rustc/{commit}"),
        );
        let places = [
            (workspace.to_path_buf(), "/edgelb".to_owned()),
            (cargo_home, "/cargo".to_owned()),
            library,
        ];
        let mut flags = vec![STRIP.to_owned(), COMPACT_SHA2.to_owned()];
        for (from, to) in places {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        }
        Ok(flags.join(FLAG_SEPARATOR))
    }

    fn has_target(&self, target: &str) -> Result<bool> {
        let libraries = self.ask(&["--print", "target-libdir", "--target", target])?;
        Ok(Path::new(&libraries).is_dir())
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let rustc = self.rustc.display();
        let output = Command::new(&self.rustc)
            .args(arguments)
            .output()
            .with_context(|| format!("`{rustc}` cannot be run"))?;
        ensure!(
            output.status.success(),
            "`{rustc} {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// Where Cargo keeps the sources of dependencies
/// (<https://doc.rust-lang.org/cargo/guide/cargo-home.html>).
fn cargo_home() -> Result<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(home) => Ok(home.into()),
        None => std::env::home_dir()
            .map(|home| home.join(".cargo"))
            .context("neither CARGO_HOME nor a home directory is known"),
    }
}
