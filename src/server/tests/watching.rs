//! What whoever watches the loop costs it.

use std::time::Instant;

use serde_json::Value;

use super::super::Server;
use super::super::access_log::AccessLogOptions;
use super::super::client::Client;
use super::super::listener::{Address, Listener, Wanted};
use super::super::peers::Peer;
use super::super::stepping::{Before, Command};
use super::super::timers::Millis;
use super::{Replay, Says, at};
use crate::site::router::Router;

const WATCH: &str = "GET /inspect/events HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server with a client that watches, and has been told that it may.
fn watched() -> Server<Replay> {
    let server = asked(WATCH, false);
    assert_eq!(server.watchers(), 1);
    server
}

/// A server whose one client has asked this of the admin listener, and takes no answer if it
/// `is_deaf`.
fn asked(words: &str, is_deaf: bool) -> Server<Replay> {
    let net = Replay { is_deaf, ..Replay::new(words, Says::Once) };
    let mut server = at(([127, 0, 0, 1], 80), net, Router::new(), &AccessLogOptions::default());
    server.allow_steps();
    let address = Address::Tcp(([127, 0, 0, 1], 80).into());
    let wanted = Wanted { address: &address, is_admin: true };
    let listener = Listener::new(address.clone()).wanted(wanted);
    server.net.listener = Some(server.peers.insert(Peer::Listener(listener)));
    for _ in 0..3 {
        server.turn().unwrap();
    }
    server
}

/// Bytes that its one client has not taken yet.
fn waiting(server: &mut Server<Replay>) -> usize {
    let id = server.net.client.unwrap();
    let Some(Client { work: Some(work), .. }) = server.peers.client_mut(id) else {
        panic!("it has gone");
    };
    work.output.len()
}

/// Time goes by in which ten events can be made: those that the client has got since.
fn ten_events(server: &mut Server<Replay>) -> Vec<Value> {
    server.net.sent.clear();
    for _ in 0..10 {
        let now = server.net.now.get();
        server.net.now.set(Millis(now.0 + 101));
        // A turn in which others were served, in what the recorder knows of it.
        server.recorder_mut().begin_turn(now.0 * 1_000_000, 1);
        server.recorder_mut().end_turn(now.0 * 1_000_000 + 1, true);
        server.turn().unwrap();
        server.turn().unwrap();
    }
    let text = String::from_utf8(server.net.sent.clone()).unwrap();
    let events = text.lines().filter_map(|line| line.split_once("data: "));
    events.map(|(_, json)| serde_json::from_str(json).unwrap()).collect()
}

/// The numbers of the turns that these events tell of.
fn turns(events: &[Value]) -> Vec<u64> {
    let turns = events.iter().flat_map(|event| event["turns"].as_array().unwrap());
    turns.map(|turn| turn[0].as_u64().unwrap()).collect()
}

#[test]
fn whoever_reads_is_told_of_each_turn_once() {
    let mut server = watched();
    let events = ten_events(&mut server);
    assert_eq!(events.len(), 10);
    let turns = turns(&events);
    assert!(turns.len() == 10 && turns.is_sorted_by(|one, next| one + 1 == *next), "{turns:?}");
    assert_eq!(waiting(&mut server), 0);
}

#[test]
fn who_does_not_read_has_one_event_waiting_and_the_next_tells_the_rest() {
    let mut server = watched();
    server.net.is_deaf = true;
    ten_events(&mut server);
    let one = waiting(&mut server);
    assert!(one > 0, "there is something to read");
    ten_events(&mut server);
    assert_eq!(waiting(&mut server), one);
    server.net.is_deaf = false;
    let turns = turns(&ten_events(&mut server));
    assert!(turns.len() == 30 && turns.is_sorted_by(|one, next| one + 1 == *next), "{turns:?}");
}

/// Whether a held loop is still held when its client has said and taken nothing for a minute.
fn is_held_after_a_minute(server: &mut Server<Replay>) -> bool {
    server.net.unix_time += 61;
    for _ in 0..3 {
        server.turn().unwrap();
    }
    server.net.is_held
}

#[test]
fn whoever_reads_can_hold_the_loop_and_who_does_not_cannot() {
    for is_deaf in [false, true] {
        let mut server = watched();
        server.net.is_deaf = is_deaf;
        server.hold().unwrap();
        for _ in 0..3 {
            server.turn().unwrap();
        }
        assert_eq!(is_held_after_a_minute(&mut server), !is_deaf);
    }
}

#[test]
fn a_command_behind_an_answer_that_is_not_out_is_not_obeyed() {
    let metrics = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let step = "POST /inspect/step HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut server = asked(&format!("{metrics}{step}"), true);
    assert!(waiting(&mut server) > 0);
    server.hold().unwrap();
    server.turn().unwrap();
    assert!(!is_held_after_a_minute(&mut server), "somebody has asked for a step since");
    // Once there is room, it is obeyed and answered.
    server.net.is_deaf = false;
    server.turn().unwrap();
    server.turn().unwrap();
    assert!(memchr::memmem::find(&server.net.sent, b"the loop is not held").is_some());
}

#[test]
fn while_the_loop_is_held_events_are_as_far_apart_as_ever() {
    let mut server = watched();
    server.hold().unwrap();
    server.turn().unwrap();
    server.net.sent.clear();
    let began = Instant::now();
    for _ in 0..100 {
        // It has something to say in each of them.
        server.turn().unwrap();
    }
    let events = memchr::memmem::find_iter(&server.net.sent, b"data: ").count() as u128;
    assert!(events <= 1 + began.elapsed().as_millis() / 100, "{events} events");
    // What somebody has done is told at once.
    server.net.sent.clear();
    server.command(Command::Step(Before::Event)).unwrap();
    server.turn().unwrap();
    assert!(memchr::memmem::find(&server.net.sent, b"data: ").is_some());
}
