//! Networks, and the address of a caller behind trusted proxies.

use std::{fmt, net::IpAddr, str::FromStr};

/// A block of addresses, such as `10.0.0.0/8`, `2001:db8::/32` or one address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network; expected one such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7")]
pub struct NoNetwork(String);

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let wrong = || NoNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = width(address);
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address in IPv6's clothes counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.address)
            && masked(address, self.bits) == masked(self.address, self.bits)
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The first `bits` bits of an address.
fn masked(address: IpAddr, bits: u8) -> u128 {
    let number = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    number.checked_shr(u32::from(width(address) - bits)).unwrap_or(0)
}

/// The address that a request came from: `peer`'s own, or the one that the trusted proxies before
/// it have seen. `forwarded` holds the values of `X-Forwarded-For` in the order in which they came.
///
/// The list is read from its end, where the proxies nearest to us have written: whatever stands
/// before the first address that is no trusted proxy may have been made up by the caller.
#[must_use]
pub(crate) fn caller_address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    let mut entries = forwarded.rev().flat_map(|value| value.rsplit(','));
    while is_trusted(address) {
        match entries.next().and_then(read_entry) {
            Some(earlier) => address = earlier,
            None => break,
        }
    }
    address
}

/// One entry of `X-Forwarded-For`; some proxies write a port behind it.
fn read_entry(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let address = entry.parse::<IpAddr>().ok();
    let with_port = || entry.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    Some(address.or_else(with_port)?.to_canonical())
}

/// What one caller is likely to control: an IPv4 address, or the first 64 bits of an IPv6 one.
#[must_use]
pub(crate) fn caller_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(std::net::Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn networks_know_their_addresses() {
        let cases = [
            ("inside", "10.0.0.0/8", "10.200.3.4", true),
            ("outside", "10.0.0.0/8", "11.0.0.1", false),
            ("one alone", "192.0.2.7", "192.0.2.7", true),
            ("its neighbour", "192.0.2.7", "192.0.2.8", false),
            ("everything", "0.0.0.0/0", "203.0.113.9", true),
            ("another family", "0.0.0.0/0", "2001:db8::1", false),
            ("IPv6", "2001:db8::/32", "2001:db8:ffff::1", true),
            ("IPv4 in IPv6", "10.0.0.0/8", "::ffff:10.1.2.3", true),
        ];
        for (name, network, address, inside) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{name}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "host", "::/129", "10.0.0.0/x"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = networks(&["10.0.0.0/8", "::1"]);
        let cases: [(&str, &str, &[&str], &str); 10] = [
            ("no proxy", "203.0.113.9", &[], "203.0.113.9"),
            ("a stranger who makes one up", "203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("one proxy", "10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            (
                "made up before the proxy's entry",
                "10.0.0.1",
                &["1.1.1.1, 198.51.100.1"],
                "198.51.100.1",
            ),
            ("two proxies", "10.0.0.1", &["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("two headers", "10.0.0.1", &["1.1.1.1", "198.51.100.1,10.0.0.2"], "198.51.100.1"),
            ("only proxies", "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("nonsense", "10.0.0.1", &["unknown"], "10.0.0.1"),
            ("with a port", "10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("IPv6 peer", "::1", &["2001:db8::7"], "2001:db8::7"),
        ];
        for (name, peer, forwarded, expected) in cases {
            let found = caller_address(peer.parse().unwrap(), forwarded.iter().copied(), &trusted);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{name}");
        }
        let nobody = caller_address("10.0.0.1".parse().unwrap(), ["1.1.1.1"].into_iter(), &[]);
        assert_eq!(nobody, "10.0.0.1".parse::<IpAddr>().unwrap(), "nobody is trusted");
    }

    #[test]
    fn a_caller_controls_64_bits_of_ipv6() {
        let network = |text: &str| caller_network(text.parse().unwrap()).to_string();

        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
