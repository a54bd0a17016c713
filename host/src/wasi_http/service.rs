//! The door itself: a request in, a response out.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

use super::blueprint::Blueprint;
use super::guest::World;
use super::isolate::{self, Job};
use super::request::{self, Head};
use super::ticket::Ticket;
use super::{body, failure};
use crate::body::Body;
use crate::clock::Clock;
use crate::event::EventSink;
use crate::exchange::Client;
use crate::exchange::bindings::EffectiveConfiguration;
use crate::progress::Progress;
use crate::refusal;
use crate::upstream::Upstream;

/// One isolate of a component that does its own I/O.
pub(crate) struct Service {
    blueprint: Arc<Blueprint>,
    world: Arc<World>,
    events: EventSink,
    /// To the isolate, once it runs.
    queue: Mutex<Option<UnboundedSender<Job>>>,
}

/// The instance that a request was given to is no more.
struct Lost;

impl Service {
    /// An isolate whose instance starts with its first request, on the runtime
    /// which that is made on.
    pub(crate) fn start(
        blueprint: Arc<Blueprint>,
        upstream: Arc<dyn Upstream>,
        configuration: Option<&EffectiveConfiguration>,
        clock: Arc<dyn Clock>,
        seed: u64,
        events: EventSink,
    ) -> Arc<Self> {
        Arc::new(Self {
            blueprint,
            world: Arc::new(World::new(
                upstream,
                configuration,
                clock,
                seed,
                Arc::clone(&events),
            )),
            events,
            queue: Mutex::default(),
        })
    }

    /// Answers a request. To drop the answer cancels what the guest sends for it.
    ///
    /// `wasi:http` has no interim responses: those of backends are relayed past
    /// the guest.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        request: Request<Body>,
        client: Client,
        progress: &Progress,
    ) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let told = body.is_end_stream() && request::tell_no_body(&mut parts);
        let tag = parts.extensions.get().copied();
        let account = parts.extensions.remove().unwrap_or_default();
        let ticket = Ticket::new(told, tag, client.interim, progress.beside(), account);
        let ticket = Arc::new(ticket);
        match Head::new(parts, client.peer, &mut self.world.hooks()) {
            Ok(head) => {
                let mut waiting = Waiting {
                    ticket: &ticket,
                    progress,
                    answered: false,
                };
                let response = self.answer(head, body, &ticket).await;
                waiting.answered = true;
                response
            }
            Err(_) => refusal::client(StatusCode::BAD_REQUEST),
        }
    }

    async fn answer(&self, head: Head, body: Body, ticket: &Arc<Ticket>) -> Response<Body> {
        let method = head.method.clone();
        let again = body.is_end_stream().then(|| head.clone());
        let mut answered = self.ask(head, body, ticket).await;
        if answered.is_err()
            && ticket.account.exceeded().is_none()
            && let Some(head) = again
            && (ticket.progress.attempts() == 0 || method.is_idempotent())
        {
            answered = self.ask_alone(head, ticket).await;
        }
        let response = match (ticket.client_failure(), answered) {
            (Some(status), _) => refusal::client(status),
            (None, Ok(Ok(response))) => finish(response, ticket),
            (None, Ok(Err(code))) => failure::coded(&code),
            (None, Err(Lost)) => refusal::lost(ticket.account.exceeded()),
        };
        if has_no_body(&method, response.status()) {
            return response.map(|_| Body::empty());
        }
        response
    }

    /// Asks the isolate.
    async fn ask(
        &self,
        head: Head,
        body: Body,
        ticket: &Arc<Ticket>,
    ) -> Result<Result<Response<Body>, ErrorCode>, Lost> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Job {
            head,
            body,
            ticket: Arc::clone(ticket),
            answer,
        });
        answered.await.map_err(|_| Lost)
    }

    /// Asks an instance of its own: whoever made the other one trap loses but
    /// itself this time.
    async fn ask_alone(
        &self,
        head: Head,
        ticket: &Arc<Ticket>,
    ) -> Result<Result<Response<Body>, ErrorCode>, Lost> {
        let alone = Self {
            blueprint: Arc::clone(&self.blueprint),
            world: Arc::clone(&self.world),
            events: Arc::clone(&self.events),
            queue: Mutex::default(),
        };
        alone.ask(head, Body::empty(), ticket).await
    }

    /// Hands a request to the isolate, which is started if it does not run.
    fn enqueue(&self, job: Job) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let job = match &*queue {
            None => job,
            Some(running) => match running.send(job) {
                Ok(()) => return,
                // The runtime that it ran on was shut down.
                Err(unsent) => unsent.0,
            },
        };
        let (sender, receiver) = unbounded_channel();
        let isolate = isolate::run(
            Arc::clone(&self.blueprint),
            Arc::clone(&self.world),
            Arc::clone(&self.events),
            receiver,
        );
        tokio::spawn(isolate);
        // Cannot fail: the receiver is there.
        let _ = sender.send(job);
        *queue = Some(sender);
    }
}

/// A client waiting for its answer. Dropped without one, it went away.
struct Waiting<'a> {
    ticket: &'a Ticket,
    progress: &'a Progress,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.progress.follow(&self.ticket.progress);
        if !self.answered {
            self.ticket.cancel();
        }
    }
}

/// Makes a response of what the guest says is one.
fn finish(response: Response<Body>, ticket: &Ticket) -> Response<Body> {
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let (parts, body) = response.into_parts();
        match body::redeem(body, ticket) {
            Some(connection) => Response::from_parts(parts, Body::tunnel(connection)),
            None => failure::coded(&ErrorCode::HttpUpgradeFailed),
        }
    } else if status.is_informational() {
        failure::coded(&ErrorCode::HttpProtocolError)
    } else {
        response
    }
}

/// Whatever its `content-length` says.
///
/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>
fn has_no_body(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}
