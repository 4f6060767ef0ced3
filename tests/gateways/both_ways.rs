//! Content on its way to an origin while the answer comes back: neither direction waits for the end
//! of the other, or makes up for its silence.

use std::io::Write;
use std::sync::mpsc::{self, Receiver};

use super::origin::{Origin, route};
use super::{World, has_answer, random_bytes};
use crate::support::folder::Folder;
use crate::support::running::{DEADLINE, wait_until};

const UP: usize = (6 << 20) + 11;
/// More than everything between origin and client holds that the system has made.
const DOWN: usize = (20 << 20) + 7;

/// An origin that begins to answer with `answer` before it reads on, and tells what it has read. It
/// keeps the last byte until it has read all: an answer that is over needs no more content.
fn hasty(answer: &[u8]) -> (Origin, Receiver<Vec<u8>>) {
    let (sender, receiver) = mpsc::channel();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
    let (last, rest) = answer.split_last().unwrap();
    let (last, rest) = (*last, [head.as_bytes(), rest].concat());
    let origin = Origin::start(move |mut wire| {
        wire.head();
        let pouring = wire.pour(rest.clone());
        sender.send(wire.content(UP)).unwrap();
        pouring.join().unwrap();
        wire.write([last]);
        wire.wait();
    });
    (origin, receiver)
}

fn world(origin: &Origin, turn: &str) -> World {
    let limits = format!("[limits]\nturn = {{ bytes = \"{turn}\" }}\n");
    let route = format!(
        "[[site.route]]\npath = \"/up\"\ncontent = {{ bytes = \"1GiB\" }}\n\
         proxy = {{ to = \"{}\" }}\n",
        origin.url()
    );
    World::within(Folder::new(), &limits, &route)
}

#[test]
fn all_content_may_be_given_before_the_answer_is_looked_at() {
    for turn in ["1KiB", "256KiB"] {
        for length in [1 << 20, DOWN] {
            let (content, answer) = (random_bytes(1, UP), random_bytes(2, length));
            let (origin, arrived) = hasty(&answer);
            let world = world(&origin, turn);
            let mut client = world.connect();
            let before = world.peak();
            client.send(format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {UP}\r\n\r\n"));
            client.send(&content);
            let came = arrived.recv_timeout(DEADLINE).expect("all of it arrives");
            assert!(came == content, "{turn} {length}: something else arrives");
            let grown = world.peak() - before;
            assert!(grown < 8 << 20, "{turn} {length}: the server has grown by {grown} bytes");
            let response = client.response(false);
            assert!(response.content == answer, "{turn} {length}: something else comes back");
            world.assert_well();
        }
    }
}

#[test]
fn an_answer_may_be_read_in_small_pieces_while_content_is_given() {
    for turn in ["1KiB", "256KiB"] {
        let (content, answer) = (random_bytes(3, UP), random_bytes(4, DOWN));
        let (origin, arrived) = hasty(&answer);
        let world = world(&origin, turn);
        let mut client = world.connect();
        client.send(format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {UP}\r\n\r\n"));
        let mut writer = client.stream.try_clone().unwrap();
        let sent = content.clone();
        let sender = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        assert_eq!(client.begin().status, 200);
        for piece in answer.chunks(1000) {
            assert!(client.exactly(piece.len()) == piece, "{turn}: something else comes back");
        }
        sender.join().unwrap();
        let came = arrived.recv_timeout(DEADLINE).expect("all of it arrives");
        assert!(came == content, "{turn}: something else arrives");
        world.assert_well();
    }
}

#[test]
fn what_its_client_still_sends_buys_a_silent_origin_no_time() {
    let origin = Origin::start(|mut wire| {
        wire.head();
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        wire.wait();
    });
    let world = World::start(&route(&origin, ", timeout = \"1s\""));
    let mut client = world.connect();
    client.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(client.begin().status, 200);
    assert_eq!(client.exactly(3), b"abc");
    wait_until("its answer is cut", || {
        // Far more than a client must send to be heard.
        let _ = client.stream.write_all(b"0123456789");
        has_answer(&client)
    });
    assert!(client.read_to_end().is_empty());
    assert!(world.reason("POST /up ").is_some_and(|why| why.contains("too long")));
    world.assert_well();
}
