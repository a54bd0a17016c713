//! What exchanges are driven by.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::uri::Scheme as UriScheme;

use super::bindings::{Backend, BodyEnd, EffectiveConfiguration, Scheme, Tail};
use super::conversation::Exchange;
use super::isolate::Isolate;
use super::replay::Replay;
use super::reuse::{Relevant, Reusable};
use crate::clock::Clock;
use crate::edits::Edits;
use crate::error::EdgeError;
use crate::lines;
use crate::message::{PackedRequest, PackedResponse};
use crate::metering::Spent;
use crate::progress::Progress;
use crate::upstream::{Backends, Destination, InterimSink, Timeouts};

/// Where a request comes from.
#[derive(Clone, Default)]
pub(crate) struct Client {
    /// The address at the other end of its connection.
    pub(crate) peer: Option<IpAddr>,
    /// Takes interim responses, if the client can.
    pub(crate) interim: Option<InterimSink>,
}

/// Runs exchanges: one isolate and the connections to do what it says.
pub(crate) struct Driver {
    pub(super) isolate: Isolate,
    /// In order of the configuration.
    pub(super) destinations: Vec<Destination>,
    /// To the responses of which the policy said before what to do with them.
    pub(super) ordinary: Vec<Arc<Edits>>,
    pub(super) relevant: Relevant,
    pub(super) timeouts: Timeouts,
    pub(super) backends: Backends,
    pub(super) clock: Arc<dyn Clock>,
    seed: AtomicU64,
}

impl Driver {
    /// A driver for what the isolate decides.
    ///
    /// # Errors
    /// The component names a backend that is no authority.
    pub(crate) fn new(
        isolate: Isolate,
        configuration: &EffectiveConfiguration,
        backends: Backends,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Result<Self, EdgeError> {
        let destinations = configuration.backends.iter().map(|backend| {
            let scheme = match backend.scheme {
                Scheme::Http => UriScheme::HTTP,
                Scheme::Https => UriScheme::HTTPS,
            };
            let authority = backend.authority.parse().map_err(|error| {
                let Backend {
                    name, authority, ..
                } = backend;
                EdgeError::Configuration(vec![format!(
                    "BACKEND_{name}: `{authority}` is no authority: {error}"
                )])
            })?;
            Ok(backends.destination(scheme, authority))
        });
        Ok(Self {
            isolate,
            destinations: destinations.collect::<Result<_, EdgeError>>()?,
            ordinary: (configuration.ordinary.iter().cloned())
                .map(|edits| Arc::new(Edits::read(edits)))
                .collect(),
            relevant: Relevant::new(&configuration.relevant),
            timeouts: Timeouts::of(configuration),
            backends,
            clock,
            seed: AtomicU64::new(seed),
        })
    }

    /// Answers a request; its client's connection may have a plan for it, and gets one
    /// for the next.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        request: PackedRequest,
        client: Client,
        reusable: &mut Reusable,
        progress: &Progress,
    ) -> PackedResponse {
        let mut exchange = Exchange {
            driver: self,
            size: lines::size(&request.body),
            method: request.method,
            target: request.uri.path_and_query().cloned(),
            lines: request.lines,
            body: Replay::new(request.body),
            client,
            tag: request.extensions.get().copied(),
            spent: Spent::default(),
            progress,
        };
        exchange.run(reusable).await
    }

    /// A forwarded body ended before its end.
    pub(super) fn finish(&self, tail: Tail, end: BodyEnd) {
        self.isolate.finish(tail, end, self.clock.now());
    }

    /// SplitMix64: a sequence that repeats from its seed.
    pub(super) fn next_seed(&self) -> u64 {
        let state = self
            .seed
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
