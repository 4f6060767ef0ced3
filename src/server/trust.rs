//! Whom the server believes when they say for whom they speak: load balancers that pass connections
//! on with a PROXY header, and proxies that pass requests on with a field. Both are believed by
//! their addresses alone. Where it is said who they are, is not known here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::listener::Address;
use crate::http::Refusal;
use crate::http::fields::Fields;
use crate::http::forwarded::{self, Forwarded, ForwardedField};
use crate::site::access::Network;

/// Those who are known by where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// From these networks.
    pub networks: Vec<Network>,
    /// Through a Unix-domain socket.
    pub unix: bool,
}

impl Known {
    /// Whether whoever has this address is one of them; `None` over a Unix-domain socket.
    #[must_use]
    pub fn contains(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
            None => self.unix,
        }
    }
}

impl fmt::Display for Known {
    /// As it is written in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(|network| format!("\"{network}\""));
        let all: Vec<String> = networks.chain(self.unix.then(|| "\"unix\"".into())).collect();
        write!(f, "[{}]", all.join(", "))
    }
}

/// Whom the server believes. By default nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// At which address whose connections begin with a PROXY header. They must, and no others may.
    pub senders: Vec<(Address, Known)>,
    /// Whose word is taken for whom a request is from.
    pub forwarders: Option<Known>,
    /// Where they say it.
    pub field: ForwardedField,
}

impl Trust {
    /// Whether a connection from `address` begins with a PROXY header, where it has come in by a
    /// listener of which `is_at` tells.
    pub(super) fn awaits_header(
        &self,
        is_at: impl Fn(&Address) -> bool,
        address: Option<SocketAddr>,
    ) -> bool {
        let senders = self.senders.iter().find(|(at, _)| is_at(at));
        senders.is_some_and(|(_, known)| known.contains(address.map(|address| address.ip())))
    }

    /// Whom a request with these fields is from, if somebody who is believed has passed it on.
    ///
    /// # Errors
    /// 400 where nobody can tell what was said by whom.
    pub(super) fn forwarded(
        &self,
        fields: &Fields<'_>,
        peer: Option<SocketAddr>,
    ) -> Result<Option<Forwarded>, Refusal> {
        let peer = peer.map(|peer| peer.ip());
        match &self.forwarders {
            Some(known) if known.contains(peer) => {
                let is_trusted = |address| known.contains(Some(address));
                forwarded::read(fields, self.field, peer, is_trusted).map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(networks: &[&str], unix: bool) -> Known {
        Known { networks: networks.iter().map(|text| text.parse().unwrap()).collect(), unix }
    }

    #[test]
    fn they_are_known_by_where_they_come_from() {
        let known = known(&["10.0.0.0/8", "::1"], false);
        let contains = |address: &str| known.contains(Some(address.parse().unwrap()));
        assert!(contains("10.1.2.3") && contains("::ffff:10.1.2.3") && contains("::1"));
        assert!(!contains("11.0.0.1") && !contains("::2") && !known.contains(None));
        assert_eq!(known.to_string(), "[\"10.0.0.0/8\", \"::1/128\"]");
        let unix = Known { unix: true, ..Known::default() };
        assert!(unix.contains(None) && !unix.contains(Some([10, 0, 0, 1].into())));
        assert_eq!(unix.to_string(), "[\"unix\"]");
        assert!(!Known::default().contains(None));
    }

    #[test]
    fn a_header_is_awaited_from_those_who_are_listed_at_the_listener() {
        let (here, there): (Address, Address) =
            ("127.0.0.1:80".parse().unwrap(), "127.0.0.1:81".parse().unwrap());
        let senders = vec![(here.clone(), known(&["10.0.0.0/8"], false))];
        let trust = Trust { senders, ..Trust::default() };
        let awaits = |at: &Address, from: &str| {
            trust.awaits_header(|address| address == at, Some(from.parse().unwrap()))
        };
        assert!(awaits(&here, "10.0.0.1:5"));
        assert!(!awaits(&here, "192.0.2.7:5"));
        assert!(!awaits(&there, "10.0.0.1:5"));
    }
}
