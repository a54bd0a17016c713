//! What of an exchange may be written down.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use http::header::{self, COOKIE, HOST, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::line::visible;
use super::record::Recorded;
use super::redact::Redacted;
use super::salt::Salt;
use crate::recording::{Attempt, Exchange, Field, Header};
use crate::sim::cause_name;
use crate::tape::{Taped, TapedOutcome};

/// Fields whose values are written: they say how messages are framed,
/// negotiated and cached, not who sends them. All others are hashed: which of
/// those are secrets, nobody can know.
const SHOWN: [HeaderName; 20] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ACCEPT_RANGES,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::IF_MODIFIED_SINCE,
    header::PRAGMA,
    header::RANGE,
    header::SEC_WEBSOCKET_VERSION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
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
        let (session, cookies) = self.cookies(&recorded.fields);
        let new_session = recorded.new_cookies.iter().find_map(|cookie| {
            let (name, value) = pair(cookie.as_bytes());
            (name == self.session_cookie.as_bytes()).then(|| self.salt.hash(value))
        });
        let host = recorded.fields.get(HOST);
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
            fields: self.fields(&recorded.fields),
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

    fn fields(&self, fields: &HeaderMap) -> Vec<Field> {
        let others = fields
            .iter()
            .filter(|(name, _)| **name != HOST && **name != COOKIE);
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
                continue;
            }
            let affinity = self.affinity_cookie.as_deref();
            let affinity = affinity.filter(|it| it.as_bytes() == name);
            let name = affinity.map_or_else(|| self.salt.hash(name), str::to_owned);
            cookies.insert(name, value);
        }
        (session, cookies)
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
            retry_after: None,
            content_length: None,
            set_cookies: Vec::new(),
            failure: None,
            delivery: None,
        };
        let Some((ended, outcome)) = &taped.outcome else {
            return attempt;
        };
        attempt.ended = Some(millis(*ended));
        match outcome {
            TapedOutcome::Head {
                status,
                retry_after,
                content_length,
                set_cookies,
            } => {
                let short = |value: &HeaderValue| {
                    let text = value.to_str().ok()?;
                    (text.len() <= LONGEST).then(|| text.to_owned())
                };
                attempt.status = Some(*status);
                attempt.retry_after = retry_after.as_ref().and_then(short);
                let length = content_length.as_ref().and_then(short);
                attempt.content_length = length.and_then(|it| it.parse().ok());
                let names = set_cookies.iter().map(|it| pair(it.as_bytes()).0);
                attempt.set_cookies = names.map(|name| self.salt.hash(name)).collect();
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use http::Method;

    use super::*;
    use crate::recording::{Body, Line, Setting};
    use crate::sim::End;
    use crate::upstream::{Cause, Delivery};

    fn privacy() -> Privacy {
        let setting = |name: &str, value: &str| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            default: true,
        };
        let header = Header {
            settings: vec![setting("SESSION_COOKIE_NAME", "lb")],
            ..Header::new("2026-01-01T00:00:00Z".to_owned(), None)
        };
        Privacy::new(Salt::random().unwrap(), &header)
    }

    fn recorded(client: &str, target: &str, fields: &[(&'static str, &str)]) -> Recorded {
        let fields = fields.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        let set = HeaderValue::from_static("sid=s3cret-set; Path=/");
        Recorded {
            request: 0,
            at: Duration::ZERO,
            client: client.parse().unwrap(),
            proxied: false,
            method: Method::GET,
            target: target.to_owned(),
            fields: fields.collect(),
            body: Body::default(),
            attempts: vec![
                Taped {
                    backend: Some(0),
                    begun: Duration::ZERO,
                    outcome: Some((
                        Duration::from_millis(3),
                        TapedOutcome::Failed(Cause::ConnectionRefused, Delivery::NotSent),
                    )),
                },
                Taped {
                    backend: Some(1),
                    begun: Duration::from_millis(3),
                    outcome: Some((
                        Duration::from_millis(9),
                        TapedOutcome::Head {
                            status: 200,
                            retry_after: None,
                            content_length: Some(HeaderValue::from_static("5")),
                            set_cookies: vec![set.clone()],
                        },
                    )),
                },
            ],
            status: Some(200),
            head: Some(Duration::from_millis(9)),
            new_cookies: vec![set, HeaderValue::from_static("lb=s3cret-new; Path=/")],
            ended: Duration::from_millis(10),
            end: End::Whole,
            response: Body::default(),
        }
    }

    #[test]
    fn no_secret_is_written() {
        const TARGET: &str = "/stremio/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/\
            eyJpIjoiZm9vIiwiZSI6ImJhciJ9/stream/tt0111161.json?token=hunter2&key=a1b2c3";
        let fields = [
            ("host", "somebody:s3cret-host@example.com"),
            ("cookie", "lb=s3cret-session; sid=s3cret-sid"),
            ("cookie", "other=s3cret-other"),
            ("authorization", "Bearer s3cret-bearer"),
            ("proxy-authorization", "Basic dXNlcjpwYXNz"),
            ("x-api-key", "s3cret-key"),
            ("x-auth-token", "s3cret-token"),
            ("x-forwarded-for", "192.0.2.66, 198.51.100.7"),
            ("forwarded", "for=192.0.2.60"),
            ("cf-connecting-ip", "192.0.2.61"),
            ("referer", "https://example.com/?reset=s3cret-reset"),
            ("user-agent", "Somebody/1.0 (s3cret-device)"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "s3cret-protocol"),
            ("idempotency-key", "s3cret-idem"),
            ("if-none-match", "\"s3cret-etag\""),
            ("x-nobody-knows", "s3cret-unknown"),
            ("accept", "text/html"),
        ];
        let secrets = [
            "s3cret",
            "0b9c1d52",
            "eyJp",
            "hunter2",
            "a1b2c3",
            "dXNlcjpwYXNz",
            "192.0.2",
            "198.51.100",
            "203.0.113",
            "2001:db8",
            "Somebody",
            "dGhlIHNh",
            "sid",
            "other=",
        ];
        let privacy = privacy();
        for client in ["203.0.113.9", "2001:db8::9"] {
            let exchange = privacy.exchange(recorded(client, TARGET, &fields));
            let text = Line::Exchange(Box::new(exchange)).text();
            for secret in secrets {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
            for kept in [
                "/stremio/*/*/stream/tt0111161.json?token=*&key=*",
                "text/html",
            ] {
                assert!(text.contains(kept), "{kept}: {text}");
            }
        }
    }

    #[test]
    fn equal_values_stay_equal_within_one_recording() {
        let (privacy, elsewhere) = (privacy(), privacy());
        let fields = [("authorization", "Bearer x"), ("cookie", "lb=1; a=2")];
        let first = privacy.exchange(recorded("203.0.113.9", "/a?t=1", &fields));
        let second = privacy.exchange(recorded("::ffff:203.0.113.9", "/a?t=1", &fields));
        assert_eq!(first, second);
        let other = privacy.exchange(recorded("203.0.113.8", "/a?t=2", &fields));
        assert_ne!(first.client, other.client);
        assert_ne!(first.hidden, other.hidden);
        assert_eq!(first.fields, other.fields);
        let elsewhere = elsewhere.exchange(recorded("203.0.113.9", "/a?t=1", &fields));
        assert_ne!(
            first.client, elsewhere.client,
            "another recording, another salt"
        );
        assert_eq!((first.session.is_some(), first.cookies.len()), (true, 1));
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let privacy = privacy();
        let exchange = privacy.exchange(recorded("203.0.113.9", "/a", &[("accept", "*/*")]));
        let line = Line::Exchange(Box::new(exchange));
        let text = line.text();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
    }
}
