//! Networks, and lists of those whose clients are let in. What is asked for is not known here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The networks whose clients are let in; all others are kept out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    networks: Box<[Network]>,
}

impl Allow {
    /// Lets in the clients of these networks: of none, if there are none.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Self {
        Allow { networks: networks.into_iter().collect() }
    }

    /// Whether a client with this address is let in.
    ///
    /// `None` is a client of a Unix-domain socket, who has no address. It is always let in: who may
    /// connect there is what the socket's owner and file mode say.
    #[must_use]
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        client.is_none_or(|address| self.networks.iter().any(|network| network.contains(address)))
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for network in &self.networks {
            write!(f, "{between}{network}")?;
            between = ", ";
        }
        f.write_str(if self.networks.is_empty() { "nobody" } else { "" })
    }
}

/// A network: `10.0.0.0/8`, `2001:db8::/32`, or one address.
///
/// IPv4 and IPv6 are two worlds: `::/0` is every IPv6 address and no IPv4 address. An IPv4 address
/// that is mapped into IPv6 (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2), as sockets of both worlds name
/// their clients, is an IPv4 address on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address; never a mapped one.
    first: IpAddr,
    /// How many leading bits its addresses share: at most 32 or 128.
    prefix: u32,
}

/// Why a text names no network. Its `Display` is a whole sentence, without the full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNetwork(String);

impl Network {
    /// Whether `address` lies in this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4()
            && Network::around(address, self.prefix).first == self.first
    }

    /// The network of `prefix` bits that `address` lies in; at most as many as it has.
    fn around(address: IpAddr, prefix: u32) -> Network {
        // A prefix of 0 shifts all bits out, and there is no mask.
        let first = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Network { first, prefix }
    }

    /// Takes a network of mapped addresses to the IPv4 network that it is.
    fn canonical(self) -> Network {
        match self.first.to_canonical() {
            first @ IpAddr::V4(_) if self.first.is_ipv6() && self.prefix >= 96 => {
                Network { first, prefix: self.prefix - 96 }
            }
            IpAddr::V4(_) | IpAddr::V6(_) => self,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(BadNetwork(format!("{text:?} is not a network{}", hint(address))));
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => parse_prefix(digits, width).ok_or_else(|| {
                BadNetwork(format!("{text:?} is not a network: after the / stands 0 to {width}"))
            })?,
        };
        let network = Network::around(address, prefix);
        if network.first != address {
            return Err(BadNetwork(format!(
                "{text:?} is not a network: it has bits set after the first {prefix}. \
                 Is it {network} or {address}"
            )));
        }
        Ok(network.canonical())
    }
}

/// One to three digits, at most `width`.
fn parse_prefix(digits: &str, width: u32) -> Option<u32> {
    let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    // What has at most three digits is a number.
    digits.parse().ok().filter(|&prefix| plain && prefix <= width)
}

/// What was probably meant by `address`, which is none.
fn hint(address: &str) -> &'static str {
    if address.contains('%') {
        ": an address stands here without its zone (%…)"
    } else if address.parse::<std::net::SocketAddr>().is_ok() || address.starts_with('[') {
        ": an address stands here without port and brackets"
    } else if address.eq_ignore_ascii_case("localhost") {
        ": a name could mean anything; write \"127.0.0.0/8\" and \"::1\""
    } else if address == "*" || address.eq_ignore_ascii_case("all") {
        ": for every client write \"0.0.0.0/0\" and \"::/0\""
    } else {
        ": it looks like \"10.0.0.0/8\", \"2001:db8::/32\" or \"192.0.2.7\""
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadNetwork {}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn complaint(text: &str) -> String {
        text.parse::<Network>().expect_err(text).to_string()
    }

    fn contains(text: &str, address: &str) -> bool {
        network(text).contains(address.parse().expect(address))
    }

    #[test]
    fn a_network_ends_where_its_prefix_says() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
            ("192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.0"]),
            ("192.0.2.6/31", ["192.0.2.6", "192.0.2.7"], ["192.0.2.5", "192.0.2.8"]),
            ("192.0.2.7", ["192.0.2.7", "192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
            ("2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db7::", "2001:db9::"]),
            ("fe80::/10", ["fe80::1", "febf:ffff::"], ["fec0::", "fe7f:ffff::"]),
            ("::1", ["::1", "::1"], ["::2", "::"]),
        ] {
            for address in inside {
                assert!(contains(text, address), "{address} lies in {text}");
            }
            for address in outside {
                assert!(!contains(text, address), "{address} does not lie in {text}");
            }
        }
    }

    #[test]
    fn every_address_is_in_the_whole_of_its_own_world_only() {
        for address in ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"] {
            assert!(contains("0.0.0.0/0", address));
            assert!(!contains("::/0", address));
        }
        for address in ["::", "ffff::", "::1.2.3.4", "::fffe:1.2.3.4"] {
            assert!(contains("::/0", address));
            assert!(!contains("0.0.0.0/0", address));
        }
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_address_on_either_side() {
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!contains("10.0.0.0/8", "::ffff:11.1.2.3"));
        assert!(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(contains("::ffff:10.0.0.0/104", "::ffff:10.1.2.3"));
        assert_eq!(network("::ffff:10.0.0.0/104").to_string(), "10.0.0.0/8");
        assert_eq!(network("::ffff:0:0/96"), network("0.0.0.0/0"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_hint() {
        for text in [
            "",
            "/",
            "/8",
            "10/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/0008",
            "10.0.0.0/ 8",
            " 10.0.0.0/8",
            "::/129",
            "256.0.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/255.0.0.0",
            "::ffff:0:0/95",
        ] {
            assert!(complaint(text).starts_with(&format!("{text:?} is not a network: ")));
        }
        assert!(complaint("10.0.0.1/8").ends_with("Is it 10.0.0.0/8 or 10.0.0.1"));
        assert!(complaint("2001:db8::1/32").ends_with("Is it 2001:db8::/32 or 2001:db8::1"));
        assert!(complaint("::1/96").contains("Is it ::/96"));
        assert!(complaint("10.0.0.0/40").contains("0 to 32"));
        assert!(complaint("fe80::1%eth0").contains("zone"));
        assert!(complaint("10.0.0.1:80").contains("without port"));
        assert!(complaint("[::1]").contains("brackets"));
        assert!(complaint("localhost").contains("127.0.0.0/8"));
        assert!(complaint("all").contains("0.0.0.0/0"));
    }

    #[test]
    fn a_list_lets_in_its_networks_and_unix_clients() {
        let allow = Allow::new([network("127.0.0.0/8"), network("::1")]);
        let admits = |address: &str| allow.admits(Some(address.parse().expect(address)));
        assert!(admits("127.0.0.1") && admits("::1") && admits("::ffff:127.0.0.1"));
        assert!(!admits("10.0.0.1") && !admits("::2"));
        assert!(allow.admits(None));
        let nobody = Allow::default();
        assert!(nobody.admits(None) && !nobody.admits(Some(Ipv4Addr::LOCALHOST.into())));
    }
}
