//! What of an exchange may be written down.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use http::header::{self, COOKIE, HOST, HeaderName, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::entry::visible;
use super::record::Recorded;
use super::redact::Redacted;
use super::salt::Salt;
use crate::lines;
use crate::recording::{Attempt, Cookie, Exchange, Field, Header};
use crate::sim::cause_name;
use crate::tape::{Taped, TapedOutcome};

/// Fields of requests and responses whose values are written: they say how
/// messages are framed, negotiated and cached, not who sends them. All others
/// are hashed: which of those are secrets, nobody can know.
const SHOWN: [HeaderName; 32] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ACCEPT_RANGES,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::AGE,
    header::ALLOW,
    header::CACHE_CONTROL,
    HeaderName::from_static("cdn-loop"),
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::EXPECT,
    header::EXPIRES,
    header::IF_MODIFIED_SINCE,
    HeaderName::from_static("keep-alive"),
    header::LAST_MODIFIED,
    header::PRAGMA,
    header::RANGE,
    header::RETRY_AFTER,
    header::SEC_WEBSOCKET_VERSION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VARY,
    header::VIA,
    HeaderName::from_static("x-forwarded-proto"),
];
/// A value longer than this says more than those fields have to say.
const LONGEST: usize = 128;

/// Leaves out of exchanges what may not be written down.
pub(super) struct Privacy {
    salt: Salt,
    backends: Vec<String>,
    session_cookie: String,
    /// A cookie that clients are told apart by.
    affinity_cookie: Option<String>,
}

impl Privacy {
    pub(super) fn new(salt: Salt, header: &Header) -> Self {
        let affinity = header.setting("AFFINITY_KEY").strip_prefix("cookie:");
        Self {
            salt,
            backends: header.backends.iter().map(|it| it.name.clone()).collect(),
            session_cookie: header.setting("SESSION_COOKIE_NAME").to_owned(),
            affinity_cookie: affinity.map(str::to_owned),
        }
    }

    /// An exchange as it may be written down.
    pub(super) fn exchange(&self, recorded: Recorded) -> Exchange {
        let target = Redacted(&recorded.target);
        let fields = lines::unpack(&recorded.fields);
        let (session, cookies) = self.cookies(&fields);
        let new_session = recorded.new_cookies.iter().find_map(|cookie| {
            let (name, value) = pair(cookie);
            (name == self.session_cookie.as_bytes()).then(|| self.salt.hash(value))
        });
        let host = fields.get(HOST);
        Exchange {
            request: recorded.request,
            at: millis(recorded.at),
            client: self.client(recorded.client),
            proxied: recorded.proxied,
            method: visible(recorded.method.as_str()).into_owned(),
            host: host.map(|host| self.host(host)),
            target: visible(&target.to_string()).into_owned(),
            hidden: (target.hidden().iter())
                .map(|text| self.salt.hash(text))
                .collect(),
            fields: self.fields(&fields, &[HOST, COOKIE]),
            cookies,
            session,
            new_session,
            body: recorded.body,
            attempts: (recorded.attempts.iter())
                .map(|attempt| self.attempt(attempt))
                .collect(),
            status: recorded.status,
            head: recorded.head.map(millis),
            ended: millis(recorded.ended),
            end: recorded.end,
            response: recorded.response,
        }
    }

    /// As it was, unless there is user information in it, where it has no place
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-4.2.4>).
    fn host(&self, host: &HeaderValue) -> String {
        if host.as_bytes().contains(&b'@') {
            return self.salt.hash(host);
        }
        visible(&String::from_utf8_lossy(host.as_bytes())).into_owned()
    }

    fn client(&self, address: IpAddr) -> String {
        match address.to_canonical() {
            IpAddr::V4(address) => self.salt.hash(address.octets()),
            IpAddr::V6(address) => self.salt.hash(address.octets()),
        }
    }

    /// All fields but those that are told apart from them.
    fn fields(&self, fields: &HeaderMap, apart: &[HeaderName]) -> Vec<Field> {
        let others = fields.iter().filter(|(name, _)| !apart.contains(name));
        let others = others.map(|(name, value)| {
            let text = value.to_str().ok();
            let text = text.filter(|text| SHOWN.contains(name) && text.len() <= LONGEST);
            let name = name.as_str().to_owned();
            match text {
                Some(text) => Field::Shown {
                    name,
                    value: text.to_owned(),
                },
                None => Field::Hashed {
                    name,
                    hash: self.salt.hash(value),
                },
            }
        });
        others.collect()
    }

    /// The session cookie's value, and all other cookies.
    fn cookies(&self, fields: &HeaderMap) -> (Option<String>, BTreeMap<String, String>) {
        let mut session = None;
        let mut cookies = BTreeMap::new();
        let lines = fields.get_all(COOKIE).iter();
        for cookie in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')) {
            let (name, value) = pair(cookie);
            let value = self.salt.hash(value);
            if name == self.session_cookie.as_bytes() {
                session = Some(value);
            } else {
                cookies.insert(self.cookie_name(name), value);
            }
        }
        (session, cookies)
    }

    /// The cookies that a response sets.
    fn set_cookies(&self, fields: &HeaderMap) -> Vec<Cookie> {
        let cookies = fields.get_all(SET_COOKIE).iter().map(|cookie| {
            let (name, value) = pair(cookie.as_bytes());
            Cookie {
                name: self.cookie_name(name),
                hash: self.salt.hash(value),
            }
        });
        cookies.collect()
    }

    fn cookie_name(&self, name: &[u8]) -> String {
        let affinity = self.affinity_cookie.as_deref();
        let affinity = affinity.filter(|it| it.as_bytes() == name);
        affinity.map_or_else(|| self.salt.hash(name), str::to_owned)
    }

    fn attempt(&self, taped: &Taped) -> Attempt {
        let backend = taped.backend.and_then(|index| {
            let index = usize::try_from(index).ok()?;
            self.backends.get(index).cloned()
        });
        let mut attempt = Attempt {
            backend,
            at: millis(taped.begun),
            ended: None,
            status: None,
            fields: Vec::new(),
            set_cookies: Vec::new(),
            failure: None,
            delivery: None,
        };
        let Some((ended, outcome)) = &taped.outcome else {
            return attempt;
        };
        attempt.ended = Some(millis(*ended));
        match outcome {
            TapedOutcome::Head { status, fields } => {
                let fields = lines::unpack(fields);
                attempt.status = Some(*status);
                attempt.fields = self.fields(&fields, &[SET_COOKIE]);
                attempt.set_cookies = self.set_cookies(&fields);
            }
            TapedOutcome::Failed(cause, delivery) => {
                attempt.failure = Some(cause_name(*cause).to_owned());
                attempt.delivery = Some((*delivery).into());
            }
        }
        attempt
    }
}

/// Name and value of a cookie, attributes left out.
fn pair(cookie: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = cookie.split(|byte| *byte == b';');
    let pair = parts.next().unwrap_or_default();
    let mut sides = pair.splitn(2, |byte| *byte == b'=');
    let name = sides.next().unwrap_or_default();
    let value = sides.next().unwrap_or_default();
    (name.trim_ascii(), value.trim_ascii())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
