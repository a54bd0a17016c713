//! The field names that mean something to the balancer.

use crate::lists::is;

/// Fields that may change a decision, in lower case; with `*` at the end, all that begin so.
/// So may every field with an underscore in its name, which can be a look-alike. What is
/// known but not here is read where nothing is decided: on the way back, or for a status.
/// (Two change nothing unless there is a body: `content-length` and `idempotency-key`.)
pub(crate) const RELEVANT: [&str; 21] = [
    "cdn-loop",
    "connection",
    "content-length",
    "cookie",
    "edgelb-*",
    "forwarded",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "sec-websocket-key",
    "spin-*",
    "te",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-*",
    "x-real-ip",
];

/// A field that is read, set or taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Authorization,
    CacheControl,
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
    SecWebSocketKey,
    Te,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
}

/// What a name amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// One the balancer knows.
    Known(Known),
    /// One it does not: none of its business.
    Other,
    /// An underscore where a name that matters has a hyphen. CGI and its heirs take
    /// both for one, so whoever sends it hopes that the backend believes it.
    LookAlike,
    /// Between a platform and what it runs: `spin-*`, `edgelb-*`.
    Internal,
    /// `x-real-ip`, and `x-forwarded-*` beyond those the balancer sets: of the
    /// way a request came, told by whoever sends it.
    Forwarding,
}

impl Name {
    /// Names compare without regard to case
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-5.1>).
    pub(crate) fn of(name: &[u8]) -> Self {
        match known(name) {
            Some((spelling, known)) if is(name, spelling) => Self::Known(known),
            Some((spelling, _)) if is_like(name, spelling.as_bytes()) => Self::LookAlike,
            _ => Self::of_family(name),
        }
    }

    /// What names with a common beginning amount to.
    fn of_family(name: &[u8]) -> Self {
        let begins = |prefix: &[u8]| {
            name.get(..prefix.len())
                .is_some_and(|start| is_like(start, prefix))
        };
        match name.first().map(u8::to_ascii_lowercase) {
            Some(b's') if begins(b"spin-") => Self::Internal,
            Some(b'e') if begins(b"edgelb-") => Self::Internal,
            Some(b'x') if begins(b"x-forwarded-") || is_like(name, b"x-real-ip") => {
                if name.contains(&b'_') {
                    Self::LookAlike
                } else {
                    Self::Forwarding
                }
            }
            _ => Self::Other,
        }
    }
}

/// Whether two names are the same to those who take `_` for `-`.
pub(crate) fn is_like(name: &[u8], other: &[u8]) -> bool {
    let fold = |byte: u8| match byte {
        b'_' => b'-',
        _ => byte.to_ascii_lowercase(),
    };
    name.len() == other.len()
        && name
            .iter()
            .zip(other)
            .all(|(&one, &other)| fold(one) == fold(other))
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

/// The one known name that this can be, by its length and first letter: nearly
/// all names that are not known end here.
fn known(name: &[u8]) -> Option<(&'static str, Known)> {
    Some(match (name.len(), name.first()?.to_ascii_lowercase()) {
        (2, b't') => ("te", Known::Te),
        (3, b'v') => ("via", Known::Via),
        (4, b'h') => ("host", Known::Host),
        (6, b'c') => ("cookie", Known::Cookie),
        (7, b'u') => ("upgrade", Known::Upgrade),
        (8, b'c') => ("cdn-loop", Known::CdnLoop),
        (9, b'f') => ("forwarded", Known::Forwarded),
        (10, b'c') => ("connection", Known::Connection),
        (10, b'k') => ("keep-alive", Known::KeepAlive),
        (13, b'a') => ("authorization", Known::Authorization),
        (13, b'c') => ("cache-control", Known::CacheControl),
        (14, b'c') => ("content-length", Known::ContentLength),
        (15, b'i') => ("idempotency-key", Known::IdempotencyKey),
        (15, b'x') => ("x-forwarded-for", Known::XForwardedFor),
        (16, b'p') => ("proxy-connection", Known::ProxyConnection),
        (16, b'x') => ("x-forwarded-host", Known::XForwardedHost),
        (17, b's') => ("sec-websocket-key", Known::SecWebSocketKey),
        (17, b't') => ("transfer-encoding", Known::TransferEncoding),
        (17, b'x') => ("x-forwarded-proto", Known::XForwardedProto),
        (18, b'p') => ("proxy-authenticate", Known::ProxyAuthenticate),
        (19, b'p') => ("proxy-authorization", Known::ProxyAuthorization),
        (25, b'p') => ("proxy-authentication-info", Known::ProxyAuthenticationInfo),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hop_by_hop() {
        let hop_by_hop = [
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authentication-info",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "transfer-encoding",
            "upgrade",
        ];
        let others = [
            "authorization",
            "cache-control",
            "cdn-loop",
            "content-length",
            "cookie",
            "forwarded",
            "host",
            "idempotency-key",
            "sec-websocket-key",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
        ];
        let last = Known::XForwardedProto as usize;
        assert_eq!(hop_by_hop.len() + others.len(), last + 1);
        for name in hop_by_hop.into_iter().chain(others) {
            let listed = hop_by_hop.contains(&name);
            let known = known(name.as_bytes()).map(|(_, known)| known.is_hop_by_hop());
            assert_eq!(known, Some(listed), "{name}");
            let changes_nothing = ["authorization", "cache-control"].contains(&name);
            assert_eq!(is_relevant(name), !changes_nothing, "{name}");
        }
    }

    fn is_relevant(name: &str) -> bool {
        name.contains('_')
            || RELEVANT.iter().any(|it| match it.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == *it,
            })
    }

    #[test]
    fn names_are_what_they_amount_to() {
        let table = [
            ("host", Name::Known(Known::Host)),
            ("HOST", Name::Known(Known::Host)),
            ("X-Forwarded-For", Name::Known(Known::XForwardedFor)),
            ("X_Forwarded_For", Name::LookAlike),
            ("x-forwarded_for", Name::LookAlike),
            ("Transfer_Encoding", Name::LookAlike),
            ("x-forwarded-port", Name::Forwarding),
            ("x_forwarded_port", Name::LookAlike),
            ("X-Real-IP", Name::Forwarding),
            ("X-Real_IP", Name::LookAlike),
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
            assert_eq!(Name::of(name.as_bytes()), expected, "{name}");
            let other = expected == Name::Other && !name.contains('_');
            assert_eq!(is_relevant(&name.to_ascii_lowercase()), !other, "{name}");
        }
    }
}
