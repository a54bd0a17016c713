//! The exchanges under way, by id.

use alloc::collections::BTreeMap;

use edgelb_balancer::{InFlight, Timestamp};

/// As many exchanges as are remembered at once. Far above what one instance
/// ever has in flight; it bounds what callers that never settle can take
/// (some 20 MiB). One forgotten early settles as an unknown one does.
const CAPACITY: usize = 65_536;

/// The exchanges under way.
///
/// Ids are serial numbers from 1, so that they are never zero, never used again
/// and in order of age: the ones to sweep come first.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    in_flight: BTreeMap<u64, InFlight>,
    last: u64,
}

impl Exchanges {
    /// The next id.
    pub(crate) fn issue(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Remembers an exchange until it is settled, abandoned or swept.
    pub(crate) fn insert(&mut self, id: u64, exchange: InFlight) {
        self.in_flight.insert(id, exchange);
    }

    /// Forgets an exchange; `None` if there is none of this id.
    pub(crate) fn remove(&mut self, id: u64) -> Option<InFlight> {
        self.in_flight.remove(&id)
    }

    /// Takes out the oldest exchange if nobody will settle it any more. Each
    /// exchange that begins sweeps two, so the sweep catches up with any
    /// backlog and costs no request more than that.
    pub(crate) fn sweep(&mut self, now: Timestamp) -> Option<InFlight> {
        let oldest = self.in_flight.first_entry()?;
        if oldest.get().deadline() < now {
            return Some(oldest.remove());
        }
        if self.in_flight.len() > CAPACITY {
            return self.in_flight.pop_first().map(|(_, exchange)| exchange);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_never_zero_and_never_used_again() {
        let mut exchanges = Exchanges::default();
        let first = exchanges.issue();
        assert_ne!(first, 0);
        assert!(exchanges.remove(first).is_none());
        assert_ne!(exchanges.issue(), first);
    }
}
