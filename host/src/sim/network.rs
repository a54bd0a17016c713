//! The way from an isolate to the backends, and what goes wrong on it.

use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body::Body as _;
use rand_pcg::Pcg64Mcg;
use tokio::time::Instant;

use super::backend::Reached;
use super::dice::Dice;
use super::limits::Limit;
use super::replay::Played;
use super::scenario::{FaultKind, Latency};
use super::trace::{Entry, Isolate, Outcome};
use super::world::{REQUEST_ID, Received, World};
use crate::body::Body;
use crate::edge::Tag;
use crate::upstream::{Answer, Cause, SendError, Timeouts, Upstream};

/// What an isolate sends by.
pub(crate) struct Network {
    pub(crate) world: Arc<World>,
    pub(crate) isolate: Isolate,
}

impl Upstream for Network {
    fn send(self: Arc<Self>, request: Request<Body>, timeouts: Timeouts) -> Answer {
        let authority = request.uri().authority().map_or("", |it| it.as_str());
        let backend = self.world.authorities.get(authority).copied();
        let id = request_id(&request);
        let attempt = self.world.attempt(id, backend);
        let sent = Sent {
            network: self,
            request: id,
            attempt,
            backend,
        };
        Box::pin(async move {
            let outcome = sent.perform(request, timeouts).await;
            let known = match &outcome {
                Ok(response) => Outcome::Status(response.status().as_u16()),
                Err(error) => Outcome::Failed(error.cause, error.delivery),
            };
            let length = (outcome.as_ref().ok()).and_then(|it| it.body().size_hint().exact());
            sent.network.world.settle(id, attempt, known, length);
            outcome
        })
    }
}

/// The request that another is sent for: as the host knows, else as the sender
/// says.
fn request_id<B>(request: &Request<B>) -> Option<u64> {
    let said = || {
        request
            .headers()
            .get(REQUEST_ID)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    };
    let known = request.extensions().get();
    known.map(|Tag(id)| *id).or_else(said)
}

/// An attempt under way.
struct Sent {
    network: Arc<Network>,
    request: Option<u64>,
    attempt: usize,
    backend: Option<usize>,
}

/// The way that an attempt takes.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) world: &'a World,
    pub(crate) location: usize,
    pub(crate) backend: usize,
    /// The attempt's own. Each fault draws from a sequence of its kind, so that
    /// none stirs the others.
    pub(crate) chance: Dice,
    timeouts: Timeouts,
}

/// What cuts off those who are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) at: Duration,
    pub(crate) kind: FaultKind,
}

/// How a connection that stands ends: silent from one moment, broken from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Break {
    pub(crate) silent: Instant,
    pub(crate) broken: Instant,
}

