//! What the balancer says in its own name: the one place that makes responses.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use crate::admission::Refusal;
use crate::fields::FieldLines;
use crate::step::{Cause, LocalReply};
use crate::survey::PSEUDONYM;

/// An answer to a request that no backend sees.
pub(crate) fn refuse(refusal: Refusal) -> LocalReply {
    let client_error = Some("http_request_error");
    let (status, error, text) = match refusal {
        Refusal::Malformed => (400, client_error, "malformed host or request target"),
        Refusal::NotFound => (404, client_error, "not found"),
        Refusal::Trace | Refusal::ReadOnly => (405, client_error, "method not allowed"),
        Refusal::Misdirected => (421, client_error, "this host is not served here"),
        Refusal::Connect => (501, None, "CONNECT is not supported"),
        Refusal::WebSocket => (501, None, "WebSocket is not supported on this runtime"),
        Refusal::Loop => (508, Some("proxy_loop_detected"), "loop detected"),
    };
    let mut reply = error_reply(status, error, text);
    // https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
    match refusal {
        Refusal::Trace => {
            let allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
            reply.fields.push("allow", allowed);
        }
        Refusal::ReadOnly => reply.fields.push("allow", "GET, HEAD"),
        Refusal::Malformed
        | Refusal::NotFound
        | Refusal::Misdirected
        | Refusal::Connect
        | Refusal::WebSocket
        | Refusal::Loop => {}
    }
    reply
}

/// The same place over https. 308 keeps the method, which 301 may not
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-15.4.9>).
pub(crate) fn redirect(host: &str, target: &str, safe: bool) -> LocalReply {
    let status = if safe { 301 } else { 308 };
    let mut reply = text_reply(status, "see the https address");
    reply
        .fields
        .push("location", format!("https://{host}{target}"));
    reply
}

/// The balancer runs.
pub(crate) fn healthy() -> LocalReply {
    text_reply(200, "ok")
}

/// The status page.
pub(crate) fn status(json: String) -> LocalReply {
    reply(200, "application/json", json)
}

/// No backend brought a response.
///
/// `reached` is whether any attempt can have reached its backend: if none can,
/// there was none available, and `retry_after` says in how many seconds that
/// may be otherwise. Of what this side does not permit, it will not.
pub(crate) fn exhausted(cause: Cause, reached: bool, retry_after: u64) -> LocalReply {
    let (error, kind) = error_type(cause);
    let (status, text) = match (reached, kind) {
        (_, Kind::Prohibition) => (502, "the backend cannot be asked"),
        (false, Kind::Timeout | Kind::Failure) => (503, "no backend is available"),
        (true, Kind::Timeout) => (504, "the backend did not answer in time"),
        (true, Kind::Failure) => (502, "the backend did not answer"),
    };
    let mut reply = error_reply(status, Some(error), text);
    if status == 503 {
        // https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
        reply.fields.push("retry-after", retry_after.to_string());
    }
    reply
}

/// An exchange that nobody remembers came to nothing.
pub(crate) fn bad_gateway(cause: Cause) -> LocalReply {
    let (error, _) = error_type(cause);
    error_reply(502, Some(error), "the backend did not answer")
}

/// `Proxy-Status` says which proxy and why
/// (<https://www.rfc-editor.org/rfc/rfc9209#section-2>).
fn error_reply(status: u16, error: Option<&str>, text: &str) -> LocalReply {
    let mut reply = text_reply(status, text);
    let value = match error {
        Some(error) => format!("{PSEUDONYM}; error={error}"),
        None => PSEUDONYM.to_owned(),
    };
    reply.fields.push("proxy-status", value);
    reply
}

