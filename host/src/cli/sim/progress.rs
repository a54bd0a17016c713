//! How far it is, on a terminal.

use std::io::{IsTerminal as _, stderr};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use edgelb_host::sim::Simulation;

/// How often a run under way is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Shows how far the run is while it goes on.
pub(super) fn watched<T>(simulation: &Simulation, run: impl FnOnce() -> T) -> T {
    let length = simulation.scenario().duration.as_millis();
    let progress = Progress::new(u64::try_from(length).unwrap_or(u64::MAX));
    let (over, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let reached = simulation.progress().as_millis();
                progress.tell(u64::try_from(reached).unwrap_or(u64::MAX));
            }
            progress.end();
        });
        let result = run();
        drop(over);
        result
    })
}

/// A bar on a terminal, nothing elsewhere.
pub(super) struct Progress(Option<indicatif::ProgressBar>);

impl Progress {
    pub(super) fn new(count: u64) -> Self {
        Self(
            stderr()
                .is_terminal()
                .then(|| indicatif::ProgressBar::new(count)),
        )
    }

    pub(super) fn tell(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
