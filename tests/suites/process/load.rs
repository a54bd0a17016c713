//! Under load, while backends are killed and come back.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edgelb_tests::client::Client;
use edgelb_tests::nginx::Nginx;
use edgelb_tests::process::Edgelb;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

/// How long in CI; `SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 6;
/// How often one backend is killed.
const PERIOD: Duration = Duration::from_secs(2);
/// How long it stays down.
const DOWN: Duration = Duration::from_millis(700);
const CLIENTS: usize = 24;

/// Three nginx, of which one is killed every two seconds and restarted; no
/// idempotent request fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_idempotent_request_fails_while_backends_are_killed() {
    let mut backends = Vec::new();
    let mut edgelb = Edgelb::serve()
        .args(["--access-log", "off"])
        .env("AFFINITY_KEY", "path:1")
        .env("BACKEND_DOWN_TIME", "500")
        .env("BACKEND_DOWN_TIME_MAX", "1000");
    for name in ["one", "two", "three"] {
        let nginx = Nginx::start(name).await;
        edgelb = edgelb.env(&format!("BACKEND_{}", name.to_uppercase()), nginx.url());
        backends.push(nginx);
    }
    let edgelb = edgelb.start().await;

    let seconds = env::var("SOAK_SECONDS").map_or(SECONDS, |it| it.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
        clients.spawn(async move {
            let mut client = Client::connect(edgelb.address).await;
            while !over.load(Ordering::Relaxed) {
                let method = ["GET", "HEAD", "GET", "DELETE"][number % 4];
                let response = client.ask(method, &format!("/{number}"), "").await;
                assert_eq!(response.status(), 200, "{method}: {response:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    let mut kills = interval(PERIOD);
    for victim in (0..backends.len()).cycle() {
        kills.tick().await;
        if Instant::now() >= end {
            break;
        }
        backends[victim].kill();
        tokio::time::sleep(DOWN).await;
        backends[victim].launch().await;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 100, "a load worth the name: {answered}");
}
