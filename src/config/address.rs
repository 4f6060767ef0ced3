//! Addresses to listen on, and what was probably meant by what is none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::source::Source;
use crate::server::listener::Address;

/// The longest path a Unix-domain socket can have, in bytes (unix(7): `sun_path` with its NUL).
const MAX_SOCKET_PATH: usize = 107;

/// The address that `text` names; a relative path begins where the source is.
///
/// # Errors
/// What is wrong with it, and on a second line what was probably meant.
pub(super) fn parse(text: &str, source: &Source) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path, source).map(Address::Unix);
    }
    if let Ok(address) = text.parse() {
        return Ok(Address::Tcp(address));
    }
    let what = format!("`{text}` is not an address to listen on");
    Err(match meant(text) {
        Some(meant) => format!("{what}\ndid you mean `{meant}`?"),
        None => format!("{what}\nwrite it like `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`"),
    })
}

fn socket(path: &str, source: &Source) -> Result<PathBuf, String> {
    if path.is_empty() || path.ends_with('/') {
        return Err("the name of the socket is missing\nwrite it like `unix:/run/name`".to_owned());
    }
    let path = source.path(path);
    let length = path.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(format!(
            "the path of a socket can have {MAX_SOCKET_PATH} bytes, this one has {length}"
        ));
    }
    Ok(path)
}

/// The address that was probably meant.
fn meant(text: &str) -> Option<SocketAddr> {
    let text = text.strip_prefix("http://").unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, 8080));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
    let host = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "*" | "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        other => other.parse().ok()?,
    };
    Some(SocketAddr::new(host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let source = Source::text("a.toml", String::new(), "/etc/x".into());
        parse(text, &source).map(|address| address.to_string())
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["127.0.0.1:80", "[::1]:0", "unix:/run/a.sock"] {
            assert_eq!(parsed(text).as_deref(), Ok(text));
        }
        assert_eq!(parsed("unix:a.sock").as_deref(), Ok("unix:/etc/x/a.sock"));
    }

    #[test]
    fn what_is_near_to_an_address_is_put_right() {
        let cases = [
            ("8080", "127.0.0.1:8080"),
            (":80", "0.0.0.0:80"),
            ("*:80", "0.0.0.0:80"),
            ("localhost:80", "127.0.0.1:80"),
            ("127.0.0.1", "127.0.0.1:8080"),
            ("::1", "[::1]:8080"),
            ("[::1]", "[::1]:8080"),
            ("http://127.0.0.1:80/", "127.0.0.1:80"),
        ];
        for (text, meant) in cases {
            let error = parsed(text).expect_err("it is no address");
            assert_eq!(
                error,
                format!("`{text}` is not an address to listen on\ndid you mean `{meant}`?")
            );
        }
    }

    #[test]
    fn what_is_far_from_an_address_is_told_how_one_looks() {
        for text in ["", "example.com:80", "127.0.0.1:99999", "1.2.3:80", "/run/a.sock"] {
            let error = parsed(text).expect_err("it is no address");
            assert!(error.ends_with("`[::1]:8080` or `unix:/path`"), "{text}: {error}");
        }
        let long = format!("unix:/{}", "a".repeat(MAX_SOCKET_PATH));
        let error = parsed(&long).expect_err("it is too long");
        assert_eq!(error, "the path of a socket can have 107 bytes, this one has 108");
        assert!(parsed("unix:").is_err());
    }
}
