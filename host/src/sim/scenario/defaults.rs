//! What a scenario has that does not say.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::values::{Latency, Share};

/// Values of variables, which people write as what they are.
pub(super) fn variables<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, toml::Value>::deserialize(deserializer)?;
    let text = |(name, value)| match value {
        toml::Value::String(text) => Ok((name, text)),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
            Ok((name, value.to_string()))
        }
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
            let error = format!("{name}: expected the value of an environment variable, a string");
            Err(de::Error::custom(error))
        }
    };
    values.into_iter().map(text).collect()
}

pub(super) fn minute() -> Duration {
    Duration::from_secs(60)
}

pub(super) fn a_minute() -> Latency {
    Latency::Constant(minute())
}

pub(super) fn is_a_minute(latency: &Latency) -> bool {
    *latency == a_minute()
}

pub(super) fn one() -> u64 {
    1
}

pub(super) fn host() -> String {
    "edge.test".to_owned()
}

pub(super) fn is_host(text: &str) -> bool {
    text == host()
}

pub(super) fn single() -> NonZeroUsize {
    NonZeroUsize::MIN
}

pub(super) fn is_single(number: &NonZeroUsize) -> bool {
    *number == single()
}

pub(super) fn hundred() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(99)
}

pub(super) fn no_latency() -> Latency {
    Latency::ZERO
}

pub(super) fn is_no_latency(latency: &Latency) -> bool {
    *latency == Latency::ZERO
}

pub(super) fn ten_millis() -> Latency {
    Latency::Constant(Duration::from_millis(10))
}

pub(super) fn some_bytes() -> usize {
    64
}

pub(super) fn no_share() -> Share {
    Share::NONE
}

pub(super) fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(super) fn is_yes(value: &bool) -> bool {
    *value
}

pub(super) fn root() -> String {
    "/".to_owned()
}

pub(super) fn is_root(path: &str) -> bool {
    path == "/"
}

pub(super) fn get() -> BTreeMap<String, u32> {
    BTreeMap::from([("GET".to_owned(), 1)])
}

pub(super) fn is_get(methods: &BTreeMap<String, u32>) -> bool {
    *methods == get()
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
