//! An edge on a socket: one thread a core, one event loop and one isolate each.

mod access_log;
mod append;
mod connection;
mod entry;
mod inbound;
mod interim;
mod limits;
mod line;
mod outbound;
mod privacy;
mod queue;
mod record;
mod redact;
mod salt;
mod tunnel;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use crate::edge::Edge;
pub use access_log::{AccessLog, LogFormat};
pub use append::AppendError;
use connection::Context;
pub use limits::raise_descriptor_limit;
pub use queue::LogWriter;
pub use record::Recorder;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Threads, each with an event loop, an isolate and connections of its
    /// own; default one a core. By [`Door::WasiHttp`](crate::Door) each has its
    /// own view of the backends' health.
    pub threads: NonZeroUsize,
    /// Client connections at a time; beyond it, new ones wait to be accepted.
    /// Default half the descriptors this process may have open.
    pub max_connections: NonZeroUsize,
    /// Where each request leaves a line; default nowhere.
    pub access_log: Option<AccessLog>,
    /// Where each exchange is written down; default nowhere.
    pub recorder: Option<Recorder>,
    /// How long requests under way may take once shutdown began; default 30 s.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_connections: limits::connections(),
            access_log: None,
            recorder: None,
            drain: Duration::from_secs(30),
        }
    }
}

/// A bound listener, not yet accepting.
#[derive(Debug)]
pub struct Server {
    listener: StdListener,
}

impl Server {
    /// Binds; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // A restart must not wait for the connections of the one before.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            listener: socket.into(),
        })
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is ready, then lets requests under way end.
    /// Blocks; `shutdown` is polled on a tokio runtime of this thread. Answers how
    /// many requests and tunnels were cut off because [`ServeOptions::drain`] was
    /// over.
    ///
    /// # Errors
    /// A thread or its event loop does not start, or the component does not.
    pub fn run(
        self,
        edge: Edge,
        options: &ServeOptions,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<usize> {
        let (stop, stopped) = watch::channel(false);
        let places = options.max_connections.get().min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(places));
        let failed = Arc::new(Notify::new());
        let mut edge = Some(edge);
        let mut workers = Vec::new();
        let threads = options.threads.get();
        for left in (0..threads).rev() {
            let does_not_start = |error: io::Error| {
                let number = threads - left;
                io::Error::other(format!(
                    "thread {number} of {threads} does not start: {error}"
                ))
            };
            // The last thread takes the edge itself, the others its likes.
            let isolate = match (left, edge.take()) {
                (0, Some(edge)) => edge,
                (_, Some(original)) => {
                    let another = original.another().map_err(io::Error::other)?;
                    edge = Some(original);
                    another
                }
                (_, None) => break,
            };
            let worker = Worker {
                listener: self.listener.try_clone().map_err(does_not_start)?,
                edge: Arc::new(isolate),
                access_log: options.access_log.clone(),
                recorder: options.recorder.clone(),
                drain: options.drain,
                stopped: stopped.clone(),
                places: Arc::clone(&places),
            };
            let ending = Ending(Arc::clone(&failed));
            let event_loop = event_loop().map_err(does_not_start)?;
            let thread = thread::Builder::new()
                .name("edgelb-worker".to_owned())
                .spawn(move || {
                    let _ending = ending;
                    event_loop.block_on(worker.run())
                })
                .map_err(does_not_start)?;
            workers.push(thread);
        }
        // The listener closes when the last thread stops accepting.
        drop(self.listener);
        event_loop()?.block_on(async {
            tokio::select! {
                () = shutdown => {}
                () = failed.notified() => {}
            }
        });
        stop.send_replace(true);
        let mut cut_off = 0;
        for worker in workers {
            cut_off += worker
                .join()
                .map_err(|_| io::Error::other("a worker thread panicked"))??;
        }
        Ok(cut_off)
    }
}

/// Tells that a worker ended: before it was told to, because it failed.
struct Ending(Arc<Notify>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn event_loop() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// One thread's share.
struct Worker {
    listener: StdListener,
    edge: Arc<Edge>,
    access_log: Option<AccessLog>,
    recorder: Option<Recorder>,
    drain: Duration,
    stopped: watch::Receiver<bool>,
    /// One for each connection that there may be still.
    places: Arc<Semaphore>,
}

impl Worker {
    /// Answers how many requests and tunnels were under way still at the end.
    async fn run(self) -> io::Result<usize> {
        // All threads accept from one queue: whoever is free takes the next
        // connection, and a thread held up by its guest leaves none waiting.
        let listener = TcpListener::from_std(self.listener)?;
        // Each connection and tunnel holds a clone: when all are gone, all is done.
        let (busy, mut idle) = mpsc::channel::<()>(1);
        let context = Arc::new(Context {
            edge: self.edge,
            access_log: self.access_log,
            recorder: self.recorder,
            stopped: self.stopped.clone(),
        });
        let mut stopped = self.stopped;
        loop {
            let accept = async {
                // The semaphore is never closed.
                let place = Arc::clone(&self.places).acquire_owned().await.ok();
                (listener.accept().await, place)
            };
            tokio::select! {
                accepted = accept => match accepted {
                    (Ok((stream, peer)), place) => {
                        // A listener for both families has IPv4 within IPv6.
                        let peer = peer.ip().to_canonical();
                        let place = (place, busy.clone());
                        tokio::spawn(connection::serve(stream, peer, place, Arc::clone(&context)));
                    }
                    // Out of descriptors, say: accepting again at once would spin.
                    (Err(_), _) => tokio::time::sleep(Duration::from_millis(10)).await,
                },
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        drop((listener, context, busy));
        // Connections without a request under way close by themselves.
        let drained = tokio::time::timeout(self.drain, idle.recv()).await;
        Ok(drained.map_or_else(|_| idle.sender_strong_count(), |_| 0))
    }
}
