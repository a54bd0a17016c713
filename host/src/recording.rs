//! The lines of a recording: what [`serve`](crate::serve) writes and
//! [`sim`](crate::sim) reads. `docs/recording.md` describes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exchange::bindings::{EffectiveConfiguration, Scheme};
use crate::sim::End;
use crate::upstream::{Cause, Delivery};

/// The version of the format that is written, and the only one that is read.
/// Version 1 held less of responses.
pub(crate) const VERSION: u32 = 2;

/// A line.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The first: when, and of what.
    Recording(Header),
    /// A request and what became of it.
    Exchange(Box<Exchange>),
    /// So many exchanges before this line were not recorded.
    Lost {
        /// How many.
        exchanges: u64,
    },
}

/// What is true of all exchanges that follow.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Header {
    pub(crate) version: u32,
    /// When the recording began (RFC 3339).
    pub(crate) time: String,
    #[serde(default)]
    pub(crate) backends: Vec<Backend>,
    #[serde(default)]
    pub(crate) settings: Vec<Setting>,
}

/// A backend of the effective configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Backend {
    pub(crate) name: String,
    /// `scheme://authority`.
    pub(crate) origin: String,
    /// Its share relative to the others.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) weight: u32,
    /// Takes no new clients.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) drain: bool,
}

/// An effective setting; secrets are masked.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) default: bool,
}

/// A request and what became of it. Times are milliseconds: `at` since the
/// recording began, all others since `at`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Exchange {
    /// Counts requests by when they were made, from 0.
    pub(crate) request: u64,
    pub(crate) at: u64,
    /// The client's address, hashed.
    pub(crate) client: String,
    /// Whether the policy took another for the client than the peer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) proxied: bool,
    pub(crate) method: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Redacted.
    pub(crate) target: String,
    /// The hashes of what is left out of the target: one for each `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hidden: Vec<String>,
    #[serde(default)]
    pub(crate) fields: Vec<Field>,
    /// Hashes of values by those of names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) cookies: BTreeMap<String, String>,
    /// The hash of the session cookie that it carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// The hash of the session cookie that it was answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) new_session: Option<String>,
    #[serde(default, skip_serializing_if = "Body::is_none")]
    pub(crate) body: Body,
    #[serde(default)]
    pub(crate) attempts: Vec<Attempt>,
    /// None if the client left before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// When the client was sent the response's head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<u64>,
    pub(crate) ended: u64,
    pub(crate) end: End,
    #[serde(default, skip_serializing_if = "Body::is_none")]
    pub(crate) response: Body,
}

/// A field line: as it was, or its value hashed.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Field {
    Shown { name: String, value: String },
    Hashed { name: String, hash: String },
}

/// A cookie that a backend set, without its attributes.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Cookie {
    /// The hash of its name, but for that by which clients are told apart.
    pub(crate) name: String,
    /// That of its value.
    pub(crate) hash: String,
}

/// What is known of a body.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Body {
    /// How many bytes passed.
    #[serde(default)]
    pub(crate) bytes: u64,
    /// Their salted SHA-256, if they were all that there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

/// One try at one backend.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Attempt {
    /// Its name; none for one that the configuration does not name.
    #[serde(default)]
    pub(crate) backend: Option<String>,
    pub(crate) at: u64,
    /// When its outcome was known; none where the client left before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// Of its response, but for the cookies that it set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Field>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) set_cookies: Vec<Cookie>,
    /// A Proxy-Status error type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<DeliveryName>,
}

/// Whether a failed attempt can have reached the backend.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeliveryName {
    NotSent,
    MaybeSent,
}

impl Header {
    /// Of a component that tells its configuration, or does not.
    pub(crate) fn new(time: String, configuration: Option<&EffectiveConfiguration>) -> Self {
        let backends = configuration.iter().flat_map(|it| &it.backends);
        let settings = configuration.iter().flat_map(|it| &it.settings);
        Self {
            version: VERSION,
            time,
            backends: backends
                .map(|backend| Backend {
                    name: backend.name.clone(),
                    origin: match backend.scheme {
                        Scheme::Http => format!("http://{}", backend.authority),
                        Scheme::Https => format!("https://{}", backend.authority),
                    },
                    weight: backend.weight,
                    drain: backend.drain,
                })
                .collect(),
            settings: settings
                .map(|setting| Setting {
                    name: setting.name.clone(),
                    value: setting.value.clone(),
                    default: setting.default,
                })
                .collect(),
        }
    }

    /// The value of a setting; empty where there is none.
    pub(crate) fn setting(&self, name: &str) -> &str {
        let mut settings = self.settings.iter();
        let setting = settings.find(|setting| setting.name == name);
        setting.map_or("", |setting| setting.value.as_str())
    }
}

impl Backend {
    /// The value of its variable.
    pub(crate) fn variable(&self) -> String {
        let mut value = self.origin.clone();
        if self.weight != one() {
            value.push_str(&format!(";weight={}", self.weight));
        }
        if self.drain {
            value.push_str(";drain");
        }
        value
    }
}

impl Line {
    /// With the line feed that ends it.
    pub(crate) fn text(&self) -> String {
        // No value in it can fail.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl Body {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Delivery> for DeliveryName {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::NotSent => Self::NotSent,
            Delivery::MaybeSent => Self::MaybeSent,
        }
    }
}

impl From<DeliveryName> for Delivery {
    fn from(delivery: DeliveryName) -> Self {
        match delivery {
            DeliveryName::NotSent => Self::NotSent,
            DeliveryName::MaybeSent => Self::MaybeSent,
        }
    }
}

/// The cause of this Proxy-Status error type.
pub(crate) fn cause(name: &str) -> Option<Cause> {
    let mut causes = CAUSES.into_iter();
    causes.find(|cause| crate::sim::cause_name(*cause) == name)
}

const CAUSES: [Cause; 24] = [
    Cause::DnsTimeout,
    Cause::DnsError,
    Cause::DestinationNotFound,
    Cause::DestinationUnavailable,
    Cause::DestinationIpProhibited,
    Cause::DestinationIpUnroutable,
    Cause::ConnectionRefused,
    Cause::ConnectionTerminated,
    Cause::ConnectionTimeout,
    Cause::ConnectionReadTimeout,
    Cause::ConnectionWriteTimeout,
    Cause::ConnectionLimitReached,
    Cause::TlsProtocolError,
    Cause::TlsCertificateError,
    Cause::TlsAlertReceived,
    Cause::HttpRequestDenied,
    Cause::HttpResponseIncomplete,
    Cause::HttpResponseHeaderSectionSize,
    Cause::HttpResponseTimeout,
    Cause::HttpUpgradeFailed,
    Cause::HttpProtocolError,
    Cause::LoopDetected,
    Cause::ConfigurationError,
    Cause::InternalError,
];

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_one(value: &u32) -> bool {
    *value == one()
}
