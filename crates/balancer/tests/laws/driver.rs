//! A caller of the core: performs what it says, against a script.

use std::num::NonZeroU32;
use std::time::Duration;

use edgelb_balancer::{
    AffinityKey, Arrival, Attempt, Backend, Balancer, BodyEnd, BodySize, Cause, Delivery, Edits,
    Event, Failure, FieldLines, InFlight, Ledger, Ordinary, Origin, Outcome, Policy, RequestHead,
    ResponseHead, Scheme, Seed, Step, Tail, Timestamp, Weight,
};
use proptest::prelude::*;

/// What the world does next.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A client sends a request.
    Begin(Request),
    /// One of the attempts under way comes to its end.
    Settle(usize, Answer),
    /// One of the clients with an attempt under way goes away.
    Abandon(usize),
    /// One of the bodies passed on breaks off.
    Break(usize),
    /// Time passes.
    Wait(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) scheme: Scheme,
    pub(crate) key: u8,
    pub(crate) idempotency_key: bool,
    pub(crate) websocket: bool,
    pub(crate) body: BodySize,
    /// Whether it brings the last session cookie that was set.
    pub(crate) session: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    RetryAfter(u16),
    Failure(Cause, Delivery, bool),
}

/// Seconds in which everything happens: few, so that things meet.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => request().prop_map(Op::Begin),
        6 => (0..8_usize, answer()).prop_map(|(index, answer)| Op::Settle(index, answer)),
        1 => (0..8_usize).prop_map(Op::Abandon),
        1 => (0..8_usize).prop_map(Op::Break),
        3 => prop_oneof![Just(1), 1..200_u64, Just(1_000), 1_000..40_000_u64].prop_map(Op::Wait),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![
        3 => Just("GET"),
        2 => Just("POST"),
        1 => Just("PUT"),
        1 => Just("PATCH")
    ];
    let body = prop_oneof![
        Just(BodySize::None),
        Just(BodySize::Unknown),
        Just(BodySize::Known(10)),
        Just(BodySize::Known(1 << 40))
    ];
    let scheme = prop_oneof![Just(Scheme::Http), Just(Scheme::Https)];
    (
        method,
        scheme,
        0..16_u8,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        body,
        any::<bool>(),
    )
        .prop_map(
            |(method, scheme, key, idempotency_key, websocket, body, session)| Request {
                method,
                scheme,
                key,
                idempotency_key,
                websocket,
                body,
                session,
            },
        )
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    let cause = prop_oneof![
        Just(Cause::ConnectionRefused),
        Just(Cause::ConnectionTimeout),
        Just(Cause::HttpResponseTimeout),
        Just(Cause::ConnectionTerminated),
        Just(Cause::InternalError),
    ];
    let delivery = prop_oneof![Just(Delivery::NotSent), Just(Delivery::MaybeSent)];
    prop_oneof![
        3 => prop_oneof![Just(101), Just(200), Just(404), Just(501), Just(500), Just(503)]
            .prop_map(Answer::Status),
        1 => (0..10_u16).prop_map(Answer::RetryAfter),
        3 => (cause, delivery, prop::bool::weighted(0.8))
            .prop_map(|(cause, delivery, replayable)| Answer::Failure(cause, delivery, replayable)),
    ]
}

impl Answer {
    /// Whether it is a failure for which nobody is to blame.
    pub(crate) fn is_nobodys(self) -> bool {
        matches!(self, Self::Failure(Cause::InternalError, ..))
    }

    /// Whether it is an ordinary response.
    fn is_ordinary(self) -> bool {
        matches!(self, Self::Status(200..=499))
    }

