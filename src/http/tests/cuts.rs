//! However input is cut, it is understood as if it had come at once.

use super::framing::{CHUNKED, MALFORMED, post, post_chunked};
use super::head::refused;
use super::*;

/// Tells `input` at once, byte by byte, and cut at every single place.
fn check(input: &[u8], limits: &Limits) {
    let whole = Story::of(input, [input.len()], limits);
    let compare = |story: Story, how: &str| {
        assert_eq!(story.events, whole.events, "{how}: {}", input.escape_ascii());
        // A refusal takes nothing; what came before it in the same bytes may be taken or not.
        if whole.refusal().is_none() {
            assert_eq!(story.taken, whole.taken, "{how}: {}", input.escape_ascii());
        }
    };
    compare(Story::of(input, 1..=input.len(), limits), "byte by byte");
    for cut in 0..input.len() {
        compare(Story::of(input, [cut, input.len()], limits), &format!("cut at {cut}"));
    }
}

/// Requests that are taken, alone and one behind the other.
fn taken() -> Vec<Vec<u8>> {
    let mut all = vec![
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        b"\r\nGET http://t:80/a?b HTTP/1.0\r\nX:\r\nConnection: \tkeep-alive , x\r\n\r\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\n\r\n".to_vec(),
        post("Content-Length: 12\r\nExpect: 100-continue", b"\r\n\r\nGET / HT\0"),
        post("Content-Length: 1", b"GGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n".to_vec(),
    ];
    all.extend(CHUNKED.iter().map(|(content, _)| post_chunked(content)));
    let pipeline = all[..5].concat();
    all.push([&pipeline[..], b"\r\n\r\n"].concat());
    all.push(pipeline);
    all
}

#[test]
fn every_request_at_every_cut() {
    for input in taken() {
        check(&input, &Limits::default());
        let behind = b"\r\nHEAD /behind HTTP/1.1\r\nHost: h\r\n\r\n";
        check(&[&input, &behind[..]].concat(), &Limits::default());
    }
}

#[test]
fn every_refusal_at_every_cut() {
    let malformed = MALFORMED.iter().flat_map(|(_, _, inputs)| *inputs);
    let malformed = malformed.map(|content| post_chunked(content));
    for input in refused().into_iter().map(|(_, _, input)| input).chain(malformed) {
        assert!(Story::at_once(&input).refusal().is_some());
        check(&input, &Limits::default());
        // What stands behind must not change why it is refused.
        check(&[&input, &b"\r\n\r\n"[..]].concat(), &Limits::default());
    }
}

#[test]
fn every_limit_at_every_cut() {
    let input = b"GET /target HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\n\r\n";
    for head_bytes in 0..=input.len() + 2 {
        check(input, &Limits { head_bytes, head_fields: 3 });
        check(input, &Limits { head_bytes, head_fields: 2 });
        check(&[b"\r\n", &input[..]].concat(), &Limits { head_bytes, head_fields: 3 });
    }
    let input = post_chunked(b"1;ab\r\nx\r\n0\r\nTrailer: of some length\r\n\r\n");
    for head_bytes in 56..100 {
        check(&input, &Limits { head_bytes, head_fields: 3 });
    }
}
