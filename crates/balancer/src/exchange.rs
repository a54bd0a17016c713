//! An exchange between its attempts.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::balancer::Core;
use crate::edits::Edits;
use crate::forwarding::{Additions, response_edits, session_edits};
use crate::head::{BodySize, ResponseHead, Scheme};
use crate::issued::Issued;
use crate::ledger::{Charge, Departure, Ledger};
use crate::outcome::{Blame, Class, Judgement, Reason, classify, judge};
use crate::rendezvous::Affinity;
use crate::reply;
use crate::session::Session;
use crate::step::{Attempt, Cause, Delivery, Ordinary, Outcome, Reuse, Step, Tail};
use crate::time::{Timestamp, millis};

/// All that has to be remembered of a request while it is tried.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) core: Arc<Core>,
    /// What turns the fields received into those to send.
    pub(crate) edits: Edits,
    pub(crate) affinity: Affinity,
    pub(crate) session: Option<Session>,
    /// The scheme the client used.
    pub(crate) scheme: Scheme,
    pub(crate) body: BodySize,
    /// Whether it may be delivered twice.
    pub(crate) idempotent: bool,
    pub(crate) tunnel: bool,
    /// The client, where it is not the peer.
    pub(crate) client: Option<IpAddr>,
    /// For which other requests its first attempt is one, too, while every backend admits.
    pub(crate) reuse: Option<Reuse>,
    pub(crate) tried: Tried,
    /// Whether any attempt can have reached a backend.
    pub(crate) reached: bool,
}

impl Exchange {
    /// The best backend for the next attempt, if there may be one.
    pub(crate) fn next(&self, ledger: &Ledger, now: Timestamp) -> Option<usize> {
        let session = self.session.map(|session| session.backend);
        self.may_go_on()
            .then(|| {
                self.core
                    .choose(ledger, self.affinity, session, &self.tried, now)
            })
            .flatten()
    }

    /// Sends the request to a backend.
    pub(crate) fn send(mut self, backend: usize, ledger: &mut Ledger, now: Timestamp) -> Step {
        let first = self.tried.count() == 0;
        let departure = ledger.depart(backend, now, self.core.patience());
        self.tried.insert(backend);
        let reuse = self.reuse.filter(|_| first && ledger.holds_nothing());
        let (edits, keep) = if self.may_go_on() {
            (self.edits.clone(), self.worth_keeping())
        } else {
            (core::mem::take(&mut self.edits), 0)
        };
        let attempt = Attempt {
            backend,
            edits,
            keep,
            tunnel: self.tunnel,
            client: self.client,
            ordinary: self.ordinary(backend, departure, now, reuse, &mut ledger.issued),
        };
        let then = InFlight {
            exchange: self,
            backend,
            departure,
            sent: now,
        };
        Step::Send { attempt, then }
    }

    /// Takes over an attempt that was made as for another request.
    pub(crate) fn adopt(mut self, attempt: Tail) -> InFlight {
        self.tried.insert(attempt.backend);
        InFlight {
            exchange: self,
            backend: attempt.backend,
            departure: Departure {
                began: attempt.began,
                trial: false,
            },
            sent: attempt.began,
        }
    }

    /// Whether another attempt is within bounds.
    fn may_go_on(&self) -> bool {
        let policy = &self.core.policy;
        let tried = self.tried.count();
        tried <= policy.max_retries && (tried as usize) < policy.backends.len()
    }

    /// How much of the body another attempt would need: nothing where none
    /// could follow once it has been read, or where it is too long anyway.
    fn worth_keeping(&self) -> u64 {
        let limit = self.core.policy.replay_limit;
        let replayable = match self.body {
            BodySize::None => false,
            BodySize::Unknown => true,
            BodySize::Known(length) => (1..=limit).contains(&length),
        };
        if self.idempotent && replayable {
            limit
        } else {
            0
        }
    }

    /// The answer to an ordinary response: known where it is none to a tunnel, does not
    /// end a trial, and makes no session but one that can be dated now.
    fn ordinary(
        &self,
        backend: usize,
        departure: Departure,
        now: Timestamp,
        reuse: Option<Reuse>,
        issued: &mut Issued,
    ) -> Option<Ordinary> {
        let makes_session = self.lacks_session(backend);
        if self.tunnel || departure.trial || (makes_session && !self.comes_soon()) {
            return None;
        }
        let set_cookie = self.new_session(backend, now, issued);
        // It is dated to the second.
        let until = match set_cookie {
            Some(_) => now.next_second(),
            None => Timestamp::END,
        };
        Some(Ordinary {
            edits: self.scheme as usize,
            session: set_cookie.map(|set_cookie| session_edits(&set_cookie)),
            tail: Tail {
                backend,
                began: departure.began,
            },
            reuse: reuse.map(|reuse| Reuse {
                until: reuse.until.min(until),
                ..reuse
            }),
        })
    }

    /// Whether a response that comes in time comes soon after its request was sent, as the
    /// life of a session goes: then that may be when it is dated.
    fn comes_soon(&self) -> bool {
        let life = self.core.policy.session_cookie_ttl;
        self.body == BodySize::None && self.core.patience() < life / 16
    }

