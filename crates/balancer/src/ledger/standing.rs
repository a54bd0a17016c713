//! The standing of one backend: what its attempts have shown of it.
//!
//! ```text
//!            threshold of failures              the ejection is over
//! Admitting ───────────────────────► Ejected ─────────────────────────► Trial
//!     ▲                               │   ▲                             │   │
//!     └────────── any success ────────┴───│─────────────────────────────┘   │
//!                                         └──────── the trial failed ───────┘
//! ```
//!
//! **What counts.** Attempts overlap transitions, so each is dated, and an
//! attempt dated before the last transition says nothing about the present
//! state. A hundred requests that fail together are one ejection, and a timeout
//! from before a recovery ejects nobody. Milliseconds are coarse, hence a hybrid
//! clock: a transition is dated one millisecond after the present, and an
//! attempt no earlier than the last transition. What began in the same
//! millisecond, but before, then stays before.

use core::time::Duration;

use crate::policy::Policy;
use crate::time::Timestamp;

/// Whether a backend is in the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It is.
    #[default]
    Admitting,
    /// Not before this time; then one request goes as a trial.
    Ejected {
        /// The end of the ejection.
        until: Timestamp,
    },
    /// One request is trying it. Should that never be settled, another may try
    /// after this time.
    Trial {
        /// The end of the trial.
        deadline: Timestamp,
    },
}

/// What the state means to a request at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Open to all.
    Admits,
    /// Open to one request, which becomes the trial.
    TrialDue,
    /// Open to none, unless there is no better.
    Refuses,
}

/// All that is known of one backend.
///
/// The fields stand in order of their weight in a merge: the derived order
/// compares the stamp first and everything else to break ties, so the greater
/// of two standings is the same wherever they meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    /// When this was last changed; grows with each change.
    pub(super) stamp: Timestamp,
    /// The date of the last transition.
    pub(super) since: Timestamp,
    /// Consecutive failures while admitting.
    pub(crate) failures: u32,
    /// Consecutive ejections; decides the length of the next.
    pub(crate) ejections: u32,
    /// Whether it is in the choice.
    pub(crate) state: State,
}

/// An attempt on its way, dated by the standing of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    /// The date.
    pub(crate) began: Timestamp,
    /// Whether it is the trial.
    pub(crate) trial: bool,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    Ejected { until: Timestamp },
    Trial,
    Recovered,
}

impl Standing {
    pub(super) fn health(&self, now: Timestamp) -> Health {
        match self.next_trial() {
            None => Health::Admits,
            Some(due) if due <= now => Health::TrialDue,
            Some(_) => Health::Refuses,
        }
    }

    /// When a request may go there as a trial; `None` where any may.
    pub(super) fn next_trial(&self) -> Option<Timestamp> {
        match self.state {
            State::Admitting => None,
            State::Ejected { until: due } | State::Trial { deadline: due } => Some(due),
        }
    }

    /// An attempt sets out. It takes the trial if one is due.
    pub(super) fn depart(
        &mut self,
        now: Timestamp,
        patience: Duration,
    ) -> (Departure, Option<Transition>) {
        let trial = self.health(now) == Health::TrialDue;
        if trial {
            let deadline = now.after(patience);
            self.enter(State::Trial { deadline }, now);
        }
        let began = now.max(self.since);
        (
            Departure { began, trial },
            trial.then_some(Transition::Trial),
        )
    }

    /// An attempt succeeded.
    pub(super) fn succeed(&mut self, began: Timestamp, now: Timestamp) -> Option<Transition> {
        if began < self.since {
            return None;
        }
        match self.state {
            State::Admitting => {
                if self.failures > 0 {
                    self.failures = 0;
                    self.touch(now);
                }
                None
            }
            State::Ejected { .. } | State::Trial { .. } => {
                self.failures = 0;
                self.enter(State::Admitting, now);
                Some(Transition::Recovered)
            }
        }
    }

