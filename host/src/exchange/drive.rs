//! The exchange: what the policy says, done.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::uri::{PathAndQuery, Scheme as UriScheme};
use http::{Extensions, Method, StatusCode};

use super::bindings::{
    Arrival, Attempt, Backend, BodyEnd, Cause, Delivery, EffectiveConfiguration, Failure, Outcome,
    Reply, RequestHead, ResponseHead, Scheme, Tail, Turn,
};
use super::isolate::{ExchangeRef, Isolate};
use super::replay::Replay;
use super::tail::TailBody;
use crate::body::Body;
use crate::clock::Clock;
use crate::edge::Tag;
use crate::edits::Edits;
use crate::error::EdgeError;
use crate::lines;
use crate::message::{PackedRequest, PackedResponse};
use crate::metering::{Exceeded, Spent};
use crate::progress::Progress;
use crate::refusal;
use crate::upstream::{Backends, Destination, Fault, InterimSink, Outgoing, SendError, Timeouts};

/// Where a request comes from.
#[derive(Clone, Default)]
pub(crate) struct Client {
    /// The address at the other end of its connection.
    pub(crate) peer: Option<IpAddr>,
    /// Takes interim responses, if the client can.
    pub(crate) interim: Option<InterimSink>,
}

/// Runs exchanges: one isolate and the connections to do what it says.
pub(crate) struct Driver {
    isolate: Isolate,
    /// In order of the configuration.
    destinations: Vec<Destination>,
    /// To the responses of which the policy said before what to do with them.
    ordinary: Vec<Arc<Edits>>,
    timeouts: Timeouts,
    backends: Backends,
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
        backends: Backends,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Result<Self, EdgeError> {
        let destinations = configuration.backends.iter().map(|backend| {
            let scheme = match backend.scheme {
                Scheme::Http => UriScheme::HTTP,
                Scheme::Https => UriScheme::HTTPS,
            };
            let authority = backend.authority.parse().map_err(|error| {
                let Backend {
                    name, authority, ..
                } = backend;
                EdgeError::Configuration(vec![format!(
                    "BACKEND_{name}: `{authority}` is no authority: {error}"
                )])
            })?;
            Ok(backends.destination(scheme, authority))
        });
        Ok(Self {
            isolate,
            destinations: destinations.collect::<Result<_, EdgeError>>()?,
            ordinary: (configuration.ordinary.iter().cloned())
                .map(|edits| Arc::new(Edits::read(edits)))
                .collect(),
            timeouts: Timeouts::of(configuration),
            backends,
            clock,
            seed: AtomicU64::new(seed),
        })
    }

