//! Each law, broken by the least that breaks it.
#![expect(clippy::unwrap_used, reason = "tests")]

use http::Method;

use super::super::trace::{Entry, Isolate};
use super::*;
use crate::exchange::bindings::{Backend as Configured, Scheme, Setting};
use crate::sim::scenario::{Backend, Clients};
use crate::sim::trace::{Client, Names};
use crate::upstream::Cause;

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
    let lost = |at| Entry::Lost {
        at,
        isolate: ISOLATE,
        reason: String::new(),
    };
    assert_eq!(broken(vec![lost(105), given_up()]), []);
    assert_eq!(broken(vec![lost(99), given_up()]), [Law::Persistent]);
    let exceeded = |request| Entry::Exceeded {
        at: 105,
        isolate: None,
        request,
        limit: "cpu-time",
    };
    assert_eq!(broken(vec![exceeded(Some(1)), given_up()]), []);
    assert_eq!(
        broken(vec![exceeded(Some(2)), given_up()]),
        [Law::Persistent]
    );
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
    assert_eq!(counts, [9, 7, 1]);
    let violation = check(&trace, &scenario(), Some(&configuration()), false);
    let told = violation.first().unwrap().to_string();
    assert!(told.contains("request 1, made at 100 ms"), "{told}");
}
