//! What was measured, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::machine::QUIET;
use crate::parts::Options;
use crate::rounds::Ratio;

/// What came of a part.
pub(crate) trait Findings {
    /// What goes into the JSON document, by key. Programs read the keys: they
    /// do not change.
    fn document(&self) -> Map<String, Value>;
    /// Medians of ratios, by name.
    fn ratios(&self) -> BTreeMap<String, f64>;
    /// What is to be reached, where it was measured.
    fn bars(&self) -> Vec<Bar>;
    /// The table, ready for `docs/performance.md`.
    fn table(&self) -> String;
}

/// What is to be reached.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) what: &'static str,
    pub(crate) figure: f64,
    /// The least and the greatest of the rounds, where it is of several.
    pub(crate) spread: Option<(f64, f64)>,
    pub(crate) bound: Bound,
    /// The share of the machine that others had meanwhile, where it matters:
    /// who waits for a processor is slow at nobody's fault.
    pub(crate) others: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bar {
    /// The bar of a figure that others on the machine do not change.
    pub(crate) fn new(what: &'static str, figure: f64, bound: Bound) -> Self {
        Self {
            what,
            figure,
            spread: None,
            bound,
            others: None,
        }
    }

    /// The bar of a ratio, if there is one.
    pub(crate) fn of_ratio(what: &'static str, ratio: Option<Ratio>, bound: Bound) -> Option<Self> {
        let ratio = ratio?;
        Some(Self {
            spread: Some((ratio.least, ratio.most)),
            ..Self::new(what, ratio.median, bound)
        })
    }

    /// The same, of figures that count only where the machine was ours.
    pub(crate) fn beside(self, others: Option<f64>) -> Self {
        Self { others, ..self }
    }

    /// Whether it is met; `None` where others had too much of the machine to say.
    fn is_met(&self) -> Option<bool> {
        if self.others.is_some_and(|others| others > QUIET) {
            return None;
        }
        Some(match self.bound {
            Bound::AtMost(most) => self.figure <= most,
            Bound::AtLeast(least) => self.figure >= least,
        })
    }

    fn verdict(&self) -> String {
        match (self.is_met(), self.others) {
            (Some(true), _) => "met".to_owned(),
            (Some(false), _) => "missed".to_owned(),
            (None, others) => {
                let percent = 100.0 * others.unwrap_or_default();
                format!("undecided: others had {percent:.0} % of the machine")
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(formatter, "at most {most}"),
            Self::AtLeast(least) => write!(formatter, "at least {least}"),
        }
    }
}

/// Writes the JSON file, and the tables and bars to stdout.
pub(crate) fn write(
    options: &Options,
    findings: &[Box<dyn Findings>],
    path: &Path,
) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let bars: Vec<Bar> = findings.iter().flat_map(|it| it.bars()).collect();
    let text = serde_json::to_string_pretty(&document(options, findings, &bars))?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))?;
    let mut text = String::new();
    for findings in findings {
        text += &findings.table();
        text.push('\n');
    }
    text += &table(&bars);
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// A figure as it is written: with so many digits behind the point.
pub(crate) fn rounded(figure: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (figure * factor).round() / factor
}

fn document(options: &Options, findings: &[Box<dyn Findings>], bars: &[Bar]) -> Value {
    let ratios = findings.iter().flat_map(|it| it.ratios());
    let ratios: BTreeMap<_, _> = ratios.map(|(name, it)| (name, rounded(it, 4))).collect();
    let bars = bars.iter().map(|bar| {
        json!({
            "what": bar.what,
            "figure": rounded(bar.figure, 4),
            "bound": bar.bound.to_string(),
            "others": bar.others.map(|it| rounded(it, 2)),
            "met": bar.is_met(),
        })
    });
    let mut document = Map::from_iter([
        ("machine".to_owned(), machine()),
        ("options".to_owned(), self::options(options)),
        ("ratios".to_owned(), json!(ratios)),
        ("bars".to_owned(), bars.collect()),
    ]);
    document.extend(findings.iter().flat_map(|it| it.document()));
    Value::Object(document)
}

fn options(options: &Options) -> Value {
    json!({
        "rounds": options.rounds,
        "duration_s": options.duration.as_secs_f64(),
        "clients": options.clients,
        "rate": options.rate,
        "threads": options.threads,
        "cookies": options.cookies,
    })
}

fn table(bars: &[Bar]) -> String {
    let mut table =
        "| edgelb's | figure | of the rounds | bar | |\n|---|--:|--:|--:|---|\n".to_owned();
    for bar in bars {
        let spread = bar.spread.map_or("-".to_owned(), |(least, most)| {
            format!("{least:.2}-{most:.2}")
        });
        let verdict = bar.verdict();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {} | {} | {spread} | {} | {verdict} |",
            bar.what,
            rounded(bar.figure, 2),
            bar.bound,
        );
    }
    table
}

/// The machine, as far as Linux tells.
fn machine() -> Value {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let processor = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, name)| name);
    let cores = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    json!({
        "processor": processor,
        "cores": cores,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_on_its_own_side() {
        let is_met = |figure, bound| Bar::new("", figure, bound).is_met();
        assert_eq!(is_met(1.0, Bound::AtMost(1.0)), Some(true));
        assert_eq!(is_met(1.1, Bound::AtMost(1.0)), Some(false));
        assert_eq!(is_met(0.9, Bound::AtLeast(1.0)), Some(false));
    }

    #[test]
    fn on_a_busy_machine_nothing_is_decided() {
        let bar = Bar::new("", 1.0, Bound::AtMost(1.0));
        assert_eq!(bar.clone().beside(Some(0.05)).is_met(), Some(true));
        assert_eq!(bar.beside(Some(0.3)).is_met(), None);
    }

    #[test]
    fn what_is_rounded_keeps_its_digits() {
        assert_eq!(rounded(1.234_56, 2), 1.23);
        assert_eq!(rounded(0.995_04, 4), 0.995);
    }
}
