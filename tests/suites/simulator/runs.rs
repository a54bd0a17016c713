//! What a simulation does, seen through its API.

use std::time::Duration;

use edgelb_host::sim::{
    Backend, Clients, End, Entry, Fault, FaultKind, Latency, Location, Outcome, Run, Share,
    Simulation, SimulationBuilder,
};
use edgelb_host::{Body, Cause, Delivery};
use http::{Request, Response};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two backends, and fifty clients who make twenty requests a second for five minutes.
fn busy() -> SimulationBuilder {
    Simulation::builder()
        .backend(Backend::new("A"))
        .backend(Backend::new("B"))
        .duration(seconds(300))
        .clients(Clients::at_rate("people", 20.0))
        .scenario(|scenario| scenario.keep_requests = false)
}

fn run(simulation: SimulationBuilder) -> Run {
    let run = simulation.build().unwrap().run().unwrap();
    assert_eq!(run.violations, []);
    run
}

/// A fault of A's, in the middle minute.
fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind, "A").at(seconds(120)).lasting(seconds(60))
}

/// The outcomes of A's attempts that were no success.
fn failures(run: &Run) -> Vec<Outcome> {
    let attempts = run.trace.exchanges().flat_map(|it| &it.attempts);
    let of_a = attempts.filter(|attempt| attempt.backend == Some(0));
    let outcomes = of_a.map(|attempt| attempt.outcome);
    outcomes.filter(|it| *it != Outcome::Status(200)).collect()
}

#[test]
fn each_kind_of_fault_shows_as_what_it_is() {
    let table = [
        (
            FaultKind::Down,
            Outcome::Failed(Cause::ConnectionRefused, Delivery::NotSent),
        ),
        (
            FaultKind::Dns,
            Outcome::Failed(Cause::DnsError, Delivery::NotSent),
        ),
        (
            FaultKind::Partition,
            Outcome::Failed(Cause::ConnectionTimeout, Delivery::NotSent),
        ),
        (
            FaultKind::Hang,
            Outcome::Failed(Cause::HttpResponseTimeout, Delivery::MaybeSent),
        ),
        (
            FaultKind::Reset,
            Outcome::Failed(Cause::ConnectionTerminated, Delivery::MaybeSent),
        ),
        (FaultKind::Error, Outcome::Status(503)),
        (FaultKind::RateLimit, Outcome::Status(429)),
    ];
    for (kind, expected) in table {
        let run = run(busy().fault(fault(kind)));
        assert!(
            failures(&run).contains(&expected),
            "{kind:?}: {:?}",
            failures(&run)
        );
        let limited = kind == FaultKind::RateLimit;
        assert_eq!(run.summary.ejections > 0, !limited, "{kind:?}");
        assert_eq!(run.summary.failures, 0, "{kind:?}");
    }
}

#[test]
fn what_is_under_way_when_a_backend_dies_breaks_off() {
    let slow = Backend {
        latency: Latency::Constant(seconds(2)),
        ..Backend::new("A")
    };
    let simulation = Simulation::builder()
        .backend(slow)
        .backend(Backend::new("B"))
        .clients(Clients::at_rate("people", 20.0))
        .fault(Fault::new(FaultKind::Down, "A").at(seconds(30)));
    let run = run(simulation);
    let broken = Outcome::Failed(Cause::ConnectionTerminated, Delivery::MaybeSent);
    let cut = failures(&run)
        .into_iter()
        .filter(|it| *it == broken)
        .count();
    assert!((10..40).contains(&cut), "{cut}");
    assert_eq!(run.summary.failures, 0);
}

#[test]
fn a_body_that_breaks_off_is_told_of_and_counts() {
    let run = run(busy().fault(fault(FaultKind::Truncate)));
    let broken = run.trace.exchanges().filter(|it| it.end == End::Broken);
    assert!(broken.count() > 0);
    assert!(run.summary.ejections > 0);
}

#[test]
fn slow_backends_and_long_ways_take_their_time() {
    for (kind, least) in [(FaultKind::Slow, 100), (FaultKind::Delay, 110)] {
        let run = run(busy().fault(fault(kind)));
        let slowest = run.summary.latencies.last();
        assert_eq!(slowest, Some(&least), "{kind:?}");
        assert_eq!(run.summary.latencies.first(), Some(&10));
    }
}

#[test]
fn an_overrun_backend_answers_503_and_is_relieved() {
    let small = Backend {
        latency: Latency::Constant(Duration::from_millis(500)),
        workers: Some(2.try_into().unwrap()),
        queue: Some(3),
        ..Backend::new("A")
    };
    let simulation = Simulation::builder()
        .backend(small)
        .backend(Backend::new("B"))
        .clients(Clients::at_rate("people", 30.0));
    let run = run(simulation);
    assert!(failures(&run).contains(&Outcome::Status(503)));
    assert_eq!(run.summary.failures, 0);
    // Two at a time, half a second each: whoever waits, waits no longer than for three.
    let slowest = run.trace.exchanges().flat_map(|it| &it.attempts);
    let slowest = slowest.map(|attempt| attempt.ended - attempt.begun).max();
    assert!(slowest <= Some(1500), "{slowest:?}");
}

