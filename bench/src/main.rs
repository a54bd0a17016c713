//! Compares edgelb with native proxies, in one alternating run.
//!
//! Every contender balances the same three backends, makes the same edits and
//! writes an access log; rounds go through all of them in turn, so that what
//! disturbs the machine disturbs them alike. Figures are medians over rounds,
//! ratios those of the same round. What edgelb is to reach is printed last, with
//! what it reached.

mod backend;
mod contenders;
mod cores;
mod instructions;
mod load;
mod machine;
mod native;
mod parts;
mod probe;
mod process;
mod report;
mod rounds;
mod stage;
mod statistics;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser;
use mimalloc::MiMalloc;
use tokio::signal::unix::{SignalKind, signal};

/// The plain proxy's is that of `edgelb`: allocators are not what is compared.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Compare edgelb with nginx, HAProxy and a plain Rust proxy.
///
/// Prints Markdown tables and writes everything measured as JSON.
#[derive(Debug, Parser)]
#[command(name = "edgelb-bench", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: parts::Options,
    /// Where to write what was measured.
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    output: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the plain Rust proxy alone.
    Native(native::Options),
    /// Count the instructions of a decision and of a request, and compare them with what they were.
    Instructions(instructions::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Some(Command::Native(options)) => native::serve(options),
        Some(Command::Instructions(options)) => instructions::check(options),
        None => compare(&cli),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(cli: &Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let findings = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            biased;
            // Returning stops the processes that were started.
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
            _ = terminate.recv() => Err(anyhow!("terminated")),
            findings = parts::run(&cli.options) => findings,
        }
    })?;
    report::write(&cli.options, &findings, &cli.output)
}
