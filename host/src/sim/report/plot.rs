//! The frame that all plots share: the axes, the grid, the faults behind it and
//! the legend. Only shapes stretch with the page, text does not: shapes are in
//! an inner picture of [`WIDTH`] units, whatever its width on the page.

use std::fmt::{Display, Write as _};

use serde_json::{Value, json};

use super::axis::{decimal, float, time_ticks};
use super::health::{COLUMNS, profile, windows};
use super::markup::Markup;
use super::shapes::{at_least, columns, edges};
use crate::sim::world::millis;
use crate::sim::{Fault, Scenario};

/// How wide the inner picture is.
pub(super) const WIDTH: f64 = 1000.0;
/// How wide a character of a label is at most, where the page is narrow.
const CHARACTER: f64 = 9.0;
/// How many names of faults are written beside one another.
const TOGETHER: usize = 4;
/// Of how many faults the script knows.
const FAULTS: usize = 20;
/// Above the shapes: the names of the faults.
const TOP: u32 = 20;
/// Below them: the labels of time.
const BOTTOM: u32 = 22;

/// What all plots of a page have in common.
pub(super) struct Frame {
    span: u64,
    /// How long clients made requests, if things went on after that.
    end: Option<u64>,
    labels: Vec<Label>,
}

/// The names of faults that begin at one time, and where they are written.
struct Label {
    faults: Vec<(usize, String)>,
    at: f64,
    /// At its end instead of its beginning: there is no more room after that.
    right: bool,
}

/// A plot, but for its shapes.
pub(super) struct Plot<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// What is to be seen on it, in words.
    pub(super) about: String,
    /// How high its shapes are.
    pub(super) height: u32,
    /// Where its axis of values is labelled, from 0 at the bottom to 1 at the
    /// top, and with what.
    pub(super) ticks: Vec<(f64, String)>,
    /// What its colours mean: classes of the style sheet, and names.
    pub(super) legend: Vec<(String, String)>,
}

impl Frame {
    pub(super) fn new(scenario: &Scenario, duration: u64, span: u64) -> Self {
        Self {
            span,
            end: (duration < span).then_some(duration),
            labels: labels(scenario, span),
        }
    }

    /// The pictures that plots refer to: the times at which something is
    /// wrong, and at which this changes.
    pub(super) fn define(&self, page: &mut Markup, scenario: &Scenario) {
        let faulty = profile(&windows(scenario, |_| true), self.span);
        let view = format!("0 0 {COLUMNS} 1");
        let ratio = ("preserveAspectRatio", &"none" as &dyn Display);
        page.element(
            "svg",
            &[("class", &"defined"), ("aria-hidden", &"true")],
            |page| {
                page.element(
                    "symbol",
                    &[("id", &"faults"), ("viewBox", &view), ratio],
                    |page| {
                        page.empty(
                            "path",
                            &[("class", &"fault"), ("d", &columns(&faulty, 0.0, 1.0, 1))],
                        );
                        page.empty(
                            "path",
                            &[
                                ("class", &"fault"),
                                ("d", &columns(&at_least(&faulty, 2), 0.0, 1.0, 1)),
                            ],
                        );
                    },
                );
                page.element(
                    "symbol",
                    &[("id", &"edges"), ("viewBox", &view), ratio],
                    |page| {
                        page.empty("path", &[("class", &"edge"), ("d", &edges(&faulty))]);
                    },
                );
            },
        );
    }

    /// Draws a plot, with these shapes on it.
    pub(super) fn draw(
        &self,
        page: &mut Markup,
        plot: &Plot<'_>,
        shapes: impl FnOnce(&mut Markup),
        over: impl FnOnce(&mut Markup),
    ) {
        let Plot { id, height, .. } = plot;
        let whole = TOP + height + BOTTOM;
        let (title, about) = (format!("{id}-title"), format!("{id}-about"));
        let labelled = format!("{title} {about}");
        page.element("figure", &[("id", id), ("class", &"plot")], |page| {
            page.element("figcaption", &[], |page| {
                page.leaf("h2", &[], plot.title);
                page.leaf("p", &[], &plot.about);
            });
            legend(page, &plot.legend);
            let attributes: [(&str, &dyn Display); 4] = [
                ("class", &"frame"),
                ("height", &whole),
                ("role", &"img"),
                ("aria-labelledby", &labelled),
            ];
            page.element("svg", &attributes, |page| {
                page.leaf("title", &[("id", &title)], plot.title);
                page.leaf("desc", &[("id", &about)], &plot.about);
                self.behind(page, plot);
                let view = format!("0 0 {WIDTH} {height}");
                let attributes: [(&str, &dyn Display); 5] = [
                    ("class", &"shapes"),
                    ("y", &TOP),
                    ("height", height),
                    ("viewBox", &view),
                    ("preserveAspectRatio", &"none"),
                ];
                page.element("svg", &attributes, shapes);
                self.before(page, *height);
                page.element(
                    "svg",
                    &[("class", &"over"), ("y", &TOP), ("height", height)],
                    over,
                );
            });
        });
    }

