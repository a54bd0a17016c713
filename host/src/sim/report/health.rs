//! Who was useless by the scenario, and whom isolates ejected, over time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sim::Scenario;
use crate::sim::trace::{Entry, Isolate, Trace};
use crate::sim::world::millis;

/// How many columns a band has: fine enough for the eye, few enough for a page.
pub(super) const COLUMNS: usize = 480;

/// The health of a backend over time, in [`COLUMNS`]. What touches a column is
/// in it, however short.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Band {
    /// How many faults of its own it has.
    pub(super) faults: Vec<usize>,
    /// By how many isolates it is ejected, and the time for it has not run out.
    pub(super) ejected: Vec<usize>,
    /// The same, and those where it has, but no trial has succeeded yet.
    pub(super) passed_over: Vec<usize>,
    /// How many trials are made.
    pub(super) trials: Vec<usize>,
    /// How many times it was ejected.
    pub(super) ejections: usize,
}

/// Whose view of backends it is: an isolate's, or that of all of a location
/// that share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum View {
    Isolate(Isolate),
    Location(usize),
}

/// When a backend is ejected in one view.
#[derive(Default)]
struct Ejections {
    /// From each ejection until its time runs out, or the backend recovers.
    timed: Vec<(u64, u64)>,
    /// From the first of ejections until the backend recovers.
    whole: Vec<(u64, u64)>,
    /// Since when it is, if it is.
    since: Option<u64>,
}

impl Ejections {
    /// A failed trial prolongs it.
    fn begin(&mut self, at: u64, until: u64) {
        self.since.get_or_insert(at);
        self.timed.push((at, until));
    }

    fn end(&mut self, at: u64) {
        if let Some(since) = self.since.take() {
            self.whole.push((since, at));
            if let Some((_, until)) = self.timed.last_mut() {
                *until = at.min(*until);
            }
        }
    }
}

/// The bands of all backends.
pub(super) fn bands(trace: &Trace, scenario: &Scenario, span: u64) -> Vec<Band> {
    let mut bands: Vec<_> = (trace.names.backends.iter())
        .map(|name| Band {
            faults: profile(
                &windows(scenario, |it| {
                    it.backend.as_ref().is_none_or(|it| it == name)
                }),
                span,
            ),
            ejected: vec![0; COLUMNS],
            passed_over: vec![0; COLUMNS],
            trials: vec![0; COLUMNS],
            ejections: 0,
        })
        .collect();
    let mut ejections = BTreeMap::<(usize, View), Ejections>::new();
    for entry in &trace.entries {
        match entry {
            Entry::Ejected {
                at,
                isolate,
                backend,
                until,
                ..
            } => {
                let key = (*backend, view(scenario, *isolate));
                ejections.entry(key).or_default().begin(*at, *until);
                if let Some(band) = bands.get_mut(*backend) {
                    band.ejections += 1;
                }
            }
            Entry::Recovered {
                at,
                isolate,
                backend,
            } => {
                let key = (*backend, view(scenario, *isolate));
                ejections.entry(key).or_default().end(*at);
            }
            Entry::Evicted { at, isolate } => {
                // What it knew goes with it.
                for backend in 0..bands.len() {
                    let key = (backend, View::Isolate(*isolate));
                    if let Some(ejections) = ejections.get_mut(&key) {
                        ejections.end(*at);
                    }
                }
            }
            Entry::Trial { at, backend, .. } => {
                let trials = bands.get_mut(*backend).map(|band| &mut band.trials);
                if let Some(trials) = trials.and_then(|it| it.get_mut(column(*at, span))) {
                    *trials += 1;
                }
            }
            Entry::Exchange(_)
            | Entry::Lost { .. }
            | Entry::Told { .. }
            | Entry::Started { .. }
            | Entry::Exceeded { .. } => {}
        }
    }
    for ((backend, view), mut ejections) in ejections {
        ejections.end(span);
        let Some(band) = bands.get_mut(backend) else {
            continue;
        };
        let weight = weight(scenario, view);
        for (sums, windows) in [
            (&mut band.ejected, &ejections.timed),
            (&mut band.passed_over, &ejections.whole),
        ] {
            for (sum, of_it) in sums.iter_mut().zip(profile(windows, span)) {
                // Twice within a column is still one isolate.
                *sum += weight * of_it.min(1);
            }
        }
    }
    bands
}

/// How many isolates serve at a time.
pub(super) fn isolates(scenario: &Scenario) -> usize {
    let isolates = scenario.locations.iter().map(|it| it.isolates.get());
    isolates.sum::<usize>().max(1)
}

