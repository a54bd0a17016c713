//! HTTP/1.1 to real backends, with connections kept alive.

use std::collections::{HashMap, VecDeque};
use std::error::Error as _;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustc_hash::FxBuildHasher;
use tokio::time::{Instant, Sleep};

use super::connect::Connector;
use super::download::Download;
use super::upload::{ClientGone, Upload, Watch};
use super::{Answer, Cause, Fault, SendError, Timeouts, Trust, Upstream};
use crate::body::Body;
use crate::patience::ClientSilent;

/// How long a connection is kept when the backend does not say. Below what
/// servers commonly keep (60 to 75 s), so that we close before they do.
const KEEP: Duration = Duration::from_secs(30);
/// How many idle connections are kept to one origin.
const KEEP_MOST: usize = 256;

/// A client with a pool of its own. Threads do not share one: a connection
/// stays on the thread whose event loop it is registered with.
pub struct Client {
    connector: Connector,
    origins: Mutex<Origins>,
}

/// All origins there were, by authority.
#[derive(Default)]
struct Origins {
    http: HashMap<Box<str>, Arc<Origin>, FxBuildHasher>,
    https: HashMap<Box<str>, Arc<Origin>, FxBuildHasher>,
}

/// Where connections go, and those that wait to be used again.
struct Origin {
    scheme: Scheme,
    authority: Authority,
    /// The Host field of requests to it.
    host: HeaderValue,
    idle: Mutex<VecDeque<Connection>>,
}

/// A connection, ours for one request and its response.
pub(super) struct Lease {
    origin: Arc<Origin>,
    connection: Connection,
}

/// A connection to an origin.
struct Connection {
    sender: SendRequest<Body>,
    /// One timer a connection: to put a deadline off costs less than to set one.
    timer: Pin<Box<Sleep>>,
    /// How long it may lie idle, and since when it does.
    keep: Duration,
    since: Instant,
    served: bool,
}

impl Client {
    /// A client with an empty pool.
    pub fn new(trust: Trust) -> Self {
        Self {
            connector: Connector::new(trust),
            origins: Mutex::default(),
        }
    }

    /// The origin of an absolute URI, of which origin form is left
    /// (RFC 9112 section 3.2). `None` if it is not absolute.
    fn origin(&self, uri: &mut Uri) -> Option<Arc<Origin>> {
        let mut parts = std::mem::take(uri).into_parts();
        let (scheme, authority) = (parts.scheme.take()?, parts.authority.take()?);
        *uri = parts
            .path_and_query
            .unwrap_or_else(|| PathAndQuery::from_static("/"))
            .into();
        let mut origins = lock(&self.origins);
        let origins = if scheme == Scheme::HTTPS {
            &mut origins.https
        } else {
            &mut origins.http
        };
        if let Some(origin) = origins.get(authority.as_str()) {
            return Some(Arc::clone(origin));
        }
        let origin = Arc::new(Origin {
            scheme,
            host: HeaderValue::from_str(authority.as_str()).ok()?,
            idle: Mutex::default(),
            authority,
        });
        origins.insert(origin.authority.as_str().into(), Arc::clone(&origin));
        Some(origin)
    }

    async fn exchange(
        self: Arc<Self>,
        mut request: Request<Body>,
        timeouts: Timeouts,
    ) -> Result<Response<Body>, SendError> {
        let origin = self
            .origin(request.uri_mut())
            .ok_or(SendError::not_sent(Cause::DestinationNotFound))?;
        request.headers_mut().insert(HOST, origin.host.clone());
        let watch = if request.body().is_end_stream() {
            None
        } else {
            frame(&mut request);
            let (upload, watch) = Upload::new(std::mem::take(request.body_mut()));
            *request.body_mut() = Body::watched(upload);
            Some(watch)
        };
        loop {
            let mut lease = self.lease(&origin, timeouts.connect).await?;
            let sent = lease.send(request, watch.as_ref(), timeouts).await;
            match sent {
                Ok(response) => return Ok(receive(response, lease, timeouts.idle)),
                // The pool's connection was gone before a byte was written: nobody's failure.
                Err((Some(unsent), _)) if lease.connection.served => request = unsent,
                Err((Some(_), error)) => return Err(SendError::not_sent(error.cause)),
                Err((None, error)) => {
                    if error.fault == Fault::StaleConnection {
                        // Its likes were closed with it: the next is to be a fresh one.
                        lock(&origin.idle).clear();
                    }
                    return Err(error);
                }
            }
        }
    }

    /// A connection from the pool, else a new one.
    async fn lease(&self, origin: &Arc<Origin>, within: Duration) -> Result<Lease, SendError> {
        let lease = |connection| Lease {
            origin: Arc::clone(origin),
            connection,
        };
        loop {
            let kept = lock(&origin.idle).pop_back();
            let Some(mut connection) = kept else { break };
            if !connection.is_spent() && connection.is_usable().await {
                return Ok(lease(connection));
            }
        }
        let stream = self
            .connector
            .connect(&origin.scheme, &origin.authority, within)
            .await?;
        let (sender, driver) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| SendError::not_sent(Cause::HttpProtocolError))?;
        tokio::spawn(async move {
            // How it ends is told to whoever has a request on it.
            let _ = driver.with_upgrades().await;
        });
        let now = Instant::now();
        Ok(lease(Connection {
            sender,
            timer: Box::pin(tokio::time::sleep_until(now + within)),
            keep: KEEP,
            since: now,
            served: false,
        }))
    }
}