    /// The faults, the grid and the labels.
    fn behind(&self, page: &mut Markup, plot: &Plot<'_>) {
        let floor = TOP + plot.height;
        let faults: [(&str, &dyn Display); 3] =
            [("href", &"#faults"), ("width", &"100%"), ("height", &floor)];
        page.empty("use", &faults);
        for (share, label) in &plot.ticks {
            let y = decimal(f64::from(TOP) + (1.0 - share) * f64::from(plot.height), 1);
            let grid: [(&str, &dyn Display); 4] =
                [("class", &"grid"), ("x2", &"100%"), ("y1", &y), ("y2", &y)];
            page.empty("line", &grid);
            let text: [(&str, &dyn Display); 4] = [
                ("class", &"value"),
                ("x", &"-8"),
                ("y", &y),
                ("dy", &".32em"),
            ];
            page.leaf("text", &text, label);
        }
        for (index, (at, label)) in time_ticks(self.span).into_iter().enumerate() {
            let x = percent(at, self.span);
            let class = if index % 2 == 0 { "time" } else { "time odd" };
            let line: [(&str, &dyn Display); 5] = [
                ("class", &"tick"),
                ("x1", &x),
                ("x2", &x),
                ("y1", &floor),
                ("y2", &(floor + 4)),
            ];
            page.empty("line", &line);
            // The last may have no room beyond the edge.
            let class = if at * 50 > self.span * 49 {
                format!("{class} last")
            } else {
                class.to_owned()
            };
            let text: [(&str, &dyn Display); 3] =
                [("class", &class), ("x", &x), ("y", &(floor + 17))];
            page.leaf("text", &text, label);
        }
    }

    /// What nothing may hide: when faults begin and end, and what they are.
    fn before(&self, page: &mut Markup, height: u32) {
        let floor = TOP + height;
        let edges: [(&str, &dyn Display); 3] =
            [("href", &"#edges"), ("width", &"100%"), ("height", &floor)];
        page.empty("use", &edges);
        let base: [(&str, &dyn Display); 4] = [
            ("class", &"base"),
            ("x2", &"100%"),
            ("y1", &floor),
            ("y2", &floor),
        ];
        page.empty("line", &base);
        if let Some(end) = self.end {
            let x = percent(end, self.span);
            let line: [(&str, &dyn Display); 4] =
                [("class", &"end"), ("x1", &x), ("x2", &x), ("y2", &floor)];
            page.element("line", &line, |page| {
                page.leaf("title", &[], "clients make no more requests");
            });
        }
        for label in &self.labels {
            let class = if label.right { "name right" } else { "name" };
            let x = format!("{}%", decimal(label.at / WIDTH * 100.0, 2));
            let shift = if label.right { "-4" } else { "4" };
            let text: [(&str, &dyn Display); 4] =
                [("class", &class), ("x", &x), ("y", &"13"), ("dx", &shift)];
            page.element("text", &text, |page| {
                for (number, name) in &label.faults {
                    page.leaf("tspan", &[("class", &"number")], format_args!("{number} "));
                    page.leaf("tspan", &[("class", &"wide")], format_args!("{name} "));
                }
            });
        }
    }
}

/// What a fault is called.
pub(super) fn name(fault: &Fault) -> String {
    let mut name = fault.backend.clone().unwrap_or_else(|| "all".to_owned());
    let _ = write!(name, " {}", fault.kind.name());
    if let Some(location) = &fault.location {
        let _ = write!(name, " from {location}");
    }
    name
}

/// What faults there are and when, for the script.
pub(super) fn notes(scenario: &Scenario, span: u64) -> Vec<Value> {
    let faults = scenario.faults.iter().take(FAULTS);
    let windows = |fault: &Fault| {
        let windows = windows(scenario, |it| std::ptr::eq(it, fault));
        let counts = profile(&windows, span);
        let mut begin = 0;
        let mut runs = Vec::new();
        for run in counts.chunk_by(|one, next| (*one > 0) == (*next > 0)) {
            if run.first().is_some_and(|count| *count > 0) {
                runs.push([begin, begin + run.len()]);
            }
            begin += run.len();
        }
        runs
    };
    faults
        .map(|fault| json!({ "name": name(fault), "columns": windows(fault) }))
        .collect()
}

/// Where there is room for them.
fn labels(scenario: &Scenario, span: u64) -> Vec<Label> {
    let mut faults: Vec<(&Fault, usize)> = scenario.faults.iter().zip(1..).collect();
    faults.sort_by_key(|(fault, _)| fault.at);
    let mut labels = Vec::new();
    let mut free = 0.0;
    for together in faults.chunk_by(|one, next| one.0.at == next.0.at) {
        let Some((first, _)) = together.first() else {
            continue;
        };
        let named = together.iter().take(TOGETHER);
        let faults: Vec<_> = named
            .map(|(fault, number)| (*number, name(fault)))
            .collect();
        let characters: usize = faults.iter().map(|it| it.1.chars().count() + 3).sum();
        let length = CHARACTER * float(characters as u64);
        let begin = x(millis(first.at), span);
        let right = begin + length > WIDTH;
        let (from, at) = if right {
            (WIDTH - length, WIDTH)
        } else {
            (begin, begin)
        };
        if from < free || begin >= WIDTH {
            continue;
        }
        free = from + length;
        labels.push(Label { faults, at, right });
    }
    labels
}

fn legend(page: &mut Markup, entries: &[(String, String)]) {
    page.element("ul", &[("class", &"legend")], |page| {
        for (class, name) in entries {
            page.element("li", &[], |page| {
                page.leaf("i", &[("class", &format_args!("key {class}"))], "");
                page.text(name);
            });
        }
    });
}

/// Where a time is in the inner picture.
pub(super) fn x(at: u64, span: u64) -> f64 {
    float(at) / float(span) * WIDTH
}

fn percent(at: u64, span: u64) -> String {
    format!("{}%", decimal(x(at, span) / 10.0, 2))
}
