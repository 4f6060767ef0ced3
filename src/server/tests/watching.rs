//! What whoever watches the loop costs it.

use serde_json::Value;

use super::super::access_log::{AccessLog, AccessLogOptions};
use super::super::client::Client;
use super::super::listener::{Address, Listener, Wanted};
use super::super::peers::Peer;
use super::super::timers::Millis;
use super::super::{Limits, Server};
use super::{Replay, Says};
use crate::site::router::Router;

/// A server with a client that watches, and has been told that it may.
fn watched() -> Server<Replay> {
    let asks = "GET /inspect/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let net = Replay::new(asks, Says::Once);
    let log = AccessLog::open(&AccessLogOptions::default()).unwrap();
    let site = Router::new().build().unwrap();
    let mut server = Server::over(net, site, Limits::default(), log);
    let address = Address::Tcp(([127, 0, 0, 1], 80).into());
    let wanted = Wanted { address: &address, is_admin: true };
    let listener = Listener::new(address.clone()).wanted(wanted);
    server.net.listener = Some(server.peers.insert(Peer::Listener(listener)));
    for _ in 0..3 {
        server.turn().unwrap();
    }
    assert_eq!(server.watchers(), 1);
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
