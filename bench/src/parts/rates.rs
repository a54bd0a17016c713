//! Small requests: processor time, rate and latency.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum as _;
use serde_json::{Map, Value, json};

use super::{Options, WARM_UP, progress};
use crate::contenders::{Contender, Running};
use crate::cores::Cores;
use crate::load::{Load, Varying};
use crate::machine::Watch;
use crate::probe;
use crate::report::{Bar, Bound, Findings, rounded};
use crate::rounds::{Ratio, Rounds, alternate};
use crate::stage::Stage;
use crate::statistics::quantile;

/// One contender's figures of one round.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Figures {
    /// Processor time of the proxy for each request, in microseconds.
    pub(super) cpu_us: f64,
    /// The same at the constant rate, where fewer requests share a wake-up.
    cpu_us_at_rate: f64,
    /// How much of its cores the proxy used when saturated, 0 to 1. Well below
    /// 1, the load or the backends were the limit of `requests_per_second`.
    pub(super) busy: f64,
    pub(super) requests_per_second: f64,
    /// Latency at the constant rate, in microseconds.
    p50_us: f64,
    p99_us: f64,
    /// The share of the machine that others had, 0 to 1.
    others: f64,
}

type Figure = fn(&Figures) -> f64;

/// Everything measured.
pub(super) struct Rates {
    rate: u32,
    /// Whether the proxies had cores of their own.
    split: bool,
    rounds: Rounds<Contender, Figures>,
}

/// Starts everybody, checks their work and measures them in turns.
pub(super) async fn run(options: &Options, cores: Cores) -> anyhow::Result<Rates> {
    let threads = usize::from(options.threads);
    let stage = Stage::set(cores.split(threads), options.connections())?;
    let _backends = stage.nginx()?;
    let mut running = Vec::new();
    for contender in options.contenders(Contender::value_variants()) {
        let started = contender.start(&stage, threads)?;
        probe::check(contender, started.addresses[0])
            .with_context(|| format!("`{}` does not do its work", contender.name()))?;
        running.push((contender, started));
    }
    let rounds = alternate(
        options.rounds,
        running,
        async |round, contender, running| {
            let name = contender.name();
            let figures = turn(running, threads, contender.varying(), options)
                .await
                .with_context(|| format!("`{name}` in round {round}"))?;
            progress(format_args!(
                "rates {round}/{}: {name}: {:.1} us CPU a request, {:.0} requests/s, p50 {:.0} us, p99 {:.0} us",
                options.rounds,
                figures.cpu_us,
                figures.requests_per_second,
                figures.p50_us,
                figures.p99_us,
            ));
            Ok(figures)
        },
    );
    Ok(Rates {
        rate: options.rate,
        split: stage.cores.split,
        rounds: rounds.await?,
    })
}

/// One contender's turn: saturated, then at the constant rate.
pub(super) async fn turn(
    running: &Running,
    threads: usize,
    varying: Varying,
    options: &Options,
) -> anyhow::Result<Figures> {
    let clients = usize::from(options.clients);
    let connected = Load::connect(&running.addresses, clients, options.cookies, varying);
    let mut load = connected.await?;
    load.saturate(WARM_UP).await?;

    let watch = Watch::start()?;
    let begun = running.cpu_time()?;
    let saturated = load.saturate(options.duration).await?;
    let between = running.cpu_time()?;
    let mut offered = load.offer(options.rate, options.duration).await?;
    let ended = running.cpu_time()?;
    let others = watch.others()?;
    running.empty_log()?;

    let used = (between - begun).as_secs_f64();
    let elapsed = saturated.elapsed.as_secs_f64();
    let micros = |latency: Duration| latency.as_secs_f64() * 1e6;
    let mut latencies: Vec<f64> = offered.latencies.drain(..).map(micros).collect();
    Ok(Figures {
        cpu_us: used * 1e6 / saturated.requests as f64,
        cpu_us_at_rate: (ended - between).as_secs_f64() * 1e6 / offered.requests as f64,
        busy: used / elapsed / threads as f64,
        requests_per_second: saturated.requests as f64 / elapsed,
        p50_us: quantile(&mut latencies, 0.5),
        p99_us: quantile(&mut latencies, 0.99),
        others,
    })
}

impl Rates {
    fn median(&self, contender: Contender, figure: Figure) -> f64 {
        self.rounds.median(contender, figure).unwrap_or_default()
    }

    fn edgelb_versus(&self, other: Contender, figure: Figure) -> Option<Ratio> {
        self.rounds.ratio(Contender::Edgelb, other, figure)
    }
}

