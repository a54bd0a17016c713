//! The yardstick: what edgelb does to a request, written by hand over hyper.
//!
//! It answers one question: what does the same work cost without WebAssembly?
//! So it takes every liberty that a program for one purpose has: one event
//! loop a thread with nothing shared between them, nothing boxed on the way of
//! a request, fields edited where they lie. What it leaves out is what a
//! benchmark of small requests never calls: WebSocket, TLS, redirects, status
//! pages, replay of request bodies.

mod choice;
mod exchange;
mod fields;
mod log;
mod pool;
mod session;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};

use choice::Choice;
use exchange::{Client, Worker};
use log::Log;
use pool::Pool;
use session::Sessions;

/// As the shipped proxy has them.
const BACKLOG: i32 = 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How to run it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// The addresses of the backends.
    #[arg(long = "backend", required = true)]
    backends: Vec<SocketAddr>,
    /// Threads, each with an event loop of its own.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
    /// The file to which each request adds a line.
    #[arg(long)]
    access_log: PathBuf,
    /// The key of the session cookie's MAC.
    #[arg(long)]
    secret: String,
}

/// Serves until the process is killed.
pub(crate) fn serve(options: &Options) -> anyhow::Result<()> {
    let address = options.listen;
    let listener = bind(address).with_context(|| format!("cannot listen on `{address}`"))?;
    let workers: Vec<_> = (0..options.threads.get())
        .map(|_| {
            let (listener, options) = (listener.try_clone()?, options.clone());
            anyhow::Ok(thread::spawn(move || work(listener, &options)))
        })
        .collect::<Result<_, _>>()?;
    for worker in workers {
        worker
            .join()
            .map_err(|_| anyhow!("a worker thread panicked"))??;
    }
    Ok(())
}

fn bind(address: SocketAddr) -> std::io::Result<StdListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn work(listener: StdListener, options: &Options) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let worker = Rc::new(Worker {
            choice: Choice::new(&options.backends),
            pool: Pool::new(&options.backends),
            sessions: Sessions::new(&options.secret, &options.backends),
            log: Log::open(&options.access_log)?,
        });
        tokio::task::spawn_local(log::flush_regularly(worker.log.clone()));
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, peer) = listener.accept().await?;
            tokio::task::spawn_local(connection(stream, Client::new(peer.ip()), worker.clone()));
        }
    })
}

async fn connection(stream: TcpStream, client: Client, worker: Rc<Worker>) {
    let _ = stream.set_nodelay(true);
    let client = Rc::new(client);
    let service = service_fn(|request| {
        let (client, worker) = (client.clone(), worker.clone());
        async move { Ok::<_, Infallible>(exchange::respond(request, &client, &worker).await) }
    });
    // How a connection ends is the client's business.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
