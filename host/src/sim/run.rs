//! Simulations, and what comes of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use super::backend::{Handler, Model};
use super::builder::SimulationBuilder;
use super::clients::Group;
use super::laws::{self, Law, Violation};
use super::location::{Site, Starter};
use super::replay::{Cast, RECORDED, Recording, RecordingError, Visitors};
use super::running::Running;
use super::scenario::{Scenario, ScenarioError};
use super::summary::Summary;
use super::trace::{Names, Trace};
use super::virtual_time::{in_virtual_time, is_virtual};
use super::world::{Received, World, assert_count, of_backend};
use crate::error::EdgeError;
use crate::exchange::bindings::EffectiveConfiguration;

/// A scenario, and the component to run in it.
#[derive(Clone)]
pub struct Simulation {
    pub(super) scenario: Arc<Scenario>,
    pub(super) handlers: BTreeMap<String, Handler>,
    pub(super) starter: Starter,
    pub(super) configuration: Option<Arc<EffectiveConfiguration>>,
    /// Whether the component tells of ejections.
    pub(super) tells: bool,
    pub(super) authorities: BTreeMap<String, usize>,
    /// The recording that is played again, if one is.
    pub(super) cast: Option<Arc<Cast>>,
    pub(super) pulse: Arc<AtomicU64>,
}

/// Why there is no simulation.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The scenario contradicts itself.
    #[error(transparent)]
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
    /// The laws it was checked for: fewer of a component that cannot tell its
    /// configuration, or of ejections.
    pub laws: &'static [Law],
    /// How it broke them.
    pub violations: Vec<Violation>,
    pub(crate) received: Vec<Received>,
    pub(crate) scenario: Arc<Scenario>,
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
        let scenario = Scenario {
            duration: Duration::ZERO,
            ..Scenario::new("")
        };
        Self::of(scenario).replay(recording)
    }

    /// Starts with this one.
    pub fn of(scenario: Scenario) -> SimulationBuilder {
        SimulationBuilder::new(scenario)
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
        assert!(
            is_virtual(),
            "a simulation needs a paused tokio runtime of one thread: \
             #[tokio::test(start_paused = true)]"
        );
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
        Running::new(self.clone(), seed, world, sites, groups)
    }

    /// What came of a run.
    pub(super) fn run_of(&self, seed: u64, trace: Trace, received: Vec<Received>) -> Run {
        let configuration = self.configuration.as_deref();
        Run {
            seed,
            summary: Summary::of(&trace, &self.scenario),
            laws: laws::checked(configuration.is_some(), self.tells),
            violations: laws::check(&trace, &self.scenario, configuration, self.tells),
            trace,
            received,
            scenario: Arc::clone(&self.scenario),
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

impl Run {
    /// Whether all that is expected came of it, and no law was broken.
    pub fn passed(&self, scenario: &Scenario) -> bool {
        self.violations.is_empty() && self.summary.unmet(scenario).is_empty()
    }

    /// The requests that a backend received, in order.
    ///
    /// # Panics
    /// There is no such backend, or what it receives is not kept
    /// ([`Scenario::keep_requests`]).
    #[track_caller]
    pub fn requests(&self, backend: &str) -> Vec<&Received> {
        of_backend(&self.scenario, &self.received, backend)
    }

    /// Asserts how many requests a backend received.
    ///
    /// # Panics
    /// They are not so many; the message lists them. Or as [`Self::requests`].
    #[track_caller]
    pub fn assert_received(&self, backend: &str, count: usize) {
        assert_count(&self.requests(backend), backend, count);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;
    use crate::sim::{Backend, Clients, Fault, FaultKind, Latency};

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

    #[tokio::test]
    #[should_panic(expected = "start_paused")]
    async fn real_time_is_refused() {
        dying().start();
    }
}
