//! Connections that are made from here.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;

use super::*;

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn localhost(port: u16) -> Endpoint {
    Endpoint::Tcp((Ipv4Addr::LOCALHOST, port).into())
}

/// A port that nobody listens on.
fn deaf_port() -> u16 {
    listener().1
}

/// What is written at this end is read at the other, to the end, and the other way round.
fn converse(world: &mut World, peer: PeerId, mut other: impl Read + io::Write) {
    let parts = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
    assert_eq!(world.system.write(peer, &parts, false).unwrap(), 5);
    assert_eq!(world.system.write(peer, &[IoSlice::new(b" you")], true).unwrap(), 4);
    world.system.finish(peer);
    let mut heard = String::new();
    other.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello you");
    other.write_all(b"bye").unwrap();
    drop(other);
    let mut answer = Vec::new();
    world.until("the end of the answer", |system, _| {
        drain(&mut answer, |buffer| system.read(peer, buffer)).then_some(())
    });
    assert_eq!(answer, b"bye");
    world.system.close(peer);
}

#[test]
fn to_a_port() {
    let (listener, port) = listener();
    let mut world = World::new();
    let peer = world.connect(&localhost(port)).unwrap();
    let (other, address) = listener.accept().unwrap();
    assert_eq!(world.system.local_address(peer), Some(address));
    assert!(world.system.error(peer).is_none());
    converse(&mut world, peer, other);
    assert_eq!(world.system.local_address(peer), None);
}

#[test]
fn to_a_path() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("socket");
    let mut world = World::new();
    let endpoint = Endpoint::Unix(path.clone());
    let missing = world.connect(&endpoint).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let listener = UnixListener::bind(&path).unwrap();
    let peer = world.connect(&endpoint).unwrap();
    assert_eq!(world.system.local_address(peer), None);
    let (other, _) = listener.accept().unwrap();
    converse(&mut world, peer, other);
    // With a queue of one, the third must wait: told, not waited for.
    rustix::net::listen(&listener, 0).unwrap();
    let mut full = None;
    for key in 10..20 {
        let gateway = PeerId { key, generation: 0 };
        full = full.or(world.system.connect(&endpoint, gateway).err());
    }
    assert_eq!(full.map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    drop(listener);
    let refused = world.connect(&endpoint).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_refusal_says_so() {
    let mut world = World::new();
    let refused = world.connect(&localhost(deaf_port())).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn nothing_moves_before_it_is_connected() {
    // Its queue is full, so the next handshake does not end.
    let (listener, port) = listener();
    rustix::net::listen(&listener, 0).unwrap();
    let mut world = World::new();
    let mut waiting = Vec::new();
    for key in 10..14 {
        let peer = PeerId { key, generation: 0 };
        world.system.connect(&localhost(port), peer).unwrap();
        waiting.push(peer);
    }
    let last = PeerId { key: 13, generation: 0 };
    let mut told = Vec::new();
    world.until("the first is connected", |_, ready| {
        told.extend(ready.iter().map(|event| event.peer));
        told.contains(&waiting[0]).then_some(())
    });
    assert!(!told.contains(&last));
    let kind = |result: io::Result<usize>| result.unwrap_err().kind();
    let letter = [IoSlice::new(b"a")];
    for more in [false, true] {
        let written = world.system.write(last, &letter, more);
        assert_eq!(kind(written), io::ErrorKind::WouldBlock);
    }
    assert_eq!(kind(world.system.read(last, &mut [0; 9])), io::ErrorKind::WouldBlock);
    world.system.close(last);
    assert_eq!(kind(world.system.read(last, &mut [0; 9])), io::ErrorKind::NotConnected);
}

#[test]
fn an_abort_is_seen_as_one() {
    let (listener, port) = listener();
    let mut world = World::new();
    for abort in [false, true] {
        let peer = world.connect(&localhost(port)).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        if abort {
            world.system.abort(peer);
            let error = other.read(&mut [0; 9]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        } else {
            world.system.close(peer);
            assert_eq!(other.read(&mut [0; 9]).unwrap(), 0);
        }
    }
}

#[test]
fn a_reset_is_an_error() {
    let (listener, port) = listener();
    let mut world = World::new();
    let peer = world.connect(&localhost(port)).unwrap();
    let (other, _) = listener.accept().unwrap();
    socket2::SockRef::from(&other).set_linger(Some(Duration::ZERO)).unwrap();
    drop(other);
    world.until("broken", |_, ready| {
        ready.iter().any(|event| event.peer == peer && event.broken).then_some(())
    });
    let error = world.system.error(peer).unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(world.system.error(peer).is_none());
}

#[test]
fn to_a_name_that_listens_at_one_of_its_addresses() {
    let (listener, port) = listener();
    let mut world = World::new();
    let endpoint = Endpoint::Name("localhost".to_owned(), port);
    // The second time, the name is known.
    for _ in 0..2 {
        let peer = world.connect(&endpoint).unwrap();
        let (other, _) = listener.accept().unwrap();
        converse(&mut world, peer, other);
    }
    let deaf = Endpoint::Name("localhost".to_owned(), deaf_port());
    let refused = world.connect(&deaf).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_name_that_nobody_has_is_an_error_and_nobody_waits() {
    let mut world = World::new();
    let endpoint = Endpoint::Name("does-not-exist.invalid".to_owned(), 80);
    let peer = world.peer();
    let start = Instant::now();
    world.system.connect(&endpoint, peer).unwrap();
    assert_eq!(world.system.read(peer, &mut [0; 9]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(start.elapsed() < Duration::from_secs(1));
    let error = world.established(peer).unwrap_err();
    assert!(error.to_string().contains("does-not-exist.invalid"), "{error}");
    // It is known now.
    let next = world.peer();
    assert!(world.system.connect(&endpoint, next).is_err());
}

#[test]
fn an_answer_for_an_earlier_tenant_is_not_the_next_ones() {
    let (listener, port) = listener();
    let mut world = World::new();
    let (early, late) = (world.peer(), world.peer());
    let name = |name: &str| Endpoint::Name(name.to_owned(), port);
    world.system.connect(&name("does-not-exist.invalid"), early).unwrap();
    world.system.close(early);
    world.system.connect(&name("localhost"), late).unwrap();
    world.established(late).unwrap();
    listener.accept().unwrap();
}
