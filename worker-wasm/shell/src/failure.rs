//! What a runtime's errors mean to the policy.

use wasip3::http::types::ErrorCode;

use crate::bindings::edgelb::balancer::exchange::{BodyEnd, Cause, Delivery};

/// Why an attempt brought no response, and whether it can have reached the
/// backend. The codes are the error types of
/// <https://www.rfc-editor.org/rfc/rfc9209#section-2.3>; only those which by
/// their definition arise before a request is sent prove that it was not.
pub(crate) fn classify(code: &ErrorCode) -> (Cause, Delivery) {
    use Delivery::{MaybeSent, NotSent};
    match code {
        // No connection.
        ErrorCode::DnsTimeout => (Cause::DnsTimeout, NotSent),
        ErrorCode::DnsError(_) => (Cause::DnsError, NotSent),
        ErrorCode::DestinationNotFound => (Cause::DestinationNotFound, NotSent),
        ErrorCode::DestinationUnavailable => (Cause::DestinationUnavailable, NotSent),
        ErrorCode::DestinationIpProhibited => (Cause::DestinationIpProhibited, NotSent),
        ErrorCode::DestinationIpUnroutable => (Cause::DestinationIpUnroutable, NotSent),
        ErrorCode::ConnectionRefused => (Cause::ConnectionRefused, NotSent),
        ErrorCode::ConnectionTimeout => (Cause::ConnectionTimeout, NotSent),
        ErrorCode::ConnectionLimitReached => (Cause::ConnectionLimitReached, NotSent),
        ErrorCode::TlsCertificateError => (Cause::TlsCertificateError, NotSent),

        // During the handshake or afterwards.
        ErrorCode::TlsProtocolError => (Cause::TlsProtocolError, MaybeSent),
        ErrorCode::TlsAlertReceived(_) => (Cause::TlsAlertReceived, MaybeSent),

        // Refused by the runtime as it stands.
        ErrorCode::ConfigurationError => (Cause::ConfigurationError, NotSent),
        ErrorCode::HttpRequestDenied
        | ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_) => (Cause::HttpRequestDenied, NotSent),

        // Found out while the body was sent.
        ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => (Cause::HttpRequestDenied, MaybeSent),

        ErrorCode::ConnectionTerminated => (Cause::ConnectionTerminated, MaybeSent),
        ErrorCode::ConnectionWriteTimeout => (Cause::ConnectionWriteTimeout, MaybeSent),
        ErrorCode::HttpResponseIncomplete | ErrorCode::HttpResponseBodySize(_) => {
            (Cause::HttpResponseIncomplete, MaybeSent)
        }
        ErrorCode::HttpResponseHeaderSectionSize(_) | ErrorCode::HttpResponseHeaderSize(_) => {
            (Cause::HttpResponseHeaderSectionSize, MaybeSent)
        }
        // What stock runtimes call a first byte that does not come.
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
            (Cause::HttpResponseTimeout, MaybeSent)
        }
        ErrorCode::HttpUpgradeFailed => (Cause::HttpUpgradeFailed, MaybeSent),
        ErrorCode::HttpProtocolError
        | ErrorCode::HttpResponseTrailerSectionSize(_)
        | ErrorCode::HttpResponseTrailerSize(_)
        | ErrorCode::HttpResponseTransferCoding(_)
        | ErrorCode::HttpResponseContentCoding(_) => (Cause::HttpProtocolError, MaybeSent),
        ErrorCode::LoopDetected => (Cause::LoopDetected, MaybeSent),
        ErrorCode::InternalError(_) => (Cause::InternalError, MaybeSent),
    }
}

/// How a forwarded body ended, from the end of the connection to the backend and
/// of the response to the client; `None` if it arrived whole.
pub(crate) fn body_end(
    upstream: &Result<(), ErrorCode>,
    downstream: &Result<(), ErrorCode>,
) -> Option<BodyEnd> {
    if let Err(code) = upstream
        && breaks_response(code)
    {
        return Some(BodyEnd::Broken);
    }
    match downstream {
        Ok(()) => None,
        // Towards the client the same code means the client.
        Err(ErrorCode::ConnectionTerminated) => Some(BodyEnd::Abandoned),
        Err(code) if breaks_response(code) => Some(BodyEnd::Broken),
        Err(_) => Some(BodyEnd::Abandoned),
    }
}

