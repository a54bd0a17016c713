//! Which requests go again, and how those end that do not.

use edgelb_balancer::{BodySize, Cause, Outcome};

use crate::scenario::{Answer, ERROR, GET, OK, POST, REFUSED, RESET, Request, Scenario, TIMEOUT};

#[test]
fn only_what_may_be_repeated_is() {
    let marked = Request {
        fields: "idempotency-key:1\n",
        ..POST
    };
    let put = Request {
        method: "PUT",
        ..POST
    };
    let websocket = Request {
        fields: "connection:upgrade\nupgrade:websocket\n",
        ..GET
    };
    let consumed = Answer::Consumed(Cause::ConnectionTerminated);
    let table = [
        ("a GET that timed out", GET, TIMEOUT, true),
        ("a GET that was reset", GET, RESET, true),
        ("a GET answered 500", GET, ERROR, true),
        ("a GET answered 404", GET, Answer::Response(404, ""), false),
        ("a GET answered 429", GET, Answer::Response(429, ""), false),
        ("a GET answered 501", GET, Answer::Response(501, ""), false),
        ("a POST that was refused", POST, REFUSED, true),
        ("a POST that timed out", POST, TIMEOUT, false),
        ("a POST that was reset", POST, RESET, false),
        (
            "a POST answered 503",
            POST,
            Answer::Response(503, ""),
            false,
        ),
        ("a marked POST that timed out", marked, TIMEOUT, true),
        ("a PUT that timed out", put, TIMEOUT, true),
        ("a PUT with its body gone", put, consumed, false),
        (
            "a handshake answered 503",
            websocket,
            Answer::Response(503, ""),
            true,
        ),
        ("a handshake that was reset", websocket, RESET, true),
        (
            "a handshake that was accepted",
            websocket,
            Answer::Response(101, ""),
            false,
        ),
        (
            "a tunnel nobody asked for",
            POST,
            Answer::Response(101, ""),
            false,
        ),
    ];
    for (case, request, answer, retried) in table {
        let mut scenario = Scenario::new(|_| {});
        let next = scenario.exchange(request, &[answer]);
        let sent = matches!(next, crate::scenario::Next::Sent(_));
        assert_eq!(sent, retried, "{case}");
    }
}

#[test]
fn attempts_are_bounded() {
    for (max_retries, attempts) in [(0, 1), (1, 2), (2, 3), (3, 3), (u32::MAX, 3)] {
        let mut scenario = Scenario::new(|policy| policy.max_retries = max_retries);
        let answers = vec![TIMEOUT; attempts];
        let (status, _) = scenario.exchange(GET, &answers).replied();
        assert_eq!(status, 504, "{max_retries}");
    }
}

#[test]
fn the_last_response_is_forwarded_as_it_is() {
    let mut scenario = Scenario::new(|_| {});
    let answers = [ERROR, RESET, Answer::Response(502, "")];
    assert_eq!(
        scenario.exchange(GET, &answers).forwarded(),
        ["via:1.1 edgelb"]
    );
}

#[test]
fn what_ends_without_a_response_says_why() {
    let denied = Answer::Failed(Cause::HttpRequestDenied, edgelb_balancer::Delivery::NotSent);
    let table = [
        ([REFUSED, REFUSED, REFUSED], 503, "connection_refused"),
        ([REFUSED, REFUSED, denied], 502, "http_request_denied"),
        ([REFUSED, RESET, REFUSED], 502, "connection_refused"),
        ([REFUSED, REFUSED, TIMEOUT], 504, "http_response_timeout"),
        ([TIMEOUT, ERROR, RESET], 502, "connection_terminated"),
        (
            [ERROR, ERROR, Answer::Response(101, "")],
            502,
            "http_protocol_error",
        ),
    ];
    for (answers, status, error) in table {
        let mut scenario = Scenario::new(|_| {});
        let (found, fields) = scenario.exchange(GET, &answers).replied();
        let value = |name| {
            let value = fields.fields().values(name).next();
            value.map(|value| String::from_utf8_lossy(value).into_owned())
        };
        assert_eq!(found, status, "{error}");
        assert_eq!(
            value("proxy-status"),
            Some(format!("edgelb; error={error}"))
        );
        // Soonest of all opens what has been ejected for 30 s.
        let retry_after = (status == 503).then(|| "30".to_owned());
        assert_eq!(value("retry-after"), retry_after, "{error}");
    }
}

