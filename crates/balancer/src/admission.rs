//! Whether a request is for a backend at all.

use crate::authority;
use crate::bytes::same;
use crate::head::{RequestHead, Scheme};
use crate::lists::is;
use crate::policy::Policy;
use crate::session::is_same_secret;
use crate::survey::Survey;

/// Where the balancer's own resources are
/// (<https://www.rfc-editor.org/rfc/rfc8615>). Nothing under it reaches a
/// backend.
const OWN_PATHS: &str = "/.well-known/edgelb/";

/// Certificates are obtained over plain http
/// (<https://www.rfc-editor.org/rfc/rfc8555#section-8.3>).
const ACME_PATHS: &str = "/.well-known/acme-challenge/";

/// Whether whatever well-formed target has this shape is admitted where one of them is.
pub(crate) fn is_usual(target: &str) -> bool {
    target.starts_with('/') && !target.starts_with("/.well-known/")
}

/// Hops in `Via` beyond which a request is taken to go in circles through
/// proxies that know no `CDN-Loop`. Real chains have a handful.
const MAX_VIA: usize = 16;

/// Hops in `Via` that may be ours. `CDN-Loop` stops a request at its second
/// visit; where something on the way drops that field, the third is stopped.
const MAX_OWN_VIA: usize = 1;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission<'a> {
    /// It goes to a backend.
    Admit,
    /// It is answered with an error.
    Refuse(Refusal),
    /// It is sent to the same place over https.
    Redirect {
        /// The host without a port.
        host: &'a str,
        /// Whether the method may become GET on the way, as browsers like to.
        safe: bool,
    },
    /// It asks whether the balancer runs.
    Health,
    /// It asks for the balancer's view of the backends, and may.
    Status,
}

/// Why a request is answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400: authority or target are malformed.
    Malformed,
    /// 404: the balancer has no such resource, or shows it to others only.
    NotFound,
    /// 405: a method that no resource here takes.
    Trace,
    /// 405: a method that the balancer's own resources do not take.
    ReadOnly,
    /// 421: not one of the domains.
    Misdirected,
    /// 501: tunnels to anywhere.
    Connect,
    /// 501: a WebSocket that the runtime cannot carry.
    WebSocket,
    /// 508: it was here before.
    Loop,
}

/// Decides, in an order that matters: what cannot be understood first, then the
/// balancer's own resources, which answer whatever the host and scheme.
pub(crate) fn admit<'a>(
    head: &RequestHead<'a>,
    survey: &Survey<'_>,
    scheme: Scheme,
    policy: &Policy,
) -> Admission<'a> {
    let Ok(host) = well_formed_host(head, survey) else {
        return Admission::Refuse(Refusal::Malformed);
    };
    match head.method {
        "CONNECT" => return Admission::Refuse(Refusal::Connect),
        "TRACE" => return Admission::Refuse(Refusal::Trace),
        _ => {}
    }
    if !is_target(head) {
        return Admission::Refuse(Refusal::Malformed);
    }
    if let Some(own) = head.target.strip_prefix(OWN_PATHS) {
        return own_resource(own, head.method, survey, policy);
    }
    if !is_primary(host, policy) {
        return Admission::Refuse(Refusal::Misdirected);
    }
    if survey.looped || survey.own_via > MAX_OWN_VIA || survey.via > MAX_VIA {
        return Admission::Refuse(Refusal::Loop);
    }
    let redirected = policy.https_redirect
        && scheme == Scheme::Http
        && head.target.starts_with('/')
        && !head.target.starts_with(ACME_PATHS);
    if redirected {
        let safe = matches!(head.method, "GET" | "HEAD");
        return host.map_or(Admission::Refuse(Refusal::Malformed), |host| {
            Admission::Redirect { host, safe }
        });
    }
    if survey.upgrade.is_lost() {
        return Admission::Refuse(Refusal::WebSocket);
    }
    Admission::Admit
}

/// No host, or more than one, or what is none.
struct MalformedHost;

/// The host, where authority and `Host` are well formed and there is but one.
/// The authority stands where they differ, as it does in an absolute target
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-3.2>). `None` where the
/// runtime tells neither.
fn well_formed_host<'a>(
    head: &RequestHead<'a>,
    survey: &Survey<'_>,
) -> Result<Option<&'a str>, MalformedHost> {
    if head.authority.is_empty() && survey.hosts == 0 {
        return Ok(None);
    }
    let host_is_fine = survey.host.is_none_or(|value| {
        same(value, head.authority.as_bytes())
            || str::from_utf8(value).is_ok_and(|value| authority::host(value).is_some())
    });
    match authority::host(head.authority) {
        Some(host) if survey.hosts <= 1 && host_is_fine => Ok(Some(host)),
        _ => Err(MalformedHost),
    }
}

/// Whether the target is a path and query, or the `*` of a server-wide OPTIONS,
/// and fit for a `Location`
/// (<https://www.rfc-editor.org/rfc/rfc9112#section-3.2>).
fn is_target(head: &RequestHead<'_>) -> bool {
    let shape = head.target.starts_with('/') || (head.target == "*" && head.method == "OPTIONS");
    shape && head.target.bytes().all(|byte| byte > b' ' && byte != 0x7f)
}

