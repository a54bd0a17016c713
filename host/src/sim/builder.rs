//! Simulations in the making.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use super::backend::{Handler, handler};
use super::location::{Birth, Runtime, Starter};
use super::replay::{Recording, cast};
use super::run::{Simulation, SimulationError};
use super::scenario::{
    Backend, Clients, DEFAULT_LOCATION, Fault, Location, Scenario, ScenarioError,
};
use super::virtual_time::in_virtual_time;
use crate::edge::{Door, Edge, EdgeBuilder};
use crate::error::EdgeError;
use crate::metering::Metering;
use crate::upstream::{Closures, IntoAnswer};

/// Puts a [`Simulation`] together.
pub struct SimulationBuilder {
    scenario: Scenario,
    handlers: BTreeMap<String, Handler>,
    edge: EdgeBuilder,
    door: Door,
    starter: Option<Starter>,
    recording: Option<Recording>,
}

impl SimulationBuilder {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            handlers: BTreeMap::new(),
            edge: Edge::builder(),
            door: Door::default(),
            starter: None,
            recording: None,
        }
    }

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
    /// No request is made after the scenario's duration; a duration of zero, as
    /// [`Simulation::replay`] begins with, stands for that of the recording.
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
    pub fn build(mut self) -> Result<Simulation, SimulationError> {
        let mut scenario = self.scenario;
        if scenario.locations.is_empty() {
            scenario.locations.push(Location::new(DEFAULT_LOCATION));
        }
        if let Some(recording) = &mut self.recording {
            recording.furnish(&mut scenario);
            recording.end_after(scenario.duration);
            scenario.validate_until(Some(scenario.duration))?;
        } else {
            scenario.validate()?;
        }
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
        let mut unknown = Vec::new();
        for configured in configuration.iter().flat_map(|it| &it.backends) {
            let mut backends = scenario.backends.iter();
            match backends.position(|it| it.name == configured.name) {
                Some(index) => drop(authorities.insert(configured.authority.clone(), index)),
                None => unknown.push(configured.name.as_str()),
            }
        }
        if !unknown.is_empty() {
            return Err(without_model(&unknown).into());
        }
        let cast = match self.recording.map(Arc::new) {
            None => None,
            Some(recording) => {
                let configuration = configuration.as_deref();
                let cast = || cast(recording, &scenario, &authorities, &starter, configuration);
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

/// What is to become of requests to these, nothing says.
fn without_model(names: &[&str]) -> ScenarioError {
    let told = names.iter().map(|name| {
        format!(
            "environment: BACKEND_{name}: there is no backend `{name}` in the scenario \
             (for one whose name does not resolve, give it a fault of kind `dns`)"
        )
    });
    ScenarioError::Contradiction(told.collect())
}

fn authority(backend: &Backend) -> String {
    let usual = || format!("{}.test", backend.name.to_ascii_lowercase());
    backend.authority.clone().unwrap_or_else(usual)
}
