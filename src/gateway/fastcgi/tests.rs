//! Both directions: requests, read by a decoder that knows nothing of the encoder, and answers, at
//! once and at every cut.

use super::super::MAX_HEAD_BYTES;
use super::super::variables::tests::{script, told, with_call};
use super::*;

/// One record as it stands on the wire.
fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let [id_high, id_low] = id.to_be_bytes();
    let header = [1, kind, id_high, id_low, high, low, padding, 0xee];
    [&header[..], content, &vec![0xee; padding.into()]].concat()
}

fn out(content: &[u8]) -> Vec<u8> {
    record(6, 1, content, 0)
}

fn end(status: u8) -> Vec<u8> {
    record(3, 1, &[0, 0, 0, 0, status, 0, 0, 0], 0)
}

/// Takes one record off the front: its type and content.
fn take<'a>(bytes: &mut &'a [u8]) -> (u8, &'a [u8]) {
    let [version, kind, 0, 1, high, low, padding, 0, rest @ ..] = bytes else {
        panic!("{bytes:?}")
    };
    let length = usize::from(*high) << 8 | usize::from(*low);
    assert_eq!((*version, (8 + length + usize::from(*padding)) % 8), (1, 0));
    *bytes = &rest[length + usize::from(*padding)..];
    (*kind, &rest[..length])
}

/// Takes a whole stream of records of `kind` off the front, to its empty one.
fn take_stream(bytes: &mut &[u8], kind: u8) -> Vec<u8> {
    let mut stream = Vec::new();
    loop {
        let (found, content) = take(bytes);
        assert_eq!(found, kind);
        if content.is_empty() {
            return stream;
        }
        stream.extend_from_slice(content);
    }
}

fn take_length(bytes: &mut &[u8]) -> usize {
    let count = if bytes[0] < 128 { 1 } else { 4 };
    let (length, rest) = bytes.split_at(count);
    *bytes = rest;
    length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)) & 0x7fff_ffff
}

fn decode_pairs(mut stream: &[u8]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while !stream.is_empty() {
        let lengths = [take_length(&mut stream), take_length(&mut stream)];
        pairs.push(<(String, String)>::from(lengths.map(|length| {
            let (part, rest) = stream.split_at(length);
            stream = rest;
            String::from_utf8(part.to_vec()).unwrap()
        })));
    }
    pairs
}

#[test]
fn a_request_is_told_in_records() {
    let long = "x".repeat(200_000);
    let lengths = [0, 1, 126, 127, 128, 129, 255, 256, 65_527, 65_535, 65_536, 200_000];
    let environment: Vec<(String, String)> = lengths
        .iter()
        .flat_map(|&length| {
            let name = format!("LENGTH_{length}");
            [
                (name.clone(), long[..length].to_owned()),
                (format!("{name}{}", &long[..length]), name),
            ]
        })
        .collect();
    for keep in [false, true] {
        with_call("POST /a?b HTTP/1.1\nHost: h\nX-A: 1", &script(), |call| {
            let call = Call { environment: &environment, content_length: Some(3), ..call };
            let mut exchange = Exchange::new(Method::Post, keep);
            let mut bytes = Vec::new();
            exchange.request(&call, &mut bytes);
            exchange.send(b"a", &mut bytes);
            exchange.send(b"", &mut bytes);
            exchange.send(b"bc", &mut bytes);
            exchange.finish(&mut bytes);
            let mut rest = &bytes[..];
            assert_eq!(take(&mut rest), (1, &[0, 1, u8::from(keep), 0, 0, 0, 0, 0][..]));
            let mut pairs = decode_pairs(&take_stream(&mut rest, 4));
            pairs.sort();
            assert_eq!(pairs, told(&call).into_iter().collect::<Vec<_>>());
            assert_eq!(take_stream(&mut rest, 5), b"abc");
            assert_eq!(rest, b"");
        });
    }
}

#[test]
fn content_of_any_length_fits_into_records() {
    for length in [1, 7, 8, 65_527, 65_528, 65_529, 65_535, 65_536, 131_056, 131_057] {
        let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut exchange = Exchange::new(Method::Post, true);
        let mut bytes = Vec::new();
        exchange.send(&content, &mut bytes);
        exchange.finish(&mut bytes);
        let mut rest = &bytes[..];
        assert!(take_stream(&mut rest, 5) == content && rest.is_empty(), "{length}");
    }
}

/// What was understood of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Story {
    /// The status, or the local redirect.
    head: Option<String>,
    content: Vec<u8>,
    complaints: Vec<u8>,
    is_whole: bool,
    is_overloaded: bool,
    is_reusable: bool,
    error: Option<BadGateway>,
    /// Bytes taken; 0 after an error.
    taken: usize,
}

