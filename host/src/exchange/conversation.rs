//! One exchange: the policy and the backends in turns.

use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Extensions, Method, StatusCode};

use super::bindings::{
    Arrival, BodySize, Cause, Delivery, Failure, Outcome, Reply, RequestHead, ResponseHead, Scheme,
    Tail, Turn,
};
use super::drive::{Client, Driver};
use super::isolate::ExchangeRef;
use super::plan::Plan;
use super::replay::Replay;
use super::reuse::Reusable;
use super::tail::TailBody;
use crate::body::Body;
use crate::edge::Tag;
use crate::edits::Edits;
use crate::lines;
use crate::message::PackedResponse;
use crate::metering::{Exceeded, Spent};
use crate::progress::Progress;
use crate::refusal;
use crate::upstream::{Fault, Outgoing, SendError};

/// A request, from the first turn to the answer.
pub(super) struct Exchange<'a> {
    pub(super) driver: &'a Arc<Driver>,
    pub(super) method: Method,
    pub(super) target: Option<PathAndQuery>,
    /// The request's head, as it arrived.
    pub(super) lines: Vec<u8>,
    pub(super) size: BodySize,
    pub(super) body: Replay,
    pub(super) client: Client,
    pub(super) tag: Option<Tag>,
    pub(super) spent: Spent,
    pub(super) progress: &'a Progress,
}

/// What the policy says in its turn.
type Said = wasmtime::Result<(ExchangeRef, Turn)>;

/// The next attempt, or else the answer.
type Next = ControlFlow<PackedResponse, (Arc<Plan>, Source)>;

/// Where the plan of an attempt comes from.
#[derive(Clone, Copy)]
enum Source {
    /// The policy, which waits to hear what becomes of it.
    Policy(ExchangeRef),
    /// An earlier request: of this attempt the policy does not know.
    Reused(Tail),
}

/// An attempt under way. Dropped (the client went away), it is abandoned.
struct UnderWay<'a> {
    driver: &'a Driver,
    source: Source,
}

impl UnderWay<'_> {
    fn ended(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Source::Policy(exchange) = self.source {
            let now = self.driver.clock.now();
            self.driver.isolate.abandon(exchange, now);
        }
    }
}

