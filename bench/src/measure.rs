//! The alternating run.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum as _;

use crate::contenders::{Contender, Running};
use crate::load::{Cookies, Load};
use crate::probe;
use crate::stage::Stage;
use crate::statistics::quantile;

/// How long clients are served before it counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// What to measure, and how thoroughly.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// How many times each contender has its turn.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// How long each of the two measurements of a turn lasts, in seconds.
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// How many clients there are, each with a connection and an address.
    #[arg(long, default_value = "32", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) clients: u16,
    /// Requests per second while latency is measured, all clients together.
    #[arg(long, default_value = "5000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Threads or workers of each proxy.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// What clients do with the session cookie.
    #[arg(long, value_enum, default_value = "keep")]
    pub(crate) cookies: Cookies,
    /// Contenders, separated by commas; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Contender>,
}

/// One contender's figures of one round.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Figures {
    /// Processor time of the proxy for each request, in microseconds.
    pub(crate) cpu_us: f64,
    /// The same at the constant rate, where fewer requests share a wake-up.
    pub(crate) cpu_us_at_rate: f64,
    /// How much of its cores the proxy used when saturated, 0 to 1. Well below
    /// 1, the load or the backends were the limit of `requests_per_second`.
    pub(crate) busy: f64,
    pub(crate) requests_per_second: f64,
    /// Latency at the constant rate, in microseconds.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Everything measured.
pub(crate) struct Results {
    pub(crate) options: Options,
    /// Whether the proxies had cores of their own.
    pub(crate) split: bool,
    /// Each contender's figures, one a round, in the order of the rounds.
    pub(crate) contenders: Vec<(Contender, Vec<Figures>)>,
}

/// Starts everybody, checks their work and measures them in turns.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Results> {
    let chosen = match options.only.as_slice() {
        [] => Contender::value_variants(),
        only => only,
    };
    let stage = Stage::set(options.threads.into(), options.clients.into())?;
    let mut running = Vec::new();
    for &contender in chosen {
        let started = contender.start(&stage)?;
        probe::check(contender, started.addresses[0])
            .with_context(|| format!("`{}` does not do its work", contender.name()))?;
        running.push((started, Vec::new()));
    }
    for round in 0..options.rounds {
        for (contender, figures) in &mut running {
            let name = contender.contender.name();
            let turn = turn(contender, options)
                .await
                .with_context(|| format!("`{name}` in round {}", round + 1))?;
            let _ = writeln!(
                std::io::stderr(),
                "round {}/{}: {name}: {:.1} us CPU a request, {:.0} requests/s, p50 {:.0} us, p99 {:.0} us",
                round + 1,
                options.rounds,
                turn.cpu_us,
                turn.requests_per_second,
                turn.p50_us,
                turn.p99_us,
            );
            figures.push(turn);
        }
        // Nobody always comes after the same one.
        running.rotate_left(1);
    }
    running.sort_by_key(|(running, _)| {
        let rank = |contender: &Contender| *contender == running.contender;
        chosen.iter().position(rank)
    });
    Ok(Results {
        options: options.clone(),
        split: stage.cores.split,
        contenders: running
            .into_iter()
            .map(|(running, figures)| (running.contender, figures))
            .collect(),
    })
}

/// One contender's turn: saturated, then at the constant rate.
async fn turn(running: &Running, options: &Options) -> anyhow::Result<Figures> {
    let clients = usize::from(options.clients);
    let mut load = Load::connect(&running.addresses, clients, options.cookies).await?;
    load.saturate(WARM_UP).await?;

    let begun = cpu_time(running)?;
    let saturated = load.saturate(options.duration).await?;
    let between = cpu_time(running)?;
    let mut offered = load.offer(options.rate, options.duration).await?;
    let ended = cpu_time(running)?;
    running.empty_log()?;

    let used = (between - begun).as_secs_f64();
    let elapsed = saturated.elapsed.as_secs_f64();
    let mut latencies: Vec<f64> = offered
        .latencies
        .drain(..)
        .map(|latency| latency.as_secs_f64() * 1e6)
        .collect();
    Ok(Figures {
        cpu_us: used * 1e6 / saturated.requests as f64,
        cpu_us_at_rate: (ended - between).as_secs_f64() * 1e6 / offered.requests as f64,
        busy: used / elapsed / f64::from(options.threads),
        requests_per_second: saturated.requests as f64 / elapsed,
        p50_us: quantile(&mut latencies, 0.5),
        p99_us: quantile(&mut latencies, 0.99),
    })
}

fn cpu_time(running: &Running) -> anyhow::Result<Duration> {
    match &running.process {
        Some(process) => process.cpu_time(),
        None => Ok(Duration::ZERO),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let range = 0.1..=3600.0;
    let seconds = text.parse().ok().filter(|seconds| range.contains(seconds));
    let seconds: f64 = seconds.ok_or("expected a number from 0.1 to 3600")?;
    Ok(Duration::from_secs_f64(seconds))
}
