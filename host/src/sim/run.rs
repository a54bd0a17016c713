//! Simulations: put together, run to their end, or lived in by a test.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;

use super::backend::{Handler, Model, handler};
use super::clients::{Group, blank, conclude, head};
use super::laws::{self, Violation};
use super::location::{Birth, Runtime, Site, Starter};
use super::replay::{Cast, RECORDED, Recording, RecordingError, Visitors, cast};
use super::scenario::{Backend, Clients, Fault, Location, Scenario, ScenarioError};
use super::summary::Summary;
use super::trace::{End, Names, Trace};
use super::world::{REQUEST_ID, Received, World};
use crate::body::{Body, BodyError};
use crate::edge::{Door, Edge, EdgeBuilder};
use crate::error::EdgeError;
use crate::exchange::bindings::EffectiveConfiguration;
use crate::metering::Metering;
use crate::upstream::{Closures, IntoAnswer};

/// A scenario, and the component to run in it.
#[derive(Clone)]
pub struct Simulation {
    scenario: Arc<Scenario>,
    handlers: BTreeMap<String, Handler>,
    starter: Starter,
    configuration: Option<Arc<EffectiveConfiguration>>,
    /// Whether the component tells of ejections.
    tells: bool,
    authorities: BTreeMap<String, usize>,
    /// The recording that is played again, if one is.
    cast: Option<Arc<Cast>>,
    pulse: Arc<AtomicU64>,
}

/// Puts a [`Simulation`] together.
pub struct SimulationBuilder {
    scenario: Scenario,
    handlers: BTreeMap<String, Handler>,
    edge: EdgeBuilder,
    door: Door,
    starter: Option<Starter>,
    recording: Option<Recording>,
}

/// Why there is no simulation.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The scenario contradicts itself.
    #[error("{0}")]
    Scenario(#[from] ScenarioError),
    /// The recording cannot be played.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The component cannot be used, or refuses its configuration.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The system does not give what a runtime needs.
    #[error("there is no runtime to be had: {0}")]
    Runtime(std::io::Error),
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The seed it had.
    pub seed: u64,
    /// All that happened.
    pub trace: Trace,
    /// What it comes to.
    pub summary: Summary,
    /// The laws it broke.
    pub violations: Vec<Violation>,
    pub(crate) received: Vec<Received>,
}

/// A run that a test lives in, on its own paused tokio runtime.
pub struct Running {
    seed: u64,
    configuration: Option<Arc<EffectiveConfiguration>>,
    tells: bool,
    world: Arc<World>,
    sites: Arc<[Site]>,
    groups: JoinSet<()>,
    requests: AtomicU64,
}

impl Simulation {
    /// Starts with an empty scenario.
    pub fn builder() -> SimulationBuilder {
        let scenario = Scenario {
            keep_requests: true,
            ..Scenario::new("")
        };
        Self::of(scenario)
    }

    /// Starts with the traffic of this recording, among the backends and with
    /// the settings that it was recorded with.
    pub fn replay(recording: Recording) -> SimulationBuilder {
        Self::of(Scenario::new("")).replay(recording)
    }

    /// Starts with this one.
    pub fn of(scenario: Scenario) -> SimulationBuilder {
        SimulationBuilder {
            scenario,
            handlers: BTreeMap::new(),
            edge: Edge::builder(),
            door: Door::default(),
            starter: None,
            recording: None,
        }
    }

    /// What is simulated.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// What is played again, if anything is.
    pub fn recording(&self) -> Option<&Recording> {
        self.cast.as_ref().map(|cast| &*cast.recording)
    }

    /// What the component made of its environment, where it can tell.
    pub fn configuration(&self) -> Option<&EffectiveConfiguration> {
        self.configuration.as_deref()
    }

    /// How far the run is that is under way, of the scenario's duration; of
    /// several at once, any of them.
    pub fn progress(&self) -> Duration {
        Duration::from_millis(self.pulse.load(Ordering::Relaxed))
    }

