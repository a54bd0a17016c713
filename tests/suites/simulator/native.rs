//! The core itself, in the place of the component that holds it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edgelb_balancer as core;
use edgelb_balancer::{Balancer, Edit, Edits, InFlight, Ledger, Seed, Step, Timestamp};
use edgelb_host::sim::{Birth, Runtime};
use edgelb_host::{Body, Cause, Delivery, Ejection, Event, Peer, SendError, Timeouts};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

/// An isolate without a component: the same conversation, held natively.
pub(crate) struct Native(Arc<State>);

struct State {
    balancer: Balancer,
    ledger: Mutex<Ledger>,
    birth: Birth,
    seed: AtomicU64,
}

/// An attempt under way; dropped, it is abandoned.
struct UnderWay {
    state: Arc<State>,
    exchange: Option<InFlight>,
}

impl Native {
    pub(crate) fn start(birth: Birth, environment: &[(String, String)]) -> Arc<dyn Runtime> {
        let config = edgelb_config::from_env(environment.to_vec()).unwrap();
        let ledger = Ledger::new(&config.policy);
        Arc::new(Self(Arc::new(State {
            balancer: Balancer::new(config.policy).unwrap(),
            ledger: Mutex::new(ledger),
            seed: AtomicU64::new(birth.seed),
            birth,
        })))
    }
}

impl Runtime for Native {
    fn fetch(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + '_>> {
        Box::pin(Arc::clone(&self.0).fetch(request))
    }
}

impl State {
    async fn fetch(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let size = size(&body);
        let body = body.bytes().await.unwrap();
        let fields = pack(&parts.headers);
        let peer = parts.extensions.get::<Peer>();
        let head = core::RequestHead {
            method: parts.method.as_str(),
            scheme: core::Scheme::Http,
            authority: parts.headers[HOST].to_str().unwrap(),
            target: parts.uri.path_and_query().unwrap().as_str(),
            peer: peer.map(|peer| peer.0),
            body: size,
            fields: core::Fields::new(&fields),
        };
        let seed = Seed(self.next_seed());
        let mut step = self.on_ledger(|ledger, now| self.balancer.begin(&head, ledger, now, seed));
        let mut arrived: Option<Response<Body>> = None;
        loop {
            let (attempt, then) = match step {
                Step::Send { attempt, then } => (attempt, then),
                Step::Forward { edits, tail } => {
                    let mut response = arrived.unwrap();
                    apply(&edits, response.headers_mut());
                    if response.status() == 101 || response.body().is_end_stream() {
                        return response;
                    }
                    return response.map(|body| {
                        Body::new(body.map_err(move |error| {
                            self.on_ledger(|ledger, now| {
                                let end = core::BodyEnd::Broken;
                                self.balancer.finish(tail, end, ledger, now);
                            });
                            error
                        }))
                    });
                }
                Step::Reply(reply) => {
                    let mut response = Response::new(Body::from(reply.body));
                    *response.status_mut() = reply.status.try_into().unwrap();
                    for (name, value) in reply.fields.fields().iter() {
                        response
                            .headers_mut()
                            .append(name_of(name), value_of(value));
                    }
                    return response;
                }
            };
            arrived = None;
            let mut under_way = UnderWay {
                state: Arc::clone(&self),
                exchange: Some(then),
            };
            let backend = &self.balancer.policy().backends[attempt.backend];
            let mut again = Request::new(Body::from(body.clone()));
            *again.method_mut() = parts.method.clone();
            *again.uri_mut() = Uri::builder()
                .scheme("http")
                .authority(backend.origin.authority.as_str())
                .path_and_query(parts.uri.path_and_query().unwrap().as_str())
                .build()
                .unwrap();
            *again.headers_mut() = parts.headers.clone();
            apply(&attempt.edits, again.headers_mut());
            let policy = self.balancer.policy();
            let timeouts = Timeouts {
                connect: policy.connect_timeout,
                first_byte: policy.first_byte_timeout,
                idle: policy.idle_timeout,
            };
            let sent = Arc::clone(&self.birth.upstream).send(again, timeouts).await;
            let then = under_way.exchange.take().unwrap();
            let unread = (sent.as_ref()).is_err_and(|it| it.delivery == Delivery::NotSent);
            let kept = body.len() as u64 <= attempt.keep;
            let replayable = body.is_empty() || unread || kept;
            step = match sent {
                Ok(response) => {
                    let fields = pack(response.headers());
                    let head = core::ResponseHead {
                        status: response.status().as_u16(),
                        body: super::native::size(response.body()),
                        fields: core::Fields::new(&fields),
                    };
                    let arrival = core::Arrival { head, replayable };
                    let outcome = core::Outcome::Head(arrival);
                    let step = self.on_ledger(|ledger, now| then.settle(outcome, ledger, now));
                    arrived = Some(response);
                    step
                }
                Err(error) => {
                    let outcome = core::Outcome::Failed(failure(error, replayable));
                    self.on_ledger(|ledger, now| then.settle(outcome, ledger, now))
                }
            };
        }
    }

