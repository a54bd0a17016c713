//! What a backend gets to see of a request.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::VIA;
use crate::address_text::AddressText;
use crate::authority;
use crate::bytes::find;
use crate::client::Peer;
use crate::cookies::{self, Cookie};
use crate::edits::Edits;
use crate::fields::Fields;
use crate::head::{RequestHead, Scheme};
use crate::lists::is_token;
use crate::survey::Survey;

/// The way a request came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// The other end of the connection.
    pub(crate) peer: Peer,
    /// The client, where known.
    pub(crate) client: Option<IpAddr>,
    /// The scheme the client used.
    pub(crate) scheme: Scheme,
}

/// The edits to a request's fields. `Host` is not among them: it is the
/// backend's, and so the caller's to set.
pub(crate) fn request_edits(
    head: &RequestHead<'_>,
    survey: &Survey<'_>,
    route: Route,
    session_cookie: &str,
) -> Edits {
    let mut edits = Edits::with_capacity(256 + survey.removals.edits.as_bytes().len());
    if let Some(cookie) = survey.session {
        cut_cookie(&mut edits, head.fields, survey, cookie, session_cookie);
    }
    // What follows is set after the removals, so no connection option can
    // suppress it.
    edits.extend(&survey.removals.edits);
    forwarded_fields(&mut edits, head, survey, route);
    edits.packed(VIA);
    // https://www.rfc-editor.org/rfc/rfc8586#section-2
    edits.packed("+cdn-loop:edgelb\n");
    if survey.upgrade.is_asked() {
        edits.set("connection", "upgrade");
        edits.set("upgrade", "websocket");
    } else if survey.trailers {
        // https://www.rfc-editor.org/rfc/rfc9110#section-10.1.4
        edits.set("connection", "te");
        edits.set("te", "trailers");
    }
    edits
}

/// Takes our cookie out, leaving the others byte for byte.
fn cut_cookie(
    edits: &mut Edits,
    fields: Fields<'_>,
    survey: &Survey<'_>,
    cookie: Cookie<'_>,
    name: &str,
) {
    if survey.cookies == 1 && !cookie.is_repeated(name) {
        match cookie.rest() {
            [b"", b""] => edits.remove("cookie"),
            rest => edits.set_parts("cookie", &rest),
        }
        return;
    }
    edits.remove("cookie");
    for value in fields.values("cookie") {
        match cookies::without(value, name) {
            None => edits.append("cookie", value),
            Some(rest) if !rest.is_empty() => edits.append("cookie", rest),
            Some(_) => {}
        }
    }
}

/// `X-Forwarded-*` and `Forwarded`. What a trusted peer says of the way so far
/// is continued; a stranger's word is replaced.
fn forwarded_fields(edits: &mut Edits, head: &RequestHead<'_>, survey: &Survey<'_>, route: Route) {
    let Route { peer, scheme, .. } = route;
    let client = route.client.map(AddressText::of);
    let client = client.as_ref().map(AddressText::as_bytes);
    let hop = peer.address.filter(|_| peer.trusted).map(AddressText::of);
    let hop = hop.as_ref().map(AddressText::as_bytes);
    match (hop, client) {
        (Some(hop), _) if survey.forwarded_for => {
            let chain = chain(head.fields, "x-forwarded-for");
            edits.set_parts("x-forwarded-for", &[&chain, hop]);
        }
        (_, Some(client)) => edits.set_parts("x-forwarded-for", &[client]),
        (_, None) if survey.forwarded_for => edits.remove("x-forwarded-for"),
        (_, None) => {}
    }
    edits.packed(match scheme {
        Scheme::Http => "=x-forwarded-proto:http\n",
        Scheme::Https => "=x-forwarded-proto:https\n",
    });

    let host = survey
        .forwarded_host
        .filter(|_| peer.trusted)
        .and_then(|host| str::from_utf8(host).ok())
        .filter(|host| authority::host(host).is_some())
        .unwrap_or(head.authority);
    // Not every runtime tells (see `RequestHead::authority`).
    if host.is_empty() {
        edits.remove("x-forwarded-host");
    } else {
        edits.set("x-forwarded-host", host);
    }

    // A first element speaks of the client, whatever brought it to light; one
    // that continues a chain speaks of this hop.
    if peer.trusted && survey.forwarded {
        let chain = chain(head.fields, "forwarded");
        forwarded(edits, &chain, hop, head.authority, head.scheme);
    } else {
        forwarded(edits, &[], client, host, scheme);
    }
}

/// The values of a list field, with a comma at the end.
fn chain(fields: Fields<'_>, name: &str) -> Vec<u8> {
    let mut list = Vec::new();
    for value in fields.values(name).filter(|value| !value.is_empty()) {
        list.extend_from_slice(value);
        list.extend_from_slice(b", ");
    }
    list
}