    /// The cookie of a session that an answer of this backend makes, if it does.
    fn new_session(&self, backend: usize, now: Timestamp, issued: &mut Issued) -> Option<String> {
        let sessions = &self.core.sessions;
        self.lacks_session(backend)
            .then(|| sessions.set_cookie(backend, self.scheme, now, issued))
            .flatten()
    }

    /// Whether an answer of this backend makes a session.
    fn lacks_session(&self, backend: usize) -> bool {
        let current = |session: Session| session.backend == backend && !session.aging;
        self.core.policy.sticky_sessions && !self.session.is_some_and(current)
    }

    /// Passes a response on. A session is made with a backend that answered for
    /// the request, and not over a tunnel, whose client has one already.
    fn forward(&self, head: &ResponseHead<'_>, tail: Tail, set_cookie: Option<String>) -> Step {
        let additions = Additions {
            set_cookie,
            hsts: self.core.hsts(self.scheme),
        };
        Step::Forward {
            edits: response_edits(head, &additions),
            tail,
        }
    }

    /// No backend brought a response.
    pub(crate) fn exhausted(&self, ledger: &Ledger, now: Timestamp, cause: Cause) -> Step {
        let wait = ledger.reopens_in(now);
        let seconds = millis(wait).div_ceil(1_000).max(1);
        let mut reply = reply::exhausted(cause, self.reached, seconds);
        if let Some(hsts) = self.core.hsts(self.scheme) {
            reply.fields.push("strict-transport-security", hsts);
        }
        Step::Reply(reply)
    }
}

/// An exchange whose attempt is under way. Settled, abandoned or concluded exactly once.
#[derive(Debug)]
#[must_use = "an attempt under way is settled, abandoned or concluded"]
pub struct InFlight {
    exchange: Exchange,
    backend: usize,
    departure: Departure,
    /// When the attempt began, whatever its departure is dated.
    sent: Timestamp,
}

impl InFlight {
    /// Reports what became of the attempt.
    pub fn settle(self, outcome: Outcome<'_>, ledger: &mut Ledger, now: Timestamp) -> Step {
        let Self {
            mut exchange,
            backend,
            departure,
            sent,
        } = self;
        match classify(&outcome, exchange.tunnel, now) {
            Class::Success(head) => {
                let began = ledger.succeed(backend, departure, now);
                let dated = if exchange.comes_soon() { sent } else { now };
                let set_cookie = (head.status != 101)
                    .then(|| exchange.new_session(backend, dated, &mut ledger.issued))
                    .flatten();
                exchange.forward(&head, Tail { backend, began }, set_cookie)
            }
            Class::Failure {
                blame,
                delivery,
                replayable,
                response,
            } => {
                match blame {
                    Blame::Backend { retry_after } => {
                        let charge = Charge {
                            reason: match response {
                                Ok(head) => Reason::Status(head.status),
                                Err(cause) => Reason::Failed(cause),
                            },
                            retry_after,
                        };
                        let policy = &exchange.core.policy;
                        ledger.fail(backend, departure, now, charge, policy);
                    }
                    Blame::Nobody => ledger.release(backend, departure, now),
                }
                exchange.reached |= delivery == Delivery::MaybeSent;
                let next = match judge(delivery, exchange.idempotent, replayable) {
                    Judgement::Retry => exchange.next(ledger, now),
                    Judgement::Conclude => None,
                };
                match (next, response) {
                    (Some(backend), _) => exchange.send(backend, ledger, now),
                    (None, Ok(head)) => {
                        let began = departure.began;
                        exchange.forward(&head, Tail { backend, began }, None)
                    }
                    (None, Err(cause)) => exchange.exhausted(ledger, now, cause),
                }
            }
        }
    }

    /// The response was [ordinary](Ordinary), and has been forwarded as said before.
    pub fn conclude(self) {}

    /// The client went away: blames nobody, frees a trial.
    pub fn abandon(self, ledger: &mut Ledger, now: Timestamp) {
        ledger.release(self.backend, self.departure, now);
    }

    /// When to forget an exchange that nobody settled: well after every timeout
    /// of a caller that enforces them.
    pub fn deadline(&self) -> Timestamp {
        const LEAST: Duration = Duration::from_secs(3_600);
        let core = &self.exchange.core;
        let timeouts = core.patience().saturating_add(core.policy.idle_timeout);
        self.departure.began.after(timeouts.max(LEAST))
    }
}

/// Which backends an exchange has tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    /// One bit each for the first 64, which is nearly always all.
    first: u64,
    others: Vec<usize>,
}

impl Tried {
    pub(crate) fn contains(&self, backend: usize) -> bool {
        if backend < 64 {
            self.first & (1 << backend) != 0
        } else {
            self.others.contains(&backend)
        }
    }

    fn insert(&mut self, backend: usize) {
        if backend < 64 {
            self.first |= 1 << backend;
        } else if !self.contains(backend) {
            self.others.push(backend);
        }
    }

    fn count(&self) -> u32 {
        let others = u32::try_from(self.others.len()).unwrap_or(u32::MAX);
        self.first.count_ones().saturating_add(others)
    }
}
