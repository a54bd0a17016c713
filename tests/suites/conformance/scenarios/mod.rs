//! What holds wherever the balancer runs.

mod admission;
mod affinity;
mod bodies;
mod clients;
mod configuration;
mod failures;
mod health;
mod identity;
mod requests;
mod responses;
mod retries;
mod sessions;
mod tunnels;

use std::pin::Pin;

use crate::runtime::Runtime;

/// One rule, or a few that are of no use apart.
pub(crate) struct Scenario {
    /// What it is about.
    pub(crate) section: &'static str,
    /// The rule.
    pub(crate) name: &'static str,
    /// Sees whether it holds.
    pub(crate) perform: fn(&'static Runtime) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// All of them, in the order of the matrix.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        admission::SCENARIOS,
        identity::SCENARIOS,
        affinity::SCENARIOS,
        sessions::SCENARIOS,
        health::SCENARIOS,
        retries::SCENARIOS,
        failures::SCENARIOS,
        requests::SCENARIOS,
        responses::SCENARIOS,
        bodies::SCENARIOS,
        tunnels::SCENARIOS,
        clients::SCENARIOS,
        configuration::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// Makes scenarios of `async fn(&'static Runtime)`.
macro_rules! scenarios {
    ($section:literal: $($name:ident),+ $(,)?) => {
        pub(super) const SCENARIOS: &[crate::scenarios::Scenario] = &[$(
            crate::scenarios::Scenario {
                section: $section,
                name: stringify!($name),
                perform: |runtime| Box::pin($name(runtime)),
            },
        )+];
    };
}
use scenarios;
