//! Which variables of the outer build the inner one must not see.

use std::env;
use std::process::Command;

/// Takes out of the command's environment what Cargo and its users set for the
/// outer build alone: flags, wrappers, targets and profiles. How crates are
/// fetched stays, and so does the jobserver, that the build shares.
pub(crate) fn isolate(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_build) {
            command.env_remove(name);
        }
    }
}

fn belongs_to_outer_build(name: &str) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    const TAKEN: [&str; 4] = ["CARGO_", "CLIPPY_", "RUSTC_", "RUSTDOC"];
    let starts = |prefix: &&str| name.starts_with(prefix);
    name == "RUSTFLAGS" || (TAKEN.iter().any(starts) && !KEPT.iter().any(starts))
}

#[cfg(test)]
mod tests {
    use super::belongs_to_outer_build;

    #[test]
    fn flags_and_wrappers_go() {
        for name in [
            "CARGO_BUILD_TARGET",
            "CARGO_CFG_UNIX",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_PROFILE_COMPONENT_LTO",
            "CARGO_TARGET_DIR",
            "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
            "CLIPPY_ARGS",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_WRAPPER",
            "RUSTDOCFLAGS",
            "RUSTFLAGS",
        ] {
            assert!(belongs_to_outer_build(name), "{name}");
        }
    }

    #[test]
    fn compiler_registries_and_jobserver_stay() {
        for name in [
            "CARGO_HOME",
            "CARGO_MAKEFLAGS",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_MIRROR_INDEX",
            "HOME",
            "PATH",
            "RUSTC",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(!belongs_to_outer_build(name), "{name}");
        }
    }
}
