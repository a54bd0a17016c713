//! What the command line says, done.
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command line speaks by these"
)]

mod args;
mod check;
mod demo;
mod env_file;
mod serve;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use args::{Args, Command, DemoArgs, ServeArgs};

/// Runs the command; errors go to stderr and exit with 1 (usage errors with 2).
pub(crate) fn run() -> ExitCode {
    let command = Args::parse().command.unwrap_or_else(default_command);
    let done = match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edgelb: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Serves if the environment names backends, else shows what it would be like.
fn default_command() -> Command {
    let backends = std::env::vars_os().any(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("BACKEND_") && !name.starts_with("BACKEND_DOWN_TIME")
    });
    if backends {
        Command::Serve(ServeArgs::default())
    } else {
        Command::Demo(DemoArgs::default())
    }
}

/// The environment the component will see: the file's variables, and over
/// them those of the process.
fn environment(file: Option<&Path>) -> anyhow::Result<Vec<(String, String)>> {
    let process = std::env::vars_os().map(|(name, value)| {
        let text = |it: std::ffi::OsString| it.to_string_lossy().into_owned();
        (text(name), text(value))
    });
    let mut variables: Vec<_> = process.collect();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--env-file `{}` cannot be read", path.display()))?;
        let parsed =
            env_file::parse(&text).with_context(|| format!("--env-file `{}`", path.display()))?;
        for (name, value) in parsed {
            if !variables.iter().any(|(taken, _)| *taken == name) {
                variables.push((name, value));
            }
        }
    }
    Ok(variables)
}
