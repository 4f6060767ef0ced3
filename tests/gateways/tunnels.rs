//! Connections that change their protocol, and then end in one direction first.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::sync::{Mutex, mpsc};

use super::World;
use super::origin::{Origin, route};
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::DEADLINE;

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";

/// A client that has changed the protocol.
fn switched(world: &World) -> Client {
    let mut client = world.connect();
    client.send("GET /e HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(client.begin().status, 101);
    client
}

#[test]
fn an_end_that_the_client_says_is_passed_on_and_the_origin_may_still_speak() {
    let (sender, heard) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let origin = Origin::start(move |mut wire| {
        wire.head();
        wire.write(SWITCH);
        sender.send(wire.content(1000)).unwrap();
        let _ = gone.lock().unwrap().recv();
        wire.write("farewell");
    });
    let limits = "[limits]\nhalf-closed = \"60s\"\n";
    let world = World::within(Folder::new(), limits, &route(&origin, ""));
    let mut client = switched(&world);
    client.send("bye");
    client.finish();
    assert_eq!(heard.recv_timeout(DEADLINE).expect("the origin sees the end"), b"bye");
    world.catch_up();
    go.send(()).unwrap();
    assert_eq!(client.read_to_fin(), b"farewell");
    world.assert_well();
}

#[test]
fn what_an_origin_says_that_does_not_listen_any_more_is_passed_on() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path().join("origin.sock")).unwrap();
    let (go, gone) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        // Whoever writes to it learns at once that nobody reads it.
        stream.shutdown(Shutdown::Read).unwrap();
        stream.write_all(SWITCH.as_bytes()).unwrap();
        let _ = gone.recv();
        stream.write_all(b"the tail").unwrap();
    });
    let world = World::within(
        folder,
        "",
        "[[site.route]]\npath = \"/*\"\nproxy = { to = \"unix:@FOLDER/origin.sock\" }\n",
    );
    let mut client = switched(&world);
    client.send("x");
    world.catch_up();
    go.send(()).unwrap();
    assert_eq!(String::from_utf8_lossy(&client.read_to_end()), "the tail");
    world.assert_well();
}
