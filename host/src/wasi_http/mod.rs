//! The standard door: `wasi:http/handler@0.3`.

use std::sync::Arc;

use http::{Request, Response, StatusCode};

use crate::body::Body;
use crate::clock::Clock;
use crate::error::ComponentError;
use crate::exchange::{Answer, Client};
use crate::upstream::{Timeouts, Upstream};

/// A compiled component and the environment its instances see.
pub(crate) struct Blueprint;

impl Blueprint {
    /// Compiles the component.
    pub(crate) fn new(
        _bytes: &[u8],
        _environment: Vec<(String, String)>,
    ) -> Result<Self, ComponentError> {
        Ok(Self)
    }
}

/// One isolate of a component that does its own I/O.
pub(crate) struct Service;

impl Service {
    /// An isolate whose instance starts with its first request.
    pub(crate) fn start(
        _blueprint: Arc<Blueprint>,
        _upstream: Arc<dyn Upstream>,
        _timeouts: Timeouts,
        _clock: Arc<dyn Clock>,
        _seed: u64,
    ) -> Arc<Self> {
        Arc::new(Self)
    }

    /// Answers a request.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        _request: Request<Body>,
        _client: Client,
    ) -> Answer {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
        Answer {
            response,
            backend: None,
            attempts: 0,
        }
    }
}
