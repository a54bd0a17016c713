//! Backends: models that answer as a scenario says, or closures.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER, UPGRADE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use rand_pcg::Pcg64Mcg;
use tokio::sync::Semaphore;

use super::network::{Way, pass};
use super::pieces::Pieces;
use super::replay::Played;
use super::scenario::{Backend, FaultKind};
use crate::body::Body;
use crate::upstream::{Cause, IntoAnswer, SendError};

/// The field by which an answer says which backend it is from.
pub(crate) const BACKEND: HeaderName = HeaderName::from_static("x-backend");

/// How much slower a backend is when it comes up.
const COLD_FACTOR: f64 = 5.0;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, SendError>> + Send>>;

/// A closure in the place of a model's answers.
pub(crate) type Handler = Arc<dyn Fn(Request<Bytes>) -> Answering + Send + Sync>;

/// A backend while a run goes on.
pub(crate) struct Model {
    description: Backend,
    handler: Option<Handler>,
    name: HeaderValue,
    body: Bytes,
    workers: Option<Semaphore>,
    waiting: AtomicUsize,
    bucket: Mutex<Bucket>,
}

/// A request that reached a backend: the way it came, and its chance.
pub(crate) struct Reached<'a> {
    pub(crate) way: Way<'a>,
    pub(crate) dice: Pcg64Mcg,
    /// What comes of it, if that was recorded.
    pub(crate) played: Option<Played>,
}

/// Requests that may still come in this second.
#[derive(Default)]
struct Bucket {
    tokens: f64,
    filled: Option<Duration>,
}