#[test]
fn a_body_is_kept_only_where_that_helps() {
    let put = |body| Request {
        method: "PUT",
        body,
        ..GET
    };
    let table = [
        (put(BodySize::Unknown), 65_536),
        (put(BodySize::Known(1)), 65_536),
        (put(BodySize::Known(65_536)), 65_536),
        (put(BodySize::Known(65_537)), 0),
        (put(BodySize::Known(0)), 0),
        (put(BodySize::None), 0),
        (POST, 0),
    ];
    for (request, keep) in table {
        let sent = Scenario::new(|_| {}).send(request);
        assert_eq!(sent.keep, keep, "{:?}", request.body);
        let mut alone = Scenario::new(|policy| policy.backends.truncate(1));
        assert_eq!(alone.send(request).keep, 0, "one backend");
        let mut once = Scenario::new(|policy| policy.max_retries = 0);
        assert_eq!(once.send(request).keep, 0, "no retries");
    }
    let mut scenario = Scenario::new(|policy| policy.max_retries = 1);
    let sent = scenario.exchange(put(BodySize::Unknown), &[TIMEOUT]).sent();
    assert_eq!(sent.keep, 0, "the last attempt");
}

#[test]
fn a_tunnel_is_told_from_a_request() {
    let upgrade = |fields| Request { fields, ..GET };
    let table = [
        ("", false),
        ("connection:upgrade\nupgrade:h2c\n", false),
        ("upgrade:websocket\n", false),
        ("connection:Upgrade\nupgrade:WebSocket\n", true),
    ];
    for (fields, tunnel) in table {
        let mut scenario = Scenario::new(|_| {});
        assert_eq!(scenario.send(upgrade(fields)).tunnel, tunnel, "{fields}");
    }
    let post = Request {
        fields: "connection:upgrade\nupgrade:websocket\n",
        ..POST
    };
    assert!(
        !Scenario::new(|_| {}).send(post).tunnel,
        "no handshake is a POST"
    );
}

#[test]
fn a_redirect_of_the_backend_is_the_client_s_to_follow() {
    let mut scenario = Scenario::new(|policy| policy.sticky_sessions = false);
    let answer = Answer::Response(302, "location:https://elsewhere.example/\n");
    assert_eq!(
        scenario.exchange(GET, &[answer]).forwarded(),
        ["via:1.1 edgelb"]
    );
}

#[test]
fn an_exchange_nobody_remembers_ends_in_peace() {
    use edgelb_balancer::{Arrival, Delivery, Failure, Fields, ResponseHead, Step};
    let scenario = Scenario::new(|_| {});
    let failure = Outcome::Failed(Failure {
        cause: Cause::HttpResponseTimeout,
        delivery: Delivery::MaybeSent,
        replayable: true,
    });
    let Step::Reply(reply) = scenario.balancer.settle_unknown(failure, scenario.now) else {
        panic!("a failure is answered");
    };
    assert_eq!(reply.status, 502);

    let response = Outcome::Head(Arrival {
        head: ResponseHead {
            status: 500,
            body: BodySize::Unknown,
            fields: Fields::new(b"keep-alive:x\n"),
        },
        replayable: true,
    });
    let Step::Forward { edits, tail } = scenario.balancer.settle_unknown(response, scenario.now)
    else {
        panic!("a response is forwarded");
    };
    assert_eq!(edits.as_bytes(), b"-keep-alive\n+via:1.1 edgelb\n");
    let mut ledger = scenario.ledger.clone();
    let end = edgelb_balancer::BodyEnd::Broken;
    scenario
        .balancer
        .finish(tail, end, &mut ledger, scenario.now);
    assert!(ledger == scenario.ledger && !ledger.take_changed());
}

#[test]
fn an_exchange_is_remembered_long_enough() {
    use std::time::Duration;
    let hour = Duration::from_secs(3_600);
    for (idle, expected) in [
        (Duration::from_secs(300), hour),
        (hour, hour + Duration::from_secs(35)),
    ] {
        let mut scenario = Scenario::new(|policy| policy.idle_timeout = idle);
        let sent = scenario.send(GET);
        assert_eq!(sent.then.deadline(), scenario.now.after(expected));
        let done = scenario.settle(sent, OK);
        drop(done.forwarded());
    }
}
