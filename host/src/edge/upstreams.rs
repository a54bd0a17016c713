//! Where isolates get their connections from.

use std::sync::Arc;

use crate::error::EdgeError;
use crate::exchange::bindings::{EffectiveConfiguration, Scheme};
use crate::upstream::{Backends, Client, Closures, Trust, Upstream};

/// Where isolates get their connections from.
#[derive(Default)]
pub(super) struct Upstreams {
    pub(super) given: Option<Arc<dyn Upstream>>,
    pub(super) closures: Closures,
    pub(super) trust: Trust,
}

impl Upstreams {
    /// Whether there is somebody to trust, if connections will need it: better
    /// known now than by every request.
    pub(super) fn check(
        &self,
        configuration: Option<&EffectiveConfiguration>,
    ) -> Result<(), EdgeError> {
        let real = self.given.is_none() && self.closures.is_empty();
        let mut backends = configuration.iter().flat_map(|it| &it.backends);
        if real && backends.any(|backend| backend.scheme == Scheme::Https) {
            self.trust.tls()?;
        }
        Ok(())
    }

    /// Closures and what was given serve all isolates; real connections are
    /// each isolate's own.
    pub(super) fn connect(&self) -> Backends {
        let given = self.given.clone();
        if self.closures.is_empty() {
            let real = || Backends::Real(Arc::new(Client::new(self.trust.clone())));
            return given.map_or_else(real, Backends::Given);
        }
        let mut closures = self.closures.clone();
        if let Some(given) = given {
            closures.or_else(given);
        }
        Backends::Given(Arc::new(closures))
    }
}
