//! Blocks of IP addresses.

use core::fmt;
use core::net::IpAddr;

/// A CIDR block: the addresses that begin with the same bits
/// (<https://www.rfc-editor.org/rfc/rfc4632#section-3.1>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    length: u8,
}

impl Network {
    /// The block of the addresses that share this many leading bits with one;
    /// `None` if it does not have that many.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let first = match address {
            IpAddr::V4(address) => IpAddr::from(leading(address.octets(), length)?),
            IpAddr::V6(address) => IpAddr::from(leading(address.octets(), length)?),
        };
        Some(Self { first, length })
    }

    /// The first address.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// How many leading bits the addresses share.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether an address is one of them. Those of the other version never are.
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address, self.length) == Some(*self)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

/// The octets with all but the leading bits cleared.
fn leading<const N: usize>(mut octets: [u8; N], bits: u8) -> Option<[u8; N]> {
    let mut rest = u32::from(bits);
    for octet in &mut octets {
        let kept = rest.min(u8::BITS);
        *octet &= !u8::MAX.checked_shr(kept).unwrap_or(0);
        rest -= kept;
    }
    (rest == 0).then_some(octets)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "constants")]

    use super::*;

    fn network(address: &str, length: u8) -> Option<Network> {
        Network::new(address.parse().unwrap(), length)
    }

    #[test]
    fn a_block_begins_with_its_first_address() {
        for (address, length, expected) in [
            ("10.1.2.3", 0, Some("0.0.0.0/0")),
            ("10.1.2.3", 8, Some("10.0.0.0/8")),
            ("10.255.2.3", 13, Some("10.248.0.0/13")),
            ("10.1.2.3", 31, Some("10.1.2.2/31")),
            ("10.1.2.3", 32, Some("10.1.2.3/32")),
            ("10.1.2.3", 33, None),
            ("2001:db8::1", 0, Some("::/0")),
            ("2001:dbf::1", 29, Some("2001:db8::/29")),
            ("2001:db8::1", 128, Some("2001:db8::1/128")),
            ("2001:db8::1", 129, None),
            ("2001:db8::1", u8::MAX, None),
        ] {
            let actual = network(address, length).map(|network| network.to_string());
            assert_eq!(actual.as_deref(), expected, "{address}/{length}");
        }
    }

    #[test]
    fn addresses_are_in_blocks_of_their_own_version() {
        for (first, length, address, expected) in [
            ("10.0.0.0", 8, "10.255.255.255", true),
            ("10.0.0.0", 8, "11.0.0.0", false),
            ("10.0.0.0", 9, "10.128.0.0", false),
            ("192.0.2.1", 32, "192.0.2.1", true),
            ("192.0.2.1", 32, "192.0.2.0", false),
            ("0.0.0.0", 0, "255.255.255.255", true),
            ("0.0.0.0", 0, "::", false),
            ("::", 0, "0.0.0.0", false),
            ("::", 96, "0.0.0.0", false),
            ("2001:db8::", 32, "2001:db8:ffff::1", true),
            ("2001:db8::", 32, "2001:db9::", false),
        ] {
            let network = network(first, length).unwrap();
            let actual = network.contains(address.parse().unwrap());
            assert_eq!(actual, expected, "{network} {address}");
        }
    }
}
