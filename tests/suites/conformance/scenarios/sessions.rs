//! The session cookie.

use edgelb_tests::client::Response;
use edgelb_tests::script::Reply;
use edgelb_tests::until;

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::{NAMES, Stage, by};

scenarios!("Sessions":
    a_session_is_set_once,
    backends_do_not_see_the_session,
    a_session_outweighs_the_key,
    a_session_of_a_failed_backend_moves_and_stays,
    the_backends_own_cookies_stay_and_shared_caches_are_kept_out,
    garbage_counts_as_no_session,
    a_session_is_renewed_after_half_its_life,
    no_session_is_made_where_they_are_off,
);

const BY_PATH: (&str, &str) = ("AFFINITY_KEY", "path:1");

/// The balancer's `Set-Cookie`, if there is one.
fn set(response: &Response) -> Option<&str> {
    let cookies = response.head.fields.all("set-cookie").into_iter();
    cookies
        .into_iter()
        .find(|cookie| cookie.starts_with("edgelb="))
}

/// The field by which a client keeps the session that a response begins.
fn session(response: &Response) -> String {
    let cookie = set(response).expect("a session");
    format!("cookie: {}\r\n", cookie.split(';').next().unwrap())
}

/// <https://www.rfc-editor.org/rfc/rfc6265#section-4.1.2>
async fn a_session_is_set_once(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let first = stage.get("/").await;
    let (value, attributes) = set(&first).unwrap().split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; Max-Age=86400; HttpOnly; SameSite=Lax");
    for backend in &stage.backends {
        let port = backend.address().port().to_string();
        assert!(
            !value.contains(&port) && !value.contains("127.0"),
            "names no host: {value}"
        );
    }
    let again = stage.ask("GET", "/", &session(&first)).await;
    assert_eq!(set(&again), None);
}

async fn backends_do_not_see_the_session(runtime: &'static Runtime) {
    let others = r#"a=1; b="x,y"; c=edgelb"#;
    let stage = Stage::new(runtime, &[]).await;
    let first = stage.get("/").await;
    let home = &stage.backends[by(&first)];
    let session = session(&first);
    let pair = session.trim_start_matches("cookie: ").trim_end();
    for (sent, seen) in [
        (format!("{pair}; {others}"), vec![others]),
        (format!("{others}; {pair}"), vec![others]),
        (pair.to_owned(), vec![]),
    ] {
        stage.ask("GET", "/", &format!("cookie: {sent}\r\n")).await;
        let request = home.received().pop().unwrap();
        assert_eq!(request.head.fields.all("cookie"), seen, "{sent}");
    }
}

async fn a_session_outweighs_the_key(runtime: &'static Runtime) {
    let secret = ("SESSION_COOKIE_SECRET", "a secret of some length");
    let stage = Stage::new(runtime, &[BY_PATH, secret]).await;
    let first = stage.get("/0").await;
    for user in 1..12 {
        let response = stage
            .ask("GET", &format!("/{user}"), &session(&first))
            .await;
        assert_eq!(by(&response), by(&first), "user {user}");
        assert_eq!(set(&response), None, "user {user}");
    }
}

async fn a_session_of_a_failed_backend_moves_and_stays(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &[("BACKEND_DOWN_TIME", "300")]).await;
    let first = stage.get("/").await;
    let old = by(&first);
    stage.backends[old].refuse();
    let moved = stage.ask("GET", "/", &session(&first)).await;
    assert_eq!(moved.status(), 200);
    assert_ne!(by(&moved), old);
    // Others bring it back; the session stays where it is.
    stage.heal(old).await;
    let stays = stage.ask("GET", "/", &session(&moved)).await;
    assert_eq!(by(&stays), by(&moved));
    assert_eq!(set(&stays), None);
}

/// <https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7>
async fn the_backends_own_cookies_stay_and_shared_caches_are_kept_out(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[]).await;
    let fields = [
        (
            "set-cookie",
            "a=1; Path=/; Expires=Wed, 21 Oct 2099 07:28:00 GMT",
        ),
        ("set-cookie", "b=2"),
        ("cache-control", "public, max-age=60"),
    ];
    stage.all(&Reply::new(200, &fields, ""));
    let first = stage.get("/").await;
    let cookies = first.head.fields.all("set-cookie");
    assert_eq!(cookies[..2], [fields[0].1, fields[1].1]);
    assert_eq!(cookies.len(), 3);
    assert_eq!(
        first.head.field("cache-control"),
        Some("private, max-age=60")
    );
    // Without a new session there is nothing to keep from anybody.
    let again = stage.ask("GET", "/", &session(&first)).await;
    assert_eq!(
        again.head.field("cache-control"),
        Some("public, max-age=60")
    );
}

async fn garbage_counts_as_no_session(runtime: &'static Runtime) {
    let secret = ("SESSION_COOKIE_SECRET", "a secret of some length");
    let mut stage = Stage::new(runtime, &[BY_PATH, secret]).await;
    let valid = session(&stage.get("/").await);
    let (name, value) = valid.trim_end().split_once('=').unwrap();
    let mut forged = value.to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    let long = "1".repeat(4096);
    for garbage in [
        "",
        "1",
        "deadbeef",
        "=;=",
        "\"",
        "127.0.0.1",
        &long,
        &forged,
    ] {
        let response = stage
            .ask("GET", "/", &format!("{name}={garbage}\r\n"))
            .await;
        assert_eq!(response.status(), 200, "{garbage}");
        assert!(set(&response).is_some(), "{garbage}");
    }
    // Nor does one of a backend that is no more.
    let mut user = 0;
    let response = loop {
        let response = stage.get(&format!("/{user}")).await;
        if NAMES[by(&response)] == "C" {
            break response;
        }
        user += 1;
    };
    stage.restart(&[BY_PATH, secret, ("BACKEND_C", "")]).await;
    let moved = stage.ask("GET", "/", &session(&response)).await;
    assert_eq!(moved.status(), 200);
    assert!(set(&moved).is_some());
}

async fn a_session_is_renewed_after_half_its_life(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("SESSION_COOKIE_TTL", "4")]).await;
    let first = stage.get("/").await;
    assert_eq!(set(&stage.ask("GET", "/", &session(&first)).await), None);
    until("it is renewed", async || {
        let response = stage.ask("GET", "/", &session(&first)).await;
        assert_eq!(by(&response), by(&first));
        set(&response).is_some_and(|_| session(&response) != session(&first))
    })
    .await;
}

async fn no_session_is_made_where_they_are_off(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &[("STICKY_SESSIONS", "false")]).await;
    assert_eq!(set(&stage.get("/").await), None);
}
