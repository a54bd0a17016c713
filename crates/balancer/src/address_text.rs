//! Addresses as text. One of IPv4 is in nearly every request, and so is not left to
//! the machinery of formatting, which is slow.

use core::fmt::{self, Write as _};
use core::net::{IpAddr, Ipv4Addr};

/// The longest: `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`.
const MOST: usize = 45;

/// An address, written out.
#[derive(Debug)]
pub(crate) struct AddressText {
    bytes: [u8; MOST],
    length: usize,
}

impl AddressText {
    /// Writes an address out.
    pub(crate) fn of(address: IpAddr) -> Self {
        let mut text = Self {
            bytes: [0; MOST],
            length: 0,
        };
        match address {
            IpAddr::V4(address) => text.dotted(address),
            // There is room for every one.
            IpAddr::V6(address) => drop(write!(text, "{address}")),
        }
        text
    }

    /// What was written.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn dotted(&mut self, address: Ipv4Addr) {
        for (index, octet) in address.octets().into_iter().enumerate() {
            if index > 0 {
                self.push(b'.');
            }
            if octet >= 100 {
                self.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.push(b'0' + octet / 10 % 10);
            }
            self.push(b'0' + octet % 10);
        }
    }

    #[inline(never)]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

impl fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_ever() {
        let text = |address| {
            let text = AddressText::of(address);
            String::from_utf8_lossy(text.as_bytes()).into_owned()
        };
        for octet in u8::MIN..=u8::MAX {
            let address = IpAddr::from([octet, 0, !octet, 9]);
            assert_eq!(text(address), address.to_string());
        }
        for address in ["2001:db8::1", "::ffff:255.255.255.255", "::"] {
            let longest = [0xffff; 8];
            for address in [address.parse().unwrap_or(longest.into()), longest.into()] {
                assert_eq!(text(address), address.to_string());
            }
        }
    }
}
