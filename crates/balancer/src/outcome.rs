//! What an outcome means: classified first, then judged. Acting on it is the
//! exchange's.

use core::fmt;
use core::time::Duration;

use crate::date;
use crate::fields::Fields;
use crate::head::ResponseHead;
use crate::reply::error_type;
use crate::step::{Arrival, Cause, Delivery, Failure, Outcome};
use crate::time::Timestamp;

/// What an outcome shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class<'a> {
    /// The backend answered for the request: it is well, whatever the answer.
    Success(ResponseHead<'a>),
    /// It did not.
    Failure {
        /// Who is to blame.
        blame: Blame,
        /// How far the request got.
        delivery: Delivery,
        /// Whether its body could be sent again.
        replayable: bool,
        /// What there is to forward, or why there is nothing.
        response: Result<ResponseHead<'a>, Cause>,
    },
}

/// Who is to blame for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The backend.
    Backend {
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// Nobody: the request never left our own side.
    Nobody,
}

/// What a failure showed of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An attempt brought no response.
    Failed(Cause),
    /// It brought one of this status.
    Status(u16),
    /// A response body did not arrive whole.
    BodyBroken,
}

/// For a log: `connection_refused`, as `Proxy-Status` has it
/// (<https://www.rfc-editor.org/rfc/rfc9209#section-2.3>), or `status 503`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(cause) => f.write_str(error_type(*cause).0),
            Self::Status(status) => write!(f, "status {status}"),
            Self::BodyBroken => f.write_str("the body broke off"),
        }
    }
}

/// Whether a failed request goes to another backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Retry,
    Conclude,
}

/// Classifies an outcome. `tunnel` is whether a 101 was asked for.
pub(crate) fn classify<'a>(outcome: &Outcome<'a>, tunnel: bool, now: Timestamp) -> Class<'a> {
    match *outcome {
        Outcome::Head(Arrival { head, replayable }) => classify_head(head, replayable, tunnel, now),
        Outcome::Failed(Failure {
            cause,
            delivery,
            replayable,
        }) => Class::Failure {
            blame: blame(cause),
            delivery,
            replayable,
            response: Err(cause),
        },
    }
}

/// Three questions: was it delivered; may it be delivered twice
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2>); can its body be
/// sent again.
pub(crate) fn judge(delivery: Delivery, idempotent: bool, replayable: bool) -> Judgement {
    let harmless = match delivery {
        Delivery::NotSent => true,
        Delivery::MaybeSent => idempotent,
    };
    if harmless && replayable {
        Judgement::Retry
    } else {
        Judgement::Conclude
    }
}

/// Whether a method may be delivered twice. TRACE never gets here.
pub(crate) fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
}

fn classify_head(
    head: ResponseHead<'_>,
    replayable: bool,
    tunnel: bool,
    now: Timestamp,
) -> Class<'_> {
    let (retry_after, response) = match head.status {
        101 if tunnel => return Class::Success(head),
        // 501 and 505 are about the request, not about the backend
        // (https://www.rfc-editor.org/rfc/rfc9110#section-15.6).
        200..=499 | 501 | 505 => return Class::Success(head),
        503 => (retry_after(head.fields, now), Ok(head)),
        500..=599 => (None, Ok(head)),
        // A tunnel nobody asked for, or no final response at all.
        _ => (None, Err(Cause::HttpProtocolError)),
    };
    Class::Failure {
        blame: Blame::Backend { retry_after },
        delivery: Delivery::MaybeSent,
        replayable,
        response,
    }
}

/// Whoever could have prevented it: a cause that lies in our own limits,
/// permissions or configuration would be the same with any backend.
const fn blame(cause: Cause) -> Blame {
    match cause {
        Cause::DnsTimeout
        | Cause::DnsError
        | Cause::DestinationNotFound
        | Cause::DestinationUnavailable
        | Cause::DestinationIpUnroutable
        | Cause::ConnectionRefused
        | Cause::ConnectionTerminated
        | Cause::ConnectionTimeout
        | Cause::ConnectionReadTimeout
        | Cause::ConnectionWriteTimeout
        | Cause::TlsProtocolError
        | Cause::TlsCertificateError
        | Cause::TlsAlertReceived
        | Cause::HttpResponseIncomplete
        | Cause::HttpResponseHeaderSectionSize
        | Cause::HttpResponseTimeout
        | Cause::HttpUpgradeFailed
        | Cause::HttpProtocolError => Blame::Backend { retry_after: None },
        Cause::DestinationIpProhibited
        | Cause::ConnectionLimitReached
        | Cause::HttpRequestDenied
        | Cause::LoopDetected
        | Cause::ConfigurationError
        | Cause::InternalError => Blame::Nobody,
    }
}

