//! What an instance's store holds, and what of WASI the guest is given.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use http::uri::{Authority, Scheme};
use http::{HeaderName, Uri};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView,
    WasiHttpHooks, WasiHttpView,
};

use super::body::Fate;
use super::charge::Charges;
use super::clock::WasiClock;
use super::fields;
use super::outgoing::{Attempt, Sending};
use super::stderr::Stderr;
use super::ticket::Ticket;
use crate::clock::Clock;
use crate::event::EventSink;
use crate::exchange::bindings::{self, Backend, EffectiveConfiguration};
use crate::memory::MemoryLimit;
use crate::metering::Grant;
use crate::upstream::{Timeouts, Upstream};

/// Where a backend is.
type Origin = (Scheme, Authority);

/// What the instances of an isolate have in common.
pub(super) struct World {
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) timeouts: Timeouts,
    backends: Vec<Origin>,
    clock: Arc<dyn Clock>,
    seed: AtomicU64,
    events: EventSink,
}

/// The data of an instance's store.
pub(super) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(super) hooks: Hooks,
    pub(super) table: ResourceTable,
    pub(super) memory: MemoryLimit,
    /// The requests that the guest is at work on, by the task that answers each.
    /// It may go on after it has answered; the id of one that ended is used again.
    pub(super) tickets: HashMap<GuestTaskId, Weak<Ticket>>,
    pub(super) charges: Charges,
    pub(super) fate: Arc<Fate>,
}

/// The host's say in `wasi:http`.
pub(super) struct Hooks {
    world: Arc<World>,
    /// For which request the guest is sending, as long as it takes to say so.
    pub(super) sender: Option<Arc<Ticket>>,
    /// Whether a body was met that is the host's own, and does without the guest:
    /// only of these `wasmtime-wasi-http` filters the trailers.
    pub(super) met_own_body: bool,
}

impl World {
    pub(super) fn new(
        upstream: Arc<dyn Upstream>,
        configuration: Option<&EffectiveConfiguration>,
        clock: Arc<dyn Clock>,
        seed: u64,
        events: EventSink,
    ) -> Self {
        let backends = configuration.iter().flat_map(|it| &it.backends);
        Self {
            upstream,
            timeouts: configuration.map(Timeouts::of).unwrap_or_default(),
            // What is no authority is no request's.
            backends: backends.filter_map(origin).collect(),
            clock,
            seed: AtomicU64::new(seed),
            events,
        }
    }

    /// Index of the backend that a request goes to, if it is one of the
    /// configuration's.
    pub(super) fn backend(&self, uri: &Uri) -> Option<u32> {
        let (scheme, authority) = (uri.scheme()?, uri.authority()?);
        let is_meant = |origin: &Origin| (&origin.0, &origin.1) == (scheme, authority);
        let index = self.backends.iter().position(is_meant)?;
        u32::try_from(index).ok()
    }

    /// The hooks of an instance in this world.
    pub(super) fn hooks(self: &Arc<Self>) -> Hooks {
        Hooks {
            world: Arc::clone(self),
            sender: None,
            met_own_body: false,
        }
    }

    /// The data of a new instance in this world: with this environment, the
    /// edge's clock and dice, what it writes to standard error told as events; without arguments,
    /// files, sockets and standard output.
    pub(super) fn guest(self: &Arc<Self>, environment: &[(String, String)], grant: Grant) -> Guest {
        // An instance does not repeat what its predecessor drew.
        let mut dice = StdRng::seed_from_u64(self.seed.fetch_add(1, Ordering::Relaxed));
        let wasi = WasiCtxBuilder::new()
            .envs(environment)
            .stderr(Stderr::new(Arc::clone(&self.events)))
            .wall_clock(WasiClock(Arc::clone(&self.clock)))
            .monotonic_clock(WasiClock(Arc::clone(&self.clock)))
            .insecure_random_seed(rand::RngExt::random(&mut dice))
            .insecure_random(StdRng::from_rng(&mut dice))
            .secure_random(dice)
            .build();
        Guest {
            wasi,
            http: WasiHttpCtx::new(),
            hooks: self.hooks(),
            table: ResourceTable::new(),
            memory: MemoryLimit::new(grant),
            tickets: HashMap::new(),
            charges: Charges::default(),
            fate: Arc::default(),
        }
    }
}

fn origin(backend: &Backend) -> Option<Origin> {
    let scheme = match backend.scheme {
        bindings::Scheme::Http => Scheme::HTTP,
        bindings::Scheme::Https => Scheme::HTTPS,
    };
    Some((scheme, backend.authority.parse().ok()?))
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        fields::is_hidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        self.met_own_body = true;
        fields::filter()
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        // How the guest fares with the response is its own affair.
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        let attempt = Attempt::new(&self.world, options, self.sender.take());
        Box::new(attempt.perform(request))
    }
}
