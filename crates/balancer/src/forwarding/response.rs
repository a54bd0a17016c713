//! What a client gets to see of a response.

use alloc::string::String;

use super::VIA;
use crate::edits::Edits;
use crate::fields::Fields;
use crate::head::ResponseHead;
use crate::lists::{elements, is};
use crate::names::{Known, Name};
use crate::survey::Removals;

/// Takes out every field that [`Known::is_hop_by_hop`].
const WITHOUT_HOP_BY_HOP: &str = "-connection\n-keep-alive\n-proxy-authenticate\n\
    -proxy-authentication-info\n-proxy-authorization\n-proxy-connection\n-te\n\
    -transfer-encoding\n-upgrade\n";
const HSTS: &str = "strict-transport-security";

/// What a response gets beside what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Additions<'a> {
    /// The session, where it is new.
    pub(crate) set_cookie: Option<String>,
    /// `Strict-Transport-Security`, where it is to be said.
    pub(crate) hsts: Option<&'a str>,
}

/// The edits to a response's fields.
pub(crate) fn response_edits(head: &ResponseHead<'_>, additions: &Additions<'_>) -> Edits {
    let mut removals = Removals::with_capacity(256);
    let mut upgrade: &[u8] = b"websocket";
    for (name, value) in head.fields.lines() {
        match Name::of(name) {
            Name::Known(known) if known.is_hop_by_hop() => {
                removals.hop_by_hop(known, name, value);
                if known == Known::Upgrade {
                    upgrade = value;
                }
            }
            _ if additions.set_cookie.is_some() && is_for_shared_caches(name) => {
                removals.remove(name);
            }
            Name::Known(_) | Name::Other | Name::LookAlike | Name::Internal | Name::Forwarding => {}
        }
    }
    let mut edits = removals.edits;
    if head.status == 101 {
        edits.set("connection", "upgrade");
        edits.set("upgrade", upgrade);
    }
    edits.packed(VIA);
    if let Some(hsts) = additions.hsts {
        // The name is the balancer's, and one such field counts
        // (https://www.rfc-editor.org/rfc/rfc6797#section-7.1).
        edits.set(HSTS, hsts);
    }
    if let Some(set_cookie) = &additions.set_cookie {
        edits.append("set-cookie", set_cookie);
        make_private(&mut edits, head.fields);
    }
    edits
}

/// The edits to the fields of any [ordinary](crate::Ordinary) response.
#[inline(never)]
pub(crate) fn ordinary_edits(hsts: Option<&str>) -> Edits {
    let mut edits = Edits::new();
    edits.packed(WITHOUT_HOP_BY_HOP);
    edits.packed(VIA);
    if let Some(hsts) = hsts {
        edits.set(HSTS, hsts);
    }
    edits
}

/// The edits that follow those where the response makes a session, and says nothing to
/// caches itself.
pub(crate) fn session_edits(set_cookie: &str) -> Edits {
    let mut edits = Edits::new();
    edits.append("set-cookie", set_cookie);
    make_private(&mut edits, Fields::new(b""));
    edits
}

/// Whether a field is addressed to shared caches alone. They heed it before
/// `Cache-Control` (<https://www.rfc-editor.org/rfc/rfc9213#section-2.2>), so it
/// goes with a response that is for one client.
fn is_for_shared_caches(name: &[u8]) -> bool {
    const TARGETED: &str = "cdn-cache-control";
    let end = name.len().saturating_sub(TARGETED.len());
    is(&name[end..], TARGETED) || is(name, "surrogate-control")
}

