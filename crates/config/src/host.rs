//! Hosts and ports, in their canonical form.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::net::Ipv4Addr;

use crate::address;
use crate::error::Fault;

/// The longest host and the longest label of one.
/// <https://www.rfc-editor.org/rfc/rfc1035.html#section-2.3.4>
const HOST_MAX: usize = 253;
const LABEL_MAX: usize = 63;

const HOST_CHARACTERS: &str = "letters, digits, hyphens, underscores and dots";

/// `host` or `host:port`, taken apart, neither of them checked.
/// <https://www.rfc-editor.org/rfc/rfc3986.html#section-3.2>
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<&str>), Fault> {
    const EXPECTED: &str =
        "`host` or `host:port`, an IPv6 address in brackets as in `[2001:db8::1]`";
    if !authority.starts_with('[') {
        return match authority.split_once(':') {
            Some((_, port)) if port.as_bytes().contains(&b':') => {
                Err(Fault::new("has more than one colon", EXPECTED))
            }
            Some((host, port)) => Ok((host, Some(port))),
            None => Ok((authority, None)),
        };
    }
    let Some(end) = authority.find(']') else {
        return Err(Fault::new("has no closing bracket", EXPECTED));
    };
    match authority.split_at(end + 1) {
        (host, "") => Ok((host, None)),
        (host, rest) => match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None => Err(Fault::new("goes on after the closing bracket", EXPECTED)),
        },
    }
}

/// What is before the first `://`, and what is after it. By hand, since a search
/// for any string would be linked for this one.
pub(crate) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    const SEPARATOR: &[u8] = b"://";
    let end = text
        .as_bytes()
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR)?;
    Some((text.get(..end)?, text.get(end + SEPARATOR.len()..)?))
}

/// The authority that a URL without its scheme begins with, and what follows it.
pub(crate) fn split_tail(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| b"/?#".contains(&byte));
    text.split_at(end.unwrap_or(text.len()))
}

/// A port other than 0, in decimal digits alone.
pub(crate) fn port(text: &str) -> Result<u16, Fault> {
    text.parse()
        .ok()
        .filter(|&port: &u16| port != 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| Fault::new(format!("has port `{text}`"), "1 to 65535"))
}

/// A name, an IPv4 address or an IPv6 address in brackets; lower case, without
/// a final dot. Underscores are let through: container networks have them.
///
/// <https://www.rfc-editor.org/rfc/rfc3986.html#section-3.2.2>
/// <https://www.rfc-editor.org/rfc/rfc1123.html#section-2.1>
pub(crate) fn host(text: &str) -> Result<String, Fault> {
    if let Some(literal) = text.strip_prefix('[') {
        let address = address::literal(literal.strip_suffix(']').unwrap_or_default())?;
        return Ok(format!("[{address}]"));
    }
    let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if host.is_empty() {
        return Err(Fault::new("has no host", "one such as `a.example.com`"));
    }
    check_characters(&host)?;
    check_labels(&host)?;
    check_address(&host)?;
    Ok(host)
}

