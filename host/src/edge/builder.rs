//! Edges in the making.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use http::Request;

use super::upstreams::Upstreams;
use super::{Compiled, Door, Edge, World};
use crate::body::Body;
use crate::cache::Cache;
use crate::clock::{Clock, TokioClock};
use crate::compiled::Compiler;
use crate::error::{ComponentError, EdgeError};
use crate::event::{self, Event, EventSink};
use crate::exchange::Blueprint;
use crate::exchange::bindings::EffectiveConfiguration;
use crate::metering::Metering;
use crate::upstream::{IntoAnswer, Trust, Upstream};
use crate::wasi_http;

/// Where a component comes from.
#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    Embedded,
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Puts an [`Edge`] together. Every part has a default: the embedded
/// component, an empty environment, real connections, real time, a random seed.
#[derive(Default)]
pub struct EdgeBuilder {
    source: Source,
    door: Door,
    environment: Vec<(String, String)>,
    upstream: Upstreams,
    clock: Option<Arc<dyn Clock>>,
    seed: Option<u64>,
    events: Option<EventSink>,
    compiler: Compiler,
}

impl EdgeBuilder {
    /// Runs this component instead of the embedded one.
    #[must_use]
    pub fn component(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.source = Source::Bytes(bytes.into());
        self
    }

    /// Runs the component in this file (binary) instead of the embedded one.
    #[must_use]
    pub fn component_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.source = Source::File(path.into());
        self
    }

    /// Drives it by this door; default [`Door::Exchange`].
    #[must_use]
    pub fn door(mut self, door: Door) -> Self {
        self.door = door;
        self
    }

    /// Adds a variable to the environment the component sees. It sees no other.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Adds variables to the environment the component sees.
    #[must_use]
    pub fn envs(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Answers requests to this authority with a closure, in this process.
    /// Once there is one, no real connection is made: other authorities do not
    /// resolve.
    #[must_use]
    pub fn backend<F, R>(mut self, authority: &str, backend: F) -> Self
    where
        F: Fn(Request<Body>) -> R + Send + Sync + 'static,
        R: Future<Output: IntoAnswer> + Send + 'static,
    {
        self.upstream.closures.insert(authority, backend);
        self
    }

    /// Performs all attempts by this; closures come before it.
    #[must_use]
    pub fn upstream(mut self, upstream: Arc<dyn Upstream>) -> Self {
        self.upstream.given = Some(upstream);
        self
    }

    /// Whom real connections to https backends trust; default the system's roots.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.upstream.trust = trust;
        self
    }

    /// The component's time; default [`TokioClock`], virtual on a paused runtime.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The component's randomness; default of the process's own.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Hears of ejections, trials, recoveries, lost instances and what the
    /// component writes to its standard error, as they happen. Without it, that
    /// goes to this process's standard error.
    #[must_use]
    pub fn on_event(mut self, sink: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = Some(Arc::new(sink));
        self
    }

    /// Keeps compiled components in this directory, which must be this user's
    /// alone to write to, and takes them from there; default none. What cannot
    /// be read or written there is compiled.
    #[must_use]
    pub fn cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.compiler.cache = Some(Cache::new(directory));
        self
    }

    /// How the component's processor time is measured, and what it is granted.
    #[must_use]
    pub(crate) fn metering(mut self, metering: Metering) -> Self {
        self.compiler.metering = metering;
        self
    }

    /// Compiles the component, starts its first isolate and asks it for its
    /// configuration.
    ///
    /// # Errors
    /// The component cannot be used, or refuses its configuration; or backends
    /// are https, and there is nobody to trust.
    pub fn build(self) -> Result<Edge, EdgeError> {
        let embedded = matches!(self.source, Source::Embedded);
        let bytes = match self.source {
            Source::Embedded => match self.door {
                Door::Exchange => edgelb_artifacts::BALANCER.to_vec(),
                Door::WasiHttp => edgelb_artifacts::EDGELB.to_vec(),
            },
            Source::Bytes(bytes) => bytes,
            Source::File(path) => {
                std::fs::read(&path).map_err(|error| ComponentError::Read { path, error })?
            }
        };
        let compiled = match self.door {
            Door::Exchange => {
                let blueprint = Arc::new(Blueprint::new(&bytes, self.environment, &self.compiler)?);
                Compiled::Exchange {
                    configuration: ask(&blueprint)?,
                    blueprint,
                }
            }
            Door::WasiHttp => {
                // The policy is the same by either door, but by this one it cannot be asked.
                let configuration = if embedded {
                    let environment = self.environment.clone();
                    let bytes = edgelb_artifacts::BALANCER;
                    let policy = Blueprint::new(bytes, environment, &self.compiler)?;
                    Some(ask(&policy)?)
                } else {
                    None
                };
                let blueprint =
                    wasi_http::Blueprint::new(&bytes, self.environment, &self.compiler)?;
                Compiled::WasiHttp {
                    blueprint: Arc::new(blueprint),
                    configuration,
                }
            }
        };
        self.upstream.check(compiled.configuration())?;
        let world = World {
            upstream: self.upstream,
            clock: self.clock.unwrap_or_else(|| Arc::new(TokioClock::new())),
            seed: self.seed.unwrap_or_else(random),
            events: self.events.unwrap_or_else(event::unheard),
        };
        Edge::first(Arc::new(compiled), world)
    }
}

/// Asks the policy for its configuration.
fn ask(blueprint: &Blueprint) -> Result<EffectiveConfiguration, EdgeError> {
    blueprint
        .configuration()
        .map_err(ComponentError::Start)?
        .map_err(EdgeError::Configuration)
}

/// 64 bits of the process's randomness.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
