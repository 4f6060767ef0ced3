//! Headers that are read, and many that are not, at every cut.

use super::*;

/// As many as a head may have.
const MOST: usize = 16 << 10;

/// A header of version 2: the two bytes behind the signature, the length, the rest.
fn binary(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a short rest").to_be_bytes();
    [&SIGNATURE[..], &[command, kind], &length, rest].concat()
}

const IPV4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb];

fn ipv6() -> Vec<u8> {
    let mut bytes = vec![0x20, 0x01, 0x0d, 0xb8];
    bytes.resize(15, 0);
    bytes.push(9);
    bytes.resize(31, 0);
    bytes.extend([1, 0xff, 0xff, 0, 80]);
    bytes
}

fn ends(client: &str, server: &str) -> Ends {
    Ends::Client { client: client.parse().expect(client), server: server.parse().expect(server) }
}

/// Headers, and what they say.
fn good() -> Vec<(Vec<u8>, Ends)> {
    let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let ipv4 = ends("192.0.2.7:56324", "10.0.0.1:443");
    let ipv6_ends = ends("[2001:db8::9]:65535", "[::1]:80");
    // What a name, a certificate or anything else may be told by.
    let with_more = [&IPV4[..], &[0x02, 0, 9], b"a.example", &[0xe0, 0xff, 0xff]].concat();
    let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
    vec![
        (line("TCP4 192.0.2.7 10.0.0.1 56324 443"), ipv4),
        (line("TCP4 255.255.255.255 0.0.0.0 0 65535"), ends("255.255.255.255:0", "0.0.0.0:65535")),
        (line("TCP6 2001:db8::9 ::1 65535 80"), ipv6_ends),
        (line("TCP6 2001:DB8:0::0009 ::1 65535 80"), ipv6_ends),
        (line("TCP6 ::ffff:192.0.2.7 ::1 1 2"), ends("[::ffff:192.0.2.7]:1", "[::1]:2")),
        (
            line(&format!("TCP6 {long} {long} 65535 65535")),
            ends(&format!("[{long}]:65535"), &format!("[{long}]:65535")),
        ),
        (line("UNKNOWN"), Ends::Unknown),
        (line("UNKNOWN "), Ends::Unknown),
        (line(&format!("UNKNOWN {long} {long} 65535 65535")), Ends::Unknown),
        (line("UNKNOWN GET / HTTP/1.1 \0\u{b7}"), Ends::Unknown),
        (binary(0x21, 0x11, &IPV4), ipv4),
        (binary(0x21, 0x12, &IPV4), ipv4),
        (binary(0x21, 0x11, &with_more), ipv4),
        (binary(0x21, 0x21, &ipv6()), ipv6_ends),
        (binary(0x21, 0x22, &[&ipv6()[..], &[4, 0, 0]].concat()), ipv6_ends),
        (binary(0x21, 0x31, &[b'/'; 216]), Ends::Unknown),
        (binary(0x21, 0x32, &[b'/'; 300]), Ends::Unknown),
        (binary(0x21, 0x00, b""), Ends::Unknown),
        (binary(0x21, 0x00, &IPV4), Ends::Unknown),
        (binary(0x21, 0x10, b"a"), Ends::Unknown),
        (binary(0x21, 0x01, b"a"), Ends::Unknown),
        // Of LOCAL nothing is looked at but the length.
        (binary(0x20, 0x00, b""), Ends::Sender),
        (binary(0x20, 0x11, &IPV4), Ends::Sender),
        (binary(0x20, 0x11, b"a"), Ends::Sender),
        (binary(0x20, 0xff, b"anything"), Ends::Sender),
        (binary(0x21, 0x11, &[&IPV4[..], &vec![0; MOST - FIXED - 12]].concat()), ipv4),
    ]
}

/// What is none, and never becomes one.
fn bad() -> Vec<Vec<u8>> {
    let mut bad = bad_binary();
    bad.extend(BAD.map(|text| text.as_bytes().to_vec()));
    // A line may have 107 bytes, and its end must be one of them.
    for length in [99, 100, 1000] {
        bad.push(format!("PROXY UNKNOWN {}\r\n", "a".repeat(length - 7)).into_bytes());
    }
    bad
}

