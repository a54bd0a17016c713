//! Memory: of connections in use, and of many that are idle.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::{AMPLE, Options, progress};
use crate::contenders::Contender;
use crate::cores::Cores;
use crate::load::{Load, Varying};
use crate::report::{Bar, Bound, Findings, rounded};
use crate::stage::Stage;

/// How many connections are in use at a time.
const BUSY: usize = 512;
/// How many connections are idle.
const IDLE: usize = 10_000;

/// Memory of one contender.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Figures {
    /// Before the first connection, in bytes.
    before: u64,
    /// The most there was while connections were in use, in bytes.
    busy: u64,
    /// With connections that have made one request each and are idle, in
    /// bytes; `None` where a process may not have the descriptors.
    idle: Option<u64>,
}

/// Everything measured.
pub(super) struct Connections(Vec<(Contender, Figures)>);

/// Each is started for each of the two, as memory that was once in use stays,
/// and before: edgelb's first start of all compiles the component.
pub(super) async fn run(options: &Options, cores: Cores) -> anyhow::Result<Connections> {
    let contenders = options.contenders(&[
        Contender::Nginx,
        Contender::Haproxy,
        Contender::Native,
        Contender::Edgelb,
    ]);
    let mut all = Vec::new();
    for contender in contenders {
        let name = contender.name();
        let figures = measure(contender, options, cores)
            .await
            .with_context(|| format!("memory of `{name}`"))?;
        progress(format_args!(
            "connections: {name}: {:.1} MiB with {BUSY} in use, {:.1} with {IDLE} idle",
            mib(figures.busy),
            mib(figures.idle.unwrap_or_default()),
        ));
        all.push((contender, figures));
    }
    Ok(Connections(all))
}

async fn measure(contender: Contender, options: &Options, cores: Cores) -> anyhow::Result<Figures> {
    let (before, busy) = busy(contender, options, cores).await?;
    // It refuses to start where it could not connect to a backend for each.
    let idle = if contender == Contender::Haproxy {
        None
    } else {
        Some(idle(contender, options, cores).await?)
    };
    Ok(Figures { before, busy, idle })
}

/// Memory before there is a connection, and at most while there are some.
async fn busy(contender: Contender, options: &Options, cores: Cores) -> anyhow::Result<(u64, u64)> {
    let stage = Stage::set(cores.split(1), AMPLE)?;
    let _backends = stage.nginx()?;
    drop(contender.start(&stage, 1)?);
    let running = contender.start(&stage, 1)?;
    running.forget_peak()?;
    let before = running.memory()?.now;
    let mut load =
        Load::connect(&running.addresses, BUSY, options.cookies, Varying::Target).await?;
    load.saturate(options.duration).await?;
    Ok((before, running.memory()?.peak))
}

async fn idle(contender: Contender, options: &Options, cores: Cores) -> anyhow::Result<u64> {
    let stage = Stage::set(cores.split(1), IDLE + 64)?;
    let _backends = stage.nginx()?;
    let running = contender.start(&stage, 1)?;
    let mut load =
        Load::connect(&running.addresses, IDLE, options.cookies, Varying::Target).await?;
    // The second brings the session of the first, and may be kept to compare others with.
    load.once().await?;
    load.once().await?;
    Ok(running.memory()?.now)
}

impl Figures {
    /// What one connection takes, in KiB.
    fn each(&self, with: u64, connections: usize) -> f64 {
        with.saturating_sub(self.before) as f64 / 1024.0 / connections as f64
    }
}

impl Findings for Connections {
    fn document(&self) -> Map<String, Value> {
        let contenders = self.0.iter().map(|(contender, figures)| {
            let idle = figures.idle;
            let value = json!({
                "before_mib": rounded(mib(figures.before), 2),
                "busy": BUSY,
                "busy_mib": rounded(mib(figures.busy), 2),
                "busy_kib_each": rounded(figures.each(figures.busy, BUSY), 2),
                "idle": IDLE,
                "idle_mib": idle.map(|it| rounded(mib(it), 2)),
                "idle_kib_each": idle.map(|it| rounded(figures.each(it, IDLE), 2)),
            });
            (contender.name().to_owned(), value)
        });
        Map::from_iter([(
            "connections".to_owned(),
            Value::Object(contenders.collect()),
        )])
    }

    fn ratios(&self) -> BTreeMap<String, f64> {
        BTreeMap::new()
    }

    fn bars(&self) -> Vec<Bar> {
        let edgelb = self.0.iter().find(|(it, _)| *it == Contender::Edgelb);
        let Some((_, figures)) = edgelb else {
            return Vec::new();
        };
        let bar = |what, bytes, most| Bar::new(what, mib(bytes), Bound::AtMost(most));
        let busy = bar("MiB with 512 connections in use", figures.busy, 64.0);
        let idle = figures
            .idle
            .map(|bytes| bar("MiB with 10,000 idle connections", bytes, 160.0));
        [busy].into_iter().chain(idle).collect()
    }

    fn table(&self) -> String {
        let mut table = format!(
            "| resident MiB | before | {BUSY} in use | KiB each | {IDLE} idle | KiB each |\n\
             |---|--:|--:|--:|--:|--:|\n"
        );
        for (contender, figures) in &self.0 {
            let (idle, idle_each) = match figures.idle {
                Some(bytes) => (
                    format!("{:.1}", mib(bytes)),
                    format!("{:.1}", figures.each(bytes, IDLE)),
                ),
                None => ("-".to_owned(), "-".to_owned()),
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {} | {:.1} | {:.1} | {:.1} | {idle} | {idle_each} |",
                contender.title(),
                mib(figures.before),
                mib(figures.busy),
                figures.each(figures.busy, BUSY),
            );
        }
        table
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
