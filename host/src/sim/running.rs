//! A run that is lived in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;

use super::location::Site;
use super::run::{Run, Simulation};
use super::talk::{all, blank, conclude, head};
use super::trace::{End, Trace};
use super::world::{REQUEST_ID, Received, World, assert_count, of_backend};
use crate::body::{Body, BodyError};

/// A run that a test lives in, on its own paused tokio runtime.
pub struct Running {
    simulation: Simulation,
    seed: u64,
    world: Arc<World>,
    sites: Arc<[Site]>,
    groups: JoinSet<()>,
    requests: AtomicU64,
}

impl Running {
    pub(super) fn new(
        simulation: Simulation,
        seed: u64,
        world: Arc<World>,
        sites: Arc<[Site]>,
        groups: JoinSet<()>,
    ) -> Self {
        Self {
            simulation,
            seed,
            world,
            sites,
            groups,
            // Those of clients come before.
            requests: AtomicU64::new(1 << 62),
        }
    }

    /// Answers a request at the first location, and reads the response whole.
    ///
    /// # Errors
    /// The response breaks off, or the component does not start.
    pub async fn fetch(
        &self,
        request: Request<impl Into<Body>>,
    ) -> Result<Response<Bytes>, BodyError> {
        self.fetch_at(0, request).await
    }

    /// Answers a request at the location of this index.
    ///
    /// # Errors
    /// The response breaks off, the component does not start, or there is no
    /// such location.
    pub async fn fetch_at(
        &self,
        location: usize,
        request: Request<impl Into<Body>>,
    ) -> Result<Response<Bytes>, BodyError> {
        let mut request = request.map(Into::into);
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        request
            .headers_mut()
            .insert(REQUEST_ID, HeaderValue::from(id));
        let world = &self.world;
        let site = self
            .sites
            .get(location)
            .ok_or("there is no such location")?;
        let mut dice = world.dice.of("fetch", id);
        let mut exchange = blank(
            id,
            world.millis(),
            location,
            None,
            request.method().clone(),
            None,
        );
        exchange.repeatable = request.headers().contains_key("idempotency-key");
        world.open(exchange);
        let response = match site.fetch(id, request, &mut dice).await {
            Ok(response) => response,
            Err(error) => {
                conclude(world, id, End::Broken);
                return Err(error.into());
            }
        };
        let (parts, body) = response.into_parts();
        head(world, id, parts.status, &parts.headers);
        match body.collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                world.update(id, |exchange| exchange.bytes = body.len() as u64);
                conclude(world, id, End::Whole);
                Ok(Response::from_parts(parts, body))
            }
            Err(error) => {
                conclude(world, id, End::Broken);
                Err(error)
            }
        }
    }

    /// How long the run has gone.
    pub fn elapsed(&self) -> Duration {
        self.world.now()
    }

    /// What happened so far.
    pub fn trace(&self) -> Trace {
        self.world.trace()
    }

    /// Lets this much time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The requests that a backend has received so far, in order.
    ///
    /// # Panics
    /// There is no such backend, or what it receives is not kept
    /// ([`Scenario::keep_requests`](super::Scenario)).
    #[track_caller]
    pub fn requests(&self, backend: &str) -> Vec<Received> {
        let received = self.world.received();
        let of_it = of_backend(&self.world.scenario, &received, backend);
        of_it.into_iter().cloned().collect()
    }

    /// Asserts how many requests a backend has received so far.
    ///
    /// # Panics
    /// They are not so many; the message lists them. Or as [`Self::requests`].
    #[track_caller]
    pub fn assert_received(&self, backend: &str, count: usize) {
        let received = self.world.received();
        let of_it = of_backend(&self.world.scenario, &received, backend);
        assert_count(&of_it, backend, count);
    }

    /// Lets the clients come to their end.
    pub async fn finish(mut self) -> Run {
        all(&mut self.groups).await;
        let (trace, received) = self.world.take();
        self.simulation.run_of(self.seed, trace, received)
    }
}
