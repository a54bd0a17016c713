//! What the client is told when the guest has no answer.

use http::{Response, StatusCode};
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

use crate::body::Body;
use crate::refusal;

/// The guest gave an error code in place of a response.
pub(super) fn coded(code: &ErrorCode) -> Response<Body> {
    let (status, error) = proxy_error(code);
    refusal::answer(status, error)
}

/// The proxy error type that a code stands for, and the status recommended for it.
///
/// <https://www.rfc-editor.org/rfc/rfc9209#section-2.3>
fn proxy_error(code: &ErrorCode) -> (StatusCode, &'static str) {
    use ErrorCode as C;
    use StatusCode as S;
    match code {
        C::DnsTimeout => (S::GATEWAY_TIMEOUT, "dns_timeout"),
        C::DnsError(_) => (S::BAD_GATEWAY, "dns_error"),
        C::DestinationNotFound => (S::INTERNAL_SERVER_ERROR, "destination_not_found"),
        C::DestinationUnavailable => (S::SERVICE_UNAVAILABLE, "destination_unavailable"),
        C::DestinationIpProhibited => (S::BAD_GATEWAY, "destination_ip_prohibited"),
        C::DestinationIpUnroutable => (S::BAD_GATEWAY, "destination_ip_unroutable"),
        C::ConnectionRefused => (S::BAD_GATEWAY, "connection_refused"),
        C::ConnectionTerminated => (S::BAD_GATEWAY, "connection_terminated"),
        C::ConnectionTimeout => (S::GATEWAY_TIMEOUT, "connection_timeout"),
        C::ConnectionReadTimeout => (S::GATEWAY_TIMEOUT, "connection_read_timeout"),
        C::ConnectionWriteTimeout => (S::GATEWAY_TIMEOUT, "connection_write_timeout"),
        C::ConnectionLimitReached => (S::SERVICE_UNAVAILABLE, "connection_limit_reached"),
        C::TlsProtocolError => (S::BAD_GATEWAY, "tls_protocol_error"),
        C::TlsCertificateError => (S::BAD_GATEWAY, "tls_certificate_error"),
        C::TlsAlertReceived(_) => (S::BAD_GATEWAY, "tls_alert_received"),
        C::HttpRequestDenied => (S::FORBIDDEN, "http_request_denied"),
        C::HttpRequestLengthRequired => (S::LENGTH_REQUIRED, "http_request_error"),
        C::HttpRequestBodySize(_)
        | C::HttpRequestMethodInvalid
        | C::HttpRequestUriInvalid
        | C::HttpRequestTrailerSectionSize(_)
        | C::HttpRequestTrailerSize(_) => (S::BAD_REQUEST, "http_request_error"),
        C::HttpRequestUriTooLong => (S::URI_TOO_LONG, "http_request_error"),
        C::HttpRequestHeaderSectionSize(_) | C::HttpRequestHeaderSize(_) => {
            (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "http_request_error")
        }
        C::HttpResponseIncomplete => (S::BAD_GATEWAY, "http_response_incomplete"),
        C::HttpResponseHeaderSectionSize(_) => {
            (S::BAD_GATEWAY, "http_response_header_section_size")
        }
        C::HttpResponseHeaderSize(_) => (S::BAD_GATEWAY, "http_response_header_size"),
        C::HttpResponseBodySize(_) => (S::BAD_GATEWAY, "http_response_body_size"),
        C::HttpResponseTrailerSectionSize(_) => {
            (S::BAD_GATEWAY, "http_response_trailer_section_size")
        }
        C::HttpResponseTrailerSize(_) => (S::BAD_GATEWAY, "http_response_trailer_size"),
        C::HttpResponseTransferCoding(_) => (S::BAD_GATEWAY, "http_response_transfer_coding"),
        C::HttpResponseContentCoding(_) => (S::BAD_GATEWAY, "http_response_content_coding"),
        C::HttpResponseTimeout => (S::GATEWAY_TIMEOUT, "http_response_timeout"),
        C::HttpUpgradeFailed => (S::BAD_GATEWAY, "http_upgrade_failed"),
        C::HttpProtocolError => (S::BAD_GATEWAY, "http_protocol_error"),
        C::LoopDetected => (S::BAD_GATEWAY, "proxy_loop_detected"),
        C::ConfigurationError => (S::INTERNAL_SERVER_ERROR, "proxy_configuration_error"),
        C::InternalError(_) => (S::INTERNAL_SERVER_ERROR, "proxy_internal_error"),
    }
}
