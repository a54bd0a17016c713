//! A simulator of edge platforms: the component that ships, living in virtual
//! time.

mod admission;
mod backend;
mod builder;
mod clients;
mod dice;
mod identity;
mod laws;
mod limits;
mod lines;
mod location;
mod network;
mod pieces;
mod platform;
mod replay;
mod report;
mod run;
mod running;
mod scenario;
mod shrink;
mod summary;
mod sweep;
mod talk;
mod trace;
mod virtual_time;
mod world;

pub use builder::SimulationBuilder;
pub use laws::{Law, Violation};
pub use limits::{Limits, Preset};
pub use location::{Birth, Runtime};
pub use replay::{Recording, RecordingError};
pub use run::{Run, Simulation, SimulationError};
pub use running::Running;
pub use scenario::{
    Arrivals, Backend, Bound, Clients, Expectation, Fault, FaultKind, Latency, Link, Location,
    Measure, Scenario, ScenarioError, Share, Unit,
};
pub use shrink::shrink;
pub use summary::Summary;
pub use sweep::{Sweep, Swept};
pub(crate) use trace::cause_name;
pub use trace::{Attempt, Client, End, Entry, Exchange, Isolate, Names, Outcome, Trace};
pub use world::Received;
