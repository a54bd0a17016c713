//! The session cookie.
//!
//! Its value is opaque: the version `1`, then in hexadecimal a tag of the
//! backend (8 bytes), the second it was issued (5 bytes, since the epoch) and,
//! with a secret, a MAC over both (HMAC-SHA256, the left 16 bytes). It names no
//! host; with a secret the tag cannot be guessed from one either. What is
//! unknown, forged, expired or of a backend since removed counts as absent.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::genuine::Genuine;
use crate::head::Scheme;
use crate::issued::Issued;
use crate::policy::Policy;
use crate::rendezvous::backend_id;
use crate::time::Timestamp;

type HmacSha256 = Hmac<Sha256>;

const VERSION: u8 = b'1';
const TAG: usize = 8;
const ISSUED: usize = 5;
const CLAIM: usize = TAG + ISSUED;
/// <https://www.rfc-editor.org/rfc/rfc2104#section-5>: no less than half.
const MAC: usize = 16;
/// The characters of a value with a MAC.
pub(crate) const SIGNED: usize = 1 + 2 * (CLAIM + MAC);

/// How far clocks of machines that share a secret may be apart.
const SKEW: Duration = Duration::from_secs(60);

/// Reads and issues sessions.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    name: String,
    /// What follows the value of a cookie, but for `Secure`.
    attributes: String,
    life: Duration,
    /// With the key already absorbed: a MAC costs its message only.
    mac: Option<HmacSha256>,
    tags: Vec<[u8; TAG]>,
}

/// A valid session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) backend: usize,
    /// Whether half its life is over, and it is time for a new cookie.
    pub(crate) aging: bool,
    /// When it is.
    pub(crate) ages: Timestamp,
}

/// What a cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) backend: usize,
    /// To the second.
    pub(crate) issued: Timestamp,
}

impl Sessions {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mac = policy.session_cookie_secret.as_deref().map(keyed);
        let tags = policy.backends.iter().map(|backend| {
            let id = backend_id(backend).to_be_bytes();
            let Some(mac) = &mac else { return id };
            let mut tag = [0; TAG];
            let keyed = absorb(mac, "backend", &id);
            tag.copy_from_slice(&keyed.finalize().into_bytes()[..TAG]);
            tag
        });
        Self {
            name: policy.session_cookie_name.clone(),
            attributes: format!(
                "; Path=/; Max-Age={}; HttpOnly; SameSite=Lax",
                policy.session_cookie_ttl.as_secs(),
            ),
            life: policy.session_cookie_ttl,
            tags: tags.collect(),
            mac,
        }
    }

    /// The session of a cookie's value, if it is valid.
    pub(crate) fn read(
        &self,
        value: &[u8],
        genuine: &mut Genuine,
        now: Timestamp,
    ) -> Option<Session> {
        let known = genuine.knows(value);
        let claim = match known {
            Some(claim) => claim,
            None => self.verify(value, now)?,
        };
        self.age(claim.issued, now)?;
        if known.is_none() && self.mac.is_some() {
            genuine.remember(value, claim);
        }
        let ages = claim.issued.after(self.life / 2);
        Some(Session {
            backend: claim.backend,
            aging: now >= ages,
            ages,
        })
    }

    /// What a cookie's value claims, if it may.
    fn verify(&self, value: &[u8], now: Timestamp) -> Option<Claim> {
        let (&VERSION, digits) = value.split_first()? else {
            return None;
        };
        let mut signed = [0; CLAIM + MAC];
        let length = if self.mac.is_some() {
            CLAIM + MAC
        } else {
            CLAIM
        };
        decode(digits, &mut signed[..length])?;
        let (claim, mac) = signed[..length].split_at(CLAIM);
        let (tag, issued) = claim.split_at(TAG);

        // What costs nothing comes before the MAC, which does.
        let backend = self.tags.iter().position(|known| known == tag)?;
        let issued = issued
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte));
        let issued = Timestamp::from_millis(issued.saturating_mul(1_000));
        self.age(issued, now)?;
        if let Some(keyed) = &self.mac {
            let keyed = absorb(keyed, "session", claim);
            keyed.verify_truncated_left(mac).ok()?;
        }
        Some(Claim { backend, issued })
    }

    /// How long ago a cookie was issued, while it is valid.
    fn age(&self, issued: Timestamp, now: Timestamp) -> Option<Duration> {
        let age = now.since(issued);
        (issued.since(now) <= SKEW && age < self.life).then_some(age)
    }

    /// The `Set-Cookie` that makes a client's session
    /// (<https://www.rfc-editor.org/rfc/rfc6265#section-4.1>); `None` for a
    /// backend that does not exist.
    pub(crate) fn set_cookie(
        &self,
        backend: usize,
        scheme: Scheme,
        now: Timestamp,
        issued: &mut Issued,
    ) -> Option<String> {
        let secure = match scheme {
            Scheme::Http => "",
            Scheme::Https => "; Secure",
        };
        let value = issued.value(backend, now.second(), || self.issue(backend, now))?;
        let mut cookie = String::with_capacity(256);
        for part in [&self.name, "=", value, &self.attributes, secure] {
            cookie.push_str(part);
        }
        Some(cookie)
    }

    fn issue(&self, backend: usize, now: Timestamp) -> Option<String> {
        let mut bytes = Vec::with_capacity(CLAIM + MAC);
        bytes.extend_from_slice(self.tags.get(backend)?);
        let issued = now.second().to_be_bytes();
        bytes.extend_from_slice(&issued[issued.len() - ISSUED..]);
        if let Some(keyed) = &self.mac {
            let keyed = absorb(keyed, "session", &bytes);
            bytes.extend_from_slice(&keyed.finalize().into_bytes()[..MAC]);
        }
        let mut value = String::with_capacity(1 + 2 * bytes.len());
        value.push(VERSION.into());
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                value.push(DIGITS[usize::from(digit)].into());
            }
        }
        Some(value)
    }
}

