//! The balancer that ships, configured as yours: what your users will see of it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use edgelb_host::sim::{Backend, Clients, Fault, FaultKind, Simulation, SimulationBuilder};
use edgelb_host::{Body, Peer};
use http::{Request, Response};

/// Two hostings of one service, and stickiness by the user's id in the path.
fn service() -> SimulationBuilder {
    Simulation::builder()
        .env("AFFINITY_KEY", "path:2")
        .backend(Backend::new("KOYEB"))
        .backend(Backend::new("DUCK"))
}

#[tokio::test(start_paused = true)]
async fn a_user_stays_with_a_backend_whatever_address_they_come_from() {
    let running = service().build().unwrap().start();
    for address in [[192, 0, 2, 1], [198, 51, 100, 7], [203, 0, 113, 9]] {
        let mut request = Request::get("http://lb.test/stremio/some-user/manifest.json");
        request = request.extension(Peer(address.into()));
        let response = running.fetch(request.body(()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let received = ["KOYEB", "DUCK"].map(|name| running.requests(name).len());
    assert!(received.contains(&3), "{received:?}");
}

#[tokio::test(start_paused = true)]
async fn a_post_that_may_have_arrived_is_not_sent_again() {
    let handled = |_| async { Response::new(Body::empty()) };
    let simulation = Simulation::builder()
        .backend_with(Backend::new("A"), handled)
        .backend_with(Backend::new("B"), handled)
        // Both reset the connection once they have the request.
        .fault(Fault::new(FaultKind::Reset, "A"))
        .fault(Fault::new(FaultKind::Reset, "B"))
        .build()
        .unwrap();
    let running = simulation.start();
    let order = Request::post("http://lb.test/orders")
        .body("one coffee")
        .unwrap();
    let response = running.fetch(order).await.unwrap();
    assert_eq!(response.status(), 502);
    let received = running.requests("A").len() + running.requests("B").len();
    assert_eq!(received, 1);
}

#[test]
fn an_outage_of_one_hosting_is_seen_by_nobody() {
    let outage = Fault::new(FaultKind::Down, "DUCK")
        .at(Duration::from_secs(600))
        .lasting(Duration::from_secs(600));
    let simulation = service()
        .duration(Duration::from_secs(1800))
        .clients(Clients {
            path: "/stremio/{client}/stream".to_owned(),
            cookies: false,
            ..Clients::at_rate("players", 5.0)
        })
        .fault(outage)
        .build()
        .unwrap();
    let run = simulation.run().unwrap();
    assert_eq!(run.violations, []);
    assert_eq!(run.summary.failures, 0);
    assert!(run.summary.ejections > 0);
}
