//! Clients that take their time. Each test waits for the end that must come; how soon it comes is
//! left to the machine.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use oneloop::server::Limits;

use super::World;
use crate::support::client::Client;
use crate::support::running::DEADLINE;

const SHORT: Duration = Duration::from_millis(200);

/// Sends `part` again and again, with little rests, until the server has something to say or ends
/// the connection. Fails if it does neither.
fn trickle(client: &mut Client, part: &str) {
    let started = Instant::now();
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    loop {
        assert!(started.elapsed() < DEADLINE, "it may go on like this for ever");
        client.send(part);
        match client.stream.peek(&mut [0]) {
            Ok(_) => break,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
            }
        }
    }
    client.stream.set_read_timeout(Some(DEADLINE)).unwrap();
}

/// That the client is told that it took too long, and why, and that it is let go.
fn is_timed_out(mut client: Client, why: &str) {
    let response = client.response(false);
    assert_eq!((response.status, response.field("Connection")), (408, Some("close")));
    assert!(response.text().contains(why), "{}", response.text());
    client.finish();
    assert_eq!(client.read_to_fin(), b"");
}

#[test]
fn a_head_that_drips_is_cut_off_however_it_drips() {
    let world = World::with(Limits { head_timeout: SHORT, ..Limits::default() });
    let mut client = world.connect();
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
    trickle(&mut client, "x");
    is_timed_out(client, "head");
    // A whole field now and then, and behind a request that was answered.
    let mut client = world.connect();
    assert_eq!(client.get("/hello").status, 200);
    client.send("GET /hello HTTP/1.1\r\n");
    trickle(&mut client, "X: y\r\n");
    is_timed_out(client, "head");
    // Not a word after the first bytes.
    for part in ["G", "GET /hello HTTP/1.1\r\nHost: a\r\n\r"] {
        let mut client = world.connect();
        client.send(part);
        is_timed_out(client, "head");
    }
    // Behind a form, old clients send a line end that begins nothing: nobody asks for an answer.
    let mut client = world.connect();
    assert_eq!(client.get("/hello").status, 200);
    client.send("\r\n");
    assert!(client.is_closed(), "an answer that nobody asked for");
    world.still_serves();
}

#[test]
fn a_client_that_says_nothing_is_let_go_without_a_word() {
    let world = World::with(Limits { head_timeout: SHORT, ..Limits::default() });
    let mut client = world.connect();
    assert_eq!(client.read_to_fin(), b"");
    world.still_serves();
}

#[test]
fn a_connection_may_be_idle_for_a_while() {
    let world = World::with(Limits { idle_timeout: SHORT, ..Limits::default() });
    let mut client = world.connect();
    assert_eq!(client.get("/hello").text(), "hello\n");
    assert_eq!(client.read_to_fin(), b"");
    world.still_serves();
}

#[test]
fn content_that_drips_or_stops_is_cut_off() {
    let limits = Limits { content_timeout: SHORT, content_min_rate: 10_000, ..Limits::default() };
    let world = World::with(limits);
    let heads = [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
        "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n",
    ];
    for head in heads {
        let mut client = world.connect();
        client.send(head);
        trickle(&mut client, "x");
        is_timed_out(client, "content");
        let mut client = world.connect();
        client.send(head);
        is_timed_out(client, "content");
    }
    // It waits for 100 Continue, gets it, and then has nothing to say.
    let mut client = world.connect();
    client
        .send("PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let mut invitation = [0; 25];
    client.stream.read_exact(&mut invitation).unwrap();
    is_timed_out(client, "content");
    world.still_serves();
}

#[test]
fn an_upload_above_the_lowest_rate_may_take_longer_than_the_timeout() {
    let limits = Limits { content_timeout: SHORT, content_min_rate: 100, ..Limits::default() };
    let world = World::with(limits);
    let mut client = world.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let started = Instant::now();
    let mut left = 100_000;
    client.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    while left > 0 {
        // Two seconds' worth of bytes every hundredth of a second, for twice the timeout.
        let count = if started.elapsed() < 2 * SHORT { left.min(200) } else { left };
        client.send(vec![b'x'; count]);
        left -= count;
        if left > 0 {
            assert!(client.stream.peek(&mut [0]).is_err(), "it was cut off");
        }
    }
    client.stream.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(client.response(false).content.len(), "POST - ".len() + 100_000);
}

#[test]
fn one_that_does_not_read_its_answer_is_let_go() {
    // There is room for one client, so another one's answer shows that the first is gone.
    let limits = Limits { send_timeout: SHORT, connections: 1, ..Limits::default() };
    let world = World::with(limits);
    let (_, content) = world.big_file();
    for target in ["/big.bin", "/produced-without-end"] {
        let mut slow = world.connect();
        if target == "/big.bin" {
            slow.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        } else {
            // Many answers from memory, none of which is read.
            slow.send("GET /folder/ HTTP/1.1\r\nHost: a\r\n\r\n".repeat(9_000));
        }
        let mut first = [0; 15];
        slow.stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        world.still_serves();
        let rest = slow.read_to_end();
        assert!(rest.len() < content.len(), "it got all of it");
    }
}

#[test]
fn one_that_reads_slowly_but_reads_is_served() {
    let limits = Limits { send_timeout: SHORT, send_min_rate: 1000, ..Limits::default() };
    let world = World::with(limits);
    let (_, content) = world.big_file();
    let mut client = world.connect();
    client.send("GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut got = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    let started = Instant::now();
    loop {
        let count = client.stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..count]);
        if started.elapsed() < 3 * SHORT {
            // A rest, well within what is allowed.
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
    assert!(got.ends_with(&content), "it was cut off after {} bytes", got.len());
}