    /// Runs to the end, with the scenario's seed.
    ///
    /// # Errors
    /// There is no runtime to be had.
    pub fn run(&self) -> Result<Run, SimulationError> {
        self.run_seed(self.scenario.seed)
    }

    /// Runs to the end with this seed, in virtual time, on a thread of its own.
    ///
    /// # Errors
    /// There is no runtime to be had.
    pub fn run_seed(&self, seed: u64) -> Result<Run, SimulationError> {
        in_virtual_time(|| self.start_seed(seed).finish())
    }

    /// Starts on the tokio runtime of the caller, with the scenario's seed.
    ///
    /// # Panics
    /// The runtime is not a paused one of a single thread, as
    /// `#[tokio::test(start_paused = true)]` makes it.
    pub fn start(&self) -> Running {
        self.start_seed(self.scenario.seed)
    }

    fn start_seed(&self, seed: u64) -> Running {
        let scenario = &self.scenario;
        let models = scenario.backends.iter().map(|backend| {
            let handler = self.handlers.get(&backend.name).cloned();
            Model::new(backend.clone(), handler)
        });
        let world = Arc::new(World::new(
            Arc::clone(scenario),
            seed,
            names(scenario, self.cast.is_some()),
            self.authorities.clone(),
            models.collect(),
            self.cast.clone(),
            Arc::clone(&self.pulse),
        ));
        let started = Arc::new(Mutex::new(0));
        let backends = self.backends();
        let sites: Arc<[Site]> = (0..scenario.locations.len())
            .map(|index| {
                Site::new(
                    Arc::clone(&world),
                    index,
                    Arc::clone(&self.starter),
                    Arc::clone(&backends),
                    Arc::clone(&started),
                )
            })
            .collect();
        let mut groups = JoinSet::new();
        for index in 0..scenario.clients.len() {
            let group = Group::new(Arc::clone(&world), Arc::clone(&sites), index);
            groups.spawn(Arc::new(group).run());
        }
        if let Some(cast) = &self.cast {
            let cast = Arc::clone(cast);
            let visitors = Visitors::new(Arc::clone(&world), Arc::clone(&sites), cast);
            groups.spawn(Arc::new(visitors).run());
        }
        Running {
            seed,
            configuration: self.configuration.clone(),
            tells: self.tells,
            world,
            sites,
            groups,
            requests: AtomicU64::new(1 << 62),
        }
    }

    /// The same component in another scenario of the same backends and environment.
    pub(crate) fn with(&self, scenario: Scenario) -> Self {
        Self {
            scenario: Arc::new(scenario),
            ..self.clone()
        }
    }

    /// The component's backends, as indices of the scenario's.
    fn backends(&self) -> Arc<[usize]> {
        let named = |name: &str| {
            let mut backends = self.scenario.backends.iter();
            backends.position(|backend| backend.name == name)
        };
        match &self.configuration {
            Some(configuration) => (configuration.backends.iter())
                .map(|backend| named(&backend.name).unwrap_or(usize::MAX))
                .collect(),
            None => (0..self.scenario.backends.len()).collect(),
        }
    }
}

