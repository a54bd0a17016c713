//! What a client's connection repeats is not decided again: the policy traps where
//! it is asked to begin with `/trap-begin`, and so shows when it is.

use edgelb_tests::FAULTY;
use edgelb_tests::client::{Client, Response};
use edgelb_tests::nginx::Directory;
use edgelb_tests::process::Edgelb;
use edgelb_tests::script::Reply;

use crate::stage::{Stage, by};

/// A stage whose policy shows when it is asked, and a client of it.
struct Watched {
    stage: Stage,
    client: Client,
    _directory: Directory,
}

/// Answered by a backend only if the policy is not asked.
const REUSED: &str = "/trap-begin?b=%20c";
const EMPTY: &str = "content-length: 0\r\n";
const UNTIED: (&str, &str) = ("STICKY_SESSIONS", "false");

impl Watched {
    async fn new(environment: &[(&str, &str)]) -> Self {
        let directory = Directory::new();
        let component = directory.write("faulty.wasm", FAULTY);
        let edgelb = Edgelb::serve().args(["--threads", "1", "--component", &component]);
        let edgelb =
            (environment.iter()).fold(edgelb, |edgelb, &(name, value)| edgelb.env(name, value));
        let stage = Stage::with(edgelb).await;
        Self {
            client: Client::connect(stage.address()).await,
            stage,
            _directory: directory,
        }
    }

    /// Whether the policy is asked about a request of this client.
    async fn is_asked(&mut self, method: &str, fields: &str) -> bool {
        let response = self.client.ask(method, "/trap-begin", fields).await;
        match response.status() {
            200 => false,
            502 => true,
            other => panic!("{other}"),
        }
    }

    /// Has something decided for requests like this.
    async fn decide(&mut self, fields: &str) -> Response {
        // The instance that comes after a trap knows with its first call how all are.
        self.stage.ask("GET", "/", "x-another: 1\r\n").await;
        let response = self.client.ask("GET", "/", fields).await;
        assert_eq!(response.status(), 200);
        response
    }
}

#[tokio::test]
async fn what_a_client_repeats_is_not_decided_again() {
    let mut watched = Watched::new(&[UNTIED]).await;
    for (method, fields, asked) in [
        ("GET", "accept: a\r\nx-user: 1\r\n", false),
        (
            "GET",
            "accept: b\r\nrange: bytes=0-\r\nx-user: 1\r\n",
            false,
        ),
        ("GET", "x-user: 1\r\nReferer: /b\r\n", false),
        ("GET", "", false),
        ("GET", "User-Agent: c\r\nx-user: 2\r\n", false),
        ("GET", "accept: a\r\nx_user: 1\r\n", true),
        ("GET", "accept: a\r\nte: trailers\r\n", true),
        ("GET", "accept: a\r\nCookie: a=1\r\n", true),
        ("GET", "x-forwarded-for: 192.0.2.1\r\naccept: a\r\n", true),
        ("GET", "accept: a\r\nx-user: 1\r\nvia: 1.1 a\r\n", true),
        ("HEAD", "accept: a\r\nx-user: 1\r\n", true),
        ("GET", "x-user: 1\r\ncontent-length: 0\r\n", true),
    ] {
        watched.decide("accept: a\r\nx-user: 1\r\n").await;
        assert_eq!(watched.is_asked(method, fields).await, asked, "{fields:?}");
    }
    // Each connection has its own.
    watched.client = Client::connect(watched.stage.address()).await;
    assert!(watched.is_asked("GET", "accept: a\r\nx-user: 1\r\n").await);
}

#[tokio::test]
async fn what_is_reused_is_sent_as_what_is_decided() {
    let mut watched = Watched::new(&[UNTIED]).await;
    let home = by(&watched
        .decide("x-user: 1\r\naccept: a\r\nConnection: x-hop\r\n")
        .await);
    let fields = "x-user: 1\r\nrange: bytes=1-\r\nx-hop: 1\r\nConnection: x-hop\r\n";
    let reused = watched.client.ask("GET", REUSED, fields).await;
    assert_eq!(reused.status(), 200);
    watched.stage.ask("GET", "/", fields).await;
    let received = watched.stage.backends[home].received();
    let [.., reused, decided] = &received[..] else {
        panic!("{received:?}")
    };
    assert_eq!(reused.head.target(), REUSED);
    assert_eq!(reused.head.fields, decided.head.fields);
    assert_eq!(reused.head.field("range"), Some("bytes=1-"));
    assert_eq!(reused.head.field("x-hop"), None);
}

#[tokio::test]
async fn a_client_with_a_session_is_decided_about_once() {
    let mut watched = Watched::new(&[]).await;
    let first = watched.decide("").await;
    let cookie = first.head.field("set-cookie").unwrap();
    let session = format!("cookie: {}\r\n", cookie.split(';').next().unwrap());
    let again = watched.decide(&session).await;
    assert_eq!(again.head.field("set-cookie"), None);
    assert_eq!(by(&again), by(&first));
    assert!(!watched.is_asked("GET", &session).await);
}

#[tokio::test]
async fn what_was_not_decided_fails_over_as_what_was() {
    for failure in [Reply::new(503, &[], "").close(), Reply::default().close()] {
        let mut watched = Watched::new(&[UNTIED]).await;
        let home = by(&watched.decide("").await);
        watched.stage.backends[home].always(failure);
        let response = watched.client.ask("GET", REUSED, "").await;
        assert_eq!((response.status(), by(&response)), (200, 1 - home));
        // It counts against the backend, for all.
        let before = watched.stage.backends[home].seen().requests;
        assert_eq!(by(&watched.client.ask("GET", "/", "").await), 1 - home);
        assert_eq!(by(&watched.stage.get("/").await), 1 - home);
        assert_eq!(watched.stage.backends[home].seen().requests, before);
        assert!(watched.is_asked("GET", "").await);
    }
}

#[tokio::test]
async fn what_was_not_decided_is_not_delivered_twice_either() {
    let mut watched = Watched::new(&[UNTIED]).await;
    let home = by(&watched.decide("").await);
    let post = async |client: &mut Client| client.ask("POST", REUSED, EMPTY).await;
    let decided = watched.client.ask("POST", "/", EMPTY).await;
    assert_eq!(decided.status(), 200);
    assert_eq!(post(&mut watched.client).await.status(), 200);
    watched.stage.backends[home].always(Reply::default().close());
    let before = watched
        .stage
        .backends
        .each_ref()
        .map(|it| it.seen().requests);
    assert_eq!(post(&mut watched.client).await.status(), 502);
    let after = watched
        .stage
        .backends
        .each_ref()
        .map(|it| it.seen().requests);
    assert_eq!(after[home] - before[home], 1);
    assert_eq!(after[1 - home], before[1 - home]);
}
