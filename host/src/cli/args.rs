//! Commands and their flags.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// A load balancer decided inside a WebAssembly component.
///
/// Without a command: `serve` if any of its variables is in the environment
/// (`BACKEND_<NAME>=host` for a start), else `demo`.
#[derive(Debug, Parser)]
#[command(version, name = "edgelb")]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Balance the traffic of one address over the backends of the environment
    Serve(ServeArgs),
    /// Run three backends of different temper and balance over them
    Demo(DemoArgs),
    /// Show the effective configuration, or every error in it
    Check(CheckArgs),
    /// Run scenarios or recordings in virtual time, and tell whether what they expect came of it
    Sim(SimArgs),
}

#[derive(Debug, Parser)]
pub(super) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(super) listen: SocketAddr,
    /// How the component is driven
    #[arg(long, value_enum, default_value_t = DoorArg::Exchange)]
    pub(super) door: DoorArg,
    /// Component to run instead of the embedded one; with `--door wasi-http`
    /// any that exports `wasi:http/handler@0.3`. It sees the whole environment
    #[arg(long, value_name = "FILE")]
    pub(super) component: Option<PathBuf>,
    /// Directory for compiled components, so that the next start is quick, or
    /// `off`; default `edgelb` in $XDG_CACHE_HOME or ~/.cache
    #[arg(long, value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
    /// File of NAME=value lines; what the process's own environment has comes first
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,
    /// Certificates (PEM) to trust for https backends, beside the system's
    #[arg(long, value_name = "FILE")]
    pub(super) upstream_ca: Option<PathBuf>,
    /// Threads, each with an event loop of its own; default one a core. With
    /// `--door wasi-http` one: by that door each thread has its own view of the
    /// backends' health
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) threads: Option<NonZeroUsize>,
    /// Client connections at a time; new ones wait beyond it. Default half the
    /// descriptors that the system allows this process
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) max_connections: Option<NonZeroUsize>,
    /// Where each request leaves a line: a file, which SIGHUP opens anew, `-` for
    /// stdout, or `off`
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(super) access_log: String,
    /// How those lines look
    #[arg(long, value_enum, default_value_t = LogFormatArg::Text)]
    pub(super) log_format: LogFormatArg,
    /// Write down each exchange in this file, for `edgelb sim --replay`: heads,
    /// times and outcomes, without bodies, secrets and addresses. It is appended
    /// to, and SIGHUP opens it anew
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Seconds that requests under way may take after SIGTERM or SIGINT; those
    /// left are cut off, and it exits with 0 all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole)]
    pub(super) drain_timeout: u64,
}

#[derive(Debug, Parser)]
pub(super) struct DemoArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(super) listen: SocketAddr,
}

#[derive(Debug, Parser)]
pub(super) struct CheckArgs {
    /// Policy component to ask instead of the embedded one
    #[arg(long, value_name = "FILE")]
    pub(super) component: Option<PathBuf>,
    /// File of NAME=value lines; the process's own environment comes first
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,
}

#[derive(Debug, Parser)]
pub(super) struct SimArgs {
    /// Scenarios (TOML), run one after the other
    #[arg(value_name = "FILE", required_unless_present = "replay")]
    pub(super) files: Vec<PathBuf>,
    /// Play this recording of `edgelb serve --record` again, by default with the
    /// settings it was recorded with and as long as it is; a scenario adds its own,
    /// faults and what is expected
    #[arg(long, value_name = "FILE")]
    pub(super) replay: Option<PathBuf>,
    /// Where all chance comes from; default what the scenario says
    #[arg(long, value_name = "N", conflicts_with = "seeds", value_parser = whole)]
    pub(super) seed: Option<u64>,
    /// Run each scenario with all of these seeds, B left out; stops at the first
    /// that fails, and finds the smallest scenario that breaks the same law
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub(super) seeds: Option<Range<u64>>,
    /// Seeds to run at a time; default one a core
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) threads: Option<NonZeroUsize>,
    /// How the component is driven
    #[arg(long, value_enum, default_value_t = DoorArg::Exchange)]
    pub(super) door: DoorArg,
    /// Component to run instead of the embedded one
    #[arg(long, value_name = "FILE")]
    pub(super) component: Option<PathBuf>,
    /// Write all that happened to this file, as JSON Lines
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    pub(super) trace: Option<PathBuf>,
    /// Write a page about the run to this file (HTML)
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    pub(super) report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DoorArg {
    /// The component decides, the host does the I/O: `edgelb:balancer/exchange`
    Exchange,
    /// The component does its own I/O: `wasi:http/handler@0.3`
    WasiHttp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormatArg {
    /// time client "method host target" status bytes milliseconds backend attempts
    Text,
    /// One object a line
    Json,
}

impl Default for ServeArgs {
    fn default() -> Self {
        Self::parse_from(["serve"])
    }
}

impl Default for DemoArgs {
    fn default() -> Self {
        Self::parse_from(["demo"])
    }
}

/// An IP address and a port, with a hint for what else people write.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit_once(':').map_or(text, |(_, port)| port);
        let port = port.parse::<u16>().unwrap_or(8080);
        format!("expected `127.0.0.1:{port}` for this machine alone, `0.0.0.0:{port}` for all others, too, or another IP address and port")
    })
}

fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "expected a whole number, 1 or more".to_owned())
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a whole number, 0 or more".to_owned())
}

/// A range of seeds, the last left out.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| {
        let range = from.trim().parse().ok()?..to.trim().parse().ok()?;
        (!range.is_empty()).then_some(range)
    });
    range.ok_or_else(|| {
        "expected two numbers as `0..256`, the first less than the second".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{address, seeds};

    #[test]
    fn what_is_no_range_of_seeds_is_answered_with_one() {
        assert_eq!(seeds("0..256"), Ok(0..256));
        for text in ["", "3", "3..", "5..5", "9..1", "a..b"] {
            let error = seeds(text);
            assert!(error.is_err_and(|hint| hint.contains("`0..256`")), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_answered_with_one() {
        for text in ["8081", ":8081", "localhost:8081", "*:8081"] {
            let error = address(text).map(drop);
            let hinted = error.is_err_and(|hint| hint.contains("`127.0.0.1:8081`"));
            assert!(hinted, "{text}");
        }
        for text in ["127.0.0.1:0", "[::]:8080"] {
            assert_eq!(address(text).map(|it| it.to_string()), Ok(text.to_owned()));
        }
    }
}
