//! Rust handlers in a running server: panics, promises, content made while it is sent; and the
//! server as a part of another program.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oneloop::http::status::Status;
use oneloop::server::{Address, Limits, Options, Server};
use oneloop::site::body::Produced;
use oneloop::site::handler::{Promise, Request, Response};
use oneloop::site::router::Router;

use crate::support::client::Client;
use crate::support::running::{DEADLINE, Running, wait_until};

/// Panics without a word on the standard error.
fn panic() -> ! {
    resume_unwind(Box::new("a secret"))
}

/// Bytes of an answer that sockets do not hold.
const LARGE: usize = 24 << 20;

fn router() -> Router {
    Router::new().get("/hello", |_: &Request<'_>| Response::text("hello"))
}

#[test]
fn a_handler_that_panics_is_a_500_and_the_server_goes_on() {
    let server = Running::start(|| {
        router()
            .any("/panic", |_: &Request<'_>| panic())
            .get("/later", |_: &Request<'_>| {
                let (promise, response) = Response::later();
                promise.fulfil(|| panic());
                response
            })
            .get("/broken", |_: &Request<'_>| Response::later().1)
            .get("/bad-field", |_: &Request<'_>| Response::text("").field("X", "a\r\nY: b"))
            .build()
            .unwrap()
    });
    let mut client = server.connect();
    for target in ["/panic", "/later", "/broken", "/bad-field"] {
        let response = client.get(target);
        assert_eq!(response.status, 500, "{target}");
        assert!(!response.text().contains("a secret"), "what went wrong is nobody's business");
        assert_eq!(client.get("/hello").text(), "hello", "after {target}, on one connection");
    }
    assert_eq!(client.request("POST", "/panic", &[], b"content").status, 500);
    assert_eq!(server.connect().get("/hello").text(), "hello");
}

#[test]
fn content_whose_producer_fails_is_visibly_cut() {
    let server = Running::start(|| {
        let failing = |outcome: fn() -> io::Result<Produced>| {
            move |_: &Request<'_>| {
                let mut begun = false;
                Response::produced("text/plain", move |out: &mut Vec<u8>| {
                    if std::mem::replace(&mut begun, true) {
                        return outcome();
                    }
                    out.extend_from_slice(b"the beginning");
                    Ok(Produced::More)
                })
            }
        };
        router()
            .get("/error", failing(|| Err(io::Error::other("no more"))))
            .get("/panic", failing(|| panic()))
            .build()
            .unwrap()
    });
    for target in ["/error", "/panic"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = String::from_utf8(server.exchange(request)).unwrap();
        assert!(answer.ends_with("\r\n\r\nd\r\nthe beginning\r\n"), "no last chunk: {answer}");
    }
    assert_eq!(server.connect().get("/hello").text(), "hello");
}

#[test]
fn a_panic_harms_no_other_connection_and_is_counted() {
    let (sender, promises) = channel();
    let any = Address::Tcp(([127, 0, 0, 1], 0).into());
    let options = Options { admin: Some(any), ..Options::default() };
    let server = Running::with(options, move || {
        let later = move |_: &Request<'_>| {
            let (promise, response) = Response::later();
            sender.send(promise).unwrap();
            response
        };
        router()
            .get("/later", later)
            .get("/large", |_: &Request<'_>| Response::text("z".repeat(LARGE)))
            .any("/panic", |_: &Request<'_>| panic())
            .get("/cut", |_: &Request<'_>| {
                Response::produced("text/plain", |_: &mut Vec<u8>| panic())
            })
            .build()
            .unwrap()
    });
    // One between two requests, one in the middle of its answer, of its head, of its content, and
    // one for whom another thread looks for an answer.
    let mut idle = server.connect();
    assert_eq!(idle.get("/hello").text(), "hello");
    let mut loading = server.connect();
    loading.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(loading.exactly(15), b"HTTP/1.1 200 OK");
    let mut asking = server.connect();
    asking.send("GET /hello HTTP/1.1\r\nHo");
    let mut sending = server.connect();
    sending.send("POST /panic HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\ncon");
    let mut waiting = server.connect();
    waiting.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    let promise = promises.recv_timeout(DEADLINE).unwrap();
    // Three ways, ten times each.
    for _ in 0..10 {
        assert_eq!(server.connect().get("/panic").status, 500);
        let cut = server.exchange("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(!cut.ends_with(b"0\r\n\r\n"), "its end is not told of");
        let mut client = server.connect();
        client.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
        promises.recv_timeout(DEADLINE).unwrap().fulfil(|| panic());
        assert_eq!(client.response(false).status, 500);
    }
    assert_eq!(idle.get("/hello").text(), "hello");
    asking.send("st: a\r\n\r\n");
    assert_eq!(asking.response(false).text(), "hello");
    promise.fulfil(|| Response::text("at last"));
    assert_eq!(waiting.response(false).text(), "at last");
    loading.finish();
    let rest = loading.read_to_end();
    assert_eq!(memchr::memchr_iter(b'z', &rest).count(), LARGE, "its answer is whole");
    let panics = |count| {
        let metrics = Client::connect(server.admin()).get("/metrics");
        let line = format!("\noneloop_panics_total {count}\n");
        assert!(metrics.text().contains(&line), "{}", metrics.text());
    };
    panics(30);
    // It panics when all of its content is there, which the connection outlives, too.
    sending.send("tent");
    assert_eq!(sending.response(false).status, 500);
    assert_eq!(sending.get("/hello").text(), "hello");
    panics(31);
}

/// A server whose `/later` hands its promises to the test.
fn with_promises(limits: Limits) -> (Running, Receiver<Promise>) {
    let (sender, promises) = channel();
    let options = Options { limits, ..Options::default() };
    let server = Running::with(options, move || {
        let later = move |_: &Request<'_>| {
            let (promise, response) = Response::later();
            sender.send(promise).unwrap();
            response
        };
        router().get("/later", later).build().unwrap()
    });
    (server, promises)
}

#[test]
fn promises_are_kept_in_any_order_and_others_are_served_meanwhile() {
    let (server, promises) = with_promises(Limits::default());
    let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let mut kept = Vec::new();
    for client in &mut clients {
        client.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        kept.push(promises.recv_timeout(DEADLINE).unwrap());
        assert_eq!(server.connect().get("/hello").text(), "hello");
    }
    let mut threads = Vec::new();
    for (number, promise) in kept.into_iter().enumerate().rev() {
        threads.push(std::thread::spawn(move || {
            assert!(promise.is_awaited());
            promise.fulfil(move || Response::text(number.to_string()).status(Status::CREATED));
        }));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let response = client.response(false);
        assert_eq!((response.status, response.text()), (201, &*number.to_string()));
        assert_eq!(client.response(false).text(), "hello", "the request behind it");
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_promise_has_its_time_and_its_client() {
    let limits = Limits { answer_timeout: Duration::from_millis(200), ..Limits::default() };
    let (server, promises) = with_promises(limits);
    let mut client = server.connect();
    assert_eq!(client.get("/later").status, 503);
    let promise = promises.recv_timeout(DEADLINE).unwrap();
    assert!(!promise.is_awaited());
    promise.fulfil(|| Response::text("too late"));
    assert_eq!(client.get("/hello").text(), "hello", "and not what came too late");
    // One that leaves is not waited for.
    let (server, promises) = with_promises(Limits::default());
    let mut client = server.connect();
    client.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    let promise = promises.recv_timeout(DEADLINE).unwrap();
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    wait_until("the promise is not awaited", || !promise.is_awaited());
    promise.fulfil(|| Response::text("nobody hears it"));
    assert_eq!(server.connect().get("/hello").text(), "hello");
}

#[test]
fn produced_content_is_made_as_fast_as_it_is_taken_and_arrives_as_it_is_made() {
    let made = Arc::new(AtomicUsize::new(0));
    let (go_on, may_go_on) = channel::<()>();
    let (gone, is_gone) = channel::<()>();
    let state = Mutex::new(Some((may_go_on, gone)));
    let counter = Arc::clone(&made);
    let server = Running::start(move || {
        // Without end, 10 KiB a time.
        let flood = move |_: &Request<'_>| {
            let counter = Arc::clone(&counter);
            Response::produced("text/plain", move |out: &mut Vec<u8>| {
                counter.fetch_add(1, Ordering::Relaxed);
                out.resize(out.len() + 10_240, b'x');
                Ok(Produced::More)
            })
        };
        // A line whenever the test says so.
        let events = move |_: &Request<'_>| {
            let (may_go_on, gone) = state.lock().unwrap().take().unwrap();
            Response::produced("text/event-stream", move |out: &mut Vec<u8>| {
                let _ = &gone;
                if may_go_on.try_recv().is_ok() {
                    out.extend_from_slice(b"data: now\n\n");
                }
                Ok(Produced::Pause(Duration::from_millis(5)))
            })
        };
        router().get("/flood", flood).get("/events", events).build().unwrap()
    });
    let mut slow = server.connect();
    slow.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(slow.exactly(15), b"HTTP/1.1 200 OK");
    let mut events = server.connect();
    events.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = "Transfer-Encoding: chunked\r\n\r\n";
    let mut seen = Vec::new();
    while !seen.ends_with(head.as_bytes()) {
        seen.extend(events.exactly(1));
    }
    for _ in 0..5 {
        go_on.send(()).unwrap();
        assert_eq!(events.exactly(16), b"b\r\ndata: now\n\n\r\n");
    }
    // The flood stands still: nobody takes it.
    let before = made.load(Ordering::Relaxed);
    assert!(before < 10_000, "{before} pieces were made for one that takes none");
    drop((events, slow));
    wait_until("the next lines find nobody, and no more are made", || {
        let _ = go_on.send(());
        is_gone.try_recv() == Err(TryRecvError::Disconnected)
    });
    assert_eq!(server.connect().get("/hello").text(), "hello");
}

/// As somebody would who has a loop of their own.
#[test]
fn a_program_can_turn_the_loop_by_hand() {
    let listen = vec![Address::Tcp(([127, 0, 0, 1], 0).into())];
    let options = Options { listen, ..Options::default() };
    let mut server = Server::new(&options, router().build().unwrap()).unwrap();
    let [Address::Tcp(address)] = server.local_addresses()[..] else { panic!("one address") };
    let stopper = server.stopper();
    let client = std::thread::spawn(move || {
        let mut client = Client::connect(address);
        let text = client.get("/hello").text().to_owned();
        stopper.stop();
        (text, client.read_to_fin())
    });
    let mut most = 0;
    while !server.is_over() {
        server.turn().unwrap();
        most = most.max(server.clients());
    }
    assert_eq!((most, server.clients()), (1, 0));
    assert_eq!(client.join().unwrap(), ("hello".to_owned(), Vec::new()));
}
