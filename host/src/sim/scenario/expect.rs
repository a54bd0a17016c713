//! What must come of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::values::text;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Each measure: its field, and its name as a value.
macro_rules! measures {
    ($($(#[doc = $doc:literal])* $field:ident $measure:ident,)*) => {
        /// Bounds of what a run comes to, as in `availability = ">= 99.9 %"`.
        ///
        /// What it comes to is in [`Summary::measure`](crate::sim::Summary::measure).
        #[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct Expectation {
            $(
                $(#[doc = $doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<Bound>,
            )*
            /// The share of answers that came from this backend.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub share: BTreeMap<String, Bound>,
        }

        /// What is measured of a run.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Measure {
            $($(#[doc = $doc])* $measure,)*
            /// The share of answers that came from this backend.
            Share(String),
        }

        impl Expectation {
            /// All of them.
            pub fn bounds(&self) -> Vec<(Measure, Bound)> {
                let plain = [$((Measure::$measure, self.$field)),*];
                let plain = plain.into_iter().filter_map(|(it, bound)| Some((it, bound?)));
                let shares = self.share.iter();
                plain
                    .chain(shares.map(|(name, bound)| (Measure::Share(name.clone()), *bound)))
                    .collect()
            }
        }

        impl fmt::Display for Measure {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$measure => formatter.write_str(stringify!($field)),)*
                    Self::Share(backend) => write!(formatter, "share.{backend}"),
                }
            }
        }
    };
}

measures! {
    /// The share of requests, of those whose client waited, that were answered
    /// whole and with less than 500.
    availability Availability,
    /// How many requests were made.
    requests Requests,
    /// How many requests failed: with 500 or more, or in the middle.
    failures Failures,
    /// How many attempts were made beyond the first of each request.
    retries Retries,
    /// The median of how long answers took to begin, in milliseconds.
    p50 P50,
    /// The 95th percentile of it.
    p95 P95,
    /// The 99th percentile of it.
    p99 P99,
    /// The longest of it.
    slowest Slowest,
    /// The share of requests with a session that stayed with their backend.
    stickiness Stickiness,
    /// The share of clients whom more than one backend answered.
    moved Moved,
    /// How many times a backend was ejected, by any isolate.
    ejections Ejections,
    /// The longest time from the beginning of a fault that makes a backend
    /// useless to its first ejection, in milliseconds.
    detect Detect,
    /// The longest time from the end of such a fault to the first answer of
    /// the backend, in milliseconds.
    recover Recover,
    /// How many times a limit was exceeded.
    exceeded Exceeded,
    /// How many instances of the component were lost.
    lost Lost,
}

/// What a measure must lie within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The least, if there is one.
    pub min: Option<f64>,
    /// The most, if there is one.
    pub max: Option<f64>,
}

impl Bound {
    /// At least this.
    pub fn at_least(min: f64) -> Self {
        Self {
            min: Some(min),
            max: None,
        }
    }

    /// At most this.
    pub fn at_most(max: f64) -> Self {
        Self {
            min: None,
            max: Some(max),
        }
    }

    /// Whether a value lies within.
    pub fn holds(&self, value: f64) -> bool {
        // 99.9 % is no number of binary digits.
        const ROUNDING: f64 = 1e-9;
        self.min.is_none_or(|min| value >= min - ROUNDING)
            && self.max.is_none_or(|max| value <= max + ROUNDING)
    }
}

impl FromStr for Bound {
    type Err = String;

    /// `>= 1`, `<= 1`, `= 1` or `1 .. 2`, each number with `%`, `ms` or `s`
    /// after it where that is its unit.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no bound: expected one as `>= 99.9 %`, `<= 250 ms`, `= 0` or `10 .. 20`"
            )
        };
        let number = |text: &str| number(text).ok_or_else(wrong);
        if let Some(min) = text.strip_prefix(">=") {
            Ok(Self::at_least(number(min)?))
        } else if let Some(max) = text.strip_prefix("<=") {
            Ok(Self::at_most(number(max)?))
        } else if let Some(value) = text.strip_prefix('=') {
            let value = Some(number(value)?);
            Ok(Self {
                min: value,
                max: value,
            })
        } else if let Some((min, max)) = text.split_once("..") {
            let (min, max) = (number(min)?, number(max)?);
            if min > max {
                return Err(wrong());
            }
            Ok(Self {
                min: Some(min),
                max: Some(max),
            })
        } else {
            Err(wrong())
        }
    }
}

/// In the unit of its measure: a share, milliseconds or a plain number.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    // A unit, and how many of it make one.
    let units = [
        ("%", 100.0),
        ("ms", 1.0),
        ("s", 1e-3),
        ("m", 1e-3 / 60.0),
        ("", 1.0),
    ];
    let mut units = units.into_iter();
    let (text, parts) = units.find_map(|(unit, parts)| Some((text.strip_suffix(unit)?, parts)))?;
    let number: f64 = text.trim().parse().ok()?;
    number.is_finite().then_some(number / parts)
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min.to_bits() == max.to_bits() => {
                write!(formatter, "= {min}")
            }
            (Some(min), Some(max)) => write!(formatter, "{min} .. {max}"),
            (Some(min), None) => write!(formatter, ">= {min}"),
            (None, Some(max)) => write!(formatter, "<= {max}"),
            (None, None) => formatter.write_str(">= -1"),
        }
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "a bound in quotes, as `\">= 99.9 %\"`")?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_with_their_units() {
        let table = [
            (">= 99.9 %", Some(0.999), None),
            ("<= 250ms", None, Some(250.0)),
            ("<= 2 s", None, Some(2000.0)),
            ("= 0", Some(0.0), Some(0.0)),
            ("20% .. 40%", Some(0.2), Some(0.4)),
        ];
        for (text, min, max) in table {
            let bound: Bound = text.parse().unwrap();
            let exact = |it: Option<f64>| it.map(|it| (it * 1e6).round());
            assert_eq!(
                (exact(bound.min), exact(bound.max)),
                (exact(min), exact(max)),
                "{text}"
            );
            assert!(bound.holds(min.or(max).unwrap_or_default()), "{text}");
        }
    }

    #[test]
    fn what_is_no_bound_is_answered_with_some() {
        for text in ["", "99", "> 3", ">= many", "4 .. 3", "<= NaN"] {
            let error = text.parse::<Bound>();
            let hinted = error.is_err_and(|error| error.contains(">= 99.9 %"));
            assert!(hinted, "{text}");
        }
    }
}
