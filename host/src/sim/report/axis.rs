//! Axes and figures as people read them: round steps, human units.

use crate::sim::{Measure, Unit};

/// No line breaks between a figure and its unit.
const SPACE: char = '\u{a0}';

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Lengths that divide time as clocks do, in milliseconds, rising.
const STEPS: [u64; 42] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    SECOND,
    2 * SECOND,
    3 * SECOND,
    5 * SECOND,
    6 * SECOND,
    10 * SECOND,
    12 * SECOND,
    15 * SECOND,
    20 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    3 * MINUTE,
    5 * MINUTE,
    6 * MINUTE,
    10 * MINUTE,
    12 * MINUTE,
    15 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    8 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    5 * DAY,
    7 * DAY,
    10 * DAY,
    20 * DAY,
];

/// The least round length of time of which so many cover a span, in milliseconds.
pub(super) fn step(span: u64, parts: u64) -> u64 {
    let covers = |step: &u64| step.saturating_mul(parts) >= span;
    let round = STEPS.into_iter().find(covers);
    round.unwrap_or_else(|| span.div_ceil(parts).div_ceil(DAY) * DAY)
}

/// Where the axis of time is labelled, and with what.
pub(super) fn time_ticks(span: u64) -> Vec<(u64, String)> {
    let step = step(span, 9);
    let (unit, name) = [
        (DAY, "d"),
        (HOUR, "h"),
        (MINUTE, "min"),
        (SECOND, "s"),
        (1, "ms"),
    ]
    .into_iter()
    .find(|(unit, _)| step.is_multiple_of(*unit))
    .unwrap_or((1, "ms"));
    let label = |at: u64| match at {
        0 => "0".to_owned(),
        _ => format!("{}{SPACE}{name}", at / unit),
    };
    (0..=span / step)
        .map(|tick| (tick * step, label(tick * step)))
        .collect()
}

/// Round values from 0 up to the first that is not below the greatest.
pub(super) fn linear_ticks(greatest: f64) -> Vec<f64> {
    let greatest = if greatest > 0.0 { greatest } else { 1.0 };
    let mut millionths = 1;
    let step = loop {
        let step = float(millionths) / 1e6;
        if step * 4.0 >= greatest {
            break step;
        }
        millionths = match millionths.to_string().starts_with('2') {
            true => millionths / 2 * 5,
            false => millionths * 2,
        };
    };
    let mut ticks = vec![0.0];
    let mut tick = 1.0;
    while (tick - 1.0) * step < greatest {
        ticks.push(tick * step);
        tick += 1.0;
    }
    ticks
}

/// Round values of the kind 1, 2, 5 that enclose both, for a logarithmic axis.
/// Over more than two decades only those of the kind 1.
pub(super) fn log_ticks(least: f64, greatest: f64) -> Vec<f64> {
    let least = least.max(1.0);
    let greatest = greatest.max(least);
    let factors: &[f64] = if greatest / least > 300.0 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let mut ticks = Vec::new();
    let mut decade = 1.0;
    'decades: while decade < 1e15 {
        for factor in factors {
            let tick = decade * factor;
            // Only the last of those at or below the least.
            if tick <= least {
                ticks.clear();
            }
            ticks.push(tick);
            if tick >= greatest && ticks.len() > 1 {
                break 'decades;
            }
        }
        decade *= 10.0;
    }
    ticks
}

/// A length of time, in its two largest units.
pub(super) fn duration(millis: u64) -> String {
    let two = |large: u64, name: &str, small: u64, below: &str| {
        let rest = millis % large / small;
        match rest {
            0 => format!("{}{SPACE}{name}", millis / large),
            _ => format!("{}{SPACE}{name} {rest}{SPACE}{below}", millis / large),
        }
    };
    if millis >= DAY {
        two(DAY, "d", HOUR, "h")
    } else if millis >= HOUR {
        two(HOUR, "h", MINUTE, "min")
    } else if millis >= MINUTE {
        two(MINUTE, "min", SECOND, "s")
    } else if millis >= SECOND {
        format!("{}{SPACE}s", decimal(float(millis) / 1000.0, 3))
    } else {
        format!("{millis}{SPACE}ms")
    }
}

