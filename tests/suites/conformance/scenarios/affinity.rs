//! Which backend a client is sent to.

use std::collections::BTreeSet;

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::{ENOUGH, NAMES, Stage, by, environment};

scenarios!("Affinity":
    a_client_goes_where_its_address_went,
    users_go_where_the_key_says,
    without_a_key_requests_spread,
    choices_outlive_restarts,
    every_runtime_chooses_alike,
    removing_a_backend_moves_only_its_users,
    a_draining_backend_keeps_its_sessions_only,
    weights_are_shares,
);

/// By the path, which every runtime tells.
const BY_PATH: [(&str, &str); 2] = [("AFFINITY_KEY", "path:1"), ("STICKY_SESSIONS", "false")];

/// Enough that each of three backends gets some.
const USERS: usize = 30;

/// Where each user goes.
async fn homes(stage: &Stage) -> Vec<usize> {
    let mut client = stage.client().await;
    let mut homes = Vec::new();
    for user in 0..USERS {
        homes.push(by(&client.ask("GET", &format!("/{user}/x"), "").await));
    }
    homes
}

async fn a_client_goes_where_its_address_went(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("STICKY_SESSIONS", "false")]).await;
    let mut used = BTreeSet::new();
    for number in 1..=ENOUGH {
        let home = by(&stage.get_as(number, "/", "").await);
        for target in ["/elsewhere", "/?again"] {
            let response = stage.get_as(number, target, "").await;
            assert_eq!(by(&response), home, "client {number}, {target}");
        }
        used.insert(home);
    }
    assert_eq!(used.len(), 3, "all backends are used: {used:?}");
}

async fn users_go_where_the_key_says(runtime: &'static Runtime) {
    for key in ["path:2", "header:x-user", "cookie:uid"] {
        let settings = [("AFFINITY_KEY", key), ("STICKY_SESSIONS", "false")];
        let stage = Stage::new(runtime, &settings).await;
        let mut used = BTreeSet::new();
        for user in 0..ENOUGH {
            let mut homes = BTreeSet::new();
            for turn in 0..2 {
                let (target, fields) = match key {
                    "path:2" => (format!("/stremio/{user}/{turn}"), String::new()),
                    "header:x-user" => (format!("/{turn}"), format!("x-user: {user}\r\n")),
                    _ => (format!("/{turn}"), format!("cookie: a=b; uid={user}\r\n")),
                };
                homes.insert(by(&stage.ask("GET", &target, &fields).await));
            }
            assert_eq!(homes.len(), 1, "{key}, user {user}: {homes:?}");
            used.append(&mut homes);
        }
        assert_eq!(used.len(), 3, "{key}: all backends are used: {used:?}");
    }
}

async fn without_a_key_requests_spread(runtime: &'static Runtime) {
    let settings = [("AFFINITY_KEY", "none"), ("STICKY_SESSIONS", "false")];
    let stage = Stage::new(runtime, &settings).await;
    let mut used = BTreeSet::new();
    for _ in 0..ENOUGH {
        used.insert(by(&stage.get("/").await));
    }
    assert_eq!(used.len(), 3);
}

async fn choices_outlive_restarts(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &BY_PATH).await;
    let before = homes(&stage).await;
    let used: BTreeSet<_> = before.iter().collect();
    assert_eq!(used.len(), 3);
    stage.restart(&BY_PATH).await;
    assert_eq!(homes(&stage).await, before);
}

/// As our own host does, by the door on which the others do not depend.
async fn every_runtime_chooses_alike(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &BY_PATH).await;
    let here = homes(&stage).await;
    let reference = Runtime::named("host-exchange").unwrap();
    let environment = environment(&stage.backends, &BY_PATH);
    stage.balancer = reference.start(&environment).await;
    assert_eq!(homes(&stage).await, here);
}

async fn removing_a_backend_moves_only_its_users(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &BY_PATH).await;
    let before = homes(&stage).await;
    stage
        .restart(&[BY_PATH[0], BY_PATH[1], ("BACKEND_C", "")])
        .await;
    let after = homes(&stage).await;
    for (user, (before, after)) in before.into_iter().zip(after).enumerate() {
        assert_ne!(NAMES[after], "C", "user {user}");
        assert!(before == after || NAMES[before] == "C", "user {user}");
    }
}

async fn a_draining_backend_keeps_its_sessions_only(runtime: &'static Runtime) {
    let by_path = ("AFFINITY_KEY", "path:1");
    let mut stage = Stage::new(runtime, &[by_path]).await;
    let mut sessions = Vec::new();
    for user in 0..USERS {
        let response = stage.get(&format!("/{user}")).await;
        if NAMES[by(&response)] == "C" {
            let cookie = response.head.field("set-cookie").unwrap();
            let pair = cookie.split(';').next().unwrap();
            sessions.push(format!("cookie: {pair}\r\n"));
        }
    }
    stage.restart(&[by_path, ("BACKEND_C", ";drain")]).await;
    for session in &sessions {
        let response = stage.ask("GET", "/any", session).await;
        assert_eq!(NAMES[by(&response)], "C", "{session}");
    }
    assert!(homes(&stage).await.iter().all(|home| NAMES[*home] != "C"));
}

async fn weights_are_shares(runtime: &'static Runtime) {
    let settings = [BY_PATH[0], BY_PATH[1], ("BACKEND_A", ";weight=8")];
    let stage = Stage::new(runtime, &settings).await;
    let mut client = stage.client().await;
    let mut share = 0;
    for user in 0..100 {
        share += usize::from(by(&client.ask("GET", &format!("/{user}"), "").await) == 0);
    }
    // 80 of 100 with a standard deviation of 4.
    assert!((64..=96).contains(&share), "{share} of 100");
}
