//! The exchange: what the policy says, done.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::uri::{Authority, Parts as UriParts, PathAndQuery, Scheme as UriScheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, response};

use super::bindings::{
    Arrival, Attempt, Backend, BodyEnd, Cause, Delivery, EffectiveConfiguration, Failure, Outcome,
    Reply, RequestHead, ResponseHead, Scheme, Tail, Turn,
};
use super::edits::Edits;
use super::heads;
use super::isolate::{ExchangeRef, Isolate};
use super::replay::Replay;
use super::tail::TailBody;
use crate::body::Body;
use crate::clock::Clock;
use crate::edge::Tag;
use crate::error::EdgeError;
use crate::metering::{Exceeded, Spent};
use crate::progress::Progress;
use crate::refusal;
use crate::upstream::{Fault, SendError, Timeouts, Upstream};

/// Where a request comes from.
#[derive(Clone, Default)]
pub(crate) struct Client {
    /// The address at the other end of its connection.
    pub(crate) peer: Option<IpAddr>,
    /// Takes interim responses, if the client can.
    pub(crate) interim: Option<InterimSink>,
}

/// Sends an interim response (RFC 9110 section 15.2) on its way.
pub(crate) type InterimSink = Arc<dyn Fn(StatusCode, &HeaderMap) + Send + Sync>;

/// A backend, ready to be put into a URI.
struct Target {
    scheme: UriScheme,
    authority: Authority,
}

/// Runs exchanges: one isolate and the connections to do what it says.
pub(crate) struct Driver {
    isolate: Isolate,
    targets: Vec<Target>,
    /// To the responses of which the policy said before what to do with them.
    ordinary: Vec<Edits>,
    timeouts: Timeouts,
    upstream: Arc<dyn Upstream>,
    clock: Arc<dyn Clock>,
    seed: AtomicU64,
}

impl Driver {
    /// A driver for what the isolate decides.
    ///
    /// # Errors
    /// The component names a backend that is no authority.
    pub(crate) fn new(
        isolate: Isolate,
        configuration: &EffectiveConfiguration,
        upstream: Arc<dyn Upstream>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Result<Self, EdgeError> {
        let targets = configuration.backends.iter().map(|backend| {
            Ok(Target {
                scheme: match backend.scheme {
                    Scheme::Http => UriScheme::HTTP,
                    Scheme::Https => UriScheme::HTTPS,
                },
                authority: backend.authority.parse().map_err(|error| {
                    let Backend {
                        name, authority, ..
                    } = backend;
                    EdgeError::Configuration(vec![format!(
                        "BACKEND_{name}: `{authority}` is no authority: {error}"
                    )])
                })?,
            })
        });
        Ok(Self {
            isolate,
            targets: targets.collect::<Result<_, EdgeError>>()?,
            ordinary: (configuration.ordinary.iter().cloned())
                .map(Edits::read)
                .collect(),
            timeouts: Timeouts::of(configuration),
            upstream,
            clock,
            seed: AtomicU64::new(seed),
        })
    }

    /// Answers a request.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        request: Request<Body>,
        client: Client,
        progress: &Progress,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let size = heads::size(&body);
        let body = Replay::new(body);
        let fields = heads::pack_request(&parts);
        let spent = Spent::default();
        let begun = twice(|| {
            let head = RequestHead {
                scheme: Scheme::Http,
                peer: client.peer.map(heads::address),
                body: size,
                fields: &fields,
            };
            (self.isolate).begin(head, self.clock.now(), self.next_seed(), &spent)
        });
        let mut exchange = Exchange {
            method: parts.method.clone(),
            target: parts.uri.path_and_query().cloned(),
            headers: Some(parts.headers),
            fields,
            body,
            client,
            tag: parts.extensions.get().copied(),
            spent,
            progress,
            driver: Arc::clone(self),
        };
        exchange.run(begun).await
    }

    /// A forwarded body ended before its end.
    pub(super) fn finish(&self, tail: Tail, end: BodyEnd) {
        self.isolate.finish(tail, end, self.clock.now());
    }

    /// SplitMix64: a sequence that repeats from its seed.
    fn next_seed(&self) -> u64 {
        let state = self
            .seed
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// A call that trapped is made once more, on the instance that takes the
/// place: nothing of it has happened yet, and an instance that outgrew its
/// memory must not cost whoever came last. What a platform granted and was
/// exceeded is not granted again.
fn twice<T>(mut call: impl FnMut() -> wasmtime::Result<T>) -> wasmtime::Result<T> {
    call().or_else(|trap| {
        if trap.is::<Exceeded>() {
            Err(trap)
        } else {
            call()
        }
    })
}

/// One exchange, from the first turn to the answer.
struct Exchange<'a> {
    driver: Arc<Driver>,
    method: Method,
    target: Option<PathAndQuery>,
    /// The request's fields, until the first attempt takes them.
    headers: Option<HeaderMap>,
    /// The same, packed.
    fields: Vec<u8>,
    body: Replay,
    client: Client,
    tag: Option<Tag>,
    spent: Spent,
    progress: &'a Progress,
}

/// An attempt under way. Dropped (the client went away), it is abandoned.
struct UnderWay<'a> {
    driver: &'a Driver,
    exchange: Option<ExchangeRef>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange {
            let now = self.driver.clock.now();
            self.driver.isolate.abandon(exchange, now);
        }
    }
}