/// A whole number, in groups of three.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of them.
pub(super) fn plural(number: usize, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {one}{s}", count(number))
}

/// The beginning of a text that may be longer than so many characters.
pub(super) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A share of the whole. What is not all is not called 100 %, and what is not
/// nothing not 0 %.
pub(super) fn percent(share: f64) -> String {
    const LEAST: f64 = 0.001;
    let percent = share * 100.0;
    if percent > 0.0 && percent < LEAST {
        return format!("<{SPACE}{LEAST}{SPACE}%");
    }
    // 99.9 % is no number of binary digits.
    let cut = (percent / LEAST + 1e-6).floor() * LEAST;
    let places = if (1.0..99.0).contains(&percent) { 1 } else { 3 };
    format!("{}{SPACE}%", decimal(cut, places))
}

/// A number with at most so many places after the point.
pub(super) fn decimal(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// What a measure came to, in its unit.
pub(super) fn measured(measure: &Measure, value: f64) -> String {
    match measure.unit() {
        Unit::Share => percent(value),
        Unit::Count => decimal(value, 3),
        Unit::Time => duration(whole(value)),
    }
}

/// Counts and times are far below 2^53.
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// The nearest whole number; 0 for what is below.
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_cover_the_span() {
        let table = [
            (1, 9, 1),
            (600 * SECOND, 240, 3 * SECOND),
            (600 * SECOND, 9, 2 * MINUTE),
            (DAY, 240, 6 * MINUTE),
            (DAY, 9, 3 * HOUR),
            (1000 * DAY, 9, 112 * DAY),
        ];
        for (span, parts, expected) in table {
            assert_eq!(step(span, parts), expected, "{span} in {parts}");
        }
        assert!(STEPS.is_sorted());
    }

    #[test]
    fn time_is_labelled_in_one_unit() {
        let labels = |span| -> Vec<_> { time_ticks(span).into_iter().map(|it| it.1).collect() };
        assert_eq!(
            labels(2500),
            [
                "0",
                "500\u{a0}ms",
                "1000\u{a0}ms",
                "1500\u{a0}ms",
                "2000\u{a0}ms",
                "2500\u{a0}ms"
            ]
        );
        assert_eq!(
            labels(10 * MINUTE).last().map(String::as_str),
            Some("10\u{a0}min")
        );
        assert_eq!(labels(DAY).get(1).map(String::as_str), Some("3\u{a0}h"));
        assert_eq!(labels(1), ["0", "1\u{a0}ms"]);
    }

    #[test]
    fn values_are_labelled_at_round_numbers() {
        let tops = [
            (0.0, "1"),
            (4.0, "4"),
            (4.1, "6"),
            (23.0, "30"),
            (0.03, "0.03"),
        ];
        for (greatest, top) in tops {
            let ticks = linear_ticks(greatest);
            let last = ticks.last().map(|it| decimal(*it, 6));
            assert_eq!(last.as_deref(), Some(top), "{greatest}");
            assert!((3..=6).contains(&ticks.len()), "{ticks:?}");
        }
        assert_eq!(
            log_ticks(38.0, 900.0),
            [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]
        );
        assert_eq!(log_ticks(3.0, 5000.0), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(log_ticks(0.0, 0.0), [1.0, 2.0]);
    }

    #[test]
    fn figures_have_human_units() {
        assert_eq!(duration(0), "0\u{a0}ms");
        assert_eq!(duration(1250), "1.25\u{a0}s");
        assert_eq!(duration(2 * MINUTE + 5 * SECOND), "2\u{a0}min 5\u{a0}s");
        assert_eq!(duration(DAY), "1\u{a0}d");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(percent(1.0), "100\u{a0}%");
        assert_eq!(percent(0.999), "99.9\u{a0}%");
        assert_eq!(percent(0.999_999_9), "99.999\u{a0}%");
        assert_eq!(percent(0.123_45), "12.3\u{a0}%");
        assert_eq!(percent(0.000_000_1), "<\u{a0}0.001\u{a0}%");
        assert_eq!(percent(0.0), "0\u{a0}%");
    }
}
