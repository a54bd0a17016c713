//! Backends: what comes of attempts, and when.

use std::time::Duration;

use edgelb_host::sim::{
    Backend, Clients, End, Entry, Fault, FaultKind, Measure, Outcome, Recording, Simulation,
};
use edgelb_host::{Cause, Delivery, Door};
use serde_json::json;

use super::{answered, recording, run, with};

/// A minute, in the middle third of which A refuses, and B takes over.
fn outage() -> Recording {
    let exchanges = (0..60).map(|second| {
        let at = second * 1000;
        if (20..40).contains(&second) {
            let refused = json!({
                "backend": "A", "at": 0, "ended": 2,
                "failure": "connection_refused", "delivery": "not-sent",
            });
            let taken = json!({"backend": "B", "at": 2, "ended": 30, "status": 200});
            // Ejected for ten seconds, tried, ejected again.
            let attempts = if second % 10 == 0 {
                vec![refused, taken]
            } else {
                vec![taken]
            };
            json!({
                "at": at, "status": 200, "head": 30, "ended": 30, "attempts": attempts,
                "response": {"bytes": 5000},
            })
        } else {
            answered(at, "A")
        }
    });
    recording(
        &[("BACKEND_DOWN_TIME", "10000"), ("STICKY_SESSIONS", "false")],
        exchanges,
    )
}

#[test]
fn an_outage_of_the_recording_is_one_in_the_replay() {
    let recording = outage();
    let expected =
        [Measure::Availability, Measure::Requests].map(|measure| recording.measure(&measure));
    let run = run(recording, Door::Exchange);
    let measured =
        [Measure::Availability, Measure::Requests].map(|measure| run.summary.measure(&measure));
    assert_eq!(measured, expected);
    let ejected: Vec<_> = (run.trace.entries.iter())
        .filter_map(|entry| {
            let Entry::Ejected { at, backend, .. } = entry else {
                return None;
            };
            Some((at / 1000, *backend))
        })
        .collect();
    assert_eq!(ejected.first(), Some(&(20, 0)), "{ejected:?}");
    assert!(
        ejected.iter().all(|(_, backend)| *backend == 0),
        "{ejected:?}"
    );
}

#[test]
fn a_backend_that_was_not_asked_answers_as_it_did_at_that_time() {
    // More is sent to A than was: it takes three failures to eject it now.
    let simulation = Simulation::replay(outage())
        .env("FAILURE_THRESHOLD", "3")
        .build()
        .unwrap();
    let run = simulation.run().unwrap();
    assert_eq!((&*run.violations, run.summary.failures), (&[][..], 0));
    let attempts = run.trace.exchanges().flat_map(|it| &it.attempts);
    let of_a: Vec<_> = attempts.filter(|it| it.backend == Some(0)).collect();
    let refused = Outcome::Failed(Cause::ConnectionRefused, Delivery::NotSent);
    let during: Vec<_> = (of_a.iter())
        .filter(|it| (20_000..30_500).contains(&it.begun))
        .map(|it| (it.outcome, it.ended - it.begun))
        .collect();
    assert!(during.len() >= 3, "{during:?}");
    assert!(during.iter().all(|it| *it == (refused, 2)), "{during:?}");
    let bytes: Vec<_> = (run.trace.exchanges())
        .filter(|it| it.attempts.len() == 2)
        .map(|it| it.bytes)
        .collect();
    assert!(bytes.iter().all(|bytes| *bytes == 5000), "{bytes:?}");
}

#[test]
fn faults_and_expectations_come_on_top() {
    let simulation = Simulation::replay(outage())
        .fault(Fault::new(FaultKind::Down, "B"))
        .build()
        .unwrap();
    let run = simulation.run().unwrap();
    assert_eq!(run.violations, []);
    assert!(run.summary.failures > 10, "{:?}", run.summary);
}

