//! Sizes as a scenario spells them: `2000`, `"64 KiB"`, `"1 MB"`.

use std::fmt;

use serde::de::{self, Deserializer, Unexpected};

/// What comes of a size's unit, in bytes.
const UNITS: [(&str, usize); 9] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

const EXPECTED: &str = "a size: a whole number of bytes, or one with its unit in quotes, as `\"64 KiB\"` or `\"1 MB\"`";

/// Reads one.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = usize;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(EXPECTED)
        }

        fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<usize, E> {
            let wrong = |_| E::invalid_value(Unexpected::Signed(bytes), &self);
            usize::try_from(bytes).map_err(wrong)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<usize, E> {
            size(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(Visitor)
}

/// The same, where there may be none.
pub(crate) mod optional {
    use super::Deserializer;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<usize>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }
}

fn size(text: &str) -> Option<usize> {
    let digits = text.find(|it: char| !it.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = unit.trim_start_matches(' ');
    let (_, bytes) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.parse::<usize>().ok()?.checked_mul(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        let table = [
            ("0", Some(0)),
            ("64", Some(64)),
            ("64 B", Some(64)),
            ("64KiB", Some(65_536)),
            ("64 KiB", Some(65_536)),
            ("64 kB", Some(64_000)),
            ("64 KB", Some(64_000)),
            ("1 MB", Some(1_000_000)),
            ("128 MiB", Some(134_217_728)),
            ("2 GB", Some(2_000_000_000)),
            ("2 GiB", Some(2_147_483_648)),
            ("", None),
            ("KiB", None),
            ("-1 KiB", None),
            ("1.5 MB", None),
            // Bits, or bytes?
            ("1 Mb", None),
            ("1 ms", None),
            ("99999999999 GiB", None),
        ];
        for (text, bytes) in table {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
