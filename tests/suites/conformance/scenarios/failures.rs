//! What the client hears when nothing helps.

use edgelb_tests::client::Response;
use edgelb_tests::script::Reply;

use super::scenarios;
use crate::runtime::Runtime;
use crate::stage::{FORGIVING, Stage};

scenarios!("Failures":
    what_went_wrong_is_said_without_detail,
    a_connection_that_is_reset_is_called_terminated,
    a_connection_that_is_closed_is_called_terminated,
    a_silent_backend_is_called_a_timeout,
    what_is_no_http_is_called_a_protocol_error,
    nobody_available_is_said_with_a_time,
);

/// Ways to bring no response, each with its status and what it is called.
pub(super) fn failures() -> [(&'static str, Reply, u16, &'static str); 4] {
    [
        (
            "reset",
            Reply::default().reset(),
            502,
            "connection_terminated",
        ),
        (
            "close",
            Reply::default().close(),
            502,
            "connection_terminated",
        ),
        ("silence", Reply::silence(), 504, "http_response_timeout"),
        (
            "no HTTP",
            Reply::raw("220 ready\r\n\r\n").close(),
            502,
            "http_protocol_error",
        ),
    ]
}

async fn what_went_wrong_is_said_without_detail(runtime: &'static Runtime) {
    let stage = Stage::new(runtime, &FORGIVING).await;
    for (failure, reply, status, _) in failures() {
        stage.all(&reply);
        let response = stage.get("/").await;
        assert_eq!(response.status(), status, "{failure}");
        is_our_own(&stage, &response);
    }
}

async fn a_connection_that_is_reset_is_called_terminated(runtime: &'static Runtime) {
    has_its_registered_name(runtime, "reset").await;
}

async fn a_connection_that_is_closed_is_called_terminated(runtime: &'static Runtime) {
    has_its_registered_name(runtime, "close").await;
}

async fn a_silent_backend_is_called_a_timeout(runtime: &'static Runtime) {
    has_its_registered_name(runtime, "silence").await;
}

async fn what_is_no_http_is_called_a_protocol_error(runtime: &'static Runtime) {
    has_its_registered_name(runtime, "no HTTP").await;
}

/// <https://www.rfc-editor.org/rfc/rfc9209#section-2.3>
async fn has_its_registered_name(runtime: &'static Runtime, failure: &str) {
    let stage = Stage::new(runtime, &FORGIVING).await;
    let mut failures = failures().into_iter();
    let (_, reply, status, error) = failures.find(|it| it.0 == failure).unwrap();
    stage.all(&reply);
    let response = stage.get("/").await;
    assert_eq!(response.status(), status);
    let told = response.head.field("proxy-status").unwrap_or_default();
    assert_eq!(told, format!("edgelb; error={error}"));
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.6.4>
async fn nobody_available_is_said_with_a_time(runtime: &'static Runtime) {
    let mut stage = Stage::new(runtime, &FORGIVING).await;
    for backend in &mut stage.backends {
        backend.refuse();
    }
    let response = stage.get("/").await;
    assert_eq!(response.status(), 503);
    let seconds = response.head.field("retry-after").unwrap();
    assert!(seconds.parse::<u32>().is_ok(), "{seconds}");
    is_our_own(&stage, &response);
    let told = response.head.field("proxy-status");
    assert_eq!(told, Some("edgelb; error=connection_refused"));
    let response = stage.ask("HEAD", "/", "").await;
    assert_eq!((response.status(), response.text()), (503, ""));
}

fn is_our_own(stage: &Stage, response: &Response) {
    let head = &response.head;
    let told = head.field("proxy-status").unwrap();
    assert!(told.starts_with("edgelb; error="), "{told}");
    assert_eq!(head.field("cache-control"), Some("no-store"));
    assert!(!head.fields.has("set-cookie"));
    for backend in &stage.backends {
        let port = backend.address().port().to_string();
        assert!(!response.text().contains(&port), "{response:?}");
    }
}
