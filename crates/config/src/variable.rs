//! The variables: their names, and the ranges of those that are numbers.

use core::fmt;

/// What the names of the backends' variables begin with.
pub(crate) const BACKEND_PREFIX: &str = "BACKEND_";
/// What the names begin with that platforms keep to themselves.
pub(crate) const PLATFORM_PREFIX: &str = "EDGELB_";

pub(crate) const PRIMARY_DOMAIN: &str = "PRIMARY_DOMAIN";
pub(crate) const STICKY_SESSIONS: &str = "STICKY_SESSIONS";
pub(crate) const SESSION_COOKIE_NAME: &str = "SESSION_COOKIE_NAME";
pub(crate) const SESSION_COOKIE_SECRET: &str = "SESSION_COOKIE_SECRET";
pub(crate) const AFFINITY_KEY: &str = "AFFINITY_KEY";
pub(crate) const CLIENT_IP_HEADER: &str = "CLIENT_IP_HEADER";
pub(crate) const TRUSTED_PROXIES: &str = "TRUSTED_PROXIES";
pub(crate) const HTTPS_REDIRECT: &str = "HTTPS_REDIRECT";
pub(crate) const STATUS_TOKEN: &str = "STATUS_TOKEN";

/// A variable that is a whole number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub(crate) name: &'static str,
    pub(crate) min: u64,
    pub(crate) max: u64,
    /// Plural; empty where the name says it.
    pub(crate) unit: &'static str,
}

/// The range and the unit, as an error and the docs state them.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, max, unit, .. } = self;
        write!(f, "{min} to {max}")?;
        if unit.is_empty() {
            Ok(())
        } else {
            write!(f, " {unit}")
        }
    }
}

/// At most the 400 days that browsers grant a cookie.
/// <https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis-22#section-5.5>
pub(crate) const SESSION_COOKIE_TTL: Number = Number {
    name: "SESSION_COOKIE_TTL",
    min: 1,
    max: 400 * 86_400,
    unit: "seconds",
};

pub(crate) const BACKEND_DOWN_TIME: Number = milliseconds("BACKEND_DOWN_TIME");
pub(crate) const BACKEND_DOWN_TIME_MAX: Number = milliseconds("BACKEND_DOWN_TIME_MAX");
pub(crate) const CONNECT_TIMEOUT: Number = milliseconds("CONNECT_TIMEOUT");
pub(crate) const FIRST_BYTE_TIMEOUT: Number = milliseconds("FIRST_BYTE_TIMEOUT");
pub(crate) const IDLE_TIMEOUT: Number = milliseconds("IDLE_TIMEOUT");

pub(crate) const FAILURE_THRESHOLD: Number = Number {
    name: "FAILURE_THRESHOLD",
    min: 1,
    max: 1_000,
    unit: "",
};

pub(crate) const MAX_RETRIES: Number = Number {
    name: "MAX_RETRIES",
    min: 0,
    max: 10,
    unit: "",
};

/// At most an eighth of an isolate's 128 MiB for one request.
pub(crate) const REPLAY_LIMIT: Number = Number {
    name: "REPLAY_LIMIT",
    min: 0,
    max: 16 * 1024 * 1024,
    unit: "bytes",
};

/// Zero makes browsers forget. Two years is the most that is commonly advised;
/// a larger number is milliseconds by mistake, and hard to take back.
/// <https://www.rfc-editor.org/rfc/rfc6797.html#section-6.1.1>
pub(crate) const HSTS_MAX_AGE: Number = Number {
    name: "HSTS_MAX_AGE",
    min: 0,
    max: 2 * 365 * 86_400,
    unit: "seconds",
};

/// Every variable but those of the backends.
pub(crate) const NAMES: [&str; 19] = [
    PRIMARY_DOMAIN,
    HTTPS_REDIRECT,
    HSTS_MAX_AGE.name,
    AFFINITY_KEY,
    STICKY_SESSIONS,
    SESSION_COOKIE_NAME,
    SESSION_COOKIE_TTL.name,
    SESSION_COOKIE_SECRET,
    CLIENT_IP_HEADER,
    TRUSTED_PROXIES,
    FAILURE_THRESHOLD.name,
    BACKEND_DOWN_TIME.name,
    BACKEND_DOWN_TIME_MAX.name,
    MAX_RETRIES.name,
    REPLAY_LIMIT.name,
    CONNECT_TIMEOUT.name,
    FIRST_BYTE_TIMEOUT.name,
    IDLE_TIMEOUT.name,
    STATUS_TOKEN,
];

/// A duration of at most a day.
const fn milliseconds(name: &'static str) -> Number {
    Number {
        name,
        min: 1,
        max: 86_400_000,
        unit: "milliseconds",
    }
}
