//! `edgelb serve`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use edgelb_host::{
    AccessLog, Door, Edge, Event, LogFormat, LogWriter, ServeOptions, Server, Trust,
};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{DoorArg, LogFormatArg, ServeArgs};

/// Serves until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let mut edge = Edge::builder()
        .envs(super::environment(args.env_file.as_deref())?)
        .door(match args.door {
            DoorArg::Exchange => Door::Exchange,
            DoorArg::WasiHttp => Door::WasiHttp,
        });
    if let Some(path) = &args.component {
        edge = edge.component_file(path);
    }
    if let Some(path) = &args.upstream_ca {
        let pem = std::fs::read(path)
            .with_context(|| format!("--upstream-ca `{}` cannot be read", path.display()))?;
        let trust = Trust::system()
            .and_pem(&pem)
            .with_context(|| format!("--upstream-ca `{}`", path.display()))?;
        edge = edge.trust(trust);
    }
    let names: Arc<OnceLock<Vec<String>>> = Arc::default();
    let edge = edge.on_event(report_to_stderr(&names)).build()?;
    if let Some(configuration) = edge.configuration() {
        let backends = configuration.backends.iter();
        let _ = names.set(backends.map(|backend| backend.name.clone()).collect());
    }
    let (access_log, writer) = access_log(args)?.unzip();
    edgelb_host::raise_descriptor_limit();
    let mut options = ServeOptions {
        access_log,
        drain: Duration::from_secs(args.drain_timeout),
        ..ServeOptions::default()
    };
    if let Some(threads) = args.threads {
        options.threads = threads;
    }
    if let Some(most) = args.max_connections {
        options.max_connections = most;
    }
    listen(edge, args.listen, options, writer, |address| {
        eprintln!("listening on http://{address}");
    })
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
    server.run(edge, &options, until_stopped(|| ready(address)))?;
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
    eprintln!("draining; a second signal ends it at once");
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
    let sink: Box<dyn Write + Send> = match args.access_log.as_str() {
        "off" => return Ok(None),
        "-" => Box::new(io::stdout()),
        path => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            Box::new(file.with_context(|| format!("--access-log `{path}` cannot be opened"))?)
        }
    };
    let format = match args.log_format {
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    Ok(Some(AccessLog::start(format, sink)?))
}

/// One line for each change in the health of a backend, and for each lost instance.
fn report_to_stderr(names: &Arc<OnceLock<Vec<String>>>) -> impl Fn(&Event) + Send + Sync + 'static {
    let names = Arc::clone(names);
    move |event| {
        let name = |index: u32| {
            let name = names.get().and_then(|names| names.get(index as usize));
            name.map_or("?", String::as_str)
        };
        match event {
            Event::Ejected(ejection) => {
                let until = UNIX_EPOCH + Duration::from_millis(ejection.until);
                eprintln!(
                    "backend {} ejected until {}",
                    name(ejection.backend),
                    humantime::format_rfc3339_millis(until),
                );
            }
            Event::Trial(backend) => eprintln!("backend {} on trial", name(*backend)),
            Event::Recovered(backend) => eprintln!("backend {} recovered", name(*backend)),
            Event::InstanceLost { reason } => eprintln!("instance lost and replaced: {reason}"),
        }
    }
}
