//! What clients are hashed by.

use core::net::IpAddr;
use core::num::NonZeroU8;

use crate::policy::AffinityKey;
use crate::rendezvous::Affinity;
use crate::time::Seed;

/// The affinity of a request.
///
/// `named` is the value of the field or cookie that the key speaks of. Where a
/// request lacks what the key speaks of, or it is empty, the client's address
/// stands in. Where even that is unknown, all such clients are one: they go to
/// one backend, and together to the next, which keeps each with the backend that
/// knows it; balance among them needs another key.
pub(crate) fn of(
    key: &AffinityKey,
    target: &str,
    named: Option<&[u8]>,
    client: Option<IpAddr>,
    seed: Seed,
) -> Affinity {
    let key = match key {
        AffinityKey::None => return Affinity::of(&seed.0.to_le_bytes()),
        AffinityKey::Ip => None,
        AffinityKey::Path(segments) => prefix(target, *segments).map(str::as_bytes),
        AffinityKey::Header(_) | AffinityKey::Cookie(_) => named
            .map(<[u8]>::trim_ascii)
            .filter(|value| !value.is_empty()),
    };
    match (key, client) {
        (Some(key), _) => Affinity::of(key),
        (None, Some(IpAddr::V4(address))) => Affinity::of(&address.octets()),
        // A subscriber has at least a /64 and moves about in it.
        (None, Some(IpAddr::V6(address))) => Affinity::of(&address.octets()[..8]),
        (None, None) => Affinity::of(&[]),
    }
}

/// How many bytes at the beginning of a target an affinity depends on, up to the end of a
/// segment; `None` if it depends on more of it, or on the seed.
pub(crate) fn part_of(target: &str, key: &AffinityKey) -> Option<usize> {
    match key {
        AffinityKey::None => None,
        AffinityKey::Path(segments) => prefix(target, *segments).map(str::len),
        AffinityKey::Ip | AffinityKey::Header(_) | AffinityKey::Cookie(_) => Some(0),
    }
}

/// The path up to the end of its `count`th segment; `None` if it has fewer, or
/// an empty one among them.
fn prefix(target: &str, count: NonZeroU8) -> Option<&str> {
    let path = target.split('?').next()?;
    let mut end = 0;
    for _ in 0..count.get() {
        let rest = path.get(end..)?.strip_prefix('/')?;
        let length = rest.find('/').unwrap_or(rest.len());
        if length == 0 {
            return None;
        }
        end += 1 + length;
    }
    path.get(..end)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "constants")]

    use super::*;

    #[test]
    fn the_first_segments_of_the_path() {
        let table = [
            ("/stremio/u/x", 2, Some("/stremio/u")),
            ("/stremio/u", 2, Some("/stremio/u")),
            ("/stremio/u/", 2, Some("/stremio/u")),
            ("/stremio/u?x=/y/z", 2, Some("/stremio/u")),
            ("/stremio?x=/y/z", 2, None),
            ("/stremio/", 2, None),
            ("//u", 1, None),
            ("/", 1, None),
            ("*", 1, None),
            ("", 1, None),
        ];
        for (target, count, expected) in table {
            let count = NonZeroU8::new(count).unwrap();
            assert_eq!(prefix(target, count), expected, "{target}");
        }
    }

    #[test]
    fn the_address_stands_in_for_what_is_missing() {
        let client = |text: &str| Some(text.parse().unwrap());
        let header = AffinityKey::Header("x-user".to_owned());
        let path = AffinityKey::Path(NonZeroU8::MIN);
        let of = |key: &AffinityKey, target: &str, named: Option<&str>, client| {
            of(key, target, named.map(str::as_bytes), client, Seed(1))
        };
        let by_ip = of(&AffinityKey::Ip, "/", None, client("192.0.2.1"));
        assert_eq!(of(&header, "/", None, client("192.0.2.1")), by_ip);
        assert_eq!(of(&header, "/", Some(" "), client("192.0.2.1")), by_ip);
        assert_eq!(of(&path, "/", None, client("192.0.2.1")), by_ip);
        assert_ne!(of(&header, "/", Some("u"), client("192.0.2.1")), by_ip);
        assert_ne!(of(&path, "/u", None, client("192.0.2.1")), by_ip);
        assert_eq!(
            of(&header, "/", Some("u"), None),
            of(&header, "/a", Some("u"), client("192.0.2.1"))
        );
        assert_eq!(
            of(&AffinityKey::Ip, "/", None, client("2001:db8:1:2::1")),
            of(&AffinityKey::Ip, "/", None, client("2001:db8:1:2:3::4"))
        );
        assert_ne!(
            of(&AffinityKey::Ip, "/", None, client("2001:db8:1:2::1")),
            of(&AffinityKey::Ip, "/", None, client("2001:db8:1:3::1"))
        );
        assert_eq!(
            of(&AffinityKey::Ip, "/a", None, None),
            of(&header, "/b", None, None)
        );
    }

    #[test]
    fn no_affinity_is_the_seed_alone() {
        let of = |seed| of(&AffinityKey::None, "/", None, None, Seed(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
