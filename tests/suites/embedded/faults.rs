//! A policy that traps or spins costs the request at hand, and nobody else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edgelb_host::{Cause, Door, Event};
use edgelb_tests::FAULTY;
use edgelb_tests::scene::{Act, Gate, Scene, by, get, response};
use futures_util::future::join_all;

fn faulty() -> Scene {
    Scene::build(Door::Exchange, &[], |edge| edge.component(FAULTY)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lost_instance_is_told_with_the_reason() {
    let told = Arc::<Mutex<Vec<_>>>::default();
    let sink = Arc::clone(&told);
    let scene = Scene::build(Door::Exchange, &[], |edge| {
        edge.component(FAULTY).on_event(move |event| {
            if let Event::InstanceLost { reason } = event {
                sink.lock().unwrap().push(reason.clone());
            }
        })
    });
    let scene = scene.unwrap();
    for (path, reason) in [
        ("/trap-begin", "unreachable"),
        ("/spin-begin", "processor time"),
    ] {
        scene.get(path).await;
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told.len(), 2, "a call is made twice: {told:?}");
        assert!(told.iter().all(|it| it.contains(reason)), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trap_costs_the_request_at_hand_only() {
    let scene = faulty();
    let gate = Gate::closed();
    let held = gate.clone();
    scene.all(move |_| Act::Gated(held.clone(), response(200, &[], "")));
    let under_way = async {
        let requests = (0..99).map(|_| scene.get("/slow"));
        for response in join_all(requests).await {
            assert_eq!(response.status(), 200);
        }
    };
    let trap = async {
        gate.arrivals(99).await;
        assert_eq!(scene.get("/trap-begin").await.status(), 502);
        assert_eq!(scene.attempts(), 99, "no backend saw it");
        // Their exchanges are unknown to the instance that took the place.
        gate.open(100);
        assert_eq!(scene.get("/").await.status(), 200, "and so it goes on");
    };
    tokio::join!(under_way, trap);
}

#[tokio::test(start_paused = true)]
async fn a_response_outlives_the_trap_it_caused() {
    let scene = faulty();
    let response = scene.get("/trap-settle").await;
    assert_eq!(response.status(), 200);
    assert_eq!(scene.attempts(), 1);
    assert_eq!(scene.get("/").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_traps_is_a_bad_gateway() {
    let scene = faulty();
    scene.all(|_| Act::Unreachable(Cause::ConnectionRefused));
    assert_eq!(scene.get("/trap-settle").await.status(), 502);
    assert_eq!(scene.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_known_of_backends_outlives_a_trap() {
    let scene = faulty();
    let home = scene.home().await;
    home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    scene.get("/").await;
    let attempts = home.attempts();
    assert_eq!(scene.get("/trap-begin").await.status(), 502);
    assert_ne!(by(&scene.get("/").await), home.name());
    assert_eq!(home.attempts(), attempts, "still ejected");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_spins_is_ended() {
    let scene = faulty();
    let begun = Instant::now();
    assert_eq!(scene.edge.fetch(get("/spin-begin")).await.status(), 502);
    // Two calls of 10 ms of processor time each; the rest is for busy machines.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(scene.get("/").await.status(), 200);
}
