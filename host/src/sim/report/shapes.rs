//! Shapes: from values to heights, and from heights to the paths of SVG
//! (<https://www.w3.org/TR/SVG2/paths.html>).

use std::fmt::Write as _;

use super::axis::{decimal, float};
use super::markup::Markup;

/// A line or an area: its class, its name and its value in each slice.
pub(super) struct Series {
    pub(super) class: String,
    pub(super) name: String,
    pub(super) values: Vec<f64>,
}

impl Series {
    pub(super) fn new(class: impl Into<String>, name: impl Into<String>, values: Vec<f64>) -> Self {
        Self {
            class: class.into(),
            name: name.into(),
            values,
        }
    }
}

/// From values to heights.
pub(super) enum Scale {
    /// Up to this.
    Linear(f64),
    /// From the first to the second.
    Log(f64, f64),
}

impl Scale {
    /// From 0 at the bottom to 1 at the top.
    pub(super) fn share(&self, value: f64) -> f64 {
        let share = match *self {
            Self::Linear(most) => value / most,
            // Not std's: every machine is to draw the same.
            Self::Log(least, most) => libm::log(value.max(least) / least) / libm::log(most / least),
        };
        share.clamp(0.0, 1.0)
    }

    /// Pixels from the top.
    pub(super) fn y(&self, value: f64, height: u32) -> f64 {
        (1.0 - self.share(value)) * f64::from(height)
    }

    pub(super) fn labels(
        &self,
        ticks: &[f64],
        label: impl Fn(f64) -> String,
    ) -> Vec<(f64, String)> {
        let labels = ticks.iter().map(|tick| (self.share(*tick), label(*tick)));
        labels.collect()
    }
}

pub(super) fn sums(series: &[Series]) -> Vec<f64> {
    let slices = series.iter().map(|it| it.values.len()).max().unwrap_or(0);
    let sum = |index: usize| series.iter().filter_map(|it| it.values.get(index)).sum();
    (0..slices).map(sum).collect()
}

pub(super) fn stack(
    page: &mut Markup,
    places: &[f64],
    series: &[Series],
    scale: &Scale,
    height: u32,
) {
    let slices = places.len().saturating_sub(1);
    let mut below = vec![0.0; slices];
    for it in series {
        let above: Vec<f64> = below.iter().zip(&it.values).map(|(a, b)| a + b).collect();
        if it.values.iter().any(|value| *value > 0.0) {
            let y = |values: &[f64]| -> Vec<f64> {
                values.iter().map(|value| scale.y(*value, height)).collect()
            };
            let path = area(places, &y(&below), &y(&above));
            let class = format!("area {}", it.class);
            page.empty("path", &[("class", &class), ("d", &path)]);
        }
        below = above;
    }
}

/// A path that fills the columns that have any, from this line up: `most` of
/// them as high as can be.
pub(super) fn columns(counts: &[usize], top: f64, height: f64, most: usize) -> String {
    let mut path = String::new();
    let mut begin = 0;
    for run in counts.chunk_by(|one, next| one == next) {
        let count = run.first().copied().unwrap_or(0).min(most);
        if count > 0 {
            let high = height * float(count as u64) / float(most.max(1) as u64);
            let (high, y) = (decimal(high, 2), decimal(top + height - high, 2));
            let wide = run.len();
            let _ = write!(path, "M{begin} {y}h{wide}v{high}h-{wide}z");
        }
        begin += run.len();
    }
    path
}

/// Each count less the ones before this.
pub(super) fn at_least(counts: &[usize], least: usize) -> Vec<usize> {
    let reached = |count: &usize| usize::from(*count >= least);
    counts.iter().map(reached).collect()
}

/// A path down wherever the count changes.
pub(super) fn edges(counts: &[usize]) -> String {
    let mut path = String::new();
    let mut before = 0;
    for (index, count) in counts.iter().enumerate() {
        if *count != before {
            before = *count;
            let _ = write!(path, "M{index} 0v1");
        }
    }
    path
}

/// A path around what lies between two lines of steps. Both have a value, in
/// pixels from the top, for each of the slices between these places.
pub(super) fn area(places: &[f64], lower: &[f64], upper: &[f64]) -> String {
    let mut path = String::new();
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return path;
    };
    let _ = write!(path, "M{}", decimal(*first, 1));
    let mut y = None;
    let mut go = |x: f64, next: &f64| {
        if y != Some(*next) {
            match y {
                None => {
                    let _ = write!(path, " {}", decimal(*next, 1));
                }
                Some(_) => {
                    let _ = write!(path, "H{}V{}", decimal(x, 1), decimal(*next, 1));
                }
            }
            y = Some(*next);
        }
    };
    for (x, next) in places.iter().zip(upper) {
        go(*x, next);
    }
    let mut end = *last;
    for (index, next) in lower.iter().enumerate().rev() {
        go(end, next);
        end = places.get(index).copied().unwrap_or(0.0);
    }
    let _ = write!(path, "H{}z", decimal(*first, 1));
    path
}

/// A path through points; where there is none it breaks off. A point alone is
/// a dash as long as this.
pub(super) fn line(points: &[Option<(f64, f64)>], dash: f64) -> String {
    let mut path = String::new();
    for run in points.chunk_by(|one, next| one.is_some() == next.is_some()) {
        let mut command = 'M';
        for (x, y) in run.iter().flatten() {
            let (alone, y) = (run.len() == 1, decimal(*y, 1));
            let x = if alone { x - dash / 2.0 } else { *x };
            let _ = write!(path, "{command}{} {y}", decimal(x, 1));
            if alone {
                let _ = write!(path, "h{}", decimal(dash, 1));
            }
            command = 'L';
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_go_along_both_lines_and_skip_what_does_not_change() {
        let places = [0.0, 10.0, 20.0, 30.0];
        let path = area(&places, &[9.0, 9.0, 9.0], &[5.0, 5.0, 2.5]);
        assert_eq!(path, "M0 5H20V2.5H30V9H0z");
    }

    #[test]
    fn lines_break_off_where_there_is_nothing() {
        let points = [Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 4.0))];
        assert_eq!(line(&points, 1.0), "M0 1L1 2M2.5 4h1");
    }

    #[test]
    fn columns_are_as_high_as_their_share() {
        assert_eq!(
            columns(&[0, 2, 2, 1], 10.0, 20.0, 2),
            "M1 10h2v20h-2zM3 20h1v10h-1z"
        );
        assert_eq!(edges(&[0, 1, 2, 0]), "M1 0v1M2 0v1M3 0v1");
    }
}
