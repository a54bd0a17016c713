//! One play, one trace, whichever door: what backends are sent, in order, and
//! what the client hears.
//!
//! Left out of a trace are the order of fields with different names, which means
//! nothing (<https://www.rfc-editor.org/rfc/rfc9110#section-5.3>), and the `host`
//! of a request to a backend, which by the exchange door is made of the URI, where
//! a trace has it, when it goes out on a connection.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use edgelb_host::{Body, Cause, Door, TokioClock};
use edgelb_tests::noise::{Digest, Noise};
use edgelb_tests::scene::{Act, Scene, answer, ask, from, get, ok, status};
use http::{HeaderMap, Request, request};
use tokio::time::advance;

/// What happens, in order.
enum Turn {
    /// All backends do this from now on.
    All(fn(&request::Parts) -> Act),
    /// The backend of this name does.
    One(&'static str, fn(&request::Parts) -> Act),
    /// A client asks.
    Ask(fn() -> Request<Body>),
    /// The same, with the session cookie that it was given last.
    AskAgain(fn() -> Request<Body>),
    /// Time passes.
    Pass(Duration),
}

use Turn::{All, Ask, AskAgain, One, Pass};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

fn refused(_: &request::Parts) -> Act {
    Act::Unreachable(Cause::ConnectionRefused)
}

fn broken(_: &request::Parts) -> Act {
    Act::Fail(Cause::ConnectionTerminated)
}

fn failing(parts: &request::Parts) -> Act {
    let words = if parts.method == "HEAD" {
        ""
    } else {
        "its own words"
    };
    answer(500, &[("x-detail", "kept")], words)
}

#[tokio::test(start_paused = true)]
async fn what_passes_through() {
    same(
        &[("STICKY_SESSIONS", "false")],
        &[
            Ask(|| get("/a%2Fb//c/../d;p=1?x=%20&y=&z")),
            Ask(|| {
                let fields = [
                    ("x-one", "1"),
                    ("accept-encoding", "br"),
                    ("x-one", "2"),
                    ("connection", "x-named, te"),
                    ("x-named", "for this hop"),
                    ("te", "trailers, gzip"),
                    ("upgrade", "h2c"),
                    ("proxy-authorization", "Basic eA=="),
                    ("x_forwarded_for", "203.0.113.66"),
                    ("x-forwarded-for", "203.0.113.66"),
                    ("forwarded", "for=203.0.113.66"),
                    ("via", "1.0 outer"),
                    ("cdn-loop", "other"),
                ];
                ask("GET", "/", &fields, "")
            }),
            Ask(|| ask("PROPFIND", "/", &[], "body")),
            Ask(|| ask("PUT", "/", &[], noise(200_000))),
            Ask(|| ask("HEAD", "/", &[], "")),
            All(|_| {
                let fields = [
                    ("set-cookie", "a=1"),
                    ("set-cookie", "b=2"),
                    ("link", "<a>"),
                    ("connection", "x-named"),
                    ("x-named", "for this hop"),
                    ("keep-alive", "timeout=5"),
                    ("via", "1.1 inner"),
                    ("content-encoding", "gzip"),
                ];
                answer(206, &fields, "part")
            }),
            Ask(|| ask("GET", "/", &[("range", "bytes=0-3")], "")),
            All(|_| answer(302, &[("location", "/next")], "")),
            Ask(|| get("/")),
            All(|_| status(204)),
            Ask(|| get("/")),
            All(|_| answer(304, &[("etag", "\"1\"")], "")),
            Ask(|| get("/")),
            All(|_| answer(200, &[("content-length", "1234")], "")),
            Ask(|| ask("HEAD", "/", &[], "")),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_without_a_backend() {
    same(
        &[
            ("PRIMARY_DOMAIN", "service.test"),
            ("STATUS_TOKEN", "a-token-of-some-length"),
            ("TRUSTED_PROXIES", "10.0.0.1"),
            ("HSTS_MAX_AGE", "60"),
        ],
        &[
            Ask(|| get("/a?b")),
            Ask(|| ask("POST", "/a?b", &[], "body")),
            Ask(|| ask("GET", "/", &[("host", "other.test")], "")),
            Ask(|| ask("GET", "/", &[("host", "user@service.test")], "")),
            Ask(|| ask("TRACE", "/", &[], "")),
            Ask(|| get("/.well-known/edgelb/health")),
            Ask(|| ask("HEAD", "/.well-known/edgelb/health", &[], "")),
            Ask(|| get("/.well-known/edgelb/status")),
            Ask(|| {
                let token = [("authorization", "Bearer a-token-of-some-length")];
                ask("GET", "/.well-known/edgelb/status", &token, "")
            }),
            Ask(|| ask("GET", "/", &[("cdn-loop", "edgelb")], "")),
            Ask(|| get("/.well-known/acme-challenge/token")),
            Ask(|| {
                let proxy = "10.0.0.1".parse().unwrap();
                let fields = [
                    ("x-forwarded-for", "198.51.100.7"),
                    ("x-forwarded-proto", "https"),
                ];
                from(proxy, "GET", "/", &fields, "")
            }),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn sessions() {
    same(
        &[("SESSION_COOKIE_SECRET", "a secret of some length")],
        &[
            Ask(|| get("/")),
            AskAgain(|| get("/")),
            AskAgain(|| from("203.0.113.9".parse().unwrap(), "GET", "/", &[], "")),
            Ask(|| ask("GET", "/", &[("cookie", "edgelb=forged; a=1")], "")),
            All(|_| answer(200, &[("cache-control", "public, max-age=60")], "")),
            Ask(|| get("/")),
            AskAgain(|| get("/")),
            Pass(DAY / 2 + SECOND),
            AskAgain(|| get("/")),
            All(refused),
            AskAgain(|| get("/")),
            All(|_| ok()),
            AskAgain(|| get("/")),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn failures_and_retries() {
    same(
        &[("BACKEND_DOWN_TIME", "1"), ("BACKEND_DOWN_TIME_MAX", "1")],
        &[
            All(refused),
            Ask(|| get("/")),
            Ask(|| ask("POST", "/", &[], "body")),
            Pass(SECOND),
            All(broken),
            Ask(|| get("/")),
            Ask(|| ask("POST", "/", &[], "body")),
            Ask(|| ask("POST", "/", &[("idempotency-key", "\"1\"")], "body")),
            Ask(|| ask("PUT", "/", &[], noise(65_536))),
            Ask(|| ask("PUT", "/", &[], noise(65_537))),
            Pass(SECOND),
            All(failing),
            Ask(|| get("/")),
            Ask(|| ask("HEAD", "/", &[], "")),
            Ask(|| ask("PATCH", "/", &[], "body")),
            Pass(SECOND),
            All(|_| Act::Silence),
            Ask(|| get("/")),
            Ask(|| ask("POST", "/", &[], "body")),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn health() {
    same(
        &[
            ("BACKEND_DOWN_TIME", "10000"),
            ("BACKEND_DOWN_TIME_MAX", "30000"),
            ("FAILURE_THRESHOLD", "2"),
            ("AFFINITY_KEY", "path:1"),
            ("STICKY_SESSIONS", "false"),
        ],
        &[
            One("a", refused),
            One("b", |_| answer(503, &[("retry-after", "120")], "")),
            Ask(|| get("/1")),
            Ask(|| get("/2")),
            Ask(|| get("/3")),
            Ask(|| get("/4")),
            Ask(|| get("/5")),
            Ask(|| get("/6")),
            Pass(11 * SECOND),
            Ask(|| get("/1")),
            Ask(|| get("/2")),
            Ask(|| get("/3")),
            Pass(15 * SECOND),
            One("a", |_| status(404)),
            Ask(|| get("/1")),
            Ask(|| get("/2")),
            Ask(|| get("/3")),
            Pass(100 * SECOND),
            One("b", |_| status(429)),
            Ask(|| get("/1")),
            Ask(|| get("/2")),
            Ask(|| get("/3")),
            Ask(|| get("/4")),
            All(|_| status(502)),
            Ask(|| get("/1")),
            Ask(|| get("/1")),
            Ask(|| get("/1")),
            All(|_| ok()),
            Ask(|| get("/1")),
        ],
    )
    .await;
}

/// The play comes to the same by both doors.
async fn same(environment: &[(&str, &str)], turns: &[Turn]) {
    let exchange = play(Door::Exchange, environment, turns).await;
    let standard = play(Door::WasiHttp, environment, turns).await;
    for (number, (exchange, standard)) in exchange.iter().zip(&standard).enumerate() {
        assert!(
            exchange == standard,
            "turn {number}\n-- by the exchange door --\n{exchange}\n-- by the standard door --\n{standard}"
        );
    }
}

/// What came of each turn.
async fn play(door: Door, environment: &[(&str, &str)], turns: &[Turn]) -> Vec<String> {
    // Cookies and pages tell the time.
    let clock = TokioClock::anchored(UNIX_EPOCH + DAY * 20_000);
    let scene = Scene::build(door, environment, |edge| edge.clock(clock)).unwrap();
    let log = Log::default();
    log.all(&scene, |_| ok());
    let mut session = String::new();
    let mut trace = Vec::new();
    for turn in turns {
        let request = match turn {
            All(script) => {
                log.all(&scene, *script);
                None
            }
            One(name, script) => {
                log.script(&scene, name, *script);
                None
            }
            Pass(time) => {
                advance(*time).await;
                None
            }
            Ask(request) => Some(request()),
            AskAgain(request) => {
                let mut request = request();
                let cookie = session.parse().unwrap();
                request.headers_mut().insert("cookie", cookie);
                Some(request)
            }
        };
        if let Some(request) = request {
            let response = scene.send(request).await;
            // What one door reports at once, the other may report a moment later.
            scene.quiet().await;
            let (parts, body) = response.into_parts();
            let cookies = parts.headers.get_all("set-cookie").iter();
            let ours = cookies.filter_map(|cookie| cookie.to_str().unwrap().split_once(';'));
            if let Some((pair, _)) = ours.into_iter().find(|it| it.0.starts_with("edgelb=")) {
                pair.clone_into(&mut session);
            }
            log.add(&format!(
                "<- {}{}\n{}",
                parts.status,
                fields(&parts.headers),
                body.escape_ascii()
            ));
        }
        trace.push(log.take(&scene));
    }
    trace
}

/// What has happened since it was last asked.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<String>>,
    /// How many bodies of each backend are known.
    received: Arc<Mutex<[usize; 3]>>,
}

impl Log {
    fn all(&self, scene: &Scene, script: fn(&request::Parts) -> Act) {
        for name in ["a", "b", "c"] {
            self.script(scene, name, script);
        }
    }

    fn script(&self, scene: &Scene, name: &'static str, script: fn(&request::Parts) -> Act) {
        let log = self.clone();
        scene.backend(name).script(move |parts| {
            let head = format!("{} {}", parts.method, parts.uri);
            log.add(&format!("-> {name}: {head}{}", fields(&parts.headers)));
            script(parts)
        });
    }

    fn add(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap();
        let _ = writeln!(lines, "{line}");
    }

    /// Bodies come after heads, as they are known when they have been read.
    fn take(&self, scene: &Scene) -> String {
        for (backend, before) in scene
            .backends
            .iter()
            .zip(&mut *self.received.lock().unwrap())
        {
            let received = backend.received();
            for request in &received[*before..] {
                let Digest { length, sha256 } = Digest::of(request.body());
                self.add(&format!(
                    "{} received {length} bytes: {sha256}",
                    backend.name()
                ));
            }
            *before = received.len();
        }
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

/// Fields by their names, those of one name in order.
fn fields(headers: &HeaderMap) -> String {
    let mut lines: Vec<_> = headers
        .iter()
        .filter(|(name, _)| *name != "host")
        .map(|(name, value)| (name.as_str(), value.as_bytes().escape_ascii().to_string()))
        .collect();
    lines.sort_by_key(|(name, _)| *name);
    let lines = lines.into_iter();
    lines.fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "\n   {name}: {value}");
        text
    })
}

fn noise(length: u64) -> Vec<u8> {
    Noise::new(7, length).flatten().collect()
}
