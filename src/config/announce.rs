//! Where a person finds the server: URLs for the addresses it listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::server::Address;

/// What to type into a browser on this machine to reach `address`. For an address that stands for
/// all of this machine's, that is the loopback one.
#[must_use]
pub fn url(address: &Address) -> String {
    let address = match address {
        Address::Tcp(address) => address,
        Address::Unix(_) => return address.to_string(),
    };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    match SocketAddr::new(ip, address.port()) {
        SocketAddr::V4(address) if address.port() == 80 => {
            format!("http://{ip}/", ip = address.ip())
        }
        SocketAddr::V6(address) if address.port() == 80 => {
            format!("http://[{ip}]/", ip = address.ip())
        }
        address => format!("http://{address}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_shown_as_one_that_can_be_reached() {
        let cases = [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("127.0.0.1:80", "http://127.0.0.1/"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080/"),
            ("[::]:8080", "http://[::1]:8080/"),
            ("[::1]:80", "http://[::1]/"),
            ("192.0.2.1:8080", "http://192.0.2.1:8080/"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ];
        for (address, shown) in cases {
            assert_eq!(url(&address.parse().unwrap()), shown);
        }
    }
}
