//! A run cut into slices of time, few enough to be drawn.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::axis::{float, step};
use crate::sim::trace::{Entry, Exchange, Outcome, Trace};

/// How many slices there are at most.
const MOST: usize = 240;
/// And at least so many as can be, where requests are few.
const LEAST: usize = 60;
/// How many requests a slice has on average where more slices would have fewer.
const ENOUGH: usize = 20;
/// How many backends are told apart, and how many kinds of failure; the others
/// count together.
const BACKENDS: usize = 7;
const FAILURES: usize = 3;

/// A run in slices of time. Each request counts where it was made.
#[derive(Debug, PartialEq)]
pub(super) struct Buckets {
    /// How long the axis of time is, in milliseconds; not 0.
    pub(super) span: u64,
    /// How long a slice is. The last may be cut off by the end.
    pub(super) width: u64,
    /// Each of them.
    pub(super) slices: Vec<Slice>,
    /// What the failures of a slice are.
    pub(super) failures: Vec<String>,
    /// Whose the answers of a slice are: indices of backends, the busiest
    /// first; and whether there are others, who come last.
    pub(super) backends: Vec<usize>,
    /// Whether there are others, who come after them.
    pub(super) others: bool,
}

/// What happened in a slice of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slice {
    /// Requests that succeeded.
    pub(super) succeeded: usize,
    /// Requests that failed.
    pub(super) failed: usize,
    /// Requests whose client went away.
    pub(super) left: usize,
    /// Those that failed, by kind.
    pub(super) failures: Vec<usize>,
    /// Attempts that failed, whatever became of their request.
    pub(super) attempts: usize,
    /// How long half of the answers, 95 % and 99 % took at most to begin, in
    /// milliseconds.
    pub(super) latency: Option<[u64; 3]>,
    /// Answers, by backend.
    pub(super) answers: Vec<usize>,
}

/// How a request failed: with this status, or in the middle of its response.
type Failure = Option<u16>;

impl Buckets {
    pub(super) fn of(trace: &Trace, duration: u64) -> Self {
        let span = span(trace, duration);
        let mut requests = 0;
        let mut failures = BTreeMap::<Failure, usize>::new();
        let mut answers = BTreeMap::<usize, usize>::new();
        for exchange in trace.exchanges() {
            requests += 1;
            if let Some(failure) = failure(exchange) {
                *failures.entry(failure).or_default() += 1;
            }
            if let Some(backend) = exchange.by {
                *answers.entry(backend).or_default() += 1;
            }
        }
        let (failures, other_failures) = most(failures, FAILURES);
        let (backends, others) = most(answers, BACKENDS);
        let width = step(span, (requests / ENOUGH).clamp(LEAST, MOST) as u64);
        let blank = Slice {
            failures: vec![0; failures.len() + usize::from(other_failures)],
            answers: vec![0; backends.len() + usize::from(others)],
            ..Slice::default()
        };
        let mut slices = vec![blank; usize::try_from(span.div_ceil(width)).unwrap_or(MOST)];
        let mut latencies = vec![Vec::new(); slices.len()];
        for exchange in trace.exchanges() {
            let index = usize::try_from(exchange.begun / width).unwrap_or(usize::MAX);
            let (Some(slice), Some(latencies)) = (slices.get_mut(index), latencies.get_mut(index))
            else {
                continue;
            };
            match exchange.succeeded() {
                None => slice.left += 1,
                Some(true) => slice.succeeded += 1,
                Some(false) => slice.failed += 1,
            }
            if exchange.succeeded().is_some() {
                latencies.push(exchange.latency());
            }
            if let Some(failure) = failure(exchange) {
                add(&mut slice.failures, &failures, &failure);
            }
            if let Some(backend) = exchange.by {
                add(&mut slice.answers, &backends, &backend);
            }
            slice.attempts += (exchange.attempts.iter())
                .filter(|attempt| is_failure(attempt.outcome))
                .count();
        }
        for (slice, latencies) in slices.iter_mut().zip(&mut latencies) {
            slice.latency = percentiles(latencies);
        }
        let other_failures = other_failures.then(|| "other failures".to_owned());
        Self {
            span,
            width,
            slices,
            failures: failures
                .into_iter()
                .map(told)
                .chain(other_failures)
                .collect(),
            backends,
            others,
        }
    }

    /// When a slice begins and ends.
    pub(super) fn bounds(&self, index: usize) -> (u64, u64) {
        let begin = (index as u64).saturating_mul(self.width);
        (begin, (begin + self.width).min(self.span))
    }

    /// So many of a slice, in a second.
    pub(super) fn rate(&self, index: usize, count: usize) -> f64 {
        let (begin, end) = self.bounds(index);
        float(count as u64) * 1000.0 / float((end - begin).max(1))
    }
}

/// Up to the end of the run, or beyond to the last that shows on a plot.
fn span(trace: &Trace, duration: u64) -> u64 {
    let shown = trace.entries.iter().filter_map(|entry| match entry {
        Entry::Exchange(exchange) => Some(exchange.begun),
        Entry::Ejected { at, .. }
        | Entry::Trial { at, .. }
        | Entry::Recovered { at, .. }
        | Entry::Lost { at, .. }
        | Entry::Exceeded { at, .. } => Some(*at),
        Entry::Told { .. } | Entry::Started { .. } | Entry::Evicted { .. } => None,
    });
    // What happens in the last millisecond happens before its end.
    let last = shown.max().map_or(1, |last| last.saturating_add(1));
    last.max(duration)
}