impl Exchange<'_> {
    async fn run(&mut self, begun: wasmtime::Result<(ExchangeRef, Turn)>) -> Response<Body> {
        let driver = Arc::clone(&self.driver);
        let mut step = begun;
        let mut arrived: Option<(response::Parts, Body)> = None;
        loop {
            let (exchange, turn) = match step {
                Ok(step) => step,
                Err(trap) => return refusal::lost(trap.downcast_ref().copied()),
            };
            let attempt = match turn {
                Turn::Send(attempt) => attempt,
                Turn::Reply(reply) => return local(reply, &self.method),
                Turn::Forward(forward) => {
                    let Some((mut parts, body)) = arrived else {
                        return refusal::trapped();
                    };
                    Edits::read(forward.edits).apply(&mut parts.headers);
                    let body = if parts.status == StatusCode::SWITCHING_PROTOCOLS {
                        body
                    } else {
                        TailBody::watch(body, &driver, forward.tail)
                    };
                    return Response::from_parts(parts, body);
                }
            };
            // The response of an attempt that is followed by another is let go.
            drop(arrived.take());
            let mut under_way = UnderWay {
                driver: &driver,
                exchange: Some(exchange),
            };
            let ordinary = attempt.ordinary;
            let sent = self.perform(attempt).await;
            let replayable = self.body.is_replayable();
            match sent {
                Ok(response) => {
                    let (mut parts, body) = response.into_parts();
                    // Each hop speaks its own version (RFC 9110 section 2.5).
                    parts.version = Version::HTTP_11;
                    under_way.exchange = None;
                    if let Some(ordinary) = ordinary
                        && is_ordinary(&parts)
                        && let Some(edits) = driver.ordinary.get(ordinary.edits as usize)
                        && driver.isolate.conclude(exchange)
                    {
                        edits.apply(&mut parts.headers);
                        let body = TailBody::watch(body, &driver, ordinary.tail);
                        return Response::from_parts(parts, body);
                    }
                    let fields = heads::pack(&parts.headers);
                    step = twice(|| {
                        let head = ResponseHead {
                            status: parts.status.as_u16(),
                            body: heads::size(&body),
                            fields: &fields,
                        };
                        let outcome = Outcome::Head(Arrival { head, replayable });
                        (driver.isolate).settle(exchange, outcome, driver.clock.now(), &self.spent)
                    });
                    arrived = Some((parts, body));
                }
                Err(error) if error.fault == Fault::Client => {
                    // Dropping the attempt abandons it.
                    let status = if error.cause == Cause::ConnectionReadTimeout {
                        StatusCode::REQUEST_TIMEOUT
                    } else {
                        StatusCode::BAD_REQUEST
                    };
                    return refusal::client(status);
                }
                Err(error) => {
                    under_way.exchange = None;
                    let failure = Failure {
                        cause: error.cause,
                        delivery: error.delivery,
                        replayable,
                    };
                    step = twice(|| {
                        let outcome = Outcome::Failed(failure);
                        (driver.isolate).settle(exchange, outcome, driver.clock.now(), &self.spent)
                    });
                }
            }
        }
    }

    /// Performs one attempt; once more on a fresh connection if the one from
    /// the pool was closed under a request that may go again.
    async fn perform(&mut self, mut attempt: Attempt) -> Result<Response<Body>, SendError> {
        let number = self.progress.attempt(Some(attempt.backend));
        if let Some(client) = attempt.client.as_ref().and_then(|it| it.parse().ok()) {
            self.progress.identify(client);
        }
        let edits = Edits::read(std::mem::take(&mut attempt.edits));
        let first = self.send(&attempt, &edits).await;
        let sent = match first {
            Err(error)
                if error.fault == Fault::StaleConnection
                    && self.method.is_idempotent()
                    && self.body.is_replayable() =>
            {
                self.send(&attempt, &edits).await
            }
            other => other,
        };
        self.progress.settle(number, &sent);
        sent
    }

    async fn send(
        &mut self,
        attempt: &Attempt,
        edits: &Edits,
    ) -> Result<Response<Body>, SendError> {
        let driver = &self.driver;
        let impossible = SendError::not_sent(Cause::ConfigurationError);
        let target = driver
            .targets
            .get(attempt.backend as usize)
            .ok_or(impossible)?;
        let mut uri = UriParts::default();
        uri.scheme = Some(target.scheme.clone());
        uri.authority = Some(target.authority.clone());
        uri.path_and_query = self
            .target
            .clone()
            .or_else(|| Some(PathAndQuery::from_static("/")));
        let mut headers = self
            .headers
            .take()
            .unwrap_or_else(|| heads::unpack(&self.fields));
        edits.apply(&mut headers);

        let mut request = Request::new(self.body.reading(attempt.keep));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| impossible)?;
        *request.headers_mut() = headers;
        if let Some(tag) = self.tag {
            request.extensions_mut().insert(tag);
        }
        if let Some(sink) = &self.client.interim {
            let sink = Arc::clone(sink);
            hyper::ext::on_informational(&mut request, move |interim| {
                sink(interim.status(), interim.headers());
            });
        }
        let response = Arc::clone(&driver.upstream)
            .send(request, driver.timeouts)
            .await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS && !attempt.tunnel {
            return Err(SendError {
                delivery: Delivery::MaybeSent,
                ..SendError::maybe_sent(Cause::HttpProtocolError)
            });
        }
        Ok(response)
    }
}

/// Whether a response is ordinary, as the policy's interface has it.
fn is_ordinary(head: &response::Parts) -> bool {
    let usual = |value: &HeaderValue| {
        let value = value.as_bytes();
        value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
    };
    matches!(head.status.as_u16(), 200..=499) && head.headers.get_all(CONNECTION).iter().all(usual)
}

/// The balancer's own response.
fn local(reply: Reply, method: &Method) -> Response<Body> {
    let length = HeaderValue::from(reply.body.len());
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(reply.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = heads::unpack(&reply.fields);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}