impl Sent {
    async fn perform(
        &self,
        request: Request<Body>,
        timeouts: Timeouts,
    ) -> Result<Response<Body>, SendError> {
        let world = &self.network.world;
        if let Some(most) = world.limits.subrequests
            && self.attempt >= most
        {
            world.note(Entry::Exceeded {
                at: world.millis(),
                isolate: Some(self.network.isolate),
                request: self.request,
                limit: Limit::Subrequests.name(),
            });
            return Err(SendError::not_sent(Cause::HttpRequestDenied));
        }
        // Kept until there is the response's head, or none will come.
        let _connection = world.connection(self.request).await;
        let Some(backend) = self.backend else {
            return Err(SendError::not_sent(Cause::DnsError));
        };
        let request_number = self.request.unwrap_or_else(|| world.millis());
        let of_request = Dice::new(world.dice.seed("request", request_number));
        let way = Way {
            world,
            location: self.network.isolate.location,
            backend,
            chance: Dice::new(of_request.seed("attempt", self.attempt as u64)),
            timeouts,
        };
        let mut dice = way.chance.of("way", 0);

        if way.suffers(FaultKind::Dns) {
            return Err(SendError::not_sent(Cause::DnsError));
        }
        if way.suffers(FaultKind::Partition) {
            tokio::time::sleep(timeouts.connect).await;
            return Err(SendError::not_sent(Cause::ConnectionTimeout));
        }
        let there_and_back = way.latency(&mut dice);
        if there_and_back > timeouts.connect {
            tokio::time::sleep(timeouts.connect).await;
            return Err(SendError::not_sent(Cause::ConnectionTimeout));
        }
        if way.suffers(FaultKind::Down) {
            pass(there_and_back).await;
            return Err(SendError::not_sent(Cause::ConnectionRefused));
        }
        let played = world.played(self.request, backend);
        let refused = |played: &Played| played.refused(timeouts.connect);
        if let Some((took, refused)) = played.as_ref().and_then(refused) {
            pass(took).await;
            return Err(refused);
        }
        let deadline = Instant::now() + timeouts.first_byte;
        let answer = async {
            pass(there_and_back / 2).await;
            let (mut parts, body) = request.into_parts();
            if let Some(authority) = parts.uri.authority()
                && let Ok(host) = HeaderValue::from_str(authority.as_str())
            {
                parts.headers.entry(HOST).or_insert(host);
            }
            let body = (body.bytes().await)
                .map_err(|_| SendError::maybe_sent(Cause::ConnectionReadTimeout))?;
            let request = Request::from_parts(parts, body);
            if world.scenario.keep_requests {
                world.receive(Received {
                    backend,
                    at: world.millis(),
                    isolate: self.network.isolate,
                    request: request.clone(),
                });
            }
            let Some(model) = world.backends.get(backend) else {
                return Err(SendError::not_sent(Cause::DnsError));
            };
            let response = model.answer(Reached { way, dice, played }, request).await;
            pass(there_and_back / 2).await;
            response
        };
        let silent = SendError::maybe_sent(Cause::HttpResponseTimeout);
        let timed = async {
            let timed = tokio::time::timeout_at(deadline, answer).await;
            timed.unwrap_or(Err(silent))
        };
        let Some(cut) = way.next_cut() else {
            return timed.await;
        };
        tokio::select! {
            biased;
            answered = timed => answered,
            () = world.until(cut.at) => {
                if cut.kind == FaultKind::Partition {
                    tokio::time::sleep_until(deadline).await;
                    return Err(silent);
                }
                Err(SendError::maybe_sent(Cause::ConnectionTerminated))
            }
        }
    }
}

impl Way<'_> {
    /// Whether an attempt meets a fault of this kind now.
    pub(crate) fn suffers(&self, kind: FaultKind) -> bool {
        let mut dice = self.chance.of(kind.name(), 0);
        let now = self.world.now();
        self.world
            .faults_of(kind, self.location, self.backend)
            .any(|fault| fault.is_on(now) && fault.share.hits(&mut dice))
    }

    /// How long the way there and back is.
    fn latency(&self, dice: &mut Pcg64Mcg) -> Duration {
        let scenario = &self.world.scenario;
        let (Some(location), Some(backend)) = (
            scenario.locations.get(self.location),
            scenario.backends.get(self.backend),
        ) else {
            return Duration::ZERO;
        };
        let link = (scenario.links.iter())
            .find(|link| link.location == location.name && link.backend == backend.name);
        let mut latency = link
            .map_or(location.latency, |link| link.latency)
            .draw(dice);
        let now = self.world.now();
        let mut chance = self.chance.of(FaultKind::Delay.name(), 0);
        for fault in self
            .world
            .faults_of(FaultKind::Delay, self.location, self.backend)
        {
            if fault.is_on(now) && fault.share.hits(&mut chance) {
                let usual = Latency::Constant(Duration::from_millis(100));
                latency += fault.latency.unwrap_or(usual).draw(&mut chance);
            }
        }
        latency
    }

    /// How those who are connected now will be cut off. One that falls silent
    /// is given up after IDLE_TIMEOUT.
    pub(crate) fn next_break(&self) -> Option<Break> {
        let cut = self.next_cut()?;
        let silent = self.world.instant(cut.at);
        let broken = if cut.kind == FaultKind::Partition {
            silent + self.timeouts.idle
        } else {
            silent
        };
        Some(Break { silent, broken })
    }

    /// What cuts off next whoever is connected now. A fault that meets only
    /// some attempts cuts off none.
    fn next_cut(&self) -> Option<Cut> {
        let now = self.world.now();
        let mut next: Option<Cut> = None;
        for fault in self.world.faults(self.location, self.backend) {
            let kind = fault.kind;
            if !matches!(kind, FaultKind::Down | FaultKind::Partition) || !fault.share.is_all() {
                continue;
            }
            if let Some(at) = fault.next_onset(now)
                && next.is_none_or(|next| at < next.at)
            {
                next = Some(Cut { at, kind });
            }
        }
        next
    }
}

/// Lets time pass; no time at all is not waited for.
pub(crate) async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
