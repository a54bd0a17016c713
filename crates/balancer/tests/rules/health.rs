//! Who is left out, for how long, and what happens when all are.

use edgelb_balancer::{BodyEnd, Cause, Delivery, Event, Reason, Scheme};

use crate::scenario::{Answer, ERROR, GET, OK, REFUSED, Request, Scenario, TIMEOUT, backend};

/// The order in which the backends are tried for a key.
fn order(scenario: &mut Scenario, key: &str) -> Vec<usize> {
    let mut sent = scenario.send(Request { key, ..GET });
    let mut order = vec![sent.backend];
    while order.len() < scenario.balancer.policy().backends.len() {
        sent = scenario.settle(sent, REFUSED).sent();
        order.push(sent.backend);
    }
    order
}

#[test]
fn failures_are_told_from_answers() {
    let own = Answer::Failed(Cause::InternalError, Delivery::NotSent);
    let table = [
        ("connect failure", REFUSED, true),
        ("timeout", TIMEOUT, true),
        ("500", Answer::Response(500, ""), true),
        ("501", Answer::Response(501, ""), false),
        ("505", Answer::Response(505, ""), false),
        ("429", Answer::Response(429, ""), false),
        ("404", Answer::Response(404, ""), false),
        ("200", OK, false),
        ("our own", own, false),
    ];
    for (case, answer, ejects) in table {
        let mut scenario = Scenario::new(|_| {});
        let sent = scenario.send(GET);
        scenario.settle(sent, answer);
        assert_eq!(scenario.ledger.next_trial().is_some(), ejects, "{case}");
    }
}

#[test]
fn an_ejection_is_told_with_its_reason() {
    let reason = |mut scenario: Scenario| match scenario.ledger.take_events()[..] {
        [Event::Ejected { reason, .. }] => reason,
        ref events => panic!("one ejection, not {events:?}"),
    };
    let table = [
        (REFUSED, Reason::Failed(Cause::ConnectionRefused)),
        (TIMEOUT, Reason::Failed(Cause::HttpResponseTimeout)),
        (Answer::Response(500, ""), Reason::Status(500)),
        (
            Answer::Response(503, "retry-after:7\n"),
            Reason::Status(503),
        ),
        (
            Answer::Response(101, ""),
            Reason::Failed(Cause::HttpProtocolError),
        ),
    ];
    for (answer, expected) in table {
        let mut scenario = Scenario::new(|_| {});
        let sent = scenario.send(GET);
        scenario.settle(sent, answer);
        assert_eq!(reason(scenario), expected);
    }

    let mut scenario = Scenario::new(|_| {});
    let tail = scenario.exchange(GET, &[OK]).tail();
    let balancer = scenario.balancer.clone();
    balancer.finish(tail, BodyEnd::Broken, &mut scenario.ledger, scenario.now);
    assert_eq!(reason(scenario), Reason::BodyBroken);

    let mut scenario = Scenario::new(|policy| {
        policy.failure_threshold = std::num::NonZeroU32::MIN.saturating_add(1);
    });
    for answer in [TIMEOUT, ERROR] {
        let sent = scenario.send(GET);
        scenario.settle(sent, answer);
    }
    assert_eq!(reason(scenario), Reason::Status(500), "the last failure's");
}

#[test]
fn an_ejected_backend_is_skipped_and_tried_once_when_its_time_is_over() {
    let mut scenario = Scenario::new(|_| {});
    let key = scenario.key_of(1);
    let request = Request { key: &key, ..GET };
    scenario.eject(1);
    assert_eq!(
        scenario.ledger.take_events(),
        [Event::Ejected {
            backend: 1,
            until: scenario.now.after(std::time::Duration::from_secs(30)),
            reason: Reason::Failed(Cause::HttpResponseTimeout),
        }]
    );
    assert_ne!(scenario.send(request).backend, 1);
    scenario.wait(29_999);
    assert_ne!(scenario.send(request).backend, 1);
    scenario.wait(1);
    let trial = scenario.send(request);
    assert_eq!(trial.backend, 1);
    assert_eq!(scenario.ledger.take_events(), [Event::Trial { backend: 1 }]);
    for _ in 0..100 {
        assert_ne!(scenario.send(request).backend, 1, "half open is not open");
    }
    scenario.settle(trial, OK).forwarded();
    assert_eq!(
        scenario.ledger.take_events(),
        [Event::Recovered { backend: 1 }]
    );
    assert_eq!(scenario.send(request).backend, 1);
}

#[test]
fn a_trial_whose_client_goes_away_is_anyone_s() {
    let mut scenario = Scenario::new(|_| {});
    let key = scenario.key_of(1);
    let request = Request { key: &key, ..GET };
    scenario.eject(1);
    scenario.wait(30_000);
    let trial = scenario.send(request);
    trial.then.abandon(&mut scenario.ledger, scenario.now);
    assert_eq!(scenario.send(request).backend, 1);
}

#[test]
fn a_client_that_goes_away_counts_for_nobody() {
    let mut scenario = Scenario::new(|_| {});
    let sent = scenario.send(GET);
    sent.then.abandon(&mut scenario.ledger, scenario.now);
    assert!(scenario.ledger.next_trial().is_none() && !scenario.ledger.take_changed());
    let tail = scenario.exchange(GET, &[OK]).tail();
    let end = BodyEnd::Abandoned;
    scenario
        .balancer
        .finish(tail, end, &mut scenario.ledger, scenario.now);
    assert!(scenario.ledger.next_trial().is_none());
}

