//! More than the server can do, or than one address may have.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use oneloop::server::{Limits, Options};
use oneloop::site::handler::{Request, Response};
use oneloop::site::router::Router;

use super::World;
use crate::support::client::Client;
use crate::support::running::{Running, wait_until};

/// A client of another address.
fn connect_from_elsewhere(world: &World) -> Client {
    Client::connect_from(([127, 0, 0, 2], 0).into(), world.daemon.address)
}

/// Whether a client that connects now is answered.
fn is_let_in(world: &World) -> bool {
    let mut stream = TcpStream::connect(world.daemon.address).unwrap();
    let sent = stream.write_all(b"GET /file.txt HTTP/1.0\r\n\r\n");
    let mut answer = Vec::new();
    // Whoever is closed for having sent too early is told so by an error.
    sent.and_then(|()| stream.read_to_end(&mut answer)).is_ok_and(|count| count > 0)
}

#[test]
fn an_address_has_no_more_connections_than_it_may() {
    let world = World::start("[limits]\nper-ip = { connections = 2 }");
    let mut first = world.connect();
    let mut second = world.connect();
    assert_eq!(first.get("/file.txt").status, 200);
    assert_eq!(second.get("/file.txt").status, 200);
    assert!(!is_let_in(&world), "a third one");
    let mut other = connect_from_elsewhere(&world);
    assert_eq!(other.get("/file.txt").status, 200, "another address has its own");
    assert_eq!(first.get("/file.txt").status, 200, "who was there before stays");
    drop(first);
    wait_until("there is room again", || is_let_in(&world));
}

#[test]
fn connections_are_counted_from_the_reload_on_that_limits_them() {
    let world = World::start("");
    let mut kept: Vec<Client> = (0..3).map(|_| world.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.get("/file.txt").status, 200);
    }
    let text = super::config("[limits]\nper-ip = { connections = 3 }");
    std::fs::write(world.path("oneloop.toml"), text).unwrap();
    world.daemon.signal("HUP");
    world.daemon.says("reloaded");
    assert!(!is_let_in(&world), "a fourth one");
    assert_eq!(kept[0].get("/file.txt").status, 200);
    kept.pop();
    wait_until("there is room again", || is_let_in(&world));
}

#[test]
fn an_address_has_no_more_requests_than_it_may() {
    let rate = "[limits]\nper-ip = { requests-per-second = 1, burst = 3 }";
    let world =
        World::start(&format!("{rate}\n[log]\naccess = {{ to = \"./log\", format = \"json\" }}"));
    let mut client = world.connect();
    // It takes less than a second for each to be asked.
    let answers: Vec<_> = (0..12).map(|_| client.get("/file.txt")).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(answers[..3].iter().all(|answer| answer.status == 200));
    assert!(!refused.is_empty() && answers.iter().all(|one| [200, 429].contains(&one.status)));
    for answer in &refused {
        assert_eq!(answer.field("Retry-After"), Some("1"));
        assert_eq!(answer.field("Connection"), None, "the connection goes on");
    }
    let mut other = connect_from_elsewhere(&world);
    assert_eq!(other.get("/file.txt").status, 200, "another address has its own");
    // What is said with a request that is put off is no other request.
    let refused = (0..12).any(|_| client.request("POST", "/file.txt", &[], b"GET /").status == 429);
    assert!(refused);
    let log = world.path("log");
    wait_until("the log says why", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains("this address has sent more requests than it may")
    });
    wait_until("it may ask again", || client.get("/file.txt").status == 200);
}

#[test]
fn forwarders_have_no_limit_and_those_they_speak_for_have() {
    let server = "[server]\nlisten = \"127.0.0.1:0\"\ntrusted-forwarders = \"127.0.0.1\"\n\
                  [limits]\nper-ip = { connections = 1, requests-per-second = 1, burst = 1 }";
    let world = World::start(server);
    let mut clients: Vec<Client> = (0..5).map(|_| world.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let from = format!("192.0.2.{number}");
        let answer = client.request("GET", "/file.txt", &[("X-Forwarded-For", &from)], b"");
        assert_eq!(answer.status, 200, "{from}");
    }
    let refused = (0..20).any(|_| {
        let from = [("X-Forwarded-For", "192.0.2.0")];
        clients[0].request("GET", "/file.txt", &from, b"").status == 429
    });
    assert!(refused, "one of them has asked all the time");
}

/// Above the limit whatever it does: only who is alone is served.
#[test]
fn with_too_much_memory_idle_clients_go_and_new_ones_wait() {
    let world = World::start("[limits]\nmax-memory = \"64KiB\"");
    let mut idle = world.connect();
    assert_eq!(idle.get("/file.txt").text(), "0123456789");
    world.daemon.says("limits.max-memory is reached");
    let mut loading = world.connect();
    assert_eq!(idle.read_to_fin(), b"", "it is let go for a new one");
    super::begin_download(&mut loading);
    let mut waiting = world.connect();
    waiting.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    loading.finish();
    assert!(loading.read_to_fin().ends_with(&super::big()), "who is served is not cut off");
    drop(loading);
    assert_eq!(waiting.response(false).text(), "0123456789");
}

/// One handler that holds the loop, and many who wait for it.
#[test]
fn who_comes_late_in_one_long_turn_after_another_is_put_off() {
    let overload = Duration::from_millis(20);
    let (release, gate) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let limits = Limits { overload, ..Limits::default() };
    let server = Running::with(Options { limits, ..Options::default() }, move || {
        // The turn is too long for sure, and who waits meanwhile is ready in the next one.
        let gated = move |_: &Request<'_>| {
            enter.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
            thread::sleep(2 * overload);
            Response::text("gated")
        };
        let slow = move |_: &Request<'_>| {
            thread::sleep(2 * overload);
            Response::text("slow")
        };
        let fast = |_: &Request<'_>| Response::text("fast");
        Router::new().get("/gated", gated).get("/slow", slow).get("/fast", fast).build().unwrap()
    });
    let get = |client: &mut Client, path: &str| {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    };
    let mut all: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut all {
        assert_eq!(client.get("/fast").text(), "fast");
    }
    let mut blocking = server.connect();
    let mut block_while = |work: &mut dyn FnMut()| {
        get(&mut blocking, "/gated");
        entered.recv().unwrap();
        work();
        release.send(()).unwrap();
        assert_eq!(blocking.response(false).text(), "gated");
    };
    // Behind one long turn everybody is served.
    block_while(&mut || all.iter_mut().for_each(|client| get(client, "/fast")));
    for client in &mut all {
        assert_eq!(client.response(false).status, 200);
    }
    // Behind one, in another one: whoever comes late in that.
    block_while(&mut || all.iter_mut().for_each(|client| get(client, "/slow")));
    let answers: Vec<_> = all.iter_mut().map(|client| client.response(false)).collect();
    let count = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((1..all.len()).contains(&count), "{count} of {}", all.len());
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("1")));
    }
    // It has nothing to do any more, and everybody is served again.
    assert_eq!(server.connect().get("/fast").status, 200);
    for client in &mut all {
        assert_eq!(client.get("/fast").text(), "fast");
    }
}
