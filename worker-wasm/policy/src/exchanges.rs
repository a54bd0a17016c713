//! The exchanges under way, by id.

use alloc::vec::Vec;

use edgelb_balancer::{InFlight, Timestamp};

/// As many exchanges as are remembered at once. Far above what one instance
/// ever has in flight; it bounds what callers that never settle can take
/// (some 20 MiB). One forgotten early settles as an unknown one does.
const CAPACITY: usize = 65_536;

/// The low bits of an id, which say where its exchange is kept.
const PLACE_BITS: u32 = 20;

/// What a free place has for an id: it speaks of a place beyond all others.
const VACANT: u64 = u64::MAX;

/// The exchanges under way.
///
/// An id is a serial number from 1 and a place. So none is zero, none is used
/// again, and none has to be searched for.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    places: Vec<Place>,
    /// Those of no exchange.
    free: Vec<usize>,
    last_serial: u64,
    /// The place to sweep next.
    hand: usize,
}

/// Where an exchange is kept.
#[derive(Debug)]
struct Place {
    /// The exchange that has it, or [`VACANT`].
    id: u64,
    /// Not there while it is being settled.
    in_flight: Option<InFlight>,
}

impl Exchanges {
    /// The next id, and a place for its exchange until it is released.
    pub(crate) fn issue(&mut self) -> u64 {
        let place = self.free.pop().unwrap_or(self.places.len());
        self.last_serial += 1;
        let id = self.last_serial << PLACE_BITS | place as u64;
        let reserved = Place {
            id,
            in_flight: None,
        };
        match self.places.get_mut(place) {
            Some(free) => *free = reserved,
            None => self.places.push(reserved),
        }
        id
    }

    /// Remembers an exchange until it is taken out or swept.
    pub(crate) fn put(&mut self, id: u64, exchange: InFlight) {
        if let Some(place) = self.place(id) {
            place.in_flight = Some(exchange);
        }
    }

    /// Takes out an exchange; `None` if there is none of this id.
    pub(crate) fn take(&mut self, id: u64) -> Option<InFlight> {
        self.place(id)?.in_flight.take()
    }

    /// Forgets an exchange that ended as it was told it would.
    pub(crate) fn conclude(&mut self, id: u64) {
        if let Some(exchange) = self.take(id) {
            exchange.conclude();
            self.release(id);
        }
    }

    /// Forgets an id.
    pub(crate) fn release(&mut self, id: u64) {
        if let Some(place) = self.place(id) {
            place.id = VACANT;
            place.in_flight = None;
            self.free.push(index(id));
        }
    }

    /// Takes out the exchange that the hand points at if nobody will settle it
    /// any more, or if there is no room for another, and moves on. Each exchange
    /// that begins sweeps two, so the sweep catches up with any backlog and
    /// costs no request more than that.
    pub(crate) fn sweep(&mut self, now: Timestamp) -> Option<InFlight> {
        let full = self.free.is_empty() && self.places.len() >= CAPACITY;
        let Some(place) = self.places.get_mut(self.hand) else {
            self.hand = 0;
            return None;
        };
        self.hand += 1;
        let overdue = |exchange: &InFlight| exchange.deadline() < now;
        if !(full || place.in_flight.as_ref().is_some_and(overdue)) {
            return None;
        }
        let id = place.id;
        let exchange = place.in_flight.take();
        self.release(id);
        exchange
    }

    fn place(&mut self, id: u64) -> Option<&mut Place> {
        self.places
            .get_mut(index(id))
            .filter(|place| place.id == id)
    }
}