fn check_characters(host: &str) -> Result<(), Fault> {
    if !host.is_ascii() {
        return Err(Fault::new(
            "has a host that is not ASCII",
            "its punycode form, as in `xn--bcher-kva.example`",
        ));
    }
    if host.as_bytes().contains(&b'*') {
        return Err(Fault::new(
            "has a wildcard, which is not supported",
            "each host by its name",
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match host.chars().find(|&character| !allowed(character)) {
        Some(character) => Err(Fault::new(
            format!("has `{character}` in its host"),
            HOST_CHARACTERS,
        )),
        None => Ok(()),
    }
}

fn check_labels(host: &str) -> Result<(), Fault> {
    if host.len() > HOST_MAX {
        return Err(Fault::new(
            format!("has a host of {} characters", host.len()),
            format!("at most {HOST_MAX}"),
        ));
    }
    for label in host.split('.') {
        if label.is_empty() {
            return Err(Fault::new(
                "has an empty label in its host",
                "labels joined by single dots",
            ));
        }
        if label.len() > LABEL_MAX {
            return Err(Fault::new(
                format!("has a label of {} characters in its host", label.len()),
                format!("at most {LABEL_MAX}"),
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(Fault::new(
                format!("has label `{label}` in its host"),
                "labels that neither begin nor end with a hyphen",
            ));
        }
    }
    Ok(())
}

/// No top-level domain is a number, so a host that ends in one is an address.
/// <https://url.spec.whatwg.org/#ends-in-a-number-checker>
fn check_address(host: &str) -> Result<(), Fault> {
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        return Err(Fault::new(
            "has a host that ends in a number",
            "a name, or an IPv4 address of four numbers",
        ));
    }
    Ok(())
}

/// A host alone, for what is often pasted as a URL.
pub(crate) fn bare(text: &str) -> Result<String, Fault> {
    const EXPECTED: &str = "the host alone, such as `a.example.com`";
    if let Some((scheme, _)) = split_scheme(text)
        && !text.as_bytes().contains(&b'@')
    {
        return Err(Fault::new(format!("has scheme `{scheme}`"), EXPECTED));
    }
    if text.bytes().any(|byte| b"/?#@".contains(&byte)) {
        return Err(Fault::new("has more than a host", EXPECTED));
    }
    match split_port(text)? {
        (host, None) => self::host(host),
        (_, Some(_)) => Err(Fault::new("has a port", EXPECTED)),
    }
}

/// A value that may be a URL, without what may be a credential: user
/// information, and a path, which people's addons keep passwords in.
pub(crate) fn redacted(text: &str) -> String {
    // The last `@`: a password may hold any other delimiter, `://` too.
    let (start, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => {
            let scheme = ["https://", "http://"]
                .into_iter()
                .find(|scheme| user.starts_with(scheme));
            (format!("{}****@", scheme.unwrap_or_default()), rest)
        }
        None => match split_scheme(text) {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), text),
        },
    };
    let (authority, tail) = split_tail(rest);
    let tail = match tail.chars().next() {
        Some('/') if is_root(tail) => tail.to_owned(),
        Some(delimiter) => format!("{delimiter}…"),
        None => String::new(),
    };
    format!("{start}{authority}{tail}")
}

/// Whether all there is of a path is the root, options aside.
fn is_root(tail: &str) -> bool {
    tail == "/" || tail.starts_with("/;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_canonical() {
        for (text, expected) in [
            ("a.Example.COM", "a.example.com"),
            ("a.example.com.", "a.example.com"),
            ("localhost", "localhost"),
            ("my_app", "my_app"),
            ("3.example", "3.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(expected), "{text}");
        }
        let long_label = "a".repeat(64);
        let long_host = "aa.".repeat(85);
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "-a.example",
            "a-.example",
            "a b",
            "a%41",
            "a\\b",
            "a\0b",
            "*.example.com",
            "bücher.example",
            "3000",
            "1.2.3",
            "1.2.3.256",
            "1.2.3.4.5",
            "[]",
            "[",
            "[::1",
            "[1.2.3.4]",
            "[fe80::1%eth0]",
            &long_label,
            &long_host,
        ] {
            assert!(host(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn ports_are_split_off_outside_brackets() {
        for (text, expected) in [
            ("a", Some(("a", None))),
            ("a:1", Some(("a", Some("1")))),
            ("a:", Some(("a", Some("")))),
            (":1", Some(("", Some("1")))),
            ("[::1]", Some(("[::1]", None))),
            ("[::1]:80", Some(("[::1]", Some("80")))),
            ("[::1]80", None),
            ("::1", None),
            ("a:1:2", None),
            ("", Some(("", None))),
        ] {
            assert_eq!(split_port(text).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("1", Some(1)),
            ("65535", Some(65_535)),
            ("0080", Some(80)),
            ("0", None),
            ("65536", None),
            ("+80", None),
            ("", None),
            ("http", None),
        ] {
            assert_eq!(port(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_a_credential_is_left_out() {
        for (text, expected) in [
            ("a.example.com:1;drain", "a.example.com:1;drain"),
            ("https://a/", "https://a/"),
            ("https://a/;weight=0", "https://a/;weight=0"),
            ("https://a/stremio/u/secret", "https://a/…"),
            ("a?key=secret", "a?…"),
            ("a#secret", "a#…"),
            ("https://u:secret@a", "https://****@a"),
            ("u:se/cr@et@a/secret", "****@a/…"),
            ("secret://@a", "****@a"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }
}
