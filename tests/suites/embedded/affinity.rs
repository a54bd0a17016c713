//! Which backend a client is sent to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use edgelb_host::Door;
use edgelb_tests::scene::{Scene, by, from};

crate::both_doors!(
    a_client_is_known_by_its_address,
    a_client_is_known_by_what_the_key_says,
    a_client_without_the_key_is_known_by_its_address,
    removing_a_backend_moves_only_its_clients,
);

/// Enough clients that each of three backends gets some.
const CLIENTS: u8 = 40;

fn client(number: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, number).into()
}

async fn a_client_is_known_by_its_address(door: Door) {
    let scene = Scene::new(door, &[("STICKY_SESSIONS", "false")]);
    let mut homes = BTreeMap::new();
    for round in ["/", "/elsewhere", "/?again"] {
        for number in 0..CLIENTS {
            let response = scene
                .send(from(client(number), "GET", round, &[], ""))
                .await;
            let home = by(&response).to_owned();
            let known = homes.entry(number).or_insert_with(|| home.clone());
            assert_eq!(*known, home, "client {number}, {round}");
        }
    }
    let used: BTreeSet<_> = homes.into_values().collect();
    assert_eq!(used.len(), 3, "all backends are used: {used:?}");
}

async fn a_client_is_known_by_what_the_key_says(door: Door) {
    /// A key, and the target and the field that carry user so-and-so.
    type Case = (&'static str, fn(u8) -> (String, (&'static str, String)));
    let cases: [Case; 3] = [
        ("path:2", |user| {
            (
                format!("/stremio/{user}/manifest.json"),
                ("x-any", "1".to_owned()),
            )
        }),
        ("header:x-user", |user| {
            ("/".to_owned(), ("x-user", user.to_string()))
        }),
        ("cookie:uid", |user| {
            ("/".to_owned(), ("cookie", format!("a=b; uid={user}")))
        }),
    ];
    for (key, carry) in cases {
        let environment = [("AFFINITY_KEY", key), ("STICKY_SESSIONS", "false")];
        let scene = Scene::new(door, &environment);
        let mut used = BTreeSet::new();
        for user in 0..CLIENTS {
            let (target, (name, value)) = carry(user);
            let mut homes = BTreeSet::new();
            // Whatever address the user comes from.
            for address in [1, 2, 3, 4] {
                let request = from(client(address), "GET", &target, &[(name, &value)], "");
                homes.insert(by(&scene.send(request).await).to_owned());
            }
            assert_eq!(homes.len(), 1, "{key}, user {user}: {homes:?}");
            used.append(&mut homes);
        }
        assert_eq!(used.len(), 3, "{key}: all backends are used: {used:?}");
    }
}

async fn a_client_without_the_key_is_known_by_its_address(door: Door) {
    let by_address = Scene::new(door, &[]);
    let by_header = Scene::new(door, &[("AFFINITY_KEY", "header:x-user")]);
    for number in 0..CLIENTS {
        let request = || from(client(number), "GET", "/", &[], "");
        let expected = by_address.send(request()).await;
        let found = by_header.send(request()).await;
        assert_eq!(by(&found), by(&expected), "client {number}");
    }
}

async fn removing_a_backend_moves_only_its_clients(door: Door) {
    let three = Scene::new(door, &[("STICKY_SESSIONS", "false")]);
    let two = Scene::new(door, &[("STICKY_SESSIONS", "false"), ("BACKEND_C", "")]);
    let mut moved = 0;
    for number in 0..CLIENTS {
        let request = || from(client(number), "GET", "/", &[], "");
        let before = three.send(request()).await;
        let after = two.send(request()).await;
        if by(&before) == "c" {
            moved += 1;
        } else {
            assert_eq!(by(&before), by(&after), "client {number}");
        }
    }
    assert!(moved > 0, "the removed backend had clients");
    assert_eq!(two.get("/").await.status(), 200);
    assert_eq!(two.backend("c").attempts(), 0);
}
