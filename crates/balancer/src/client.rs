//! Who the client is.
//!
//! Three sources, the first that yields an address decides: the field by which
//! the platform names the client; the chain of `X-Forwarded-For`, as far as
//! trusted peers vouch for it; the transport peer. Nothing a client itself
//! sends is believed.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::fields::Fields;
use crate::head::Scheme;
use crate::lists::{elements, is};
use crate::network::Network;
use crate::survey::Survey;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Unknown where the runtime does not tell.
    pub(crate) address: Option<IpAddr>,
    /// Whether it is a proxy whose forwarding fields are believed.
    pub(crate) trusted: bool,
}

impl Peer {
    pub(crate) fn of(address: Option<IpAddr>, trusted: &[Network]) -> Self {
        let address = address.map(|address| address.to_canonical());
        Self {
            address,
            trusted: address.is_some_and(|address| is_trusted(address, trusted)),
        }
    }
}

/// The client's address.
///
/// The platform's field counts with its last value, as a client may have sent
/// some before. `X-Forwarded-For` is walked from the right as long as the hop is
/// trusted; what cannot be read ends the walk, and the last hop that could be is
/// taken for the client.
pub(crate) fn identify(
    peer: Peer,
    survey: &Survey<'_>,
    fields: Fields<'_>,
    trusted: &[Network],
) -> Option<IpAddr> {
    let named = survey
        .platform
        .and_then(|value| elements(value).last())
        .and_then(parse);
    if named.is_some() || !peer.trusted || !survey.forwarded_for {
        return named.or(peer.address);
    }
    let mut chain = Vec::new();
    for list in fields.values("x-forwarded-for") {
        chain.extend(elements(list));
    }
    let mut client = peer.address;
    for address in chain.into_iter().rev().map_while(parse) {
        client = Some(address);
        if !is_trusted(address, trusted) {
            break;
        }
    }
    client
}

/// The scheme the client used: the last that a trusted peer names, else that of
/// the connection. Without it, a proxy that ends TLS would be redirected to
/// itself for ever.
pub(crate) fn scheme(peer: Peer, connection: Scheme, named: Option<&[u8]>) -> Scheme {
    let named = named
        .filter(|_| peer.trusted)
        .and_then(|value| elements(value).last());
    match named {
        Some(value) if is(value, "https") => Scheme::Https,
        Some(value) if is(value, "http") => Scheme::Http,
        _ => connection,
    }
}

