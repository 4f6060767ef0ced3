//! Where content ends: lengths, chunks, and all that only looks like them.

use super::head::{Refused, look};
use super::*;
use crate::http::framing::{Decoder, Encoder, MAX_EXTENSION_BYTES, Piece};

/// Chunked content, whole, and what it says.
#[rustfmt::skip]
pub(super) const CHUNKED: &[(&[u8], &[u8])] = &[
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"1\r\na\r\n1\r\nb\r\n2\r\ncd\r\n0\r\n\r\n", b"abcd"),
    (b"a\r\n0123456789\r\nB\r\n0\r\n\r\n5\r\nx\r\n\r\n0\r\n\r\n", b"01234567890\r\n\r\n5\r\nx\r\n"),
    (b"1\r\n\r\r\n1\r\n\n\r\n3\r\n\0\xff0\r\n0\r\n\r\n", b"\r\n\0\xff0"),
    (b"00000000000000000000000005\r\nhello\r\n000\r\n\r\n", b"hello"),
    (b"5;\r\nhello\r\n0;\r\n\r\n", b"hello"),
    (b"5;a=b;c=\"d\\\";5\";;\r\nhello\r\n0 ; last\r\n\r\n", b"hello"),
    (b"5 \t;\t\x80\xff~!\r\nhello\r\n0\t;=\r\n\r\n", b"hello"),
    (b"2\r\nab\r\n0\r\nX-Trailer: y z\t\xff\r\nEmpty:\r\n!#$%&'*+-.^_`|~9: :\r\n\r\n", b"ab"),
    (b"0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a b\r\n\r\n", b""),
];

/// Chunked content that is none, as far as it takes to know that.
#[rustfmt::skip]
pub(super) const MALFORMED: Refused = &[
    (400, "a chunk's size is malformed", &[
        b"\r\n", b"\n", b" 5", b"\t5", b"g", b"-5", b"+5", b"0x5", b"5h", b"5_0", b"5,", b"5.0",
        b";a", b"\"5\"", b"5\n", b"5\0", b"5 \r\n", b"5 \n", b"5 5", b"5\t\r\n", b"5 a", b"5\x0b;",
        b"5\xa0", b"\xef\xbc\x95", b"1\r\na\r\n\r\n", b"1\r\na\r\n g", b"\x005", b"5=", b"G", b"@",
        b"`", b"/", b":",
    ]),
    (400, "a chunk's size is too large", &[
        b"10000000000000000", b"fffffffffffffffff", b"FFFFFFFFFFFFFFFF0", b"00010000000000000000",
        b"1\r\na\r\n10000000000000005",
    ]),
    (400, "a chunk's extension is malformed", &[
        b"5;a\n", b"5;\n", b"5;a\0", b"5;\x01", b"5;\x7f", b"5\rh", b"5\r\r", b"5;a\rb",
        b"5;a\r\r\n", b"5;a=\"\r\"", b"0\r0", b"0\r ", b"00\r\r", b"0;a\rb", b"5;\x0b", b"5;\x1b",
    ]),
    (400, "a chunk is longer than its size says", &[
        b"5\r\nhelloX", b"5\r\nhello\n", b"5\r\nhello\rX", b"5\r\nhello\r\r",
        b"5\r\nhello0\r\n\r\n", b"5\r\nhello \r\n", b"1\r\n\r\n0", b"5\r\nhello\0", b"1\r\nab\r\n",
    ]),
    (400, "the trailer section is malformed", &[
        b"0\r\n\n", b"0\r\n\rX", b"0\r\n\r\r", b"0\r\n:", b"0\r\n X: y", b"0\r\n\tX: y",
        b"0\r\nX : y", b"0\r\nX\t:", b"0\r\nX\r\n", b"0\r\nX\n", b"0\r\nX: y\n", b"0\r\nX: y\r\n z",
        b"0\r\nX: y\r\n\n", b"0\r\nX: \0", b"0\r\nX:\x7f", b"0\r\nX: a\rb", b"0\r\nX: a\r\r",
        b"0\r\nX\x80: y", b"0\r\n\0", b"0\r\nX(: y", b"0\r\nX:\x1f", b"0\r\n\"",
    ]),
];

/// A POST with `lines` among its fields, and `content` behind it.
pub(super) fn post(lines: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n");
    [head.as_bytes(), content].concat()
}

