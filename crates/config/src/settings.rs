//! What is in force, for people to read.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use edgelb_balancer::{AffinityKey, Policy, millis};

use crate::backend;
use crate::policy::defaults;
use crate::variable::*;

/// One effective setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: String,
    /// Its effective value in the form the variable takes, empty for what is
    /// off unless set. A secret is [`Setting::MASK`].
    pub value: String,
    /// Whether it would be the same were the variable not set.
    pub default: bool,
}

impl Setting {
    /// What stands for the value of a secret.
    pub const MASK: &str = "****";
}

/// Every setting of a policy.
pub(crate) fn of(policy: &Policy) -> Vec<Setting> {
    let backends = policy.backends.iter().map(|backend| Setting {
        name: format!("{BACKEND_PREFIX}{}", backend.name),
        value: backend::render(backend),
        default: false,
    });
    let defaults = defaults(!policy.primary_domains.is_empty(), policy.backend_down_time);
    let others = values(policy)
        .into_iter()
        .zip(values(&defaults))
        .zip(NAMES)
        .map(|((value, default), name)| Setting {
            name: name.to_owned(),
            default: value == default,
            value,
        });
    backends.chain(others).collect()
}

/// The values of [`NAMES`], in their order.
fn values(policy: &Policy) -> [String; NAMES.len()] {
    let secret = |secret: &Option<String>| match secret {
        Some(_) => Setting::MASK.to_owned(),
        None => String::new(),
    };
    [
        policy.primary_domains.join(","),
        policy.https_redirect.to_string(),
        policy.hsts_max_age.map(seconds).unwrap_or_default(),
        affinity_key(&policy.affinity_key),
        policy.sticky_sessions.to_string(),
        policy.session_cookie_name.clone(),
        seconds(policy.session_cookie_ttl),
        secret(&policy.session_cookie_secret),
        policy.client_ip_header.clone().unwrap_or_default(),
        policy
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(","),
        policy.failure_threshold.to_string(),
        milliseconds(policy.backend_down_time),
        milliseconds(policy.backend_down_time_max),
        policy.max_retries.to_string(),
        policy.replay_limit.to_string(),
        milliseconds(policy.connect_timeout),
        milliseconds(policy.first_byte_timeout),
        milliseconds(policy.idle_timeout),
        secret(&policy.status_token),
    ]
}

fn affinity_key(key: &AffinityKey) -> String {
    match key {
        AffinityKey::Ip => "ip".to_owned(),
        AffinityKey::Path(segments) => format!("path:{segments}"),
        AffinityKey::Header(name) => format!("header:{name}"),
        AffinityKey::Cookie(name) => format!("cookie:{name}"),
        AffinityKey::None => "none".to_owned(),
    }
}

fn seconds(duration: Duration) -> String {
    duration.as_secs().to_string()
}

fn milliseconds(duration: Duration) -> String {
    millis(duration).to_string()
}