const BAD: [&str; 55] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT / HTTP/1.1\r\n\r\n",
    "PROXY/ HTTP/1.1\r\n\r\n",
    "proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
    " PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
    "\r\nPROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
    "\r\n\r\nPROXY",
    "\n",
    "\0",
    "\u{16}\u{3}\u{1}",
    "PROXY\r\n",
    "PROXY \r\n",
    "PROXY  TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
    "PROXY\tTCP4 192.0.2.7 10.0.0.1 1 2\r\n",
    "PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1  2\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 2 \r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1\r\n",
    "PROXY TCP4 192.0.2.7\r\n",
    "PROXY TCP4\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\rx",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\r\n",
    "PROXY UNKNOWN\n",
    "PROXY UNKNOWN a\nb\r\n",
    "PROXY UNKNOWN a\rb\r\n",
    "PROXY UNKNOWNS\r\n",
    "PROXY unknown\r\n",
    "PROXY TCP 192.0.2.7 10.0.0.1 1 2\r\n",
    "PROXY TCP5 192.0.2.7 10.0.0.1 1 2\r\n",
    "PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n",
    "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP4 192.0.2.7 ::1 1 2\r\n",
    "PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n",
    "PROXY TCP6 ::1 10.0.0.1 1 2\r\n",
    "PROXY TCP6 [::1] [::1] 1 2\r\n",
    "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "PROXY TCP6 1::2::3 ::1 1 2\r\n",
    "PROXY TCP6 12345::1 ::1 1 2\r\n",
    "PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
    "PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n",
    "PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n",
    "PROXY TCP4 192.0.2.7.1 10.0.0.1 1 2\r\n",
    "PROXY TCP4 localhost 10.0.0.1 1 2\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 00 2\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 +1 2\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 -1 2\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 0x50\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1  2\r\n",
    "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\u{b7}\r\n",
];

fn bad_binary() -> Vec<Vec<u8>> {
    let mut bad = vec![
        binary(0x11, 0x11, &IPV4),
        binary(0x31, 0x11, &IPV4),
        binary(0x01, 0x11, &IPV4),
        binary(0x22, 0x11, &IPV4),
        binary(0x2f, 0x11, &IPV4),
        binary(0x21, 0x13, &IPV4),
        binary(0x21, 0x1f, &IPV4),
        binary(0x21, 0x41, &IPV4),
        binary(0x21, 0xf0, &IPV4),
        binary(0x21, 0x03, b""),
        binary(0x21, 0x11, &IPV4[..11]),
        binary(0x21, 0x11, b""),
        binary(0x21, 0x21, &ipv6()[..35]),
        binary(0x21, 0x21, &IPV4),
        binary(0x21, 0x31, &[b'/'; 215]),
        binary(0x21, 0x11, &[0; MOST - FIXED + 1]),
        binary(0x20, 0x00, &[0; MOST - FIXED + 1]),
        binary(0x21, 0x11, &vec![0; 65_535]),
    ];
    // Each byte of the signature counts.
    for at in 0..SIGNATURE.len() {
        let mut spoiled = binary(0x21, 0x11, &IPV4);
        spoiled[at] ^= 0x20;
        bad.push(spoiled);
    }
    bad
}

#[test]
fn a_header_is_read_and_what_stands_behind_it_is_left() {
    for (header, ends) in good() {
        let said = Ok(Some((header.len(), ends)));
        assert_eq!(parse(&header, MOST), said, "{}", header.escape_ascii());
        for rest in ["GET / HTTP/1.1\r\n", "\r\n", "P", "\0"] {
            let input = [&header[..], rest.as_bytes()].concat();
            assert_eq!(parse(&input, MOST), said, "{}", input.escape_ascii());
        }
    }
}

#[test]
fn a_header_that_is_cut_waits_for_its_rest() {
    for (header, _) in good() {
        for cut in 0..header.len() {
            assert_eq!(parse(&header[..cut], MOST), Ok(None), "{}", header[..cut].escape_ascii());
        }
    }
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_it_is_none_and_for_the_same_reason_at_every_cut() {
    for input in bad() {
        let whole = parse(&input, MOST);
        assert!(whole.is_err(), "{}: {whole:?}", input.escape_ascii());
        let mut is_refused = false;
        for cut in 0..=input.len() {
            let part = parse(&input[..cut], MOST);
            let text = input[..cut].escape_ascii();
            // Once it is none, it stays none.
            assert!(part == whole || part == Ok(None) && !is_refused, "{text}: {part:?}");
            is_refused |= part.is_err();
        }
    }
    for (input, refused_at) in [
        (&b"GET / HTTP/1.1"[..], 1),
        (b"PUT / HTTP/1.1", 2),
        (b"\r\n\r\nGET", 5),
        (b"\r\n\r\n\0\r\nQUIT\n\x11", 13),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x41", 14),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0b", 16),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 16),
        (b"PROXY UNKNOWN\n", 14),
    ] {
        assert_eq!(parse(&input[..refused_at - 1], MOST), Ok(None), "{}", input.escape_ascii());
        assert!(parse(&input[..refused_at], MOST).is_err(), "{}", input.escape_ascii());
    }
}

#[test]
fn the_longest_line_has_its_107_bytes() {
    let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "a".repeat(length - 16));
    assert_eq!(parse(line(107).as_bytes(), MOST), Ok(Some((107, Ends::Unknown))));
    assert!(parse(line(108).as_bytes(), MOST).is_err());
    assert_eq!(parse(&line(108).as_bytes()[..106], MOST), Ok(None));
    assert!(parse(&line(109).as_bytes()[..107], MOST).is_err());
}

#[test]
fn whatever_comes_is_read_without_a_panic() {
    let mut random = fastrand::Rng::with_seed(5);
    let good = good();
    for _ in 0..200_000 {
        let (header, _) = &good[random.usize(..good.len() - 1)];
        let mut bytes = header.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        if let Ok(Some((length, _))) = parse(&bytes, MOST) {
            assert!(length <= bytes.len());
        }
    }
}
