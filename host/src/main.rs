//! `edgelb`: the command line over `edgelb_host`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
