//! The session cookie: opaque, with a MAC, of the same form and length as edgelb's.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{COOKIE, Entry, HeaderMap, HeaderValue};
use sha2::Sha256;

const NAME: &str = "edgelb";
const LIFE: u64 = 86_400;
/// How far in the future a cookie may have been issued.
const SKEW: u64 = 60;
const TAG: usize = 8;
const CLAIM: usize = TAG + 5;
const MAC: usize = 16;

/// Reads and issues session cookies.
pub(super) struct Sessions {
    /// With the key absorbed: a MAC costs its message only.
    mac: Hmac<Sha256>,
    tags: Vec<[u8; TAG]>,
}

/// A valid session.
pub(super) struct Session {
    pub(super) backend: usize,
    /// Whether half its life is over.
    pub(super) aging: bool,
}

impl Sessions {
    pub(super) fn new(secret: &str, backends: &[SocketAddr]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
        let tag = |backend: &SocketAddr| {
            let mut tag = [0; TAG];
            let digest = mac.clone().chain_update(backend.to_string()).finalize();
            tag.copy_from_slice(&digest.into_bytes()[..TAG]);
            tag
        };
        Self {
            tags: backends.iter().map(tag).collect(),
            mac,
        }
    }

    /// Takes our cookie out of a request and reads it.
    pub(super) fn take(&self, headers: &mut HeaderMap) -> Option<Session> {
        let Entry::Occupied(cookies) = headers.entry(COOKIE) else {
            return None;
        };
        let is_ours = |pair: &&str| pair.split('=').next() == Some(NAME);
        if !cookies.iter().flat_map(pairs).any(|pair| is_ours(&pair)) {
            return None;
        }
        let (_, fields) = cookies.remove_entry_mult();
        let fields: Vec<HeaderValue> = fields.collect();
        for field in &fields {
            let others: Vec<_> = pairs(field).filter(|pair| !is_ours(pair)).collect();
            if !others.is_empty()
                && let Ok(others) = HeaderValue::try_from(others.join("; "))
            {
                headers.append(COOKIE, others);
            }
        }
        let ours = fields.iter().flat_map(pairs).find(is_ours)?;
        self.read(ours.split_once('=')?.1)
    }

    fn read(&self, value: &str) -> Option<Session> {
        let mut bytes = [0; CLAIM + MAC];
        let digits = value.strip_prefix('1')?.as_bytes();
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        let digit = |digit: u8| char::from(digit).to_digit(16);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        let (claim, mac) = bytes.split_at(CLAIM);
        let (tag, issued) = claim.split_at(TAG);
        let backend = self.tags.iter().position(|known| known == tag)?;
        let issued = issued
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte));
        let now = now();
        let age = now.saturating_sub(issued);
        if issued > now + SKEW || age >= LIFE {
            return None;
        }
        let keyed = self.mac.clone().chain_update(claim);
        keyed.verify_truncated_left(mac).ok()?;
        Some(Session {
            backend,
            aging: age >= LIFE / 2,
        })
    }

    /// The value of the `Set-Cookie` field that ties a client to a backend.
    pub(super) fn issue(&self, backend: usize) -> Option<HeaderValue> {
        let mut bytes = [0; CLAIM + MAC];
        bytes[..TAG].copy_from_slice(&self.tags[backend]);
        bytes[TAG..CLAIM].copy_from_slice(&now().to_be_bytes()[3..]);
        let mac = self.mac.clone().chain_update(&bytes[..CLAIM]).finalize();
        bytes[CLAIM..].copy_from_slice(&mac.into_bytes()[..MAC]);
        let mut cookie = String::with_capacity(160);
        cookie.push_str(NAME);
        cookie.push_str("=1");
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                cookie.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        // Writing to a string does not fail.
        let _ = write!(cookie, "; Path=/; Max-Age={LIFE}; HttpOnly; SameSite=Lax");
        HeaderValue::try_from(cookie).ok()
    }
}

/// The cookies of a field (<https://www.rfc-editor.org/rfc/rfc6265#section-4.2>).
fn pairs(field: &HeaderValue) -> impl Iterator<Item = &str> {
    let text = field.to_str().unwrap_or_default();
    text.split(';').map(str::trim)
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
