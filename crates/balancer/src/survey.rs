//! One pass over the fields of a request, for everything that a rule may ask.
//!
//! Heads are long and rules are many: each that looked for its own field would
//! read all of them again.

use alloc::string::String;

use crate::cookies::Cookie;
use crate::edits::Edits;
use crate::head::RequestHead;
use crate::lists::{bare, elements, is, is_token};
use crate::names::{Known, Name, is_like};
use crate::policy::{AffinityKey, Policy};

/// Our pseudonym in `Via` and `CDN-Loop`.
pub(crate) const PSEUDONYM: &str = "edgelb";

/// What the fields of a request say.
#[derive(Debug, Default)]
pub(crate) struct Survey<'a> {
    /// How many `Host` fields there are.
    pub(crate) hosts: usize,
    /// The last of them.
    pub(crate) host: Option<&'a [u8]>,
    /// The last value of the platform's field for the client's address.
    pub(crate) platform: Option<&'a [u8]>,
    /// Whether there is an `X-Forwarded-For`.
    pub(crate) forwarded_for: bool,
    /// The last value of `X-Forwarded-Host`.
    pub(crate) forwarded_host: Option<&'a [u8]>,
    /// The last value of `X-Forwarded-Proto`.
    pub(crate) forwarded_proto: Option<&'a [u8]>,
    /// Whether there is a `Forwarded`.
    pub(crate) forwarded: bool,
    /// Whether `Connection` and `Upgrade` ask for a WebSocket.
    pub(crate) upgrade: Upgrade,
    /// Whether trailers are accepted.
    pub(crate) trailers: bool,
    /// Whether the request says itself that it may be repeated.
    pub(crate) idempotency_key: bool,
    /// The last credentials.
    pub(crate) authorization: Option<&'a [u8]>,
    /// How many `Cookie` fields there are: nearly always one.
    pub(crate) cookies: usize,
    /// The first session cookie.
    pub(crate) session: Option<Cookie<'a>>,
    /// The field or cookie that clients are hashed by.
    pub(crate) affinity: Option<&'a [u8]>,
    /// Hops in `Via`.
    pub(crate) via: usize,
    /// Hops in `Via` that are ours.
    pub(crate) own_via: usize,
    /// Whether our name is in `CDN-Loop`.
    pub(crate) looped: bool,
    /// Takes out what no backend is to see, whatever becomes of the request.
    pub(crate) removals: Removals,
}

/// The names of the fields that the configuration has something to do with.
pub(crate) fn configured(policy: &Policy) -> impl Iterator<Item = &str> {
    let affinity = match &policy.affinity_key {
        AffinityKey::Header(header) => Some(header),
        AffinityKey::Ip | AffinityKey::Path(_) | AffinityKey::Cookie(_) | AffinityKey::None => None,
    };
    let platform = policy.client_ip_header.as_ref();
    affinity.into_iter().chain(platform).map(String::as_str)
}

/// What is visible of a WebSocket handshake
/// (<https://www.rfc-editor.org/rfc/rfc6455#section-4.1>).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Upgrade {
    get: bool,
    connection: bool,
    websocket: bool,
    key: bool,
}

impl Upgrade {
    /// Whether it is one.
    pub(crate) const fn is_asked(self) -> bool {
        self.get && self.connection && self.websocket
    }

    /// Whether it was one before a runtime that cannot carry it hid the fields
    /// that say so.
    pub(crate) const fn is_lost(self) -> bool {
        self.get && self.key && !self.is_asked()
    }
}

impl<'a> Survey<'a> {
    /// Reads the fields of a request. From a trusted peer some are kept that a
    /// client could otherwise invent.
    pub(crate) fn of(head: &RequestHead<'a>, policy: &Policy, trusted: bool) -> Self {
        let mut survey = Self::default();
        survey.upgrade.get = head.method == "GET";
        for (name, value) in head.fields.lines() {
            let platform = survey.configured(name, value, policy);
            let removed = match Name::of(name) {
                Name::Known(known) => {
                    survey.known(known, name, value, policy);
                    platform
                }
                Name::LookAlike | Name::Internal => true,
                Name::Forwarding => platform || !trusted,
                Name::Other => platform,
            };
            if removed {
                survey.removals.remove(name);
            }
        }
        survey
    }

