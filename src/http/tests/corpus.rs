//! A hundred thousand malformed requests, made from good ones: none of them may end a test, be
//! read in two ways, or be understood other than by the [`reference`].

use std::collections::HashSet;

use fastrand::Rng;

use super::*;

/// Good requests, to be spoiled.
const GOOD: &[&[u8]] = &[
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

/// Holds what is made of `input` against the second opinion. Returns why it was refused, if it was.
fn check(input: &[u8]) -> Option<Refusal> {
    let shown = || input.escape_ascii().to_string();
    let story = Story::at_once(input);
    let by_bytes = Story::by_bytes(input);
    assert_eq!(story.events, by_bytes.events, "{}", shown());
    let refusal = story.refusal();
    if refusal.is_none() {
        assert_eq!(story.taken, by_bytes.taken, "{}", shown());
    }
    let mut events = story.events;
    for event in &mut events {
        match event {
            Event::Refused(_) => *event = reference::REFUSED,
            Event::Head { bytes, .. } => {
                let mut space = HeadSpace::new();
                let again = Head::parse(&input[bytes.clone()], &mut space, &Limits::default());
                assert!(again.is_ok(), "{}", shown());
            }
            Event::Content(_) | Event::End | Event::Close => {}
        }
    }
    let mut opinion = reference::read(input);
    if opinion.is_open && refusal.is_some() {
        opinion.events.extend([reference::REFUSED, Event::Close]);
    }
    assert_eq!(events, opinion.events, "{}", shown());
    refusal
}

/// Checks spoiled requests until so many of them were malformed.
fn run(seed: u64, wanted: u32) {
    let mut random = Rng::with_seed(seed);
    let mut malformed = 0;
    let mut good = 0;
    let mut reasons = HashSet::new();
    while malformed < wanted {
        let mut input = GOOD[random.usize(..GOOD.len())].to_vec();
        for _ in 0..random.u32(1..=4) {
            spoil(&mut input, &mut random);
        }
        if let Some(refusal) = check(&input) {
            reasons.insert(refusal.why);
            malformed += 1;
        } else {
            good += 1;
        }
    }
    // Were all of them refused for one reason, they would prove little.
    assert!(good > wanted / 10, "only {good} were taken");
    assert!(reasons.len() > 25, "refused for nothing but {reasons:?}");
}

#[test]
fn good_requests_are_good() {
    for input in GOOD {
        assert_eq!(check(input), None, "{}", input.escape_ascii());
    }
}

#[test]
fn a_first_half_of_a_hundred_thousand_malformed_requests() {
    run(1, 50_000);
}

#[test]
fn a_second_half_of_a_hundred_thousand_malformed_requests() {
    run(2, 50_000);
}
