//! A component of anybody's, by the standard door.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use edgelb_host::Door;
use edgelb_host::sim::{
    Backend, Clients, Fault, FaultKind, Latency, Simulation, SimulationBuilder,
};
use http::{Request, Response};
use your_component_test::COMPONENT;

fn page() -> SimulationBuilder {
    Simulation::builder()
        .component(COMPONENT)
        .door(Door::WasiHttp)
}

fn origin() -> Backend {
    Backend {
        authority: Some("origin.test".to_owned()),
        ..Backend::new("ORIGIN")
    }
}

fn get(target: &str) -> Request<()> {
    Request::get(format!("http://page.test{target}"))
        .body(())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_page_is_the_origins() {
    let simulation = page()
        .backend_with(origin(), |_| async { Response::new("hello") })
        .build()
        .unwrap();
    let running = simulation.start();
    let response = running.fetch(get("/news?page=2")).await.unwrap();
    assert_eq!(response.body(), "hello");
    running.assert_received("ORIGIN", 1);
    let asked = &running.requests("ORIGIN")[0].request;
    assert_eq!(asked.uri().path_and_query().unwrap(), "/news?page=2");
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_takes_too_long_is_apologised_for_after_two_seconds() {
    let simulation = page()
        .backend(origin())
        .fault(Fault::new(FaultKind::Hang, "ORIGIN"))
        .build()
        .unwrap();
    let running = simulation.start();
    let response = running.fetch(get("/")).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.body()[..]),
        (503, &b"back soon\n"[..])
    );
    let waited = running.elapsed();
    assert!((2_000..2_050).contains(&waited.as_millis()), "{waited:?}");
}

/// A crowd, an hour, an outage: in a second, and the same each time.
#[test]
fn visitors_are_told_within_two_seconds_whatever_happens() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let simulation = page()
        .duration(minutes(60))
        .backend(Backend {
            latency: Latency::LogNormal {
                median: Duration::from_millis(80),
                p99: Duration::from_millis(400),
            },
            ..origin()
        })
        .clients(Clients::at_rate("visitors", 2.0))
        .fault(
            Fault::new(FaultKind::Down, "ORIGIN")
                .at(minutes(20))
                .lasting(minutes(5)),
        )
        .fault(
            Fault::new(FaultKind::Hang, "ORIGIN")
                .at(minutes(40))
                .lasting(minutes(5)),
        )
        .build()
        .unwrap();
    let run = simulation.run().unwrap();
    assert!(run.summary.requests > 6_000);
    let slowest = run.summary.latencies.last().unwrap();
    assert!(*slowest <= 2_050, "{slowest} ms");
    // All that failed was told in time, and met one of the two outages.
    for exchange in run.trace.exchanges().filter(|it| it.status == Some(503)) {
        let met =
            |from: u64, to: u64| exchange.answered >= from * 60_000 && exchange.begun < to * 60_000;
        assert!(met(20, 25) || met(40, 45), "{exchange:?}");
    }
}
