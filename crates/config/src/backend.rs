//! `BACKEND_<NAME>`: where a backend is, and its options.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use edgelb_balancer::{Backend, Origin, Scheme, Weight};

use crate::error::Fault;
use crate::host;

/// One backend, or every fault of its value.
pub(crate) fn parse(name: &str, value: &str) -> Result<Backend, Vec<Fault>> {
    let (location, options) = value.split_once(';').unwrap_or((value, ""));
    // Past a path or user information a `;` need not begin an option.
    check_bare(value, location).map_err(|fault| vec![fault])?;

    let mut faults = Vec::new();
    let origin = origin(location.trim()).map_err(|fault| faults.push(fault));
    let (weight, drain) = parse_options(options, &mut faults);
    match origin {
        Ok(origin) if faults.is_empty() => Ok(Backend {
            name: name.to_owned(),
            origin,
            weight,
            drain,
        }),
        Ok(_) | Err(()) => Err(faults),
    }
}

/// A backend as its variable's value, canonically.
pub(crate) fn render(backend: &Backend) -> String {
    let Origin { scheme, authority } = &backend.origin;
    let mut value = format!("{}://{authority}", scheme.as_str());
    if backend.weight != Weight::ONE {
        value += &format!(";weight={}", backend.weight.as_u16());
    }
    if backend.drain {
        value += ";drain";
    }
    value
}

/// Requests keep their own path and credentials, so a backend has none.
fn check_bare(value: &str, location: &str) -> Result<(), Fault> {
    let expected = |what| format!("a host without {what}");
    if value.as_bytes().contains(&b'@') {
        return Err(Fault::new("has user information", expected("`user@`")));
    }
    let rest = host::split_scheme(location).map_or(location, |(_, rest)| rest);
    match host::split_tail(rest).1.trim_end() {
        "" | "/" => Ok(()),
        tail if tail.starts_with('?') => Err(Fault::new("has a query", expected("a query"))),
        tail if tail.starts_with('#') => Err(Fault::new("has a fragment", expected("a fragment"))),
        _ => Err(Fault::new(
            "has a path",
            "a host without a path, as clients' paths are kept",
        )),
    }
}

/// Scheme, host and port; the scheme's own port left out.
/// <https://www.rfc-editor.org/rfc/rfc6454.html#section-4>
fn origin(location: &str) -> Result<Origin, Fault> {
    let (scheme, rest) = match host::split_scheme(location) {
        Some((scheme, rest)) => (parse_scheme(scheme)?, rest),
        None => (Scheme::Https, location),
    };
    let (host, port) = host::split_port(rest.strip_suffix('/').unwrap_or(rest))?;
    let host = host::host(host)?;
    let port = port.map(host::port).transpose()?;
    let authority = match port.filter(|&port| port != default_port(scheme)) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    Ok(Origin { scheme, authority })
}

fn parse_scheme(scheme: &str) -> Result<Scheme, Fault> {
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok(Scheme::Https),
        "http" => Ok(Scheme::Http),
        _ => Err(Fault::new(
            format!("has scheme `{scheme}`"),
            "http or https",
        )),
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110.html#section-4.2>
const fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

/// The options that follow the first `;`. Empty ones are skipped.
fn parse_options(options: &str, faults: &mut Vec<Fault>) -> (Weight, bool) {
    let mut weight = None;
    let mut drain = false;
    for option in options.split(';').map(str::trim) {
        let (key, argument) = match option.split_once('=') {
            Some((key, argument)) => (key.trim_end(), Some(argument.trim_start())),
            None => (option, None),
        };
        match (key, argument) {
            ("", None) => {}
            ("weight", Some(_)) if weight.is_some() => faults.push(twice("weight")),
            ("weight", argument) => match parse_weight(argument.unwrap_or_default()) {
                Ok(parsed) => weight = Some(parsed),
                Err(fault) => faults.push(fault),
            },
            ("drain", None) if drain => faults.push(twice("drain")),
            ("drain", None) => drain = true,
            _ => faults.push(Fault::new(
                format!("has option `{option}`"),
                "`weight=N` or `drain`",
            )),
        }
    }
    (weight.unwrap_or(Weight::ONE), drain)
}

fn parse_weight(text: &str) -> Result<Weight, Fault> {
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(Weight::new)
        .ok_or_else(|| {
            Fault::new(
                format!("has weight `{text}`"),
                format!("1 to {}", Weight::MAX),
            )
        })
}

fn twice(option: &str) -> Fault {
    Fault::new(format!("has option `{option}` twice"), "each option once")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn values_are_canonical() {
        for (value, expected) in [
            ("a.example.com", "https://a.example.com"),
            ("A.Example.com:443", "https://a.example.com"),
            ("a.example.com:80", "https://a.example.com:80"),
            ("HTTP://a:80/", "http://a"),
            ("http://a:443", "http://a:443"),
            ("https://a:8443/", "https://a:8443"),
            ("[::1]:8080", "https://[::1]:8080"),
            ("http://[0:0::1]:80", "http://[::1]"),
            ("a;weight=1", "https://a"),
            ("a ; weight = 3 ; drain ;", "https://a;weight=3;drain"),
            ("a;drain;weight=1000", "https://a;weight=1000;drain"),
            ("a/;drain", "https://a;drain"),
        ] {
            let backend = parse("A", value).unwrap();
            assert_eq!(render(&backend), expected, "{value}");
            assert_eq!(parse("A", expected), Ok(backend), "{value}");
        }
    }

    #[test]
    fn every_fault_of_a_value_is_told() {
        for (value, expected) in [
            ("ftp://x", &["has scheme `ftp`"][..]),
            ("://x", &["has scheme ``"]),
            ("", &["has no host"]),
            ("https://", &["has no host"]),
            (":8080", &["has no host"]),
            ("3000", &["has a host that ends in a number"]),
            ("a:", &["has port ``"]),
            ("a:0", &["has port `0`"]),
            ("a:port", &["has port `port`"]),
            ("::1", &["has more than one colon"]),
            ("https:/a", &["has a path"]),
            ("https://a//", &["has a path"]),
            ("https://a/x;y=1", &["has a path"]),
            ("https://a?x", &["has a query"]),
            ("https://a#x", &["has a fragment"]),
            ("https://u:p;q@a/x", &["has user information"]),
            ("a;weight=0", &["has weight `0`"]),
            ("a;weight=1001", &["has weight `1001`"]),
            ("a;weight=+1", &["has weight `+1`"]),
            ("a;weight", &["has weight ``"]),
            ("a;weight=1;weight=2", &["has option `weight` twice"]),
            ("a;drain;drain", &["has option `drain` twice"]),
            ("a;drain=yes", &["has option `drain=yes`"]),
            ("a;Weight=1", &["has option `Weight=1`"]),
            ("a;=", &["has option `=`"]),
            (
                "a b;weight=x;backup",
                &[
                    "has ` ` in its host",
                    "has weight `x`",
                    "has option `backup`",
                ],
            ),
        ] {
            let faults = parse("A", value).unwrap_err();
            let problems: Vec<_> = faults.iter().map(|fault| &*fault.problem).collect();
            assert_eq!(problems, expected, "{value}");
        }
    }
}
