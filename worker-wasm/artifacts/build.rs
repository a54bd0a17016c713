//! Builds the policy and the shell and composes them.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};
use edgelb_build::Target;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wit_component::ComponentEncoder;

/// What they are made of, from the workspace's root.
const SOURCES: [&str; 8] = [
    "crates/balancer/Cargo.toml",
    "crates/balancer/src",
    "crates/config/Cargo.toml",
    "crates/config/src",
    "worker-wasm/balancer",
    "worker-wasm/policy",
    "worker-wasm/shell",
    "worker-wasm/wit",
];

fn main() -> Result<()> {
    let guest = |target, package, file| {
        let built = edgelb_build::guests(target, &[package], &SOURCES)?;
        read(&built.join(file))
    };
    let balancer = guest(Target::Bare, "edgelb-balancer-component", "balancer.wasm")?;
    let balancer = encode(&balancer).context("balancer.wasm cannot be a component")?;
    let shell = guest(Target::Component, "edgelb-shell", "edgelb_shell.wasm")?;
    let edgelb = compose(&balancer, &shell).context("the components cannot be composed")?;

    let out_dir = env::var_os("OUT_DIR").context("OUT_DIR is not set")?;
    for directory in [Path::new(&out_dir), &edgelb_build::shared_directory()?] {
        publish(directory, "balancer.wasm", &balancer)?;
        publish(directory, "edgelb.wasm", &edgelb)?;
    }
    Ok(())
}

/// Makes a component of a module by the interface it carries in a section.
fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()
}

/// Gives the shell its one import that is not WASI's. Both components are
/// nested as they are; what the shell exports is all that is exported.
fn compose(balancer: &[u8], shell: &[u8]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let [balancer, shell] = [("edgelb:balancer", balancer), ("edgelb:shell", shell)].map(
        |(name, bytes)| -> Result<_> {
            let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
            Ok(graph.register_package(package)?)
        },
    );
    wac_graph::plug(&mut graph, vec![balancer?], shell?)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))
}

/// Replaces the file at once, for a build of another profile may be reading it.
fn publish(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = directory.join(name);
    let unfinished = directory.join(format!("{name}.{}", std::process::id()));
    fs::write(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, &path))
        .with_context(|| format!("`{}` cannot be written", path.display()))
}
