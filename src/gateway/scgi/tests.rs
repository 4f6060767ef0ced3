//! Requests, read by a decoder that knows nothing of the encoder.

use super::super::variables::tests::{script, told, with_call};
use super::*;

/// The pairs in a netstring, and what stands behind it.
fn decode(bytes: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let colon = bytes.iter().position(|&byte| byte == b':').unwrap();
    let length = std::str::from_utf8(&bytes[..colon]).unwrap();
    assert!(!length.starts_with('0') && length.bytes().all(|byte| byte.is_ascii_digit()));
    let (pairs, rest) = bytes[colon + 1..].split_at(length.parse().unwrap());
    let pairs = pairs.strip_suffix(b"\0").unwrap();
    let parts: Vec<String> = pairs
        .split(|&byte| byte == 0)
        .map(|part| String::from_utf8(part.to_vec()).unwrap())
        .collect();
    assert_eq!(parts.len() % 2, 0);
    let pairs = parts.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    (pairs, rest.strip_prefix(b",").unwrap())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn the_length_comes_first_and_nothing_is_told_twice() {
    let request = "POST /a?b HTTP/1.1\nHost: h\nX-Empty:\nScgi: 2";
    for length in [None, Some(0), Some(5), Some(u64::MAX)] {
        with_call(request, &script(), |call| {
            let call = Call { content_length: length, ..call };
            let mut out = b"before".to_vec();
            super::request(&call, &mut out);
            let (mut pairs, rest) = decode(&out[6..]);
            assert_eq!(rest, b"");
            let digits = length.unwrap_or(0).to_string();
            assert_eq!(pairs[..2], [pair("CONTENT_LENGTH", &digits), pair("SCGI", "1")]);
            let mut expected: Vec<(String, String)> = told(&call).into_iter().collect();
            expected.retain(|(name, _)| name != "CONTENT_LENGTH");
            pairs.drain(..2);
            pairs.sort();
            assert_eq!(pairs, expected);
        });
    }
}

#[test]
fn the_configuration_cannot_change_the_framing() {
    let environment = [pair("SCGI", "2"), pair("CONTENT_LENGTH", "9"), pair("A", "b\0c\0d")];
    with_call("GET / HTTP/1.0", &script(), |call| {
        let mut out = Vec::new();
        super::request(&Call { environment: &environment, ..call }, &mut out);
        let (pairs, _) = decode(&out);
        assert_eq!(pairs[..2], [pair("CONTENT_LENGTH", "0"), pair("SCGI", "1")]);
        let others = ["CONTENT_LENGTH", "SCGI", "A", "c"];
        assert!(!pairs[2..].iter().any(|(name, _)| others.contains(&name.as_str())));
    });
}