/// Makes a handler of a closure.
pub(crate) fn handler<F, R>(closure: F) -> Handler
where
    F: Fn(Request<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output: IntoAnswer> + Send + 'static,
{
    Arc::new(move |request| {
        let answer = closure(request);
        Box::pin(async move { answer.await.into_answer() })
    })
}

impl Model {
    pub(crate) fn new(description: Backend, handler: Option<Handler>) -> Self {
        Self {
            name: HeaderValue::from_str(&description.name).unwrap_or(HeaderValue::from_static("?")),
            body: Bytes::from(vec![b'.'; description.body]),
            workers: (description.workers).map(|workers| Semaphore::new(workers.get())),
            waiting: AtomicUsize::new(0),
            bucket: Mutex::default(),
            description,
            handler,
        }
    }

    /// Answers a request that reached it.
    pub(crate) async fn answer(
        &self,
        reached: Reached<'_>,
        request: Request<Bytes>,
    ) -> Result<Response<Body>, SendError> {
        let Reached {
            way,
            mut dice,
            played,
        } = reached;
        if way.suffers(FaultKind::Hang) {
            return std::future::pending().await;
        }
        if way.suffers(FaultKind::Reset) {
            return Err(SendError::maybe_sent(Cause::ConnectionTerminated));
        }
        if way.suffers(FaultKind::RateLimit) || !self.admits(way.world.now()) {
            let mut response = self.plain(StatusCode::TOO_MANY_REQUESTS);
            (response.headers_mut()).insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Ok(response);
        }
        if let Some(response) = self.erroneous(way) {
            return Ok(response);
        }
        if let Some(played) = played {
            let mut response = played.answer(&request).await?;
            let fields = response.headers_mut();
            fields.insert(BACKEND, self.name.clone());
            return Ok(response);
        }
        let Some(worker) = self.worker().await else {
            return Ok(self.plain(StatusCode::SERVICE_UNAVAILABLE));
        };
        pass(self.service_time(way, &mut dice)).await;
        drop(worker);
        if self.description.error_rate.hits(&mut dice) {
            return Ok(self.plain(StatusCode::INTERNAL_SERVER_ERROR));
        }
        let mut response = if let Some(handler) = &self.handler {
            handler(request).await?
        } else if is_websocket(&request) {
            self.switch(way)
        } else {
            self.plain(StatusCode::OK)
                .map(|_| self.pieces(way, &request, &mut dice))
        };
        if way.suffers(FaultKind::Truncate) && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            response = response.map(Pieces::broken_off);
        }
        let fields = response.headers_mut();
        fields.entry(BACKEND).or_insert_with(|| self.name.clone());
        Ok(response)
    }

    /// The answer of a backend that is up, and in error.
    fn erroneous(&self, way: Way<'_>) -> Option<Response<Body>> {
        let mut chance = way.chance.of(FaultKind::Error.name(), 0);
        let now = way.world.now();
        let mut faults = way
            .world
            .faults_of(FaultKind::Error, way.location, way.backend);
        let fault = faults.find(|fault| fault.is_on(now) && fault.share.hits(&mut chance))?;
        let status = fault.status.and_then(|it| StatusCode::from_u16(it).ok());
        let mut response = self.plain(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE));
        if let Some(after) = fault.retry_after {
            (response.headers_mut()).insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        Some(response)
    }

    /// A worker, when one is free; none if too many wait for one already.
    async fn worker(&self) -> Option<Option<tokio::sync::SemaphorePermit<'_>>> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let Some(workers) = &self.workers else {
            return Some(None);
        };
        if let Ok(worker) = workers.try_acquire() {
            return Some(Some(worker));
        }
        let most = self.description.queue.unwrap_or(usize::MAX);
        if self.waiting.load(Ordering::Relaxed) >= most {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        Some(workers.acquire().await.ok())
    }

    fn service_time(&self, way: Way<'_>, dice: &mut Pcg64Mcg) -> Duration {
        let now = way.world.now();
        let mut factor = 1.0;
        let mut chance = way.chance.of(FaultKind::Slow.name(), 0);
        for fault in way
            .world
            .faults_of(FaultKind::Slow, way.location, way.backend)
        {
            if fault.is_on(now) && fault.share.hits(&mut chance) {
                factor *= fault.factor.unwrap_or(10.0);
            }
        }
        if let Some(warm_up) = self.description.warm_up {
            let downs = way
                .world
                .faults_of(FaultKind::Down, way.location, way.backend);
            let up_since = downs.filter_map(|fault| fault.ended(now)).max();
            let age = now.saturating_sub(up_since.unwrap_or_default());
            let left = 1.0 - age.div_duration_f64(warm_up).min(1.0);
            factor *= 1.0 + (COLD_FACTOR - 1.0) * left;
        }
        // A factor may be as large as a number can be; nobody waits longer than a year.
        let year = Duration::from_secs(365 * 24 * 3600);
        let time = self.description.latency.draw(dice).as_secs_f64() * factor;
        Duration::try_from_secs_f64(time).unwrap_or(year).min(year)
    }

    /// Whether its rate limit lets one more in.
    fn admits(&self, now: Duration) -> bool {
        let Some(rate) = self.description.rate_limit else {
            return true;
        };
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let most = rate.max(1.0);
        let gained = match bucket.filled {
            None => most,
            Some(filled) => now.saturating_sub(filled).as_secs_f64() * rate,
        };
        bucket.filled = Some(now);
        bucket.tokens = (bucket.tokens + gained).min(most);
        let admits = bucket.tokens >= 1.0;
        if admits {
            bucket.tokens -= 1.0;
        }
        admits
    }

    /// A short answer that says no more than its status.
    fn plain(&self, status: StatusCode) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(BACKEND, self.name.clone());
        if status != StatusCode::OK {
            fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        response
    }

    fn pieces(&self, way: Way<'_>, request: &Request<Bytes>, dice: &mut Pcg64Mcg) -> Body {
        if *request.method() == Method::HEAD {
            return Body::empty();
        }
        let transfer = self.description.transfer.draw(dice);
        if transfer.is_zero() {
            return Body::from(self.body.clone());
        }
        Body::new(Pieces::new(self.body.clone(), transfer, way.next_break()))
    }

    /// A WebSocket: what is sent comes back, until the client closes it or the
    /// way is cut. (The handshake's key is not looked at.)
    fn switch(&self, way: Way<'_>) -> Response<Body> {
        let (near, far) = tokio::io::duplex(4096);
        let ends = way.next_break();
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(far);
            let echo = tokio::io::copy(&mut reader, &mut writer);
            let Some(ends) = ends else {
                drop(echo.await);
                return;
            };
            if tokio::time::timeout_at(ends.silent, echo).await.is_err() {
                tokio::time::sleep_until(ends.broken).await;
            }
        });
        let mut response = Response::new(Body::tunnel(near));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let fields = response.headers_mut();
        fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
        response
    }
}

fn is_websocket(request: &Request<Bytes>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"websocket"))
}
