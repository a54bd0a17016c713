//! Who is taken out of the choice, for how long, and how they come back.

use std::time::{Duration, Instant};

use edgelb_tests::script::{Feed, Reply};
use edgelb_tests::within;

use tokio::time::timeout;

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::{FORGIVING, NAMES, Stage, by, own};

scenarios!("Health":
    a_failed_backend_is_left_alone,
    every_failure_counts,
    what_is_no_failure_ejects_nobody,
    failures_up_to_the_threshold_eject_nobody,
    one_trial_decides_on_the_return,
    ejections_grow,
    retry_after_is_honoured,
    where_all_are_ejected_all_are_eligible,
    a_body_that_breaks_off_counts_against_its_backend,
    many_requests_share_one_view,
);

const TOKEN: &str = "a-token-of-some-length";

/// Whether a request of nobody in particular is tried at home.
async fn is_tried(stage: &Stage, home: usize) -> bool {
    let before = stage.attempts(home);
    assert_eq!(stage.get("/").await.status(), 200);
    stage.attempts(home) > before
}

async fn a_failed_backend_is_left_alone(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    stage.backends[home].refuse();
    let response = stage.get("/").await;
    assert_eq!(response.status(), 200);
    assert_ne!(by(&response), home);
    // It accepts again, and is not asked: it is not yet believed in.
    stage.backends[home].accept();
    for _ in 0..5 {
        assert!(!is_tried(&stage, home).await);
    }
}

async fn every_failure_counts(runtime: &'static Runtime) {
    let settings = [&FORGIVING[..], &[("STATUS_TOKEN", TOKEN)]].concat();
    let mut stage = Stage::new(runtime, &settings).await;
    let home = stage.home().await;
    for (failure, reply) in [
        ("reset", Reply::default().reset()),
        ("close", Reply::default().close()),
        ("silence", Reply::silence()),
        ("no HTTP", Reply::raw("220 ready\r\n\r\n").close()),
        ("500", Reply::new(500, &[], "")),
        ("502", Reply::new(502, &[], "")),
        ("503", Reply::new(503, &[], "")),
        ("504", Reply::new(504, &[], "")),
    ] {
        assert_eq!(stage.status(home, TOKEN).await["failures"], 0);
        stage.backends[home].always(reply);
        assert_eq!(stage.get("/").await.status(), 200, "{failure}");
        assert_eq!(stage.status(home, TOKEN).await["failures"], 1, "{failure}");
        stage.heal(home).await;
    }
}

/// 429 means that a client is too fast, and 501 that it asks for too much.
async fn what_is_no_failure_ejects_nobody(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    for status in [400, 401, 404, 421, 429, 501, 505] {
        let fields = [("retry-after", "9"), ("connection", "close")];
        stage.backends[home].always(Reply::new(status, &fields, "no").close());
        for _ in 0..2 {
            let before = stage.requests();
            let response = stage.get("/").await;
            assert_eq!((response.status(), response.text()), (status, "no"));
            assert_eq!(stage.requests() - before, 1, "{status} is not retried");
        }
    }
}

async fn failures_up_to_the_threshold_eject_nobody(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &[("FAILURE_THRESHOLD", "3")]).await;
    let home = stage.home().await;
    let fail = Reply::new(500, &[("connection", "close")], "").close();
    stage.backends[home].always(fail.clone());
    for _ in 0..2 {
        assert!(is_tried(&stage, home).await);
    }
    stage.mend(home);
    assert!(
        is_tried(&stage, home).await,
        "a success starts the count anew"
    );
    stage.backends[home].always(fail);
    for failure in 1..=3 {
        assert!(is_tried(&stage, home).await, "failure {failure}");
    }
    assert!(!is_tried(&stage, home).await, "ejected");
}

async fn one_trial_decides_on_the_return(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("BACKEND_DOWN_TIME", "300")]).await;
    let home = stage.home().await;
    stage.backends[home].always(Reply::new(500, &[("connection", "close")], "").close());
    stage.get("/").await;
    // The trial's response begins when the feed does.
    let (feeder, feed) = Feed::new();
    let held = Reply::default().wait(feed).followed_by(own(NAMES[home]));
    let before = stage.backends[home].seen().requests;
    stage.backends[home].always(held);
    let mut trial = None;
    while stage.backends[home].seen().requests == before {
        let mut client = stage.client().await;
        client
            .send("GET / HTTP/1.1\r\nhost: service.test\r\n\r\n")
            .await;
        tokio::select! {
            () = stage.backends[home].until("a trial", |seen| seen.requests > before) => {}
            response = client.response("GET") => {
                assert_ne!(by(&response), home, "others skip it");
                continue;
            }
        }
        trial = Some(client);
    }
    for _ in 0..5 {
        assert!(!is_tried(&stage, home).await, "one trial at a time");
    }
    drop(feeder);
    let response = trial.unwrap().response("GET").await;
    assert_eq!(by(&response), home);
    stage.backends[home].script(move |_| own(NAMES[home]));
    assert!(is_tried(&stage, home).await, "it is back");
}

