//! Any component by the standard door: one that traps or spins costs the
//! request at hand, and nobody else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edgelb_host::{Door, Event};
use edgelb_tests::HANDLER;
use edgelb_tests::scene::{Act, Gate, Scene, ask, by, get, response, values};
use futures_util::future::join_all;
use http::header::HeaderName;

/// The component, whose origin is backend A.
fn handler() -> Scene {
    let environment = [("ORIGIN", "a.test")];
    Scene::build(Door::WasiHttp, &environment, |edge| edge.component(HANDLER)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn any_component_is_served_by_one_long_lived_instance() {
    let scene = handler();
    for count in ["1", "2", "3"] {
        assert_eq!(scene.get("/count").await.body(), count);
    }
    let response = scene.send(ask("PUT", "/x?y", &[], "content")).await;
    assert_eq!(by(&response), "a");
    let received = scene.backend("a").last();
    assert_eq!(received.method(), "PUT");
    assert_eq!(received.uri(), "http://a.test/x?y");
    assert_eq!(received.body(), "content");
    assert!(scene.edge.configuration().is_none(), "it cannot tell");
}

#[tokio::test(start_paused = true)]
async fn a_trap_loses_no_request_that_may_be_repeated() {
    for fault in ["/trap", "/spin"] {
        let scene = handler();
        let gate = Gate::closed();
        let held = gate.clone();
        scene.all(move |_| Act::Gated(held.clone(), response(200, &[], "")));
        let under_way = async {
            let requests = (0..99).map(|_| scene.get("/slow"));
            for response in join_all(requests).await {
                assert_eq!(response.status(), 200, "{fault}");
            }
        };
        let trap = async {
            gate.arrivals(99).await;
            let begun = Instant::now();
            let response = scene.get(fault).await;
            assert_eq!(response.status(), 502);
            let status = HeaderName::from_static("proxy-status");
            let status = values(response.headers(), status.as_str());
            assert_eq!(status, ["edgelb; error=proxy_internal_error"]);
            // Two instances, 50 ms of processor time each; the rest is for busy machines.
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(5), "{fault}: {took:?}");
            // Theirs was lost with the instance, so each is made again, alone.
            gate.open(2 * 99);
        };
        tokio::join!(under_way, trap);
        assert_eq!(scene.get("/count").await.body(), "1", "a new instance");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_arrived_is_lost_with_the_instance() {
    let scene = handler();
    let gate = Gate::closed();
    let held = gate.clone();
    scene.all(move |_| Act::Gated(held.clone(), response(200, &[], "")));
    let post = async {
        let response = scene.send(ask("POST", "/slow", &[], "content")).await;
        assert_eq!(response.status(), 502);
    };
    let trap = async {
        gate.arrivals(1).await;
        scene.get("/trap").await;
    };
    tokio::join!(post, trap);
    assert_eq!(scene.backend("a").attempts(), 1, "and not sent twice");
}

#[tokio::test(start_paused = true)]
async fn a_body_outlives_the_instance_that_handed_it_over() {
    let scene = handler();
    scene.all(|_| Act::Answer(response(200, &[], "handed over")));
    let under_way = scene.edge.fetch(get("/body")).await;
    assert_eq!(scene.get("/trap").await.status(), 502);
    let body = under_way.into_body().bytes().await.unwrap();
    assert_eq!(body, "handed over");
}

#[tokio::test(start_paused = true)]
async fn a_body_whose_author_traps_is_not_whole() {
    let scene = handler();
    assert_eq!(scene.get("/count").await.body(), "1");
    let error = scene.try_send(get("/trap-on")).await.unwrap_err();
    assert_eq!(error.to_string(), "incomplete HTTP response");
    // What was sent for it after its head left was sent for it still.
    assert_eq!(scene.backend("a").attempts(), 1);
    assert_eq!(scene.get("/count").await.body(), "1", "a new instance");
}

#[tokio::test(start_paused = true)]
async fn a_code_in_place_of_a_response_is_told_as_what_it_is() {
    let response = handler().get("/refuse").await;
    assert_eq!(response.status(), 403);
    let status = values(response.headers(), "proxy-status");
    assert_eq!(status, ["edgelb; error=http_request_denied"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_instance_is_told_with_the_reason() {
    let told = Arc::<Mutex<Vec<_>>>::default();
    let sink = Arc::clone(&told);
    let scene = Scene::build(Door::WasiHttp, &[], |edge| {
        edge.component(HANDLER).on_event(move |event| match event {
            Event::InstanceLost { reason } => sink.lock().unwrap().push(reason.clone()),
            Event::Told { .. } => {}
            other @ (Event::Ejected(_) | Event::Trial(_) | Event::Recovered(_)) => {
                panic!("{other:?}")
            }
        })
    });
    let scene = scene.unwrap();
    for (path, reason) in [("/trap", "unreachable"), ("/spin", "processor time")] {
        scene.get(path).await;
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told.len(), 2, "a GET is tried once more, alone: {told:?}");
        assert!(told.iter().all(|it| it.contains(reason)), "{told:?}");
    }
}