/// When faults are there, in milliseconds.
pub(super) fn windows(
    scenario: &Scenario,
    which: impl Fn(&crate::sim::Fault) -> bool,
) -> Vec<(u64, u64)> {
    let faults = scenario.faults.iter().filter(|fault| which(fault));
    let end: Duration = scenario.duration;
    faults
        .flat_map(|fault| fault.windows(end))
        .map(|(onset, over)| (millis(onset), millis(over)))
        .collect()
}

/// How many of the windows each column has.
pub(super) fn profile(windows: &[(u64, u64)], span: u64) -> Vec<usize> {
    // Where they begin, less where they end.
    let mut changes = vec![0isize; COLUMNS + 1];
    for (begin, end) in windows {
        if *begin >= span {
            continue;
        }
        let first = column(*begin, span);
        let last = column((*end).max(begin + 1) - 1, span);
        for (index, change) in [(first, 1), (last + 1, -1)] {
            if let Some(it) = changes.get_mut(index) {
                *it += change;
            }
        }
    }
    let mut sum = 0;
    let sums = changes.iter().take(COLUMNS).map(|change| {
        sum += change;
        sum.unsigned_abs()
    });
    sums.collect()
}

fn column(at: u64, span: u64) -> usize {
    let column = u128::from(at) * COLUMNS as u128 / u128::from(span.max(1));
    usize::try_from(column).map_or(COLUMNS - 1, |it| it.min(COLUMNS - 1))
}

fn view(scenario: &Scenario, isolate: Isolate) -> View {
    let location = scenario.locations.get(isolate.location);
    match location.is_some_and(|it| it.shared_health) {
        true => View::Location(isolate.location),
        false => View::Isolate(isolate),
    }
}

fn weight(scenario: &Scenario, view: View) -> usize {
    match view {
        View::Isolate(_) => 1,
        View::Location(index) => {
            let location = scenario.locations.get(index);
            location.map_or(1, |it| it.isolates.get())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::trace::Names;
    use crate::sim::{Fault, FaultKind};

    const ONE: Isolate = Isolate {
        location: 0,
        number: 0,
    };
    const OTHER: Isolate = Isolate {
        location: 0,
        number: 1,
    };

    fn band(entries: Vec<Entry>, scenario: &Scenario) -> Band {
        let names = Names {
            backends: vec!["A".to_owned()],
            ..Names::default()
        };
        let mut bands = bands(&Trace { entries, names }, scenario, 480);
        bands.pop().unwrap_or_default()
    }

    fn ejected(at: u64, isolate: Isolate) -> Entry {
        Entry::Ejected {
            at,
            isolate,
            backend: 0,
            until: at + 10,
            reason: String::new(),
        }
    }

    fn recovered(at: u64, isolate: Isolate) -> Entry {
        Entry::Recovered {
            at,
            isolate,
            backend: 0,
        }
    }

    fn runs(counts: &[usize]) -> Vec<(usize, usize)> {
        let runs = counts.chunk_by(|one, next| one == next);
        runs.map(|run| (run.first().copied().unwrap_or(0), run.len()))
            .collect()
    }

    #[test]
    fn an_ejection_lasts_until_recovery_by_as_many_as_hold_it() {
        let entries = vec![
            ejected(100, ONE),
            ejected(110, OTHER),
            ejected(150, ONE),
            recovered(200, ONE),
            Entry::Evicted {
                at: 250,
                isolate: OTHER,
            },
        ];
        let band = band(entries, &Scenario::new(""));
        let expected = [(0, 100), (1, 10), (2, 90), (1, 50), (0, 230)];
        assert_eq!(runs(&band.passed_over), expected);
        assert_eq!(band.ejections, 3);
        // Each for 10 ms.
        let expected = [(0, 100), (1, 20), (0, 30), (1, 10), (0, 320)];
        assert_eq!(runs(&band.ejected), expected);
    }

    #[test]
    fn an_ejection_without_recovery_lasts_to_the_end() {
        let band = band(vec![ejected(479, ONE)], &Scenario::new(""));
        assert_eq!(runs(&band.ejected), [(0, 479), (1, 1)]);
    }

    #[test]
    fn faults_have_their_columns_however_short() {
        let mut scenario = Scenario::new("");
        scenario.duration = Duration::from_millis(480);
        let fault = |name: &str, at| {
            Fault::new(FaultKind::Down, name)
                .at(Duration::from_millis(at))
                .lasting(Duration::from_micros(100))
        };
        scenario.faults = vec![fault("A", 7), fault("B", 9)];
        let band = band(Vec::new(), &scenario);
        assert_eq!(runs(&band.faults), [(0, 7), (1, 1), (0, 472)]);
    }

    #[test]
    fn windows_after_the_end_are_not_drawn() {
        assert_eq!(runs(&profile(&[(480, 500)], 480)), [(0, 480)]);
        assert_eq!(runs(&profile(&[(470, 500)], 480)), [(0, 470), (1, 10)]);
    }
}
