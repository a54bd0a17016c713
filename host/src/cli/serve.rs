//! `edgelb serve`.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use edgelb_host::{AccessLog, Door, Edge, LogFormat, LogWriter, ServeOptions, Server, Trust};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{DoorArg, LogFormatArg, ServeArgs};
use super::log_file::{self, LogFile, Watched};
use super::report::{self, Reporter};

/// Serves until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    // First of all: from here on SIGHUP does not end the process.
    let (access_log, writer) = access_log(args)?.unzip();
    let mut edge = Edge::builder()
        .envs(super::environment(args.env_file.as_deref())?)
        .door(match args.door {
            DoorArg::Exchange => Door::Exchange,
            DoorArg::WasiHttp => Door::WasiHttp,
        });
    if let Some(path) = &args.upstream_ca {
        let pem = std::fs::read(path)
            .with_context(|| format!("--upstream-ca `{}` cannot be read", path.display()))?;
        let trust = Trust::system()
            .and_pem(&pem)
            .with_context(|| format!("--upstream-ca `{}`", path.display()))?;
        edge = edge.trust(trust);
    }
    if let Some(directory) = cache(args) {
        edge = edge.cache(directory);
    }
    let reporter = Reporter::default();
    let edge = super::build(edge.on_event(reporter.sink()), args.component.as_deref())?;
    reporter.learn(&edge);
    edgelb_host::raise_descriptor_limit();
    let mut options = ServeOptions {
        access_log,
        drain: Duration::from_secs(args.drain_timeout),
        ..ServeOptions::default()
    };
    options.threads = threads(args).unwrap_or(options.threads);
    if let Some(most) = args.max_connections {
        options.max_connections = most;
    }
    listen(edge, args.listen, options, writer, |address| {
        eprintln!("listening on http://{address}");
    })
}

/// Where compiled components are kept, if anywhere.
fn cache(args: &ServeArgs) -> Option<PathBuf> {
    match &args.cache {
        Some(directory) if directory.as_os_str() == "off" => None,
        Some(directory) => Some(directory.clone()),
        None => edgelb_host::usual_cache_directory(),
    }
}

/// How many threads, if not as many as there are cores. By the standard door they
/// share no view of health, so that more than one is for whoever asks for it, and
/// is told.
fn threads(args: &ServeArgs) -> Option<NonZeroUsize> {
    if args.door == DoorArg::Exchange {
        return args.threads;
    }
    let threads = args.threads.unwrap_or(NonZeroUsize::MIN);
    if threads > NonZeroUsize::MIN {
        report::line(format_args!(
            "{threads} threads by --door wasi-http: each has its own view of the backends' \
             health, so that each learns of a failure by meeting it"
        ));
    }
    Some(threads)
}

/// Binds, says so, serves until SIGTERM or SIGINT, writes the log out.
pub(super) fn listen(
    edge: Edge,
    address: SocketAddr,
    options: ServeOptions,
    writer: Option<LogWriter>,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    let server = Server::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let address = server.local_addr()?;
    let cut_off = server.run(edge, &options, until_stopped(|| ready(address)))?;
    if cut_off > 0 {
        let seconds = options.drain.as_secs();
        report::line(format_args!(
            "{cut_off} under way still after {seconds} s: cut off"
        ));
    }
    drop(options);
    if let Some(writer) = writer {
        writer.join();
    }
    Ok(())
}

/// Says that it is ready, then waits for the first SIGTERM or SIGINT. A second
/// one ends the process, whatever is under way.
async fn until_stopped(ready: impl FnOnce()) {
    let first = stop_signal();
    // Whoever reads of it may send a signal at once.
    ready();
    first.await;
    report::line("draining; a second signal ends it at once");
    std::thread::spawn(|| {
        let event_loop = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(event_loop) = event_loop {
            event_loop.block_on(async { stop_signal().await });
            std::process::exit(1);
        }
    });
}

/// Ready at the next SIGTERM or SIGINT; heard from the call on. Without
/// handlers the signals end the process by themselves.
fn stop_signal() -> impl Future<Output = ()> {
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

fn access_log(args: &ServeArgs) -> anyhow::Result<Option<(AccessLog, LogWriter)>> {
    let format = match args.log_format {
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    let (file, log) = match args.access_log.as_str() {
        "off" => (None, None),
        "-" => {
            let log = AccessLog::start(format, Watched::new(io::stdout()))?;
            (None, Some(log))
        }
        path => {
            let file = LogFile::open(Path::new(path))
                .with_context(|| format!("--access-log `{path}` cannot be opened"))?;
            let log = AccessLog::start(format, Watched::new(file.clone()))?;
            (Some(file), Some(log))
        }
    };
    log_file::reopen_on_hangup(file)?;
    Ok(log)
}
