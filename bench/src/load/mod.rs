//! The load: clients with an address, a connection and a cookie each.

mod client;
mod pace;
mod transfer;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;

use client::Client;
pub(crate) use client::{Cookies, Varying};
use pace::Pace;
pub(crate) use transfer::{download, upload};

/// How long past its end a measurement may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connect at a time: fewer than wait to be accepted anywhere.
const AT_ONCE: usize = 200;

/// Clients, connected.
pub(crate) struct Load(Vec<Client>);

/// What came of a stretch of load. Every response counted was a 200.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) requests: usize,
    pub(crate) elapsed: Duration,
    /// How long each request took: in an open loop, from when it was due.
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    /// Connects clients, spread over the addresses.
    pub(crate) async fn connect(
        addresses: &[SocketAddr],
        clients: usize,
        cookies: Cookies,
        varying: Varying,
    ) -> anyhow::Result<Self> {
        let clients: Vec<_> = (0..clients).zip(addresses.iter().cycle()).collect();
        let mut connected = Vec::with_capacity(clients.len());
        for some in clients.chunks(AT_ONCE) {
            let some = some.iter();
            let some =
                some.map(|&(number, &address)| Client::connect(number, address, cookies, varying));
            connected.extend(try_join_all(some).await?);
        }
        Ok(Self(connected))
    }

    /// Each sends one request, a few at a time, and awaits the response.
    pub(crate) async fn once(&mut self) -> anyhow::Result<()> {
        for some in self.0.chunks_mut(AT_ONCE) {
            let some = try_join_all(some.iter_mut().map(Client::once));
            let in_time = tokio::time::timeout(PATIENCE, some).await;
            in_time.context("responses are missing")??;
        }
        Ok(())
    }

    /// Sends as fast as responses come: what can be served at most.
    pub(crate) async fn saturate(&mut self, duration: Duration) -> anyhow::Result<Outcome> {
        self.run(&Pace::closed(duration), duration).await
    }

    /// Sends at a constant rate whatever comes back: how long clients wait.
    ///
    /// Each request is timed from the moment it was due, and one that had to
    /// wait for those before it has waited: nothing is left out because the
    /// server was slow (coordinated omission).
    pub(crate) async fn offer(
        &mut self,
        per_second: u32,
        duration: Duration,
    ) -> anyhow::Result<Outcome> {
        self.run(&Pace::open(per_second, duration)?, duration).await
    }

    async fn run(&mut self, pace: &Pace, duration: Duration) -> anyhow::Result<Outcome> {
        let begun = Instant::now();
        let clients = self.0.iter_mut().map(|client| client.run(pace));
        let latencies = tokio::time::timeout(duration + PATIENCE, try_join_all(clients))
            .await
            .context("responses are missing")??;
        let latencies = latencies.concat();
        if latencies.is_empty() {
            bail!("there was no response at all");
        }
        Ok(Outcome {
            requests: latencies.len(),
            elapsed: begun.elapsed(),
            latencies,
        })
    }
}
