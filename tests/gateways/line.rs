//! The line of those who wait for a connection to an origin: it moves, and in its order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use super::origin::{Origin, Wire, route};
use super::{World, has_answer};
use crate::support::client::Client;
use crate::support::running::wait_until;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Begins an exchange that is not over soon.
fn begin(world: &World, target: &str) -> Client {
    let mut client = world.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client
}

/// An origin whose answers to /wait come when the sender goes.
fn patient() -> (Origin, Sender<()>) {
    let (go, gone) = mpsc::channel::<()>();
    let gone: Mutex<Receiver<()>> = Mutex::new(gone);
    let origin = Origin::start(move |mut wire| {
        while let Some(head) = wire.head() {
            if head.starts_with("GET /wait") {
                let _ = gone.lock().unwrap().recv();
            }
            wire.write(ANSWER);
        }
    });
    (origin, go)
}

#[test]
fn who_waits_in_line_is_not_overtaken_by_who_asks_again_and_again() {
    let (origin, go) = patient();
    let world = World::start(&route(&origin, ", connections = 1"));
    let mut eager = world.connect();
    eager.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20));
    wait_until("one is asked", || !origin.heads().is_empty());
    let mut others = Vec::new();
    for number in 0..3 {
        others.push(begin(&world, &format!("/{number}")));
        world.catch_up();
    }
    drop(go);
    for other in &mut others {
        assert_eq!(other.response(false).text(), "ok");
    }
    for _ in 0..20 {
        assert_eq!(eager.response(false).text(), "ok");
    }
    let heads = origin.heads();
    let place = |target: &str| heads.iter().position(|head| head.starts_with(target)).unwrap();
    assert_eq!([place("GET /0 "), place("GET /1 "), place("GET /2 ")], [1, 2, 3]);
    world.assert_well();
}

/// How a made-up origin is, and how often it was asked that.
#[derive(Default)]
struct Condition {
    is_well: AtomicBool,
    asked: AtomicUsize,
}

/// An origin that answers all requests, and says how it is.
fn sick() -> (Origin, Arc<Condition>) {
    let condition = Arc::new(Condition::default());
    let its = Arc::clone(&condition);
    let origin = Origin::start(move |mut wire: Wire| {
        while let Some(head) = wire.head() {
            if !head.starts_with("GET /healthz ") {
                wire.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nwell now");
                continue;
            }
            let is_well = its.is_well.load(Ordering::SeqCst);
            its.asked.fetch_add(1, Ordering::SeqCst);
            wire.write(if is_well {
                ANSWER
            } else {
                "HTTP/1.1 500 A\r\nContent-Length: 0\r\n\r\n"
            });
        }
    });
    (origin, condition)
}

#[test]
fn an_origin_that_is_well_again_serves_those_who_wait_in_line() {
    let (busy, go) = patient();
    let (sick, condition) = sick();
    let world = World::start(&format!(
        "[[site.route]]\npath = \"/*\"\n[site.route.proxy]\nto = [\"{}\", \"{}\"]\n\
         connections = 1\nqueue = 10\nhealth = {{ path = \"/healthz\", interval = \"50ms\" }}\n",
        busy.url(),
        sick.url()
    ));
    // Once it is asked again, the first answer is known.
    let asked = || condition.asked.load(Ordering::SeqCst);
    wait_until("it says that it is not well", || asked() >= 2);
    let mut first = begin(&world, "/wait");
    wait_until("the other one is asked", || {
        busy.heads().iter().any(|head| head.starts_with("GET /wait"))
    });
    let mut waiting = [begin(&world, "/a"), begin(&world, "/b"), begin(&world, "/c")];
    world.catch_up();
    assert!(!waiting.iter().any(has_answer), "they wait");
    condition.is_well.store(true, Ordering::SeqCst);
    for client in &mut waiting {
        assert_eq!(client.response(false).text(), "well now");
    }
    assert!(!has_answer(&first), "the busy one is not told to answer yet");
    drop(go);
    assert_eq!(first.response(false).text(), "ok");
    world.assert_well();
}
