//! Connections to backends: kept under steady load, and not stormed when a
//! backend dies.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::{Options, WARM_UP, progress};
use crate::backend::{Backend, Got};
use crate::contenders::{Contender, Running};
use crate::cores::Cores;
use crate::load::{Load, Varying};
use crate::report::{Bar, Bound, Findings, rounded};
use crate::stage::Stage;

/// How long a proxy leaves a backend alone that failed: less than usual, so that
/// its return can be waited for.
const DOWN_TIME: Duration = Duration::from_secs(1);
/// How long the backend is away: longer than that, so that a trial fails.
const OUTAGE: Duration = Duration::from_millis(1500);
/// How long it is watched before, and how long after.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_millis(2500);

/// Everything measured.
pub(super) struct Reuse {
    clients: u16,
    steady: Vec<(Contender, Got)>,
    outages: Vec<(Contender, Outage)>,
}

/// Connections opened because a backend died, every client always waiting for
/// a response.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Outage {
    /// To the others, while it was away.
    to_others: u64,
    /// To it, when it was back.
    to_returned: u64,
    /// To the others, when it was back.
    to_others_afterwards: u64,
}

pub(super) async fn run(options: &Options, cores: Cores) -> anyhow::Result<Reuse> {
    let mut reuse = Reuse {
        clients: options.clients,
        steady: Vec::new(),
        outages: Vec::new(),
    };
    let cores = cores.split(1);
    let stage = Stage::set(cores, options.connections())?;
    let backends = stage.own()?;
    for contender in options.contenders(&[
        Contender::Nginx,
        Contender::Haproxy,
        Contender::Native,
        Contender::Edgelb,
    ]) {
        let name = contender.name();
        let running = contender.start(&stage, 1)?;
        let got = steady(&running, &backends, options)
            .await
            .with_context(|| format!("connections of `{name}`"))?;
        progress(format_args!("reuse: {name}: {got:?}"));
        reuse.steady.push((contender, got));
    }
    drop(backends);
    drop(stage);

    let mut stage = Stage::set(cores, options.connections())?;
    stage.down_time = Some(DOWN_TIME);
    // HAProxy would wait a second before it tries another backend.
    for contender in options.contenders(&[Contender::Nginx, Contender::Edgelb]) {
        let name = contender.name();
        let running = contender.start(&stage, 1)?;
        let outage = outage(&running, &stage, options)
            .await
            .with_context(|| format!("`{name}`, one backend dead"))?;
        progress(format_args!("reuse: {name}: {outage:?}"));
        reuse.outages.push((contender, outage));
    }
    Ok(reuse)
}

/// What backends get, first saturated, then at the constant rate.
async fn steady(running: &Running, backends: &[Backend], options: &Options) -> anyhow::Result<Got> {
    let mut load = connect(running, options).await?;
    load.saturate(WARM_UP).await?;
    let before: Got = backends.iter().map(Backend::got).sum();
    load.saturate(options.duration).await?;
    load.offer(options.rate, options.duration).await?;
    let after: Got = backends.iter().map(Backend::got).sum();
    Ok(after - before)
}

/// Kills a backend under load and starts it again. Every client gets its
/// responses all the while, or it is an error.
async fn outage(running: &Running, stage: &Stage, options: &Options) -> anyhow::Result<Outage> {
    let mut backends = stage.own()?;
    let mut load = connect(running, options).await?;
    load.saturate(WARM_UP).await?;
    let script = async {
        sleep(BEFORE).await;
        let address = stage.backends[0];
        let killed = backends.swap_remove(0);
        let before: Got = backends.iter().map(Backend::got).sum();
        if killed.got().requests == 0 {
            bail!("`{address}` had nothing to do");
        }
        drop(killed);
        sleep(OUTAGE).await;
        let back: Got = backends.iter().map(Backend::got).sum();
        let returned = Backend::start(address)?;
        sleep(AFTER).await;
        let after: Got = backends.iter().map(Backend::got).sum();
        if returned.got().requests == 0 {
            bail!("`{address}` is back and has nothing to do");
        }
        Ok(Outage {
            to_others: (back - before).connections,
            to_returned: returned.got().connections,
            to_others_afterwards: (after - back).connections,
        })
    };
    // It ends first, so that nobody misses the backends.
    let load = load.saturate(BEFORE + OUTAGE + AFTER - Duration::from_millis(200));
    let (_, outage) = tokio::try_join!(load, script)?;
    Ok(outage)
}

async fn connect(running: &Running, options: &Options) -> anyhow::Result<Load> {
    let clients = options.clients.into();
    Load::connect(
        &running.addresses,
        clients,
        options.cookies,
        Varying::Target,
    )
    .await
}

/// The share of requests that went by a connection which was there, in percent.
fn kept(got: &Got) -> f64 {
    100.0 * (1.0 - got.connections as f64 / got.requests as f64)
}

impl Reuse {
    fn outage(&self, contender: Contender) -> Option<&Outage> {
        let mut all = self.outages.iter();
        all.find_map(|(it, outage)| (*it == contender).then_some(outage))
    }
}

impl Findings for Reuse {
    fn document(&self) -> Map<String, Value> {
        let contenders = self.steady.iter().map(|(contender, got)| {
            let value = json!({
                "requests": got.requests,
                "connections": got.connections,
                "kept_percent": rounded(kept(got), 3),
                "outage": self.outage(*contender),
            });
            (contender.name().to_owned(), value)
        });
        Map::from_iter([("reuse".to_owned(), Value::Object(contenders.collect()))])
    }

    /// `A_reuse`: the share of requests that went by a kept connection.
    fn ratios(&self) -> BTreeMap<String, f64> {
        let all = self.steady.iter();
        all.map(|(it, got)| (format!("{}_reuse", it.name()), kept(got) / 100.0))
            .collect()
    }

    fn bars(&self) -> Vec<Bar> {
        let mut steady = self.steady.iter();
        let steady = steady.find(|(it, _)| *it == Contender::Edgelb);
        let steady = steady.map(|(_, got)| {
            let what = "% of requests on kept connections";
            Bar::new(what, kept(got), Bound::AtLeast(99.5))
        });
        let outage = self.outage(Contender::Edgelb).map(|outage| {
            let what = "connections to the others while a backend is dead";
            // One for each client that may be waiting.
            let most = f64::from(self.clients);
            Bar::new(what, outage.to_others as f64, Bound::AtMost(most))
        });
        steady.into_iter().chain(outage).collect()
    }

    fn table(&self) -> String {
        let mut table = "| to the backends | requests | connections opened | % on a kept one \
             | opened to others in an outage | to the one that is back | to others then |\n\
             |---|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
        for (contender, got) in &self.steady {
            let outage = match self.outage(*contender) {
                Some(outage) => format!(
                    "{} | {} | {}",
                    outage.to_others, outage.to_returned, outage.to_others_afterwards
                ),
                None => "- | - | -".to_owned(),
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "| {} | {} | {} | {:.2} | {outage} |",
                contender.title(),
                got.requests,
                got.connections,
                kept(got),
            );
        }
        table
    }
}
