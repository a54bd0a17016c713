//! Who is taken out of the choice, for how long, and how they come back.

use std::time::Duration;

use bytes::Bytes;
use edgelb_host::{Body, BodyError, Cause, Door};
use edgelb_tests::scene::{Act, Actor, Gate, Scene, answer, by, get, ok, response, status};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::time::{advance, timeout};

crate::both_doors!(
    an_ejected_backend_is_left_alone_until_one_trial_succeeds,
    ejections_grow_up_to_their_limit,
    where_all_are_ejected_all_are_eligible,
    retry_after_is_honoured,
    what_counts_for_a_backend_ejects_nobody,
    failures_up_to_the_threshold_eject_nobody,
    a_client_that_goes_away_is_blamed_on_nobody,
    a_trial_whose_client_goes_away_is_followed_by_another,
    a_body_that_breaks_off_counts_against_its_backend,
);

const SECOND: Duration = Duration::from_secs(1);

fn refuse(backend: &Actor) {
    backend.script(|_| Act::Unreachable(Cause::ConnectionRefused));
}

/// How many attempts the backend sees of a request by the usual client.
async fn tried(scene: &Scene, backend: &Actor) -> usize {
    let before = backend.attempts();
    let response = scene.get("/").await;
    assert_eq!(response.status(), 200);
    backend.attempts() - before
}

async fn an_ejected_backend_is_left_alone_until_one_trial_succeeds(door: Door) {
    let scene = Scene::new(door, &[("BACKEND_DOWN_TIME", "30000")]);
    let home = scene.home().await;
    refuse(&home);
    assert_eq!(tried(&scene, &home).await, 1, "the failure itself");
    assert_eq!(tried(&scene, &home).await, 0, "ejected");
    advance(29 * SECOND).await;
    assert_eq!(tried(&scene, &home).await, 0, "still ejected");

    advance(2 * SECOND).await;
    let gate = Gate::closed();
    let held = gate.clone();
    home.script(move |_| Act::Gated(held.clone(), response(200, &[], "")));
    let trial = async {
        let trial = scene.get("/").await;
        assert_eq!(by(&trial), home.name());
    };
    let others = async {
        gate.arrivals(1).await;
        for _ in 0..5 {
            assert_eq!(tried(&scene, &home).await, 0, "one trial at a time");
        }
        gate.open(1);
    };
    let before = home.attempts();
    tokio::join!(trial, others);
    assert_eq!(home.attempts() - before, 1);

    home.script(|_| ok());
    assert_eq!(tried(&scene, &home).await, 1, "recovered");
}

async fn ejections_grow_up_to_their_limit(door: Door) {
    let limits = [
        ("BACKEND_DOWN_TIME", "10000"),
        ("BACKEND_DOWN_TIME_MAX", "30000"),
    ];
    let scene = Scene::new(door, &limits);
    let home = scene.home().await;
    refuse(&home);
    assert_eq!(tried(&scene, &home).await, 1);
    for seconds in [10, 20, 30, 30] {
        advance(seconds * SECOND - Duration::from_millis(500)).await;
        assert_eq!(tried(&scene, &home).await, 0, "before {seconds} s");
        advance(SECOND).await;
        assert_eq!(tried(&scene, &home).await, 1, "after {seconds} s");
    }
}

async fn where_all_are_ejected_all_are_eligible(door: Door) {
    let scene = Scene::new(door, &[]);
    scene.all(|_| status(500));
    assert_eq!(scene.get("/").await.status(), 500);
    assert_eq!(scene.attempts(), 3, "all are ejected now");
    scene.all(|_| ok());
    let home = scene.home().await;
    assert_eq!(scene.attempts(), 4, "the first one tried answers");
    assert_eq!(tried(&scene, &home).await, 1, "and is back for good");
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>
async fn retry_after_is_honoured(door: Door) {
    let scene = Scene::new(door, &[("BACKEND_DOWN_TIME", "1000")]);
    let home = scene.home().await;
    home.script(|_| answer(503, &[("retry-after", "120")], ""));
    assert_eq!(tried(&scene, &home).await, 1);
    advance(119 * SECOND).await;
    assert_eq!(tried(&scene, &home).await, 0);
    advance(2 * SECOND).await;
    assert_eq!(tried(&scene, &home).await, 1);
}

async fn what_counts_for_a_backend_ejects_nobody(door: Door) {
    let scene = Scene::new(door, &[]);
    let home = scene.home().await;
    for code in [400, 401, 404, 408, 421, 429, 501, 505] {
        home.script(move |_| answer(code, &[("retry-after", "120")], ""));
        for _ in 0..2 {
            let before = scene.attempts();
            let response = scene.get("/").await;
            let found = (response.status().as_u16(), by(&response));
            assert_eq!(found, (code, home.name()));
            assert_eq!(scene.attempts() - before, 1, "{code} is not retried");
        }
    }
}

async fn failures_up_to_the_threshold_eject_nobody(door: Door) {
    let scene = Scene::new(door, &[("FAILURE_THRESHOLD", "3")]);
    let home = scene.home().await;
    refuse(&home);
    assert_eq!(tried(&scene, &home).await, 1, "first failure");
    assert_eq!(tried(&scene, &home).await, 1, "second");
    home.script(|_| ok());
    assert_eq!(
        tried(&scene, &home).await,
        1,
        "a success starts the count anew"
    );
    refuse(&home);
    for failure in 1..=3 {
        assert_eq!(tried(&scene, &home).await, 1, "failure {failure}");
    }
    assert_eq!(tried(&scene, &home).await, 0, "ejected");
}

async fn a_client_that_goes_away_is_blamed_on_nobody(door: Door) {
    let scene = Scene::new(door, &[]);
    let home = scene.home().await;
    home.script(|_| Act::Silence);
    timeout(SECOND, scene.edge.fetch(get("/")))
        .await
        .unwrap_err();
    scene.quiet().await;
    home.script(|_| ok());
    assert_eq!(tried(&scene, &home).await, 1);
}

async fn a_trial_whose_client_goes_away_is_followed_by_another(door: Door) {
    let scene = Scene::new(door, &[("BACKEND_DOWN_TIME", "1000")]);
    let home = scene.home().await;
    refuse(&home);
    assert_eq!(tried(&scene, &home).await, 1);
    advance(2 * SECOND).await;
    home.script(|_| Act::Silence);
    timeout(SECOND, scene.edge.fetch(get("/")))
        .await
        .unwrap_err();
    scene.quiet().await;
    home.script(|_| ok());
    assert_eq!(tried(&scene, &home).await, 1, "the next trial");
}

async fn a_body_that_breaks_off_counts_against_its_backend(door: Door) {
    let scene = Scene::new(door, &[]);
    let home = scene.home().await;
    home.script(|_| {
        let pieces: [Result<_, BodyError>; 2] = [
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err("reset".into()),
        ];
        let body = Body::new(StreamBody::new(stream::iter(pieces)));
        Act::Answer(response(200, &[], body))
    });
    scene.try_send(get("/")).await.unwrap_err();
    scene.quiet().await;
    assert_eq!(tried(&scene, &home).await, 0);
}
