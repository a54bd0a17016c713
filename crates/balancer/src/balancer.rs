//! The balancer: a policy made ready, and the beginning of every exchange.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::admission::{Admission, admit, is_usual};
use crate::affinity;
use crate::client::{self, Peer};
use crate::edits::Edits;
use crate::exchange::{Exchange, InFlight, Tried};
use crate::forwarding::{Additions, Route, ordinary_edits, request_edits, response_edits};
use crate::head::{RequestHead, Scheme};
use crate::ledger::{Charge, Departure, Health, Ledger};
use crate::lists::is_token;
use crate::names::RELEVANT;
use crate::outcome::{Class, Reason, classify, is_idempotent};
use crate::policy::{Backend, Policy, PolicyError};
use crate::rendezvous::{Affinity, backend_id, draw};
use crate::session::{Session, Sessions};
use crate::step::{BodyEnd, Cause, LocalReply, Outcome, Reuse, Step, Tail};
use crate::survey::{Survey, configured};
use crate::time::{Seed, Timestamp};
use crate::{reply, status};

/// A policy ready to decide. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Balancer {
    core: Arc<Core>,
}

/// The policy and what follows from it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) policy: Policy,
    pub(crate) sessions: Sessions,
    /// In order of the backends.
    ids: Vec<u64>,
    hsts: Option<String>,
    /// The edits to ordinary responses, by the scheme the client used.
    ordinary: [Edits; 2],
}

impl Balancer {
    /// Makes a policy ready.
    ///
    /// # Errors
    /// What cannot work.
    pub fn new(policy: Policy) -> Result<Self, PolicyError> {
        if policy.backends.is_empty() {
            return Err(PolicyError::NoBackend);
        }
        for (index, backend) in policy.backends.iter().enumerate() {
            let is_same = |other: &Backend| other.name == backend.name;
            if policy.backends[..index].iter().any(is_same) {
                return Err(PolicyError::DuplicateBackend(backend.name.clone()));
            }
        }
        if !is_token(policy.session_cookie_name.as_bytes()) {
            return Err(PolicyError::CookieName(policy.session_cookie_name));
        }
        let hsts = policy
            .hsts_max_age
            .map(|age| format!("max-age={}", age.as_secs()));
        let core = Core {
            sessions: Sessions::new(&policy),
            ids: policy.backends.iter().map(backend_id).collect(),
            ordinary: [None, hsts.as_deref()].map(ordinary_edits),
            hsts,
            policy,
        };
        Ok(Self {
            core: Arc::new(core),
        })
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// The edits to ordinary responses, by [`Ordinary::edits`](crate::Ordinary::edits).
    pub fn ordinary(&self) -> &[Edits] {
        &self.core.ordinary
    }

    /// The names of the fields that may change an attempt, in lower case: with `*` at the
    /// end, all that begin so. So may all others with an underscore in their names.
    pub fn relevant(&self) -> impl Iterator<Item = String> {
        let known = RELEVANT.into_iter().map(String::from);
        // With an underscore they are relevant anyway.
        let spell = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        known.chain(configured(&self.core.policy).map(spell))
    }

    /// Opens an exchange.
    pub fn begin(
        &self,
        head: &RequestHead<'_>,
        ledger: &mut Ledger,
        now: Timestamp,
        seed: Seed,
    ) -> Step {
        match self.open(head, ledger, now, seed) {
            Ok(exchange) => match exchange.next(ledger, now) {
                Some(backend) => exchange.send(backend, ledger, now),
                None => exchange.exhausted(ledger, now, Cause::DestinationUnavailable),
            },
            Err(reply) => Step::Reply(reply),
        }
    }

    /// Opens an exchange whose first attempt is under way already: that of another
    /// exchange, [reused](crate::Ordinary::reuse) since then. While the ledger
    /// held nothing, to begin it would have brought that about (but that an attempt is
    /// dated no earlier than its backend's last recovery); `None` where it cannot have.
    pub fn adopt(
        &self,
        head: &RequestHead<'_>,
        attempt: Tail,
        ledger: &mut Ledger,
        seed: Seed,
    ) -> Option<InFlight> {
        let exchange = self.open(head, ledger, attempt.began, seed).ok()?;
        Some(exchange.adopt(attempt))
    }

    /// A forwarded body did not arrive whole.
    pub fn finish(&self, tail: Tail, end: BodyEnd, ledger: &mut Ledger, now: Timestamp) {
        match end {
            BodyEnd::Broken => {
                let departure = Departure {
                    began: tail.began,
                    trial: false,
                };
                let charge = Charge {
                    reason: Reason::BodyBroken,
                    retry_after: None,
                };
                ledger.fail(tail.backend, departure, now, charge, &self.core.policy);
            }
            BodyEnd::Abandoned => {}
        }
    }

    /// The answer to an outcome of an exchange nobody remembers: a response is
    /// forwarded without a session, a failure is a 502. It is blamed on nobody,
    /// as nobody knows whose it is.
    pub fn settle_unknown(&self, outcome: Outcome<'_>, now: Timestamp) -> Step {
        match classify(&outcome, true, now) {
            Class::Success(head)
            | Class::Failure {
                response: Ok(head), ..
            } => Step::Forward {
                edits: response_edits(&head, &Additions::default()),
                tail: Tail {
                    backend: Tail::NOBODY,
                    began: now,
                },
            },
            Class::Failure {
                response: Err(cause),
                ..
            } => Step::Reply(reply::bad_gateway(cause)),
        }
    }

    /// The exchange that a request is, if it is for a backend at all.
    fn open(
        &self,
        head: &RequestHead<'_>,
        ledger: &mut Ledger,
        now: Timestamp,
        seed: Seed,
    ) -> Result<Exchange, LocalReply> {
        let policy = &self.core.policy;
        let peer = Peer::of(head.peer, &policy.trusted_proxies);
        let survey = Survey::of(head, policy, peer.trusted);
        let scheme = client::scheme(peer, head.scheme, survey.forwarded_proto);
        match admit(head, &survey, scheme, policy) {
            Admission::Admit => {}
            Admission::Refuse(refusal) => return Err(reply::refuse(refusal)),
            Admission::Redirect { host, safe } => {
                return Err(reply::redirect(host, head.target, safe));
            }
            Admission::Health => return Err(reply::healthy()),
            Admission::Status => return Err(reply::status(status::page(policy, ledger, now))),
        }
        let route = Route {
            peer,
            client: client::identify(peer, &survey, head.fields, &policy.trusted_proxies),
            scheme,
        };
        let session = (survey.session)
            .filter(|_| policy.sticky_sessions)
            .and_then(|cookie| {
                self.core
                    .sessions
                    .read(cookie.value, &mut ledger.genuine, now)
            });
        Ok(Exchange {
            core: Arc::clone(&self.core),
            edits: request_edits(head, &survey, route, &policy.session_cookie_name),
            affinity: affinity::of(
                &policy.affinity_key,
                head.target,
                survey.affinity,
                route.client,
                seed,
            ),
            session,
            scheme,
            body: head.body,
            idempotent: is_idempotent(head.method) || survey.idempotency_key,
            tunnel: survey.upgrade.is_asked(),
            client: (route.client)
                .filter(|client| (peer.address).is_some_and(|peer| peer != *client)),
            reuse: self.reuse(head.target, session, survey.session.is_some()),
            tried: Tried::default(),
            reached: false,
        })
    }

    /// For which other requests a first attempt is one, too, while every backend admits.
    fn reuse(&self, target: &str, session: Option<Session>, shown: bool) -> Option<Reuse> {
        let policy = &self.core.policy;
        if !is_usual(target) {
            return None;
        }
        match session {
            // One that is to be renewed is decided about each time.
            Some(session) => (!session.aging).then_some(Reuse {
                until: session.ages,
                path: 0,
            }),
            // What is shown and is none may be one in a moment, by a clock that is ahead.
            None if shown && policy.sticky_sessions => None,
            None => Some(Reuse {
                until: Timestamp::END,
                path: affinity::part_of(target, &policy.affinity_key)?,
            }),
        }
    }
}

impl Core {
    /// How long an attempt can be without a response before it has failed.
    pub(crate) const fn patience(&self) -> Duration {
        self.policy
            .connect_timeout
            .saturating_add(self.policy.first_byte_timeout)
    }