/// Why an attempt failed that had the client's body handed through. Runtimes tell
/// a client that breaks off its upload from a backend that breaks off by more or
/// less: what `wasmtime serve` calls a protocol error may be either, and a client
/// must not be able to have a backend blamed.
pub(crate) fn classify_upload(code: &ErrorCode) -> (Cause, Delivery) {
    match classify(code) {
        (Cause::HttpProtocolError, delivery) => (Cause::InternalError, delivery),
        told => told,
    }
}

/// Whether the error is surely one of receiving a response, not of sending a
/// request.
fn breaks_response(code: &ErrorCode) -> bool {
    match classify(code).0 {
        Cause::ConnectionTerminated
        | Cause::ConnectionReadTimeout
        | Cause::TlsProtocolError
        | Cause::TlsAlertReceived
        | Cause::HttpResponseIncomplete
        | Cause::HttpResponseTimeout => true,
        Cause::DnsTimeout
        | Cause::DnsError
        | Cause::DestinationNotFound
        | Cause::DestinationUnavailable
        | Cause::DestinationIpProhibited
        | Cause::DestinationIpUnroutable
        | Cause::ConnectionRefused
        | Cause::ConnectionTimeout
        | Cause::ConnectionWriteTimeout
        | Cause::ConnectionLimitReached
        | Cause::TlsCertificateError
        | Cause::HttpRequestDenied
        | Cause::HttpResponseHeaderSectionSize
        | Cause::HttpUpgradeFailed
        | Cause::HttpProtocolError
        | Cause::LoopDetected
        | Cause::ConfigurationError
        | Cause::InternalError => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_precedes_sending_is_not_sent() {
        let cases = [
            (ErrorCode::ConnectionRefused, Delivery::NotSent),
            (ErrorCode::ConnectionTimeout, Delivery::NotSent),
            (ErrorCode::DnsTimeout, Delivery::NotSent),
            (ErrorCode::TlsCertificateError, Delivery::NotSent),
            (ErrorCode::HttpRequestDenied, Delivery::NotSent),
            (ErrorCode::TlsProtocolError, Delivery::MaybeSent),
            (ErrorCode::ConnectionTerminated, Delivery::MaybeSent),
            (ErrorCode::ConnectionReadTimeout, Delivery::MaybeSent),
            (ErrorCode::HttpRequestBodySize(None), Delivery::MaybeSent),
            (ErrorCode::InternalError(None), Delivery::MaybeSent),
        ];
        for (code, expected) in cases {
            assert_eq!(classify(&code).1, expected, "{code:?}");
        }
    }

    #[test]
    fn a_response_that_does_not_come_has_one_name() {
        for code in [
            ErrorCode::ConnectionReadTimeout,
            ErrorCode::HttpResponseTimeout,
        ] {
            assert_eq!(classify(&code).0, Cause::HttpResponseTimeout, "{code:?}");
        }
    }

    #[test]
    fn a_client_that_breaks_off_its_upload_blames_nobody() {
        let protocol = ErrorCode::HttpProtocolError;
        assert_eq!(classify(&protocol).0, Cause::HttpProtocolError);
        assert_eq!(classify_upload(&protocol).0, Cause::InternalError);
        let refused = ErrorCode::ConnectionRefused;
        assert_eq!(classify_upload(&refused), classify(&refused));
    }

    #[test]
    fn a_broken_body_blames_the_backend_and_a_lost_client_nobody() {
        let terminated = || Err(ErrorCode::ConnectionTerminated);
        let incomplete = || Err(ErrorCode::HttpResponseIncomplete);
        let upload = || Err(ErrorCode::HttpRequestBodySize(None));
        let either = || Err(ErrorCode::HttpProtocolError);
        let cases = [
            (Ok(()), Ok(()), None),
            (terminated(), Ok(()), Some(BodyEnd::Broken)),
            (Ok(()), terminated(), Some(BodyEnd::Abandoned)),
            (Ok(()), incomplete(), Some(BodyEnd::Broken)),
            (upload(), Ok(()), None),
            (either(), Ok(()), None),
            (upload(), terminated(), Some(BodyEnd::Abandoned)),
        ];
        for (upstream, downstream, expected) in cases {
            assert_eq!(
                body_end(&upstream, &downstream),
                expected,
                "{upstream:?} {downstream:?}"
            );
        }
    }
}