impl Exchange<'_> {
    /// Answers the request.
    pub(super) async fn run(&mut self, reusable: &mut Reusable) -> PackedResponse {
        let driver = self.driver;
        let mut next = self.first(reusable);
        loop {
            let (plan, source) = match next {
                ControlFlow::Continue(attempt) => attempt,
                ControlFlow::Break(answer) => return answer,
            };
            let under_way = UnderWay { driver, source };
            let sent = self.perform(&plan).await;
            if let Err(error) = &sent
                && error.fault == Fault::Client
            {
                // Dropping the attempt abandons it.
                let status = if error.cause == Cause::ConnectionReadTimeout {
                    StatusCode::REQUEST_TIMEOUT
                } else {
                    StatusCode::BAD_REQUEST
                };
                return refusal::client(status).into();
            }
            under_way.ended();
            let sent = match sent {
                Ok(response) => match self.foretold(&plan, source, &response) {
                    Some((edits, tail)) => {
                        if matches!((source, self.size), (Source::Policy(_), BodySize::None)) {
                            let lines = std::mem::take(&mut self.lines);
                            reusable.keep(self.client.peer, lines, plan);
                        }
                        return forwarded(response, edits, driver, tail);
                    }
                    None => Ok(response),
                },
                Err(error) => Err(error),
            };
            let said = self.report(source, &sent);
            // The response of an attempt that is followed by another is let go.
            next = self.next(said, sent.ok());
        }
    }

    /// The first attempt: by a plan that is there already, if there is one.
    fn first(&self, reusable: &Reusable) -> Next {
        let now = self.driver.clock.now();
        if matches!(self.size, BodySize::None)
            && let Some(plan) =
                reusable.find(self.client.peer, &self.lines, now, &self.driver.relevant)
            && self.driver.isolate.holds_nothing()
        {
            let backend = plan.backend;
            let tail = Tail {
                backend,
                began: now,
            };
            return Next::Continue((Arc::clone(plan), Source::Reused(tail)));
        }
        let said = twice(|| {
            let seed = self.driver.next_seed();
            (self.driver.isolate).begin(self.head(), now, seed, &self.spent)
        });
        self.next(said, None)
    }

    /// What follows from what the policy says of a response, if there is one.
    fn next(&self, said: Said, arrived: Option<PackedResponse>) -> Next {
        let (exchange, turn) = match said {
            Ok(said) => said,
            Err(trap) => return Next::Break(refusal::lost(trap.downcast_ref().copied()).into()),
        };
        match turn {
            Turn::Send(attempt) => {
                let plan = Arc::new(Plan::read(attempt, &self.driver.ordinary));
                Next::Continue((plan, Source::Policy(exchange)))
            }
            Turn::Reply(reply) => Next::Break(local(reply, &self.method)),
            Turn::Forward(forward) => Next::Break(match arrived {
                Some(response) => {
                    let edits = Arc::new(Edits::read(forward.edits));
                    forwarded(response, edits, self.driver, forward.tail)
                }
                None => refusal::trapped().into(),
            }),
        }
    }

    /// What to do with a response, if the policy said so before.
    fn foretold(
        &self,
        plan: &Plan,
        source: Source,
        response: &PackedResponse,
    ) -> Option<(Arc<Edits>, Tail)> {
        let ordinary = plan.ordinary.as_ref()?;
        if !is_ordinary(response, ordinary.makes_session()) {
            return None;
        }
        let isolate = &self.driver.isolate;
        let (tail, may_go) = match source {
            Source::Policy(exchange) => (ordinary.tail, isolate.conclude(exchange)),
            Source::Reused(tail) => (tail, isolate.holds_nothing()),
        };
        may_go.then(|| (Arc::clone(ordinary.edits()), tail))
    }

    /// Tells the policy what became of an attempt.
    fn report(&self, source: Source, sent: &Result<PackedResponse, SendError>) -> Said {
        let isolate = &self.driver.isolate;
        let replayable = self.body.is_replayable();
        twice(|| {
            let outcome = match sent {
                Ok(response) => {
                    let head = ResponseHead {
                        status: response.status.as_u16(),
                        body: lines::size(&response.body),
                        fields: &response.lines,
                    };
                    Outcome::Head(Arrival { head, replayable })
                }
                Err(error) => Outcome::Failed(Failure {
                    cause: error.cause,
                    delivery: error.delivery,
                    replayable,
                }),
            };
            let now = self.driver.clock.now();
            match source {
                Source::Policy(exchange) => isolate.settle(exchange, outcome, now, &self.spent),
                Source::Reused(tail) => {
                    let seed = self.driver.next_seed();
                    isolate.adopt(self.head(), tail, seed, outcome, now, &self.spent)
                }
            }
        })
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            scheme: Scheme::Http,
            peer: self.client.peer.map(lines::address),
            body: self.size,
            fields: &self.lines,
        }
    }

    /// Performs one attempt; once more on a fresh connection if the one from
    /// the pool was closed under a request that may go again.
    async fn perform(&mut self, plan: &Plan) -> Result<PackedResponse, SendError> {
        let number = self.progress.attempt(Some(plan.backend));
        if let Some(client) = plan.client {
            self.progress.identify(client);
        }
        let first = self.send(plan).await;
        let sent = match first {
            Err(error)
                if error.fault == Fault::StaleConnection
                    && self.method.is_idempotent()
                    && self.body.is_replayable() =>
            {
                self.send(plan).await
            }
            other => other,
        };
        self.progress.settle(number, || match &sent {
            Ok(response) => Ok((response.status, response.lines.clone())),
            Err(error) => Err(*error),
        });
        sent
    }

    async fn send(&mut self, plan: &Plan) -> Result<PackedResponse, SendError> {
        let driver = self.driver;
        let destination = (driver.destinations)
            .get(plan.backend as usize)
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
            fields: plan.edits.of(&self.lines),
            body: self.body.reading(plan.keep),
            extensions,
        };
        let interim = self.client.interim.as_ref();
        let response = driver
            .backends
            .send(destination, request, interim, driver.timeouts)
            .await?;
        if response.status == StatusCode::SWITCHING_PROTOCOLS && !plan.tunnel {
            return Err(SendError {
                delivery: Delivery::MaybeSent,
                ..SendError::maybe_sent(Cause::HttpProtocolError)
            });
        }
        Ok(response)
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

/// Whether a response is ordinary, as the policy's interface has it.
fn is_ordinary(response: &PackedResponse, makes_session: bool) -> bool {
    let usual = |value: &[u8]| {
        value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
    };
    matches!(response.status.as_u16(), 200..=499)
        && lines::connection(&response.lines).all(usual)
        && !(makes_session && lines::speaks_to_caches(&response.lines))
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
