//! Which backend: rendezvous hashing over those that are up.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long a backend that failed is left alone.
const DOWN_TIME: Duration = Duration::from_secs(30);

/// The backends, and how they fare.
pub(super) struct Choice(Vec<Backend>);

struct Backend {
    id: u64,
    weight: f64,
    down_until: Cell<Option<Instant>>,
}

/// A client's affinity: its address, hashed.
#[derive(Clone, Copy)]
pub(super) struct Affinity(u64);

/// The backends an exchange has tried, one bit each.
#[derive(Clone, Copy, Default)]
pub(super) struct Tried(u64);

impl Choice {
    pub(super) fn new(backends: &[SocketAddr]) -> Self {
        let backend = |address: &SocketAddr| Backend {
            id: hash(address),
            weight: 1.0,
            down_until: Cell::new(None),
        };
        Self(backends.iter().map(backend).collect())
    }

    /// Whether a backend is up.
    pub(super) fn admits(&self, backend: usize) -> bool {
        self.0.get(backend).is_some_and(Backend::admits)
    }

    /// The best untried backend that is up, else the best untried one.
    pub(super) fn pick(&self, affinity: Affinity, tried: Tried) -> Option<usize> {
        let best = |admitted: bool| {
            (0..self.0.len())
                .filter(|&index| !tried.contains(index))
                .filter(|&index| !admitted || self.0[index].admits())
                .min_by(|&one, &other| {
                    self.0[one]
                        .draw(affinity)
                        .total_cmp(&self.0[other].draw(affinity))
                })
        };
        best(true).or_else(|| best(false))
    }

    pub(super) fn succeeded(&self, backend: usize) {
        self.0[backend].down_until.set(None);
    }

    pub(super) fn failed(&self, backend: usize) {
        self.0[backend]
            .down_until
            .set(Some(Instant::now() + DOWN_TIME));
    }
}

impl Backend {
    fn admits(&self) -> bool {
        self.down_until
            .get()
            .is_none_or(|until| until <= Instant::now())
    }

    /// An exponential draw; the smallest has the key.
    fn draw(&self, affinity: Affinity) -> f64 {
        let hash = hash(&(affinity.0, self.id));
        let uniform = ((hash >> 12) * 2 + 1) as f64 / (1_u64 << 53) as f64;
        -uniform.ln() / self.weight
    }
}

impl Affinity {
    /// Of a client's address; of an IPv6 network, as its hosts are one client's.
    pub(super) fn of(client: IpAddr) -> Self {
        Self(match client.to_canonical() {
            IpAddr::V4(address) => hash(&address.octets()),
            IpAddr::V6(address) => hash(&address.octets()[..8]),
        })
    }
}

impl Tried {
    pub(super) fn add(&mut self, backend: usize) {
        self.0 |= 1 << backend;
    }

    fn contains(self, backend: usize) -> bool {
        self.0 >> backend & 1 == 1
    }
}

/// Equal in all threads: its keys are constants.
fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
