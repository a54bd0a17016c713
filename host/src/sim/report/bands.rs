//! The plot of health: a band for each backend.

use std::fmt::Display;

use super::axis::{cut, float, percent, plural};
use super::charts::Charts;
use super::health::{Band, COLUMNS, bands, isolates};
use super::markup::Markup;
use super::plot::Plot;
use super::shapes::{Series, columns};

/// How much of a name.
const NAMES: usize = 32;
/// How many backends have a band.
const BANDS: usize = 12;
/// How high the part of a band is that a backend's name is in, its bar, and
/// what is below it.
const NAME: u32 = 20;
const BAR: u32 = 21;
const GAP: u32 = 12;

impl Charts<'_> {
    /// Health, a row for each backend.
    pub(super) fn health(&mut self, page: &mut Markup) {
        let bands = bands(&self.run.trace, self.scenario, self.buckets.span);
        let names = &self.run.trace.names.backends;
        let observers = isolates(self.scenario);
        let shown = bands.len().min(BANDS);
        let row = NAME + BAR + GAP;
        let ejections: usize = bands.iter().map(|it| it.ejections).sum();
        let mut about = format!(
            "What the scenario did to each backend, and by how many of {} it was ejected; {} in all.",
            plural(observers, "isolate"),
            plural(ejections, "ejection")
        );
        if shown < bands.len() {
            about.push_str(&format!(" The first {shown} of {} backends.", bands.len()));
        }
        let key = |class: &str, name: &str| (class.to_owned(), name.to_owned());
        let plot = Plot {
            id: "health",
            title: "Health of backends",
            about,
            height: row * u32::try_from(shown).unwrap_or(0),
            ticks: Vec::new(),
            legend: vec![
                key("up", "up"),
                key("down", "fault of the scenario"),
                key("ejected", "ejected; the higher, the more isolates"),
                key("waiting", "due for a trial"),
                key("trial", "trial"),
            ],
        };
        let rows = || (0u32..).zip(names.iter().zip(&bands)).take(shown);
        self.frame.draw(
            page,
            &plot,
            |page| {
                // The columns of bands are not those of slices.
                let view = format!("0 0 {COLUMNS} {}", plot.height);
                let attributes: [(&str, &dyn Display); 2] =
                    [("viewBox", &view), ("preserveAspectRatio", &"none")];
                page.element("svg", &attributes, |page| {
                    for (index, (_, band)) in rows() {
                        bar(page, band, index * row + NAME, observers);
                    }
                });
            },
            |page| {
                for (index, (name, band)) in rows() {
                    let y = index * row + NAME - 6;
                    page.leaf(
                        "text",
                        &[("class", &"backend"), ("y", &y)],
                        cut(name, NAMES),
                    );
                    let text: [(&str, &dyn Display); 3] =
                        [("class", &"told"), ("x", &"100%"), ("y", &y)];
                    page.element("text", &text, |page| told(page, band, observers));
                }
            },
        );
        let series: Vec<_> = (rows())
            .map(|(_, (name, band))| {
                let values = band.ejected.iter().map(|it| float(*it as u64)).collect();
                Series::new("ejected", name, values)
            })
            .collect();
        self.note("health", &format!("of {observers}"), &series);
    }
}

/// A backend's health.
fn bar(page: &mut Markup, band: &Band, top: u32, observers: usize) {
    // What the scenario does is above what isolates make of it.
    let (y, high, strip) = (f64::from(top), f64::from(BAR), 5.0);
    let up: [(&str, &dyn Display); 4] = [
        ("class", &"up"),
        ("y", &top),
        ("width", &COLUMNS),
        ("height", &BAR),
    ];
    page.empty("rect", &up);
    let most = band.passed_over.iter().copied().fold(observers, usize::max);
    let parts = [
        ("down", columns(&band.faults, y, strip, 1)),
        (
            "waiting",
            columns(&band.passed_over, y + strip, high - strip, most),
        ),
        (
            "ejected",
            columns(&band.ejected, y + strip, high - strip, most),
        ),
        ("trial", columns(&band.trials, y + high + 2.0, 5.0, 1)),
    ];
    for (class, path) in parts {
        if !path.is_empty() {
            page.empty("path", &[("class", &class), ("d", &path)]);
        }
    }
}

/// The same in words: all of it, and the less where there is no room.
fn told(page: &mut Markup, band: &Band, observers: usize) {
    let columns = band.ejected.iter().filter(|it| **it > 0).count();
    if columns == 0 {
        return page.text("never ejected");
    }
    let most = band.ejected.iter().copied().max().unwrap_or(0);
    let part = percent(float(columns as u64) / float(COLUMNS as u64));
    page.text(format_args!("ejected {part} of the time"));
    page.element("tspan", &[("class", &"wide")], |page| {
        let trials = plural(band.trials.iter().sum(), "trial");
        page.text(format_args!(", by up to {most} of {observers}; {trials}"));
    });
}
