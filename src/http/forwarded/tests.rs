//! Whom requests are from, by what two fields say.

use super::*;
use crate::http::Limits;
use crate::http::head::{Head, HeadSpace};

const PEER: &str = "10.0.0.1";

/// Whom a request with these field lines is from; everybody in 10.0.0.0/8 and fd00::/8 is trusted.
fn told(field: ForwardedField, lines: &str) -> Result<(String, bool), Refusal> {
    let said = told_by(Some(PEER.parse().unwrap()), field, lines)?;
    Ok((said.client.expect("there is always one").to_string(), said.is_secure))
}

fn told_by(peer: Option<IpAddr>, field: ForwardedField, lines: &str) -> Result<Forwarded, Refusal> {
    let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    let mut space = HeadSpace::new();
    let head = Head::parse(bytes.as_bytes(), &mut space, &Limits::default()).unwrap();
    let is_trusted = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    };
    read(&head.fields, field, peer, is_trusted)
}

fn client(lines: &str) -> String {
    told(ForwardedField::XForwardedFor, lines).unwrap().0
}

fn forwarded(lines: &str) -> (String, bool) {
    told(ForwardedField::Forwarded, lines).unwrap()
}

#[test]
fn the_last_who_is_not_trusted_is_the_client() {
    for (lines, expected) in [
        ("", PEER),
        ("X-Forwarded-For:\r\n", "::"),
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        ("x-forwarded-for: 198.51.100.1, 192.0.2.7\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 198.51.100.1,192.0.2.7 ,\t10.1.1.1,10.0.0.2\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 10.3.3.3, 192.0.2.7, 10.0.0.2\r\n", "192.0.2.7"),
        // All are trusted: it is from the first of them.
        ("X-Forwarded-For: 10.3.3.3, 10.2.2.2\r\n", "10.3.3.3"),
        ("X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 192.0.2.7\r\nAccept: */*\r\nX-Forwarded-For: 10.0.0.2\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 2001:db8::1, fd00::1\r\n", "2001:db8::1"),
        ("X-Forwarded-For: ::ffff:192.0.2.7, ::ffff:10.1.1.1\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 192.0.2.7:4711, [fd00::1]:80\r\n", "192.0.2.7"),
        ("X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1"),
        // The other one is not looked at.
        ("Forwarded: for=192.0.2.7\r\n", PEER),
        ("X_Forwarded_For: 192.0.2.7\r\n", PEER),
    ] {
        assert_eq!(client(lines), expected, "{lines}");
    }
}

#[test]
fn what_is_no_address_ends_the_walk() {
    for bad in [
        "unknown",
        "-",
        "_hidden",
        "localhost",
        "192.0.2.07",
        "1.2.3",
        "1.2.3.4:",
        "\"1.2.3.4\"",
        "",
    ] {
        for (lines, expected) in [
            (format!("X-Forwarded-For: {bad}\r\n"), "::"),
            (format!("X-Forwarded-For: 192.0.2.7, {bad}\r\n"), "::"),
            (format!("X-Forwarded-For: 192.0.2.7, {bad}, 10.2.2.2, 10.3.3.3\r\n"), "::"),
            (format!("X-Forwarded-For: {bad}, 192.0.2.7, 10.2.2.2\r\n"), "192.0.2.7"),
        ] {
            assert_eq!(client(&lines), expected, "{lines}");
        }
    }
}

#[test]
fn the_scheme_is_https_where_one_line_says_so() {
    let is_secure = |lines: &str| told(ForwardedField::XForwardedFor, lines).unwrap().1;
    assert!(is_secure("X-Forwarded-Proto: https\r\n"));
    assert!(is_secure("X-Forwarded-Proto: HTTPS\r\nX-Forwarded-For: 192.0.2.7\r\n"));
    for lines in [
        "",
        "X-Forwarded-Proto: http\r\n",
        "X-Forwarded-Proto: https, http\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n",
        "Forwarded: proto=https;for=192.0.2.7\r\n",
    ] {
        assert!(!is_secure(lines), "{lines}");
    }
}

#[test]
fn forwarded_is_walked_the_same_way() {
    for (lines, address, is_secure) in [
        ("", PEER, false),
        ("Forwarded: for=192.0.2.7\r\n", "192.0.2.7", false),
        ("Forwarded: FOR=192.0.2.7 ; Proto=HTTPS;by=_x\r\n", "192.0.2.7", true),
        ("Forwarded: for=\"192.0.2.7:80\";proto=\"https\"\r\n", "192.0.2.7", true),
        ("Forwarded: for=\"[2001:db8::1]:4711\"\r\n", "2001:db8::1", false),
        ("Forwarded: proto=https;for=192.0.2.7, for=10.2.2.2;proto=http\r\n", "192.0.2.7", true),
        ("Forwarded: for=192.0.2.7;proto=http, for=10.2.2.2;proto=https\r\n", "192.0.2.7", false),
        ("Forwarded: for=198.51.100.1;proto=https, for=192.0.2.7\r\n", "192.0.2.7", false),
        ("Forwarded: for=192.0.2.7\r\nForwarded: for=10.2.2.2\r\n", "192.0.2.7", false),
        ("Forwarded: for=192.0.2.7, for=unknown\r\n", "::", false),
        ("Forwarded: for=192.0.2.7, for=_a, for=10.2.2.2\r\n", "::", false),
        ("Forwarded: for=192.0.2.7, proto=https\r\n", "::", false),
        ("Forwarded: for=192.0.2.7;ext=\"a, for=1.2.3.4;\\\"\"\r\n", "192.0.2.7", false),
        ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", PEER, false),
    ] {
        assert_eq!(forwarded(lines), (address.to_owned(), is_secure), "{lines}");
    }
}

#[test]
fn a_malformed_forwarded_is_refused() {
    for value in [
        "for=\"198.51.100.1, for=192.0.2.7",
        "for=\"a\\\", for=192.0.2.7",
        "for=192.0.2.7, for=\"",
        "for",
        "for=",
        "=192.0.2.7",
        "for=[2001:db8::1]",
        "for=192.0.2.7 proto=https",
        "for=\"192.0.2.7\"x",
    ] {
        let lines = format!("Forwarded: {value}\r\n");
        assert!(told(ForwardedField::Forwarded, &lines).is_err(), "{lines}");
        // Nobody is refused for a field that is not looked at.
        assert_eq!(client(&lines), PEER);
    }
}

#[test]
fn over_a_unix_domain_socket_only_the_proxy_itself_has_no_address() {
    let client = |field, lines: &str| {
        told_by(None, field, lines).unwrap().client.map(|address| address.to_string())
    };
    let x = ForwardedField::XForwardedFor;
    assert_eq!(client(x, ""), None);
    assert_eq!(client(x, "X-Forwarded-For: 192.0.2.7\r\n").as_deref(), Some("192.0.2.7"));
    assert_eq!(client(x, "X-Forwarded-For: 192.0.2.7, unknown\r\n").as_deref(), Some("::"));
    assert_eq!(client(x, "X-Forwarded-For: unknown, 10.1.1.1\r\n").as_deref(), Some("::"));
    let forwarded = ForwardedField::Forwarded;
    assert_eq!(client(forwarded, ""), None);
    assert_eq!(client(forwarded, "Forwarded: for=_hidden\r\n").as_deref(), Some("::"));
    assert_eq!(client(forwarded, "Forwarded: proto=https\r\n").as_deref(), Some("::"));
}
