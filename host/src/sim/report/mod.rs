//! A run as a page to look at: one file of HTML that loads nothing.
//!
//! Plots are drawn here; the script of the page only tells the values at the
//! time that is pointed at. Equal runs give equal pages, and however long a run
//! is, its page stays small: time is cut into at most 240 slices.

mod axis;
mod bands;
mod buckets;
mod charts;
mod events;
mod health;
mod markup;
mod plot;
mod shapes;
mod tables;

use std::fmt::Display;

use serde_json::json;

use super::run::Run;
use super::scenario::Scenario;
use super::world::millis;
use axis::{duration, plural};
use buckets::Buckets;
use charts::Charts;
use markup::Markup;
use plot::Frame;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Nothing is loaded from anywhere, whatever a scenario's names may contain:
/// <https://www.w3.org/TR/CSP3/>.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

impl Run {
    /// A page of HTML about it: its figures, what was expected of it, and how
    /// it went, in plots. The scenario is the one that was run; violations are
    /// the laws it broke, each in a sentence.
    pub fn report(&self, scenario: &Scenario, violations: &[String]) -> String {
        let length = millis(scenario.duration);
        let buckets = Buckets::of(&self.trace, length);
        let frame = Frame::new(scenario, length, buckets.span);
        let mut charts = Charts {
            run: self,
            scenario,
            buckets: &buckets,
            frame: &frame,
            notes: serde_json::Map::new(),
        };
        let mut page = Markup::default();
        page.raw("<!doctype html>\n");
        page.element("html", &[("lang", &"en")], |page| {
            page.element("head", &[], |page| head(page, scenario));
            page.element("body", &[], |page| {
                frame.define(page, scenario);
                page.element("main", &[], |page| {
                    self.header(page, scenario, violations);
                    tables::violations(page, violations);
                    tables::figures(page, &self.summary);
                    tables::expectations(page, &self.summary, scenario);
                    page.element("div", &[("class", &"plots")], |page| charts.draw(page));
                    tables::backends(page, &self.trace);
                    tables::faults(page, scenario);
                    events::events(page, &self.trace);
                });
                let data = json!({
                    "span": buckets.span,
                    "plots": charts.notes,
                    "faults": plot::notes(scenario, buckets.span),
                });
                page.element(
                    "script",
                    &[("type", &"application/json"), ("id", &"data")],
                    |page| {
                        // Nothing in it ends the element.
                        page.raw(&data.to_string().replace('<', "\\u003c"));
                    },
                );
                page.element("script", &[], |page| page.raw(SCRIPT));
            });
        });
        page.raw("\n");
        page.finish()
    }

    /// What was run, and whether all is well.
    fn header(&self, page: &mut Markup, scenario: &Scenario, violations: &[String]) {
        let expected = scenario.expect.bounds().len();
        let unmet = self.summary.unmet(scenario).len();
        let (class, verdict) = match (unmet, violations.len()) {
            (0, 0) if expected == 0 => ("plain", "nothing was expected".to_owned()),
            (0, 0) => ("met", format!("all {expected} expectations met")),
            (unmet, 0) => (
                "unmet",
                format!("{unmet} of {expected} expectations not met"),
            ),
            (0, broken) => ("unmet", format!("{} violated", plural(broken, "law"))),
            (unmet, broken) => {
                let laws = plural(broken, "law");
                let text = format!("{unmet} of {expected} expectations not met, {laws} violated");
                ("unmet", text)
            }
        };
        page.element("header", &[], |page| {
            page.leaf("p", &[("class", &"kicker")], "Simulation");
            page.leaf("h1", &[], title(scenario));
            if !scenario.about.is_empty() {
                page.leaf("p", &[("class", &"about")], &scenario.about);
            }
            page.element("ul", &[("class", &"run")], |page| {
                page.leaf(
                    "li",
                    &[("class", &format_args!("verdict {class}"))],
                    verdict,
                );
                let parts: [(&str, &dyn Display); 5] = [
                    ("seed", &self.seed),
                    ("virtual time", &duration(millis(scenario.duration))),
                    ("backends", &self.trace.names.backends.len()),
                    ("locations", &self.trace.names.locations.len()),
                    ("isolates", &health::isolates(scenario)),
                ];
                for (name, value) in parts {
                    page.element("li", &[], |page| {
                        page.text(format_args!("{name} "));
                        page.leaf("b", &[], value);
                    });
                }
            });
        });
    }
}

fn head(page: &mut Markup, scenario: &Scenario) {
    page.empty("meta", &[("charset", &"utf-8")]);
    let policy: [(&str, &dyn Display); 2] = [
        ("http-equiv", &"Content-Security-Policy"),
        ("content", &POLICY),
    ];
    page.empty("meta", &policy);
    let named = [
        ("viewport", "width=device-width, initial-scale=1"),
        ("color-scheme", "light dark"),
    ];
    for (name, content) in named {
        page.empty("meta", &[("name", &name), ("content", &content)]);
    }
    page.leaf(
        "title",
        &[],
        format_args!("{} · simulation", title(scenario)),
    );
    page.element("style", &[], |page| page.raw(STYLE));
}

fn title(scenario: &Scenario) -> &str {
    match scenario.name.as_str() {
        "" => "Unnamed scenario",
        name => name,
    }
}

#[cfg(test)]
mod tests;