/// Whether two secrets are equal, in a time that tells nothing of where they
/// differ.
pub(crate) fn is_same_secret(one: &[u8], other: &[u8]) -> bool {
    let blank = keyed("");
    let tag = absorb(&blank, "", one).finalize().into_bytes();
    absorb(&blank, "", other).verify(&tag).is_ok()
}

/// HMAC under the SHA-256 of a secret, so that any length will do.
fn keyed(secret: &str) -> HmacSha256 {
    let mut key = Key::<HmacSha256>::default();
    let digest = Sha256::digest(secret);
    key[..digest.len()].copy_from_slice(&digest);
    HmacSha256::new(&key)
}

/// A MAC that has taken in a text, and before it what the text is.
#[inline(never)]
fn absorb(keyed: &HmacSha256, label: &str, text: &[u8]) -> HmacSha256 {
    keyed.clone().chain_update(label).chain_update(text)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Fills `bytes` from exactly as many digits as it takes.
fn decode(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != bytes.len() {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::policy::{Backend, Origin, Weight};

    const DAY: u64 = 86_400_000;

    fn sessions(names: &[&str], secret: Option<&str>) -> Sessions {
        Sessions::new(&Policy {
            session_cookie_secret: secret.map(str::to_owned),
            backends: names
                .iter()
                .map(|&name| Backend {
                    name: name.to_owned(),
                    origin: Origin {
                        scheme: Scheme::Https,
                        authority: format!("{name}.example"),
                    },
                    weight: Weight::ONE,
                    drain: false,
                })
                .collect(),
            ..Policy::default()
        })
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    /// Reads a value where nothing is remembered, and again where it is, if it is genuine.
    fn read(sessions: &Sessions, value: impl AsRef<[u8]>, now: Timestamp) -> Option<Session> {
        let mut genuine = Genuine::default();
        let first = sessions.read(value.as_ref(), &mut genuine, now);
        let second = sessions.read(value.as_ref(), &mut genuine, now);
        assert_eq!(first, second);
        first
    }

    #[test]
    fn what_is_issued_is_honoured_until_it_expires() {
        for secret in [None, Some("secret")] {
            let sessions = sessions(&["a", "b"], secret);
            let value = sessions.issue(1, at(0)).unwrap();
            let read = |now| read(&sessions, &value, at(now));
            let session = |aging| {
                Some(Session {
                    backend: 1,
                    aging,
                    ages: at(DAY / 2),
                })
            };
            let (fresh, aging) = (session(false), session(true));
            assert_eq!(read(0), fresh);
            assert_eq!(read(DAY / 2 - 1), fresh);
            assert_eq!(read(DAY / 2), aging);
            assert_eq!(read(DAY - 1), aging);
            assert_eq!(read(DAY), None);
        }
    }

    #[test]
    fn what_was_issued_in_the_future_is_not() {
        let sessions = sessions(&["a"], None);
        let value = sessions.issue(0, at(60_000)).unwrap();
        assert!(read(&sessions, &value, at(0)).is_some());
        let value = sessions.issue(0, at(61_000)).unwrap();
        assert_eq!(read(&sessions, &value, at(0)), None);
    }

    #[test]
    fn every_altered_character_is_noticed() {
        let sessions = sessions(&["a", "b"], Some("secret"));
        let value = sessions.issue(0, at(0)).unwrap();
        let mut genuine = Genuine::default();
        assert!(
            sessions
                .read(value.as_bytes(), &mut genuine, at(0))
                .is_some()
        );
        for index in 0..value.len() {
            let mut forged = value.clone().into_bytes();
            forged[index] = if forged[index] == b'0' { b'1' } else { b'0' };
            assert_eq!(read(&sessions, &forged, at(0)), None, "at {index}");
            assert_eq!(
                sessions.read(&forged, &mut genuine, at(0)),
                None,
                "at {index}"
            );
        }
    }

    #[test]
    fn garbage_is_absent() {
        let signed = sessions(&["a"], Some("secret"));
        let plain = sessions(&["a"], None);
        let value = plain.issue(0, at(0)).unwrap();
        let longer = format!("{value}00");
        let upper = value.to_uppercase();
        let shorter = &value[..value.len() - 1];
        for garbage in ["", "1", "a.example", &longer, shorter, "\u{e9}", "1\u{e9}"] {
            assert_eq!(read(&plain, garbage, at(0)), None, "{garbage}");
        }
        assert_ne!(upper, value);
        assert_eq!(read(&plain, &upper, at(0)), None);
        assert_eq!(read(&signed, &value, at(0)), None, "not signed");
    }

    #[test]
    fn another_secret_or_a_removed_backend_ends_it() {
        let ours = sessions(&["a", "b"], Some("secret"));
        let value = ours.issue(1, at(0)).unwrap();
        let theirs = sessions(&["a", "b"], Some("Secret"));
        assert_eq!(read(&theirs, &value, at(0)), None);
        let removed = sessions(&["a"], Some("secret"));
        assert_eq!(read(&removed, &value, at(0)), None);
        let moved = sessions(&["0", "a", "b"], Some("secret"));
        let backend = read(&moved, &value, at(0)).map(|session| session.backend);
        assert_eq!(backend, Some(2), "a session outlives a change of others");
    }

    #[test]
    fn the_cookie_names_no_host() {
        for secret in [None, Some("secret")] {
            let sessions = sessions(&["alpha"], secret);
            let issued = &mut Issued::default();
            let cookie = sessions.set_cookie(0, Scheme::Https, at(0), issued);
            let cookie = cookie.unwrap();
            assert!(!cookie.contains("alpha"), "{cookie}");
            assert!(cookie.starts_with("edgelb=1"));
            assert!(cookie.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"));
            let cookie = sessions.set_cookie(0, Scheme::Http, at(0), issued);
            let cookie = cookie.unwrap();
            assert!(!cookie.contains("Secure"), "{cookie}");
        }
        assert_eq!(
            sessions(&["a"], None).set_cookie(1, Scheme::Http, at(0), &mut Issued::default()),
            None
        );
    }

    #[test]
    fn secrets_compare() {
        assert!(is_same_secret(b"token", b"token"));
        assert!(!is_same_secret(b"token", b"tokem"));
        assert!(!is_same_secret(b"token", b""));
    }
}