/// When attempts at a backend that does nothing but fail began.
async fn trials(stage: &Stage, home: usize, count: usize) -> Vec<Instant> {
    let mut trials = Vec::new();
    let trying = async {
        while trials.len() < count {
            if is_tried(stage, home).await {
                trials.push(Instant::now());
            }
        }
    };
    within("enough trials", trying).await;
    trials
}

async fn ejections_grow(runtime: &'static Runtime) {
    let limits = [
        ("BACKEND_DOWN_TIME", "250"),
        ("BACKEND_DOWN_TIME_MAX", "1000"),
    ];
    let stage = Stage::new(runtime, &limits).await;
    let home = stage.home().await;
    stage.backends[home].always(Reply::new(500, &[("connection", "close")], "").close());
    let trials = trials(&stage, home, 4).await;
    // What is between two trials is an ejection and what the machine adds.
    for (pair, at_least) in trials.windows(2).zip([250, 500, 1000]) {
        let waited = pair[1] - pair[0];
        let slack = Duration::from_millis(50);
        assert!(
            waited + slack >= Duration::from_millis(at_least),
            "{at_least}: {waited:?}"
        );
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>
async fn retry_after_is_honoured(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("BACKEND_DOWN_TIME", "100")]).await;
    let home = stage.home().await;
    let fields = [("retry-after", "2"), ("connection", "close")];
    stage.backends[home].always(Reply::new(503, &fields, "").close());
    let trials = trials(&stage, home, 2).await;
    let waited = trials[1] - trials[0];
    assert!(waited > Duration::from_millis(1_900), "{waited:?}");
}

async fn where_all_are_ejected_all_are_eligible(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    stage.all(&Reply::new(500, &[("connection", "close")], "").close());
    let before = stage.requests();
    assert_eq!(stage.get("/").await.status(), 500);
    assert_eq!(stage.requests() - before, 3, "all are ejected now");
    for index in 0..NAMES.len() {
        stage.mend(index);
    }
    let response = stage.get("/").await;
    assert_eq!((response.status(), by(&response)), (200, home));
    assert!(is_tried(&stage, home).await, "and is back for good");
}

/// <https://www.rfc-editor.org/rfc/rfc9112#section-8>
async fn a_body_that_breaks_off_counts_against_its_backend(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let home = stage.home().await;
    let half = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let (feeder, feed) = Feed::new();
    stage.backends[home].always(Reply::raw(half).wait(feed).reset());
    let mut client = stage.client().await;
    client
        .send("GET / HTTP/1.1\r\nhost: service.test\r\n\r\n")
        .await;
    let (_, _, mut body) = client.response_head("GET").await;
    client.data(&mut body).await.unwrap();
    drop(feeder);
    client.data(&mut body).await.unwrap_err();
    stage.backends[home].script(move |_| own(NAMES[home]));
    // It may be told a moment later.
    let ejected = async { while is_tried(&stage, home).await {} };
    let ejected = timeout(Duration::from_secs(4), ejected).await;
    assert!(ejected.is_ok(), "it is ejected in place of asked again");
}

/// Each instance of its own mind would meet the failure for itself.
async fn many_requests_share_one_view(runtime: &'static Runtime) {
    const MANY: usize = 60;
    let stage = Stage::new(runtime, &[("BACKEND_DOWN_TIME", "60000")]).await;
    let home = stage.home().await;
    let (feeder, feed) = Feed::new();
    let held = Reply::default().wait(feed);
    stage.backends[home].script(move |request| {
        held.clone().followed_by(if request.number == 1 {
            Reply::new(500, &[("connection", "close")], "").close()
        } else {
            own(NAMES[home])
        })
    });
    let before = stage.backends[home].seen().requests;
    let mut clients = Vec::new();
    for _ in 0..MANY {
        let mut client = stage.client().await;
        client
            .send("GET / HTTP/1.1\r\nhost: service.test\r\n\r\n")
            .await;
        clients.push(client);
    }
    stage.backends[home]
        .until("all at once", |seen| seen.requests - before == MANY)
        .await;
    drop(feeder);
    for mut client in clients {
        assert_eq!(client.response("GET").await.status(), 200);
    }
    assert_eq!(stage.backends[home].seen().requests - before, MANY);
}