/// An address as peers and proxies write them: with or without port, brackets,
/// quotes and zone. IPv4 mapped into IPv6 is IPv4.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim_matches('"');
    let inner = match text.strip_prefix('[') {
        None => text,
        Some(bracketed) => {
            let (inner, rest) = bracketed.split_once(']')?;
            rest.strip_prefix(':').or(rest.is_empty().then_some(rest))?;
            inner
        }
    };
    let address = match inner.split('%').next()?.parse() {
        Ok(address) => address,
        Err(_) => {
            let (address, port) = text.split_once(':')?;
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
            port.parse::<u16>().ok().filter(|_| is_port)?;
            IpAddr::V4(address.parse().ok()?)
        }
    };
    Some(address.to_canonical())
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "constants")]

    use super::*;
    use crate::fields::FieldLines;
    use crate::head::{BodySize, RequestHead};
    use crate::policy::Policy;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let table = [
            ("192.0.2.1", ip("192.0.2.1")),
            ("192.0.2.1:8080", ip("192.0.2.1")),
            ("2001:db8::1", ip("2001:db8::1")),
            ("[2001:db8::1]", ip("2001:db8::1")),
            ("[2001:db8::1]:8080", ip("2001:db8::1")),
            ("\"[2001:db8::1]:8080\"", ip("2001:db8::1")),
            ("::ffff:192.0.2.1", ip("192.0.2.1")),
            ("fe80::1%eth0", ip("fe80::1")),
            ("[fe80::1%5]:8080", ip("fe80::1")),
            ("192.0.2.1:", None),
            ("192.0.2.1:+80", None),
            ("192.0.2.1:65536", None),
            ("", None),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2.256", None),
            ("[", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]8080", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn only_those_are_believed_who_may_be() {
        let proxies = [("10.0.0.0", 8), ("fd00::", 8)]
            .map(|(first, length)| Network::new(first.parse().unwrap(), length).unwrap());
        let policy = Policy {
            client_ip_header: Some("platform-ip".to_owned()),
            ..Policy::default()
        };
        let client = |peer: &str, platform: Option<&str>, chain: &[&str]| {
            let peer = Peer::of(parse(peer.as_bytes()), &proxies);
            let mut lines = FieldLines::new();
            if let Some(platform) = platform {
                lines.push("Platform-IP", "203.0.113.66");
                lines.push("platform-ip", platform);
            }
            for value in chain {
                lines.push("x-forwarded-for", value);
            }
            let head = RequestHead {
                method: "GET",
                scheme: Scheme::Http,
                authority: "lb.example",
                target: "/",
                peer: None,
                body: BodySize::None,
                fields: lines.fields(),
            };
            let survey = Survey::of(&head, &policy, peer.trusted);
            identify(peer, &survey, head.fields, &proxies)
        };
        // The platform's word comes first, and its own is the last value.
        assert_eq!(
            client("10.0.0.1", Some("192.0.2.1"), &["192.0.2.9"]),
            ip("192.0.2.1")
        );
        assert_eq!(
            client("", Some("203.0.113.66, 192.0.2.1:5"), &[]),
            ip("192.0.2.1")
        );
        assert_eq!(
            client("198.51.100.1", Some("nonsense"), &[]),
            ip("198.51.100.1")
        );
        // A stranger's chain is its own invention.
        assert_eq!(
            client("198.51.100.1", None, &["192.0.2.1"]),
            ip("198.51.100.1")
        );
        // A trusted peer's chain holds up to the first hop that is not.
        assert_eq!(
            client("10.0.0.1", None, &["203.0.113.66, 192.0.2.1"]),
            ip("192.0.2.1")
        );
        assert_eq!(
            client("10.0.0.1", None, &["192.0.2.1, 10.0.0.2", "10.0.0.3"]),
            ip("192.0.2.1")
        );
        assert_eq!(
            client("10.0.0.1", None, &["203.0.113.66", "192.0.2.1, fd00::1"]),
            ip("192.0.2.1")
        );
        assert_eq!(
            client("::ffff:10.0.0.1", None, &["192.0.2.1"]),
            ip("192.0.2.1")
        );
        assert_eq!(
            client("10.0.0.1", None, &["192.0.2.1, unknown, 10.0.0.2"]),
            ip("10.0.0.2")
        );
        assert_eq!(
            client("10.0.0.1", None, &["10.0.0.3, 10.0.0.2"]),
            ip("10.0.0.3")
        );
        assert_eq!(client("10.0.0.1", None, &[]), ip("10.0.0.1"));
        // Nobody tells.
        assert_eq!(client("", None, &["192.0.2.1"]), None);
    }

    #[test]
    fn the_scheme_is_a_trusted_peer_s_to_name() {
        let peer = |trusted| Peer {
            address: None,
            trusted,
        };
        let table = [
            (true, Some("https"), Scheme::Https),
            (true, Some("http, HTTPS"), Scheme::Https),
            (true, Some("https, http"), Scheme::Http),
            (true, Some("ftp"), Scheme::Http),
            (true, None, Scheme::Http),
            (false, Some("https"), Scheme::Http),
        ];
        for (trusted, named, expected) in table {
            let named = named.map(str::as_bytes);
            let found = scheme(peer(trusted), Scheme::Http, named);
            assert_eq!(found, expected, "{trusted} {named:?}");
        }
        assert_eq!(
            scheme(peer(true), Scheme::Https, Some(b"http")),
            Scheme::Http
        );
    }
}
