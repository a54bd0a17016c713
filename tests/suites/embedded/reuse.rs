//! When an attempt is reused for another request, and when the policy is asked after
//! all: where that shows in time, between isolates, and after a trap. The policy traps
//! when it is asked to begin with what ends in `/trap-begin`.

use std::net::IpAddr;
use std::time::Duration;

use edgelb_host::{Cause, ClientConnection, Door};
use edgelb_tests::FAULTY;
use edgelb_tests::scene::{
    Act, Actor, Gate, Scene, Whole, ask, by, from, ok, response, values, whole,
};
use tokio::time::advance;

const UNTIED: (&str, &str) = ("STICKY_SESSIONS", "false");

fn scene(environment: &[(&str, &str)]) -> Scene {
    Scene::build(Door::Exchange, environment, |edge| edge.component(FAULTY)).unwrap()
}

type Fields<'a> = [(&'a str, &'a str)];

async fn fetch(client: &mut ClientConnection<'_>, target: &str, fields: &Fields<'_>) -> Whole {
    let answer = client.fetch(ask("GET", target, fields, "")).await;
    whole(answer).await.unwrap()
}

/// Whether the policy is asked about a request.
async fn is_asked(client: &mut ClientConnection<'_>, target: &str, fields: &Fields<'_>) -> bool {
    match fetch(client, target, fields).await.status().as_u16() {
        200 => false,
        502 => true,
        other => panic!("{other}"),
    }
}

/// What the backend answers is held back from now on.
fn held(backend: &Actor) -> Gate {
    let gate = Gate::closed();
    let held = gate.clone();
    backend.script(move |_| Act::Gated(held.clone(), response(200, &[], "")));
    gate
}