    fn on_ledger<T>(&self, call: impl FnOnce(&mut Ledger, Timestamp) -> T) -> T {
        let now = self.birth.clock.now();
        let mut ledger = self.ledger.lock().unwrap();
        let value = call(&mut ledger, Timestamp::from_millis(now));
        ledger.take_changed();
        for event in ledger.take_events() {
            (self.birth.events)(&told(event, now));
        }
        value
    }

    /// As the host draws them.
    fn next_seed(&self) -> u64 {
        let state = self
            .seed
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.state
                .on_ledger(|ledger, now| exchange.abandon(ledger, now));
        }
    }
}

fn size(body: &Body) -> core::BodySize {
    match body.size_hint().exact() {
        Some(0) => core::BodySize::None,
        Some(length) => core::BodySize::Known(length),
        None => core::BodySize::Unknown,
    }
}

fn pack(headers: &HeaderMap) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in headers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value.as_bytes());
        lines.push(b'\n');
    }
    lines
}

fn apply(edits: &Edits, headers: &mut HeaderMap) {
    for edit in edits.iter() {
        match edit {
            Edit::Remove(name) => drop(headers.remove(name)),
            Edit::Set(name, value) => drop(headers.insert(name_of(name), value_of(value))),
            Edit::Append(name, value) => drop(headers.append(name_of(name), value_of(value))),
        }
    }
}

fn name_of(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).unwrap()
}

fn value_of(value: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(value).unwrap()
}

fn told(event: core::Event, now: u64) -> Event {
    let index = |backend: usize| u32::try_from(backend).unwrap();
    match event {
        core::Event::Ejected {
            backend,
            until,
            reason,
        } => Event::Ejected(Ejection {
            backend: index(backend),
            until: until.as_millis(),
            length: Duration::from_millis(until.as_millis() - now),
            reason: reason.to_string(),
        }),
        core::Event::Trial { backend } => Event::Trial(index(backend)),
        core::Event::Recovered { backend } => Event::Recovered(index(backend)),
    }
}

/// What the simulated network brings about, and nothing else.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest fails the test")]
fn failure(error: SendError, replayable: bool) -> core::Failure {
    core::Failure {
        cause: match error.cause {
            Cause::DnsError => core::Cause::DnsError,
            Cause::ConnectionRefused => core::Cause::ConnectionRefused,
            Cause::ConnectionTimeout => core::Cause::ConnectionTimeout,
            Cause::ConnectionTerminated => core::Cause::ConnectionTerminated,
            Cause::HttpResponseTimeout => core::Cause::HttpResponseTimeout,
            other => panic!("{other:?}"),
        },
        delivery: match error.delivery {
            Delivery::NotSent => core::Delivery::NotSent,
            Delivery::MaybeSent => core::Delivery::MaybeSent,
        },
        replayable,
    }
}