/// Runs on a paused tokio runtime, on a thread of its own: one that runs a
/// runtime already cannot run another.
fn in_virtual_time<T: Send, F: Future<Output = T>>(
    start: impl FnOnce() -> F + Send,
) -> Result<T, SimulationError> {
    let run = || -> Result<T, SimulationError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(SimulationError::Runtime)?;
        Ok(runtime.block_on(async { start().await }))
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(run);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn names(scenario: &Scenario, recorded: bool) -> Names {
    Names {
        locations: scenario
            .locations
            .iter()
            .map(|it| it.name.clone())
            .collect(),
        backends: scenario.backends.iter().map(|it| it.name.clone()).collect(),
        // Those of a recording come after.
        clients: (scenario.clients.iter().map(|it| it.name.clone()))
            .chain(recorded.then(|| RECORDED.to_owned()))
            .collect(),
    }
}

impl SimulationBuilder {
    /// Where all chance comes from; default 1.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.scenario.seed = seed;
        self
    }

    /// How long clients make requests; default a minute.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.scenario.duration = duration;
        self
    }

    /// Runs this component instead of the embedded one.
    #[must_use]
    pub fn component(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.edge = self.edge.component(bytes);
        self
    }

    /// Drives it by this door; default [`Door::Exchange`].
    #[must_use]
    pub fn door(mut self, door: Door) -> Self {
        self.door = door;
        self
    }

    /// Runs what this starts in the place of the component's isolates. The
    /// configuration is still the component's to judge.
    #[must_use]
    pub fn runtime(
        mut self,
        start: impl Fn(Birth) -> Result<Arc<dyn Runtime>, EdgeError> + Send + Sync + 'static,
    ) -> Self {
        self.starter = Some(Arc::new(start));
        self
    }

    /// Adds a variable to the environment the component sees.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.scenario.environment.insert(name.into(), value.into());
        self
    }

    /// Adds a location.
    #[must_use]
    pub fn location(mut self, location: Location) -> Self {
        self.scenario.locations.push(location);
        self
    }

    /// Adds a backend that answers by its model.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.scenario.backends.push(backend);
        self
    }

    /// Adds a backend whose answers a closure makes; all else is the model's.
    #[must_use]
    pub fn backend_with<F, R>(mut self, backend: Backend, closure: F) -> Self
    where
        F: Fn(Request<Bytes>) -> R + Send + Sync + 'static,
        R: Future<Output: IntoAnswer> + Send + 'static,
    {
        self.handlers.insert(backend.name.clone(), handler(closure));
        self.backend(backend)
    }

    /// Adds a group of clients.
    #[must_use]
    pub fn clients(mut self, clients: Clients) -> Self {
        self.scenario.clients.push(clients);
        self
    }

    /// Adds something that goes wrong.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.scenario.faults.push(fault);
        self
    }

    /// Plays this again: its requests, each when it was made, and backends that
    /// answer as they did. Environment and backends are those of the recording
    /// where the scenario says nothing else; its clients and faults come on top.
    #[must_use]
    pub fn replay(mut self, recording: Recording) -> Self {
        self.recording = Some(recording);
        self
    }

    /// Changes the scenario in any other way.
    #[must_use]
    pub fn scenario(mut self, change: impl FnOnce(&mut Scenario)) -> Self {
        change(&mut self.scenario);
        self
    }

    /// Compiles the component and asks it for its configuration.
    ///
    /// # Errors
    /// The scenario contradicts itself; or the component cannot be used, or
    /// refuses its configuration.
    pub fn build(self) -> Result<Simulation, SimulationError> {
        let mut scenario = self.scenario;
        if let Some(recording) = &self.recording {
            recording.furnish(&mut scenario);
        }
        if scenario.locations.is_empty() {
            scenario.locations.push(Location::new("edge"));
        }
        scenario.validate().map_err(SimulationError::Scenario)?;
        for backend in &scenario.backends {
            let variable = format!("BACKEND_{}", backend.name);
            let authority = authority(backend);
            let value = scenario.environment.entry(variable);
            value.or_insert_with(|| format!("http://{authority}"));
        }
        let mut authorities: BTreeMap<_, _> = (scenario.backends.iter().enumerate())
            .map(|(index, backend)| (authority(backend), index))
            .collect();
        let edge = self
            .edge
            .door(self.door)
            .envs(scenario.environment.clone())
            .upstream(Arc::new(Closures::new()))
            .metering(Metering::Fuel(scenario.limits.effective().grant()))
            .build()?;
        let configuration = edge.configuration().cloned().map(Arc::new);
        let starter = self.starter.unwrap_or_else(|| starter(edge));
        for configured in configuration.iter().flat_map(|it| &it.backends) {
            let mut backends = scenario.backends.iter();
            if let Some(index) = backends.position(|it| it.name == configured.name) {
                authorities.insert(configured.authority.clone(), index);
            }
        }
        let cast = match self.recording.map(Arc::new) {
            None => None,
            Some(recording) => {
                let cast = || cast(recording, &scenario, &authorities, &starter);
                Some(Arc::new(in_virtual_time(cast)??))
            }
        };
        Ok(Simulation {
            cast,
            scenario: Arc::new(scenario),
            handlers: self.handlers,
            starter,
            configuration,
            tells: self.door == Door::Exchange,
            authorities,
            pulse: Arc::default(),
        })
    }
}