fn text_reply(status: u16, text: &str) -> LocalReply {
    reply(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn reply(status: u16, content_type: &str, body: String) -> LocalReply {
    let mut fields = FieldLines::new();
    fields.push("content-type", content_type);
    fields.push("cache-control", "no-store");
    LocalReply {
        status,
        fields,
        body: body.into_bytes(),
    }
}

/// How an attempt came to nothing.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Nothing came in time.
    Timeout,
    /// Something went wrong on the way or there.
    Failure,
    /// This side does not do it, now or later.
    Prohibition,
}

/// The registered name of a cause, and its kind
/// (<https://www.rfc-editor.org/rfc/rfc9209#section-2.3>).
pub(crate) const fn error_type(cause: Cause) -> (&'static str, Kind) {
    use Kind::{Failure, Prohibition, Timeout};
    match cause {
        Cause::DnsTimeout => ("dns_timeout", Timeout),
        Cause::DnsError => ("dns_error", Failure),
        Cause::DestinationNotFound => ("destination_not_found", Failure),
        Cause::DestinationUnavailable => ("destination_unavailable", Failure),
        Cause::DestinationIpProhibited => ("destination_ip_prohibited", Prohibition),
        Cause::DestinationIpUnroutable => ("destination_ip_unroutable", Failure),
        Cause::ConnectionRefused => ("connection_refused", Failure),
        Cause::ConnectionTerminated => ("connection_terminated", Failure),
        Cause::ConnectionTimeout => ("connection_timeout", Timeout),
        Cause::ConnectionReadTimeout => ("connection_read_timeout", Timeout),
        Cause::ConnectionWriteTimeout => ("connection_write_timeout", Timeout),
        Cause::ConnectionLimitReached => ("connection_limit_reached", Failure),
        Cause::TlsProtocolError => ("tls_protocol_error", Failure),
        Cause::TlsCertificateError => ("tls_certificate_error", Failure),
        Cause::TlsAlertReceived => ("tls_alert_received", Failure),
        Cause::HttpRequestDenied => ("http_request_denied", Prohibition),
        Cause::HttpResponseIncomplete => ("http_response_incomplete", Failure),
        Cause::HttpResponseHeaderSectionSize => ("http_response_header_section_size", Failure),
        Cause::HttpResponseTimeout => ("http_response_timeout", Timeout),
        Cause::HttpUpgradeFailed => ("http_upgrade_failed", Failure),
        Cause::HttpProtocolError => ("http_protocol_error", Failure),
        Cause::LoopDetected => ("proxy_loop_detected", Prohibition),
        Cause::ConfigurationError => ("proxy_configuration_error", Prohibition),
        Cause::InternalError => ("proxy_internal_error", Prohibition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(reply: &LocalReply, name: &str) -> Option<String> {
        let value = reply.fields.fields().values(name).next()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn refusals() {
        let table = [
            (Refusal::Malformed, 400, None),
            (Refusal::NotFound, 404, None),
            (
                Refusal::Trace,
                405,
                Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ),
            (Refusal::ReadOnly, 405, Some("GET, HEAD")),
            (Refusal::Misdirected, 421, None),
            (Refusal::Connect, 501, None),
            (Refusal::WebSocket, 501, None),
            (Refusal::Loop, 508, None),
        ];
        for (refusal, status, allow) in table {
            let reply = refuse(refusal);
            assert_eq!(reply.status, status);
            assert_eq!(field(&reply, "allow").as_deref(), allow);
            assert_eq!(field(&reply, "cache-control").as_deref(), Some("no-store"));
            assert!(field(&reply, "proxy-status").is_some_and(|value| value.starts_with("edgelb")));
        }
    }

    #[test]
    fn a_redirect_keeps_path_and_query() {
        let reply = redirect("lb.example", "/a%20b//c?d=%2F&e", true);
        assert_eq!(reply.status, 301);
        assert_eq!(
            field(&reply, "location").as_deref(),
            Some("https://lb.example/a%20b//c?d=%2F&e")
        );
        assert_eq!(redirect("lb.example", "/", false).status, 308);
    }

    #[test]
    fn exhaustion_is_unavailable_late_or_bad() {
        let table = [
            (Cause::ConnectionRefused, false, 503, "connection_refused"),
            (Cause::ConnectionTimeout, false, 503, "connection_timeout"),
            (
                Cause::HttpResponseTimeout,
                true,
                504,
                "http_response_timeout",
            ),
            (
                Cause::ConnectionTerminated,
                true,
                502,
                "connection_terminated",
            ),
            (Cause::HttpRequestDenied, false, 502, "http_request_denied"),
            (
                Cause::ConnectionLimitReached,
                false,
                503,
                "connection_limit_reached",
            ),
        ];
        for (cause, reached, status, error) in table {
            let reply = exhausted(cause, reached, 7);
            assert_eq!(reply.status, status);
            let expected = format!("edgelb; error={error}");
            assert_eq!(field(&reply, "proxy-status"), Some(expected));
            let retry_after = (status == 503).then(|| "7".to_owned());
            assert_eq!(field(&reply, "retry-after"), retry_after);
        }
    }
}
