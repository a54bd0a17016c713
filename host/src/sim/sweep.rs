//! Many seeds at once, until one fails.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::run::{Run, Simulation, SimulationError};
use super::scenario::Measure;

/// A range of seeds, and how many run at a time.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Runs at a time, each on a thread of its own.
    pub threads: usize,
}

/// What came of a sweep. It does not depend on the number of threads.
#[derive(Debug)]
pub struct Swept {
    /// How many seeds passed before the first that did not.
    pub passed: u64,
    /// The least and the most that each measure with a bound came to, over the
    /// seeds that passed.
    pub extremes: Vec<(Measure, f64, f64)>,
    /// The run of the first seed that did not pass.
    pub failed: Option<Box<Run>>,
}

impl Sweep {
    /// Runs the seeds, and stops at the first that breaks a law or an
    /// expectation. Tells after each how many are done.
    ///
    /// # Errors
    /// There is no runtime to be had.
    pub fn run(
        &self,
        simulation: &Simulation,
        done: impl Fn(u64) + Sync,
    ) -> Result<Swept, SimulationError> {
        let next = AtomicU64::new(self.seeds.start);
        let finished = AtomicU64::new(0);
        // Seeds below the first failure are all run; those above need not be.
        let first_failure = AtomicU64::new(self.seeds.end);
        let results = Mutex::new(BTreeMap::new());
        let work = || {
            loop {
                let took = next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |seed| {
                    seed.checked_add(1)
                });
                let Ok(seed) = took else {
                    return;
                };
                if seed >= first_failure.load(Ordering::SeqCst) {
                    return;
                }
                let result = simulation.run_seed(seed).map(|run| {
                    let passed = run.passed(simulation.scenario());
                    if !passed {
                        first_failure.fetch_min(seed, Ordering::SeqCst);
                    }
                    let measured = simulation.scenario().expect.bounds().into_iter();
                    let measured: Vec<_> = measured
                        .map(|(measure, _)| run.summary.measure(&measure))
                        .collect();
                    (measured, (!passed).then(|| Box::new(run)))
                });
                if result.is_err() {
                    first_failure.fetch_min(seed, Ordering::SeqCst);
                }
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.insert(seed, result);
                drop(results);
                done(finished.fetch_add(1, Ordering::SeqCst) + 1);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut swept = Swept {
            passed: 0,
            extremes: Vec::new(),
            failed: None,
        };
        let bounds = simulation.scenario().expect.bounds();
        for result in results.into_values() {
            let (measured, failed) = result?;
            if failed.is_some() {
                swept.failed = failed;
                break;
            }
            swept.passed += 1;
            if swept.extremes.is_empty() {
                let extremes = bounds.iter().map(|(measure, _)| measure.clone());
                let extremes = extremes
                    .zip(&measured)
                    .map(|(it, value)| (it, *value, *value));
                swept.extremes = extremes.collect();
            }
            for ((_, least, most), value) in swept.extremes.iter_mut().zip(measured) {
                *least = least.min(value);
                *most = most.max(value);
            }
        }
        Ok(swept)
    }
}
