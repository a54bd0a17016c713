//! The standard door: any component that exports `wasi:http/handler@0.3`.
//!
//! The component does its own I/O, by `wasi:http/client` alone. An isolate
//! ([`Service`]) is one long-lived instance that serves all its requests at
//! once; a trap or a runaway guest costs that instance, and a new one takes
//! the place.
//!
//! Beyond the standard the component is shown two things, so that a balancer
//! can do its work: the fields `connection` and `upgrade`, in both directions,
//! and the client's address (in the field that its variable
//! `EDGELB_PEER_FIELD` names). An OPTIONS request may have the target `*`. Interim
//! responses of the configuration's backends are relayed to the client past the
//! component, which does not see them. When a backend switches protocols,
//! the body of its 101 stands for the connection: the component answers with
//! that response, body untouched, and the host joins both ends natively.

mod blueprint;
mod body;
mod charge;
mod clock;
mod failure;
mod fields;
mod guest;
mod isolate;
mod outgoing;
mod request;
mod service;
mod stderr;
mod target;
mod ticket;

pub(crate) use blueprint::Blueprint;
pub(crate) use service::Service;