    /// Answers a request.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        request: PackedRequest,
        client: Client,
        progress: &Progress,
    ) -> PackedResponse {
        let size = lines::size(&request.body);
        let spent = Spent::default();
        let begun = twice(|| {
            let head = RequestHead {
                scheme: Scheme::Http,
                peer: client.peer.map(lines::address),
                body: size,
                fields: &request.lines,
            };
            (self.isolate).begin(head, self.clock.now(), self.next_seed(), &spent)
        });
        let mut exchange = Exchange {
            method: request.method,
            target: request.uri.path_and_query().cloned(),
            lines: request.lines,
            body: Replay::new(request.body),
            client,
            tag: request.extensions.get().copied(),
            spent,
            progress,
            driver: self,
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
    driver: &'a Arc<Driver>,
    method: Method,
    target: Option<PathAndQuery>,
    /// The request's head, as it arrived.
    lines: Vec<u8>,
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
    async fn run(&mut self, begun: wasmtime::Result<(ExchangeRef, Turn)>) -> PackedResponse {
        let driver = self.driver;
        let mut step = begun;
        let mut arrived: Option<PackedResponse> = None;
        loop {
            let (exchange, turn) = match step {
                Ok(step) => step,
                Err(trap) => return refusal::lost(trap.downcast_ref().copied()).into(),
            };
            let attempt = match turn {
                Turn::Send(attempt) => attempt,
                Turn::Reply(reply) => return local(reply, &self.method),
                Turn::Forward(forward) => {
                    let Some(response) = arrived else {
                        return refusal::trapped().into();
                    };
                    let edits = Arc::new(Edits::read(forward.edits));
                    return forwarded(response, edits, driver, forward.tail);
                }
            };
            // The response of an attempt that is followed by another is let go.
            drop(arrived.take());
            let mut under_way = UnderWay {
                driver,
                exchange: Some(exchange),
            };
            let ordinary = attempt.ordinary;
            let sent = self.perform(attempt).await;
            let replayable = self.body.is_replayable();
            match sent {
                Ok(response) => {
                    under_way.exchange = None;
                    if let Some(ordinary) = ordinary
                        && is_ordinary(&response)
                        && let Some(edits) = driver.ordinary.get(ordinary.edits as usize)
                        && driver.isolate.conclude(exchange)
                    {
                        return forwarded(response, Arc::clone(edits), driver, ordinary.tail);
                    }
                    step = twice(|| {
                        let head = ResponseHead {
                            status: response.status.as_u16(),
                            body: lines::size(&response.body),
                            fields: &response.lines,
                        };
                        let outcome = Outcome::Head(Arrival { head, replayable });
                        (driver.isolate).settle(exchange, outcome, driver.clock.now(), &self.spent)
                    });
                    arrived = Some(response);
                }
                Err(error) if error.fault == Fault::Client => {
                    // Dropping the attempt abandons it.
                    let status = if error.cause == Cause::ConnectionReadTimeout {
                        StatusCode::REQUEST_TIMEOUT
                    } else {
                        StatusCode::BAD_REQUEST
                    };
                    return refusal::client(status).into();
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
    async fn perform(&mut self, mut attempt: Attempt) -> Result<PackedResponse, SendError> {
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
        self.progress.settle(number, || match &sent {
            Ok(response) => Ok((response.status, response.lines.clone())),
            Err(error) => Err(*error),
        });
        sent
    }

    async fn send(
        &mut self,
        attempt: &Attempt,
        edits: &Edits,
    ) -> Result<PackedResponse, SendError> {
        let driver = self.driver;
        let destination = (driver.destinations)
            .get(attempt.backend as usize)
            .ok_or(SendError::not_sent(Cause::ConfigurationError))?;
        let target = self.target.clone();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut extensions = Extensions::new();
        if let Some(tag) = self.tag {
            extensions.insert(tag);
        }
        let request = Outgoing {
            method: &self.method,
            target,
            fields: edits.of(&self.lines),
            body: self.body.reading(attempt.keep),
            extensions,
        };
        let interim = self.client.interim.as_ref();
        let response = driver
            .backends
            .send(destination, request, interim, driver.timeouts)
            .await?;
        if response.status == StatusCode::SWITCHING_PROTOCOLS && !attempt.tunnel {
            return Err(SendError {
                delivery: Delivery::MaybeSent,
                ..SendError::maybe_sent(Cause::HttpProtocolError)
            });
        }
        Ok(response)
    }
}

/// Whether a response is ordinary, as the policy's interface has it.
fn is_ordinary(response: &PackedResponse) -> bool {
    let usual = |(name, value): (&[u8], &[u8])| {
        name != b"connection"
            || value.eq_ignore_ascii_case(b"keep-alive")
            || value.eq_ignore_ascii_case(b"close")
    };
    matches!(response.status.as_u16(), 200..=499) && lines::each(&response.lines).all(usual)
}

/// A backend's response, as the client gets it.
fn forwarded(
    mut response: PackedResponse,
    edits: Arc<Edits>,
    driver: &Arc<Driver>,
    tail: Tail,
) -> PackedResponse {
    response.edits = Some(edits);
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        response.body = TailBody::watch(response.body, driver, tail);
    }
    response
}

/// The balancer's own response.
fn local(reply: Reply, method: &Method) -> PackedResponse {
    let length = reply.body.len();
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(reply.body)
    };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // What the component says is no field is left out on this way.
    let mut response = PackedResponse::new(status, &lines::unpack(&reply.fields), body);
    lines::push(
        &mut response.lines,
        "content-length",
        length.to_string().as_bytes(),
    );
    response
}
