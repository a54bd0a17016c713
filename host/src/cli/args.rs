//! Commands and their flags.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
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
    /// File of NAME=value lines; what the process's own environment has comes first
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,
    /// Certificates (PEM) to trust for https backends, beside the system's
    #[arg(long, value_name = "FILE")]
    pub(super) upstream_ca: Option<PathBuf>,
    /// Threads, each with an event loop of its own; default one a core. With
    /// `--door wasi-http` one: by that door each thread has its own view of the
    /// backends' health
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,
    /// Client connections at a time; new ones wait beyond it. Default half the
    /// descriptors that the system allows this process
    #[arg(long, value_name = "N")]
    pub(super) max_connections: Option<NonZeroUsize>,
    /// Where each request leaves a line: a file, which SIGHUP opens anew, `-` for
    /// stdout, or `off`
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(super) access_log: String,
    /// How those lines look
    #[arg(long, value_enum, default_value_t = LogFormatArg::Text)]
    pub(super) log_format: LogFormatArg,
    /// Seconds that requests under way may take after SIGTERM or SIGINT; those
    /// left are cut off, and it exits with 0 all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
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

#[cfg(test)]
mod tests {
    use super::address;

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
