//! Who is who in a run: what a group's clients and their requests are told
//! apart by follows from the group's name alone. So whoever takes a group out of
//! a scenario leaves the others as they were.

use std::net::Ipv4Addr;

use super::dice::Dice;

/// Groups are told apart by 21 bits, and a group's requests by 32: numbers of 53
/// bits are exact wherever JSON is read
/// (<https://www.rfc-editor.org/rfc/rfc8259#section-6>).
const GROUPS: u64 = 1 << 21;
const REQUESTS: u64 = 1 << 32;
/// How many addresses there are in 10.0.0.0/8.
const ADDRESSES: u64 = 1 << 24;

/// A group, or what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    group: u64,
    /// Where its addresses begin.
    addresses: u64,
}

impl Identity {
    /// That of a recording, and of no group.
    pub(crate) const RECORDED: Self = Self {
        group: 0,
        addresses: 0,
    };

    /// That of the group of this name, the same in each run.
    pub(crate) fn of(name: &str) -> Self {
        let hash = Dice::new(0).seed(name, 0);
        Self {
            group: 1 + (hash >> 32) % (GROUPS - 1),
            addresses: hash % ADDRESSES,
        }
    }

    /// Whether requests of the two would have the same ids.
    pub(crate) fn collides(self, other: Self) -> bool {
        self.group == other.group
    }

    /// The id of its request of this number, unique in the run.
    pub(crate) fn request(self, number: u64) -> u64 {
        self.group * REQUESTS + number % REQUESTS
    }

    /// The number of the request of this id, if it is one of these.
    pub(crate) fn number(self, id: u64) -> Option<u64> {
        (id / REQUESTS == self.group).then_some(id % REQUESTS)
    }

    /// Its address of this number: one after the other, in 10.0.0.0/8. Those of
    /// two groups may overlap, as addresses of people do.
    pub(crate) fn address(self, number: u64) -> Ipv4Addr {
        let number = (self.addresses + number) % ADDRESSES;
        Ipv4Addr::from_bits(0x0A00_0000 | number as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_name_is_frozen() {
        let players = Identity::of("players");
        assert_eq!(players.request(7), 3_750_180_759_273_479);
        assert_eq!(players.address(0).to_string(), "10.36.114.225");
        assert_eq!(players.number(players.request(7)), Some(7));
        assert_eq!(Identity::RECORDED.number(players.request(7)), None);
        assert_eq!(Identity::RECORDED.request(7), 7);
    }

    #[test]
    fn ids_are_exact_in_json_and_never_those_of_a_recording() {
        for name in ["", "a", "players", "browsers", "somebody else"] {
            let identity = Identity::of(name);
            assert!(!identity.collides(Identity::RECORDED), "{name}");
            assert!(identity.request(u64::MAX) < 1 << 53, "{name}");
        }
    }

    #[test]
    fn a_group_has_as_many_addresses_as_it_needs() {
        let last = Identity {
            group: 1,
            addresses: ADDRESSES - 1,
        };
        assert_eq!(last.address(0).to_string(), "10.255.255.255");
        assert_eq!(last.address(1).to_string(), "10.0.0.0");
    }
}
