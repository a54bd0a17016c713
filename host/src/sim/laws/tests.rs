//! Each law, broken by the least that breaks it.
#![expect(clippy::unwrap_used, reason = "tests")]

use http::Method;

use super::*;
use crate::exchange::bindings::{Backend as Configured, Scheme, Setting};
use crate::sim::limits::Preset;
use crate::sim::scenario::{Backend, Clients};
use crate::sim::trace::{Attempt, Client, Entry, Exchange, Isolate, Names, Outcome};
use crate::upstream::{Cause, Delivery};

const ISOLATE: Isolate = Isolate {
    location: 0,
    number: 0,
};

/// Backends A, B and C, one group of clients.
fn scenario() -> Scenario {
    let mut scenario = Scenario::new("");
    scenario.backends = ["A", "B", "C"].map(Backend::new).into();
    scenario.clients = vec![Clients::at_rate("people", 1.0)];
    scenario
}

fn configuration() -> EffectiveConfiguration {
    let setting = |name: &str, value: &str| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        default: true,
    };
    let backend = |name: &str| Configured {
        name: name.to_owned(),
        scheme: Scheme::Http,
        authority: format!("{name}.test"),
        weight: 1,
        drain: false,
    };
    EffectiveConfiguration {
        backends: ["A", "B", "C"].map(backend).into(),
        connect_timeout: 5000,
        first_byte_timeout: 30_000,
        idle_timeout: 300_000,
        replay_limit: 65_536,
        ordinary: Vec::new(),
        relevant: Vec::new(),
        settings: vec![
            setting("MAX_RETRIES", "2"),
            setting("STICKY_SESSIONS", "true"),
        ],
    }
}

fn attempt(backend: usize, outcome: Outcome) -> Attempt {
    Attempt {
        backend: Some(backend),
        begun: 100,
        ended: 110,
        outcome,
        length: None,
    }
}

const OK: Outcome = Outcome::Status(200);
const REFUSED: Outcome = Outcome::Failed(Cause::ConnectionRefused, Delivery::NotSent);
const RESET: Outcome = Outcome::Failed(Cause::ConnectionTerminated, Delivery::MaybeSent);

/// A GET that was answered by the last of these.
fn exchange(attempts: Vec<Attempt>) -> Exchange {
    let last = attempts.last();
    let status = match last.map(|last| last.outcome) {
        Some(Outcome::Status(status)) => status,
        _ => 502,
    };
    Exchange {
        id: 1,
        begun: 100,
        location: 0,
        isolate: Some(ISOLATE),
        client: Some(Client {
            group: 0,
            number: 0,
        }),
        method: Method::GET,
        repeatable: false,
        session: None,
        status: Some(status),
        answered: 110,
        end: End::Whole,
        ended: 110,
        bytes: 0,
        by: last.filter(|_| status == 200).and_then(|last| last.backend),
        attempts,
    }
}

fn ejected(at: u64, backend: usize) -> Entry {
    Entry::Ejected {
        at,
        isolate: ISOLATE,
        backend,
        until: at + 1000,
        reason: String::new(),
    }
}

fn lost_at(at: u64) -> Entry {
    Entry::Lost {
        at,
        isolate: ISOLATE,
        reason: String::new(),
    }
}

fn exceeded(request: u64, limit: &'static str) -> Entry {
    Entry::Exceeded {
        at: 105,
        isolate: Some(ISOLATE),
        request: Some(request),
        limit,
    }
}

fn broken(entries: Vec<Entry>) -> Vec<Law> {
    let trace = Trace {
        entries,
        names: Names::default(),
    };
    let violations = check(&trace, &scenario(), Some(&configuration()), true);
    let mut laws: Vec<_> = violations.iter().map(|it| it.law).collect();
    laws.dedup();
    laws
}

/// What one exchange breaks, as it was changed.
fn of(attempts: Vec<Attempt>, change: impl FnOnce(&mut Exchange)) -> Vec<Law> {
    let mut exchange = exchange(attempts);
    change(&mut exchange);
    broken(vec![Entry::Exchange(exchange)])
}

fn post(exchange: &mut Exchange) {
    exchange.method = Method::POST;
}

