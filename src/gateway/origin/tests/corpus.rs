//! Tens of thousands of spoiled responses and requests, made from good ones: none may end a test,
//! be read in two ways, or let through what is no field line.

use fastrand::Rng;

use super::response::{GOOD, MALFORMED};
use super::*;

/// What is put where it does not belong.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"\x7f",
    b"\xff",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Upgrade: websocket\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff",
    b"1",
];

/// Spoils `input` in one way.
fn spoil(input: &mut Vec<u8>, random: &mut Rng) {
    let at = random.usize(..=input.len());
    let to = random.usize(at..=input.len());
    match random.u32(..7) {
        0 if at < input.len() => input[at] ^= 1 << random.u32(..8),
        1 if at < input.len() => input[at] = random.u8(..),
        2 => input.truncate(at),
        3 => drop(input.drain(at..to.min(at + 4))),
        4 => {
            let piece = input[at..to.min(at + 40)].to_vec();
            input.splice(at..at, piece);
        }
        _ => drop(input.splice(at..at, WORDS[random.usize(..WORDS.len())].iter().copied())),
    }
}

/// Whether `fields` are whole lines that split nothing.
fn are_lines(fields: &[u8]) -> bool {
    let mut space = [httparse::EMPTY_HEADER; MAX_FIELDS + 1];
    let whole = [fields, b"\r\n"].concat();
    let parsed = httparse::parse_headers(&whole, &mut space);
    let bare = |at: usize| at == 0 || fields[at - 1] != b'\r';
    matches!(parsed, Ok(httparse::Status::Complete((used, _))) if used == whole.len())
        && !memchr::memchr_iter(b'\n', fields).any(bare)
}

fn check(exchange: impl Fn() -> Exchange, input: &[u8]) -> bool {
    let story = Story::at_once(exchange(), input);
    assert_eq!(story, Story::by_bytes(exchange(), input), "{}", input.escape_ascii());
    for event in &story.events {
        let (fields, switches) = match event {
            Event::Head(head) => (text(head.fields.clone()), false),
            Event::Interim(_, fields) => (fields.clone(), false),
            Event::Switch(fields) => (fields.clone(), true),
            Event::Content(_) | Event::End | Event::Failed(_) => continue,
        };
        assert!(are_lines(fields.as_bytes()), "{}", input.escape_ascii());
        let lower = format!("\n{}", fields.to_ascii_lowercase());
        for name in ["connection", "content-length", "transfer-encoding", "upgrade"] {
            let is_there = lower.contains(&format!("\n{name}:"));
            assert_eq!(is_there, switches && name == "upgrade", "{}", input.escape_ascii());
        }
    }
    if story.reusable {
        assert_eq!(story.taken, input.len(), "{}", input.escape_ascii());
    }
    story.failure().is_some()
}

#[test]
fn spoiled_responses_are_read_in_one_way() {
    let mut random = Rng::with_seed(5);
    let (mut good, mut bad) = (0, 0);
    while bad < 15_000 {
        let at = random.usize(..GOOD.len() + MALFORMED.len() / 4);
        let mut input = match GOOD.get(at) {
            Some(input) => input.to_vec(),
            None => MALFORMED[random.usize(..MALFORMED.len())].0.to_vec(),
        };
        for _ in 0..random.u32(1..4) {
            spoil(&mut input, &mut random);
        }
        let failed = match random.u32(..4) {
            0 => check(|| Exchange::of_script(Method::Get), &input),
            1 => check(|| upgrade("websocket"), &input),
            2 => check(|| Exchange::new(Method::Head), &input),
            _ => check(get, &input),
        };
        *(if failed { &mut bad } else { &mut good }) += 1;
    }
    assert!(good > 1500, "only {good} were taken");
}

#[test]
fn noise_is_no_response() {
    let mut random = Rng::with_seed(6);
    for _ in 0..5000 {
        let noise: Vec<u8> = (0..random.usize(8..100)).map(|_| random.u8(..)).collect();
        assert!(check(get, &noise));
    }
}

/// What is written as a request is read as that request, with the content that was sent.
#[test]
fn what_is_encoded_is_decoded() {
    let mut random = Rng::with_seed(7);
    for _ in 0..3000 {
        let content: Vec<u8> = (0..random.usize(..300)).map(|_| random.u8(..)).collect();
        let framing = if random.bool() {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", content.len())
        };
        let request = format!("PUT / HTTP/1.1\r\nHost: h\r\nA: b\r\n{framing}\r\n\r\n");
        let Passed { mut exchange, bytes } = pass(request.as_bytes());
        let mut out = bytes.clone().into_bytes();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(random.usize(..=rest.len()));
            exchange.send(piece, &mut out);
            rest = behind;
        }
        exchange.finish(&mut out);
        let mut space = HeadSpace::new();
        let head = Head::parse(bytes.as_bytes(), &mut space, &LIMITS).expect("a good request");
        assert_eq!((head.host, head.fields.find("A")), ("origin", Some(&b"b"[..])));
        let mut decoder = Decoder::new(head.length.unwrap_or(Length::Known(0)));
        let (mut at, mut read) = (bytes.len(), Vec::new());
        loop {
            let (used, piece) = decoder.decode(&out[at..], &LIMITS).expect("good framing");
            at += used;
            match piece {
                Piece::Content(content) => read.extend_from_slice(content),
                Piece::Nothing => panic!("the content is not whole"),
                Piece::End => break,
            }
        }
        assert_eq!((read, at), (content, out.len()));
    }
}
