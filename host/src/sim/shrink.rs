//! The smallest scenario that still breaks a law.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::laws::Law;
use super::run::{Simulation, SimulationError};
use super::scenario::Scenario;

/// Takes out of a scenario what is not needed to break this law with this
/// seed: faults, clients, locations, time. Tries at most `budget` smaller ones.
///
/// # Errors
/// There is no runtime to be had.
pub fn shrink(
    simulation: &Simulation,
    seed: u64,
    law: Law,
    budget: usize,
) -> Result<Scenario, SimulationError> {
    let mut smallest = Scenario {
        seed,
        ..simulation.scenario().clone()
    };
    let mut left = budget;
    // Nothing after it should matter; whether that is so, a run tells.
    let run = simulation.with(smallest.clone()).run()?;
    if let Some(first) = run.violations.iter().find(|it| it.law == law) {
        let mut cut = smallest.clone();
        end_at(&mut cut, Duration::from_millis(first.ended + 1));
        let run = simulation.with(cut.clone()).run()?;
        if run.violations.iter().any(|it| it.law == law) {
            smallest = cut;
        }
    }
    // Each step is tried until none is of use any more.
    'again: loop {
        for candidate in smaller(&smallest) {
            if left == 0 {
                break 'again;
            }
            if candidate.validate().is_err() {
                continue;
            }
            left -= 1;
            let run = simulation.with(candidate.clone()).run()?;
            if run.violations.iter().any(|it| it.law == law) {
                smallest = candidate;
                continue 'again;
            }
        }
        break;
    }
    Ok(smallest)
}

/// Ends a scenario then, if it is longer, and takes out what would begin later.
fn end_at(scenario: &mut Scenario, end: Duration) {
    let end = scenario.duration.min(end);
    scenario.duration = end;
    scenario.faults.retain(|fault| fault.at < end);
    scenario.clients.retain(|clients| clients.at < end);
}

/// Scenarios with a little less in them, those with the least first.
fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        if candidate != *scenario {
            candidates.push(candidate);
        }
    };
    for index in 0..scenario.faults.len() {
        with(&|it| drop(it.faults.remove(index)));
    }
    if scenario.clients.len() > 1 {
        for index in 0..scenario.clients.len() {
            with(&|it| drop(it.clients.remove(index)));
        }
    }
    if scenario.locations.len() > 1 {
        for index in 0..scenario.locations.len() {
            with(&|it| drop(it.locations.remove(index)));
        }
    }
    for index in 0..scenario.links.len() {
        with(&|it| drop(it.links.remove(index)));
    }
    with(&|it| end_at(it, it.duration / 2));
    for index in 0..scenario.locations.len() {
        with(&|it| {
            if let Some(location) = it.locations.get_mut(index) {
                location.isolates = NonZeroUsize::MIN;
            }
        });
    }
    for index in 0..scenario.clients.len() {
        with(&|it| {
            if let Some(clients) = it.clients.get_mut(index) {
                let half = clients.count.get() / 2;
                clients.count = NonZeroU32::new(half).unwrap_or(NonZeroU32::MIN);
            }
        });
        with(&|it| {
            if let Some(rate) = it.clients.get_mut(index).and_then(|it| it.rate.as_mut())
                && *rate > 0.5
            {
                *rate /= 2.0;
            }
        });
    }
    for index in 0..scenario.faults.len() {
        with(&|it| {
            if let Some(fault) = it.faults.get_mut(index) {
                (fault.every, fault.until) = (None, None);
            }
        });
    }
    candidates
}
