//! An edge runtime in a value: a component, its world, and `fetch`.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response};

use crate::body::Body;
use crate::cache::Cache;
use crate::clock::{Clock, TokioClock};
use crate::compiled::Compiler;
use crate::error::{ComponentError, EdgeError};
use crate::event::{self, Event, EventSink};
use crate::exchange::bindings::{EffectiveConfiguration, Scheme};
use crate::exchange::{Blueprint, Board, Client, Driver, Isolate};
use crate::metering::Metering;
use crate::patience::Patient;
use crate::progress::Progress;
use crate::upstream::{Client as HttpClient, Closures, IntoAnswer, Timeouts, Trust, Upstream};
use crate::wasi_http::{self, Service};

/// The door by which a component is driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// `edgelb:balancer/exchange`: the component decides, the host does the I/O.
    #[default]
    Exchange,
    /// `wasi:http/handler@0.3`: the component does its own I/O.
    WasiHttp,
}

/// The address a request comes from, as a request extension; without it the
/// component is told none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// What a simulation knows a request by, as a request extension: all that is
/// sent for it carries the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag(pub(crate) u64);

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

/// A running component: one isolate, and what it needs to do its work.
///
/// Isolates made of one another ([`Edge::another`]) share what they learn about
/// the backends, as the threads of one process do.
pub struct Edge {
    shared: Arc<Shared>,
    isolate: Running,
}

/// What the isolates of one edge have in common.
struct Shared {
    compiled: Arc<Compiled>,
    board: Arc<Board>,
    world: World,
    isolates: AtomicU64,
}

/// All that isolates know of what is around them.
struct World {
    upstream: Upstreams,
    clock: Arc<dyn Clock>,
    seed: u64,
    events: EventSink,
}

enum Compiled {
    Exchange {
        blueprint: Arc<Blueprint>,
        configuration: EffectiveConfiguration,
    },
    WasiHttp {
        blueprint: Arc<wasi_http::Blueprint>,
        configuration: Option<EffectiveConfiguration>,
    },
}

impl Compiled {
    fn configuration(&self) -> Option<&EffectiveConfiguration> {
        match self {
            Self::Exchange { configuration, .. } => Some(configuration),
            Self::WasiHttp { configuration, .. } => configuration.as_ref(),
        }
    }
}

enum Running {
    Exchange(Arc<Driver>),
    WasiHttp(Arc<Service>),
}

/// Where isolates get their connections from.
#[derive(Default)]
struct Upstreams {
    given: Option<Arc<dyn Upstream>>,
    closures: Closures,
    trust: Trust,
}

impl Edge {
    /// Starts to put one together.
    pub fn builder() -> EdgeBuilder {
        EdgeBuilder::default()
    }

    /// Answers a request, as the component decides. The authority is that of
    /// the URI, else the Host field; the client that of the [`Peer`] extension.
    pub async fn fetch<B: Into<Body>>(&self, request: Request<B>) -> Response<Body> {
        let request = request.map(Into::into);
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let client = Client {
            peer,
            ..Client::default()
        };
        self.answer(request, client, &Progress::default()).await
    }

    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        client: Client,
        progress: &Progress,
    ) -> Response<Body> {
        let request = request.map(|body| Patient::over(body, self.timeouts().idle));
        match &self.isolate {
            Running::Exchange(driver) => driver.fetch(request, client, progress).await,
            Running::WasiHttp(service) => service.fetch(request, client, progress).await,
        }
    }

    /// What the component made of its environment; `None` for a component
    /// that cannot tell.
    pub fn configuration(&self) -> Option<&EffectiveConfiguration> {
        self.shared.compiled.configuration()
    }

    /// How long the parts of an attempt may take.
    pub(crate) fn timeouts(&self) -> Timeouts {
        self.configuration().map(Timeouts::of).unwrap_or_default()
    }

    /// Another isolate of the same edge, with connections of its own.
    ///
    /// # Errors
    /// The component does not start again.
    pub fn another(&self) -> Result<Self, EdgeError> {
        Self::isolate(Arc::clone(&self.shared))
    }

    /// An edge of the same component and environment in another world: it
    /// shares the code with this one, and nothing that either learns.
    ///
    /// # Errors
    /// The component does not start again.
    pub(crate) fn elsewhere(
        &self,
        upstream: Arc<dyn Upstream>,
        clock: Arc<dyn Clock>,
        seed: u64,
        events: EventSink,
    ) -> Result<Self, EdgeError> {
        let upstream = Upstreams {
            given: Some(upstream),
            ..Upstreams::default()
        };
        let world = World {
            upstream,
            clock,
            seed,
            events,
        };
        Self::first(Arc::clone(&self.shared.compiled), world)
    }

    fn first(compiled: Arc<Compiled>, world: World) -> Result<Self, EdgeError> {
        Self::isolate(Arc::new(Shared {
            compiled,
            board: Arc::default(),
            world,
            isolates: AtomicU64::new(0),
        }))
    }

    fn isolate(shared: Arc<Shared>) -> Result<Self, EdgeError> {
        let upstream = shared.world.upstream.connect();
        let clock = Arc::clone(&shared.world.clock);
        // Isolates draw from sequences far apart.
        let number = shared.isolates.fetch_add(1, Ordering::Relaxed);
        let events = Arc::clone(&shared.world.events);
        let seed = shared.world.seed ^ number.wrapping_mul(0xD605_BBB5_8C8A_BC03);
        let isolate = match &*shared.compiled {
            Compiled::Exchange {
                blueprint,
                configuration,
            } => {
                let board = Arc::clone(&shared.board);
                let isolate = Isolate::new(Arc::clone(blueprint), board, events);
                let driver = Driver::new(isolate, configuration, upstream, clock, seed)?;
                Running::Exchange(Arc::new(driver))
            }
            Compiled::WasiHttp {
                blueprint,
                configuration,
            } => Running::WasiHttp(Service::start(
                Arc::clone(blueprint),
                upstream,
                configuration.as_ref(),
                clock,
                seed,
                events,
            )),
        };
        Ok(Self { shared, isolate })
    }
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

impl Upstreams {
    /// Whether there is somebody to trust, if connections will need it: better
    /// known now than by every request.
    fn check(&self, configuration: Option<&EffectiveConfiguration>) -> Result<(), EdgeError> {
        let real = self.given.is_none() && self.closures.is_empty();
        let mut backends = configuration.iter().flat_map(|it| &it.backends);
        if real && backends.any(|backend| backend.scheme == Scheme::Https) {
            self.trust.tls()?;
        }
        Ok(())
    }

    /// Closures and what was given serve all isolates; real connections are
    /// each isolate's own.
    fn connect(&self) -> Arc<dyn Upstream> {
        let given = self.given.clone();
        if self.closures.is_empty() {
            return given.unwrap_or_else(|| Arc::new(HttpClient::new(self.trust.clone())));
        }
        let mut closures = self.closures.clone();
        if let Some(given) = given {
            closures.or_else(given);
        }
        Arc::new(closures)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_goes_between_threads_and_so_do_its_answers() {
        fn sent<T: Send>(_: impl FnOnce(&'static Edge) -> T) {}
        fn shared<T: Send + Sync>() {}
        shared::<Edge>();
        sent(|edge| edge.fetch(Request::new(())));
    }
}