impl Story {
    fn of(input: &[u8], ends: impl IntoIterator<Item = usize>) -> Story {
        let mut exchange = Exchange::new(Method::Get, true);
        exchange.finish(&mut Vec::new());
        let mut story = Story::default();
        for end in ends {
            while story.taken < end && !story.is_whole && !story.is_overloaded {
                assert!(!exchange.is_reusable(), "it is not over");
                let (used, inbound) = match exchange.receive(&input[story.taken..end]) {
                    Ok(step) => step,
                    Err(error) => return Story { error: Some(error), taken: 0, ..story },
                };
                assert!(used > 0, "stands still at {}", story.taken);
                story.taken += used;
                story.note(&inbound);
            }
        }
        story.is_reusable = exchange.is_reusable();
        if story.is_whole {
            assert_eq!(exchange.receive(b"x"), Ok((0, Inbound::End)));
        }
        if story.is_overloaded {
            assert_eq!(exchange.receive(b"x"), Ok((0, Inbound::Overloaded)));
        }
        story.error = exchange.close().err();
        story
    }

    fn note(&mut self, inbound: &Inbound<'_>) {
        match inbound {
            Inbound::Nothing => {}
            Inbound::Head(head) => assert_eq!(self.head.replace(head.status.to_string()), None),
            Inbound::LocalRedirect(target) => {
                assert_eq!(self.head.replace(target.clone()), None);
            }
            Inbound::Content(piece) => self.content.extend_from_slice(piece),
            Inbound::Complaint(piece) => self.complaints.extend_from_slice(piece),
            Inbound::End => self.is_whole = true,
            Inbound::Overloaded => self.is_overloaded = true,
            Inbound::Interim(..) | Inbound::Switch(_) => panic!("it cannot say {inbound:?}"),
        }
    }

    /// The same at once, byte by byte, and at every single cut.
    fn at_every_cut(input: &[u8]) -> Story {
        let whole = Story::of(input, [input.len()]);
        let name = input.escape_ascii();
        assert_eq!(Story::of(input, 1..=input.len()), whole, "byte by byte: {name}");
        for cut in 0..input.len() {
            assert_eq!(Story::of(input, [cut, input.len()]), whole, "cut at {cut}: {name}");
        }
        whole
    }
}

const HEAD: &[u8] = b"Status: 200\n\n";

#[test]
fn a_response_comes_in_records_of_any_size() {
    let text = [HEAD, b"some content"].concat();
    for size in 1..=text.len() {
        for padding in [0, 1, 7, 255] {
            let mut input = Vec::new();
            for piece in text.chunks(size) {
                input.extend(record(6, 1, piece, padding));
            }
            input.extend(record(6, 1, b"", padding));
            input.extend(record(3, 1, &[0; 8], padding));
            let behind = input.len();
            input.extend_from_slice(b"behind");
            for ends in [vec![input.len()], (1..=input.len()).collect()] {
                let story = Story::of(&input, ends);
                let expected = Story {
                    head: Some("200 OK".to_owned()),
                    content: b"some content".to_vec(),
                    is_whole: true,
                    is_reusable: true,
                    taken: behind,
                    ..Story::default()
                };
                assert_eq!(story, expected);
            }
        }
    }
}

#[test]
fn other_records_may_stand_between() {
    let input = [
        record(10, 0, b"\x0e\x01FCGI_MAX_CONNS9", 3),
        record(7, 1, b"one ", 4),
        record(7, 1, b"", 0),
        out(&HEAD[..4]),
        record(11, 0, b"\x63\0\0\0\0\0\0\0", 0),
        record(99, 1, b"unknown", 1),
        record(7, 1, b"two", 0),
        out(&HEAD[4..]),
        record(3, 0, b"about nothing", 0),
        out(b"hi"),
        record(7, 1, b"!", 7),
        record(3, 1, &[0, 0, 0, 7, 0, 1, 2, 3], 2),
    ]
    .concat();
    let story = Story::at_every_cut(&input);
    assert_eq!((&story.content[..], &story.complaints[..]), (&b"hi"[..], &b"one two!"[..]));
    assert!(story.is_whole && story.is_reusable && story.error.is_none());
}

#[test]
fn a_local_redirect_ends_with_its_request() {
    let input = [out(b"Location: /x?y\n\nignored"), out(b""), end(0)].concat();
    let story = Story::at_every_cut(&input);
    assert_eq!((story.head.as_deref(), story.content.len()), (Some("/x?y"), 0));
    assert!(story.is_whole && story.is_reusable);
}

