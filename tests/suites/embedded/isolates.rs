//! One view of health for all isolates of an edge. By the standard door there
//! is no channel between isolates; each learns for itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use edgelb_host::{Cause, Door, Event};
use edgelb_tests::scene::{Act, Gate, Scene, by, ok, response};
use tokio::time::advance;

const DOWN: [(&str, &str); 1] = [("BACKEND_DOWN_TIME", "30000")];

#[tokio::test(start_paused = true)]
async fn one_failure_ejects_for_all_and_one_trial_is_one_for_all() {
    let first = Scene::new(Door::Exchange, &DOWN);
    let home = first.home().await;
    let scenes = [first.another(), first.another(), first];
    for scene in &scenes {
        assert_eq!(by(&scene.get("/").await), home.name(), "all begin alike");
    }
    home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    scenes[0].get("/").await;
    let attempts = home.attempts();
    for scene in &scenes {
        assert_ne!(by(&scene.get("/").await), home.name());
    }
    assert_eq!(home.attempts(), attempts, "ejected for all");

    advance(Duration::from_secs(31)).await;
    let gate = Gate::closed();
    let held = gate.clone();
    home.script(move |_| Act::Gated(held.clone(), response(200, &[], "")));
    let trial = async { assert_eq!(by(&scenes[1].get("/").await), home.name()) };
    let others = async {
        gate.arrivals(1).await;
        for scene in &scenes {
            assert_ne!(by(&scene.get("/").await), home.name(), "one trial for all");
        }
        gate.open(1);
    };
    tokio::join!(trial, others);
    home.script(|_| ok());
    for scene in &scenes {
        assert_eq!(by(&scene.get("/").await), home.name(), "back for all");
    }
}

#[tokio::test(start_paused = true)]
async fn an_isolate_begun_later_knows_what_is_known() {
    let first = Scene::new(Door::Exchange, &DOWN);
    let home = first.home().await;
    home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    first.get("/").await;
    let attempts = home.attempts();
    first.another().get("/").await;
    assert_eq!(home.attempts(), attempts);
}

#[tokio::test(start_paused = true)]
async fn ejection_trial_and_recovery_are_told_once_each() {
    let events = Arc::<Mutex<Vec<_>>>::default();
    let heard = Arc::clone(&events);
    let scene = Scene::build(Door::Exchange, &DOWN, |edge| {
        edge.on_event(move |event| {
            heard.lock().unwrap().push(match event {
                Event::Ejected(ejection) => {
                    assert_eq!(ejection.length, Duration::from_secs(30));
                    assert_eq!(ejection.reason, "connection_refused");
                    ("ejected", ejection.backend)
                }
                Event::Trial(backend) => ("trial", *backend),
                Event::Recovered(backend) => ("recovered", *backend),
                Event::Told { line } => panic!("{line}"),
                Event::InstanceLost { reason } => panic!("{reason}"),
            });
        })
    });
    let scene = scene.unwrap();
    let home = scene.home().await;
    home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    let another = scene.another();
    another.get("/").await;
    scene.get("/").await;
    home.script(|_| ok());
    advance(Duration::from_secs(31)).await;
    scene.get("/").await;
    another.get("/").await;
    let index = u32::from(home.name().as_bytes()[0] - b'a');
    let expected = ["ejected", "trial", "recovered"].map(|event| (event, index));
    assert_eq!(*events.lock().unwrap(), expected);
}