    /// An attempt failed; the backend may have said for how long it is not to
    /// be asked again, which ejects it at once.
    pub(super) fn fail(
        &mut self,
        departure: Departure,
        now: Timestamp,
        retry_after: Option<Duration>,
        policy: &Policy,
    ) -> Option<Transition> {
        if departure.began < self.since {
            return None;
        }
        match self.state {
            State::Admitting => {
                self.failures = self.failures.saturating_add(1);
                if retry_after.is_none() && self.failures < policy.failure_threshold.get() {
                    self.touch(now);
                    return None;
                }
                let relapse =
                    self.ejections > 0 && now.since(self.since) <= policy.backend_down_time_max;
                if !relapse {
                    self.ejections = 0;
                }
            }
            State::Trial { .. } if departure.trial => {
                self.failures = self.failures.saturating_add(1);
            }
            // It went for want of a better one, and showed nothing new.
            State::Trial { .. } | State::Ejected { .. } => return None,
        }
        self.ejections = self.ejections.saturating_add(1);
        let until = now.after(retry_after.map_or_else(
            || ejection_length(self.ejections, policy),
            |asked| {
                asked
                    .max(Duration::from_secs(1))
                    .min(policy.backend_down_time_max)
            },
        ));
        self.enter(State::Ejected { until }, now);
        Some(Transition::Ejected { until })
    }

    /// An attempt ended without telling anything. If it was the trial, the next
    /// request is.
    pub(super) fn release(&mut self, departure: Departure, now: Timestamp) {
        let on_trial = matches!(self.state, State::Trial { .. });
        if departure.trial && on_trial && departure.began >= self.since {
            self.enter(State::Ejected { until: now }, now);
        }
    }

    fn enter(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.since = now.max(self.since).next();
        self.touch(now);
    }

    fn touch(&mut self, now: Timestamp) {
        self.stamp = now.max(self.stamp.next());
    }
}

