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

type Origin = (Scheme, Authority);

/// A client with a pool of its own. Threads do not share one: a connection
/// stays on the thread whose event loop it is registered with.
pub struct Client {
    connector: Connector,
    idle: Mutex<HashMap<Origin, VecDeque<Lease>>>,
}

/// A connection, ours for one request and its response.
pub(super) struct Lease {
    origin: Origin,
    sender: SendRequest<Body>,
    /// One timer a connection: to put a deadline off costs less than to set one.
    pub(super) timer: Pin<Box<Sleep>>,
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
            idle: Mutex::default(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Origin, VecDeque<Lease>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        self: Arc<Self>,
        mut request: Request<Body>,
        timeouts: Timeouts,
    ) -> Result<Response<Body>, SendError> {
        let origin =
            localize(&mut request).ok_or(SendError::not_sent(Cause::DestinationNotFound))?;
        let watch = if request.body().is_end_stream() {
            None
        } else {
            frame(&mut request);
            let (upload, watch) = Upload::new(std::mem::take(request.body_mut()));
            *request.body_mut() = Body::new(upload);
            Some(watch)
        };
        loop {
            let mut lease = self.lease(&origin, timeouts.connect).await?;
            let sent = lease.send(request, watch.as_ref(), timeouts).await;
            match sent {
                Ok(response) => return Ok(self.receive(response, lease, timeouts.idle)),
                // The pool's connection was gone before a byte was written: nobody's failure.
                Err((Some(unsent), _)) if lease.served => request = unsent,
                Err((Some(_), error)) => return Err(SendError::not_sent(error.cause)),
                Err((None, error)) => {
                    if error.fault == Fault::StaleConnection {
                        // Its likes were closed with it: the next is to be a fresh one.
                        self.idle().remove(&origin);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// A connection from the pool, else a new one.
    async fn lease(&self, origin: &Origin, within: Duration) -> Result<Lease, SendError> {
        loop {
            let kept = self.idle().get_mut(origin).and_then(VecDeque::pop_back);
            let Some(mut lease) = kept else { break };
            if !lease.is_spent() && lease.is_usable().await {
                return Ok(lease);
            }
        }
        let connection = self.connector.connect(&origin.0, &origin.1, within).await?;
        let (sender, driver) = http1::Builder::new()
            .handshake(TokioIo::new(connection))
            .await
            .map_err(|_| SendError::not_sent(Cause::HttpProtocolError))?;
        tokio::spawn(async move {
            // How it ends is told to whoever has a request on it.
            let _ = driver.with_upgrades().await;
        });
        let now = Instant::now();
        Ok(Lease {
            origin: origin.clone(),
            sender,
            timer: Box::pin(tokio::time::sleep_until(now + within)),
            keep: KEEP,
            since: now,
            served: false,
        })
    }

    pub(super) fn give_back(&self, mut lease: Lease) {
        if lease.sender.is_closed() {
            return;
        }
        lease.since = Instant::now();
        lease.served = true;
        let mut idle = self.idle();
        if !idle.contains_key(&lease.origin) {
            idle.insert(lease.origin.clone(), VecDeque::new());
        }
        if let Some(kept) = idle.get_mut(&lease.origin) {
            // The least recently used come first, and are the first to be of no use.
            while kept.len() >= KEEP_MOST || kept.front().is_some_and(Lease::is_spent) {
                kept.pop_front();
            }
            kept.push_back(lease);
        }
    }

    fn receive(
        self: Arc<Self>,
        mut response: Response<hyper::body::Incoming>,
        mut lease: Lease,
        idle: Duration,
    ) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upgrade = hyper::upgrade::on(&mut response);
            return response.map(|_| Body::tunnel(upgrade));
        }
        lease.keep = keep_alive(response.headers()).unwrap_or(KEEP);
        if response.headers().contains_key(TRANSFER_ENCODING) {
            // https://www.rfc-editor.org/rfc/rfc9112#section-6.3
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        response.map(|body| {
            let download = Download::new(body, lease, self, idle);
            if download.is_end_stream() {
                Body::empty()
            } else {
                Body::new(download)
            }
        })
    }
}

impl Upstream for Client {
    fn send(self: Arc<Self>, request: Request<Body>, timeouts: Timeouts) -> Answer {
        Box::pin(self.exchange(request, timeouts))
    }
}

impl Lease {
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

    /// Sends and waits for the head. With the request, where no byte of it left.
    async fn send(
        &mut self,
        request: Request<Body>,
        watch: Option<&Watch>,
        timeouts: Timeouts,
    ) -> Result<Response<hyper::body::Incoming>, (Option<Request<Body>>, SendError)> {
        let mut sent = pin!(self.sender.try_send_request(request));
        let timer = &mut self.timer;
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
                } else if self.served && error.cause == Cause::ConnectionTerminated {
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

/// Turns the absolute URI into origin form and the Host field
/// (RFC 9112 section 3.2). `None` if it is not absolute.
fn localize(request: &mut Request<Body>) -> Option<Origin> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    let origin = (parts.scheme.take()?, parts.authority.take()?);
    let target = parts
        .path_and_query
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(target);
    let host = HeaderValue::from_str(origin.1.as_str()).ok()?;
    request.headers_mut().insert(HOST, host);
    Some(origin)
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
