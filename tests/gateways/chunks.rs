//! Content in chunks of one byte. Each of them costs the client six bytes, and must not cost the
//! server a system call.

use std::fmt::Write;
use std::sync::mpsc;

use super::World;
use super::origin::{Origin, route};
use crate::support::programs::is_there;
use crate::support::running::{DEADLINE, wait_until};

const CHUNKS: usize = 20_000;

/// All calls that write, counted.
const COUNTED: &str = "-c -e trace=write,writev,pwrite64,pwritev,sendto,sendmsg";

/// The letters of the content, which are no digits of a chunk's size.
fn letters() -> impl Iterator<Item = char> {
    ('g'..='z').cycle().take(CHUNKS)
}

/// A request with such content for `target`.
fn request(target: &str) -> String {
    let mut request =
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for letter in letters() {
        write!(request, "1\r\n{letter}\r\n").unwrap();
    }
    request + "0\r\n\r\n"
}

/// Ends the server; returns how often it has written.
fn count_writes(world: World) -> usize {
    world.daemon.signal("TERM");
    let World { daemon, folder } = world;
    assert_eq!(daemon.wait(), Some(0));
    let mut trace = String::new();
    wait_until("the trace is whole", || {
        trace = std::fs::read_to_string(folder.path().join("trace")).unwrap();
        trace.contains(" total\n")
    });
    let total = trace.lines().find(|line| line.ends_with(" total")).unwrap();
    // Share, seconds, microseconds for each, calls, perhaps errors.
    total.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn tiny_chunks_are_gathered_on_their_way_to_an_origin() {
    if !is_there("strace") {
        return;
    }
    let (sender, arrived) = mpsc::channel();
    let origin = Origin::start(move |mut wire| {
        wire.head();
        sender.send(wire.until(b"\r\n0\r\n\r\n")).unwrap();
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        wire.wait();
    });
    let world = World::traced(COUNTED, "", &route(&origin, ""));
    let mut client = world.connect();
    client.send(request("/"));
    let came = String::from_utf8(arrived.recv_timeout(DEADLINE).unwrap()).unwrap();
    let came = came.chars().filter(|letter| matches!(letter, 'g'..='z'));
    assert!(came.eq(letters()), "something else arrives");
    assert_eq!(client.response(false).text(), "ok");
    drop(client);
    let writes = count_writes(world);
    assert!(writes * 20 < CHUNKS, "{writes} writes for {CHUNKS} chunks");
}

#[test]
fn tiny_chunks_are_gathered_on_their_way_into_a_file() {
    if !is_there("strace") {
        return;
    }
    let world = World::traced(
        COUNTED,
        "[limits]\nspool = { memory = \"1KiB\" }\n",
        "[[site.route]]\npath = \"/cgi/*\"\ncgi = { root = \"@PROGRAMS/cgi\" }\n",
    );
    let mut client = world.connect();
    client.send(request("/cgi/trouble.sh?count"));
    assert_eq!(client.response(false).text().trim(), CHUNKS.to_string());
    drop(client);
    let writes = count_writes(world);
    assert!(writes * 20 < CHUNKS, "{writes} writes for {CHUNKS} chunks");
}
