//! The decisions of a load balancer, and nothing else.
//!
//! No I/O, no clock, no randomness, no environment: what happened and when is
//! an argument, what to do next is a return value. A request is a conversation:
//!
//! 1. [`Balancer::begin`] is shown the head and answers with a [`Step`].
//! 2. A [`Step::Send`] is performed by the caller, who consumes the [`InFlight`]
//!    token with the [`Outcome`] and gets the next step, or abandons it.
//! 3. [`Step::Forward`] and [`Step::Reply`] end it.
//!
//! What outlives a request is one value, the [`Ledger`].

#![forbid(unsafe_code)]

mod admission;
mod affinity;
mod authority;
mod balancer;
mod client;
mod cookies;
mod edits;
mod exchange;
mod fields;
mod forwarding;
mod hash;
mod head;
mod ledger;
mod lists;
mod names;
mod outcome;
mod policy;
mod rendezvous;
mod reply;
mod session;
mod status;
mod step;
mod survey;
mod time;

pub use balancer::Balancer;
pub use edits::{Edit, Edits};
pub use exchange::InFlight;
pub use fields::{FieldLines, Fields};
pub use head::{BodySize, RequestHead, ResponseHead, Scheme};
pub use ledger::{Event, Ledger};
pub use policy::{AffinityKey, Backend, Origin, Policy, PolicyError, Weight};
pub use step::{
    Arrival, Attempt, BodyEnd, Cause, Delivery, Failure, LocalReply, Outcome, Step, Tail,
};
pub use time::{Seed, Timestamp};
