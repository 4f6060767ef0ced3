//! Who may be held, and that nobody is held for ever.

use std::time::Duration;

use super::super::access_log::AccessLogOptions;
use super::super::listener::Address;
use super::super::net::{Net, System};
use super::super::stepping::{Before, Command};
use super::super::timers::Millis;
use super::{Folder, Replay, Says, local, taking_in};
use crate::site::files::Files;
use crate::site::router::Router;

const ASKS: &str = "GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n";

fn site(folder: &Folder) -> Router {
    Router::new().files("/*", Files::new(folder.0.path()).unwrap())
}

#[test]
fn a_server_that_others_can_reach_is_not_held() {
    let folder = Folder::new();
    let net = Replay::new(ASKS, Says::Once);
    let mut server = taking_in(net, site(&folder), &AccessLogOptions::default());
    let error = server.hold().unwrap_err();
    assert!(error.contains("it listens at 192.0.2.2:80"), "{error}");
    assert_eq!(server.command(Command::Step(Before::Event)), Err("the loop is not held".into()));
    server.net.sent.clear();
    server.turn().unwrap();
    assert!(server.net.sent.ends_with(b"small"), "it goes on");
}

#[test]
fn whoever_is_held_is_let_go_on_when_nobody_looks() {
    let folder = Folder::new();
    let mut server = local(Replay::new(ASKS, Says::Once), site(&folder));
    server.hold().unwrap();
    server.net.sent.clear();
    server.net.unix_time += 60;
    for _ in 0..600 {
        server.turn().unwrap();
    }
    assert!(server.net.sent.is_empty(), "nothing was let through");
    assert!(server.net.is_held);
    server.command(Command::Hold(Before::Turn)).unwrap();
    server.net.unix_time += 60;
    server.turn().unwrap();
    assert!(server.net.is_held, "somebody was there");
    server.net.unix_time += 1;
    server.turn().unwrap();
    assert!(!server.net.is_held);
    server.turn().unwrap();
    assert!(server.net.sent.ends_with(b"small"));
}

#[test]
fn a_server_that_was_not_started_to_be_held_is_not() {
    let folder = Folder::new();
    let mut server = local(Replay::new(ASKS, Says::Once), site(&folder));
    let error = server.command(Command::Hold(Before::Event)).unwrap_err();
    assert!(error.contains("was not started to be held"), "{error}");
    server.allow_steps();
    server.command(Command::Hold(Before::Event)).unwrap();
    server.command(Command::Go).unwrap();
    server.command(Command::Hold(Before::Event)).unwrap();
}

#[test]
fn a_turn_in_pieces_is_one_turn() {
    let folder = Folder::new();
    let mut server = local(Replay::new(ASKS, Says::Once), site(&folder));
    server.turn().unwrap();
    let turns = server.recorder().turns().count();
    server.hold().unwrap();
    server.net.sent.clear();
    server.turn().unwrap();
    assert!(matches!(server.stepping.state(), Some((Before::Event, Some(_)))));
    server.command(Command::Step(Before::Event)).unwrap();
    server.turn().unwrap();
    assert!(server.net.sent.ends_with(b"small"));
    assert_eq!(server.recorder().turns().count(), turns + 1);
    // It has all that happened in it, though the next has not begun.
    assert_eq!(server.recorder().turn().first, server.recorder().moments().count());
    server.command(Command::Go).unwrap();
    assert!(!server.net.is_held);
    server.drain();
    assert!(server.hold().unwrap_err().contains("about to end"));
}

#[test]
fn while_it_is_held_the_clock_stands_still() {
    let mut net = System::new().unwrap();
    net.hold(true);
    let held = net.nanos();
    let real = std::time::Instant::now();
    while real.elapsed() < Duration::from_millis(2) {
        assert_eq!((net.nanos(), net.now()), (held, Millis(held / 1_000_000)));
    }
    net.hold(true);
    net.hold(false);
    let after = net.nanos();
    assert!(after >= held && net.nanos() >= after, "it never goes back");
    while net.nanos() == after {}
}

#[test]
fn a_server_is_not_held_any_longer_once_others_can_reach_it() {
    let folder = Folder::new();
    let mut server = local(Replay::new(ASKS, Says::Once), site(&folder));
    server.hold().unwrap();
    server.turn().unwrap();
    server.heed_listeners();
    assert!(server.net.is_held);
    server.add_listener(Address::Tcp(([192, 0, 2, 2], 80).into()));
    server.heed_listeners();
    assert!(!server.net.is_held);
}
