//! Bounds, each in the unit of what it bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

use super::values::text;

/// What a measure must lie within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The least, if there is one.
    pub min: Option<f64>,
    /// The most, if there is one.
    pub max: Option<f64>,
}

/// What the number of a measure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A part of the whole: from 0 to 1, or in percent.
    Share,
    /// How many: a whole number.
    Count,
    /// A length of time, in milliseconds.
    Time,
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

    /// From this to that, both among them.
    pub fn between(min: f64, max: f64) -> Self {
        Self {
            min: Some(min),
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

impl Unit {
    /// Reads `>= 1`, `<= 1`, `= 1` or `1 .. 2`, each number in this unit.
    ///
    /// # Errors
    /// It is no such bound; the message says what is.
    pub fn bound(self, text: &str) -> Result<Bound, String> {
        let number = |text| self.number(text);
        let bound = if let Some(min) = text.strip_prefix(">=") {
            number(min).map(Bound::at_least)
        } else if let Some(max) = text.strip_prefix("<=") {
            number(max).map(Bound::at_most)
        } else if let Some(value) = text.strip_prefix('=') {
            number(value).map(|value| Bound::between(value, value))
        } else {
            let ends = text.split_once("..");
            let ends = ends.and_then(|(min, max)| Some((number(min)?, number(max)?)));
            ends.map(|(min, max)| Bound::between(min, max))
                .filter(|bound| bound.min <= bound.max)
        };
        bound.ok_or_else(|| format!("`{text}` is no bound of {}", self.expected()))
    }

    /// The bound as [`Self::bound`] reads it.
    pub(super) fn spell(self, bound: &Bound) -> String {
        let number = |value| self.spell_number(value);
        match (bound.min, bound.max) {
            (Some(min), Some(max)) if min.to_bits() == max.to_bits() => {
                format!("= {}", number(min))
            }
            (Some(min), Some(max)) => format!("{} .. {}", number(min), number(max)),
            (Some(min), None) => format!(">= {}", number(min)),
            (None, Some(max)) => format!("<= {}", number(max)),
            // No measure is less.
            (None, None) => format!(">= {}", number(0.0)),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Share => {
                "a share: expected one as `>= 99.9 %`, `<= 0.5`, `= 0` or `10 % .. 20 %`"
            }
            Self::Count => {
                "a count: expected a whole number without a unit, as `>= 1`, `= 0` or `10 .. 20`"
            }
            Self::Time => {
                "a time: expected a length with its unit, as `<= 250 ms`, `<= 1m 30s` or `1s .. 5s`"
            }
        }
    }

    pub(super) fn number(self, text: &str) -> Option<f64> {
        let text = text.trim();
        match self {
            Self::Share => {
                let (text, whole) = match text.strip_suffix('%') {
                    Some(percent) => (percent.trim_end(), 100.0),
                    None => (text, 1.0),
                };
                let number: f64 = text.parse().ok()?;
                (number >= 0.0 && number.is_finite()).then_some(number / whole)
            }
            Self::Count => text.parse::<u32>().ok().map(f64::from),
            Self::Time => {
                let length = humantime::parse_duration(text).ok()?;
                Some(length.div_duration_f64(Duration::from_millis(1)))
            }
        }
    }

    fn spell_number(self, value: f64) -> String {
        match self {
            Self::Share | Self::Count => value.to_string(),
            Self::Time => format!("{value} ms"),
        }
    }
}

/// How serde reads and writes bounds of a unit that there may be.
macro_rules! spelled {
    ($($module:ident $unit:ident,)*) => {$(
        pub(super) mod $module {
            use super::{Bound, Deserializer, Serializer, Unit, read};

            #[expect(clippy::ref_option, reason = "serde calls it so")]
            pub(in super::super) fn serialize<S: Serializer>(
                bound: &Option<Bound>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                match bound {
                    Some(bound) => serializer.serialize_str(&Unit::$unit.spell(bound)),
                    None => serializer.serialize_none(),
                }
            }

            pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Option<Bound>, D::Error> {
                read(Unit::$unit, deserializer).map(Some)
            }
        }
    )*};
}

spelled! {
    share Share,
    count Count,
    time Time,
}

/// The same of shares that have names.
pub(super) mod shares {
    use super::{BTreeMap, Bound, Deserialize, Deserializer, Serializer, Unit, read};

    struct Share(Bound);

    impl<'de> Deserialize<'de> for Share {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            read(Unit::Share, deserializer).map(Self)
        }
    }

    pub(in super::super) fn serialize<S: Serializer>(
        bounds: &BTreeMap<String, Bound>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bounds = bounds.iter();
        serializer.collect_map(bounds.map(|(name, bound)| (name, Unit::Share.spell(bound))))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Bound>, D::Error> {
        let bounds = BTreeMap::<String, Share>::deserialize(deserializer)?;
        Ok(bounds.into_iter().map(|(name, it)| (name, it.0)).collect())
    }
}

fn read<'de, D: Deserializer<'de>>(unit: Unit, deserializer: D) -> Result<Bound, D::Error> {
    let text = text(deserializer, "a bound in quotes, as `\">= 99.9 %\"`")?;
    unit.bound(&text).map_err(de::Error::custom)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_with_their_units() {
        let table = [
            (Unit::Share, ">= 99.5 %", Some(0.995), None),
            (Unit::Share, "20% .. 40%", Some(0.2), Some(0.4)),
            (Unit::Share, "<= 0.25", None, Some(0.25)),
            (Unit::Count, "= 0", Some(0.0), Some(0.0)),
            (Unit::Count, ">=3", Some(3.0), None),
            (Unit::Time, "<= 250ms", None, Some(250.0)),
            (Unit::Time, "<= 1.5 s", None, Some(1500.0)),
            (Unit::Time, "1 ms .. 1m 30s", Some(1.0), Some(90_000.0)),
            (Unit::Time, "= 0", Some(0.0), Some(0.0)),
        ];
        for (unit, text, min, max) in table {
            let bound = unit.bound(text).unwrap();
            assert_eq!((bound.min, bound.max), (min, max), "{text}");
            assert!(bound.holds(min.or(max).unwrap()), "{text}");
            assert_eq!(unit.bound(&unit.spell(&bound)), Ok(bound), "{text}");
        }
    }

    #[test]
    fn what_is_no_bound_of_its_unit_is_answered_with_some() {
        let table = [
            (Unit::Share, "<= 5 ms", ">= 99.9 %"),
            (Unit::Share, ">= -1 %", ">= 99.9 %"),
            (Unit::Share, "<= NaN", ">= 99.9 %"),
            (Unit::Count, "<= 5 ms", "without a unit"),
            (Unit::Count, "<= 5 %", "without a unit"),
            (Unit::Count, "<= 1.5", "without a unit"),
            (Unit::Time, "<= 5", "with its unit"),
            (Unit::Time, "<= 5 %", "with its unit"),
            (Unit::Time, "5s .. 4s", "with its unit"),
        ];
        for (unit, text, expected) in table {
            let error = unit.bound(text).unwrap_err();
            assert!(error.contains(text) && error.contains(expected), "{error}");
        }
        for text in ["", "99", "> 3", ">= many"] {
            for unit in [Unit::Share, Unit::Count, Unit::Time] {
                assert!(unit.bound(text).is_err(), "{text}");
            }
        }
    }
}