/// Once a request is held at its backend, another isolate finds that one down.
async fn ejected_meanwhile(gate: &Gate, home: &Actor, another: &Scene) {
    gate.arrivals(1).await;
    home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    assert_ne!(by(&another.get("/").await), home.name());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_decided_about_again_when_it_is_to_be_renewed() {
    let scene = scene(&[]);
    let mut client = scene.edge.connection();
    let first = fetch(&mut client, "/", &[]).await;
    let set = values(first.headers(), "set-cookie")[0].to_owned();
    let session = [("cookie", set.split(';').next().unwrap())];
    fetch(&mut client, "/", &session).await;
    assert!(!is_asked(&mut client, "/trap-begin", &session).await);
    advance(Duration::from_secs(43_198)).await;
    assert!(!is_asked(&mut client, "/trap-begin", &session).await);
    advance(Duration::from_secs(2)).await;
    let renewed = fetch(&mut client, "/", &session).await;
    assert_eq!(values(renewed.headers(), "set-cookie").len(), 1);
    assert_eq!(by(&renewed), by(&first));
}

#[tokio::test(start_paused = true)]
async fn a_client_without_cookies_is_decided_about_once_a_second() {
    let scene = scene(&[]);
    let mut client = scene.edge.connection();
    let first = fetch(&mut client, "/", &[]).await;
    let again = fetch(&mut client, "/trap-begin", &[]).await;
    assert_eq!(again.status(), 200);
    assert_eq!(by(&again), by(&first));
    let sets = [&first, &again].map(|it| values(it.headers(), "set-cookie"));
    assert_eq!(sets[0].len(), 1);
    assert_eq!(sets[0], sets[1]);
    assert_eq!(values(again.headers(), "cache-control"), ["private"]);
    advance(Duration::from_secs(1)).await;
    assert!(is_asked(&mut client, "/trap-begin", &[]).await);
    // What is shown as a session and is none may come to be one.
    for cookie in ["edgelb=1", "edgelb="] {
        scene.get("/").await;
        fetch(&mut client, "/", &[("cookie", cookie)]).await;
        let asked = is_asked(&mut client, "/trap-begin", &[("cookie", cookie)]).await;
        assert!(asked, "{cookie}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_part_of_the_path_decides_it_has_to_be_the_same() {
    let scene = scene(&[UNTIED, ("AFFINITY_KEY", "path:2")]);
    let mut client = scene.edge.connection();
    for (target, asked) in [
        ("/stremio/u/trap-begin", false),
        ("/stremio/u/more/trap-begin?a", false),
        ("/stremio/v/trap-begin", true),
        ("/stremio/uu/trap-begin", true),
        ("/stremio//trap-begin", true),
        ("/trap-begin", true),
    ] {
        // After a trap, the first call tells how all are.
        scene.get("/").await;
        fetch(&mut client, "/stremio/u/manifest.json", &[]).await;
        let found = is_asked(&mut client, target, &[]).await;
        assert_eq!(found, asked, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_reused_outlives_the_instance() {
    let scene = scene(&[UNTIED]);
    let mut client = scene.edge.connection();
    fetch(&mut client, "/", &[]).await;
    assert_eq!(scene.get("/trap-begin").await.status(), 502);
    let asked = is_asked(&mut client, "/trap-begin", &[]).await;
    assert!(asked, "nobody knows how all are");
    scene.get("/").await;
    assert!(!is_asked(&mut client, "/trap-begin", &[]).await);
}

#[tokio::test(start_paused = true)]
async fn what_another_isolate_has_learned_ends_reuse() {
    let scene = scene(&[UNTIED]);
    let another = scene.another();
    let home = scene.home().await;
    let mut client = scene.edge.connection();
    fetch(&mut client, "/", &[]).await;
    home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    assert_ne!(by(&another.get("/").await), home.name());
    let attempts = home.attempts();
    assert_ne!(by(&fetch(&mut client, "/", &[]).await), home.name());
    assert_eq!(home.attempts(), attempts);
    home.script(|_| ok());
    advance(Duration::from_secs(31)).await;
    // The trial; then all know that all are well again.
    assert_eq!(by(&another.get("/").await), home.name());
    scene.get("/").await;
    fetch(&mut client, "/", &[]).await;
    assert!(!is_asked(&mut client, "/trap-begin", &[]).await);
}

/// An ordinary response is news as well once something is held against its backend.
#[tokio::test(start_paused = true)]
async fn what_others_have_learned_meanwhile_counts_for_what_was_reused() {
    let scene = scene(&[UNTIED]);
    let another = scene.another();
    let home = scene.home().await;
    let mut client = scene.edge.connection();
    fetch(&mut client, "/", &[]).await;
    let gate = held(&home);
    let under_way = async {
        let response = fetch(&mut client, "/trap-if-settled", &[]).await;
        assert_eq!(response.status(), 502, "the policy is told");
    };
    let failure = async {
        ejected_meanwhile(&gate, &home, &another).await;
        gate.open(1);
    };
    tokio::join!(under_way, failure);
}

/// What an instance had merged before it trapped, the next does not know.
#[tokio::test(start_paused = true)]
async fn a_trap_does_not_hide_what_is_held_against_a_backend() {
    let scene = scene(&[UNTIED]);
    let another = scene.another();
    let home = scene.home().await;
    let mut client = scene.edge.connection();
    fetch(&mut client, "/", &[]).await;
    let gate = held(&home);
    tokio::select! {
        _ = scene.get("/trap-abandon") => panic!("it is held"),
        () = ejected_meanwhile(&gate, &home, &another) => {}
    }
    // It was abandoned: the ejection was merged, and then the instance trapped.
    home.script(|_| ok());
    assert_ne!(by(&fetch(&mut client, "/", &[]).await), home.name());
}

#[tokio::test(start_paused = true)]
async fn what_was_reused_fails_over() {
    let scene = scene(&[UNTIED]);
    let home = scene.home().await;
    let mut client = scene.edge.connection();
    fetch(&mut client, "/", &[]).await;
    home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    // The policy is not asked to begin, or this were 502.
    let response = fetch(&mut client, "/trap-begin", &[]).await;
    assert_eq!(response.status(), 200);
    assert_ne!(by(&response), home.name());
    let attempts = home.attempts();
    scene.get("/").await;
    assert_eq!(home.attempts(), attempts, "its failure counts");
}

#[tokio::test(start_paused = true)]
async fn another_peer_on_the_connection_is_another_client() {
    let scene = scene(&[UNTIED]);
    let mut client = scene.edge.connection();
    for last in [1, 1, 2] {
        let peer = IpAddr::from([192, 0, 2, last]);
        let answer = client.fetch(from(peer, "GET", "/", &[], "")).await;
        let answer = whole(answer).await.unwrap();
        let seen = scene.backend(by(&answer)).last();
        let told = values(seen.headers(), "x-forwarded-for");
        assert_eq!(told, [peer.to_string()]);
    }
}