    /// Shows the outcome it stands for.
    pub(crate) fn with<R>(self, show: impl FnOnce(Outcome<'_>) -> R) -> R {
        let mut lines = FieldLines::new();
        lines.push("set-cookie", "theirs=1");
        let status = match self {
            Self::Failure(cause, delivery, replayable) => {
                return show(Outcome::Failed(Failure {
                    cause,
                    delivery,
                    replayable,
                }));
            }
            Self::Status(status) => status,
            Self::RetryAfter(seconds) => {
                lines.push("retry-after", seconds.to_string());
                503
            }
        };
        show(Outcome::Head(Arrival {
            head: ResponseHead {
                status,
                body: BodySize::Unknown,
                fields: lines.fields(),
            },
            replayable: true,
        }))
    }
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    let backend = (1..=5_u16, prop::bool::weighted(0.15));
    (
        prop::collection::vec(backend, 1..=5),
        0..=4_u32,
        1..=2_u32,
        any::<bool>(),
    )
        .prop_map(|(backends, max_retries, threshold, secret)| Policy {
            backends: backends
                .into_iter()
                .enumerate()
                .map(|(index, (weight, drain))| self::backend(&format!("B{index}"), weight, drain))
                .collect(),
            max_retries,
            failure_threshold: NonZeroU32::new(threshold).unwrap(),
            backend_down_time: Duration::from_millis(100),
            backend_down_time_max: Duration::from_millis(2_000),
            session_cookie_secret: secret.then(|| "secret".to_owned()),
            affinity_key: AffinityKey::Header("x-key".to_owned()),
            replay_limit: 100,
            hsts_max_age: Some(Duration::from_secs(5)),
            ..Policy::default()
        })
}

pub(crate) fn backend(name: &str, weight: u16, drain: bool) -> Backend {
    Backend {
        name: name.to_owned(),
        origin: Origin {
            scheme: Scheme::Https,
            authority: format!("{}.example", name.to_lowercase()),
        },
        weight: Weight::new(weight).unwrap(),
        drain,
    }
}

/// What a step told the caller to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Send(Attempt),
    Forward(Vec<u8>, Tail),
    Reply(u16),
}

/// An attempt under way.
pub(crate) struct Pending {
    pub(crate) id: usize,
    pub(crate) request: Request,
    /// The backends tried, this one last.
    pub(crate) tried: Vec<usize>,
    ordinary: Option<Ordinary>,
    then: InFlight,
}

/// One balancer, one ledger, and what goes on between them.
pub(crate) struct World {
    pub(crate) balancer: Balancer,
    pub(crate) ledger: Ledger,
    pub(crate) now: Timestamp,
    pub(crate) pending: Vec<Pending>,
    pub(crate) tails: Vec<Tail>,
    cookie: Option<String>,
    opened: usize,
}

/// What a step was about, and what came of it.
pub(crate) struct Turn<'a> {
    pub(crate) id: usize,
    pub(crate) request: &'a Request,
    /// Tried before this step.
    pub(crate) tried: &'a [usize],
    pub(crate) told: &'a Told,
    pub(crate) events: &'a [Event],
}