#[test]
fn what_is_played_again_lasts_as_long_as_the_scenario_says() {
    let with = |duration: Option<u64>| {
        let mut builder = Simulation::replay(outage()).clients(Clients::at_rate("more", 2.0));
        if let Some(seconds) = duration {
            builder = builder.duration(Duration::from_secs(seconds));
        }
        builder.build().unwrap()
    };
    for (duration, lasts, recorded) in [
        (None, 60, 60),
        (Some(20), 20, 20),
        (Some(60), 60, 60),
        (Some(90), 90, 60),
    ] {
        let simulation = with(duration);
        assert_eq!(simulation.scenario().duration, Duration::from_secs(lasts));
        let was = simulation.recording().unwrap();
        assert_eq!(
            (was.requests(), was.measure(&Measure::Requests)),
            (recorded, recorded as f64)
        );
        let run = simulation.run().unwrap();
        assert_eq!(run.violations, []);
        assert_eq!(run.replayed().requests, recorded);
        // Those of the scenario are not among them.
        let more = run.summary.requests - recorded;
        let expected = usize::try_from(2 * lasts).unwrap();
        assert!(
            more.abs_diff(expected) < expected / 2,
            "{more} of {expected}"
        );
    }
    let alone = Simulation::replay(outage()).build().unwrap().run().unwrap();
    assert_eq!(alone.replayed().requests, alone.summary.requests);
    let without = Simulation::builder().backend(Backend::new("A")).build();
    assert_eq!(without.unwrap().run().unwrap().replayed().requests, 0);
}

#[test]
fn a_body_is_sent_again_when_none_of_it_was() {
    let exchange = json!({
        "at": 0, "method": "POST", "status": 201, "head": 9, "ended": 9,
        "body": {"bytes": 2_000_000},
        "fields": [{"name": "content-length", "value": "2000000"}],
        "attempts": [
            {"backend": "A", "at": 0, "ended": 2, "failure": "connection_refused", "delivery": "not-sent"},
            {"backend": "B", "at": 2, "ended": 9, "status": 201},
        ],
    });
    let simulation = Simulation::replay(recording(&[], [exchange]))
        .scenario(|scenario| scenario.keep_requests = true)
        .build()
        .unwrap();
    let run = simulation.run().unwrap();
    assert_eq!(run.violations, []);
    assert_eq!(run.trace.exchanges().next().unwrap().status, Some(201));
    assert_eq!(run.requests("B")[0].request.body().len(), 2_000_000);
}

#[test]
fn how_exchanges_ended_is_how_they_end() {
    let left = json!({
        "at": 0, "client": "1", "ended": 700, "end": "left",
        "attempts": [{"backend": "A", "at": 0}],
    });
    let broken = with(
        answered(1000, "A"),
        json!({"client": "2", "ended": 90, "end": "broken", "response": {"bytes": 100_000}}),
    );
    // A body that breaks off ejects its backend.
    let tunnel = json!({
        "at": 2000, "client": "3", "status": 101, "head": 5, "ended": 4005, "end": "tunnel",
        "fields": [
            {"name": "connection", "value": "Upgrade"},
            {"name": "upgrade", "value": "websocket"},
            {"name": "sec-websocket-version", "value": "13"},
            {"name": "sec-websocket-key", "hash": "k"},
        ],
        "attempts": [{"backend": "B", "at": 0, "ended": 5, "status": 101}],
    });
    let run = run(recording(&[], [left, broken, tunnel]), Door::Exchange);
    let ends: Vec<_> = (run.trace.exchanges())
        .map(|it| (it.end, it.ended - it.begun, it.bytes))
        .collect();
    assert_eq!(
        ends,
        [
            (End::Left, 700, 0),
            (End::Broken, 90, 100_000),
            (End::Tunnel, 4005, 0)
        ]
    );
}

#[test]
fn no_length_of_a_body_keeps_a_replay_from_its_end() {
    let told = json!({
        "at": 0, "status": 200, "head": 20, "ended": 40,
        "attempts": [{
            "backend": "A", "at": 0, "ended": 20, "status": 200,
            "fields": [{"name": "content-length", "value": u64::MAX.to_string()}],
        }],
        "response": {"bytes": u64::MAX},
    });
    let sent = with(
        answered(100, "A"),
        json!({"method": "POST", "body": {"bytes": u64::MAX}}),
    );
    let broken = with(told.clone(), json!({"at": 200, "end": "broken"}));
    let run = run(recording(&[], [told, sent, broken]), Door::Exchange);
    let bodies: Vec<_> = (run.trace.exchanges())
        .map(|it| (it.end, it.bytes))
        .collect();
    let most = 16 << 20;
    assert_eq!(
        bodies,
        [(End::Whole, most), (End::Whole, 0), (End::Broken, most)]
    );
}

