//! What the command line says, done.
#![expect(clippy::print_stderr, reason = "a command line speaks by it")]

/// A line on standard output.
macro_rules! say {
    () => { say!("") };
    ($($text:tt)+) => { $crate::cli::say_all(&format!("{}\n", format_args!($($text)+))) };
}

mod args;
mod check;
mod demo;
mod env_file;
mod log_file;
mod report;
mod serve;
mod sim;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use edgelb_host::{ComponentError, Edge, EdgeBuilder, EdgeError};

use args::{Args, Command, DemoArgs, ServeArgs};

/// Runs the command; errors go to stderr and exit with 1 (usage errors with 2).
pub(crate) fn run() -> ExitCode {
    let command = Args::parse().command.unwrap_or_else(default_command);
    let done = match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Sim(args) => sim::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edgelb: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says something on standard output. Whoever read that may have left (`| head`):
/// what it came to is in the exit code still.
fn say_all(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Serves if any of its variables is set, rightly or wrongly, else shows what it
/// would be like.
fn default_command() -> Command {
    if is_configured(&process_environment()) {
        Command::Serve(ServeArgs::default())
    } else {
        Command::Demo(DemoArgs::default())
    }
}

/// Whether any variable is the component's, by its own judgement: it is asked
/// with a backend that nobody would name, for without one it refuses all.
fn is_configured(variables: &[(String, String)]) -> bool {
    const NOBODY: (&str, &str) = ("BACKEND_NOBODY", "http://nobody.invalid");
    let edge = Edge::builder()
        .env(NOBODY.0, NOBODY.1)
        .envs(variables.iter().cloned());
    let Ok(edge) = edge.build() else {
        // Whatever is wrong with them, `serve` says it.
        return true;
    };
    let mut settings = edge.configuration().into_iter().flat_map(|it| &it.settings);
    settings.any(|setting| {
        let mut named = variables.iter().filter(|(name, _)| *name == setting.name);
        named.any(|(_, value)| !is_blank(value))
    })
}

/// Builds an edge, of the component in this file if one is given. What is wrong
/// with that is said with its name, and with the door that it would do for.
fn build(edge: EdgeBuilder, component: Option<&Path>) -> anyhow::Result<Edge> {
    let Some(path) = component else {
        return Ok(edge.build()?);
    };
    edge.component_file(path).build().map_err(|error| {
        let EdgeError::Component(fault) = &error else {
            return error.into();
        };
        // The one names it already, the other has nothing to do with it.
        if matches!(
            fault,
            ComponentError::Read { .. } | ComponentError::Engine(_)
        ) {
            return error.into();
        }
        let door = if let ComponentError::Export { error, .. } = fault {
            runs_by(&error.to_string())
        } else {
            None
        };
        let hint = door.map(|door| format!("; `edgelb serve --door {door}` runs it"));
        let hint = hint.unwrap_or_default();
        anyhow::anyhow!("--component `{}`: {error}{hint}", path.display())
    })
}

/// The door for a component with these exports.
fn runs_by(exports: &str) -> Option<&'static str> {
    let doors = [
        ("`wasi:http/handler@0.3", "wasi-http"),
        ("`edgelb:balancer/exchange@", "exchange"),
    ];
    let mut doors = doors.into_iter();
    doors.find_map(|(export, door)| exports.contains(export).then_some(door))
}

/// The environment the component will see: the file's variables, and over
/// them those of the process that are not blank.
fn environment(file: Option<&Path>) -> anyhow::Result<Vec<(String, String)>> {
    let mut variables = process_environment();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--env-file `{}` cannot be read", path.display()))?;
        let parsed =
            env_file::parse(&text).with_context(|| format!("--env-file `{}`", path.display()))?;
        for (name, value) in parsed {
            match variables.iter_mut().find(|(taken, _)| *taken == name) {
                None => variables.push((name, value)),
                Some((_, taken)) if is_blank(taken) => *taken = value,
                Some(_) => {}
            }
        }
    }
    Ok(variables)
}

fn process_environment() -> Vec<(String, String)> {
    let text = |it: std::ffi::OsString| it.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// A blank value is as good as none.
fn is_blank(value: &str) -> bool {
    value.trim().is_empty()
}