fn own_resource(
    path_and_query: &str,
    method: &str,
    survey: &Survey<'_>,
    policy: &Policy,
) -> Admission<'static> {
    let found = match path_and_query.split('?').next() {
        Some("health") => Admission::Health,
        Some("status") if is_authorized(survey, policy) => Admission::Status,
        _ => return Admission::Refuse(Refusal::NotFound),
    };
    match method {
        "GET" | "HEAD" => found,
        _ => Admission::Refuse(Refusal::ReadOnly),
    }
}

/// <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>
fn is_authorized(survey: &Survey<'_>, policy: &Policy) -> bool {
    let (Some(token), Some(credentials)) = (&policy.status_token, survey.authorization) else {
        return false;
    };
    credentials
        .split_at_checked("Bearer ".len())
        .is_some_and(|(scheme, shown)| {
            is(scheme, "Bearer ") && is_same_secret(token.as_bytes(), shown.trim_ascii())
        })
}

/// A name with the dot of the root at its end is the same name. A host that
/// nobody told is none of the domains.
fn is_primary(host: Option<&str>, policy: &Policy) -> bool {
    let host = host.map(|host| host.strip_suffix('.').unwrap_or(host));
    policy.primary_domains.is_empty()
        || policy
            .primary_domains
            .iter()
            .any(|domain| host.is_some_and(|host| is(host.as_bytes(), domain)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;
    use crate::head::BodySize;

    const MALFORMED: Admission<'_> = Admission::Refuse(Refusal::Malformed);
    const MISDIRECTED: Admission<'_> = Admission::Refuse(Refusal::Misdirected);
    const NOT_FOUND: Admission<'_> = Admission::Refuse(Refusal::NotFound);
    const LOOP: Admission<'_> = Admission::Refuse(Refusal::Loop);

    fn policy() -> Policy {
        Policy {
            primary_domains: vec!["lb.example".to_owned(), "[2001:db8::1]".to_owned()],
            status_token: Some("token".to_owned()),
            https_redirect: true,
            ..Policy::default()
        }
    }

    fn head<'a>(
        scheme: Scheme,
        method: &'a str,
        authority: &'a str,
        target: &'a str,
        fields: &'a str,
    ) -> RequestHead<'a> {
        RequestHead {
            method,
            scheme,
            authority,
            target,
            peer: Some([192, 0, 2, 1].into()),
            body: BodySize::None,
            fields: Fields::new(fields.as_bytes()),
        }
    }

    fn decide<'a>(
        scheme: Scheme,
        method: &'a str,
        authority: &'a str,
        target: &'a str,
        fields: &'a str,
    ) -> Admission<'a> {
        let head = head(scheme, method, authority, target, fields);
        let policy = policy();
        let survey = Survey::of(&head, &policy, false);
        admit(&head, &survey, scheme, &policy)
    }

    #[test]
    fn authorities_and_targets() {
        let table = [
            ("lb.example", "/", "", Admission::Admit),
            (
                "LB.example.:8443",
                "/",
                "host:LB.example.:8443\n",
                Admission::Admit,
            ),
            ("[2001:db8::1]:8443", "/", "", Admission::Admit),
            ("lb.example", "/", "host:other.example\n", Admission::Admit),
            ("", "/", "host:\n", MALFORMED),
            ("", "/", "", MISDIRECTED),
            ("lb.example", "/", "host:a\nhost:a\n", MALFORMED),
            ("lb.example", "/", "host:user@lb.example\n", MALFORMED),
            ("user@lb.example", "/", "", MALFORMED),
            ("lb.example", "", "", MALFORMED),
            ("lb.example", "*", "", MALFORMED),
            ("lb.example", "lb.example/", "", MALFORMED),
            ("lb.example", "/a b", "", MALFORMED),
            ("lb.example", "/a\r\nx:y", "", MALFORMED),
            ("lb.example", "/\u{e9}", "", Admission::Admit),
            ("other.example", "/", "", MISDIRECTED),
            ("sub.lb.example", "/", "", MISDIRECTED),
        ];
        for (authority, target, fields, expected) in table {
            let found = decide(Scheme::Https, "GET", authority, target, fields);
            assert_eq!(found, expected, "{authority} {target} {fields}");
        }
    }

    #[test]
    fn methods() {
        let table = [
            (
                "CONNECT",
                "lb.example:443",
                Admission::Refuse(Refusal::Connect),
            ),
            ("TRACE", "/", Admission::Refuse(Refusal::Trace)),
            ("OPTIONS", "*", Admission::Admit),
            ("OPTIONS", "/", Admission::Admit),
            ("connect", "/", Admission::Admit),
            ("PROPFIND", "/", Admission::Admit),
        ];
        for (method, target, expected) in table {
            let found = decide(Scheme::Https, method, "lb.example", target, "");
            assert_eq!(found, expected, "{method}");
        }
        // The order: a malformed authority comes before the method.
        assert_eq!(decide(Scheme::Https, "CONNECT", "a@b", "", ""), MALFORMED);
    }

    /// `wasmtime serve` shows neither authority nor Host.
    #[test]
    fn a_host_that_the_runtime_does_not_tell_is_any_host_but_none_to_redirect_to() {
        let any = Policy::default();
        let redirecting = Policy {
            https_redirect: true,
            ..Policy::default()
        };
        for (policy, expected) in [(any, Admission::Admit), (redirecting, MALFORMED)] {
            let head = head(Scheme::Http, "GET", "", "/", "");
            let survey = Survey::of(&head, &policy, false);
            assert_eq!(admit(&head, &survey, Scheme::Http, &policy), expected);
        }
    }

    #[test]
    fn own_resources_answer_whatever_the_host_and_scheme() {
        let read_only = Admission::Refuse(Refusal::ReadOnly);
        let bearer = "authorization:Bearer token\n";
        let table = [
            ("GET", "health", "", Admission::Health),
            ("HEAD", "health?x", "", Admission::Health),
            ("POST", "health", "", read_only),
            ("GET", "", "", NOT_FOUND),
            ("GET", "health/", "", NOT_FOUND),
            ("GET", "status", "", NOT_FOUND),
            ("POST", "status", "", NOT_FOUND),
            ("GET", "status", "authorization:Bearer tokem\n", NOT_FOUND),
            ("GET", "status", "authorization:Basic token\n", NOT_FOUND),
            ("GET", "status", "authorization:Bearer\n", NOT_FOUND),
            ("GET", "status", "authorization:token\n", NOT_FOUND),
            ("GET", "status", bearer, Admission::Status),
            (
                "GET",
                "status",
                "Authorization:bearer token\n",
                Admission::Status,
            ),
            ("DELETE", "status", bearer, read_only),
        ];
        for (method, own, fields, expected) in table {
            let target = format!("{OWN_PATHS}{own}");
            let found = decide(Scheme::Http, method, "203.0.113.5", &target, fields);
            assert_eq!(found, expected, "{method} {own} {fields}");
        }
    }

    #[test]
    fn the_status_page_is_shown_to_nobody_where_there_is_no_token() {
        let policy = Policy::default();
        for fields in [
            "",
            "authorization:Bearer \n",
            "authorization:Bearer token\n",
        ] {
            let head = head(Scheme::Https, "GET", "lb.example", "/", fields);
            let survey = Survey::of(&head, &policy, false);
            assert!(!is_authorized(&survey, &policy), "{fields}");
        }
    }

    #[test]
    fn loops() {
        let circle = "via:1.1 proxy\n".repeat(MAX_VIA + 1);
        let chain = "via:1.1 proxy\n".repeat(MAX_VIA);
        let table = [
            ("cdn-loop:edgelb\n", LOOP),
            ("cdn-loop:other; v=1, EdgeLB;x=\",\"\n", LOOP),
            ("cdn-loop:edgelb.example, other\n", Admission::Admit),
            ("via:1.1 edgelb\n", Admission::Admit),
            ("via:1.1 edgelb, HTTP/2 EDGELB (v1)\n", LOOP),
            (&circle, LOOP),
            (&chain, Admission::Admit),
        ];
        for (fields, expected) in table {
            let found = decide(Scheme::Https, "GET", "lb.example", "/", fields);
            assert_eq!(found, expected, "{fields}");
        }
    }

    #[test]
    fn plain_http_is_redirected() {
        let to = |safe| Admission::Redirect {
            host: "lb.example",
            safe,
        };
        let table = [
            ("GET", "/a?b", to(true)),
            ("HEAD", "/", to(true)),
            ("POST", "/", to(false)),
            ("OPTIONS", "*", Admission::Admit),
            ("GET", "/.well-known/acme-challenge/x", Admission::Admit),
            ("GET", "/.well-known/acme-challenger", to(true)),
        ];
        for (method, target, expected) in table {
            let found = decide(Scheme::Http, method, "lb.example:8080", target, "");
            assert_eq!(found, expected, "{method} {target}");
        }
        assert_eq!(
            decide(Scheme::Http, "GET", "x.example", "/", ""),
            MISDIRECTED
        );
    }

    #[test]
    fn a_web_socket_that_lost_its_upgrade_is_refused() {
        let refused = Admission::Refuse(Refusal::WebSocket);
        let key = "sec-websocket-key:x\n";
        let table = [
            (key.to_owned(), refused),
            (format!("{key}upgrade:websocket\n"), refused),
            (
                format!("{key}connection:Upgrade\nupgrade:WebSocket\n"),
                Admission::Admit,
            ),
            (
                format!("{key}connection:keep-alive, upgrade\nupgrade:h2c, websocket\n"),
                Admission::Admit,
            ),
        ];
        for (fields, expected) in table {
            let found = decide(Scheme::Https, "GET", "lb.example", "/", &fields);
            assert_eq!(found, expected, "{fields}");
        }
    }
}
