//! `edgelb demo`: three backends, one name.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use edgelb_host::{AccessLog, Edge, LogFormat, ServeOptions};
use tokio::sync::oneshot;

use super::args::DemoArgs;
use super::report::Reporter;
use super::serve;

/// How a demo backend behaves.
#[derive(Clone, Copy)]
enum Temper {
    Steady,
    Slow,
    Moody,
}

const SLOWNESS: Duration = Duration::from_millis(150);
const TEMPERS: [(&str, Temper, &str); 3] = [
    ("steady", Temper::Steady, "answers at once"),
    ("slow", Temper::Slow, "takes 150 ms"),
    ("moody", Temper::Moody, "fails one request in five"),
];

/// Runs the backends and a balancer over them.
pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let mut backends = BTreeMap::new();
    let mut edge = Edge::builder();
    for (name, temper, _) in TEMPERS {
        let backend = Backend::start(name, temper)?;
        edge = edge.env(
            format!("BACKEND_{}", name.to_ascii_uppercase()),
            format!("http://{}", backend.address),
        );
        backends.insert(name, backend);
    }
    let reporter = Reporter::default();
    let edge = edge
        .env("BACKEND_DOWN_TIME", "5000")
        .on_event(reporter.sink())
        .build()?;
    reporter.learn(&edge);
    let table: Vec<String> = TEMPERS
        .iter()
        .filter_map(|(name, _, temper)| {
            let address = backends.get(name)?.address;
            Some(format!("  {name:8} http://{address}   {temper}"))
        })
        .collect();
    let control = control(backends)?;
    let (access_log, writer) = AccessLog::start(LogFormat::Text, std::io::stdout())?;
    let options = ServeOptions {
        access_log: Some(access_log),
        ..ServeOptions::default()
    };
    serve::listen(edge, args.listen, options, Some(writer), |address| {
        eprintln!("listening on http://{address}");
        eprintln!("\nThree backends, one name:\n{}", table.join("\n"));
        eprintln!("\nTry, in another terminal:");
        for (command, effect) in [
            (
                format!("-i http://{address}/"),
                "the same backend each time",
            ),
            (
                format!("-X POST http://{control}/stop/steady"),
                "stops one (steady, slow or moody)",
            ),
            (
                format!("-X POST http://{control}/start/steady"),
                "starts it again",
            ),
        ] {
            eprintln!("  curl {command:48} {effect}");
        }
        eprintln!("Ctrl-C ends the demo.\n");
    })
}

/// A backend on a thread of its own: stopped, it takes its connections along.
struct Backend {
    name: &'static str,
    temper: Temper,
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
}

impl Backend {
    fn start(name: &'static str, temper: Temper) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut backend = Self {
            name,
            temper,
            address: listener.local_addr()?,
            running: None,
        };
        backend.serve(listener)?;
        Ok(backend)
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        if self.running.is_none() {
            self.serve(TcpListener::bind(self.address)?)?;
        }
        Ok(())
    }

    fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }

    fn serve(&mut self, listener: TcpListener) -> anyhow::Result<()> {
        listener.set_nonblocking(true)?;
        let (name, temper) = (self.name, self.temper);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                    return;
                };
                let requests = Arc::new(AtomicU32::new(0));
                let app = Router::new().fallback(move || answer(name, temper, requests.clone()));
                tokio::select! {
                    _ = axum::serve(listener, app) => {}
                    _ = stopped => {}
                }
            });
        });
        self.running = Some((stop, thread));
        Ok(())
    }
}

async fn answer(name: &str, temper: Temper, requests: Arc<AtomicU32>) -> (StatusCode, String) {
    let request = requests.fetch_add(1, Ordering::Relaxed) + 1;
    match temper {
        Temper::Slow => tokio::time::sleep(SLOWNESS).await,
        Temper::Moody if request.is_multiple_of(5) => {
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{name} is in a mood\n"),
            );
        }
        Temper::Moody | Temper::Steady => {}
    }
    (StatusCode::OK, format!("hello from {name}\n"))
}

type Backends = Arc<Mutex<BTreeMap<&'static str, Backend>>>;

/// Serves the switch of the backends; answers where.
fn control(backends: BTreeMap<&'static str, Backend>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the demo's switch does not start")?;
    let app = Router::new()
        .route("/stop/{name}", post(stop))
        .route("/start/{name}", post(start))
        .with_state(Arc::new(Mutex::new(backends)));
    thread::spawn(move || {
        runtime.block_on(async move {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                let _ = axum::serve(listener, app).await;
            }
        });
    });
    Ok(address)
}

async fn stop(State(backends): State<Backends>, Path(name): Path<String>) -> (StatusCode, String) {
    switch(&backends, &name, |backend| {
        backend.stop();
        Ok(format!("{name} stopped\n"))
    })
}

async fn start(State(backends): State<Backends>, Path(name): Path<String>) -> (StatusCode, String) {
    switch(&backends, &name, |backend| {
        backend.restart()?;
        Ok(format!("{name} started\n"))
    })
}

fn switch(
    backends: &Backends,
    name: &str,
    action: impl FnOnce(&mut Backend) -> anyhow::Result<String>,
) -> (StatusCode, String) {
    let mut backends = backends.lock().unwrap_or_else(PoisonError::into_inner);
    match backends.get_mut(name).map(action) {
        Some(Ok(done)) => (StatusCode::OK, done),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        None => (
            StatusCode::NOT_FOUND,
            format!("no backend `{name}`; expected steady, slow or moody\n"),
        ),
    }
}
