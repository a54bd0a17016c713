//! Long bodies: throughput, processor time, and what they leave in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::{Options, progress};
use crate::contenders::{Contender, Running};
use crate::cores::Cores;
use crate::load::{download, upload};
use crate::machine::Watch;
use crate::report::{Bar, Bound, Findings, rounded};
use crate::rounds::{Rounds, alternate};
use crate::stage::Stage;

/// How long a body is.
const BYTES: u64 = 400_000_000;

const CONTENDERS: [Contender; 5] = [
    Contender::Direct,
    Contender::Nginx,
    Contender::Haproxy,
    Contender::Native,
    Contender::Edgelb,
];

/// One contender's figures of one round.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Figures {
    download: Transfer,
    upload: Transfer,
    /// How far its memory rose above what it was before the first body.
    growth_mib: f64,
    /// The share of the machine that others had.
    others: f64,
}

type Figure = fn(&Figures) -> f64;

/// A body on its way through.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Transfer {
    mb_per_second: f64,
    cpu_s_per_gb: f64,
    /// How much of a core the proxy used.
    busy: f64,
}

/// Everything measured.
pub(super) struct Bodies(Rounds<Contender, Figures>);

/// A contender, and its memory before the first body.
struct Contestant {
    running: Running,
    resident: u64,
}

pub(super) async fn run(options: &Options, cores: Cores) -> anyhow::Result<Bodies> {
    let stage = Stage::set(cores.split(1), options.connections())?;
    let _backends = stage.own()?;
    let mut contestants = Vec::new();
    for contender in options.contenders(&CONTENDERS) {
        let running = contender.start(&stage, 1)?;
        // What a first request takes is not the body's.
        download(running.addresses[0], 1).await?;
        upload(running.addresses[0], 1).await?;
        running.forget_peak()?;
        let resident = running.memory()?.now;
        contestants.push((contender, Contestant { running, resident }));
    }
    let rounds = alternate(options.rounds, contestants, async |round, contender, it| {
        let name = contender.name();
        let figures = turn(it)
            .await
            .with_context(|| format!("`{name}` in round {round}"))?;
        progress(format_args!(
            "bodies {round}/{}: {name}: {:.0} MB/s down, {:.0} MB/s up, {:.1} MiB more",
            options.rounds,
            figures.download.mb_per_second,
            figures.upload.mb_per_second,
            figures.growth_mib,
        ));
        Ok(figures)
    });
    Ok(Bodies(rounds.await?))
}

async fn turn(contestant: &Contestant) -> anyhow::Result<Figures> {
    let running = &contestant.running;
    let address = running.addresses[0];
    let watch = Watch::start()?;
    let begun = running.cpu_time()?;
    let down = download(address, BYTES).await?;
    let between = running.cpu_time()?;
    let up = upload(address, BYTES).await?;
    let ended = running.cpu_time()?;
    let growth = running.memory()?.peak.saturating_sub(contestant.resident);
    Ok(Figures {
        download: Transfer::new(down, between - begun),
        upload: Transfer::new(up, ended - between),
        growth_mib: growth as f64 / f64::from(1 << 20),
        others: watch.others()?,
    })
}

impl Transfer {
    fn new(elapsed: Duration, cpu: Duration) -> Self {
        Self {
            mb_per_second: BYTES as f64 / 1e6 / elapsed.as_secs_f64(),
            cpu_s_per_gb: cpu.as_secs_f64() / (BYTES as f64 / 1e9),
            busy: cpu.as_secs_f64() / elapsed.as_secs_f64(),
        }
    }
}

impl Findings for Bodies {
    fn document(&self) -> Map<String, Value> {
        let contenders = self.0.iter().map(|(contender, figures)| {
            let of =
                |figure: Figure| rounded(self.0.median(contender, figure).unwrap_or_default(), 3);
            let medians = json!({
                "download_mb_per_second": of(|it| it.download.mb_per_second),
                "download_cpu_s_per_gb": of(|it| it.download.cpu_s_per_gb),
                "upload_mb_per_second": of(|it| it.upload.mb_per_second),
                "upload_cpu_s_per_gb": of(|it| it.upload.cpu_s_per_gb),
                "growth_mib": rounded(self.growth(contender), 2),
                "rounds": figures,
            });
            (contender.name().to_owned(), medians)
        });
        Map::from_iter([("bodies".to_owned(), Value::Object(contenders.collect()))])
    }

    /// `edgelb_download_vs_B`, `edgelb_upload_vs_B`: throughput; with `_cpu`
    /// before `_vs`, processor time.
    fn ratios(&self) -> BTreeMap<String, f64> {
        let figures: [(&str, Figure); 4] = [
            ("download", |it| it.download.mb_per_second),
            ("download_cpu", |it| it.download.cpu_s_per_gb),
            ("upload", |it| it.upload.mb_per_second),
            ("upload_cpu", |it| it.upload.cpu_s_per_gb),
        ];
        let mut ratios = BTreeMap::new();
        for other in [Contender::Nginx, Contender::Haproxy, Contender::Native] {
            for (what, figure) in figures {
                if let Some(ratio) = self.0.ratio(Contender::Edgelb, other, figure) {
                    ratios.insert(format!("edgelb_{what}_vs_{}", other.name()), ratio.median);
                }
            }
        }
        ratios
    }

    fn bars(&self) -> Vec<Bar> {
        let versus_nginx = |what, figure: Figure| {
            let ratio = self.0.ratio(Contender::Edgelb, Contender::Nginx, figure);
            let bar = Bar::of_ratio(what, ratio, Bound::AtLeast(1.0))?;
            Some(bar.beside(self.0.median(Contender::Edgelb, |it| it.others)))
        };
        let growth = self.0.most(Contender::Edgelb, |it| it.growth_mib);
        let growth = growth.map(|figure| {
            let what = "MiB more memory for 400 MB bodies";
            Bar::new(what, figure, Bound::AtMost(32.0))
        });
        [
            versus_nginx("400 MB down, of nginx's rate", |it| {
                it.download.mb_per_second
            }),
            versus_nginx("400 MB up, of nginx's rate", |it| it.upload.mb_per_second),
            growth,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn table(&self) -> String {
        let mut table =
            "| 400 MB through | MB/s down | CPU s/GB | busy | MB/s up | CPU s/GB | busy \
             | MiB more memory |\n|---|--:|--:|--:|--:|--:|--:|--:|\n"
                .to_owned();
        for (contender, _) in self.0.iter() {
            let of = |figure: Figure| self.0.median(contender, figure).unwrap_or_default();
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} | {:.2} | {:.1} |",
                contender.title(),
                of(|it| it.download.mb_per_second),
                of(|it| it.download.cpu_s_per_gb),
                of(|it| it.download.busy),
                of(|it| it.upload.mb_per_second),
                of(|it| it.upload.cpu_s_per_gb),
                of(|it| it.upload.busy),
                self.growth(contender),
            );
        }
        table
    }
}

impl Bodies {
    /// Of all rounds together: what is left of one is there in the next.
    fn growth(&self, contender: Contender) -> f64 {
        let most = self.0.most(contender, |it| it.growth_mib);
        most.unwrap_or_default()
    }
}
