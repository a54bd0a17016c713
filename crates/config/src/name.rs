//! Names that go into messages: of fields, of cookies; and what is hashed by them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::num::NonZeroU8;

use edgelb_balancer::AffinityKey;

use crate::error::Fault;

/// A field name, lower case since case does not count.
/// <https://www.rfc-editor.org/rfc/rfc9110.html#section-5.1>
pub(crate) fn field(text: &str) -> Result<String, Fault> {
    token(text, "field name")?;
    Ok(text.to_ascii_lowercase())
}

/// A cookie's name, whose case does count.
/// <https://www.rfc-editor.org/rfc/rfc6265.html#section-4.1.1>
pub(crate) fn cookie(text: &str) -> Result<String, Fault> {
    token(text, "cookie name")?;
    Ok(text.to_owned())
}

/// Whether browsers keep a cookie of this name only if it came over https.
/// They ignore case here.
/// <https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis-22#section-4.1.3>
pub(crate) fn cookie_needs_https(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("__host-") || name.starts_with("__secure-")
}

const AFFINITY_KEYS: &str = "`ip`, `path:N`, `header:NAME`, `cookie:NAME` or `none`";
const SEGMENTS_MAX: u8 = 16;

/// What clients are hashed by.
pub(crate) fn affinity_key(text: &str) -> Result<AffinityKey, Fault> {
    let (kind, argument) = match text.split_once(':') {
        Some((kind, argument)) => (kind.trim(), Some(argument.trim())),
        None => (text, None),
    };
    match (kind, argument) {
        ("ip", None) => Ok(AffinityKey::Ip),
        ("none", None) => Ok(AffinityKey::None),
        ("path", Some(argument)) => segments(argument).map(AffinityKey::Path),
        ("header", Some(argument)) => field(argument).map(AffinityKey::Header),
        ("cookie", Some(argument)) => cookie(argument).map(AffinityKey::Cookie),
        _ => Err(Fault::new("is not an affinity key", AFFINITY_KEYS)),
    }
}

fn segments(text: &str) -> Result<NonZeroU8, Fault> {
    text.parse::<NonZeroU8>()
        .ok()
        .filter(|count| count.get() <= SEGMENTS_MAX && !text.starts_with('+'))
        .ok_or_else(|| {
            Fault::new(
                "has no valid number of path segments",
                format!("`path:1` to `path:{SEGMENTS_MAX}`"),
            )
        })
}

/// <https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.2>
fn token(text: &str, what: &str) -> Result<(), Fault> {
    const EXPECTED: &str = "letters, digits and any of !#$%&'*+-.^_`|~";
    if text.is_empty() {
        return Err(Fault::new(format!("has no {what}"), EXPECTED));
    }
    let allowed = |character: &char| {
        character.is_ascii_alphanumeric()
            || (character.is_ascii() && b"!#$%&'*+-.^_`|~".contains(&(*character as u8)))
    };
    match text.chars().find(|character| !allowed(character)) {
        Some(character) => Err(Fault::new(
            format!("has `{character}` in the {what}"),
            EXPECTED,
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        assert_eq!(field("CF-Connecting-IP"), Ok("cf-connecting-ip".to_owned()));
        assert_eq!(cookie("Edge.LB_1"), Ok("Edge.LB_1".to_owned()));
        for text in ["", "a b", "a=b", "a;b", "a:b", "a\"b", "a/b", "ä", "a\n"] {
            assert!(field(text).is_err(), "{text:?}");
            assert!(cookie(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn prefixes_that_need_https_are_known_in_any_case() {
        for (name, needs) in [
            ("__Host-edgelb", true),
            ("__host-edgelb", true),
            ("__Secure-edgelb", true),
            ("__Host", false),
            ("Host-edgelb", false),
            ("edgelb", false),
        ] {
            assert_eq!(cookie_needs_https(name), needs, "{name}");
        }
    }

    #[test]
    fn affinity_keys_are_of_five_kinds() {
        let path = |count| NonZeroU8::new(count).map(AffinityKey::Path);
        for (text, expected) in [
            ("ip", Some(AffinityKey::Ip)),
            ("none", Some(AffinityKey::None)),
            ("path:1", path(1)),
            ("path: 2", path(2)),
            ("path:16", path(16)),
            (
                "header:X-User",
                Some(AffinityKey::Header("x-user".to_owned())),
            ),
            ("cookie:SID", Some(AffinityKey::Cookie("SID".to_owned()))),
            ("path", None),
            ("path:", None),
            ("path:0", None),
            ("path:+2", None),
            ("path:17", None),
            ("path:256", None),
            ("header", None),
            ("header:", None),
            ("cookie:a=b", None),
            ("ip:4", None),
            ("IP", None),
            ("random", None),
            ("", None),
        ] {
            assert_eq!(affinity_key(text).ok(), expected, "{text}");
        }
    }
}