/// The place that an id speaks of.
const fn index(id: u64) -> usize {
    (id & ((1 << PLACE_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use edgelb_balancer::{
        Backend, Balancer, BodySize, Fields, Ledger, Origin, Policy, RequestHead, Scheme, Seed,
        Step, Weight,
    };

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// An exchange under way since then.
    fn in_flight(now: Timestamp) -> InFlight {
        let policy = Policy {
            backends: vec![Backend {
                name: "A".to_owned(),
                origin: Origin {
                    scheme: Scheme::Https,
                    authority: "a.example".to_owned(),
                },
                weight: Weight::ONE,
                drain: false,
            }],
            ..Policy::default()
        };
        let mut ledger = Ledger::new(&policy);
        let head = RequestHead {
            method: "GET",
            scheme: Scheme::Https,
            authority: "lb.example",
            target: "/",
            peer: None,
            body: BodySize::None,
            fields: Fields::new(b""),
        };
        match Balancer::new(policy)
            .unwrap()
            .begin(&head, &mut ledger, now, Seed(0))
        {
            Step::Send { then, .. } => then,
            step @ (Step::Forward { .. } | Step::Reply(_)) => panic!("{step:?}"),
        }
    }

    fn begin(exchanges: &mut Exchanges, now: Timestamp) -> u64 {
        let id = exchanges.issue();
        exchanges.put(id, in_flight(now));
        id
    }

    #[test]
    fn ids_are_never_zero_and_never_used_again() {
        let mut exchanges = Exchanges::default();
        let first = exchanges.issue();
        assert_ne!(first, 0);
        exchanges.release(first);
        let second = exchanges.issue();
        assert_ne!(second, first);
        assert_eq!(exchanges.places.len(), 1);
    }

    #[test]
    fn an_exchange_is_taken_once_and_put_back_under_its_id() {
        let mut exchanges = Exchanges::default();
        let (one, other) = (begin(&mut exchanges, START), begin(&mut exchanges, START));
        assert!(exchanges.take(one).is_some());
        assert!(exchanges.take(one).is_none());
        exchanges.put(one, in_flight(START));
        assert!(exchanges.take(one).is_some());
        assert!(exchanges.take(other).is_some());
    }

    #[test]
    fn ids_released_or_never_issued_name_no_exchange() {
        let mut exchanges = Exchanges::default();
        let gone = begin(&mut exchanges, START);
        exchanges.release(gone);
        let present = begin(&mut exchanges, START);
        for unknown in [0, 1, gone, present + 1, VACANT] {
            assert!(exchanges.take(unknown).is_none(), "{unknown}");
            exchanges.release(unknown);
            exchanges.put(unknown, in_flight(START));
        }
        assert_eq!(exchanges.free, []);
        assert!(exchanges.take(present).is_some());
    }

    #[test]
    fn what_ended_without_a_settle_makes_room() {
        let mut exchanges = Exchanges::default();
        let first = begin(&mut exchanges, START);
        exchanges.conclude(first);
        let second = begin(&mut exchanges, START);
        for unknown in [0, 1, first, second + 1, VACANT] {
            exchanges.conclude(unknown);
        }
        assert_eq!(exchanges.places.len(), 1);
        assert!(exchanges.take(second).is_some());
        // While it is being settled it is not to be forgotten.
        exchanges.conclude(second);
        assert_eq!(exchanges.free, []);
    }

    #[test]
    fn what_nobody_settles_is_swept() {
        let mut exchanges = Exchanges::default();
        let late = START.after(Duration::from_secs(3_600));
        let forgotten: Vec<_> = (0..3).map(|_| begin(&mut exchanges, START)).collect();
        let recent = begin(&mut exchanges, late);
        let rounds = |exchanges: &mut Exchanges, now| {
            (0..10).filter(|_| exchanges.sweep(now).is_some()).count()
        };
        assert_eq!(rounds(&mut exchanges, late), 0);
        let later = late.after(Duration::from_millis(1));
        assert_eq!(rounds(&mut exchanges, later), forgotten.len());
        assert_eq!(exchanges.free.len(), forgotten.len());
        assert!(exchanges.take(forgotten[0]).is_none());
        assert!(exchanges.take(recent).is_some());
    }

    #[test]
    fn there_is_always_room_for_another() {
        let mut exchanges = Exchanges::default();
        let first = begin(&mut exchanges, START);
        for _ in 1..CAPACITY {
            exchanges.issue();
        }
        assert!(exchanges.sweep(START).is_some());
        assert!(exchanges.take(first).is_none());
        exchanges.issue();
        assert_eq!(exchanges.places.len(), CAPACITY);
    }
}
