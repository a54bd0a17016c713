//! Laws of attempts that are one for other requests, too.

use std::time::Duration;

use edgelb_balancer::{
    AffinityKey, Attempt, Balancer, BodySize, FieldLines, Ledger, Network, Policy, RequestHead,
    Reuse, Scheme, Seed, Step, Tail, Timestamp,
};
use proptest::prelude::*;

use crate::driver::{Answer, answer, backend};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const VALUES: &[&str] = &[
    "1",
    "upgrade",
    "close",
    "10.0.0.2",
    "https",
    "1.1 a",
    "a, b",
    "range, x-request-id",
    "edgelb",
    "1.1 edgelb, 1.1 edgelb, 1.1 edgelb",
];
/// Fields that may mean something, and some that do not.
const NAMES: &[&str] = &[
    "connection",
    "forwarded",
    "idempotency-key",
    "te",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-real-ip",
    "x-user",
];
/// Every name that means something, and some that may or do not.
const ALL_NAMES: &[&str] = &[
    "accept",
    "authorization",
    "cache-control",
    "cache_control",
    "cdn-loop",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "edgelb-peer",
    "forwarded",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "sec-websocket-key",
    "spin-client-addr",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-user",
    "x_user",
];

fn policy() -> impl Strategy<Value = Policy> {
    let key = prop_oneof![
        Just(AffinityKey::Ip),
        Just(AffinityKey::Path(1.try_into().unwrap())),
        Just(AffinityKey::Header("X-User".to_owned())),
        Just(AffinityKey::Header("Range".to_owned())),
        Just(AffinityKey::Cookie("a".to_owned())),
        Just(AffinityKey::None),
    ];
    let platform = prop_oneof![Just(None), Just(Some("x-user")), Just(Some("x_request_id"))];
    (key, platform, any::<[bool; 4]>()).prop_map(|(affinity_key, platform, flags)| Policy {
        backends: ["A", "B", "C"].map(|name| backend(name, 1, false)).into(),
        affinity_key,
        client_ip_header: platform.map(str::to_owned),
        sticky_sessions: flags[0],
        session_cookie_secret: flags[1].then(|| "secret".to_owned()),
        https_redirect: flags[2],
        trusted_proxies: (flags[3].then(|| Network::new([10, 0, 0, 0].into(), 8).unwrap()))
            .into_iter()
            .collect(),
        ..Policy::default()
    })
}

type Lines = Vec<(String, String)>;

fn lines(names: impl Strategy<Value = String>) -> impl Strategy<Value = Lines> {
    let value = prop::sample::select(VALUES).prop_map(str::to_owned);
    prop::collection::vec((names, value), 0..5)
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "/[a-z/?.]{0,12}",
        4 => "/[ab]{0,2}[/?]?[ab]{0,1}",
        1 => Just("*".to_owned()),
        1 => "/\\.well-known/(acme-challenge/x|edgelb/health|x)",
    ]
}

/// Whether a caller may take a target for another, of whose bytes so many matter.
fn stands_for(one: &str, other: &str, part: usize) -> bool {
    let rest = other.strip_prefix(&one[..part]);
    let same = |rest: &str| part == 0 || rest.is_empty() || rest.starts_with(['/', '?']);
    rest.is_some_and(same) && other.starts_with('/') && !other.starts_with("/.well-known/")
}

/// What is the same for both requests.
#[derive(Clone, Debug)]
struct Same {
    method: &'static str,
    scheme: Scheme,
    fields: Lines,
    session: bool,
}

fn same() -> impl Strategy<Value = Same> {
    let method = prop_oneof![4 => Just("GET"), 1 => Just("POST"), 1 => Just("OPTIONS")];
    let scheme = prop_oneof![Just(Scheme::Http), Just(Scheme::Https)];
    let names = prop::sample::select(NAMES).prop_map(str::to_owned);
    (method, scheme, lines(names), prop::bool::weighted(0.6)).prop_map(
        |(method, scheme, fields, session)| Same {
            method,
            scheme,
            fields,
            session,
        },
    )
}

/// A balancer, and the session that a client of it has.
struct World {
    balancer: Balancer,
    ledger: Ledger,
    session: Option<String>,
}

impl World {
    fn new(policy: Policy, same: &Same) -> Self {
        let balancer = Balancer::new(policy).unwrap();
        let ledger = Ledger::new(balancer.policy());
        let mut world = Self {
            balancer,
            ledger,
            session: None,
        };
        if same.session {
            world.session = world.set_session();
        }
        world
    }

