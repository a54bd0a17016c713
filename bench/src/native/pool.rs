//! Connections to the backends, kept alive: one pool a thread.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout};

use super::exchange::Worker;
use super::log::Line;

/// As the shipped proxy has them by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
const KEEP: Duration = Duration::from_secs(30);
const KEEP_MOST: usize = 256;

/// A request's body: the client's, or none.
pub(super) type Upload = Either<Incoming, Empty<Bytes>>;

/// The idle connections, by backend.
pub(super) struct Pool(Vec<Origin>);

struct Origin {
    address: SocketAddr,
    host: HeaderValue,
    idle: RefCell<Vec<Lease>>,
}

/// A connection, out of the pool.
pub(super) struct Lease {
    sender: SendRequest<Upload>,
    timer: Pin<Box<Sleep>>,
    since: Instant,
    served: bool,
}

/// No response; with the request, where no byte of it was sent.
pub(super) struct Failure(pub(super) Option<Box<Request<Upload>>>);

impl Pool {
    pub(super) fn new(backends: &[SocketAddr]) -> Self {
        let origin = |&address: &SocketAddr| {
            let host = address.to_string();
            #[expect(clippy::expect_used, reason = "socket addresses are visible ASCII")]
            let host = HeaderValue::try_from(host).expect("a field value");
            Origin {
                address,
                host,
                idle: RefCell::default(),
            }
        };
        Self(backends.iter().map(origin).collect())
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &self,
        backend: usize,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let origin = &self.0[backend];
        request.headers_mut().insert(HOST, origin.host.clone());
        loop {
            let mut lease = match origin.kept().await {
                Some(lease) => lease,
                None => match timeout(CONNECT_TIMEOUT, origin.connect()).await {
                    Ok(Ok(lease)) => lease,
                    Ok(Err(_)) | Err(_) => return Err(Failure(Some(Box::new(request)))),
                },
            };
            match lease.send(request).await {
                Ok(response) => return Ok((response, lease)),
                // The connection was gone before a byte was written.
                Err(Failure(Some(unsent))) if lease.served => request = *unsent,
                Err(failure) => return Err(failure),
            }
        }
    }

    fn give_back(&self, backend: usize, mut lease: Lease) {
        let mut idle = self.0[backend].idle.borrow_mut();
        if lease.sender.is_closed() || idle.len() >= KEEP_MOST {
            return;
        }
        lease.since = Instant::now();
        lease.served = true;
        idle.push(lease);
    }
}

impl Origin {
    async fn kept(&self) -> Option<Lease> {
        loop {
            let mut lease = self.idle.borrow_mut().pop()?;
            if lease.since.elapsed() < KEEP && lease.sender.ready().await.is_ok() {
                return Some(lease);
            }
        }
    }

    async fn connect(&self) -> Result<Lease, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(async move {
            // How it ends is told to whoever has a request on it.
            let _ = driver.await;
        });
        let now = Instant::now();
        Ok(Lease {
            sender,
            timer: Box::pin(tokio::time::sleep_until(now)),
            since: now,
            served: false,
        })
    }
}

impl Lease {
    async fn send(&mut self, request: Request<Upload>) -> Result<Response<Incoming>, Failure> {
        let mut sent = pin!(self.sender.try_send_request(request));
        let timer = &mut self.timer;
        timer.as_mut().reset(Instant::now() + FIRST_BYTE_TIMEOUT);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(outcome) = sent.as_mut().poll(cx) {
                let failed = |mut error: hyper::client::conn::TrySendError<_>| {
                    Failure(error.take_message().map(Box::new))
                };
                return Poll::Ready(outcome.map_err(failed));
            }
            timer.as_mut().poll(cx).map(|()| Err(Failure(None)))
        })
        .await
    }
}

/// A response body on its way to the client: at its end the connection goes
/// back to the pool and the line to the log.
pub(super) struct Download {
    body: Incoming,
    lease: Option<Lease>,
    waiting: bool,
    backend: usize,
    worker: Rc<Worker>,
    line: Line,
}

impl Download {
    pub(super) fn new(
        body: Incoming,
        lease: Lease,
        backend: usize,
        worker: Rc<Worker>,
        line: Line,
    ) -> Self {
        let mut this = Self {
            body,
            lease: Some(lease),
            waiting: false,
            backend,
            worker,
            line,
        };
        if this.body.is_end_stream() {
            this.release();
        }
        this
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.worker.pool.give_back(self.backend, lease);
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = false;
                this.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.body.is_end_stream() {
                    this.release();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.lease = None;
                this.worker.choice.failed(this.backend);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.release();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(lease) = &mut this.lease else {
                    return Poll::Pending;
                };
                if !this.waiting {
                    this.waiting = true;
                    lease.timer.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
                }
                ready!(lease.timer.as_mut().poll(cx));
                this.lease = None;
                this.worker.choice.failed(this.backend);
                Poll::Ready(Some(Err("the backend fell silent".into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
