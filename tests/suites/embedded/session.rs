//! The session cookie.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use edgelb_host::{Cause, Door};
use edgelb_tests::scene::{Act, Scene, Whole, answer, ask, by, from, values};
use http::HeaderMap;
use tokio::time::advance;

crate::both_doors!(
    a_session_is_set_once_and_taken_out_of_what_backends_see,
    a_session_outweighs_the_address,
    the_backends_own_cookies_stay_and_shared_caches_are_kept_out,
    a_session_moves_when_its_backend_is_down_and_stays_there,
    garbage_counts_as_no_session,
    however_many_cookies_are_ours_they_are_taken_out_at_once,
    a_session_is_renewed_after_half_its_life,
    no_session_is_made_where_they_are_off,
);

const DAY: Duration = Duration::from_secs(86_400);

/// The `Set-Cookie` of the balancer, if there is one.
fn set(headers: &HeaderMap) -> Option<&str> {
    values(headers, "set-cookie")
        .into_iter()
        .find(|value| value.starts_with("edgelb="))
}

/// The cookie a response asks for, as a client sends it.
fn cookie(response: &Whole) -> String {
    let set = set(response.headers()).expect("a session cookie");
    set.split(';').next().unwrap().to_owned()
}

/// <https://www.rfc-editor.org/rfc/rfc6265#section-4.1.2>
async fn a_session_is_set_once_and_taken_out_of_what_backends_see(door: Door) {
    let scene = Scene::new(door, &[]);
    let first = scene.get("/").await;
    let (value, attributes) = set(first.headers()).unwrap().split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; Max-Age=86400; HttpOnly; SameSite=Lax");
    assert!(!value.contains("test"), "names no host: {value}");

    let others = r#"a=1; b="x,y"; c=edgelb"#;
    for (sent, seen) in [
        (format!("{value}; {others}"), vec![others]),
        (format!("{others}; {value}"), vec![others]),
        (value.to_owned(), vec![]),
    ] {
        let request = ask("GET", "/", &[("cookie", &sent)], "");
        let response = scene.send(request).await;
        assert_eq!(set(response.headers()), None, "{sent}");
        let request = scene.backend(by(&response)).last();
        assert_eq!(values(request.headers(), "cookie"), seen, "{sent}");
    }
}

async fn a_session_outweighs_the_address(door: Door) {
    let scene = Scene::new(
        door,
        &[("SESSION_COOKIE_SECRET", "a secret of some length")],
    );
    let first = scene.get("/").await;
    let session = cookie(&first);
    for number in 0..20 {
        let elsewhere = IpAddr::from(Ipv4Addr::new(203, 0, 113, number));
        let request = from(elsewhere, "GET", "/", &[("cookie", &session)], "");
        let response = scene.send(request).await;
        assert_eq!(by(&response), by(&first));
        assert_eq!(set(response.headers()), None);
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7>
async fn the_backends_own_cookies_stay_and_shared_caches_are_kept_out(door: Door) {
    let scene = Scene::new(door, &[]);
    scene.all(|_| {
        let fields = [
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=2"),
            ("cache-control", "public, max-age=60"),
        ];
        answer(200, &fields, "")
    });
    let response = scene.get("/").await;
    let cookies = values(response.headers(), "set-cookie");
    assert_eq!(cookies[..2], ["a=1; Path=/", "b=2"]);
    assert_eq!(cookies.len(), 3);
    assert_eq!(
        values(response.headers(), "cache-control"),
        ["private, max-age=60"]
    );
    // Without a new session there is nothing to keep from anybody.
    let session = cookie(&response);
    let again = scene
        .send(ask("GET", "/", &[("cookie", &session)], ""))
        .await;
    assert_eq!(
        values(again.headers(), "cache-control"),
        ["public, max-age=60"]
    );
}

async fn a_session_moves_when_its_backend_is_down_and_stays_there(door: Door) {
    let scene = Scene::new(door, &[]);
    let first = scene.get("/").await;
    let old = scene.backend(by(&first));
    let session = cookie(&first);
    old.script(|_| Act::Unreachable(Cause::ConnectionRefused));
    let moved = scene
        .send(ask("GET", "/", &[("cookie", &session)], ""))
        .await;
    assert_eq!(moved.status(), 200);
    assert_ne!(by(&moved), old.name());
    let session = cookie(&moved);

    old.script(|_| edgelb_tests::scene::ok());
    advance(Duration::from_secs(31)).await;
    // Somebody else is its trial; the session stays where it is.
    let stays = scene
        .send(ask("GET", "/", &[("cookie", &session)], ""))
        .await;
    assert_eq!(by(&stays), by(&moved));
    assert_eq!(set(stays.headers()), None);
}

async fn garbage_counts_as_no_session(door: Door) {
    let secret = [("SESSION_COOKIE_SECRET", "a secret of some length")];
    let scene = Scene::new(door, &secret);
    let valid = cookie(&scene.get("/").await);
    let (name, value) = valid.split_once('=').unwrap();
    let mut forged = value.to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    let long = "1".repeat(4096);
    for garbage in ["", "1", "deadbeef", "=;=", "\"", "a.test", &long, &forged] {
        let sent = format!("{name}={garbage}");
        let response = scene.send(ask("GET", "/", &[("cookie", &sent)], "")).await;
        assert_eq!(response.status(), 200, "{garbage}");
        assert!(set(response.headers()).is_some(), "{garbage}");
    }
}

/// As long as a head may be. Were each looked for in what the last one left, the
/// policy would exceed its time.
async fn however_many_cookies_are_ours_they_are_taken_out_at_once(door: Door) {
    let scene = Scene::new(door, &[]);
    let sent = format!("a=1{}; b=2", "; edgelb=".repeat(40_000));
    let response = scene.send(ask("GET", "/", &[("cookie", &sent)], "")).await;
    let request = scene.backend(by(&response)).last();
    assert_eq!(values(request.headers(), "cookie"), ["a=1; b=2"]);
}

async fn a_session_is_renewed_after_half_its_life(door: Door) {
    let scene = Scene::new(door, &[]);
    let first = scene.get("/").await;
    let session = cookie(&first);
    let ask = || ask("GET", "/", &[("cookie", &session)], "");

    advance(DAY / 2 - Duration::from_secs(2)).await;
    assert_eq!(set(scene.send(ask()).await.headers()), None);
    advance(Duration::from_secs(4)).await;
    let renewed = scene.send(ask()).await;
    assert_eq!(by(&renewed), by(&first));
    assert_ne!(cookie(&renewed), session);
}

async fn no_session_is_made_where_they_are_off(door: Door) {
    let scene = Scene::new(door, &[("STICKY_SESSIONS", "false")]);
    assert_eq!(set(scene.get("/").await.headers()), None);
}
