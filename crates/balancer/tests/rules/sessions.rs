//! Stickiness: where a client goes again, and how it is told.

use edgelb_balancer::Scheme;

use crate::scenario::{Answer, ERROR, GET, OK, POST, REFUSED, Request, Scenario, TIMEOUT};

/// The cookie that a response sets, as the client sends it back.
fn cookie(fields: &[String]) -> Option<String> {
    let set = fields
        .iter()
        .find_map(|line| line.strip_prefix("set-cookie:"))?;
    Some(format!("cookie:{}\n", set.split(';').next()?))
}

/// Opens a session with a backend by a request whose key leads there.
fn session_with(scenario: &mut Scenario, backend: usize) -> String {
    let key = scenario.key_of(backend);
    let fields = scenario
        .exchange(Request { key: &key, ..GET }, &[OK])
        .forwarded();
    cookie(&fields).expect("a first answer makes a session")
}

#[test]
fn a_session_outweighs_the_hash() {
    let mut scenario = Scenario::new(|_| {});
    let elsewhere = scenario.key_of(0);
    for backend in 0..3 {
        let fields = session_with(&mut scenario, backend);
        let request = Request {
            key: &elsewhere,
            fields: &fields,
            ..GET
        };
        assert_eq!(scenario.send(request).backend, backend);
    }
}

#[test]
fn a_session_is_told_only_when_it_changes_or_ages() {
    let mut scenario = Scenario::new(|_| {});
    let fields = session_with(&mut scenario, 1);
    let request = Request {
        fields: &fields,
        ..GET
    };
    let told = |scenario: &mut Scenario| cookie(&scenario.exchange(request, &[OK]).forwarded());
    assert_eq!(told(&mut scenario), None);
    scenario.wait(43_199_000);
    assert_eq!(told(&mut scenario), None);
    scenario.wait(1_000);
    assert!(told(&mut scenario).is_some_and(|renewed| renewed != fields));
    // It moves with the client.
    let moved = scenario.exchange(request, &[TIMEOUT, OK]).forwarded();
    assert!(cookie(&moved).is_some());
}

#[test]
fn no_session_where_none_belongs() {
    let table = [
        ("a failed answer", GET, Answer::Response(500, ""), 0),
        (
            "a tunnel",
            Request {
                fields: "connection:upgrade\nupgrade:websocket\n",
                ..GET
            },
            Answer::Response(101, ""),
            3,
        ),
    ];
    for (case, request, answer, max_retries) in table {
        let mut scenario = Scenario::new(|policy| policy.max_retries = max_retries);
        let fields = scenario.exchange(request, &[answer]).forwarded();
        assert_eq!(cookie(&fields), None, "{case}");
    }
    let mut scenario = Scenario::new(|policy| policy.sticky_sessions = false);
    let fields = scenario.exchange(GET, &[OK]).forwarded();
    assert_eq!(cookie(&fields), None, "sessions are off");
}

#[test]
fn where_sessions_are_off_none_is_honoured() {
    let mut sticky = Scenario::new(|_| {});
    let fields = session_with(&mut sticky, 1);
    let mut scenario = Scenario::new(|policy| policy.sticky_sessions = false);
    let key = scenario.key_of(0);
    let request = Request {
        key: &key,
        fields: &fields,
        ..GET
    };
    assert_eq!(scenario.send(request).backend, 0);
}

#[test]
fn a_session_leaves_a_dead_backend() {
    let mut scenario = Scenario::new(|_| {});
    let fields = session_with(&mut scenario, 1);
    let request = Request {
        fields: &fields,
        ..GET
    };
    scenario.eject(1);
    let sent = scenario.send(request);
    assert_ne!(sent.backend, 1);
    let backend = sent.backend;
    let told = scenario.settle(sent, OK).forwarded();
    let fields = cookie(&told).expect("the session moves");
    scenario.wait(60_000);
    let request = Request {
        fields: &fields,
        ..GET
    };
    assert_eq!(scenario.send(request).backend, backend, "and stays there");
}

#[test]
fn a_session_may_be_the_trial() {
    let mut scenario = Scenario::new(|_| {});
    let fields = session_with(&mut scenario, 1);
    let request = Request {
        fields: &fields,
        ..GET
    };
    scenario.eject(1);
    scenario.wait(30_000);
    let trial = scenario.send(request);
    assert_eq!(trial.backend, 1);
    assert_ne!(scenario.send(request).backend, 1, "one at a time");
    assert_eq!(cookie(&scenario.settle(trial, OK).forwarded()), None);
}

#[test]
fn a_drained_backend_keeps_its_sessions_and_gets_no_others() {
    let mut before = Scenario::new(|_| {});
    let fields = session_with(&mut before, 1);
    let mut scenario = Scenario::new(|policy| policy.backends[1].drain = true);
    let request = Request {
        fields: &fields,
        ..GET
    };
    assert_eq!(scenario.send(request).backend, 1);
    for key in 0..100 {
        let key = key.to_string();
        assert_ne!(scenario.send(Request { key: &key, ..GET }).backend, 1);
    }
}

#[test]
fn cookies_that_are_no_session_are_as_if_absent() {
    let mut signed = Scenario::new(|policy| policy.session_cookie_secret = Some("s".to_owned()));
    let good = session_with(&mut signed, 1);
    let forged = good.replace('a', "b").replace('0', "1");
    let key = signed.key_of(0);
    for fields in ["cookie:edgelb=\n", "cookie:edgelb=b.example\n", &forged] {
        let request = Request {
            key: &key,
            fields,
            ..GET
        };
        let sent = signed.send(request);
        assert_eq!(sent.backend, 0, "{fields}");
        let told = signed.settle(sent, OK).forwarded();
        assert!(cookie(&told).is_some(), "{fields}");
    }
    signed.wait(86_400_000);
    let request = Request {
        key: &key,
        fields: &good,
        ..GET
    };
    assert_eq!(signed.send(request).backend, 0, "expired");
}

#[test]
fn over_https_the_cookie_is_secure_and_hsts_is_said() {
    use std::time::Duration;
    for (scheme, secure) in [(Scheme::Http, false), (Scheme::Https, true)] {
        let mut scenario =
            Scenario::new(|policy| policy.hsts_max_age = Some(Duration::from_secs(600)));
        let request = Request { scheme, ..GET };
        let fields = scenario.exchange(request, &[OK]).forwarded();
        let is_secure = fields
            .iter()
            .any(|line| line.starts_with("set-cookie:") && line.ends_with("; Secure"));
        assert_eq!(is_secure, secure);
        let hsts = "strict-transport-security:max-age=600".to_owned();
        assert_eq!(fields.contains(&hsts), secure);
        let post = Request { scheme, ..POST };
        let (_, fields) = scenario.exchange(post, &[TIMEOUT]).replied();
        let said = fields.fields().values("strict-transport-security").count();
        assert_eq!(said == 1, secure);
    }
}

#[test]
fn an_answer_after_a_failure_is_sticky_to_who_gave_it() {
    let mut scenario = Scenario::new(|policy| policy.max_retries = 2);
    let second = scenario.exchange(GET, &[REFUSED]).sent().backend;
    let mut scenario = Scenario::new(|_| {});
    let told = scenario.exchange(GET, &[ERROR, OK]).forwarded();
    let fields = cookie(&told).expect("a session");
    scenario.wait(60_000);
    let request = Request {
        fields: &fields,
        ..GET
    };
    assert_eq!(scenario.send(request).backend, second);
}
