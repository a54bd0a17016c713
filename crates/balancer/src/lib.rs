//! The decisions of a load balancer, and nothing else.
//!
//! No I/O, no clock, no randomness, no environment: what happened and when is
//! an argument, what to do next is a return value. A request is a conversation:
//!
//! 1. [`Balancer::begin`] is shown the head and answers with a [`Step`].
//! 2. A [`Step::Send`] is performed by the caller, who consumes the [`InFlight`]
//!    token with the [`Outcome`] and gets the next step, or abandons it, or
//!    does with an [ordinary](Ordinary) response what it was told before.
//! 3. [`Step::Forward`] and [`Step::Reply`] end it.
//!
//! What outlives a request is one value, the [`Ledger`].
//!
//! ```
//! use edgelb_balancer::*;
//!
//! let backend = |name: &str| Backend {
//!     name: name.to_owned(),
//!     origin: Origin { scheme: Scheme::Https, authority: format!("{name}.example") },
//!     weight: Weight::ONE,
//!     drain: false,
//! };
//! let policy = Policy { backends: vec![backend("a"), backend("b")], ..Policy::default() };
//! let mut ledger = Ledger::new(&policy);
//! let balancer = Balancer::new(policy)?;
//!
//! let head = RequestHead {
//!     method: "GET",
//!     scheme: Scheme::Https,
//!     authority: "lb.example",
//!     target: "/",
//!     peer: Some([192, 0, 2, 1].into()),
//!     body: BodySize::None,
//!     fields: Fields::new(b"host:lb.example\n"),
//! };
//! let now = Timestamp::from_millis(1_700_000_000_000);
//! let Step::Send { attempt: first, then } = balancer.begin(&head, &mut ledger, now, Seed(7))
//! else { unreachable!("a well-formed request is sent") };
//!
//! // Nobody listens there, so the request goes to the other one.
//! let refused = Outcome::Failed(Failure {
//!     cause: Cause::ConnectionRefused,
//!     delivery: Delivery::NotSent,
//!     replayable: true,
//! });
//! let Step::Send { attempt: second, then } = then.settle(refused, &mut ledger, now)
//! else { unreachable!("what was not delivered may go again") };
//! assert_ne!(first.backend, second.backend);
//! assert!(ledger.next_trial() > Some(now));
//!
//! then.abandon(&mut ledger, now);
//! # Ok::<(), PolicyError>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod address_text;
mod admission;
mod affinity;
mod authority;
mod balancer;
mod bytes;
mod client;
mod cookies;
mod date;
mod edits;
mod exchange;
mod fields;
mod forwarding;
mod genuine;
mod hash;
mod head;
mod issued;
mod ledger;
mod lists;
mod names;
mod network;
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
pub use network::Network;
pub use outcome::Reason;
pub use policy::{AffinityKey, Backend, Origin, Policy, PolicyError, Weight};
pub use step::{
    Arrival, Attempt, BodyEnd, Cause, Delivery, Failure, LocalReply, Ordinary, Outcome, Reuse,
    Step, Tail,
};
pub use time::{Seed, Timestamp, millis};