impl Findings for Rates {
    /// By contender: these keys are older than the other parts.
    fn document(&self) -> Map<String, Value> {
        let contenders = self.rounds.iter().map(|(contender, figures)| {
            let of = |figure| rounded(self.median(contender, figure), 2);
            let medians = json!({
                "cpu_us": of(|it| it.cpu_us),
                "cpu_us_at_rate": of(|it| it.cpu_us_at_rate),
                "busy": of(|it| it.busy),
                "requests_per_second": of(|it| it.requests_per_second),
                "p50_us": of(|it| it.p50_us),
                "p99_us": of(|it| it.p99_us),
                "others": of(|it| it.others),
                "version": contender.version(),
                "rounds": figures,
            });
            (contender.name().to_owned(), medians)
        });
        Map::from_iter([
            ("own_cores".to_owned(), self.split.into()),
            ("contenders".to_owned(), Value::Object(contenders.collect())),
        ])
    }

    /// `A_cpu_vs_B`, `A_rate_vs_B` and `A_p99_vs_B`: A's figure divided by B's,
    /// for A edgelb, by either door, and B any other proxy.
    fn ratios(&self) -> BTreeMap<String, f64> {
        const FIGURES: [(&str, Figure); 3] = [
            ("cpu", |it| it.cpu_us),
            ("rate", |it| it.requests_per_second),
            ("p99", |it| it.p99_us),
        ];
        let mut ratios = BTreeMap::new();
        for one in [
            Contender::Edgelb,
            Contender::EdgelbDecided,
            Contender::EdgelbWasiHttp,
        ] {
            for other in [
                Contender::Native,
                Contender::Nginx,
                Contender::Haproxy,
                Contender::Wasmtime,
            ] {
                for (what, figure) in FIGURES {
                    if let Some(ratio) = self.rounds.ratio(one, other, figure) {
                        let name = format!("{}_{what}_vs_{}", one.name(), other.name());
                        ratios.insert(name, ratio.median);
                    }
                }
            }
        }
        ratios
    }

    fn bars(&self) -> Vec<Bar> {
        let bar = |what, other, figure, bound| {
            Bar::of_ratio(what, self.edgelb_versus(other, figure), bound)
        };
        let cpu: Figure = |it| it.cpu_us;
        let of_cpu = [
            ("CPU a request, of plain Rust's", Contender::Native, 1.15),
            ("CPU a request, of nginx's", Contender::Nginx, 1.35),
        ];
        let of_cpu = of_cpu.map(|(what, other, most)| bar(what, other, cpu, Bound::AtMost(most)));
        let rate: Figure = |it| it.requests_per_second;
        let of_time = [
            (
                "rate, of nginx's",
                Contender::Nginx,
                rate,
                Bound::AtLeast(0.9),
            ),
            (
                "rate, of `wasmtime serve`'s",
                Contender::Wasmtime,
                rate,
                Bound::AtLeast(5.0),
            ),
            (
                "p99, of HAProxy's",
                Contender::Haproxy,
                |it| it.p99_us,
                Bound::AtMost(1.5),
            ),
        ];
        let of_time = of_time.map(|(what, other, figure, bound)| {
            let others = |contender| self.median(contender, |it| it.others);
            let most = others(Contender::Edgelb).max(others(other));
            Some(bar(what, other, figure, bound)?.beside(Some(most)))
        });
        of_cpu.into_iter().chain(of_time).flatten().collect()
    }

    fn table(&self) -> String {
        let rate = self.rate;
        let mut table = format!(
            "| proxy | CPU us/request | CPU vs plain Rust | CPU vs nginx | rate vs nginx \
             | p50 us at {rate}/s | p99 us at {rate}/s | requests/s | proxy busy | others |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        );
        for (contender, _) in self.rounds.iter() {
            let cell = |value: Option<f64>, digits: usize| match value {
                Some(value) if contender != Contender::Direct => format!("{value:.digits$}"),
                _ => "-".to_owned(),
            };
            let of = |figure| self.median(contender, figure);
            let versus = |other, figure: Figure| {
                let ratio = self.rounds.ratio(contender, other, figure);
                cell(ratio.map(|it| it.median), 2)
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {} | {:.2} |",
                contender.title(),
                cell(Some(of(|it| it.cpu_us)), 1),
                versus(Contender::Native, |it| it.cpu_us),
                versus(Contender::Nginx, |it| it.cpu_us),
                versus(Contender::Nginx, |it| it.requests_per_second),
                of(|it| it.p50_us),
                of(|it| it.p99_us),
                of(|it| it.requests_per_second),
                cell(Some(of(|it| it.busy)), 2),
                of(|it| it.others),
            );
        }
        table
    }
}
