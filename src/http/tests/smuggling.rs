//! Requests that two recipients could end at two places (RFC 9112 §11.2). None of them is taken.

use super::framing::post;
use super::*;

/// Field lines that frame content in a way that somebody, somewhere, reads otherwise.
#[rustfmt::skip]
const FRAMINGS: &[&str] = &[
    // Both ways at once, in either order and however spelled.
    "Content-Length: 6\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 6",
    "content-length: 6\r\nTRANSFER-ENCODING: CHUNKED",
    "Content-Length: 0\r\nTransfer-Encoding: chunked",
    "Content-Length:\r\nTransfer-Encoding: chunked",
    "Content-Length: 6\r\nTransfer-Encoding:",
    "Content-Length: 6\r\nTransfer-Encoding: identity",
    "Content-Length: 6\r\nTransfer-Encoding: xchunked",
    "Content-Length: 6\r\nTransfer-Encoding:\tchunked",
    "Content-Length: 6\r\nTransfer-Encoding: chunked\t",
    "Content-Length: 6\r\nTransfer-Encoding: ,chunked",
    // A coding that is chunked to those who trim, search or cut.
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "\tTransfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding: \x0cchunked",
    "Transfer-Encoding: \x08chunked",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding: \0chunked",
    "Transfer-Encoding: chunked\x0b",
    "Transfer-Encoding: chunked\x7f",
    "Transfer-Encoding: chunked\u{a0}",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked1",
    "Transfer-Encoding: chun\tked",
    "Transfer-Encoding: chunked chunked",
    "Transfer-Encoding: chunked;",
    "Transfer-Encoding: chunked;q=0.5",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: \u{212a}chunked",
    "Transfer-Encoding: chun\u{212a}ed",
    "Transfer-Encoding: : chunked",
    "Transfer-Encoding:: chunked",
    "Transfer-Encoding = chunked",
    "Transfer-Encoding chunked",
    "Transfer-Encoding\r\n: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: \r\n\tchunked",
    "Transfer-Encoding: chun\r\n ked",
    "Transfer-Encoding: x\r\n chunked",
    "Transfer-Encoding:\nchunked",
    "Transfer-Encoding: chunked\n",
    "Transfer-Encoding: chunked\r",
    "Transfer-Encoding:\rchunked",
    "\rTransfer-Encoding: chunked",
    "\nTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "Transfer-Encoding\0: chunked",
    "Transfer-Encoding\x0b: chunked",
    "\0Transfer-Encoding: chunked",
    "(Transfer-Encoding: chunked",
    "\u{feff}Transfer-Encoding: chunked",
    // Chunked among others, or more than once.
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked,chunked,chunked",
    "Transfer-Encoding: chunked, x, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nX: y\r\ntransfer-encoding:",
    "Transfer-Encoding:",
    "Transfer-Encoding: ,",
    // Lengths that are one number here and another there.
    "Content-Length: 6\r\nContent-Length: 5",
    "Content-Length: 6\r\nContent-Length: 6",
    "Content-Length: 0\r\nContent-Length: 6",
    "Content-Length: 6\r\nX: y\r\ncontent-length: 0",
    "Content-Length: 6, 6",
    "Content-Length: 6,0",
    "Content-Length: +6",
    "Content-Length: -6",
    "Content-Length: 0x6",
    "Content-Length: 6 ,",
    "Content-Length: 6 0",
    "Content-Length: 6\t0",
    "Content-Length: 6;0",
    "Content-Length: 6.0",
    "Content-Length: 6e0",
    "Content-Length: 6_0",
    "Content-Length: \"6\"",
    "Content-Length: 6\0",
    "Content-Length: \x0b6",
    "Content-Length: 6\u{a0}",
    "Content-Length: \u{0666}",
    "Content-Length: \u{ff16}",
    "Content-Length:",
    "Content-Length: 18446744073709551622",
    "Content-Length: 4294967296000000000000000006",
    "Content-Length : 6",
    "Content-Length\t: 6",
    " Content-Length: 6",
    "X: y\r\n\tContent-Length: 6",
    "Content-Length:\r\n 6",
    "Content-Length: 6\r\n 0",
    "Content-Length: 6\n",
    "Content-Length: 6\r",
    "Content-Length\0: 6",
    "X: y\nContent-Length: 6",
    "X: y\rContent-Length: 6",
    // Another host for those who look elsewhere.
    "Host: other",
    "host:",
    " Host: other",
    "Host : other",
    "X: y\rHost: other",
];

/// Chunks that end at two places.
const CHUNKS: &[&[u8]] = &[
    b"5\nhello\r\n0\r\n\r\n",
    b"5\rhello\r\n0\r\n\r\n",
    b"5;\nhello\r\n0\r\n\r\n",
    b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
    b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5 5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"5,\r\nhello\r\n0\r\n\r\n",
    b"5\0\r\nhello\r\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello\r0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"5\r\nhello\r\n\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\n\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"5\r\nhello\r\n0\r\n\rGET",
    b"5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: y\nZ: a\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: y\r\n \r\n\r\n",
    b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    b"5\r\nhello\r\n00000000000000000g\r\n\r\n",
];

/// What is behind them: a second request to some, content to others.
const BEHIND: &[u8] = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn no_framing_that_can_be_read_in_two_ways_is_taken() {
    for lines in FRAMINGS {
        let input = post(lines, BEHIND);
        for story in [Story::at_once(&input), Story::by_bytes(&input)] {
            assert!(story.refusal().is_some(), "{}", lines.escape_debug());
            assert_eq!(story.events.len(), 2, "{}", lines.escape_debug());
            assert_eq!(story.events.last(), Some(&Event::Close));
        }
        let old = String::from_utf8_lossy(&input).replacen("HTTP/1.1", "HTTP/1.0", 1);
        assert!(Story::at_once(old.as_bytes()).refusal().is_some(), "{}", lines.escape_debug());
    }
}

#[test]
fn no_chunks_that_can_be_read_in_two_ways_are_taken() {
    for chunks in CHUNKS {
        let input = post("Transfer-Encoding: chunked", &[chunks, BEHIND].concat());
        for story in [Story::at_once(&input), Story::by_bytes(&input)] {
            assert!(story.refusal().is_some(), "{}", chunks.escape_ascii());
            let heads = story.events.iter().filter(|event| matches!(event, Event::Head { .. }));
            assert_eq!(heads.count(), 1, "{}", chunks.escape_ascii());
            assert!(!story.events.contains(&Event::End), "{}", chunks.escape_ascii());
        }
    }
}

#[test]
fn content_of_old_clients_is_never_chunked() {
    for coding in ["chunked", "identity", "x"] {
        let input = format!("POST / HTTP/1.0\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        let status = Story::at_once(input.as_bytes()).refusal().map(|refusal| refusal.status);
        assert_eq!(status, Some(Status::BAD_REQUEST), "{coding}");
    }
}

#[test]
fn content_that_looks_like_a_request_is_content() {
    let inner = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let length = format!("Content-Length: {}", inner.len());
    let chunks = [format!("{:x}\r\n", inner.len()).as_bytes(), inner, b"\r\n0\r\n\r\n"].concat();
    for input in [post(&length, inner), post("Transfer-Encoding: chunked", &chunks)] {
        let story = Story::at_once(&input);
        assert_eq!(story.taken, input.len());
        assert_eq!(story.events[1..], [Event::Content(inner.to_vec()), Event::End]);
    }
}
