//! What to do with an ordinary response is said before there is one; the policy
//! is asked again where that is not enough. By the exchange door alone: by the
//! other every exchange is settled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use edgelb_host::{Cause, Door, Event};
use edgelb_tests::FAULTY;
use edgelb_tests::scene::{Act, Gate, Scene, Whole, answer, ask, by, ok, response, status, values};
use futures_util::future::join_all;
use tokio::time::advance;

const UNTIED: (&str, &str) = ("STICKY_SESSIONS", "false");
const DOWN: (&str, &str) = ("BACKEND_DOWN_TIME", "30000");

/// A scene whose policy shows when it is asked.
struct Watched {
    scene: Scene,
    lost: Arc<Mutex<usize>>,
}

impl Watched {
    fn new(environment: &[(&str, &str)]) -> Self {
        let lost = Arc::<Mutex<usize>>::default();
        let counted = Arc::clone(&lost);
        let scene = Scene::build(Door::Exchange, environment, |edge| {
            edge.component(FAULTY).on_event(move |event| {
                if matches!(event, Event::InstanceLost { .. }) {
                    *counted.lock().unwrap() += 1;
                }
            })
        });
        Self {
            scene: scene.unwrap(),
            lost,
        }
    }

    fn another(&self) -> Self {
        Self {
            scene: self.scene.another(),
            lost: Arc::clone(&self.lost),
        }
    }

    /// The response to a request with these fields, and whether it was settled.
    async fn ask(&self, fields: &[(&str, &str)]) -> (Whole, bool) {
        let request = ask("GET", "/trap-if-settled", fields, "");
        let response = self.scene.send(request).await;
        let lost = std::mem::take(&mut *self.lost.lock().unwrap());
        assert!(lost <= 1, "{lost}");
        (response, lost == 1)
    }

