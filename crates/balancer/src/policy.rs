//! The policy: plain data that is valid by construction.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::head::Scheme;
use crate::network::Network;

/// The share of a backend relative to the others, 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

impl Weight {
    /// The default share.
    pub const ONE: Self = Self(1);
    /// The largest.
    pub const MAX: u16 = 1000;

    /// `None` unless within 1 to 1000.
    pub const fn new(weight: u16) -> Option<Self> {
        if weight >= 1 && weight <= Self::MAX {
            Some(Self(weight))
        } else {
            None
        }
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

/// Where a backend is reached: scheme, host and port (RFC 6454 section 4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// How.
    pub scheme: Scheme,
    /// `host` or `host:port`, lower case, without the scheme's own port.
    pub authority: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name, unique within a policy.
    pub name: String,
    /// Where it is.
    pub origin: Origin,
    /// Its share.
    pub weight: Weight,
    /// Takes no new clients, only those with a session.
    pub drain: bool,
}

/// What clients are hashed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AffinityKey {
    /// The client's address (IPv6 by /64).
    #[default]
    Ip,
    /// The first so many segments of the path, at least one.
    Path(core::num::NonZeroU8),
    /// The value of a field.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// Nothing: each request anew, by its seed.
    None,
}

/// All that decides, as plain data. [`Policy::default`] has the documented
/// defaults and no backend; [`crate::Balancer::new`] refuses what cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The hosts answered for, without ports and in lower case; others get 421.
    /// Empty, the default, for any.
    pub primary_domains: Vec<String>,
    /// The backends, at least one, in order of their names.
    pub backends: Vec<Backend>,
    /// Whether a session cookie is set and honoured. Default: yes.
    pub sticky_sessions: bool,
    /// The cookie's name, a token. A cookie of this name is the balancer's: no
    /// backend sees it. Default: `edgelb`.
    pub session_cookie_name: String,
    /// The cookie's life; it is renewed when half of it is over. Whole seconds
    /// are told to clients. Default: a day.
    pub session_cookie_ttl: Duration,
    /// The key of the cookie's MAC, of any length. Without one, the default,
    /// clients can choose their backend by forging a cookie.
    pub session_cookie_secret: Option<String>,
    /// What clients are hashed by. Default: their address.
    pub affinity_key: AffinityKey,
    /// The field by which the platform names the client. Only where the platform
    /// sets it on every request, whatever the client sent. Default: none.
    pub client_ip_header: Option<String>,
    /// The peers whose forwarding fields are believed. Default: none.
    pub trusted_proxies: Vec<Network>,
    /// Whether plain http is redirected to https. Default: no.
    pub https_redirect: bool,
    /// `max-age` of Strict-Transport-Security over https, in whole seconds; zero
    /// makes clients forget it. Default: nothing is said.
    pub hsts_max_age: Option<Duration>,
    /// Consecutive failures that eject a backend. Default: 1.
    pub failure_threshold: core::num::NonZeroU32,
    /// The length of a first ejection; each that follows is twice as long.
    /// Zero lets a trial go at once. Default: 30 s.
    pub backend_down_time: Duration,
    /// The longest ejection, also where a backend asks for more by
    /// `Retry-After`; and how long a backend must have been well for an
    /// ejection to count as a first again. Default: 300 s.
    pub backend_down_time_max: Duration,
    /// Retries after the first attempt, each with another backend; so no more
    /// than there are others. Zero for none. Default: 3.
    pub max_retries: u32,
    /// Bytes of a request body kept for another attempt; a body that outgrows it
    /// is not sent again. Default: 65,536.
    pub replay_limit: u64,
    /// To resolve, connect and shake hands. Default: 5 s.
    pub connect_timeout: Duration,
    /// From the request sent to the response head. Default: 30 s.
    pub first_byte_timeout: Duration,
    /// Between bytes of a body or tunnel. Default: 300 s.
    pub idle_timeout: Duration,
    /// The bearer token of the status page. Without one, the default, there is
    /// no such page.
    pub status_token: Option<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            primary_domains: Vec::new(),
            backends: Vec::new(),
            sticky_sessions: true,
            session_cookie_name: "edgelb".to_owned(),
            session_cookie_ttl: Duration::from_secs(86_400),
            session_cookie_secret: None,
            affinity_key: AffinityKey::Ip,
            client_ip_header: None,
            trusted_proxies: Vec::new(),
            https_redirect: false,
            hsts_max_age: None,
            failure_threshold: core::num::NonZeroU32::MIN,
            backend_down_time: Duration::from_millis(30_000),
            backend_down_time_max: Duration::from_millis(300_000),
            max_retries: 3,
            replay_limit: 65_536,
            connect_timeout: Duration::from_millis(5_000),
            first_byte_timeout: Duration::from_millis(30_000),
            idle_timeout: Duration::from_millis(300_000),
            status_token: None,
        }
    }
}

/// Why a policy cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// It has no backend.
    NoBackend,
    /// Two backends have the same name.
    DuplicateBackend(String),
    /// The session cookie's name is not a token
    /// (<https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1>).
    CookieName(String),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBackend => f.write_str("no backend"),
            Self::DuplicateBackend(name) => write!(f, "two backends are named `{name}`"),
            Self::CookieName(name) => {
                write!(f, "session cookie name `{name}`; expected a token")
            }
        }
    }
}

impl core::error::Error for PolicyError {}
