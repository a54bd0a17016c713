//! Blocks of IP addresses.

use alloc::format;
use core::net::{IpAddr, Ipv6Addr};

use edgelb_balancer::Network;

use crate::error::Fault;

/// A CIDR block, or one address as a block of its own. IPv4-mapped IPv6 is
/// folded to IPv4, as the addresses are that it is compared with.
///
/// <https://www.rfc-editor.org/rfc/rfc4632.html#section-3.1>
/// <https://www.rfc-editor.org/rfc/rfc4291.html#section-2.3>
pub(crate) fn block(text: &str) -> Result<Network, Fault> {
    let parsed = match text.split_once('/') {
        Some((address, length)) => parse(address, Some(length)),
        None => parse(text, None),
    };
    let (address, network) = parsed.ok_or_else(|| {
        Fault::new(
            "is neither an IP address nor a CIDR block",
            "one such as `10.0.0.0/8` or `2001:db8::1`",
        )
    })?;
    if network.first() != address {
        return Err(Fault::new(
            format!("has bits set beyond its prefix of {}", network.length()),
            format!("`{network}`, or another prefix"),
        ));
    }
    Ok(fold(network))
}

/// An address and the block around it, of itself where no length is given.
fn parse(address: &str, length: Option<&str>) -> Option<(IpAddr, Network)> {
    let address: IpAddr = address.parse().ok()?;
    let length = match (length, address) {
        (Some(length), _) if !length.bytes().all(|byte| byte.is_ascii_digit()) => return None,
        (Some(length), _) => length.parse().ok()?,
        (None, IpAddr::V4(_)) => 32,
        (None, IpAddr::V6(_)) => 128,
    };
    Some((address, Network::new(address, length)?))
}

fn fold(network: Network) -> Network {
    const MAPPED_PREFIX: u8 = 96;
    let mapped = match network.first() {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => address.to_ipv4_mapped(),
    };
    let length = network.length().checked_sub(MAPPED_PREFIX);
    mapped
        .zip(length)
        .and_then(|(address, length)| Network::new(address.into(), length))
        .unwrap_or(network)
}

/// The one address in the brackets of an IP literal, canonically spelt.
/// <https://www.rfc-editor.org/rfc/rfc5952.html#section-4>
pub(crate) fn literal(text: &str) -> Result<Ipv6Addr, Fault> {
    text.parse().map_err(|_| {
        Fault::new(
            "has no IPv6 address in its brackets",
            "one such as `[2001:db8::1]`, without a zone",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_canonical() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("192.0.2.1", Some("192.0.2.1/32")),
            ("2001:DB8::/32", Some("2001:db8::/32")),
            ("2001:db8::1", Some("2001:db8::1/128")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:192.0.2.1", Some("192.0.2.1/32")),
            ("::/0", Some("::/0")),
            ("10.0.0.1/8", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0.0", None),
            ("010.0.0.1", None),
            ("[2001:db8::1]", None),
            ("fe80::1%eth0", None),
            ("proxy.example.com", None),
            ("loopback", None),
            ("", None),
        ] {
            let actual = block(text).ok().map(|net| net.to_string());
            assert_eq!(actual.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_block_with_host_bits_is_told_its_first_address() {
        let fault = block("10.1.2.3/8").map_err(|fault| fault.expected);
        assert_eq!(fault, Err("`10.0.0.0/8`, or another prefix".into()));
    }
}
