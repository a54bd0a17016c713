//! The field names that mean something to the balancer.

/// A field that is read, set or taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Authorization,
    CacheControl,
    CdnCacheControl,
    CdnLoop,
    Connection,
    ContentLength,
    Cookie,
    Forwarded,
    Host,
    IdempotencyKey,
    KeepAlive,
    ProxyAuthenticate,
    ProxyAuthenticationInfo,
    ProxyAuthorization,
    ProxyConnection,
    RetryAfter,
    SecWebSocketKey,
    SurrogateControl,
    Te,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRealIp,
}

/// What a name amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// One the balancer knows.
    Known(Known),
    /// One it does not: none of its business.
    Other,
    /// An underscore where a known name has a hyphen. CGI and its heirs take
    /// both for one, so whoever sends it hopes that the backend believes it.
    LookAlike,
    /// Between a platform and what it runs: `spin-*`, `edgelb-*`.
    Internal,
    /// `x-forwarded-*` beyond those the balancer sets.
    ForwardedExtension,
}

/// The longest known name, and more than any prefix.
const LONGEST: usize = 25;

impl Name {
    /// Names compare without regard to case
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-5.1>).
    pub(crate) fn of(name: &str) -> Self {
        let mut buffer = [0; LONGEST];
        let mut underscore = false;
        for (folded, byte) in buffer.iter_mut().zip(name.bytes()) {
            underscore |= byte == b'_';
            *folded = if byte == b'_' {
                b'-'
            } else {
                byte.to_ascii_lowercase()
            };
        }
        let folded = buffer.get(..name.len()).unwrap_or(&buffer);
        if name.len() <= LONGEST
            && let Some(known) = known(folded)
        {
            return if underscore {
                Self::LookAlike
            } else {
                Self::Known(known)
            };
        }
        if folded.starts_with(b"spin-") || folded.starts_with(b"edgelb-") {
            Self::Internal
        } else if folded.starts_with(b"x-forwarded-") {
            Self::ForwardedExtension
        } else {
            Self::Other
        }
    }
}

impl Known {
    /// Whether it speaks of one connection only
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>). The credentials
    /// between a client and a proxy are among them, as a gateway asks for none
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-11.7>).
    pub(crate) const fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyAuthenticate
                | Self::ProxyAuthenticationInfo
                | Self::ProxyAuthorization
                | Self::ProxyConnection
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }

    /// Whether `Connection` may not name it: framing, routing, and the one that
    /// the specification itself excludes.
    pub(crate) const fn is_end_to_end_always(self) -> bool {
        matches!(self, Self::CacheControl | Self::ContentLength | Self::Host)
    }
}

fn known(folded: &[u8]) -> Option<Known> {
    Some(match folded {
        b"authorization" => Known::Authorization,
        b"cache-control" => Known::CacheControl,
        b"cdn-cache-control" => Known::CdnCacheControl,
        b"cdn-loop" => Known::CdnLoop,
        b"connection" => Known::Connection,
        b"content-length" => Known::ContentLength,
        b"cookie" => Known::Cookie,
        b"forwarded" => Known::Forwarded,
        b"host" => Known::Host,
        b"idempotency-key" => Known::IdempotencyKey,
        b"keep-alive" => Known::KeepAlive,
        b"proxy-authenticate" => Known::ProxyAuthenticate,
        b"proxy-authentication-info" => Known::ProxyAuthenticationInfo,
        b"proxy-authorization" => Known::ProxyAuthorization,
        b"proxy-connection" => Known::ProxyConnection,
        b"retry-after" => Known::RetryAfter,
        b"sec-websocket-key" => Known::SecWebSocketKey,
        b"surrogate-control" => Known::SurrogateControl,
        b"te" => Known::Te,
        b"transfer-encoding" => Known::TransferEncoding,
        b"upgrade" => Known::Upgrade,
        b"via" => Known::Via,
        b"x-forwarded-for" => Known::XForwardedFor,
        b"x-forwarded-host" => Known::XForwardedHost,
        b"x-forwarded-proto" => Known::XForwardedProto,
        b"x-real-ip" => Known::XRealIp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_they_amount_to() {
        let table = [
            ("host", Name::Known(Known::Host)),
            ("HOST", Name::Known(Known::Host)),
            ("X-Forwarded-For", Name::Known(Known::XForwardedFor)),
            ("X_Forwarded_For", Name::LookAlike),
            ("x-forwarded_for", Name::LookAlike),
            ("Transfer_Encoding", Name::LookAlike),
            ("x-forwarded-port", Name::ForwardedExtension),
            ("x_forwarded_port", Name::ForwardedExtension),
            ("spin-client-addr", Name::Internal),
            ("Spin_Path_Info", Name::Internal),
            ("edgelb-peer", Name::Internal),
            (
                "edgelb-a-name-that-is-longer-than-all-known-ones",
                Name::Internal,
            ),
            (
                "proxy-authentication-info",
                Name::Known(Known::ProxyAuthenticationInfo),
            ),
            ("proxy-authentication-infos", Name::Other),
            ("x-custom", Name::Other),
            ("x_custom", Name::Other),
            ("spinning", Name::Other),
            ("", Name::Other),
        ];
        for (name, expected) in table {
            assert_eq!(Name::of(name), expected, "{name}");
        }
    }
}