/// Those that are most frequent, and whether there are others.
fn most<T: Ord>(counts: BTreeMap<T, usize>, number: usize) -> (Vec<T>, bool) {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    // One alone has a name of its own.
    let others = counts.len() > number + 1;
    counts.truncate(if others { number } else { number + 1 });
    (counts.into_iter().map(|(it, _)| it).collect(), others)
}

/// Counts one of these, or one of the others at the end.
fn add<T: PartialEq>(counts: &mut [usize], named: &[T], one: &T) {
    let index = named.iter().position(|it| it == one);
    if let Some(count) = counts.get_mut(index.unwrap_or(named.len())) {
        *count += 1;
    }
}

fn failure(exchange: &Exchange) -> Option<Failure> {
    let failed = exchange.succeeded() == Some(false);
    failed.then(|| exchange.status.filter(|status| *status >= 500))
}

fn told(failure: Failure) -> String {
    failure.map_or("broken off".to_owned(), |status| {
        format!("answered {status}")
    })
}

/// Whether a backend failed.
pub(super) fn is_failure(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Status(status) => status >= 500,
        Outcome::Failed(..) => true,
        Outcome::Pending | Outcome::Cancelled => false,
    }
}

/// By the nearest rank.
fn percentiles(latencies: &mut [u64]) -> Option<[u64; 3]> {
    latencies.sort_unstable();
    let ranked = |percent: usize| {
        let rank = (latencies.len() * percent).div_ceil(100);
        latencies.get(rank.saturating_sub(1)).copied()
    };
    Some([ranked(50)?, ranked(95)?, ranked(99)?])
}

#[cfg(test)]
pub(super) mod tests {
    use http::Method;

    use super::*;
    use crate::sim::trace::End;

    /// Answered with 200 by the first backend in 10 ms.
    pub(crate) fn made(begun: u64) -> Exchange {
        Exchange {
            id: begun,
            begun,
            location: 0,
            isolate: None,
            client: None,
            method: Method::GET,
            repeatable: false,
            session: None,
            attempts: Vec::new(),
            status: Some(200),
            answered: begun + 10,
            end: End::Whole,
            ended: begun + 10,
            bytes: 0,
            by: Some(0),
        }
    }

    fn buckets(exchanges: impl IntoIterator<Item = Exchange>, duration: u64) -> Buckets {
        let trace = Trace {
            entries: exchanges.into_iter().map(Entry::Exchange).collect(),
            ..Trace::default()
        };
        Buckets::of(&trace, duration)
    }

    #[test]
    fn each_request_counts_in_one_slice() {
        let buckets = buckets([0, 999, 1000, 59_999].map(made), 60_000);
        assert_eq!((buckets.width, buckets.slices.len()), (1000, 60));
        let counts: Vec<_> = buckets.slices.iter().map(|it| it.succeeded).collect();
        assert_eq!(counts.get(..3), Some(&[2, 1, 0][..]));
        assert_eq!(counts.last(), Some(&1));
    }

    #[test]
    fn nothing_is_drawn_as_nothing() {
        let buckets = buckets([], 60_000);
        assert_eq!(buckets.slices.len(), 60);
        assert!(buckets.slices.iter().all(|it| *it == Slice::default()));
        assert_eq!(buckets.backends, Vec::<usize>::new());
        let nothing = self::buckets([], 0);
        assert_eq!((nothing.span, nothing.slices.len()), (1, 1));
    }

    #[test]
    fn one_request_is_all_percentiles() {
        let buckets = buckets([made(0)], 0);
        assert_eq!(buckets.span, 1);
        assert_eq!(
            buckets.slices.first().and_then(|it| it.latency),
            Some([10; 3])
        );
    }

    #[test]
    fn what_goes_on_after_the_end_is_drawn_too() {
        let buckets = buckets([made(0), made(90_000)], 60_000);
        assert_eq!(buckets.span, 90_001);
        let last = buckets.slices.len() - 1;
        assert_eq!(buckets.slices.last().map(|it| it.succeeded), Some(1));
        // A single request, in the millisecond that is left of the last slice.
        assert_eq!(buckets.bounds(last), (90_000, 90_001));
        assert_eq!(buckets.rate(last, 1), 1000.0);
    }

    #[test]
    fn there_are_never_more_slices_than_can_be_drawn() {
        for duration in [1, 7, 61_001, 600_000, 86_400_000, 1 << 40, u64::MAX / 2] {
            let buckets = buckets((0..10_000).map(made), duration);
            assert!(buckets.slices.len() <= MOST, "{duration}");
            let counted: usize = buckets.slices.iter().map(|it| it.succeeded).sum();
            assert_eq!(counted, 10_000, "{duration}");
        }
    }

    #[test]
    fn the_rarest_count_together() {
        let answers = (0..20).flat_map(|backend| (0..=backend).map(move |_| backend));
        let exchanges = answers.map(|backend| Exchange {
            by: Some(backend),
            status: Some(500 + u16::try_from(backend).unwrap_or(0) % 6),
            ..made(0)
        });
        let buckets = buckets(exchanges, 1000);
        assert_eq!(buckets.backends, [19, 18, 17, 16, 15, 14, 13]);
        assert!(buckets.others);
        assert_eq!(
            buckets.failures,
            [
                "answered 501",
                "answered 500",
                "answered 505",
                "other failures"
            ]
        );
        let slice = buckets.slices.first().cloned().unwrap_or_default();
        assert_eq!(slice.answers.iter().sum::<usize>(), 210);
        assert_eq!(slice.failures.iter().sum::<usize>(), slice.failed);
    }
}