#[test]
fn what_is_wrong_is_refused() {
    let bad: [(&[Vec<u8>], &str); 14] = [
        (&[b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()], "does not speak FastCGI"),
        (&[out(HEAD), [&b"\0"[..], &end(0)[1..]].concat()], "does not speak FastCGI"),
        (&[record(6, 2, HEAD, 0)], "not asked"),
        (&[record(3, 256, &[0; 8], 0)], "not asked"),
        (&[end(0)], "said nothing"),
        (&[out(&HEAD[..12]), end(0)], "ends before the empty line"),
        (&[out(b"nonsense\n\n"), end(0)], "no colon"),
        (&[out(b"Status: 200\nContent-Length: 3\n\nab"), end(0)], "shorter"),
        (&[out(b"Status: 200\nContent-Length: 3\n\nabcd"), end(0)], "longer"),
        (&[out(HEAD), out(b""), out(b"more"), end(0)], "behind its end"),
        (&[out(HEAD), record(3, 1, &[0; 7], 1)], "malformed"),
        (&[out(HEAD), record(3, 1, &[0; 16], 0)], "malformed"),
        (&[out(HEAD), record(3, 1, b"", 0)], "malformed"),
        (&[out(HEAD), end(4)], "unknown status"),
    ];
    for (records, why) in bad {
        let story = Story::at_every_cut(&records.concat());
        let BadGateway(said) = story.error.unwrap_or_else(|| panic!("taken, in spite of: {why}"));
        assert!(said.contains(why), "{said} ({why})");
        assert!(!story.is_whole && !story.is_reusable);
    }
    for (status, why) in [(1, "no further request"), (3, "responder")] {
        for input in [end(status), [out(HEAD), end(status)].concat()] {
            let BadGateway(said) = Story::at_every_cut(&input).error.unwrap();
            assert!(said.contains(why), "{said}");
        }
    }
}

#[test]
fn an_application_that_is_overloaded_has_not_answered() {
    let head = [out(HEAD), end(2)].concat();
    let whole = [out(HEAD), out(b"hi"), out(b""), end(2)].concat();
    let padded = [record(3, 1, &[0, 0, 0, 0, 2, 0, 0, 0], 7)].concat();
    for input in [end(2), head, whole, padded] {
        let story = Story::at_every_cut(&input);
        assert!(story.is_overloaded && !story.is_whole && !story.is_reusable);
        assert_eq!((story.error, story.taken), (Some(BadGateway("it is overloaded")), input.len()));
    }
}

#[test]
fn nothing_is_whole_before_its_end() {
    let input = [out(HEAD), out(b"hi"), out(b""), record(3, 1, &[0; 8], 3)].concat();
    for end in 0..input.len() {
        let story = Story::of(&input, [end]);
        assert!(!story.is_whole && !story.is_reusable && story.error.is_some(), "{end}");
    }
    assert!(Story::of(&input, [input.len()]).is_reusable);
}

#[test]
fn only_a_connection_that_both_sides_are_done_with_is_reusable() {
    let input = [out(HEAD), end(0)].concat();
    for (keep, is_sent) in [(false, true), (true, false), (true, true)] {
        let mut exchange = Exchange::new(Method::Get, keep);
        if is_sent {
            exchange.finish(&mut Vec::new());
        }
        let (used, inbound) = exchange.receive(&input).unwrap();
        assert!(matches!(inbound, Inbound::Head(_)));
        let rest = &input[used..];
        assert_eq!(exchange.receive(rest), Ok((rest.len(), Inbound::End)));
        assert_eq!(exchange.is_reusable(), keep && is_sent);
        assert_eq!(exchange.close(), Ok(()));
    }
}

#[test]
fn what_is_announced_for_head_need_not_come() {
    let input = [out(b"Status: 200\nContent-Length: 9\n\n"), end(0)].concat();
    let mut exchange = Exchange::new(Method::Head, true);
    let (used, inbound) = exchange.receive(&input).unwrap();
    assert!(matches!(inbound, Inbound::Head(head) if head.length == Some(9)));
    assert!(matches!(exchange.receive(&input[used..]), Ok((_, Inbound::End))));
}

#[test]
fn a_head_has_a_limit_over_all_records() {
    let mut exchange = Exchange::new(Method::Get, true);
    let line = out(&[&b"X: "[..], &[b'x'; 996], b"\n"].concat());
    let refused = (0..=MAX_HEAD_BYTES).position(|_| exchange.receive(&line).is_err());
    assert_eq!(refused, Some(MAX_HEAD_BYTES / 1000));
}

#[test]
fn noise_is_understood_alike_at_every_cut() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut whole = 0;
    for _ in 0..2000 {
        let mut input = if random.bool() { out(HEAD) } else { Vec::new() };
        for _ in 0..random.usize(..7) {
            let padding = [0, 0, 1, 7][random.usize(..4)];
            let content = [HEAD, b"", b"hi", b"Status", b": 200\n\n", b"\0"][random.usize(..6)];
            match random.u8(..8) {
                0 => input.extend(record(7, 1, content, padding)),
                1 => {
                    let (kind, id) = (random.u8(..), u16::from(random.u8(..3)));
                    input.extend(record(kind, id, content, padding));
                }
                2 => input.extend(end([0, 0, 0, 2][random.usize(..4)])),
                _ => input.extend(record(6, 1, content, padding)),
            }
        }
        if random.bool() {
            input.extend(end(0));
        }
        if random.u8(..4) == 0 && !input.is_empty() {
            let at = random.usize(..input.len());
            input[at] ^= 1 << random.u8(..8);
        }
        whole += usize::from(Story::at_every_cut(&input).is_whole);
    }
    assert!((100..1900).contains(&whole), "{whole}: the noise shows one side alone");
}
