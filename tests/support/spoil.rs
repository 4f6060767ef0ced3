//! Malformed requests, made from good ones by a few random changes: some are still good, some are
//! cut short, most are wrong.
//!
//! Told to the bare protocol by its unit tests, and to a living server by tests/corpus.rs. What is
//! to become of them is not known here.

use fastrand::Rng;

/// Good requests, to be spoiled.
pub(crate) const GOOD: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\r\nGET /a/b?c HTTP/1.1\r\nHost: h:80\r\nConnection: close\r\n\r\n",
    b"GET http://t:8/%61 HTTP/1.1\r\nHost: [::1]:8\r\nX: y\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: x, keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a%2e.b\r\n\r\n",
    b"CONNECT t:443 HTTP/1.1\r\nhost: t:443\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 05\r\n\r\nG / \nHEAD / HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n\
      1;a=\"b\"\r\n\n\r\n0A ;\r\n0123456789\r\n00\r\nT: v\r\n\r\nGET / HTTP/1.0\r\n\r\n",
];

/// What is put where it does not belong.
const BYTES: &[u8] = b"\r\n\0 :\t,;/?%=\"#@[]+-0179afAFgx\x0b\x0c\x1f\x7f\x80\xa0\xff";

/// Longer things of that kind.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"  ",
    b": ",
    b"Host: i\r\n",
    b"Content-Length: 5\r\n",
    b"content-length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Expect: more\r\n",
    b"chunked",
    b", ",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b" HTTP/1.1",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
];

/// Numbers that are none, or too large, or nearly.
const NUMBERS: &[&[u8]] = &[
    b"",
    b"0",
    b"000000000000000000000003",
    b"-1",
    b"+3",
    b"0x3",
    b"3,3",
    b"3 3",
    b"18446744073709551615",
    b"18446744073709551616",
    b"ffffffffffffffff",
    b"10000000000000000",
    b"99999999999999999999999999999999999999999999999999",
];

/// A good request, spoiled in a few ways.
pub(crate) fn spoiled(random: &mut Rng) -> Vec<u8> {
    let mut input = GOOD[random.usize(..GOOD.len())].to_vec();
    for _ in 0..random.u32(1..=4) {
        spoil(&mut input, random);
    }
    input
}

/// Spoils `input` in one way.
fn spoil(input: &mut Vec<u8>, random: &mut Rng) {
    let at = random.usize(..=input.len());
    let to = random.usize(at..=input.len());
    match random.u32(..12) {
        0 | 1 if at < input.len() => input[at] ^= 1 << random.u32(..8),
        2 if at < input.len() => input[at] = random.u8(..),
        3 | 4 if at < input.len() => input[at] = BYTES[random.usize(..BYTES.len())],
        0..=6 => input.insert(at, BYTES[random.usize(..BYTES.len())]),
        7 => {
            let word = WORDS[random.usize(..WORDS.len())];
            let at = if random.bool() { line_of(input, at).0 } else { at };
            input.splice(at..at, word.iter().copied());
        }
        8 => {
            let (start, end) = line_of(input, at);
            let line = input[start..end].to_vec();
            let (at, end) = line_of(input, to);
            // Doubled, moved or put in another's place.
            match random.u32(..3) {
                0 => drop(input.splice(at..at, line)),
                1 => drop(input.splice(at..end, line)),
                _ => drop(input.splice(start..end, std::iter::empty())),
            }
        }
        9 if random.bool() => input.truncate(at),
        9 => drop(input.drain(at..to.min(at + 8))),
        10 => {
            let middle = random.usize(at..=to);
            input[at..to].rotate_left(middle - at);
        }
        _ => {
            let is_digit = |&at: &usize| input[at].is_ascii_digit();
            let digits: Vec<_> = (0..input.len()).filter(is_digit).collect();
            if let Some(&at) = digits.get(random.usize(..=digits.len())) {
                let number = NUMBERS[random.usize(..NUMBERS.len())];
                input.splice(at..=at, number.iter().copied());
            }
        }
    }
}

/// Where the line that `at` is in begins and ends.
fn line_of(input: &[u8], at: usize) -> (usize, usize) {
    let start = input[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let end =
        input[at..].iter().position(|&byte| byte == b'\n').map_or(input.len(), |end| at + end + 1);
    (start, end)
}
