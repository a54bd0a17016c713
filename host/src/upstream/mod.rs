//! Towards the backends: real connections, or closures in their place.

mod backends;
mod client;
mod closures;
mod connect;
mod connection;
mod download;
mod pool;
mod stream;
mod trust;
mod upload;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode};

use crate::body::Body;
use crate::exchange::bindings::EffectiveConfiguration;
pub use crate::exchange::bindings::{Cause, Delivery};

pub(crate) use backends::{Backends, Destination, Outgoing};
pub use client::Client;
pub use closures::{Closures, IntoAnswer};
pub(crate) use download::BodyTimeout;
pub use trust::Trust;

/// How long the parts of an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To resolve, connect and shake hands.
    pub connect: Duration,
    /// From the request sent (or the last byte of its body taken) to the response head.
    pub first_byte: Duration,
    /// Between bytes of a body or tunnel.
    pub idle: Duration,
}

impl Timeouts {
    pub(crate) fn of(configuration: &EffectiveConfiguration) -> Self {
        let millis = Duration::from_millis;
        Self {
            connect: millis(configuration.connect_timeout),
            first_byte: millis(configuration.first_byte_timeout),
            idle: millis(configuration.idle_timeout),
        }
    }
}

/// Those of a balancer that is not told otherwise.
impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(300),
        }
    }
}

/// Why an attempt brought no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause:?} ({delivery:?})")]
pub struct SendError {
    /// Why.
    pub cause: Cause,
    /// Whether the backend can have received any of the request.
    pub delivery: Delivery,
    /// Whose doing it is.
    pub fault: Fault,
}

/// Whose doing a failure is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// The backend's, or the way there.
    #[default]
    Backend,
    /// Nobody's: the connection had served before and was closed under the
    /// request (RFC 9112 section 9.3.1).
    StaleConnection,
    /// The client's: its request body fell silent, broke off, or is malformed.
    Client,
}

impl SendError {
    /// No byte of the request was sent.
    pub const fn not_sent(cause: Cause) -> Self {
        Self {
            cause,
            delivery: Delivery::NotSent,
            fault: Fault::Backend,
        }
    }

    /// Some of the request may have been received.
    pub const fn maybe_sent(cause: Cause) -> Self {
        Self {
            cause,
            delivery: Delivery::MaybeSent,
            fault: Fault::Backend,
        }
    }
}

/// A response to come.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, SendError>> + Send>>;

/// Sends an interim response (RFC 9110 section 15.2) on its way.
pub(crate) type InterimSink = Arc<dyn Fn(StatusCode, &HeaderMap) + Send + Sync>;

/// Where interim responses go, as an extension of a request.
#[derive(Clone)]
pub(crate) struct Interim(pub(crate) InterimSink);

/// Whoever performs attempts. The request's URI is absolute.
pub trait Upstream: Send + Sync + 'static {
    /// Performs one attempt. Dropping the answer cancels it.
    fn send(self: Arc<Self>, request: Request<Body>, timeouts: Timeouts) -> Answer;
}
