//! A balancer, a clock and the means to say in one line what happens.

use std::time::Duration;

use edgelb_balancer::{
    AffinityKey, Arrival, Backend, Balancer, BodySize, Cause, Delivery, Edit, Failure, FieldLines,
    Fields, InFlight, Ledger, LocalReply, Origin, Outcome, Policy, RequestHead, ResponseHead,
    Scheme, Seed, Step, Tail, Timestamp, Weight,
};

pub(crate) struct Scenario {
    pub(crate) balancer: Balancer,
    pub(crate) ledger: Ledger,
    pub(crate) now: Timestamp,
}

/// A request, plain unless said otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) scheme: Scheme,
    /// What it is hashed by.
    pub(crate) key: &'a str,
    pub(crate) fields: &'a str,
    pub(crate) body: BodySize,
}

pub(crate) const GET: Request<'_> = Request {
    method: "GET",
    scheme: Scheme::Http,
    key: "k",
    fields: "",
    body: BodySize::None,
};

pub(crate) const POST: Request<'_> = Request {
    method: "POST",
    body: BodySize::Unknown,
    ..GET
};

pub(crate) const REFUSED: Answer<'_> = Answer::Failed(Cause::ConnectionRefused, Delivery::NotSent);
pub(crate) const TIMEOUT: Answer<'_> =
    Answer::Failed(Cause::HttpResponseTimeout, Delivery::MaybeSent);
pub(crate) const RESET: Answer<'_> =
    Answer::Failed(Cause::ConnectionTerminated, Delivery::MaybeSent);
pub(crate) const OK: Answer<'_> = Answer::Response(200, "");
pub(crate) const ERROR: Answer<'_> = Answer::Response(500, "");

/// What a backend does, the body unread so far.
#[derive(Clone, Copy)]
pub(crate) enum Answer<'a> {
    Response(u16, &'a str),
    Failed(Cause, Delivery),
    /// The same with the body gone.
    Consumed(Cause),
}

/// A step, as far as a case asks.
pub(crate) enum Next {
    Sent(Sent),
    Forwarded(Vec<String>, Tail),
    Replied(LocalReply),
}

pub(crate) struct Sent {
    pub(crate) backend: usize,
    pub(crate) keep: u64,
    pub(crate) tunnel: bool,
    pub(crate) then: InFlight,
}

impl Scenario {
    /// Three backends of one weight, hashed by a field.
    pub(crate) fn new(adjust: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy {
            backends: ["A", "B", "C"].map(backend).into(),
            affinity_key: AffinityKey::Header("x-key".to_owned()),
            ..Policy::default()
        };
        adjust(&mut policy);
        let balancer = Balancer::new(policy).expect("the policy works");
        Self {
            ledger: Ledger::new(balancer.policy()),
            balancer,
            now: Timestamp::from_millis(1_700_000_000_000),
        }
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
    }

    pub(crate) fn begin(&mut self, request: Request<'_>) -> Next {
        let fields = format!("x-key:{}\n{}", request.key, request.fields);
        let head = RequestHead {
            method: request.method,
            scheme: request.scheme,
            authority: "lb.example",
            target: "/",
            peer: Some([192, 0, 2, 1].into()),
            body: request.body,
            fields: Fields::new(fields.as_bytes()),
        };
        let step = self
            .balancer
            .begin(&head, &mut self.ledger, self.now, Seed(0));
        next(step)
    }

    pub(crate) fn settle(&mut self, sent: Sent, answer: Answer<'_>) -> Next {
        let (cause, delivery, replayable) = match answer {
            Answer::Response(status, fields) => {
                let head = ResponseHead {
                    status,
                    body: BodySize::Unknown,
                    fields: Fields::new(fields.as_bytes()),
                };
                let outcome = Outcome::Head(Arrival {
                    head,
                    replayable: true,
                });
                return next(sent.then.settle(outcome, &mut self.ledger, self.now));
            }
            Answer::Failed(cause, delivery) => (cause, delivery, true),
            Answer::Consumed(cause) => (cause, Delivery::MaybeSent, false),
        };
        let outcome = Outcome::Failed(Failure {
            cause,
            delivery,
            replayable,
        });
        next(sent.then.settle(outcome, &mut self.ledger, self.now))
    }

    /// Where a request is sent first.
    pub(crate) fn send(&mut self, request: Request<'_>) -> Sent {
        self.begin(request).sent()
    }

    /// A whole exchange; returns the last step.
    pub(crate) fn exchange(&mut self, request: Request<'_>, answers: &[Answer<'_>]) -> Next {
        let mut next = self.begin(request);
        for &answer in answers {
            next = self.settle(next.sent(), answer);
        }
        next
    }

    /// Makes a backend fail until it is ejected.
    pub(crate) fn eject(&mut self, backend: usize) {
        let key = self.key_of(backend);
        let sent = self.send(Request { key: &key, ..GET });
        assert_eq!(sent.backend, backend);
        self.settle(sent, TIMEOUT);
    }

    /// A key whose first choice is this backend, where all are well.
    pub(crate) fn key_of(&self, backend: usize) -> String {
        (0..1_000)
            .map(|number| format!("key-{number}"))
            .find(|key| {
                let mut fresh = Self {
                    balancer: self.balancer.clone(),
                    ledger: Ledger::new(self.balancer.policy()),
                    now: self.now,
                };
                fresh.send(Request { key, ..GET }).backend == backend
            })
            .expect("every backend has keys")
    }
}

impl Next {
    pub(crate) fn sent(self) -> Sent {
        match self {
            Self::Sent(sent) => sent,
            Self::Forwarded(..) => panic!("sent, not forwarded"),
            Self::Replied(reply) => panic!("sent, not {reply:?}"),
        }
    }

    /// What is set or added to the fields of a response passed on.
    pub(crate) fn forwarded(self) -> Vec<String> {
        match self {
            Self::Forwarded(fields, _) => fields,
            Self::Sent(_) => panic!("forwarded, not sent"),
            Self::Replied(reply) => panic!("forwarded, not {reply:?}"),
        }
    }

    pub(crate) fn tail(self) -> Tail {
        match self {
            Self::Forwarded(_, tail) => tail,
            Self::Sent(_) => panic!("forwarded, not sent"),
            Self::Replied(reply) => panic!("forwarded, not {reply:?}"),
        }
    }

    pub(crate) fn replied(self) -> (u16, FieldLines) {
        match self {
            Self::Replied(reply) => (reply.status, reply.fields),
            Self::Sent(_) => panic!("replied, not sent"),
            Self::Forwarded(..) => panic!("replied, not forwarded"),
        }
    }
}

pub(crate) fn backend(name: &str) -> Backend {
    Backend {
        name: name.to_owned(),
        origin: Origin {
            scheme: Scheme::Https,
            authority: format!("{}.example", name.to_lowercase()),
        },
        weight: Weight::ONE,
        drain: false,
    }
}

fn next(step: Step) -> Next {
    match step {
        Step::Send { attempt, then } => Next::Sent(Sent {
            backend: attempt.backend,
            keep: attempt.keep,
            tunnel: attempt.tunnel,
            then,
        }),
        Step::Forward { edits, tail } => {
            let lines = edits.iter().filter_map(|edit| match edit {
                Edit::Set(name, value) | Edit::Append(name, value) => {
                    Some(format!("{name}:{}", String::from_utf8_lossy(value)))
                }
                Edit::Remove(_) => None,
            });
            Next::Forwarded(lines.collect(), tail)
        }
        Step::Reply(reply) => Next::Replied(reply),
    }
}
