//! Requests with content: how it comes in, when it is asked for, and what becomes of content that
//! nobody wants.

use std::io::Read;

use super::{SMALL, World};
use crate::support::client::Client;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn expecting(target: &str, length: usize) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

#[test]
fn content_that_is_wanted_is_asked_for_and_only_then() {
    let world = World::start();
    let mut client = world.connect();
    for _ in 0..2 {
        client.send(expecting("/echo", 3));
        assert_eq!(client.exactly(CONTINUE.len()), CONTINUE);
        client.send("abc");
        assert_eq!(client.response(false).text(), "POST - abc");
    }
    let chunked = expecting("/echo", 0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    client.send(&chunked);
    assert_eq!(client.exactly(CONTINUE.len()), CONTINUE);
    client.send("1\r\nx\r\n0\r\n\r\n");
    assert_eq!(client.response(false).text(), "POST - x");
    // It has not waited, so one more word to it would be one too many; but it may be said.
    client.send(expecting("/echo", 3) + "def");
    client.skip_continue();
    assert_eq!(client.response(false).text(), "POST - def");
    // Nothing is coming, or it speaks a version that does not know of it: nothing is asked for.
    client.send(expecting("/echo", 0));
    assert_eq!(client.response(false).text(), "POST - ");
    client.send(expecting("/echo", 2).replace("HTTP/1.1", "HTTP/1.0") + "gh");
    assert_eq!(client.response(false).text(), "POST - gh");
    assert!(client.is_closed());
}

#[test]
fn content_that_is_not_wanted_is_not_asked_for() {
    let world = World::start();
    let length = usize::try_from(SMALL).unwrap() + 1;
    let refused = [
        ("GET", "/nowhere", 5, 404),
        ("GET", "/%2e%2e/", 5, 400),
        ("POST", "/file.txt", 5, 405),
        ("POST", "/small", length, 413),
    ];
    for (method, target, length, status) in refused {
        let mut client = world.connect();
        client.send(expecting(target, length).replace("POST", method));
        let response = client.response(false);
        assert_eq!((response.status, response.field("Connection")), (status, Some("close")));
        // One that sends it all the same must not have it taken for a request.
        client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        client.finish();
        assert_eq!(client.read_to_fin(), b"", "{target}");
    }
}

impl Client {
    fn skip_continue(&mut self) {
        let mut first = vec![0; CONTINUE.len()];
        self.stream.peek(&mut first).unwrap();
        if first == CONTINUE {
            self.stream.read_exact(&mut first).unwrap();
        }
    }
}

#[test]
fn chunked_content_arrives_whole_in_chunks_of_any_size() {
    let world = World::start();
    let mut random = fastrand::Rng::with_seed(2);
    let mut client = world.connect();
    for _ in 0..20 {
        let content: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(100_000).collect();
        let mut message =
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n".to_vec();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let most = [3, 300, 30_000][random.usize(..3)];
            let (chunk, after) = rest.split_at(rest.len().min(random.usize(1..=most)));
            message.extend_from_slice(format!("{:04X};a=\"b\"\r\n", chunk.len()).as_bytes());
            message.truncate(message.len() - 2 - if random.u8(..8) > 0 { 6 } else { 0 });
            message.extend_from_slice(b"\r\n");
            message.extend_from_slice(chunk);
            message.extend_from_slice(b"\r\n");
            rest = after;
        }
        message.extend_from_slice(b"0\r\nX-Trailer: ignored\r\n\r\n");
        client.send(message);
        let response = client.response(false);
        assert_eq!(response.status, 200);
        assert!(response.content == [b"POST - ", &content[..]].concat(), "not what was sent");
    }
}

#[test]
fn an_upload_of_known_length_arrives_whole() {
    let world = World::start();
    let mut random = fastrand::Rng::with_seed(3);
    let content: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(10 << 20).collect();
    let mut client = world.connect();
    let response = client.request("PUT", "/echo?q", &[], &content);
    assert!(response.content == [b"PUT q ", &content[..]].concat(), "not what was sent");
    assert_eq!(client.get("/hello").text(), "hello\n");
}

#[test]
fn a_little_content_that_nobody_wants_does_not_end_the_connection() {
    let world = World::start();
    let mut client = world.connect();
    for (method, target, status) in [
        ("POST", "/file.txt", 405),
        ("GET", "/", 200),
        ("POST", "/small", 413),
        ("OPTIONS", "*", 204),
    ] {
        let content = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50);
        let response = client.request(method, target, &[], &content);
        assert_eq!((response.status, response.field("Connection")), (status, None), "{target}");
    }
}

#[test]
fn a_client_that_has_said_its_last_word_gets_every_answer() {
    let world = World::start();
    let (_, big) = world.big_file();
    let mut client = world.connect();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\
         GET /later HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /produced HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /later HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    client.finish();
    assert_eq!(client.response(false).text(), "POST - x");
    assert_eq!(client.response(false).text(), "as promised\n");
    assert_eq!(client.response(false).text(), "line 1\nline 2\nline 3\n");
    assert!(client.response(false).content == big, "not the file");
    assert_eq!(client.response(false).text(), "as promised\n");
    assert_eq!(client.read_to_fin(), b"");
}

#[test]
fn one_that_ends_amid_a_request_is_let_go_without_an_answer_to_it() {
    let world = World::start();
    let halves = [
        "",
        "GET /hello HT",
        "\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    ];
    for half in halves {
        let mut client = world.connect();
        client.send(format!("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n{half}"));
        client.finish();
        assert_eq!(client.response(false).text(), "hello\n");
        assert_eq!(client.read_to_fin(), b"", "{half:?}");
    }
    world.still_serves();
}