#[test]
fn a_location_judges_by_what_it_sees() {
    let simulation = busy()
        .location(Location::new("here"))
        .location(Location::new("there"))
        .fault(fault(FaultKind::Down).from("here"));
    let run = run(simulation);
    let places: Vec<_> = (run.trace.entries.iter())
        .filter_map(|entry| {
            let Entry::Ejected { isolate, .. } = entry else {
                return None;
            };
            Some(isolate.location)
        })
        .collect();
    assert!(
        !places.is_empty() && places.iter().all(|place| *place == 0),
        "{places:?}"
    );
}

#[test]
fn isolates_share_what_they_learn_only_where_they_are_told_to() {
    let ejections = |shared_health| {
        let location = Location {
            isolates: 4.try_into().unwrap(),
            shared_health,
            ..Location::new("edge")
        };
        let fault = fault(FaultKind::Down).lasting(seconds(20));
        run(busy().location(location).fault(fault))
            .summary
            .ejections
    };
    assert_eq!(ejections(true), 1);
    assert_eq!(ejections(false), 4);
}

#[test]
fn isolates_are_evicted_and_start_cold() {
    let location = Location {
        cold_start: Latency::Constant(Duration::from_millis(40)),
        evict_after: Some(seconds(30)),
        lifetime: Some(seconds(100)),
        ..Location::new("edge")
    };
    let clients = Clients::at_rate("rare", 0.05);
    let simulation = busy()
        .scenario(|scenario| scenario.clients.clear())
        .location(location)
        .clients(clients);
    let run = run(simulation);
    let count =
        |wanted: fn(&Entry) -> bool| run.trace.entries.iter().filter(|it| wanted(it)).count();
    let started = count(|entry| matches!(entry, Entry::Started { .. }));
    let evicted = count(|entry| matches!(entry, Entry::Evicted { .. }));
    assert!(started > 2);
    assert_eq!(evicted, started - 1);
    let cold = run.summary.latencies.iter().filter(|it| **it == 50).count();
    assert_eq!(cold, started);
}

#[test]
fn clients_without_patience_leave_and_blame_nobody() {
    let impatient = Clients {
        patience: Some(seconds(1)),
        ..Clients::at_rate("impatient", 20.0)
    };
    let simulation = busy()
        .scenario(|scenario| scenario.clients.clear())
        .clients(impatient)
        .fault(fault(FaultKind::Hang));
    let run = run(simulation);
    assert!(run.summary.left > 0);
    assert_eq!(run.summary.ejections, 0);
}

#[test]
fn whoever_thinks_between_requests_makes_no_two_at_once() {
    let simulation = busy()
        .scenario(|scenario| scenario.clients.clear())
        .clients(Clients::thinking("readers", Latency::Constant(seconds(10))));
    let run = run(simulation);
    // A hundred of them, once in ten seconds and ten milliseconds.
    assert!(
        (2_900..=3_000).contains(&run.summary.requests),
        "{}",
        run.summary.requests
    );
}

#[test]
fn tunnels_hold_as_long_as_their_backend() {
    let clients = Clients {
        websocket: Share::ALL,
        hold: Latency::Constant(seconds(30)),
        ..Clients::at_rate("sockets", 2.0)
    };
    let simulation = busy()
        .scenario(|scenario| scenario.clients.clear())
        .clients(clients)
        .fault(fault(FaultKind::Down));
    let run = run(simulation);
    let ended = |end| run.trace.exchanges().filter(|it| it.end == end).count();
    assert!(ended(End::TunnelBroken) > 5);
    assert_eq!(
        ended(End::Tunnel) + ended(End::TunnelBroken),
        run.summary.requests
    );
}

#[tokio::test(start_paused = true)]
async fn a_test_can_live_in_a_simulation() {
    let simulation = Simulation::builder()
        .env("BACKEND_DOWN_TIME", "5000")
        .backend_with(
            Backend::new("A"),
            |request: Request<bytes::Bytes>| async move {
                Response::new(Body::from(format!("hello {}", request.uri().path())))
            },
        )
        .fault(
            Fault::new(FaultKind::Down, "A")
                .at(seconds(10))
                .lasting(seconds(10)),
        )
        .build()
        .unwrap();
    let running = simulation.start();
    let get = || Request::get("http://edge.test/world").body(()).unwrap();
    let response = running.fetch(get()).await.unwrap();
    assert_eq!(response.body(), "hello /world");
    assert_eq!(running.requests("A").len(), 1);
    assert_eq!(running.requests("A")[0].request.headers()["host"], "a.test");

    running.pass(seconds(11)).await;
    assert_eq!(running.fetch(get()).await.unwrap().status(), 503);
    running.pass(seconds(10)).await;
    assert_eq!(running.fetch(get()).await.unwrap().status(), 200);
    let run = running.finish().await;
    assert_eq!((run.summary.requests, run.summary.failures), (3, 1));
    assert_eq!(run.requests("A").len(), 2);
}
