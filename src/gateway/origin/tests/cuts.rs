//! However a response is cut, it is understood as if it had come at once.

use super::response::{GOOD, MALFORMED};
use super::*;

/// Tells `input` at once, byte by byte, and cut at every single place.
fn check(exchange: impl Fn() -> Exchange, input: &[u8]) {
    let whole = Story::at_once(exchange(), input);
    let compare = |story: Story, how: &str| {
        assert_eq!(story, whole, "{how}: {}", input.escape_ascii());
    };
    compare(Story::by_bytes(exchange(), input), "byte by byte");
    for cut in 0..input.len() {
        compare(Story::of(exchange(), input, [cut, input.len()]), &format!("cut at {cut}"));
    }
}

#[test]
fn every_response_at_every_cut() {
    for input in GOOD {
        check(get, input);
        check(|| Exchange::new(Method::Head), input);
        check(|| Exchange::of_script(Method::Get), input);
        check(get, &[input, &b"HTTP/1.1 200 OK\r\n\r\n"[..]].concat());
    }
    check(
        || upgrade("websocket"),
        b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nX",
    );
}

#[test]
fn every_malformed_response_at_every_cut() {
    for (input, _) in MALFORMED {
        check(get, input);
        check(get, &[input, &b"\r\n\r\n"[..]].concat());
    }
}

#[test]
fn scripts_that_end_lines_as_they_like_at_every_cut() {
    for input in [
        &b"HTTP/1.0 200 OK\nA: b\n\nhello\n\n"[..],
        b"HTTP/1.0 200 OK\nA: b\r\n\nhello",
        b"HTTP/1.1 200\nContent-Length: 2\n\r\nhello",
        b"HTTP/1.1 200\r\n\nhello",
    ] {
        let script = || Exchange::of_script(Method::Get);
        check(script, input);
        let story = Story::at_once(script(), input);
        assert!(story.content().starts_with(b"he"), "{}", input.escape_ascii());
        assert_eq!(story.close, Ok(()));
        assert!(!story.reusable, "no script answers twice");
        assert!(Story::at_once(get(), input).failure().is_some(), "no origin may do that");
    }
}

/// What is cut short is never taken for whole.
#[test]
fn every_end_that_is_none() {
    for input in GOOD {
        let whole = Story::at_once(get(), input);
        assert_eq!(whole.close, Ok(()), "{}", input.escape_ascii());
        let until_close = !whole.events.contains(&Event::End);
        for end in 0..input.len() {
            let story = Story::of(get(), input, [end]);
            let shown = input[..end].escape_ascii().to_string();
            let may_be_whole = until_close && story.head().is_some();
            assert_eq!(story.close.is_ok(), may_be_whole, "{shown}");
            assert!(!story.reusable, "{shown}");
        }
    }
}

#[test]
fn each_place_has_its_own_sentence() {
    let mut sentences = Vec::new();
    for input in [
        &b""[..],
        b"H",
        b"HTTP/1.1 100 C\r\n\r\n",
        b"HTTP/1.1 200 O\r\nContent-Length: 2\r\n\r\na",
        b"HTTP/1.1 200 O\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na",
        b"SSH-2.0\r\n",
    ] {
        sentences.push(Story::at_once(get(), input).close.expect_err("nothing is whole").0);
    }
    sentences.sort_unstable();
    sentences.dedup();
    assert_eq!(sentences.len(), 6);
}

/// A head that drips in is not looked through again from its start: that would be 2 GiB.
#[test]
fn a_slow_head_is_scanned_once() {
    let mut scan = Scan::default();
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    while head.len() < MAX_HEAD_BYTES - 1 {
        assert_eq!(scan.end(&head, false), Ok(None));
        let before = scan;
        assert_eq!(scan.end(&head, false), Ok(None));
        assert_eq!(scan, before);
        head.push(b'a');
    }
    // What has been seen is not looked at again: were it, this would be refused.
    head[20] = b'\n';
    assert_eq!(scan.end(&head, false), Ok(None));
    head.push(b'a');
    assert!(scan.end(&head, false).is_err(), "a head of the limit without its end");
}
