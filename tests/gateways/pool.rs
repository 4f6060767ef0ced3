//! Connections to origins: kept, given up, tried again, shared among several origins.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};

use super::World;
use super::origin::{Origin, Wire, route};
use crate::support::running::{DEADLINE, wait_until};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A proxy to several origins.
fn routes(origins: &[&Origin], more: &str) -> String {
    let to: Vec<String> = origins.iter().map(|origin| format!("\"{}\"", origin.url())).collect();
    format!("[[site.route]]\npath = \"/*\"\nproxy = {{ to = [{}]{more} }}\n", to.join(", "))
}

#[test]
fn connections_are_used_again() {
    let origin = Origin::start(|mut wire| {
        while let Some(head) = wire.head() {
            if head.starts_with("POST ") {
                wire.content(3);
            }
            wire.write(match head.split(' ').nth(1) {
                Some("/chunked") => {
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                }
                Some("/empty") => "HTTP/1.1 204 No Content\r\n\r\n",
                Some("/same") => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
                Some("/head") => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                _ => ANSWER,
            });
        }
    });
    let world = World::start(&route(&origin, ""));
    for _ in 0..5 {
        let mut client = world.connect();
        assert_eq!(client.get("/").text(), "ok");
        assert_eq!(client.get("/chunked").text(), "ok");
        assert_eq!(client.get("/empty").status, 204);
        assert_eq!(client.request("GET", "/same", &[("If-None-Match", "\"a\"")], b"").status, 304);
        assert_eq!(client.request("HEAD", "/head", &[], b"").status, 200);
        assert_eq!(client.request("POST", "/", &[], b"abc").text(), "ok");
    }
    assert_eq!(origin.heads().len(), 30);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_connection_that_is_idle_for_too_long_is_closed() {
    let (sender, receiver) = mpsc::channel();
    let origin = Origin::start(move |mut wire| {
        while wire.head().is_some() {
            wire.write(ANSWER);
        }
        sender.send(()).unwrap();
    });
    let world = World::start(&route(&origin, ", idle = \"100ms\""));
    let mut client = world.connect();
    for number in 1..3 {
        assert_eq!(client.get("/").text(), "ok");
        receiver.recv_timeout(DEADLINE).expect("the connection is closed");
        assert_eq!(origin.connections(), number);
    }
}

#[test]
fn a_connection_with_more_on_it_than_an_answer_is_not_used_again() {
    let origin =
        Origin::answering(format!("{ANSWER}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(origin.connections(), 5);
    let closing =
        Origin::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    let world = World::start(&route(&closing, ""));
    let old = Origin::answering("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let other = World::start(&route(&old, ""));
    for _ in 0..3 {
        assert_eq!(world.connect().get("/").text(), "ok");
        assert_eq!(other.connect().get("/").text(), "ok");
    }
    assert_eq!((closing.connections(), old.connections()), (3, 3));
}

/// While the server is stopped, another request comes in, and then something on the connection that
/// it kept: both are there when it looks again.
#[test]
fn what_comes_unasked_on_an_idle_connection_answers_nobody() {
    let evil = format!("{}evil", ANSWER.replace("2\r\n\r\nok", "4\r\n\r\n"));
    for unasked in [evil, String::new()] {
        let (gate, opened) = mpsc::channel::<()>();
        let opened = Mutex::new(opened);
        let origin = Origin::start(move |mut wire| {
            while wire.head().is_some() {
                wire.write(ANSWER);
                if opened.lock().unwrap().recv_timeout(DEADLINE).is_ok() {
                    return wire.write(&unasked);
                }
            }
        });
        let world = World::start(&route(&origin, ""));
        let mut client = world.connect();
        assert_eq!(client.get("/").text(), "ok");
        world.while_stopped(|| {
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            gate.send(()).unwrap();
            drop(gate);
            wait_until("it is said, and the connection closed", || origin.is_left());
        });
        assert_eq!(client.response(false).text(), "ok");
        assert_eq!((origin.connections(), origin.heads().len()), (2, 2));
        world.assert_well();
    }
}

/// Answers the first request of each connection; at the second one it closes.
fn forgetful() -> Origin {
    Origin::start(|mut wire| {
        wire.head();
        wire.write(ANSWER);
        wire.head();
    })
}

#[test]
fn what_is_safe_is_tried_again_on_a_new_connection() {
    let origin = forgetful();
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "ok");
    }
    // Every second try was in vain.
    assert_eq!(origin.heads().len(), 7);
    world.assert_well();
}

#[test]
fn what_may_have_been_done_is_not_tried_again() {
    let origin = forgetful();
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    assert_eq!(client.get("/").text(), "ok");
    let answer = client.request("POST", "/order", &[], b"one");
    // Either it was sent where nobody had been before, or nobody knows what became of it.
    assert!(matches!(answer.status, 200 | 502), "{}", answer.status);
    let orders = origin.heads().iter().filter(|head| head.starts_with("POST /order ")).count();
    assert_eq!(orders, 1, "it was ordered twice");
    world.assert_well();
}

#[test]
fn a_fresh_connection_that_ends_is_not_tried_again_and_again() {
    let origin = Origin::start(|mut wire| drop(wire.head()));
    let world = World::start(&route(&origin, ""));
    assert_eq!(world.connect().get("/").status, 502);
    assert!(origin.heads().len() <= 2, "{}", origin.heads().len());
}

/// An origin that answers when it is told to, and says when it is asked.
fn patient() -> (Origin, mpsc::Sender<()>, Receiver<()>) {
    let (go, gone) = mpsc::channel();
    let (asked, asks) = mpsc::channel();
    let gone = Mutex::new(gone);
    let serve = move |mut wire: Wire| {
        while let Some(head) = wire.head() {
            if head.starts_with("GET /wait ") {
                asked.send(()).unwrap();
                let _ = gone.lock().unwrap().recv_timeout(DEADLINE);
            }
            wire.write(ANSWER);
        }
    };
    (Origin::start(serve), go, asks)
}

#[test]
fn the_origin_with_the_fewest_exchanges_is_asked() {
    let (one, go_one, asks_one) = patient();
    let (two, go_two, asks_two) = patient();
    let world = World::start(&routes(&[&one, &two], ""));
    let mut waiting = world.connect();
    waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut is_first = false;
    wait_until("one of them is asked", || {
        is_first = asks_one.try_recv().is_ok();
        is_first || asks_two.try_recv().is_ok()
    });
    let (busy, free) = if is_first { (&one, &two) } else { (&two, &one) };
    for number in 1..=10 {
        assert_eq!(world.connect().get("/").text(), "ok");
        assert_eq!(free.heads().len(), number);
    }
    assert_eq!(busy.heads().len(), 1);
    go_one.send(()).unwrap();
    go_two.send(()).unwrap();
    assert_eq!(waiting.response(false).text(), "ok");
}

#[test]
fn while_one_origin_is_down_the_other_serves() {
    let one = Origin::answering(ANSWER);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let world = World::start(&format!(
        "[[site.route]]\npath = \"/*\"\nproxy = {{ to = [\"http://{address}\", \"{}\"] }}\n",
        one.url()
    ));
    for _ in 0..20 {
        let mut client = world.connect();
        assert_eq!(client.get("/").text(), "ok");
        // Nothing has been sent to the one that is down, so anything may be tried elsewhere.
        assert_eq!(client.request("DELETE", "/", &[], b"").text(), "ok");
    }
    assert_eq!(one.heads().len(), 40);
}

#[test]
fn an_origin_that_is_not_well_is_not_asked_until_it_is() {
    let is_well = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicUsize::new(0));
    let (its, count) = (Arc::clone(&is_well), Arc::clone(&asked));
    let sick = Origin::start(move |mut wire| {
        while let Some(head) = wire.head() {
            if head.starts_with("GET /healthz ") {
                count.fetch_add(1, Ordering::SeqCst);
                wire.write(if its.load(Ordering::SeqCst) {
                    ANSWER
                } else {
                    "HTTP/1.1 500 Sick\r\nContent-Length: 0\r\n\r\n"
                });
            } else {
                wire.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsick");
            }
        }
    });
    let well = Origin::answering(ANSWER);
    let health = ", health = { path = \"/healthz\", interval = \"50ms\" }";
    let world = World::start(&routes(&[&sick, &well], health));
    let asks = |text: &str| world.connect().get("/").text() == text;
    wait_until("both are asked", || asks("sick"));
    is_well.store(false, Ordering::SeqCst);
    // After two more questions the answer to one of them is known.
    let before = asked.load(Ordering::SeqCst);
    wait_until("it is asked how it is", || asked.load(Ordering::SeqCst) >= before + 3);
    for _ in 0..20 {
        assert!(asks("ok"), "it is asked though it is not well");
    }
    is_well.store(true, Ordering::SeqCst);
    wait_until("it is asked again", || asks("sick"));
    world.assert_well();
}

#[test]
fn above_its_connections_requests_queue_and_above_the_queue_they_are_refused() {
    let (origin, go, asks) = patient();
    let world = World::start(&route(&origin, ", connections = 1, queue = 0"));
    let mut waiting = world.connect();
    waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    asks.recv_timeout(DEADLINE).unwrap();
    let refused = world.connect().get("/");
    assert_eq!(refused.status, 503);
    assert!(refused.field("Retry-After").is_some());
    go.send(()).unwrap();
    assert_eq!(waiting.response(false).text(), "ok");
    assert_eq!(world.connect().get("/").text(), "ok");
}

#[test]
fn the_pool_is_well_after_a_hundred_accidents() {
    let origin = Origin::start(|mut wire| {
        while let Some(head) = wire.head() {
            match head.split(' ').nth(1) {
                Some("/cut") => {
                    wire.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
                    return;
                }
                Some("/reset") => return wire.reset(),
                Some("/junk") => wire.write("junk\r\n\r\n"),
                _ => wire.write(ANSWER),
            }
        }
    });
    let world = World::start(&route(&origin, ", connections = 2, queue = 10"));
    for number in 0..100 {
        let target = ["/cut", "/reset", "/junk", "/leave"][number % 4];
        let mut client = world.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        if target != "/leave" {
            let head = client.begin();
            assert_eq!(head.status, if target == "/cut" { 200 } else { 502 }, "{target}");
        }
        drop(client);
        assert_eq!(world.connect().get("/").text(), "ok");
    }
    world.assert_well();
}
