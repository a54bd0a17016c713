//! `edgelb serve`.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use edgelb_host::{
    AccessLog, AppendError, Door, Edge, LogFormat, LogWriter, Recorder, ServeOptions, Server, Trust,
};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{DoorArg, LogFormatArg, ServeArgs};
use super::log_file::{self, LogFile, Watched};
use super::report::{self, Reporter};

/// Serves until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    // First of all: from here on SIGHUP does not end the process.
    let record = record_file(args)?;
    let (access_log, writer) = access_log(args, record.clone())?.unzip();
    check_apart(args)?;
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
    let (recorder, recording) = match record {
        Some(file) => {
            let (recorder, writer) = recorder(&edge, file)?;
            (Some(recorder), Some(writer))
        }
        None => (None, None),
    };
    edgelb_host::raise_descriptor_limit();
    let mut options = ServeOptions {
        access_log,
        recorder,
        drain: Duration::from_secs(args.drain_timeout),
        ..ServeOptions::default()
    };
    options.threads = threads(args).unwrap_or(options.threads);
    if let Some(most) = args.max_connections {
        options.max_connections = most;
    }
    let served = listen(edge, args.listen, options, writer, |address| {
        eprintln!("listening on http://{address}");
    });
    // However it ended.
    let lost = recording.map_or(0, LogWriter::join);
    if lost > 0 {
        report::line(format_args!(
            "{lost} exchanges were not recorded: the recording was not written, or not fast enough"
        ));
    }
    served
}

/// The file of `--record`, opened before anything else, so that what is wrong
/// with it is said at once.
fn record_file(args: &ServeArgs) -> anyhow::Result<Option<LogFile>> {
    let Some(path) = &args.record else {
        return Ok(None);
    };
    if path.as_os_str() == "-" {
        anyhow::bail!(
            "--record `-` is no file; expected one, which SIGHUP can open anew (`./-` for one of \
             this name, `/dev/stdout` for stdout all the same)"
        );
    }
    let file = LogFile::open("the recording", path)
        .with_context(|| format!("--record `{}` cannot be opened", path.display()))?;
    Ok(Some(file))
}

/// Refuses to write lines of the log among those of the recording.
fn check_apart(args: &ServeArgs) -> anyhow::Result<()> {
    let log = match args.access_log.as_str() {
        "off" => return Ok(()),
        "-" => "/dev/stdout",
        path => path,
    };
    match &args.record {
        Some(record) if log_file::is_one(record, Path::new(log)) => anyhow::bail!(
            "--record `{}` is the file of --access-log `{}`, too; expected one each",
            record.display(),
            args.access_log
        ),
        Some(_) | None => Ok(()),
    }
}

/// Whether the file ends with a whole line, or is empty.
fn ends_with_line_feed(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn recorder(edge: &Edge, mut file: LogFile) -> anyhow::Result<(Recorder, LogWriter)> {
    let path = file.path().to_owned();
    if path.is_file() {
        let cannot = || format!("--record `{}` cannot be read", path.display());
        let earlier = File::open(&path).with_context(cannot)?;
        match Recorder::may_append_to(earlier, edge.configuration()) {
            Ok(()) => {}
            Err(AppendError::Io(error)) => return Err(error).with_context(cannot),
            Err(error) => anyhow::bail!("--record: `{}` {error}", path.display()),
        }
        // Whoever wrote to it before may have been stopped within a line.
        if !ends_with_line_feed(&path).with_context(cannot)? {
            file.write_all(b"\n")?;
        }
    }
    let sink = Watched::new("the recording", file.clone());
    let (recorder, writer, header) = Recorder::start(edge.configuration(), sink)
        .context("--record: the recording does not begin")?;
    file.begin_with(header);
    Ok((recorder, writer))
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
    // What it lost, it says itself.
    writer.map(LogWriter::join);
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
            report::line("ended at once; what was under way or waits to be written is lost");
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

fn access_log(
    args: &ServeArgs,
    record: Option<LogFile>,
) -> anyhow::Result<Option<(AccessLog, LogWriter)>> {
    const LOG: &str = "the access log";
    let format = match args.log_format {
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    let (file, log) = match args.access_log.as_str() {
        "off" => (None, None),
        "-" => {
            let log = AccessLog::start(format, Watched::new(LOG, io::stdout()))?;
            (None, Some(log))
        }
        path => {
            let file = LogFile::open(LOG, Path::new(path))
                .with_context(|| format!("--access-log `{path}` cannot be opened"))?;
            let log = AccessLog::start(format, Watched::new(LOG, file.clone()))?;
            (Some(file), Some(log))
        }
    };
    log_file::reopen_on_hangup(file.into_iter().chain(record).collect())?;
    Ok(log)
}