#[test]
fn backends_have_the_weights_that_they_had() {
    let mut text = concat!(
        r#"{"line":"recording","version":2,"time":"2026-11-22T10:00:00.000Z","#,
        r#""backends":[{"name":"A","origin":"https://a.test","weight":7},"#,
        r#"{"name":"B","origin":"http://b.test:81","drain":true},"#,
        r#"{"name":"C","origin":"http://c.test"}]}"#,
        "\n"
    )
    .to_owned();
    text.push_str(&answered(0, "A").to_string().replacen(
        '{',
        r#"{"line":"exchange","request":0,"client":"c","method":"GET","target":"/","fields":[],"end":"whole","#,
        1,
    ));
    let simulation = Simulation::replay(text.parse().unwrap()).build().unwrap();
    let backends = simulation.configuration().unwrap().backends.iter();
    let backends: Vec<_> = backends
        .map(|it| (it.name.as_str(), it.authority.as_str(), it.weight, it.drain))
        .collect();
    assert_eq!(
        backends,
        [
            ("A", "a.test", 7, false),
            ("B", "b.test:81", 1, true),
            ("C", "c.test", 1, false)
        ]
    );
}

#[test]
fn what_fields_of_a_response_ask_for_is_done_again() {
    // The other is A's as it is recorded: 503 for a minute, and B takes over.
    let exchange = json!({
        "at": 0, "status": 200, "head": 20, "ended": 21,
        "attempts": [
            {
                "backend": "A", "at": 0, "ended": 10, "status": 503,
                "fields": [{"name": "retry-after", "value": "77"}],
            },
            {"backend": "B", "at": 10, "ended": 20, "status": 200},
        ],
    });
    for door in [Door::Exchange, Door::WasiHttp] {
        let recording = recording(&[("STICKY_SESSIONS", "false")], [exchange.clone()]);
        let run = run(recording, door);
        let ejections = run.trace.entries.iter().filter_map(|entry| {
            let Entry::Ejected { at, until, .. } = entry else {
                return None;
            };
            Some((*at, *until))
        });
        let expected: &[_] = match door {
            Door::Exchange => &[(10, 77_010)],
            // By this door nobody is told of ejections.
            Door::WasiHttp => &[],
        };
        assert_eq!(ejections.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn what_a_timeout_gave_up_stays_silent_for_another() {
    let table = [
        (
            "FIRST_BYTE_TIMEOUT",
            ("http_response_timeout", "maybe-sent"),
            Outcome::Failed(Cause::HttpResponseTimeout, Delivery::MaybeSent),
        ),
        (
            "CONNECT_TIMEOUT",
            ("connection_timeout", "not-sent"),
            Outcome::Failed(Cause::ConnectionTimeout, Delivery::NotSent),
        ),
        (
            "CONNECT_TIMEOUT",
            ("dns_timeout", "not-sent"),
            Outcome::Failed(Cause::DnsTimeout, Delivery::NotSent),
        ),
    ];
    for (setting, (failure, delivery), outcome) in table {
        let exchange = json!({
            "at": 0, "status": 200, "head": 3020, "ended": 3021,
            "attempts": [
                {"backend": "A", "at": 0, "ended": 3001, "failure": failure, "delivery": delivery},
                {"backend": "B", "at": 3001, "ended": 3020, "status": 200},
            ],
        });
        for timeout in [500, 3000, 9000] {
            let recording = recording(&[(setting, "3000")], [exchange.clone()]);
            let simulation = Simulation::replay(recording)
                .env(setting, timeout.to_string())
                .build()
                .unwrap();
            let run = simulation.run().unwrap();
            assert_eq!(run.violations, []);
            let exchange = run.trace.exchanges().next().unwrap();
            let attempts: Vec<_> = (exchange.attempts.iter())
                .map(|it| (it.ended - it.begun, it.outcome))
                .collect();
            assert_eq!(attempts, [(timeout, outcome), (19, Outcome::Status(200))]);
        }
    }
}
