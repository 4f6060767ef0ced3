//! Who is asked again, on which connection, and who is not.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use super::World;
use super::origin::{Origin, route};
use crate::support::folder::Folder;
use crate::support::running::wait_until;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers everything at once, but /slow never.
fn slow() -> Origin {
    Origin::start(|mut wire| {
        while let Some(head) = wire.head() {
            if head.starts_with("GET /slow ") {
                return wire.wait();
            }
            wire.write(ANSWER);
        }
    })
}

/// How often `origin` was asked for something that begins so.
fn count(origin: &Origin, start: &str) -> usize {
    origin.heads().iter().filter(|head| head.starts_with(start)).count()
}

#[test]
fn a_late_answer_is_not_asked_for_twice() {
    let origin = slow();
    let world = World::start(&route(&origin, ", timeout = \"1s\""));
    // There is a connection that could turn out to be closed.
    assert_eq!(world.connect().get("/").text(), "ok");
    assert_eq!(world.connect().get("/slow").status, 504);
    assert_eq!(world.connect().get("/").text(), "ok");
    assert_eq!(count(&origin, "GET /slow "), 1);
}

#[test]
fn for_a_client_that_has_gone_nobody_is_asked_again() {
    let origin = slow();
    let limits = "[limits]\nhalf-closed = \"300ms\"\n";
    let world = World::within(Folder::new(), limits, &route(&origin, ""));
    assert_eq!(world.connect().get("/").text(), "ok");
    let mut client = world.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    client.finish();
    client.read_to_end();
    assert_eq!(world.connect().get("/").text(), "ok");
    assert_eq!(count(&origin, "GET /slow "), 1);
    world.assert_well();
}

#[test]
fn where_a_socket_is_missing_the_next_origin_is_asked() {
    let origin = Origin::answering(ANSWER);
    let world = World::start(&format!(
        "[[site.route]]\npath = \"/*\"\n\
         proxy = {{ to = [\"unix:@FOLDER/nobody\", \"{}\", \"unix:@FOLDER/www/file.txt\"] }}\n",
        origin.url()
    ));
    for _ in 0..6 {
        let mut client = world.connect();
        assert_eq!(client.get("/").text(), "ok");
        // Nothing has been sent to those that are not there.
        assert_eq!(client.request("POST", "/", &[], b"abc").text(), "ok");
    }
    assert_eq!(origin.heads().len(), 12);
    world.assert_well();
}

/// None of the three counts as up, and the one that is there is also the one with most to do.
#[test]
fn who_was_not_there_is_not_tried_twice_as_long_as_there_are_others() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let origin = Origin::start(move |mut wire| {
        while let Some(head) = wire.head() {
            if head.starts_with("GET /ill ") {
                return;
            }
            if head.starts_with("GET /wait ") {
                let _ = gone.lock().unwrap().recv();
            }
            wire.write(ANSWER);
        }
    });
    let world = World::start(&format!(
        "[[site.route]]\npath = \"/*\"\n\
         proxy = {{ to = [\"unix:@FOLDER/one\", \"unix:@FOLDER/two\", \"{}\"] }}\n",
        origin.url()
    ));
    let mut waiting = world.connect();
    waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("it is asked", || count(&origin, "GET /wait ") == 1);
    assert_eq!(world.connect().get("/ill").status, 502);
    for _ in 0..6 {
        assert_eq!(world.connect().get("/").text(), "ok");
        assert_eq!(world.connect().get("/ill").status, 502);
    }
    drop(go);
    assert_eq!(waiting.response(false).text(), "ok");
    world.assert_well();
}

#[test]
fn what_is_asked_again_has_the_end_of_its_content() {
    let origin = Origin::start(|mut wire| {
        let head = wire.head().unwrap_or_default();
        if head.starts_with("PUT ") {
            wire.until(b"0\r\n\r\n");
        }
        wire.write(ANSWER);
        // The second request is one too many for this connection.
        wire.head();
    });
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    assert_eq!(client.get("/").text(), "ok");
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.response(false).text(), "ok");
    assert_eq!(count(&origin, "PUT "), 2);
    world.assert_well();
}

/// While the server is stopped, a request comes in and the connection that it kept is closed: it
/// knows that before it sends anything.
#[test]
fn on_a_connection_that_is_known_to_be_closed_nothing_is_sent() {
    for content in [
        "Content-Length: 3\r\n\r\nabc",
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let (close, closing) = mpsc::channel::<()>();
        let closing = Mutex::new(closing);
        let origin = Origin::start(move |mut wire| {
            let head = wire.head().unwrap_or_default();
            if head.contains("Content-Length: 3") {
                wire.content(3);
            } else if head.contains("chunked") {
                wire.until(b"0\r\n\r\n");
            }
            wire.write(ANSWER);
            if closing.lock().unwrap().recv().is_err() {
                wire.wait();
            }
        });
        let world = World::start(&route(&origin, ""));
        let mut client = world.connect();
        assert_eq!(client.get("/").text(), "ok");
        world.while_stopped(|| {
            client.send(format!("POST /order HTTP/1.1\r\nHost: a\r\n{content}"));
            close.send(()).unwrap();
            drop(close);
            wait_until("it is closed", || origin.is_left());
        });
        assert_eq!(client.response(false).text(), "ok", "{content:?}");
        assert_eq!((origin.connections(), count(&origin, "POST /order ")), (2, 1), "{content:?}");
    }
}

/// The second part of each answer comes at any moment while the first one is heard of, read and
/// passed on: what is heard of it later, when all is read, is no news.
#[test]
fn a_connection_is_not_given_up_for_old_news() {
    let origin = Origin::start(|mut wire| {
        let mut random = fastrand::Rng::with_seed(1);
        while wire.head().is_some() {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
            std::thread::park_timeout(Duration::from_micros(random.u64(..300)));
            wire.write("ok");
        }
    });
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    for _ in 0..500 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}