/// Starts isolates that share the code of this edge.
fn starter(edge: Edge) -> Starter {
    Arc::new(move |birth: Birth| {
        let isolate = edge.elsewhere(birth.upstream, birth.clock, birth.seed, birth.events)?;
        Ok(Arc::new(isolate) as Arc<dyn Runtime>)
    })
}

fn authority(backend: &Backend) -> String {
    let usual = || format!("{}.test", backend.name.to_ascii_lowercase());
    backend.authority.clone().unwrap_or_else(usual)
}

impl Running {
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
        let method = request.method().clone();
        world.open(blank(id, world.millis(), location, None, method, None));
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
    pub fn requests(&self, backend: &str) -> Vec<Received> {
        of_backend(&self.world.scenario, self.world.received(), backend)
    }

    /// Lets the clients come to their end.
    pub async fn finish(mut self) -> Run {
        while self.groups.join_next().await.is_some() {}
        let (trace, received) = self.world.take();
        Run {
            seed: self.seed,
            summary: Summary::of(&trace, &self.world.scenario),
            violations: laws::check(
                &trace,
                &self.world.scenario,
                self.configuration.as_deref(),
                self.tells,
            ),
            trace,
            received,
        }
    }
}

impl Run {
    /// Whether all that is expected came of it, and no law was broken.
    pub fn passed(&self, scenario: &Scenario) -> bool {
        self.violations.is_empty() && self.summary.unmet(scenario).is_empty()
    }

    /// The requests that a backend received, in order.
    pub fn requests(&self, backend: &str) -> Vec<&Received> {
        let index = self
            .trace
            .names
            .backends
            .iter()
            .position(|it| it == backend);
        (self.received.iter())
            .filter(|received| Some(received.backend) == index)
            .collect()
    }
}

fn of_backend(scenario: &Scenario, received: Vec<Received>, backend: &str) -> Vec<Received> {
    let index = scenario.backends.iter().position(|it| it.name == backend);
    let of_it = |it: &Received| Some(it.backend) == index;
    received.into_iter().filter(of_it).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;
    use crate::sim::{FaultKind, Latency};

    fn dying() -> Simulation {
        let clients = Clients {
            count: 50.try_into().unwrap(),
            ..Clients::at_rate("viewers", 20.0)
        };
        let latency = Latency::LogNormal {
            median: Duration::from_millis(40),
            p99: Duration::from_millis(300),
        };
        let backend = |name: &str| Backend {
            latency,
            ..Backend::new(name)
        };
        Simulation::builder()
            .backend(backend("A"))
            .backend(backend("B"))
            .duration(Duration::from_secs(600))
            .clients(clients)
            .fault(
                Fault::new(FaultKind::Down, "A")
                    .at(Duration::from_secs(120))
                    .lasting(Duration::from_secs(200)),
            )
            .scenario(|it| it.keep_requests = false)
            .build()
            .unwrap()
    }

    #[test]
    fn whoever_is_passed_over_is_seen_by_nobody() {
        let run = dying().run().unwrap();
        assert_eq!(run.summary.failures, 0);
        assert!(run.summary.ejections > 0);
    }

    #[test]
    fn equal_seeds_give_equal_traces() {
        let simulation = dying();
        let first = simulation.run_seed(3).unwrap().trace.to_jsonl();
        assert_eq!(simulation.run_seed(3).unwrap().trace.to_jsonl(), first);
        assert_ne!(simulation.run_seed(4).unwrap().trace.to_jsonl(), first);
    }
}
