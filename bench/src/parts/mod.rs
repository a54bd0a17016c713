//! What is measured, part by part.

mod bodies;
mod connections;
mod rates;
mod reuse;
mod threads;

use std::io::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::contenders::Contender;
use crate::cores::Cores;
use crate::load::Cookies;
use crate::report::Findings;

/// How long clients are served before it counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// How many connections a proxy may have, where they are few: HAProxy keeps
/// none to backends once a fifth of what it may have is in use.
const AMPLE: usize = 4096;

/// What to measure, and how thoroughly.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Parts, separated by commas; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) parts: Vec<Part>,
    /// How many times each contender has its turn.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// How long each measurement of a turn lasts, in seconds.
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

/// A part of the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Part {
    /// Small requests: CPU, rate, latency.
    Rates,
    /// 400 MB down and up.
    Bodies,
    /// Memory of many connections.
    Connections,
    /// Whether connections to backends are kept.
    Reuse,
    /// One thread and two.
    Threads,
}

impl Options {
    /// Those of some contenders that are to take part.
    fn contenders(&self, some: &[Contender]) -> Vec<Contender> {
        let chosen = |it: &Contender| self.only.is_empty() || self.only.contains(it);
        some.iter().copied().filter(chosen).collect()
    }

    /// How many connections a proxy must be able to hold: a turn's clients may
    /// come before the last ones' are all gone.
    fn connections(&self) -> usize {
        AMPLE.max(2 * usize::from(self.clients) + 64)
    }
}

/// Measures one part after the other.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Vec<Box<dyn Findings>>> {
    // Every client takes a descriptor, and what is started here may need as many.
    let limit = getrlimit(Resource::Nofile);
    let (current, maximum) = (limit.maximum, limit.maximum);
    setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    let all = Cores::shared()?;
    let parts = match options.parts.as_slice() {
        [] => Part::value_variants(),
        some => some,
    };
    let mut findings: Vec<Box<dyn Findings>> = Vec::new();
    for part in parts {
        findings.push(match part {
            Part::Rates => Box::new(rates::run(options, all).await?),
            Part::Bodies => Box::new(bodies::run(options, all).await?),
            Part::Connections => Box::new(connections::run(options, all).await?),
            Part::Reuse => Box::new(reuse::run(options, all).await?),
            Part::Threads => Box::new(threads::run(options, all).await?),
        });
    }
    Ok(findings)
}

/// Says how far it is.
fn progress(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn seconds(text: &str) -> Result<Duration, String> {
    let range = 0.1..=3600.0;
    let seconds = text.parse().ok().filter(|seconds| range.contains(seconds));
    let seconds: f64 = seconds.ok_or("expected a number from 0.1 to 3600")?;
    Ok(Duration::from_secs_f64(seconds))
}