    async fn settles(&self) -> bool {
        self.ask(&[]).await.1
    }
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_response_is_forwarded_without_a_settle() {
    let watched = Watched::new(&[UNTIED]);
    let fields = [
        ("connection", "Keep-Alive"),
        ("keep-alive", "timeout=5"),
        ("via", "1.0 a"),
        ("x-other", "1"),
    ];
    for code in [200, 302, 404, 429, 499] {
        watched.scene.all(move |_| answer(code, &fields, "body"));
        let (response, settled) = watched.ask(&[]).await;
        assert!(!settled, "{code}");
        assert_eq!(response.status(), code);
        assert_eq!(response.body(), "body");
        for gone in ["connection", "keep-alive"] {
            assert_eq!(values(response.headers(), gone), [""; 0], "{gone}");
        }
        assert_eq!(values(response.headers(), "via"), ["1.0 a", "1.1 edgelb"]);
        assert_eq!(values(response.headers(), "x-other"), ["1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn any_other_response_is_settled() {
    let watched = Watched::new(&[UNTIED]);
    for connection in ["x-private", "close, x-private", ""] {
        watched.scene.all(move |_| {
            let fields = [("connection", "close"), ("connection", connection)];
            answer(200, &fields, "")
        });
        assert!(watched.settles().await, "{connection}");
    }
    for code in [501, 505] {
        watched.scene.all(move |_| status(code));
        assert!(watched.settles().await, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_makes_a_session_is_ordinary_unless_it_speaks_to_caches() {
    let watched = Watched::new(&[]);
    let (first, settled) = watched.ask(&[]).await;
    assert!(!settled);
    let set = values(first.headers(), "set-cookie")[0].to_owned();
    assert!(set.starts_with("edgelb=1"), "{set}");
    assert_eq!(values(first.headers(), "cache-control"), ["private"]);
    assert_eq!(values(first.headers(), "via"), ["1.1 edgelb"]);

    let session = set.split(';').next().unwrap();
    let (again, settled) = watched.ask(&[("cookie", session)]).await;
    assert!(!settled);
    assert_eq!(by(&again), by(&first));
    assert_eq!(values(again.headers(), "set-cookie"), [""; 0]);
    assert_eq!(values(again.headers(), "cache-control"), [""; 0]);

    for (name, becomes) in [
        ("cache-control", &["private, max-age=9"][..]),
        ("surrogate-control", &["private"]),
        ("cdn-cache-control", &["private"]),
        ("example-cdn-cache-control", &["private"]),
    ] {
        (watched.scene).all(move |_| answer(200, &[(name, "max-age=9")], ""));
        let settled = watched.ask(&[("cookie", session)]).await.1;
        assert!(!settled, "{name} to a client that has a session");
        assert!(watched.ask(&[]).await.1, "{name}");
        let response = watched.scene.get("/").await;
        assert_eq!(
            values(response.headers(), "cache-control"),
            becomes,
            "{name}"
        );
        assert_eq!(values(response.headers(), "set-cookie").len(), 1);
        if name != "cache-control" {
            assert_eq!(values(response.headers(), name), [""; 0]);
        }
    }
}

/// By either way, so that it makes no difference whether the policy was asked.
#[tokio::test(start_paused = true)]
async fn a_session_is_dated_when_its_request_was_sent() {
    const HALF: Duration = Duration::from_secs(43_200);
    const LATE: Duration = Duration::from_secs(20);
    for fields in [&[][..], &[("cache-control", "max-age=1")]] {
        let scene = Watched::new(&[]).scene;
        let gate = Gate::closed();
        let held = gate.clone();
        scene.all(move |_| Act::Gated(held.clone(), response(200, fields, "")));
        let late = async {
            gate.arrivals(1).await;
            advance(LATE).await;
            gate.open(1);
        };
        let (first, ()) = tokio::join!(scene.get("/"), late);
        scene.all(|_| ok());
        let set = values(first.headers(), "set-cookie")[0].to_owned();
        let session = [("cookie", set.split(';').next().unwrap())];
        let renewed = async || {
            let response = scene.send(ask("GET", "/", &session, "")).await;
            values(response.headers(), "set-cookie").len()
        };
        advance(HALF - LATE - Duration::from_secs(1)).await;
        assert_eq!(renewed().await, 0, "{fields:?}");
        advance(Duration::from_secs(2)).await;
        assert_eq!(
            renewed().await,
            1,
            "half a life after it was sent, {fields:?}"
        );
    }
}

/// A session that may be half over before its response comes is dated by that.
#[tokio::test(start_paused = true)]
async fn a_short_session_is_dated_when_its_response_comes() {
    for (life, settles) in [("600", false), ("500", true)] {
        let watched = Watched::new(&[("SESSION_COOKIE_TTL", life)]);
        assert_eq!(watched.settles().await, settles, "{life}");
    }
    let watched = Watched::new(&[]);
    let post = ask("POST", "/trap-if-settled", &[], "with a body");
    watched.scene.send(post).await;
    assert_eq!(*watched.lost.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_something_is_held_against_a_backend_every_response_is_settled() {
    for threshold in ["1", "2"] {
        let watched = Watched::new(&[UNTIED, DOWN, ("FAILURE_THRESHOLD", threshold)]);
        let another = watched.another();
        let home = watched.scene.home().await;
        another.scene.get("/").await;
        assert!(!watched.settles().await);
        assert!(!another.settles().await);

        home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
        watched.scene.get("/").await;
        home.script(|_| ok());
        assert!(watched.settles().await, "a failure of {threshold}");
        assert!(another.settles().await, "is one for all");

        advance(Duration::from_secs(31)).await;
        // The trial, or what ends a row of failures.
        assert_eq!(by(&watched.scene.get("/").await), home.name());
        for isolate in [&watched, &another] {
            isolate.scene.get("/").await;
            assert!(!isolate.settles().await, "all are well again");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_have_learned_meanwhile_counts() {
    let watched = Watched::new(&[UNTIED, DOWN]);
    let another = watched.another();
    let home = watched.scene.home().await;
    let gate = Gate::closed();
    let held = gate.clone();
    home.script(move |_| Act::Gated(held.clone(), response(200, &[], "")));
    let under_way = async {
        let (response, settled) = watched.ask(&[]).await;
        assert_eq!(by(&response), home.name());
        assert!(settled);
    };
    let failure = async {
        gate.arrivals(1).await;
        home.script(|_| Act::Unreachable(Cause::ConnectionRefused));
        assert_ne!(by(&another.scene.get("/").await), home.name());
        gate.open(1);
    };
    tokio::join!(under_way, failure);
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_response_outlives_the_instance() {
    let watched = Watched::new(&[UNTIED]);
    let gate = Gate::closed();
    let held = gate.clone();
    let fields = [("connection", "close"), ("x-other", "1")];
    (watched.scene).all(move |_| Act::Gated(held.clone(), response(200, &fields, "")));
    let under_way = async {
        let requests = (0..9).map(|_| watched.scene.get("/"));
        for response in join_all(requests).await {
            assert_eq!(response.status(), 200);
            assert_eq!(values(response.headers(), "connection"), [""; 0]);
            assert_eq!(values(response.headers(), "via"), ["1.1 edgelb"]);
        }
    };
    let trap = async {
        gate.arrivals(9).await;
        assert_eq!(watched.scene.get("/trap-begin").await.status(), 502);
        // Some come while there is no instance, the others while there is another.
        gate.open(4);
        watched.scene.quiet().await;
        let next = watched.scene.get("/");
        let others = async { gate.open(6) };
        let (next, ()) = tokio::join!(next, others);
        assert_eq!(next.status(), 200);
    };
    tokio::join!(under_way, trap);
}

#[tokio::test(start_paused = true)]
async fn the_policy_is_told_what_ended_without_a_settle() {
    let watched = Watched::new(&[UNTIED]);
    assert_eq!(watched.scene.get("/trap-unless-over").await.status(), 502);
    watched.scene.get("/").await;
    for _ in 0..3 {
        assert_eq!(watched.scene.get("/trap-unless-over").await.status(), 200);
    }
}