#[test]
fn a_body_that_breaks_off_counts_even_after_a_recovery() {
    let mut scenario = Scenario::new(|_| {});
    let key = scenario.key_of(1);
    let request = Request { key: &key, ..GET };
    for _ in 0..2 {
        let tail = scenario.exchange(request, &[OK]).tail();
        let end = BodyEnd::Broken;
        scenario
            .balancer
            .finish(tail, end, &mut scenario.ledger, scenario.now);
        assert!(scenario.ledger.next_trial().is_some());
        scenario.wait(300_000);
    }
    // Of the response whose head came first, nothing is said by its end.
    let tail = scenario.exchange(request, &[OK]).tail();
    scenario.wait(1);
    scenario.eject(1);
    scenario.wait(300_000);
    scenario.exchange(request, &[OK]).forwarded();
    let end = BodyEnd::Broken;
    scenario
        .balancer
        .finish(tail, end, &mut scenario.ledger, scenario.now);
    assert!(scenario.ledger.next_trial().is_none());
}

#[test]
fn with_three_backends_two_can_be_out_and_even_all() {
    let mut scenario = Scenario::new(|_| {});
    scenario.eject(0);
    scenario.eject(1);
    for key in 0..20 {
        let key = key.to_string();
        assert_eq!(scenario.send(Request { key: &key, ..GET }).backend, 2);
    }
    scenario.eject(2);
    // All are, so all are asked, in the order of the hash.
    for backend in 0..3 {
        let key = scenario.key_of(backend);
        let sent = scenario.send(Request { key: &key, ..GET });
        assert_eq!(sent.backend, backend);
    }
}

#[test]
fn an_answer_while_all_are_out_brings_one_back() {
    let mut scenario = Scenario::new(|_| {});
    for backend in 0..3 {
        scenario.eject(backend);
    }
    let key = scenario.key_of(1);
    scenario
        .exchange(Request { key: &key, ..GET }, &[OK])
        .forwarded();
    for key in 0..20 {
        let key = key.to_string();
        assert_eq!(scenario.send(Request { key: &key, ..GET }).backend, 1);
    }
}

#[test]
fn an_ejected_one_is_asked_when_the_others_have_failed() {
    let mut scenario = Scenario::new(|_| {});
    scenario.eject(0);
    let key = scenario.key_of(0);
    let order = order(&mut scenario, &key);
    assert_eq!(order[2], 0);
}

#[test]
fn a_drained_backend_is_better_than_none() {
    let mut scenario = Scenario::new(|policy| {
        policy.backends[0].drain = true;
        policy.max_retries = 0;
    });
    scenario.eject(1);
    scenario.eject(2);
    for key in 0..20 {
        let key = key.to_string();
        assert_eq!(scenario.send(Request { key: &key, ..GET }).backend, 0);
    }
}

#[test]
fn the_order_of_failover_is_that_of_the_hash() {
    for key in 0..20 {
        let key = key.to_string();
        let mut scenario = Scenario::new(|_| {});
        let order = order(&mut scenario, &key);
        let mut without = Scenario::new(|policy| {
            policy.backends.remove(order[0]);
        });
        let second = without.send(Request { key: &key, ..GET }).backend;
        let name = &without.balancer.policy().backends[second].name;
        assert_eq!(*name, scenario.balancer.policy().backends[order[1]].name);
    }
}

#[test]
fn more_backends_than_bits() {
    let mut scenario = Scenario::new(|policy| {
        policy.backends = (0..100)
            .map(|index| backend(&format!("B{index}")))
            .collect();
        policy.max_retries = u32::MAX;
    });
    let mut order = order(&mut scenario, "k");
    order.sort_unstable();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_policy_that_cannot_work_is_refused() {
    use edgelb_balancer::{Balancer, Policy, PolicyError};
    let refused = |policy| Balancer::new(policy).err();
    assert_eq!(refused(Policy::default()), Some(PolicyError::NoBackend));
    let twice = Policy {
        backends: vec![backend("A"), backend("B"), backend("A")],
        ..Policy::default()
    };
    assert_eq!(
        refused(twice),
        Some(PolicyError::DuplicateBackend("A".to_owned()))
    );
    let cookie = Policy {
        backends: vec![backend("A")],
        session_cookie_name: "a;b".to_owned(),
        ..Policy::default()
    };
    assert_eq!(
        refused(cookie),
        Some(PolicyError::CookieName("a;b".to_owned()))
    );
}

#[test]
fn own_answers_come_from_begin() {
    use edgelb_balancer::{BodySize, Fields, RequestHead, Seed, Step};
    let mut scenario = Scenario::new(|policy| {
        policy.status_token = Some("t".to_owned());
        policy.primary_domains = vec!["lb.example".to_owned()];
        policy.https_redirect = true;
    });
    let mut status = |method, authority, target| {
        let head = RequestHead {
            method,
            scheme: Scheme::Http,
            authority,
            target,
            peer: None,
            body: BodySize::None,
            fields: Fields::new(b"authorization:Bearer t\n"),
        };
        match scenario
            .balancer
            .begin(&head, &mut scenario.ledger, scenario.now, Seed(0))
        {
            Step::Reply(reply) => reply.status,
            step @ (Step::Send { .. } | Step::Forward { .. }) => panic!("a reply, not {step:?}"),
        }
    };
    assert_eq!(status("GET", "user@lb.example", "/"), 400);
    assert_eq!(status("GET", "any", "/.well-known/edgelb/health"), 200);
    assert_eq!(status("GET", "any", "/.well-known/edgelb/status"), 200);
    assert_eq!(status("GET", "any", "/"), 421);
    assert_eq!(status("GET", "lb.example", "/"), 301);
    assert_eq!(status("POST", "lb.example", "/"), 308);
}