/// Watches what happens.
pub(crate) trait Watch {
    fn settling(&mut self, _pending: &Pending, _answer: Answer, _now: Timestamp) {}
    fn abandoned(&mut self, _pending: &Pending, _now: Timestamp) {}
    fn turn(&mut self, _turn: &Turn<'_>, _now: Timestamp) {}
    fn events(&mut self, _events: &[Event], _now: Timestamp) {}
}

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        let balancer = Balancer::new(policy).unwrap();
        Self {
            ledger: Ledger::new(balancer.policy()),
            balancer,
            now: Timestamp::from_millis(1_700_000_000_000),
            pending: Vec::new(),
            tails: Vec::new(),
            cookie: None,
            opened: 0,
        }
    }

    pub(crate) fn run(&mut self, ops: &[Op], watch: &mut impl Watch) {
        for op in ops {
            self.perform(op, watch);
        }
    }

    pub(crate) fn perform(&mut self, op: &Op, watch: &mut impl Watch) {
        match op {
            Op::Begin(request) => self.begin(request, watch),
            Op::Settle(index, answer) => {
                if let Some(index) = index.checked_rem(self.pending.len()) {
                    self.settle(index, *answer, watch);
                }
            }
            Op::Abandon(index) => {
                if let Some(index) = index.checked_rem(self.pending.len()) {
                    let pending = self.pending.remove(index);
                    watch.abandoned(&pending, self.now);
                    pending.then.abandon(&mut self.ledger, self.now);
                }
            }
            Op::Break(index) => {
                if let Some(index) = index.checked_rem(self.tails.len()) {
                    let tail = self.tails.remove(index);
                    self.balancer
                        .finish(tail, BodyEnd::Broken, &mut self.ledger, self.now);
                    watch.events(&self.ledger.take_events(), self.now);
                }
            }
            Op::Wait(millis) => self.now = self.now.after(Duration::from_millis(*millis)),
        }
    }

    fn begin(&mut self, request: &Request, watch: &mut impl Watch) {
        let mut lines = FieldLines::new();
        lines.push("x-key", [b'k', request.key]);
        if request.idempotency_key {
            lines.push("idempotency-key", "1");
        }
        if request.websocket {
            lines.push("connection", "upgrade");
            lines.push("upgrade", "websocket");
        }
        if let Some(cookie) = self.cookie.as_ref().filter(|_| request.session) {
            lines.push("cookie", cookie);
        }
        let head = RequestHead {
            method: request.method,
            scheme: request.scheme,
            authority: "lb.example",
            target: "/",
            peer: Some([192, 0, 2, 1].into()),
            body: request.body,
            fields: lines.fields(),
        };
        let step = self
            .balancer
            .begin(&head, &mut self.ledger, self.now, Seed(self.opened as u64));
        self.opened += 1;
        self.follow(self.opened, request.clone(), Vec::new(), step, watch);
    }

    pub(crate) fn settle(&mut self, index: usize, answer: Answer, watch: &mut impl Watch) {
        let pending = self.pending.remove(index);
        watch.settling(&pending, answer, self.now);
        let foretold = (pending.ordinary.clone())
            .filter(|_| answer.is_ordinary() && self.ledger.holds_nothing());
        let before = self.ledger.clone();
        let step = answer.with(|outcome| pending.then.settle(outcome, &mut self.ledger, self.now));
        if let Some(ordinary) = foretold {
            self.came_true(ordinary, &before, &step);
        }
        self.follow(pending.id, pending.request, pending.tried, step, watch);
    }

    /// To settle an exchange with an ordinary response would have told nothing new,
    /// to neither side.
    fn came_true(&self, ordinary: Ordinary, before: &Ledger, step: &Step) {
        let Step::Forward { edits, tail } = step else {
            panic!("forwarded, not {step:?}");
        };
        let additions = |edits: &Edits| {
            let text = String::from_utf8_lossy(edits.as_bytes()).into_owned();
            let lines = text.lines().filter(|line| !line.starts_with('-'));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut foretold = additions(&self.balancer.ordinary()[ordinary.edits]);
        foretold.extend(ordinary.session.iter().flat_map(additions));
        assert_eq!(foretold, additions(edits));
        assert_eq!(ordinary.tail, *tail);
        assert_eq!(self.ledger, *before);
    }

    fn follow(
        &mut self,
        id: usize,
        request: Request,
        mut tried: Vec<usize>,
        step: Step,
        watch: &mut impl Watch,
    ) {
        let (told, then) = match step {
            Step::Send { attempt, then } => (Told::Send(attempt), Some(then)),
            Step::Forward { edits, tail } => {
                self.tails.push(tail);
                self.remember_cookie(edits.as_bytes());
                (Told::Forward(edits.into_bytes(), tail), None)
            }
            Step::Reply(reply) => (Told::Reply(reply.status), None),
        };
        let events = self.ledger.take_events();
        watch.events(&events, self.now);
        let turn = Turn {
            id,
            request: &request,
            tried: &tried,
            told: &told,
            events: &events,
        };
        watch.turn(&turn, self.now);
        if let (Told::Send(attempt), Some(then)) = (told, then) {
            tried.push(attempt.backend);
            self.pending.push(Pending {
                id,
                request,
                tried,
                ordinary: attempt.ordinary,
                then,
            });
        }
    }

    fn remember_cookie(&mut self, edits: &[u8]) {
        let edits = String::from_utf8_lossy(edits);
        let set = edits
            .lines()
            .find_map(|line| line.strip_prefix("+set-cookie:"));
        if let Some(set) = set {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
    }
}

/// A request like any other.
pub(crate) const PLAIN: Request = Request {
    method: "GET",
    scheme: Scheme::Http,
    key: 0,
    idempotency_key: false,
    websocket: false,
    body: BodySize::None,
    session: false,
};

/// The first choice for a key, where nothing is known of any backend.
pub(crate) fn first_choice(balancer: &Balancer, key: &[u8]) -> usize {
    let mut lines = FieldLines::new();
    lines.push("x-key", key);
    let head = RequestHead {
        method: "GET",
        scheme: Scheme::Http,
        authority: "lb.example",
        target: "/",
        peer: Some([192, 0, 2, 1].into()),
        body: BodySize::None,
        fields: lines.fields(),
    };
    let mut ledger = Ledger::new(balancer.policy());
    match balancer.begin(&head, &mut ledger, Timestamp::default(), Seed(0)) {
        Step::Send { attempt, .. } => attempt.backend,
        step @ (Step::Forward { .. } | Step::Reply(_)) => panic!("sent, not {step:?}"),
    }
}