#[test]
fn what_is_as_it_should_be_breaks_none() {
    assert_eq!(of(vec![attempt(0, OK)], |_| {}), []);
    assert_eq!(of(vec![attempt(0, REFUSED), attempt(1, OK)], |_| {}), []);
    assert_eq!(of(vec![attempt(0, REFUSED), attempt(1, OK)], post), []);
    assert_eq!(of(vec![attempt(0, RESET)], post), []);
    let all = vec![attempt(0, REFUSED), attempt(1, RESET), attempt(2, REFUSED)];
    assert_eq!(of(all, |_| {}), []);
    assert_eq!(of(vec![attempt(0, Outcome::Status(501))], |_| {}), []);
    let left = |it: &mut Exchange| (it.end, it.status) = (End::Left, None);
    assert_eq!(of(vec![attempt(0, Outcome::Cancelled)], left), []);
}

#[test]
fn whoever_waits_is_answered() {
    assert_eq!(
        of(vec![attempt(0, OK)], |it| it.status = None),
        [Law::Answered]
    );
}

#[test]
fn retries_are_bounded_and_go_elsewhere() {
    let mut attempts: Vec<_> = (0..3).map(|backend| attempt(backend, REFUSED)).collect();
    attempts.push(attempt(0, OK));
    assert_eq!(of(attempts, |_| {}), [Law::Bounded, Law::AnotherBackend]);
}

#[test]
fn what_may_not_be_repeated_is_delivered_once() {
    let attempts = || vec![attempt(0, RESET), attempt(1, OK)];
    assert_eq!(of(attempts(), post), [Law::DeliveredOnce]);
    assert_eq!(of(attempts(), |_| {}), []);
    let keyed = |it: &mut Exchange| (it.method, it.repeatable) = (Method::POST, true);
    assert_eq!(of(attempts(), keyed), []);
}

#[test]
fn what_was_answered_is_final() {
    for status in [200, 404, 429, 501] {
        let attempts = vec![attempt(0, Outcome::Status(status)), attempt(1, OK)];
        assert_eq!(of(attempts, |_| {}), [Law::Final], "{status}");
    }
    let attempts = vec![attempt(0, Outcome::Status(503)), attempt(1, OK)];
    assert_eq!(of(attempts, |_| {}), []);
}

#[test]
fn what_fails_is_not_given_up_too_soon() {
    assert_eq!(of(vec![attempt(0, REFUSED)], |_| {}), [Law::Persistent]);
    assert_eq!(
        of(vec![attempt(0, Outcome::Status(500))], |_| {}),
        [Law::Persistent]
    );
    assert_eq!(
        of(Vec::new(), |it| it.status = Some(503)),
        [Law::Persistent]
    );
    assert_eq!(of(Vec::new(), |it| it.status = Some(308)), []);
}

#[test]
fn the_client_gets_what_the_backend_answered() {
    let cases: [fn(&mut Exchange); 3] = [
        |it| it.status = Some(201),
        |it| it.by = Some(2),
        |it| it.attempts[0].length = Some(5),
    ];
    for change in cases {
        assert_eq!(of(vec![attempt(0, OK)], change), [Law::Faithful]);
    }
    let all = (0..3).map(|backend| attempt(backend, REFUSED)).collect();
    assert_eq!(of(all, |it| it.status = Some(200)), [Law::Faithful]);
    assert_eq!(of(Vec::new(), |it| it.status = Some(200)), [Law::Faithful]);
}

#[test]
fn an_ejected_backend_is_left_alone_while_another_admits() {
    let sent = || Entry::Exchange(exchange(vec![attempt(0, OK)]));
    assert_eq!(broken(vec![ejected(50, 0), sent()]), [Law::Ejected]);
    // In the same millisecond, either may have come first.
    assert_eq!(broken(vec![ejected(100, 0), sent()]), []);
    // None of the others admits.
    assert_eq!(
        broken(vec![ejected(50, 0), ejected(51, 1), ejected(52, 2), sent()]),
        []
    );
    let recovered = Entry::Recovered {
        at: 60,
        isolate: ISOLATE,
        backend: 0,
    };
    assert_eq!(broken(vec![ejected(50, 0), recovered, sent()]), []);
    // Another isolate knows nothing of it.
    let elsewhere = Isolate {
        number: 1,
        ..ISOLATE
    };
    let mut other = exchange(vec![attempt(0, OK)]);
    other.isolate = Some(elsewhere);
    assert_eq!(broken(vec![ejected(50, 0), Entry::Exchange(other)]), []);
}

