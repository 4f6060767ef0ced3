//! Pieces of the protocol: heads that come in and go out, and content in chunks. Nothing here
//! knows of a site or a server.

use std::hint::black_box;

use oneloop::http::Limits;
use oneloop::http::connection::{Connection, Received};
use oneloop::http::framing::{Decoder, Encoder, Length, Piece};
use oneloop::http::head::{Head, HeadSpace};
use oneloop::http::status::Status;

use super::rows::{Work, content, request};

/// Content in chunks: how many, and bytes of each.
const CHUNKS: usize = 16;
const CHUNK: usize = 1024;

/// What a small file says of itself.
const FIELDS: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\n\
    ETag: \"1f2e3d-400-6553f100.0\"\r\n\
    Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
    Accept-Ranges: bytes\r\n";

const DATE: &[u8] = b"Tue, 14 Nov 2023 22:13:20 GMT";

/// A head with these fields, which comes in so many pieces.
pub(crate) fn parse(fields: &str, pieces: usize) -> Work {
    let request = request("/small.txt", fields).into_bytes();
    receive(&request, pieces, |head| {
        assert_eq!(head.line, b"GET /small.txt HTTP/1.1");
        assert_eq!((head.host, head.length, head.persistent), ("localhost", None, true));
        for line in fields.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(head.fields.find(name), Some(value.as_bytes()));
        }
    });
    Box::new(move |times| {
        for _ in 0..times {
            receive(black_box(&request), pieces, |head| {
                black_box(head);
            });
        }
    })
}

/// A new connection to which the head comes. As in the server, what has come before is still there.
fn receive(request: &[u8], pieces: usize, seen: impl Fn(&Head<'_>)) {
    let limits = Limits::default();
    let mut connection = Connection::new();
    for piece in 1..=pieces {
        let come = &request[..request.len() * piece / pieces];
        let mut space = HeadSpace::new();
        match connection.receive(come, &mut space, &limits).unwrap() {
            (0, Received::Nothing) => assert!(piece < pieces, "the head is whole"),
            (used, Received::Head(head)) => {
                assert_eq!((used, piece), (request.len(), pieces));
                seen(&head);
            }
            (_, received) => panic!("{received:?}"),
        }
    }
}

/// The head of an answer.
pub(crate) fn respond() -> Work {
    let request = request("/small.txt", "");
    let mut owing = Connection::new();
    let mut space = HeadSpace::new();
    owing.receive(request.as_bytes(), &mut space, &Limits::default()).unwrap();
    let mut out = Vec::new();
    write(owing, &mut out);
    let expected = [
        b"HTTP/1.1 200 OK\r\nServer: oneloop\r\nDate: ",
        DATE,
        b"\r\n",
        FIELDS,
        b"Content-Length: 1024\r\n\r\n",
    ];
    assert_eq!(out, expected.concat());
    Box::new(move |times| {
        for _ in 0..times {
            out.clear();
            write(black_box(owing), &mut out);
            black_box(&out);
        }
    })
}

fn write(mut owing: Connection, out: &mut Vec<u8>) {
    let length = black_box(Some(CHUNK as u64));
    owing.respond(black_box(Status::OK), black_box(FIELDS), length, black_box(DATE), out);
}

/// Content that comes in chunks.
pub(crate) fn decode() -> Work {
    let (content, chunked) = chunks();
    let mut found = Vec::new();
    find_content(&chunked, |piece| found.extend_from_slice(piece));
    assert_eq!(found, content);
    Box::new(move |times| {
        for _ in 0..times {
            find_content(black_box(&chunked), |piece| {
                black_box(piece);
            });
        }
    })
}

fn find_content(chunked: &[u8], mut found: impl FnMut(&[u8])) {
    let limits = Limits::default();
    let mut decoder = Decoder::new(Length::Chunked);
    let mut at = 0;
    loop {
        let (used, piece) = decoder.decode(&chunked[at..], &limits).unwrap();
        at += used;
        match piece {
            Piece::Nothing => panic!("it ends too early"),
            Piece::Content(content) => found(content),
            Piece::End => break,
        }
    }
    assert_eq!(at, chunked.len());
}

/// Content that goes out in chunks.
pub(crate) fn encode() -> Work {
    let (content, chunked) = chunks();
    let mut out = Vec::new();
    cut(&content, &mut out);
    assert_eq!(out, chunked);
    Box::new(move |times| {
        for _ in 0..times {
            out.clear();
            cut(black_box(&content), &mut out);
            black_box(&out);
        }
    })
}

fn cut(content: &[u8], out: &mut Vec<u8>) {
    let mut encoder = Encoder::Chunked;
    for chunk in content.chunks(CHUNK) {
        encoder.encode(chunk, out);
    }
    assert!(encoder.finish(out));
}

/// Content, and the same in chunks.
fn chunks() -> (Vec<u8>, Vec<u8>) {
    let content = content(CHUNKS * CHUNK);
    let mut chunked = Vec::new();
    for chunk in content.chunks(CHUNK) {
        chunked.extend_from_slice(format!("{CHUNK:x}\r\n").as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    (content, chunked)
}
