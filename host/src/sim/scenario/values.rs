//! Values as a scenario spells them.

use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::bound::Unit;
use crate::sim::dice;

/// How likely something is, or what part of a whole: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct Share(f64);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(1.0);
    /// Nothing of it.
    pub const NONE: Self = Self(0.0);

    /// Of a number; what is outside of 0 to 1 is cut to it.
    pub fn new(share: f64) -> Self {
        // Also what is no number.
        Self(if share >= 0.0 { share.min(1.0) } else { 0.0 })
    }

    /// As a number.
    pub fn value(self) -> f64 {
        self.0
    }

    pub(crate) fn hits(self, dice: &mut Pcg64Mcg) -> bool {
        self.is_all() || !self.is_none() && dice::unit(dice) < self.0
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0 >= 1.0
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0 <= 0.0
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::ALL
    }
}

impl From<f64> for Share {
    fn from(share: f64) -> Self {
        Self::new(share)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Share;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a share of the whole, from 0.0 to 1.0, or as `\"50 %\"`")
            }

            fn visit_f64<E: de::Error>(self, share: f64) -> Result<Share, E> {
                if (0.0..=1.0).contains(&share) {
                    Ok(Share(share))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(share), &self))
                }
            }

            fn visit_i64<E: de::Error>(self, share: i64) -> Result<Share, E> {
                match share {
                    0 => Ok(Share::NONE),
                    1 => Ok(Share::ALL),
                    _ => Err(E::invalid_value(de::Unexpected::Signed(share), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
                let share = Unit::Share.number(text).filter(|&share| share <= 1.0);
                share
                    .map(Share)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// How long something takes, drawn anew each time.
///
/// Virtual time passes in steps of a millisecond: what is drawn is rounded up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Always the same.
    Constant(Duration),
    /// Any length between two, all equally likely.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Log-normal, as response times mostly are: half of them take less than
    /// the median, one in a hundred more than the 99th percentile.
    LogNormal {
        /// Half take less.
        median: Duration,
        /// One in a hundred takes longer.
        p99: Duration,
    },
}

impl Latency {
    /// None at all.
    pub const ZERO: Self = Self::Constant(Duration::ZERO);

    /// Draws one.
    pub(crate) fn draw(self, dice: &mut Pcg64Mcg) -> Duration {
        match self {
            Self::Constant(length) => length,
            Self::Uniform { min, max } => min + (max - min).mul_f64(dice::unit(dice)),
            Self::LogNormal { median, p99 } => {
                // The 99th percentile of the standard normal distribution.
                const Z99: f64 = 2.326_347_874_040_841;
                let (median, p99) = (median.as_secs_f64(), p99.as_secs_f64());
                let deviation = libm::log(p99 / median) / Z99;
                // Nobody waits a thousand times the median; a finite tail keeps runs finite.
                let factor = libm::exp(deviation * dice::normal(dice)).min(1000.0);
                Duration::from_secs_f64(median * factor)
            }
        }
    }
}

impl From<Duration> for Latency {
    fn from(length: Duration) -> Self {
        Self::Constant(length)
    }
}

/// The longest that anything may take: sums of two never overflow, nor do
/// milliseconds of it.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// As a table: the keys say which distribution.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Spread {
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    min: Option<Duration>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    max: Option<Duration>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    median: Option<Duration>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    p99: Option<Duration>,
}

const SPREADS: &str =
    "`\"40ms\"`, `{ min = \"20ms\", max = \"60ms\" }` or `{ median = \"40ms\", p99 = \"200ms\" }`";

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Latency;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(SPREADS)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Latency, E> {
                parse(text).map(Latency::Constant)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Latency, A::Error> {
                Spread::deserialize(de::value::MapAccessDeserializer::new(map))?
                    .latency()
                    .map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Spread {
    fn latency(self) -> Result<Latency, String> {
        match (self.min, self.max, self.median, self.p99) {
            (Some(min), Some(max), None, None) if min <= max => Ok(Latency::Uniform { min, max }),
            (Some(_), Some(_), None, None) => Err("`min` is more than `max`".to_owned()),
            (None, None, Some(median), Some(p99)) if median <= p99 && !median.is_zero() => {
                Ok(Latency::LogNormal { median, p99 })
            }
            (None, None, Some(_), Some(_)) => Err("`median` is zero or more than `p99`".to_owned()),
            _ => Err(format!("expected {SPREADS}")),
        }
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let none = Spread {
            min: None,
            max: None,
            median: None,
            p99: None,
        };
        match *self {
            Self::Constant(length) => length::serialize(&length, serializer),
            Self::Uniform { min, max } => Spread {
                min: Some(min),
                max: Some(max),
                ..none
            }
            .serialize(serializer),
            Self::LogNormal { median, p99 } => Spread {
                median: Some(median),
                p99: Some(p99),
                ..none
            }
            .serialize(serializer),
        }
    }
}

/// Lengths of time with their units: `500ms`, `30s`, `1h 30m`.
pub(crate) mod length {
    use super::{Deserializer, Duration, Serializer, parse, text};

    pub(crate) fn serialize<S: Serializer>(
        length: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*length))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let expected = "a length of time in quotes, as `\"500ms\"`, `\"30s\"` or `\"1h 30m\"`";
        parse(&text(deserializer, expected)?)
    }
}

/// The same, where there may be none.
pub(crate) mod optional {
    use super::{Deserializer, Duration, Serializer, length};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        length: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match length {
            Some(length) => length::serialize(length, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        length::deserialize(deserializer).map(Some)
    }
}

/// A string; what else is there is told what was expected.
pub(super) fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<String, D::Error> {
    struct Text(&'static str);
    impl de::Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    deserializer.deserialize_any(Text(expected))
}

fn parse<E: de::Error>(text: &str) -> Result<Duration, E> {
    let length = humantime::parse_duration(text).map_err(|_| {
        E::custom(format!(
            "`{text}` is no length of time: expected one with its unit, as `500ms`, `30s` or `1h 30m`"
        ))
    })?;
    if length > LONGEST {
        let error = format!("`{text}` is too long: expected ten years at most");
        return Err(E::custom(error));
    }
    Ok(length)
}