/// Sets `Forwarded` to a chain and one more element
/// (<https://www.rfc-editor.org/rfc/rfc7239#section-4>).
#[inline(never)]
fn forwarded(edits: &mut Edits, chain: &[u8], node: Option<&[u8]>, host: &str, scheme: Scheme) {
    let (open, node, close): (_, _, &[u8]) = match node {
        None => (&b"for="[..], &b"unknown"[..], b""),
        Some(v6) if find(b':', v6) < v6.len() => (b"for=\"[", v6, b"]\""),
        Some(v4) => (b"for=", v4, b""),
    };
    // No host that was let in has a character that would need an escape.
    let (parameter, quote): (&[u8], &[u8]) = match host {
        "" => (b"", b""),
        host if is_token(host.as_bytes()) => (b";host=", b""),
        _ => (b";host=\"", b"\""),
    };
    let proto: &[u8] = match scheme {
        Scheme::Http => b";proto=http",
        Scheme::Https => b";proto=https",
    };
    let host = host.as_bytes();
    edits.set_parts(
        "forwarded",
        &[chain, open, node, close, parameter, host, quote, proto],
    );
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "constants")]

    use super::*;
    use crate::client;
    use crate::head::BodySize;
    use crate::network::Network;
    use crate::policy::Policy;

    fn policy() -> Policy {
        Policy {
            trusted_proxies: vec![Network::new([10, 0, 0, 0].into(), 8).unwrap()],
            client_ip_header: Some("platform-ip".to_owned()),
            ..Policy::default()
        }
    }

    /// What arrives at the backend of what came from this peer.
    fn sent(peer: &str, fields: &str) -> Vec<String> {
        let policy = policy();
        let head = RequestHead {
            method: "GET",
            scheme: Scheme::Http,
            authority: "lb.example",
            target: "/",
            peer: peer.parse().ok(),
            body: BodySize::None,
            fields: Fields::new(fields.as_bytes()),
        };
        let peer = Peer::of(head.peer, &policy.trusted_proxies);
        let survey = Survey::of(&head, &policy, peer.trusted);
        let route = Route {
            peer,
            client: client::identify(peer, &survey, head.fields, &policy.trusted_proxies),
            scheme: client::scheme(peer, head.scheme, survey.forwarded_proto),
        };
        request_edits(&head, &survey, route, "edgelb").applied(head.fields)
    }

    /// The fields that are always there at the end.
    fn usual(client: &str) -> Vec<String> {
        [
            &format!("x-forwarded-for:{client}"),
            "x-forwarded-proto:http",
            "x-forwarded-host:lb.example",
            &format!("forwarded:for={client};host=lb.example;proto=http"),
            "via:1.1 edgelb",
            "cdn-loop:edgelb",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn end_to_end_fields_stay_as_they_are() {
        let fields = "accept:a\nAccept:b\nrange:bytes=0-1\nexpect:100-continue\ncontent-length:5\n\
                      x_custom:1\ntrailer:x\nempty:\ncookie:a=1;  b=2\n";
        let mut expected: Vec<_> = fields.lines().map(str::to_owned).collect();
        expected.extend(usual("192.0.2.1"));
        assert_eq!(sent("192.0.2.1", fields), expected);
    }

    #[test]
    fn hop_by_hop_fields_go_with_all_that_connection_names() {
        let fields = "connection:close, X-Private\nconnection:other, keep-alive\nx-private:1\nother:2\n\
                      keep-alive:timeout=5\nproxy-connection:x\nte:gzip\ntransfer-encoding:chunked\n\
                      upgrade:h2c\nproxy-authorization:x\nproxy-authenticate:x\n";
        assert_eq!(sent("192.0.2.1", fields), usual("192.0.2.1"));
    }

    #[test]
    fn connection_cannot_name_what_the_way_depends_on() {
        let fields = "connection:host, content-length, cache-control, x-forwarded-for, x-forwarded-proto, via, \
                      cdn-loop, forwarded, x-forwarded-host\nhost:lb.example\ncontent-length:5\n\
                      cache-control:no-cache\n";
        let mut expected: Vec<_> = fields.lines().skip(1).map(str::to_owned).collect();
        expected.extend(usual("192.0.2.1"));
        assert_eq!(sent("192.0.2.1", fields), expected);
    }

    #[test]
    fn a_stranger_s_word_is_replaced() {
        let fields = "x-forwarded-for:203.0.113.66\nX_Forwarded_For:203.0.113.66\nx-forwarded-proto:https\n\
                      x-forwarded-host:evil.example\nforwarded:for=203.0.113.66\nx-real-ip:203.0.113.66\n\
                      x-forwarded-port:1\nx_forwarded_prefix:/x\nspin-path-info:x\nedgelb-peer:x\n\
                      platform_ip:203.0.113.66\ncdn_loop:x\n";
        assert_eq!(sent("192.0.2.1", fields), usual("192.0.2.1"));
    }

    #[test]
    fn the_platform_names_the_client_and_is_not_passed_on() {
        let fields = "platform-ip:203.0.113.66\nPlatform-IP:192.0.2.1:99\n";
        assert_eq!(sent("", fields), usual("192.0.2.1"));
    }

    #[test]
    fn a_trusted_peer_s_word_is_continued() {
        let fields = "x-forwarded-for:192.0.2.1, 10.0.0.2\nx-forwarded-for:10.0.0.3\nx-forwarded-proto:http, https\n\
                      x-forwarded-host:public.example\nforwarded:for=192.0.2.1\nx-real-ip:192.0.2.1\n\
                      x-forwarded-port:443\n";
        let expected = [
            "x-real-ip:192.0.2.1",
            "x-forwarded-port:443",
            "x-forwarded-for:192.0.2.1, 10.0.0.2, 10.0.0.3, 10.0.0.1",
            "x-forwarded-proto:https",
            "x-forwarded-host:public.example",
            "forwarded:for=192.0.2.1, for=10.0.0.1;host=lb.example;proto=http",
            "via:1.1 edgelb",
            "cdn-loop:edgelb",
        ];
        assert_eq!(sent("10.0.0.1", fields), expected);
    }

    #[test]
    fn a_chain_without_forwarded_begins_with_the_client() {
        let fields = "x-forwarded-for:192.0.2.1\nx-forwarded-proto:https\n";
        let sent = sent("10.0.0.1", fields);
        let expected = "forwarded:for=192.0.2.1;host=lb.example;proto=https";
        assert!(sent.iter().any(|line| line == expected), "{sent:?}");
    }

    #[test]
    fn nobody_knows_the_client() {
        let sent = sent("", "x-forwarded-for:203.0.113.66\n");
        assert!(!sent.iter().any(|line| line.starts_with("x-forwarded-for")));
        let expected = "forwarded:for=unknown;host=lb.example;proto=http";
        assert!(sent.iter().any(|line| line == expected), "{sent:?}");
    }

    #[test]
    fn our_cookie_is_cut_out() {
        let table: [(&str, &[&str]); 4] = [
            ("cookie:edgelb=x\n", &[]),
            ("cookie:a=1; edgelb=x; b=2\n", &["cookie:a=1; b=2"]),
            (
                "cookie:a=1\nCookie:edgelb=x\ncookie:b=2\n",
                &["cookie:a=1", "cookie:b=2"],
            ),
            ("cookie:a=edgelb=x\n", &["cookie:a=edgelb=x"]),
        ];
        for (fields, expected) in table {
            let mut sent = sent("192.0.2.1", fields);
            sent.retain(|line| line.starts_with("cookie"));
            assert_eq!(sent, expected, "{fields}");
        }
    }

    #[test]
    fn hops_are_appended() {
        let sent = sent("192.0.2.1", "via:1.0 first\ncdn-loop:first\n");
        assert_eq!(sent[..2], ["via:1.0 first", "cdn-loop:first"]);
        assert_eq!(
            sent[sent.len() - 2..],
            ["via:1.1 edgelb", "cdn-loop:edgelb"]
        );
    }

    #[test]
    fn connection_says_what_the_next_hop_is_to_know() {
        let table: [(&str, &[&str]); 3] = [
            (
                "connection:keep-alive, Upgrade\nupgrade:WebSocket\nsec-websocket-key:k\n",
                &[
                    "sec-websocket-key:k",
                    "connection:upgrade",
                    "upgrade:websocket",
                ],
            ),
            (
                "te:gzip, Trailers\nconnection:te\n",
                &["connection:te", "te:trailers"],
            ),
            (
                "connection:upgrade, http2-settings\nupgrade:h2c\nhttp2-settings:x\n",
                &[],
            ),
        ];
        for (fields, expected) in table {
            let mut sent = sent("192.0.2.1", fields);
            sent.retain(|line| !usual("192.0.2.1").contains(line));
            assert_eq!(sent, expected, "{fields}");
        }
    }

    #[test]
    fn nodes_and_hosts_are_quoted_where_they_must_be() {
        let table = [
            (
                Some("192.0.2.1"),
                "a.example",
                "for=192.0.2.1;host=a.example;proto=https",
            ),
            (
                Some("2001:db8::1"),
                "a:8",
                "for=\"[2001:db8::1]\";host=\"a:8\";proto=https",
            ),
            (None, "", "for=unknown;proto=https"),
            (None, "[::1]", "for=unknown;host=\"[::1]\";proto=https"),
        ];
        for (node, host, expected) in table {
            let mut edits = Edits::new();
            forwarded(
                &mut edits,
                b"",
                node.map(str::as_bytes),
                host,
                Scheme::Https,
            );
            let expected = format!("=forwarded:{expected}\n");
            assert_eq!(edits.as_bytes(), expected.as_bytes());
        }
    }
}