/// `Retry-After`: seconds or a date
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>). Anything else is
/// as if it were not there; a date in the past is no time at all.
fn retry_after(fields: Fields<'_>, now: Timestamp) -> Option<Duration> {
    let value = str::from_utf8(fields.values("retry-after").next()?)
        .ok()?
        .trim_ascii();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = Duration::from_secs(date::parse(value)?);
    Some(Timestamp::default().after(date).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::BodySize;

    const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);

    const fn head(status: u16, fields: &str) -> ResponseHead<'_> {
        ResponseHead {
            status,
            body: BodySize::None,
            fields: Fields::new(fields.as_bytes()),
        }
    }

    fn class(head: ResponseHead<'_>, tunnel: bool) -> Class<'_> {
        let replayable = true;
        classify(&Outcome::Head(Arrival { head, replayable }), tunnel, NOW)
    }

    fn failure<'a>(
        retry_after: Option<u64>,
        response: Result<ResponseHead<'a>, Cause>,
    ) -> Class<'a> {
        Class::Failure {
            blame: Blame::Backend {
                retry_after: retry_after.map(Duration::from_secs),
            },
            delivery: Delivery::MaybeSent,
            replayable: true,
            response,
        }
    }

    #[test]
    fn statuses() {
        for status in [200, 204, 206, 301, 304, 400, 404, 429, 499, 501, 505] {
            let head = head(status, "");
            assert_eq!(class(head, false), Class::Success(head));
        }
        for status in [500, 502, 503, 504, 506, 520, 599] {
            let head = head(status, "");
            assert_eq!(class(head, false), failure(None, Ok(head)));
        }
        let nonsense = failure(None, Err(Cause::HttpProtocolError));
        for status in [0, 99, 100, 103, 199, 600, u16::MAX] {
            assert_eq!(class(head(status, ""), true), nonsense, "{status}");
        }
        assert_eq!(class(head(101, ""), true), Class::Success(head(101, "")));
        assert_eq!(class(head(101, ""), false), nonsense);
    }

    #[test]
    fn retry_after_is_read_from_a_503() {
        let table = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in table {
            let fields = format!("Retry-After:{value}\n");
            let unavailable = head(503, &fields);
            assert_eq!(
                class(unavailable, false),
                failure(expected, Ok(unavailable))
            );
            let error = head(500, &fields);
            assert_eq!(class(error, false), failure(None, Ok(error)));
            let too_many = head(429, &fields);
            assert_eq!(class(too_many, false), Class::Success(too_many));
        }
    }

    #[test]
    fn causes() {
        let blames = |cause| {
            let failure = Failure {
                cause,
                delivery: Delivery::NotSent,
                replayable: false,
            };
            let Class::Failure {
                blame,
                delivery: Delivery::NotSent,
                replayable: false,
                response: Err(told),
            } = classify(&Outcome::Failed(failure), false, NOW)
            else {
                panic!("{cause:?} is a failure as it was told");
            };
            assert_eq!(told, cause);
            blame
        };
        for cause in [
            Cause::ConnectionRefused,
            Cause::ConnectionTimeout,
            Cause::ConnectionTerminated,
            Cause::HttpResponseTimeout,
            Cause::HttpProtocolError,
            Cause::TlsCertificateError,
            Cause::DnsError,
        ] {
            assert_eq!(
                blames(cause),
                Blame::Backend { retry_after: None },
                "{cause:?}"
            );
        }
        for cause in [
            Cause::HttpRequestDenied,
            Cause::DestinationIpProhibited,
            Cause::ConfigurationError,
            Cause::InternalError,
            Cause::ConnectionLimitReached,
            Cause::LoopDetected,
        ] {
            assert_eq!(blames(cause), Blame::Nobody, "{cause:?}");
        }
    }

    #[test]
    fn reasons_are_said_in_the_standard_s_words() {
        let table = [
            (
                Reason::Failed(Cause::ConnectionRefused),
                "connection_refused",
            ),
            (
                Reason::Failed(Cause::TlsCertificateError),
                "tls_certificate_error",
            ),
            (Reason::Status(503), "status 503"),
            (Reason::BodyBroken, "the body broke off"),
        ];
        for (reason, said) in table {
            assert_eq!(reason.to_string(), said);
        }
    }

    #[test]
    fn three_questions() {
        use Delivery::{MaybeSent, NotSent};
        use Judgement::{Conclude, Retry};
        let table = [
            (NotSent, true, true, Retry),
            (NotSent, false, true, Retry),
            (NotSent, false, false, Conclude),
            (MaybeSent, true, true, Retry),
            (MaybeSent, true, false, Conclude),
            (MaybeSent, false, true, Conclude),
            (MaybeSent, false, false, Conclude),
        ];
        for (delivery, idempotent, replayable, expected) in table {
            let found = judge(delivery, idempotent, replayable);
            assert_eq!(found, expected, "{delivery:?} {idempotent} {replayable}");
        }
    }

    #[test]
    fn methods() {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            assert!(is_idempotent(method), "{method}");
        }
        for method in ["POST", "PATCH", "get", "PROPFIND", ""] {
            assert!(!is_idempotent(method), "{method}");
        }
    }
}