    /// Reads the fields that the configuration names. Answers whether this is
    /// the platform's, or looks like it: its word goes no further.
    fn configured(&mut self, name: &[u8], value: &'a [u8], policy: &Policy) -> bool {
        if let AffinityKey::Header(header) = &policy.affinity_key
            && self.affinity.is_none()
            && is(name, header)
        {
            self.affinity = Some(value);
        }
        let Some(platform) = &policy.client_ip_header else {
            return false;
        };
        if is(name, platform) {
            self.platform = Some(value);
        }
        is_like(name, platform.as_bytes())
    }

    fn known(&mut self, known: Known, name: &[u8], value: &'a [u8], policy: &Policy) {
        if known.is_hop_by_hop() {
            self.removals.hop_by_hop(known, name, value);
        }
        match known {
            Known::Authorization => self.authorization = Some(value),
            Known::CdnLoop => {
                self.looped |= elements(value).any(|id| is(bare(id), PSEUDONYM));
            }
            Known::Connection => {
                self.upgrade.connection |= !is_usual(value) && has_option(value, "upgrade");
            }
            Known::Cookie => self.cookie(value, policy),
            Known::Forwarded => self.forwarded = true,
            Known::Host => {
                self.hosts += 1;
                self.host = Some(value);
            }
            Known::IdempotencyKey => self.idempotency_key = true,
            Known::SecWebSocketKey => self.upgrade.key = true,
            Known::Te => {
                self.trailers |= elements(value).any(|coding| is(bare(coding), "trailers"));
            }
            Known::Upgrade => self.upgrade.websocket |= has_option(value, "websocket"),
            Known::Via => {
                for hop in elements(value) {
                    self.via += 1;
                    self.own_via += usize::from(is_ours(hop));
                }
            }
            Known::XForwardedFor => self.forwarded_for = true,
            Known::XForwardedHost => self.forwarded_host = Some(value),
            Known::XForwardedProto => self.forwarded_proto = Some(value),
            Known::CacheControl
            | Known::ContentLength
            | Known::KeepAlive
            | Known::ProxyAuthenticate
            | Known::ProxyAuthenticationInfo
            | Known::ProxyAuthorization
            | Known::ProxyConnection
            | Known::TransferEncoding => {}
        }
    }

    fn cookie(&mut self, value: &'a [u8], policy: &Policy) {
        self.cookies += 1;
        if self.session.is_none() {
            self.session = Cookie::find(value, &policy.session_cookie_name);
        }
        if let AffinityKey::Cookie(name) = &policy.affinity_key
            && self.affinity.is_none()
        {
            self.affinity = Cookie::find(value, name).map(|cookie| cookie.value);
        }
    }
}

/// Takes out the fields that belong to one connection, in either direction
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>).
#[derive(Debug, Default)]
pub(crate) struct Removals {
    pub(crate) edits: Edits,
    /// One bit for each known field already taken out.
    done: u32,
}

impl Removals {
    /// None yet, with room for this many bytes of edits.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            edits: Edits::with_capacity(bytes),
            done: 0,
        }
    }

    /// Takes out a hop-by-hop field; of `Connection` also what it names, except
    /// what no connection option may be.
    pub(crate) fn hop_by_hop(&mut self, known: Known, name: &[u8], value: &[u8]) {
        let bit = 1 << known as u32;
        if self.done & bit == 0 {
            self.done |= bit;
            self.remove(name);
        }
        if known != Known::Connection || is_usual(value) {
            return;
        }
        for option in elements(value).filter(|option| is_token(option)) {
            let stays = is_usual(option)
                || matches!(Name::of(option), Name::Known(known)
                    if known.is_hop_by_hop() || known.is_end_to_end_always());
            if !stays {
                self.remove(option);
            }
        }
    }

    /// Takes out a field. No field has a name that is not text.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        if let Ok(name) = str::from_utf8(name) {
            self.edits.remove(name);
        }
    }
}

/// Whether a connection option, or all that `Connection` says, is what most clients
/// and backends send: nothing is removed for it that is not removed anyway.
fn is_usual(option: &[u8]) -> bool {
    is(option, "keep-alive") || is(option, "close")
}

/// Whether a list names a protocol or connection option.
fn has_option(list: &[u8], option: &str) -> bool {
    elements(list).any(|element| is(element, option))
}

/// Whether a hop in `Via` is one of ours: `[name/]version pseudonym [comment]`
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3>).
fn is_ours(hop: &[u8]) -> bool {
    hop.split(u8::is_ascii_whitespace)
        .filter(|part| !part.is_empty())
        .nth(1)
        .is_some_and(|received_by| is(received_by, PSEUDONYM))
}
