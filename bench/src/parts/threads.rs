//! One thread and two: what threads cost each other.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::rates::{Figures, turn};
use super::{Options, progress};
use crate::contenders::Contender;
use crate::cores::Cores;
use crate::load::Varying;
use crate::report::{Bar, Findings, rounded};
use crate::rounds::{Rounds, alternate};
use crate::stage::Stage;

/// A contender with so many threads.
type Key = (Contender, usize);

type Figure = fn(&Figures) -> f64;

/// Everything measured.
pub(super) struct Threads(Rounds<Key, Figures>);

/// On cores that all share: a core less for the proxy with two threads than
/// for that with one would compare cores.
pub(super) async fn run(options: &Options, cores: Cores) -> anyhow::Result<Threads> {
    let stage = Stage::set(cores, options.connections())?;
    let _backends = stage.nginx()?;
    let mut running = Vec::new();
    for contender in options.contenders(&[Contender::Native, Contender::Edgelb]) {
        for threads in [1, 2] {
            running.push(((contender, threads), contender.start(&stage, threads)?));
        }
    }
    let rounds = alternate(
        options.rounds,
        running,
        async |round, (contender, threads), it| {
            let name = contender.name();
            let figures = turn(it, threads, Varying::Target, options)
                .await
                .with_context(|| format!("`{name}` with {threads} threads in round {round}"))?;
            progress(format_args!(
                "threads {round}/{}: {name}, {threads}: {:.1} us CPU a request, {:.0} requests/s",
                options.rounds, figures.cpu_us, figures.requests_per_second,
            ));
            Ok(figures)
        },
    );
    Ok(Threads(rounds.await?))
}

impl Findings for Threads {
    fn document(&self) -> Map<String, Value> {
        let all = self.0.iter().map(|(key, figures)| {
            let (contender, threads) = key;
            let of = |figure: Figure| rounded(self.0.median(key, figure).unwrap_or_default(), 2);
            let medians = json!({
                "cpu_us": of(|it| it.cpu_us),
                "requests_per_second": of(|it| it.requests_per_second),
                "rounds": figures,
            });
            (format!("{}_{threads}", contender.name()), medians)
        });
        Map::from_iter([("threads".to_owned(), Value::Object(all.collect()))])
    }

    /// `A_2_threads_cpu_vs_1`, `A_2_threads_rate_vs_1`.
    fn ratios(&self) -> BTreeMap<String, f64> {
        let figures: [(&str, Figure); 2] = [
            ("cpu", |it| it.cpu_us),
            ("rate", |it| it.requests_per_second),
        ];
        let mut ratios = BTreeMap::new();
        for contender in [Contender::Native, Contender::Edgelb] {
            for (what, figure) in figures {
                if let Some(ratio) = self.0.ratio((contender, 2), (contender, 1), figure) {
                    let name = format!("{}_2_threads_{what}_vs_1", contender.name());
                    ratios.insert(name, ratio.median);
                }
            }
        }
        ratios
    }

    fn bars(&self) -> Vec<Bar> {
        Vec::new()
    }

    fn table(&self) -> String {
        let mut table =
            "| cores shared by all | threads | CPU us/request | requests/s | cores used |\n\
             |---|--:|--:|--:|--:|\n"
                .to_owned();
        for (key, _) in self.0.iter() {
            let (contender, threads) = key;
            let of = |figure: Figure| self.0.median(key, figure).unwrap_or_default();
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {} | {threads} | {:.1} | {:.0} | {:.2} |",
                contender.title(),
                of(|it| it.cpu_us),
                of(|it| it.requests_per_second),
                of(|it| it.busy) * threads as f64,
            );
        }
        table
    }
}