/// A POST of chunked content.
pub(super) fn post_chunked(content: &[u8]) -> Vec<u8> {
    post("Transfer-Encoding: chunked", content)
}

/// The content that `input` is decoded to, and the bytes that took.
fn decode(length: Length, input: &[u8]) -> Result<(Vec<u8>, usize), Refusal> {
    let mut decoder = Decoder::new(length);
    let mut content = Vec::new();
    let mut taken = 0;
    loop {
        let (used, piece) = decoder.decode(&input[taken..], &Limits::default())?;
        taken += used;
        match piece {
            Piece::Nothing => panic!("no end: {}", input.escape_ascii()),
            Piece::Content(piece) => content.extend_from_slice(piece),
            Piece::End => return Ok((content, taken)),
        }
    }
}

fn status_of(input: &[u8], limits: &Limits) -> Option<u16> {
    let story = Story::of(input, [input.len()], limits);
    story.refusal().map(|refusal| refusal.status.code())
}

#[test]
fn how_content_is_framed() {
    let known = |length| Ok(Some(Length::Known(length)));
    for (version, lines, expected) in [
        ("1.1", "X:", Ok(None)),
        ("1.1", "Content-Length: 0", Ok(None)),
        ("1.1", "Content-Length: 000", Ok(None)),
        ("1.1", "Content-Length: 5", known(5)),
        ("1.0", "Content-Length: 5", known(5)),
        ("1.1", "CONTENT-LENGTH:\t0000000000000000000000005 ", known(5)),
        ("1.1", "Content-Length: 18446744073709551615", known(u64::MAX)),
        ("1.1", "X-Content-Length: 5\r\nContent_Length: 6", Ok(None)),
        ("1.1", "Transfer-Encoding: chunked", Ok(Some(Length::Chunked))),
        ("1.1", "transfer-encoding:\tCHUNKED \t", Ok(Some(Length::Chunked))),
        ("1.1", "Transfer-Encoding: ,chunked , ,", Ok(Some(Length::Chunked))),
        ("1.1", "TE: chunked", Ok(None)),
        ("1.0", "Transfer-Encoding: chunked", Err(400)),
        ("1.0", "Transfer-Encoding: gzip", Err(400)),
        ("1.0", "Transfer-Encoding: chunked\r\nContent-Length: 5", Err(400)),
    ] {
        let input = format!("GET / HTTP/{version}\r\nHost: h\r\n{lines}\r\n\r\n");
        assert_eq!(look(input.as_bytes(), |head| head.length), expected, "{version} {lines}");
    }
}

#[test]
fn two_lines_of_transfer_encoding_are_one_too_many() {
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\ntransfer-encoding:",
    ] {
        let story = Story::at_once(&post(lines, b"0\r\n\r\n"));
        assert_eq!(story.refusal().map(|refusal| refusal.status), Some(Status::BAD_REQUEST));
        assert_eq!(story.taken, 0, "{lines}");
    }
}

#[test]
fn known_content_ends_with_its_last_byte() {
    for length in 1..=5u64 {
        let (content, taken) = decode(Length::Known(length), b"\r\n\0ab").unwrap();
        assert_eq!((content.len(), taken as u64), (taken, length));
    }
    let mut decoder = Decoder::new(Length::Known(u64::MAX));
    assert_eq!(decoder.decode(b"abc", &Limits::default()), Ok((3, Piece::Content(b"abc"))));
    assert_eq!(decoder.left(), Some(u64::MAX - 3));
    assert_eq!(decoder.decode(b"", &Limits::default()), Ok((0, Piece::Nothing)));
}

#[test]
fn chunks_are_joined_and_what_follows_them_is_left_alone() {
    for (input, expected) in CHUNKED {
        for behind in [&b""[..], b"\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n", b"\0"] {
            let all = [input, behind].concat();
            let (content, taken) = decode(Length::Chunked, &all).unwrap();
            assert_eq!(content.escape_ascii().to_string(), expected.escape_ascii().to_string());
            assert_eq!(taken, input.len(), "{}", all.escape_ascii());
        }
    }
}

#[test]
fn malformed_chunks_are_refused_where_they_go_wrong() {
    for (status, why, inputs) in MALFORMED {
        for input in *inputs {
            let refusal = Story::at_once(&post_chunked(input)).refusal();
            let refusal = refusal.unwrap_or_else(|| panic!("taken: {}", input.escape_ascii()));
            let got = (refusal.status.code(), refusal.why);
            assert_eq!(got, (*status, *why), "{}", input.escape_ascii());
        }
    }
}