    /// What `Strict-Transport-Security` says; nothing over plain http
    /// (<https://www.rfc-editor.org/rfc/rfc6797#section-7.2>).
    pub(crate) fn hsts(&self, scheme: Scheme) -> Option<&str> {
        match scheme {
            Scheme::Http => None,
            Scheme::Https => self.hsts.as_deref(),
        }
    }

    /// The best backend not yet tried.
    ///
    /// A session's own comes first, if it is healthy. Then, by rendezvous, the
    /// healthy; then those that are healthy but drained, as an answer is better
    /// than none; then, failing open, all others. Only the first of the order
    /// is ever asked for, so no order is made.
    pub(crate) fn choose(
        &self,
        ledger: &Ledger,
        affinity: Affinity,
        session: Option<usize>,
        tried: &Tried,
        now: Timestamp,
    ) -> Option<usize> {
        let mut best: Option<(Tier, f64, usize)> = None;
        for (index, backend) in self.policy.backends.iter().enumerate() {
            if tried.contains(index) {
                continue;
            }
            let tier = match (ledger.health(index, now), backend.drain) {
                (Health::Admits | Health::TrialDue, _) if session == Some(index) => {
                    return Some(index);
                }
                (Health::Admits | Health::TrialDue, false) => Tier::Healthy,
                (Health::Admits | Health::TrialDue, true) => Tier::Drained,
                (Health::Refuses, _) => Tier::FailOpen,
            };
            if best.is_some_and(|(best, ..)| best < tier) {
                continue;
            }
            let draw = draw(affinity, self.ids[index], backend.weight);
            if best.is_none_or(|best| (tier, draw) < (best.0, best.1)) {
                best = Some((tier, draw, index));
            }
        }
        best.map(|(_, _, index)| index)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    Healthy,
    Drained,
    FailOpen,
}