fn receive(
    mut response: Response<hyper::body::Incoming>,
    mut lease: Lease,
    idle: Duration,
) -> Response<Body> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upgrade = hyper::upgrade::on(&mut response);
        return response.map(|_| Body::tunnel(upgrade));
    }
    lease.connection.keep = keep_alive(response.headers()).unwrap_or(KEEP);
    if response.headers().contains_key(TRANSFER_ENCODING) {
        // https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    response.map(|body| Download::start(body, lease, idle))
}

impl Upstream for Client {
    fn send(self: Arc<Self>, request: Request<Body>, timeouts: Timeouts) -> Answer {
        Box::pin(self.exchange(request, timeouts))
    }
}

impl Lease {
    /// Puts the connection among those that wait.
    pub(super) fn give_back(self) {
        let mut connection = self.connection;
        if connection.sender.is_closed() {
            return;
        }
        connection.since = Instant::now();
        connection.served = true;
        let mut idle = lock(&self.origin.idle);
        // The least recently used come first, and are the first to be of no use.
        while idle.len() >= KEEP_MOST || idle.front().is_some_and(Connection::is_spent) {
            idle.pop_front();
        }
        idle.push_back(connection);
    }

    /// The connection's one timer.
    pub(super) fn timer(&mut self) -> Pin<&mut Sleep> {
        self.connection.timer.as_mut()
    }

    /// Sends and waits for the head. With the request, where no byte of it left.
    async fn send(
        &mut self,
        request: Request<Body>,
        watch: Option<&Watch>,
        timeouts: Timeouts,
    ) -> Result<Response<hyper::body::Incoming>, (Option<Request<Body>>, SendError)> {
        let Connection {
            sender,
            timer,
            served,
            ..
        } = &mut self.connection;
        let mut sent = pin!(sender.try_send_request(request));
        timer.as_mut().reset(Instant::now() + timeouts.first_byte);
        let outcome = std::future::poll_fn(|cx| {
            if let Poll::Ready(outcome) = sent.as_mut().poll(cx) {
                return Poll::Ready(Ok(outcome));
            }
            while timer.as_mut().poll(cx).is_ready() {
                let later =
                    watch.and_then(|watch| watch.patience(Instant::now(), timeouts.first_byte));
                match later {
                    Some(later) => timer.as_mut().reset(later),
                    None => return Poll::Ready(Err(Cause::HttpResponseTimeout)),
                }
            }
            Poll::Pending
        })
        .await;
        match outcome {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message();
                let mut error = SendError::maybe_sent(response_cause(failed.error()));
                error.fault = if let Some(gone) = source::<ClientGone>(failed.error()) {
                    if gone.0.is::<ClientSilent>() {
                        error.cause = Cause::ConnectionReadTimeout;
                    }
                    Fault::Client
                } else if *served && error.cause == Cause::ConnectionTerminated {
                    Fault::StaleConnection
                } else {
                    Fault::Backend
                };
                Err((unsent, error))
            }
            Err(cause) => Err((None, SendError::maybe_sent(cause))),
        }
    }
}

impl Connection {
    fn is_spent(&self) -> bool {
        self.sender.is_closed() || self.since.elapsed() >= self.keep
    }

    /// Whether the next request can go at once. Where the connection has not
    /// had its turn yet to notice the end of the last response it is given one;
    /// where a request body is still on its way up, it would be a long wait.
    async fn is_usable(&mut self) -> bool {
        for _ in 0..2 {
            match self.sender.ready().now_or_never() {
                Some(ready) => return ready.is_ok(),
                None => tokio::task::yield_now().await,
            }
        }
        false
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of this kind that another came from.
fn source<T: std::error::Error + 'static>(error: &hyper::Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        source = inner.source();
    }
    None
}

fn response_cause(error: &hyper::Error) -> Cause {
    if error.is_parse_too_large() {
        Cause::HttpResponseHeaderSectionSize
    } else if error.is_parse() {
        Cause::HttpProtocolError
    } else {
        Cause::ConnectionTerminated
    }
}

/// Says that a body of unknown length is chunked: hyper would leave out that of
/// a GET, for which it is unusual.
fn frame(request: &mut Request<Body>) {
    let unknown = request.body().size_hint().exact().is_none();
    if unknown && !request.headers().contains_key(CONTENT_LENGTH) {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
}

/// What the backend says of how long it keeps the connection, less a second:
/// `Keep-Alive: timeout=5` (RFC 2068 section 19.7.1.1, and every Node server).
fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let timeout = name.trim().eq_ignore_ascii_case("timeout");
        timeout.then(|| value.trim().parse::<u64>().ok()).flatten()
    })?;
    Some(Duration::from_secs(seconds.saturating_sub(1)).min(KEEP))
}