#[test]
fn a_chunk_has_less_than_two_to_the_sixty_fourth_bytes() {
    for input in [&b"ffffffffffffffff\r\nabc"[..], b"000FFFFFFFFFFFFFFFF\r\nabc"] {
        let mut decoder = Decoder::new(Length::Chunked);
        let piece = decoder.decode(input, &Limits::default());
        assert_eq!(piece, Ok((input.len(), Piece::Content(b"abc"))));
    }
    assert_eq!(status_of(&post_chunked(b"10000000000000000"), &Limits::default()), Some(400));
}

#[test]
fn what_is_ignored_of_chunks_has_a_limit_over_all_of_them() {
    let most = MAX_EXTENSION_BYTES as usize;
    let of = |content: String| status_of(&post_chunked(content.as_bytes()), &Limits::default());
    assert_eq!(of(format!("0;{}\r\n\r\n", "x".repeat(most - 1))), None);
    assert_eq!(of(format!("0;{}\r\n\r\n", "x".repeat(most))), Some(400));
    assert_eq!(of(format!("0{};\r\n\r\n", " ".repeat(most - 1))), None);
    assert_eq!(of(format!("0{};\r\n\r\n", " ".repeat(most))), Some(400));
    assert_eq!(of(format!("0{}\r\n\r\n", "0".repeat(most))), None);
    assert_eq!(of(format!("0{}\r\n\r\n", "0".repeat(most + 1))), Some(400));
    // A byte of content makes up for one of what is ignored, if it comes behind it.
    assert_eq!(of(format!("{}0\r\n\r\n", "1;x\r\na\r\n".repeat(most - 1))), None);
    assert_eq!(of(format!("{}0\r\n\r\n", "1;x\r\na\r\n".repeat(most))), Some(400));
    assert_eq!(of(format!("{}0\r\n\r\n", "2;x\r\nab\r\n".repeat(2 * most))), None);
    assert_eq!(of(format!("ff\r\n{}\r\n0;{}", "a".repeat(255), "x".repeat(most))), Some(400));
    // Sizes and content are no extensions, however many chunks there are.
    assert_eq!(of(format!("{}0\r\n\r\n", "10\r\n0123456789abcdef\r\n".repeat(most))), None);
}

#[test]
fn a_trailer_section_may_be_as_large_as_a_head_and_no_larger() {
    let limits = Limits { head_bytes: 100, head_fields: 10 };
    let of = |trailers: &str| {
        status_of(&post_chunked(format!("0\r\n{trailers}\r\n").as_bytes()), &limits)
    };
    assert_eq!(of(&format!("a:{}\r\n", "x".repeat(96))), None);
    assert_eq!(of(&format!("a:{}\r\n", "x".repeat(97))), Some(431));
    assert_eq!(of(&format!("{}:\r\n", "a".repeat(98))), Some(431));
    assert_eq!(of(&"a:\r\n".repeat(25)), None);
    assert_eq!(of(&"a:\r\n".repeat(26)), Some(431));
}

#[test]
fn what_is_encoded_is_decoded_to_the_same() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..500 {
        let content: Vec<u8> = (0..random.usize(..600)).map(|_| random.u8(..)).collect();
        let mut encoder = Encoder::Chunked;
        let mut out = Vec::new();
        let mut rest = &content[..];
        while !rest.is_empty() {
            // Pieces of no bytes as well: they must not look like the end.
            let (piece, behind) = rest.split_at(random.usize(..=rest.len().min(300)));
            encoder.encode(piece, &mut out);
            rest = behind;
        }
        assert!(encoder.finish(&mut out));
        assert_eq!(decode(Length::Chunked, &out), Ok((content, out.len())));
    }
}

#[test]
fn an_encoder_knows_whether_its_content_came_to_its_end() {
    let mut out = Vec::new();
    let mut encoder = Encoder::Known(5);
    encoder.encode(b"hel", &mut out);
    assert!(!encoder.finish(&mut out));
    encoder.encode(b"lo", &mut out);
    assert!(encoder.finish(&mut out));
    let mut encoder = Encoder::UntilClose;
    encoder.encode(b"!", &mut out);
    assert!(encoder.finish(&mut out));
    assert_eq!(out, b"hello!");
}
