//! What origins say, good and bad, and what is understood of it.

use super::*;

/// Whole responses to GET, with nothing behind them.
pub(super) const GOOD: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 404\r\ncontent-length: 1\r\n\r\n\n",
    b"HTTP/1.1 599 \r\ncontent-length: 1\r\n\r\nx",
    b"HTTP/1.1 200 \xe4 very  odd\treason\r\nContent-Length:1\t \r\nEmpty:\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n\
      1;x=\"y\"\r\n\n\r\n1\r\n\0\r\n0\r\nTr: ail\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil\r\nthe end",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100\r\n\r\n\
      HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
];

/// Responses that are not passed on, and a part of the reason.
pub(super) const MALFORMED: &[(&[u8], &str)] = &[
    // What is no HTTP/1.1.
    (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "does not begin"),
    (b"\nHTTP/1.1 200 OK\r\n\r\n", "does not begin"),
    (b" HTTP/1.1 200 OK\r\n\r\n", "does not begin"),
    (b"http/1.1 200 OK\r\n\r\n", "does not begin"),
    (b"<html>no head at all</html>", "does not begin"),
    (b"\x15\x03\x01\x00\x02\x02\x46", "does not begin"),
    (b"HTTP/2.0 200 OK\r\n\r\n", "does not begin"),
    (b"HTTP/2 200\r\n\r\n", "does not begin"),
    (b"HTTP/0.9 200 OK\r\n\r\n", "does not begin"),
    (b"HTTP/1.2 200 OK\r\n\r\n", "status line"),
    (b"HTTP/1.10 200 OK\r\n\r\n", "status line"),
    (b"HTTP/1.1\r\n\r\n", "status line"),
    (b"HTTP/1.1\t200 OK\r\n\r\n", "status line"),
    (b"HTTP/1.1200 OK\r\n\r\n", "status line"),
    // What is no status.
    (b"HTTP/1.1 \r\n\r\n", "100 to 599"),
    (b"HTTP/1.1  200 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 20 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 099 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 99 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 000 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 600 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 1000 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 200OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 200\tOK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 +20 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 2x0 OK\r\n\r\n", "100 to 599"),
    (b"HTTP/1.1 200 O\rK\r\n\r\n", "status line"),
    (b"HTTP/1.1 200 O\0K\r\n\r\n", "status line"),
    // Line ends.
    (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare line feed"),
    (b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n", "bare line feed"),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n\nSet-Cookie: c\r\n\r\n", "bare line feed"),
    (b"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 0\r\n\r\n", "may not stand"),
    (b"HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n", "may not stand"),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n\rB: c\r\n\r\n", "line end"),
    // Fields.
    (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n\tfolded\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\nContent-Length\t: 0\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\n: b\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\nA\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\n\xc3\xa4: b\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\nA(): b\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n", "field name"),
    (b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", "may not stand"),
    (b"HTTP/1.1 200 OK\r\nA: \x0b\r\n\r\n", "may not stand"),
    (b"HTTP/1.1 200 OK\r\nA: b\x7fc\r\n\r\n", "may not stand"),
    (b"HTTP/1.1 200 OK\r\nA: 0123456789abcdef0123456789abcdef0123\x7f\r\n\r\n", "may not stand"),
    // Framing.
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "contradict"),
    (b"HTTP/1.1 304 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "contradict"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "twice"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 6\r\n\r\nhello", "twice"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "not a number"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "not a number"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "not a number"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", "not a number"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\nhello", "not a number"),
    (b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", "not a number"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nhello", "not a number"),
    (b"HTTP/1.1 204 OK\r\nContent-Length: x\r\n\r\n", "not a number"),
    (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0 has no"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer coding"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "chunked must be"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", "transfer coding"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n", "transfer coding"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "chunked twice"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", "twice"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", "empty"),
    // Chunks.
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunk's size"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "chunk's size"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na", "chunk's size"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 1\r\na", "chunk's size"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n", "chunk's size"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "chunk's size"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", "too large"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\n\r\n", "extension"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "longer than"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n", "longer than"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n", "trailer"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n", "trailer"),
    // Interim responses.
    (b"HTTP/1.0 100 Continue\r\n\r\n", "HTTP/1.0 has no interim"),
    (b"HTTP/1.1 103 Hints\r\nContent-Length: 2\r\n\r\nok", "announces content"),
    (b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "announces content"),
    (b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 101 S\r\nUpgrade: a\r\n\r\n", "nobody asked"),
    (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "nobody asked"),
];

fn fields(story: &Story) -> &str {
    std::str::from_utf8(&story.head().expect("there is a head").fields).unwrap()
}

#[test]
fn good_responses_are_good() {
    for input in GOOD {
        let story = Story::at_once(get(), input);
        assert_eq!(story.failure(), None, "{}", input.escape_ascii());
        assert_eq!(story.taken, input.len(), "{}", input.escape_ascii());
        assert!(story.head().is_some());
    }
}

#[test]
fn malformed_responses_fail_once_and_for_the_right_reason() {
    for (input, why) in MALFORMED {
        let story = Story::at_once(get(), input);
        let failure = story.failure().unwrap_or_else(|| panic!("{}", input.escape_ascii()));
        assert!(failure.contains(why), "{failure:?} for {}", input.escape_ascii());
        let failures = story.events.iter().filter(|event| matches!(event, Event::Failed(_)));
        assert_eq!(failures.count(), 1);
        assert!(!story.reusable && story.close.is_err());
    }
}

#[test]
fn what_frames_content_and_what_keeps_the_connection() {
    // Response, announced length, content, whether it has an end, whether the connection stays.
    let cases: [(&str, Option<u64>, &str, bool, bool); 11] = [
        ("200 O\r\nContent-Length: 5\r\n\r\nhello", Some(5), "hello", true, true),
        (
            "200 O\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 O\r\n",
            Some(5),
            "hello",
            true,
            false,
        ),
        ("200 O\r\nContent-Length: 5\r\n\r\nhell", Some(5), "hell", false, false),
        ("200 O\r\nContent-Length: 0\r\n\r\n", Some(0), "", true, true),
        ("204 O\r\n\r\n", None, "", true, true),
        ("204 O\r\nContent-Length: 0\r\n\r\n", None, "", true, true),
        ("204 O\r\nContent-Length: 9\r\n\r\n", None, "", true, false),
        ("204 O\r\nTransfer-Encoding: chunked\r\n\r\n", None, "", true, false),
        ("304 O\r\nContent-Length: 9\r\n\r\n", Some(9), "", true, true),
        ("200 O\r\n\r\nall\r\n\r\nof it", None, "all\r\n\r\nof it", false, false),
        ("200 O\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", None, "a", true, true),
    ];
    for (input, length, content, ends, stays) in cases {
        let story = Story::at_once(get(), format!("HTTP/1.1 {input}").as_bytes());
        assert_eq!(story.head().expect("a head").length, length, "{input}");
        assert_eq!(story.content(), content.as_bytes(), "{input}");
        assert_eq!(story.events.contains(&Event::End), ends, "{input}");
        assert_eq!(story.reusable, stays, "{input}");
    }
}

#[test]
fn a_response_to_head_has_no_content_whatever_it_announces() {
    for (input, length, stays) in [
        ("Content-Length: 5\r\n\r\n", Some(5), true),
        ("Content-Length: 5\r\n\r\nhello", Some(5), false),
        ("Transfer-Encoding: chunked\r\n\r\n", None, true),
        ("\r\n", None, true),
    ] {
        let exchange = pass(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").exchange;
        let story = Story::at_once(exchange, format!("HTTP/1.1 200 O\r\n{input}").as_bytes());
        assert_eq!(story.head().expect("a head").length, length, "{input}");
        assert_eq!(story.events.last(), Some(&Event::End), "{input}");
        assert_eq!((story.content(), story.reusable), (&b""[..], stays), "{input}");
    }
}

#[test]
fn the_connection_stays_by_version_and_connection() {
    for (version, connection, stays) in [
        ("1.1", "x", true),
        ("1.1", "keep-alive", true),
        ("1.1", "x, Close", false),
        ("1.0", "x", false),
        ("1.0", "Keep-Alive", true),
        ("1.0", "keep-alive, close", false),
    ] {
        let input = format!(
            "HTTP/{version} 200 OK\r\nConnection: {connection}\r\nContent-Length: 0\r\n\r\n"
        );
        let story = Story::at_once(get(), input.as_bytes());
        assert_eq!(story.reusable, stays, "{input}");
    }
}

#[test]
fn what_comes_behind_the_end_spoils_the_connection() {
    let mut exchange = get();
    let head = b"HTTP/1.1 204 N\r\n\r\n";
    assert!(matches!(exchange.receive(head), Ok((18, Inbound::Head(_)))));
    assert_eq!(exchange.receive(b""), Ok((0, Inbound::End)));
    assert!(exchange.is_reusable());
    assert_eq!(exchange.receive(b""), Ok((0, Inbound::Nothing)));
    assert!(exchange.is_reusable());
    assert_eq!(exchange.receive(b"H"), Ok((0, Inbound::Nothing)));
    assert!(!exchange.is_reusable());
}

#[test]
fn fields_of_one_connection_and_of_framing_are_not_passed_on() {
    let story = Story::at_once(
        get(),
        b"HTTP/1.1 200 OK\r\nA: 1\r\nConnection: x-a, close\r\nX-A: 2\r\nKeep-Alive: 3\r\n\
          Content-Length: 0\r\nServer: s\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nUpgrade: u\r\n\
          Trailer: t\r\nSet-Cookie: a\r\nset-cookie: b\r\nProxy-Connection: p\r\n\r\n",
    );
    assert_eq!(fields(&story), "A: 1\r\nSet-Cookie: a\r\nset-cookie: b\r\n");
    let date = story.head().and_then(|head| head.date.as_deref());
    assert_eq!(date, Some(&b"Thu, 01 Jan 1970 00:00:00 GMT"[..]));
}

#[test]
fn interim_responses_are_passed_on_but_not_without_end() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nConnection: a\r\nA: 1\r\nLink: </s>\r\n\r\n";
    let last = b"HTTP/1.1 204 N\r\n\r\n";
    for (count, good) in [(0, true), (1, true), (16, true), (17, false), (400, false)] {
        let input = [interim.repeat(count), last.to_vec()].concat();
        let story = Story::at_once(get(), &input);
        assert_eq!(story.failure().is_none(), good, "{count}");
        let link = Event::Interim(103, "Link: </s>\r\n".to_owned());
        let passed = story.events.iter().filter(|event| **event == link).count();
        assert_eq!(passed, count.min(16));
    }
    let story =
        Story::at_once(get(), b"HTTP/1.1 100 C\r\nContent-Length: 0\r\n\r\nHTTP/1.1 199 X\r\n\r\n");
    assert_eq!(
        story.events,
        [Event::Interim(100, String::new()), Event::Interim(199, String::new())]
    );
}

#[test]
fn a_protocol_is_changed_only_to_one_that_was_offered() {
    let changed = "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n";
    let fields = "Sec-WebSocket-Accept: x\r\nUpgrade: WebSocket\r\n";
    for (offered, said, good) in [
        ("websocket", changed, true),
        ("tcp/1, websocket", changed, true),
        ("tcp", changed, false),
        ("websocket/13", changed, false),
        ("websocket", "Connection: upgrade\r\n", false),
        ("websocket", "Connection: upgrade\r\nUpgrade:\r\n", false),
        ("websocket", "Upgrade: websocket\r\n", false),
        ("websocket", "Connection: upgrade\r\nUpgrade: websocket, tcp\r\n", false),
        ("websocket", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", false),
        ("h2c", "Connection: upgrade\r\nUpgrade: h2c\r\n", false),
    ] {
        let input = format!("HTTP/1.1 101 Switching Protocols\r\n{said}\r\n\x01frame");
        let story = Story::at_once(upgrade(offered), input.as_bytes());
        assert_eq!(story.failure().is_none(), good, "{offered}: {input}");
        if good {
            assert_eq!(story.events, [Event::Switch(fields.to_owned())]);
            assert_eq!(story.taken, input.len() - 6, "what follows is not ours");
        }
        assert!(!story.reusable);
    }
    let story =
        Story::at_once(upgrade("websocket"), b"HTTP/1.0 101 S\r\nUpgrade: websocket\r\n\r\n");
    assert!(story.failure().is_some());
    // An origin may as well answer as if nothing had been offered.
    let story =
        Story::at_once(upgrade("websocket"), b"HTTP/1.1 403 F\r\nContent-Length: 0\r\n\r\n");
    assert!(story.reusable);
}

#[test]
fn a_head_of_the_limit_is_taken_and_no_larger_one() {
    for (extra, good) in [(0, true), (1, false), (100_000, false)] {
        let (start, end) = ("HTTP/1.1 204 N\r\nA: ", "\r\n\r\n");
        let filler = "a".repeat(MAX_HEAD_BYTES - start.len() - end.len() + extra);
        let story = Story::at_once(get(), [start, &filler, end].concat().as_bytes());
        assert_eq!(story.failure().is_none(), good, "{extra}");
    }
    for (count, good) in [(256, true), (257, false)] {
        let input = ["HTTP/1.1 204 N\r\n", &"A: b\r\n".repeat(count), "\r\n"].concat();
        let story = Story::at_once(get(), input.as_bytes());
        assert_eq!(story.failure().is_none(), good, "{count}");
    }
    // Trailers and extensions have limits, too, or they would come in for ever.
    let start = b"HTTP/1.1 200 O\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailers = [&start[..], b"0\r\n", &b"A: b\r\n".repeat(20_000)].concat();
    assert!(Story::at_once(get(), &trailers).failure().is_some());
    let extensions = [&start[..], &b"1;aaaaaaaa\r\nx\r\n".repeat(1000)].concat();
    assert!(Story::at_once(get(), &extensions).failure().is_some());
    // Varnish begins every size with two zeros: that adds up, but never to more than the content.
    let padded = [&start[..], &b"003\r\nabc\r\n".repeat(10_000), b"0\r\n\r\n"].concat();
    let story = Story::at_once(get(), &padded);
    assert_eq!((story.failure(), story.content().len()), (None, 30_000));
}

#[test]
fn no_control_byte_passes_in_a_value_wherever_it_stands() {
    for byte in (0..=0x1f).chain([0x7f]).filter(|byte| *byte != b'\t') {
        for at in 0..80 {
            let mut value = [b'v'; 80];
            value[at] = byte;
            let input = [&b"HTTP/1.1 204 N\r\nA: "[..], &value, b"\r\n\r\n"].concat();
            assert!(Story::at_once(get(), &input).failure().is_some(), "{byte:#x} at {at}");
        }
    }
}