/// A session is one client's: whoever got it from a cache would share it. What
/// `Cache-Control` says stays, except that it is made `private`
/// (<https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.7>).
fn make_private(edits: &mut Edits, fields: Fields<'_>) {
    let is_one_of = |directive: &[u8], names: &[&str]| {
        let is = |name: &&str| is(directive, name);
        names.iter().any(is)
    };
    let mut value = b"private".to_vec();
    for directives in fields.values("cache-control") {
        for directive in elements(directives) {
            if is_one_of(directive, &["private", "no-store"]) {
                return;
            }
            let name = directive
                .split(|&byte| byte == b'=')
                .next()
                .unwrap_or_default()
                .trim_ascii();
            // `private="field"` restricts less than what replaces it.
            if !is_one_of(name, &["public", "s-maxage", "private"]) {
                value.extend_from_slice(b", ");
                value.extend_from_slice(directive);
            }
        }
    }
    edits.set("cache-control", value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::BodySize;

    fn passed(status: u16, fields: &str, additions: &Additions<'_>) -> Vec<String> {
        let head = ResponseHead {
            status,
            body: BodySize::Unknown,
            fields: Fields::new(fields.as_bytes()),
        };
        response_edits(&head, additions).applied(head.fields)
    }

    /// What nobody settles is to be what settling would have come to, as long as the
    /// response says nothing to caches.
    #[test]
    fn the_edits_of_a_session_are_known_before() {
        let fields = "etag:x\nexpires:0\npragma:x\nvary:*\nset-cookie:a=1\nvia:1.1 a\n\
            connection:close\nkeep-alive:timeout=5\n";
        for (hsts, status) in [
            (None, 200),
            (Some("max-age=1"), 206),
            (None, 304),
            (None, 404),
        ] {
            let additions = Additions {
                set_cookie: Some("edgelb=1; Path=/".to_owned()),
                hsts,
            };
            let expected = passed(status, fields, &additions);
            let fields = Fields::new(fields.as_bytes());
            let mut edits = ordinary_edits(hsts);
            edits.extend(&session_edits("edgelb=1; Path=/"));
            assert_eq!(edits.applied(fields), expected, "{status}");
        }
        for name in [
            "surrogate-control",
            "cdn-cache-control",
            "x-cdn-cache-control",
        ] {
            assert!(is_for_shared_caches(name.as_bytes()), "{name}");
        }
        // Those are all that the interface names.
        for name in ["edge-control", "expires", "cdn-loop", "x-accel-expires"] {
            assert!(!is_for_shared_caches(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn end_to_end_fields_stay_as_they_are() {
        let fields = "date:x\nset-cookie:a=1\nSet-Cookie:b=2\nlocation:http://other/\ncontent-encoding:gzip\n\
                      content-length:5\ncache-control:public\nspin-x:1\nx_y:1\nretry-after:5\n";
        let mut expected: Vec<_> = fields.lines().map(str::to_owned).collect();
        expected.push("via:1.1 edgelb".to_owned());
        assert_eq!(passed(302, fields, &Additions::default()), expected);
    }

    #[test]
    fn hop_by_hop_fields_go_with_all_that_connection_names() {
        let fields = "connection:close, x-private, cache-control\nx-private:1\nkeep-alive:x\n\
                      transfer-encoding:chunked\nproxy-authenticate:x\nproxy-authentication-info:x\n\
                      upgrade:h2c\ncache-control:private\n";
        assert_eq!(
            passed(200, fields, &Additions::default()),
            ["cache-control:private", "via:1.1 edgelb"]
        );
    }

    #[test]
    fn what_an_ordinary_response_gets_is_known_before() {
        let names = WITHOUT_HOP_BY_HOP.split_terminator('\n');
        let hop_by_hop = names.map(|edit| match &edit[1..] {
            "connection" => "Connection:Keep-Alive\nconnection:close\n".to_owned(),
            name => format!("{name}:x\n"),
        });
        let hop_by_hop: String = hop_by_hop.collect();
        let others = "date:x\nset-cookie:a=1\ncache-control:public\ncdn-cache-control:x\nvia:1.0 a\n\
                      x_y:1\nspin-x:1\nstrict-transport-security:max-age=0\n";
        for hsts in [None, Some("max-age=5")] {
            let additions = Additions {
                hsts,
                ..Additions::default()
            };
            for fields in [others.to_owned(), hop_by_hop.clone() + others] {
                for status in [200, 304, 404, 499] {
                    let before = ordinary_edits(hsts).applied(Fields::new(fields.as_bytes()));
                    assert_eq!(before, passed(status, &fields, &additions), "{fields}");
                }
            }
        }
    }

    #[test]
    fn a_switch_of_protocols_says_so() {
        let fields = "connection:Upgrade\nupgrade:WebSocket\nsec-websocket-accept:x\n";
        assert_eq!(
            passed(101, fields, &Additions::default()),
            [
                "sec-websocket-accept:x",
                "connection:upgrade",
                "upgrade:WebSocket",
                "via:1.1 edgelb"
            ]
        );
    }

    #[test]
    fn hsts_is_ours_alone() {
        let additions = Additions {
            hsts: Some("max-age=5"),
            ..Additions::default()
        };
        assert_eq!(
            passed(200, "strict-transport-security:max-age=0\n", &additions),
            ["via:1.1 edgelb", "strict-transport-security:max-age=5"]
        );
    }

    #[test]
    fn a_session_is_added_and_kept_from_shared_caches() {
        let additions = Additions {
            set_cookie: Some("edgelb=x".to_owned()),
            ..Additions::default()
        };
        let table = [
            ("", "private"),
            ("cache-control:\n", "private"),
            ("cache-control:public, max-age=5\n", "private, max-age=5"),
            (
                "cache-control:max-age=5, S-MaxAge=9\n",
                "private, max-age=5",
            ),
            (
                "cache-control:max-age=5\ncache-control:s-maxage=9\n",
                "private, max-age=5",
            ),
            (
                "cache-control:private=\"set-cookie, x\", max-age=5\n",
                "private, max-age=5",
            ),
            (
                "cache-control:no-cache=\"a, b\"\n",
                "private, no-cache=\"a, b\"",
            ),
            ("cache-control:max-age=5, Private\n", "max-age=5, Private"),
            ("cache-control:no-store\n", "no-store"),
        ];
        for (fields, expected) in table {
            let fields = format!(
                "{fields}set-cookie:edgelb=theirs\ncdn-cache-control:max-age=9\n\
                 Cloudflare-CDN-Cache-Control:max-age=9\nsurrogate-control:max-age=9\n"
            );
            let mut passed = passed(200, &fields, &additions);
            passed.sort_unstable();
            assert_eq!(
                passed,
                [
                    &format!("cache-control:{expected}"),
                    "set-cookie:edgelb=theirs",
                    "set-cookie:edgelb=x",
                    "via:1.1 edgelb"
                ],
                "{fields}"
            );
        }
    }
}