#[test]
fn a_session_stays_with_its_backend_as_long_as_that_admits() {
    let mut strayed = exchange(vec![attempt(1, OK)]);
    strayed.session = Some(0);
    assert_eq!(
        broken(vec![Entry::Exchange(strayed.clone())]),
        [Law::Sticky]
    );
    assert_eq!(broken(vec![ejected(50, 0), Entry::Exchange(strayed)]), []);
}

#[test]
fn what_the_platform_did_is_not_the_balancers_doing() {
    let given_up = || Entry::Exchange(exchange(vec![attempt(0, REFUSED)]));
    assert_eq!(broken(vec![lost_at(105), given_up()]), []);
    assert_eq!(broken(vec![lost_at(99), given_up()]), [Law::Persistent]);
    let exceeded = |request| exceeded(request, "response-header-size");
    assert_eq!(broken(vec![exceeded(1), given_up()]), []);
    assert_eq!(broken(vec![exceeded(2), given_up()]), [Law::Persistent]);
}

#[test]
fn what_exceeds_a_limit_gets_what_the_platform_gives_and_is_told_of_once() {
    let broken = |limits: &[&'static str], exchange: Exchange, lost: bool| {
        let entries = limits.iter().map(|limit| exceeded(1, limit));
        let mut entries: Vec<_> = entries.chain([Entry::Exchange(exchange)]).collect();
        if lost {
            entries.push(lost_at(105));
        }
        let mut scenario = scenario();
        scenario.limits = Preset::CloudflareFree.into();
        let trace = Trace {
            entries,
            names: Names::default(),
        };
        let violations = check(&trace, &scenario, None, true);
        assert!(violations.iter().all(|it| it.law == Law::Granted));
        violations.len()
    };
    let answered = |status| Exchange {
        status: Some(status),
        ..exchange(vec![attempt(0, OK)])
    };
    assert_eq!(broken(&["cpu-time"], answered(503), true), 0);
    assert_eq!(broken(&["cpu-time"], answered(200), true), 1);
    assert_eq!(broken(&["cpu-time"], answered(503), false), 1);
    assert_eq!(broken(&["cpu-time"; 2], answered(503), true), 1);
    assert_eq!(broken(&["url-size"], answered(414), false), 0);
    assert_eq!(broken(&["url-size"], answered(400), false), 1);
    // What had left before is not taken back.
    let before = Exchange {
        answered: 104,
        ..answered(200)
    };
    assert_eq!(broken(&["cpu-time"], before.clone(), true), 0);
    assert_eq!(broken(&["cpu-time"], before.clone(), false), 1);
    assert_eq!(broken(&["wall-time"], before.clone(), false), 0);
    assert_eq!(broken(&["wall-time"], answered(200), false), 1);
    assert_eq!(broken(&["url-size"], before, false), 1);

    let denied = Outcome::Failed(Cause::HttpRequestDenied, Delivery::NotSent);
    let denied = |count| exchange(vec![attempt(0, denied); count]);
    for (told, count) in [(1, 0), (0, 1), (2, 1), (2, 3)] {
        let told = vec!["subrequests"; told];
        assert_eq!(broken(&told, denied(count), false), 1);
    }
    assert_eq!(broken(&["subrequests"; 2], denied(2), false), 0);
}

#[test]
fn fewer_laws_are_checked_of_what_tells_less() {
    let lawless = Entry::Exchange(exchange(vec![attempt(0, REFUSED)]));
    let trace = Trace {
        entries: vec![ejected(50, 0), lawless],
        names: Names::default(),
    };
    assert_eq!(check(&trace, &scenario(), None, false), []);
    let counts = [(true, true), (true, false), (false, false)];
    let counts = counts.map(|(configured, tells)| checked(configured, tells).len());
    assert_eq!(counts, [10, 8, 2]);
    let violation = check(&trace, &scenario(), Some(&configuration()), false);
    let told = violation.first().unwrap().to_string();
    assert!(told.contains("request 1, made at 100 ms"), "{told}");
}
