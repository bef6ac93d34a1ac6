//! Networks, as an operator writes them.

use std::{net::IpAddr, str::FromStr};

/// A list of networks.
///
/// Each is an address, or a prefix of addresses (RFC 4632 section 3.1, RFC 4291 section 2.3), and
/// there are commas between them.
///
/// ```
/// use auth_service::domain::network::Networks;
///
/// let networks: Networks = "10.0.0.0/8, 192.0.2.7, 2001:db8::/32".parse()?;
/// assert!(networks.contain([10, 1, 2, 3].into()));
/// assert!(!networks.contain([192, 0, 2, 8].into()));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Networks {
    /// Whether an address is in one of them. One of IPv4 that is written as IPv6 is in none.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written = text.split(',').map(str::trim).filter(|written| !written.is_empty());
        written.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let ((width, bits), (other_width, other_bits)) = (bits(self.address), bits(address));
        width == other_width && above(bits ^ other_bits, width - self.prefix) == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let parsed: Option<IpAddr> = address.parse().ok();
        let address = parsed.ok_or_else(|| format!("{address:?} is no IP address"))?;
        if address.to_canonical() != address {
            return Err(format!(
                "{address} is an address of IPv4; write {}",
                address.to_canonical()
            ));
        }
        let (width, bits) = bits(address);
        let prefix = prefix.map_or(Some(width), |prefix| prefix.parse().ok());
        let prefix = prefix.filter(|prefix| *prefix <= width);
        let prefix =
            prefix.ok_or_else(|| format!("{text:?} has no prefix of 0 to {width} bits"))?;
        // Whoever wrote them may have meant that one address.
        if above(bits, width - prefix).checked_shl(width - prefix).unwrap_or(0) != bits {
            return Err(format!("{text:?} has bits beyond its prefix"));
        }
        Ok(Self { address, prefix })
    }
}

/// How many bits an address has, and these.
fn bits(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(address) => (32, address.to_bits().into()),
        IpAddr::V6(address) => (128, address.to_bits()),
    }
}

/// What is above the lowest bits, which may be all.
fn above(bits: u128, lowest: u32) -> u128 {
    bits.checked_shr(lowest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(text: &str) -> Networks {
        text.parse().unwrap()
    }

    fn hold(text: &str, address: &str) -> bool {
        networks(text).contain(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix_and_of_its_kind() {
        for (network, held, not_held) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "255.0.0.1", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.7"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("fd00::1", "fd00::1", "fd00::2"),
        ] {
            assert!(hold(network, held), "{network} {held}");
            assert!(!hold(network, not_held), "{network} {not_held}");
        }
        let two = "10.0.0.0/8,\t192.0.2.7 ";
        assert!(hold(two, "10.0.0.1") && hold(two, "192.0.2.7") && !hold(two, "192.0.2.8"));
        for none in ["", " ", ","] {
            assert_eq!(networks(none), Networks::default());
        }
    }

    #[test]
    fn what_is_none_is_named() {
        for (text, named) in [
            ("proxy", "\"proxy\" is no IP address"),
            ("10.0.0.0/8 192.0.2.7", "\"10.0.0.0/8 192.0.2.7\" has no prefix of 0 to 32 bits"),
            ("10.0.0/8", "\"10.0.0\" is no IP address"),
            ("10.0.0.0/33", "\"10.0.0.0/33\" has no prefix of 0 to 32 bits"),
            ("::/129", "\"::/129\" has no prefix of 0 to 128 bits"),
            ("10.0.0.0/", "\"10.0.0.0/\" has no prefix of 0 to 32 bits"),
            ("192.0.2.7,10.0.0.1/8", "\"10.0.0.1/8\" has bits beyond its prefix"),
            ("10.0.0.1/0", "\"10.0.0.1/0\" has bits beyond its prefix"),
            ("::1/0", "\"::1/0\" has bits beyond its prefix"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1 is an address of IPv4; write 10.0.0.1"),
        ] {
            assert_eq!(text.parse::<Networks>(), Err(named.to_owned()));
        }
    }

    proptest! {
        /// One bit more that differs is one too many.
        #[test]
        fn the_prefix_decides(address: u128, prefix in 1_u32..=128, flipped in 0_u32..128) {
            let network = (address >> (128 - prefix)) << (128 - prefix);
            let network = Network { address: IpAddr::V6(network.into()), prefix };
            let other = address ^ (1 << (127 - flipped));
            prop_assert!(network.contains(IpAddr::V6(address.into())));
            prop_assert_eq!(network.contains(IpAddr::V6(other.into())), flipped >= prefix);
        }
    }
}