    fn set_session(&mut self) -> Option<String> {
        let lines = FieldLines::new();
        let head = RequestHead {
            method: "GET",
            scheme: Scheme::Https,
            authority: "lb.example",
            target: "/",
            peer: Some([10, 0, 0, 1].into()),
            body: BodySize::None,
            fields: lines.fields(),
        };
        let step = self.balancer.begin(&head, &mut self.ledger, NOW, Seed(0));
        let Step::Send { then, .. } = step else {
            return None;
        };
        let step = Answer::Status(200).with(|outcome| then.settle(outcome, &mut self.ledger, NOW));
        let Step::Forward { edits, .. } = step else {
            return None;
        };
        let edits = String::from_utf8(edits.into_bytes()).unwrap();
        let set = edits
            .lines()
            .find_map(|line| line.strip_prefix("+set-cookie:"))?;
        set.split(';').next().map(str::to_owned)
    }

    /// Shows a head of this target, with fields that change nothing before all others.
    fn head<R>(
        &self,
        same: &Same,
        target: &str,
        varied: &Lines,
        show: impl FnOnce(&RequestHead<'_>) -> R,
    ) -> R {
        let mut lines = FieldLines::new();
        for (name, value) in varied.iter().chain(&same.fields) {
            lines.push(name, value);
        }
        if let Some(session) = &self.session {
            lines.push("cookie", format!("a=1; {session}"));
        }
        show(&RequestHead {
            method: same.method,
            scheme: same.scheme,
            authority: "lb.example",
            target,
            peer: Some([10, 0, 0, 1].into()),
            body: BodySize::None,
            fields: lines.fields(),
        })
    }

    fn begin(
        &mut self,
        same: &Same,
        target: &str,
        varied: &Lines,
        now: Timestamp,
        seed: u64,
    ) -> Step {
        let (balancer, mut ledger) = (self.balancer.clone(), self.ledger.clone());
        let step = self.head(same, target, varied, |head| {
            balancer.begin(head, &mut ledger, now, Seed(seed))
        });
        self.ledger = ledger;
        step
    }
}

/// What an attempt is but for when it began.
fn undated(attempt: Attempt) -> Attempt {
    let ordinary = attempt.ordinary.map(|mut ordinary| {
        ordinary.tail.began = NOW;
        ordinary
    });
    Attempt {
        ordinary,
        ..attempt
    }
}

fn reuse(attempt: &Attempt) -> Option<Reuse> {
    attempt.ordinary.as_ref().and_then(|it| it.reuse)
}

/// Those of the fields that callers may take for such as change nothing.
fn irrelevant(balancer: &Balancer, mut lines: Lines) -> Lines {
    let relevant: Vec<_> = balancer.relevant().collect();
    let matters = |name: &str| {
        name.contains('_')
            || relevant.iter().any(|it| match it.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == it,
            })
    };
    lines.retain(|(name, _)| !matters(name));
    lines
}

/// Up to a day, and often less than a second.
fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![0..1_500_u64, 0..86_400_000_u64]
}

