//! Runs edgelb's components: a host to serve with, and an embeddable edge
//! runtime to test with.
//!
//! An [`Edge`] holds the very component that ships and gives it a world: an
//! environment, backends that are real or closures, a clock, a seed.
//! [`Edge::fetch`] answers a request without a socket; [`Server`] puts the same
//! edge on one.
//!
//! ```
//! use edgelb_host::http::{Request, Response};
//! use edgelb_host::{Body, Cause, Edge, SendError};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let edge = Edge::builder()
//!     .env("BACKEND_ONE", "http://one.test")
//!     .env("BACKEND_TWO", "http://two.test")
//!     .backend("one.test", |_| async { Response::new("hello from one") })
//!     .backend("two.test", |_| async {
//!         Err::<Response<Body>, _>(SendError::not_sent(Cause::ConnectionRefused))
//!     })
//!     .build()?;
//!
//! // Whichever of the two this client is hashed to: one that refuses is passed over.
//! let response = edge.fetch(Request::get("http://lb.test/").body(())?).await;
//! assert_eq!(response.status(), 200);
//! let body = response.into_body().bytes().await.map_err(|error| error.to_string())?;
//! assert_eq!(body, "hello from one");
//! # Ok(())
//! # }
//! ```
//!
//! On a paused tokio runtime (`#[tokio::test(start_paused = true)]`) the
//! component lives in virtual time: its timeouts and ejections pass as fast as
//! the test goes.
//!
//! | by default | unless |
//! |---|---|
//! | the embedded component | [`EdgeBuilder::component`], [`EdgeBuilder::component_file`] |
//! | `edgelb:balancer/exchange` | [`EdgeBuilder::door`] |
//! | no environment | [`EdgeBuilder::env`], [`EdgeBuilder::envs`] |
//! | real connections, the system's roots | [`EdgeBuilder::backend`], [`EdgeBuilder::upstream`], [`EdgeBuilder::trust`] |
//! | wall time, by tokio's clock | [`EdgeBuilder::clock`] |
//! | a random seed | [`EdgeBuilder::seed`] |

mod body;
mod cache;
mod clock;
mod compiled;
mod edge;
mod edits;
mod error;
mod event;
mod exchange;
mod headers;
mod http1;
mod lines;
mod memory;
mod message;
mod metering;
mod patience;
mod progress;
mod recording;
mod refusal;
mod serve;
pub mod sim;
mod tape;
mod ticker;
mod tunnel;
mod upstream;
mod wasi_http;

pub use body::{Body, BodyError};
pub use cache::usual_directory as usual_cache_directory;
pub use clock::{Clock, TokioClock};
pub use edge::{ClientConnection, Door, Edge, EdgeBuilder, Peer};
pub use error::{ComponentError, EdgeError};
pub use event::{Ejection, Event};
pub use exchange::bindings::{Backend, EffectiveConfiguration, Scheme, Setting};
pub use serve::{
    AccessLog, AppendError, LogFormat, LogWriter, Recorder, ServeOptions, Server,
    raise_descriptor_limit,
};
pub use tunnel::{Connection, Tunnel};
pub use upstream::{
    Answer, Cause, Client, Closures, Delivery, Fault, IntoAnswer, SendError, Timeouts, Trust,
    Upstream,
};
pub use {bytes, http};
