//! Runs edgelb's components: a host to serve with, and an embeddable edge
//! runtime to test with.

mod body;
mod clock;
mod edge;
mod error;
mod exchange;
mod headers;
mod metering;
mod upstream;
mod wasi_http;

pub use body::{Body, BodyError};
pub use clock::{Clock, TokioClock};
pub use edge::{Door, Edge, EdgeBuilder, Peer};
pub use error::{ComponentError, EdgeError};
pub use exchange::bindings::{Backend, EffectiveConfiguration, Ejection, Event, Scheme, Setting};
pub use upstream::{
    Answer, Cause, Client, Closures, Delivery, Fault, IntoAnswer, SendError, Timeouts, Trust,
    Upstream,
};