/// Fields of which some change nothing.
fn any_lines() -> impl Strategy<Value = Lines> {
    lines(prop_oneof![
        3 => prop::sample::select(ALL_NAMES).prop_map(str::to_owned),
        1 => "(x-|x_|spin-|edgelb-|x-forwarded-|proxy-|)[a-z]{1,8}",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn what_is_reused_is_what_would_be_decided(
        policy in policy(),
        same in same(),
        targets in [target(), target()],
        fields in [any_lines(), any_lines()],
        waits in [wait(), wait()],
        seeds in any::<[u64; 2]>(),
    ) {
        let mut world = World::new(policy, &same);
        let [before, after] = fields.map(|it| irrelevant(&world.balancer, it));
        let now = NOW.after(Duration::from_millis(waits[0]));
        let first = world.begin(&same, &targets[0], &before, now, seeds[0]);
        let Step::Send { attempt: first, then } = first else { return Ok(()) };
        then.abandon(&mut world.ledger, now);
        let later = now.after(Duration::from_millis(waits[1]));
        let may_be = |reuse: Reuse| {
            later < reuse.until && stands_for(&targets[0], &targets[1], reuse.path)
        };
        if !reuse(&first).is_some_and(may_be) {
            return Ok(());
        }
        match world.begin(&same, &targets[1], &after, later, seeds[1]) {
            Step::Send { attempt, then } => {
                then.abandon(&mut world.ledger, later);
                prop_assert_eq!(attempt.ordinary.as_ref().unwrap().tail.began, later);
                prop_assert_eq!(undated(attempt), undated(first));
            }
            step @ (Step::Forward { .. } | Step::Reply(_)) => prop_assert!(false, "{:?}", step),
        }
        prop_assert!(world.ledger.holds_nothing());
    }

    #[test]
    fn what_is_adopted_goes_on_as_if_it_had_begun(
        policy in policy(),
        same in same(),
        targets in [target(), target()],
        wait in wait(),
        answers in prop::collection::vec(answer(), 1..4),
        failed in prop::option::of(answer()),
    ) {
        let mut world = World::new(policy, &same);
        let [planned, target] = targets;
        let Step::Send { attempt, then } = world.begin(&same, &planned, &Vec::new(), NOW, 1) else {
            return Ok(());
        };
        then.abandon(&mut world.ledger, NOW);
        let began = NOW.after(Duration::from_millis(wait));
        let may_be = |reuse: Reuse| {
            began < reuse.until && stands_for(&planned, &target, reuse.path)
        };
        if !reuse(&attempt).is_some_and(may_be) {
            return Ok(());
        }
        let begun = world.begin(&same, &target, &Vec::new(), began, 1);
        let Step::Send { mut then, .. } = begun else { panic!("sent, not {begun:?}") };
        let tail = Tail { backend: attempt.backend, began };
        // Others may have failed meanwhile.
        if let Some(answer) = failed
            && let Step::Send { then, .. } = world.begin(&same, &target, &Vec::new(), began, 2)
        {
            let _ = answer.with(|outcome| then.settle(outcome, &mut world.ledger, began));
        }
        let (balancer, mut other) = (world.balancer.clone(), world.ledger.clone());
        let mut adopted = world.head(&same, &target, &Vec::new(), |head| {
            balancer.adopt(head, tail, &mut other, Seed(1)).unwrap()
        });
        for (number, answer) in answers.into_iter().enumerate() {
            let now = began.after(Duration::from_millis(1 + number as u64));
            let one = answer.with(|outcome| then.settle(outcome, &mut world.ledger, now));
            let two = answer.with(|outcome| adopted.settle(outcome, &mut other, now));
            prop_assert_eq!(&world.ledger, &other);
            match (one, two) {
                (Step::Send { attempt: one, then: next }, Step::Send { attempt: two, then: its }) => {
                    prop_assert_eq!(one, two);
                    (then, adopted) = (next, its);
                }
                (one, two) => {
                    prop_assert_eq!(format!("{one:?}"), format!("{two:?}"));
                    return Ok(());
                }
            }
        }
        then.abandon(&mut world.ledger, NOW);
        adopted.abandon(&mut other, NOW);
    }
}

/// The laws above would hold of nothing, too.
#[test]
fn a_client_that_comes_back_is_not_decided_about_again() {
    let policy = |sticky_sessions, affinity_key| Policy {
        backends: ["A", "B"].map(|name| backend(name, 1, false)).into(),
        sticky_sessions,
        affinity_key,
        ..Policy::default()
    };
    let half = NOW.after(Duration::from_secs(43_200));
    let second = NOW.after(Duration::from_secs(1));
    let end = Timestamp::from_millis(u64::MAX);
    let path = || AffinityKey::Path(1.try_into().unwrap());
    let header = || AffinityKey::Header("x-user".to_owned());
    for (policy, session, target, expected) in [
        (policy(true, AffinityKey::Ip), true, "/", Some((half, 0))),
        (policy(true, AffinityKey::None), true, "/", Some((half, 0))),
        (policy(true, path()), true, "/a/b", Some((half, 0))),
        (policy(true, AffinityKey::Ip), false, "/", Some((second, 0))),
        (policy(true, path()), false, "/aa/b", Some((second, 3))),
        (policy(true, AffinityKey::None), false, "/", None),
        (policy(true, AffinityKey::Ip), true, "/.well-known/x", None),
        (policy(true, AffinityKey::Ip), true, "*", None),
        (policy(false, AffinityKey::Ip), false, "/", Some((end, 0))),
        (policy(false, header()), false, "/", Some((end, 0))),
        (policy(false, path()), false, "/aa/b", Some((end, 3))),
        (policy(false, path()), false, "/", None),
        (policy(false, AffinityKey::None), false, "/", None),
    ] {
        let expected = expected.map(|(until, path)| Reuse { until, path });
        let same = Same {
            method: if target == "*" { "OPTIONS" } else { "GET" },
            scheme: Scheme::Https,
            fields: Vec::new(),
            session,
        };
        let mut world = World::new(policy, &same);
        let Step::Send { attempt, then } = world.begin(&same, target, &Vec::new(), NOW, 0) else {
            panic!("{target} is not sent")
        };
        assert_eq!(reuse(&attempt), expected, "{session} {target}");
        // While one is down, and the next attempt after a failure, is another matter.
        let failed = Answer::Status(500);
        let step = failed.with(|outcome| then.settle(outcome, &mut world.ledger, NOW));
        let Step::Send { attempt, then } = step else {
            panic!("{target} is not sent again")
        };
        assert_eq!(reuse(&attempt), None);
        then.abandon(&mut world.ledger, NOW);
        if let Step::Send { attempt, then } = world.begin(&same, target, &Vec::new(), NOW, 0) {
            assert_eq!(reuse(&attempt), None);
            then.abandon(&mut world.ledger, NOW);
        }
    }
}