/// The length of the `n`th ejection in a row: doubling from
/// `backend_down_time` up to `backend_down_time_max`.
fn ejection_length(n: u32, policy: &Policy) -> Duration {
    let doublings = n.saturating_sub(1);
    policy
        .backend_down_time
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(policy.backend_down_time_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(35);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn policy() -> Policy {
        Policy {
            backend_down_time: Duration::from_millis(100),
            backend_down_time_max: Duration::from_millis(1_000),
            ..Policy::default()
        }
    }

    /// Sends one attempt at `begin` and fails it at `end`.
    fn failure(standing: &mut Standing, begin: u64, end: u64) -> Option<Transition> {
        let (departure, _) = standing.depart(at(begin), PATIENCE);
        standing.fail(departure, at(end), None, &policy())
    }

    fn ejected(until: u64) -> Option<Transition> {
        Some(Transition::Ejected { until: at(until) })
    }

    #[test]
    fn the_length_doubles_up_to_the_maximum() {
        let table = [
            (1, 100),
            (2, 200),
            (3, 400),
            (4, 800),
            (5, 1_000),
            (u32::MAX, 1_000),
        ];
        for (n, millis) in table {
            assert_eq!(
                ejection_length(n, &policy()),
                Duration::from_millis(millis),
                "ejection {n}"
            );
        }
    }

    #[test]
    fn requests_failing_together_are_one_ejection() {
        let mut standing = Standing::default();
        let flight: Vec<_> = (0..100)
            .map(|_| standing.depart(at(1_000), PATIENCE).0)
            .collect();
        let transitions: Vec<_> = flight
            .into_iter()
            .filter_map(|departure| standing.fail(departure, at(1_000), None, &policy()))
            .collect();
        assert_eq!(transitions, [Transition::Ejected { until: at(1_100) }]);
        assert_eq!(standing.ejections, 1);
    }

    #[test]
    fn a_timeout_from_before_a_recovery_ejects_nobody() {
        let mut standing = Standing::default();
        let (stale, _) = standing.depart(at(1_000), PATIENCE);
        failure(&mut standing, 1_000, 1_001);
        let (trial, _) = standing.depart(at(1_200), PATIENCE);
        assert_eq!(
            standing.succeed(trial.began, at(1_201)),
            Some(Transition::Recovered)
        );
        assert_eq!(standing.fail(stale, at(1_300), None, &policy()), None);
        assert_eq!(standing.health(at(1_300)), Health::Admits);
    }

    #[test]
    fn one_trial_at_a_time() {
        let mut standing = Standing::default();
        failure(&mut standing, 1_000, 1_000);
        assert_eq!(standing.health(at(1_099)), Health::Refuses);
        assert_eq!(standing.health(at(1_100)), Health::TrialDue);
        let (trial, transition) = standing.depart(at(1_100), PATIENCE);
        assert!(trial.trial);
        assert_eq!(transition, Some(Transition::Trial));
        assert_eq!(standing.health(at(1_100)), Health::Refuses);
        let (other, transition) = standing.depart(at(1_100), PATIENCE);
        assert!(!other.trial, "fail open takes no second trial");
        assert_eq!(transition, None);
        assert_eq!(
            standing.health(at(36_100)),
            Health::TrialDue,
            "never settled"
        );
    }

    #[test]
    fn a_failed_trial_ejects_for_longer_and_others_failing_beside_it_do_not() {
        let mut standing = Standing::default();
        failure(&mut standing, 1_000, 1_000);
        let (trial, _) = standing.depart(at(1_100), PATIENCE);
        assert_eq!(failure(&mut standing, 1_150, 1_160), None);
        assert_eq!(
            standing.fail(trial, at(1_200), None, &policy()),
            ejected(1_400)
        );
        assert_eq!(failure(&mut standing, 1_250, 1_260), None, "fail open");
    }

    #[test]
    fn a_success_for_want_of_a_better_restores() {
        let mut standing = Standing::default();
        failure(&mut standing, 1_000, 1_000);
        let (departure, _) = standing.depart(at(1_000), PATIENCE);
        assert!(!departure.trial);
        assert_eq!(
            standing.succeed(departure.began, at(1_000)),
            Some(Transition::Recovered)
        );
    }

    #[test]
    fn a_relapse_lengthens_and_a_later_ejection_starts_again() {
        for (relapse, until) in [(1_600, 1_800), (2_300, 2_400)] {
            let mut standing = Standing::default();
            failure(&mut standing, 1_000, 1_000);
            let (trial, _) = standing.depart(at(1_200), PATIENCE);
            standing.succeed(trial.began, at(1_200));
            assert_eq!(failure(&mut standing, relapse, relapse), ejected(until));
        }
    }

    #[test]
    fn retry_after_ejects_at_once_within_bounds() {
        let patient = Policy {
            failure_threshold: core::num::NonZeroU32::MAX,
            backend_down_time_max: Duration::from_secs(60),
            ..Policy::default()
        };
        for (asked, until) in [(0, 2_000), (7, 8_000), (3_600, 61_000)] {
            let mut standing = Standing::default();
            let (departure, _) = standing.depart(at(1_000), PATIENCE);
            let asked = Some(Duration::from_secs(asked));
            assert_eq!(
                standing.fail(departure, at(1_000), asked, &patient),
                ejected(until)
            );
        }
    }

    #[test]
    fn the_threshold_counts_consecutive_failures() {
        let policy = Policy {
            failure_threshold: core::num::NonZeroU32::MIN.saturating_add(1),
            ..policy()
        };
        let mut standing = Standing::default();
        let (departure, _) = standing.depart(at(1), PATIENCE);
        assert_eq!(standing.fail(departure, at(1), None, &policy), None);
        assert_eq!(standing.succeed(departure.began, at(2)), None);
        assert_eq!(standing.fail(departure, at(3), None, &policy), None);
        assert_eq!(standing.fail(departure, at(4), None, &policy), ejected(104));
    }

    #[test]
    fn a_trial_that_tells_nothing_is_given_to_the_next() {
        let mut standing = Standing::default();
        failure(&mut standing, 1_000, 1_000);
        let (trial, _) = standing.depart(at(1_100), PATIENCE);
        standing.release(trial, at(1_110));
        assert_eq!(standing.health(at(1_110)), Health::TrialDue);
        let (second, _) = standing.depart(at(1_110), PATIENCE);
        standing.release(trial, at(1_110));
        assert_eq!(
            standing.health(at(1_110)),
            Health::Refuses,
            "released twice"
        );
        assert!(second.trial);
    }

    #[test]
    fn each_change_moves_the_stamp() {
        let mut standing = Standing::default();
        failure(&mut standing, 1_000, 1_000);
        let first = standing.stamp;
        let (trial, _) = standing.depart(at(1_100), PATIENCE);
        let second = standing.stamp;
        standing.release(trial, at(1_100));
        assert!(first < second && second < standing.stamp);
    }
}
