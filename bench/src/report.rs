//! What was measured, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::contenders::Contender;
use crate::measure::{Figures, Options, Results};
use crate::statistics::median;

/// Writes the JSON file, and the table to stdout.
pub(crate) fn write(results: &Results, path: &Path) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let text = serde_json::to_string_pretty(&document(results))?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))?;
    std::io::stdout().write_all(table(results).as_bytes())?;
    Ok(())
}

/// The JSON document. Its keys are read by programs: they do not change.
fn document(results: &Results) -> Value {
    let contenders = results.contenders.iter().map(|(contender, figures)| {
        let medians = json!({
            "cpu_us": of(figures, |it| it.cpu_us),
            "cpu_us_at_rate": of(figures, |it| it.cpu_us_at_rate),
            "busy": of(figures, |it| it.busy),
            "requests_per_second": of(figures, |it| it.requests_per_second),
            "p50_us": of(figures, |it| it.p50_us),
            "p99_us": of(figures, |it| it.p99_us),
            "version": contender.version(),
            "rounds": figures,
        });
        (contender.name().to_owned(), medians)
    });
    json!({
        "machine": machine(),
        "options": options(&results.options),
        "own_cores": results.split,
        "contenders": contenders.collect::<Map<_, _>>(),
        "ratios": ratios(results),
    })
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

/// `A_cpu_vs_B`, `A_rate_vs_B` and `A_p99_vs_B`: A's figure divided by B's,
/// for A either door of edgelb and B any other proxy.
fn ratios(results: &Results) -> BTreeMap<String, f64> {
    let ours = [Contender::Edgelb, Contender::EdgelbWasiHttp];
    let theirs = [Contender::Native, Contender::Nginx, Contender::Haproxy];
    let mut ratios = BTreeMap::new();
    for (one, other) in ours
        .iter()
        .flat_map(|one| theirs.map(|other| (*one, other)))
    {
        for (what, figure) in [
            ("cpu", (|it| it.cpu_us) as fn(&Figures) -> f64),
            ("rate", |it| it.requests_per_second),
            ("p99", |it| it.p99_us),
        ] {
            if let Some(ratio) = ratio(results, one, other, figure) {
                let rounded = (ratio * 1e3).round() / 1e3;
                let name = format!("{}_{what}_vs_{}", one.name(), other.name());
                ratios.insert(name, rounded);
            }
        }
    }
    ratios
}

/// The median of the ratios of the same rounds; `None` where one did not run.
fn ratio(
    results: &Results,
    one: Contender,
    other: Contender,
    figure: impl Fn(&Figures) -> f64,
) -> Option<f64> {
    let find = |wanted| {
        let found = results.contenders.iter().find(|(it, _)| *it == wanted);
        found.map(|(_, figures)| figures)
    };
    let pairs = find(one)?.iter().zip(find(other)?);
    Some(median(
        pairs.map(|(one, other)| figure(one) / figure(other)),
    ))
}

fn of(figures: &[Figures], figure: impl Fn(&Figures) -> f64) -> f64 {
    (median(figures.iter().map(figure)) * 1e2).round() / 1e2
}

/// The table, ready for `docs/performance.md`.
fn table(results: &Results) -> String {
    let rate = results.options.rate;
    let mut table = format!(
        "| proxy | CPU us/request | CPU vs plain Rust | CPU vs nginx | rate vs nginx \
         | p50 us at {rate}/s | p99 us at {rate}/s | requests/s | proxy busy |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for (contender, figures) in &results.contenders {
        let cell = |value: Option<f64>, digits: usize| match value {
            Some(value) if *contender != Contender::Direct => format!("{value:.digits$}"),
            _ => "-".to_owned(),
        };
        let versus =
            |other, figure: fn(&Figures) -> f64| cell(ratio(results, *contender, other, figure), 2);
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {} |",
            contender.title(),
            cell(Some(of(figures, |it| it.cpu_us)), 1),
            versus(Contender::Native, |it| it.cpu_us),
            versus(Contender::Nginx, |it| it.cpu_us),
            versus(Contender::Nginx, |it| it.requests_per_second),
            of(figures, |it| it.p50_us),
            of(figures, |it| it.p99_us),
            of(figures, |it| it.requests_per_second),
            cell(Some(of(figures, |it| it.busy)), 2),
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
