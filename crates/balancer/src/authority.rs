//! The authority of a request: `uri-host [ ":" port ]`
//! (<https://www.rfc-editor.org/rfc/rfc9110#section-7.2>).

use core::net::Ipv6Addr;

use crate::bytes::{REG_NAME, find, is_in};

/// The host of a well-formed authority, an IPv6 address with its brackets.
///
/// User information is refused
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-4.2.4>), so are an empty
/// host (section 4.2.1), a port beyond 65535, and the literals of future IP
/// versions, as there are none.
pub(crate) fn host(authority: &str) -> Option<&str> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')?;
        authority.get(1..end)?.parse::<Ipv6Addr>().ok()?;
        authority.split_at_checked(end + 1)?
    } else {
        let end = find(b':', authority.as_bytes());
        let (name, port) = authority.split_at_checked(end)?;
        is_reg_name(name.as_bytes()).then_some((name, port))?
    };
    (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(host)
}

/// `port = *DIGIT`, so it may be empty
/// (<https://www.rfc-editor.org/rfc/rfc3986#section-3.2.3>).
fn is_port(port: &str) -> bool {
    port.is_empty()
        || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// `reg-name = *( unreserved / pct-encoded / sub-delims )`, here of one
/// character at least
/// (<https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2>).
fn is_reg_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            (byte, _) if is_in(REG_NAME, byte) => after,
            _ => return false,
        };
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_what_is_well_formed() {
        let table = [
            ("example.com", Some("example.com")),
            ("Example.COM:8080", Some("Example.COM")),
            ("example.com:", Some("example.com")),
            ("example.com.", Some("example.com.")),
            ("my_host", Some("my_host")),
            ("a%2db", Some("a%2db")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("[2001:db8::1]", Some("[2001:db8::1]")),
            ("[2001:db8::1]:443", Some("[2001:db8::1]")),
            ("", None),
            (":80", None),
            ("user@example.com", None),
            ("user:pass@example.com", None),
            ("example.com:x", None),
            ("example.com:+80", None),
            ("example.com:65536", None),
            ("example.com:80:80", None),
            ("2001:db8::1", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]x", None),
            ("[::1%eth0]", None),
            ("[v1.x]", None),
            ("[]", None),
            ("exa mple.com", None),
            ("example.com/", None),
            ("example.com?x", None),
            ("a%2", None),
            ("a%zz", None),
            ("ex\u{e4}mple.com", None),
            ("a\r\nb", None),
        ];
        for (authority, expected) in table {
            assert_eq!(host(authority), expected, "{authority}");
        }
    }
}
