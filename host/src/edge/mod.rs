//! An edge runtime in a value: a component, its world, and `fetch`.

mod builder;
mod upstreams;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response};

use crate::body::Body;
use crate::clock::Clock;
use crate::error::EdgeError;
use crate::event::EventSink;
use crate::exchange::bindings::EffectiveConfiguration;
use crate::exchange::{Blueprint, Board, Client, Driver, Isolate, Reusable};
use crate::message::{PackedRequest, PackedResponse};
use crate::patience::Patient;
use crate::progress::Progress;
use crate::upstream::{Timeouts, Upstream};
use crate::wasi_http::{self, Service};

pub use builder::EdgeBuilder;
use upstreams::Upstreams;

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

/// A running component: one isolate, and what it needs to do its work.
///
/// Isolates made of one another ([`Edge::another`]) share what they learn about
/// the backends, as the threads of one process do.
pub struct Edge {
    shared: Arc<Shared>,
    isolate: Running,
}

/// A client that comes again: by the exchange door, what it repeats of a request
/// without a body is not decided again, as on connections that [`Server`](crate::Server)
/// serves.
pub struct ClientConnection<'a> {
    edge: &'a Edge,
    reusable: Reusable,
}

impl ClientConnection<'_> {
    /// Answers a request, as [`Edge::fetch`] does.
    pub async fn fetch<B: Into<Body>>(&mut self, request: Request<B>) -> Response<Body> {
        let request = request.map(Into::into);
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let client = Client {
            peer,
            ..Client::default()
        };
        let (reusable, progress) = (&mut self.reusable, Progress::default());
        let answer = self
            .edge
            .answer(request.into(), client, reusable, &progress);
        answer.await.into()
    }
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

impl Edge {
    /// Starts to put one together.
    pub fn builder() -> EdgeBuilder {
        EdgeBuilder::default()
    }

    /// Answers a request, as the component decides. The authority is that of
    /// the URI, else the Host field; the client that of the [`Peer`] extension.
    pub async fn fetch<B: Into<Body>>(&self, request: Request<B>) -> Response<Body> {
        self.connection().fetch(request).await
    }

    /// For requests that come one after the other from the same client.
    pub fn connection(&self) -> ClientConnection<'_> {
        ClientConnection {
            edge: self,
            reusable: Reusable::default(),
        }
    }

    pub(crate) async fn answer(
        &self,
        mut request: PackedRequest,
        client: Client,
        reusable: &mut Reusable,
        progress: &Progress,
    ) -> PackedResponse {
        request.body = Patient::over(request.body, self.timeouts().idle);
        match &self.isolate {
            Running::Exchange(driver) => driver.fetch(request, client, reusable, progress).await,
            Running::WasiHttp(service) => {
                service.fetch(request.into(), client, progress).await.into()
            }
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
        let backends = shared.world.upstream.connect();
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
                let driver = Driver::new(isolate, configuration, backends, clock, seed)?;
                Running::Exchange(Arc::new(driver))
            }
            Compiled::WasiHttp {
                blueprint,
                configuration,
            } => Running::WasiHttp(Service::start(
                Arc::clone(blueprint),
                backends.upstream(),
                configuration.as_ref(),
                clock,
                seed,
                events,
            )),
        };
        Ok(Self { shared, isolate })
    }
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
