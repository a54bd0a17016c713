//! Dates in fields (<https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7>).

/// The three formats in the notation of `strptime`: today's, that of RFC 850
/// and that of `asctime`.
const FORMATS: [&str; 3] = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// How many days of a common year are over before each month, and after the last.
const DAYS_BEFORE: [u32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const DAYS_IN_FULL: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Seconds since the Unix epoch of a date in any of the formats, from 1970 to
/// 9999; `None` for anything else, and for dates that do not exist.
pub(crate) fn parse(text: &str) -> Option<u64> {
    FORMATS
        .iter()
        .find_map(|format| Date::read(text, format))?
        .since_epoch()
}

/// What a text says, whether or not there is such a date.
#[derive(Default)]
struct Date {
    year: u32,
    /// From 0, for January.
    month: u32,
    /// From 1.
    day: u32,
    /// From 0, for Monday.
    weekday: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Date {
    fn read(text: &str, format: &str) -> Option<Self> {
        let mut date = Self::default();
        let mut text = Scanner(text.as_bytes());
        let mut format = format.bytes();
        while let Some(byte) = format.next() {
            if byte != b'%' {
                text.literal(&[byte])?;
                continue;
            }
            match format.next()? {
                b'Y' => date.year = text.number(4)?,
                // Two digits are of the years from 1970 to 2069.
                b'y' => date.year = 1970 + (text.number(2)? + 30) % 100,
                b'b' => date.month = text.name(&MONTHS)?,
                b'd' => date.day = text.number(2)?,
                // The same, but with a space for a leading zero.
                b'e' => {
                    let digits = if text.literal(b" ").is_some() { 1 } else { 2 };
                    date.day = text.number(digits)?;
                }
                b'a' => date.weekday = text.name(&DAYS)?,
                b'A' => date.weekday = text.name(&DAYS_IN_FULL)?,
                b'H' => date.hour = text.number(2)?,
                b'M' => date.minute = text.number(2)?,
                b'S' => date.second = text.number(2)?,
                _ => return None,
            }
        }
        text.0.is_empty().then_some(date)
    }

    fn since_epoch(&self) -> Option<u64> {
        // Of the proleptic calendar's years before 1970.
        const BEFORE_EPOCH: u32 = 1969 * 365 + leap_days(1969);
        let over = self.year.checked_sub(1)?;
        let leap = leap_days(self.year) - leap_days(over);
        let days_before = |month: u32| {
            let leap = if month > 1 { leap } else { 0 };
            DAYS_BEFORE.get(month as usize).map(|days| days + leap)
        };
        let (first, next) = (days_before(self.month)?, days_before(self.month + 1)?);
        let day =
            (over * 365 + leap_days(over) + first + self.day).checked_sub(BEFORE_EPOCH + 1)?;
        let exists = (1..=next - first).contains(&self.day)
            // The epoch was a Thursday.
            && (day + 3) % 7 == self.weekday
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        let time = (self.hour * 60 + self.minute) * 60 + self.second;
        exists.then_some(u64::from(day) * 86_400 + u64::from(time))
    }
}

/// From the year 1 to the end of this one.
const fn leap_days(year: u32) -> u32 {
    year / 4 - year / 100 + year / 400
}

/// What has not been read yet.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// A number of this many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |number, &byte| {
            let digit = char::from(byte).to_digit(10)?;
            Some(number * 10 + digit)
        })
    }

    /// Which of the names comes next.
    fn name(&mut self, names: &[&str]) -> Option<u32> {
        (0..)
            .zip(names)
            .find_map(|(index, name)| self.literal(name.as_bytes()).map(|()| index))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_formats_of_the_specification() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn the_ends_of_time_and_of_february() {
        let table = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Wed, 30 Feb 2000 00:00:00 GMT", None),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
            ("Mon, 29 Feb 2100 00:00:00 GMT", None),
            ("Wednesday, 31-Dec-69 00:00:00 GMT", None),
            ("Tuesday, 31-Dec-69 00:00:00 GMT", Some(3_155_673_600)),
            ("Thursday, 01-Jan-70 00:00:00 GMT", Some(0)),
            ("Sat, 00 Jan 0000 00:00:00 GMT", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "Sun",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Sun, 06 Nov 1994 08:49:+7 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun Nov 006 08:49:37 1994",
            "Sund, 06-Nov-94 08:49:37 GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    /// As `httpdate` has it, a parser that is not ours.
    fn theirs(text: &str) -> Option<u64> {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }

    proptest! {
        #[test]
        fn every_second_is_read_back(seconds in 0..253_402_300_800_u64) {
            let date = UNIX_EPOCH + Duration::from_secs(seconds);
            let text = httpdate::HttpDate::from(date).to_string();
            prop_assert_eq!(parse(&text), Some(seconds));
        }

        #[test]
        fn what_seems_a_date_is_one_to_others_too(
            (weekday, month) in (0..7_usize, 0..12_usize),
            (day, year) in (0..33_u32, 1960..2110_u32),
            (hour, minute, second) in (0..25_u32, 0..61_u32, 0..61_u32),
        ) {
            let (short, long, month) = (DAYS[weekday], DAYS_IN_FULL[weekday], MONTHS[month]);
            let time = format!("{hour:02}:{minute:02}:{second:02}");
            for text in [
                format!("{short}, {day:02} {month} {year} {time} GMT"),
                format!("{long}, {day:02}-{month}-{:02} {time} GMT", year % 100),
                format!("{short} {month} {day:2} {time} {year}"),
            ] {
                prop_assert_eq!(parse(&text), theirs(&text), "{}", text);
            }
        }
    }
}
