//! The same for a server that is a part of another program, whose handlers are in Rust; and its
//! graceful end, at a moment that a test can choose.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;

use oneloop::server::{Address, Limits, Options, Server};
use oneloop::site::Site;
use oneloop::site::body::Produced;
use oneloop::site::handler::{Request, Response};
use oneloop::site::router::Router;

use crate::support::client::Client;

/// `/produced` says the word again and again, more than a socket takes; `/content` says how much of
/// it has come; `/reload` asks for another site.
fn site(word: &'static str, asked: &Rc<Cell<bool>>) -> Site {
    let asked = Rc::clone(asked);
    let router = Router::new()
        .get("/word", move |_: &Request<'_>| Response::text(word))
        .get("/produced", move |_: &Request<'_>| {
            let mut left = 2_000_000 / word.len();
            Response::produced("text/plain", move |out: &mut Vec<u8>| {
                let count = left.min(1_000);
                left -= count;
                out.extend(std::iter::repeat_n(word.as_bytes(), count).flatten());
                Ok(if left == 0 { Produced::End } else { Produced::More })
            })
        })
        .post("/content", move |request: &Request<'_>| {
            Response::text(format!("{word} {}", request.content().len()))
        })
        .get("/reload", move |_: &Request<'_>| {
            asked.set(true);
            Response::text("soon")
        });
    router.build().unwrap()
}

fn options() -> Options {
    Options { listen: vec![Address::Tcp(([127, 0, 0, 1], 0).into())], ..Options::default() }
}

/// Where it listens.
fn address(server: &Server) -> std::net::SocketAddr {
    match server.local_addresses()[..] {
        [Address::Tcp(address)] => address,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn handlers_of_the_former_site_end_what_they_have_begun() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = thread::spawn(move || {
        let asked = Rc::default();
        let mut server = Server::new(&options(), site("old", &asked)).unwrap();
        sender.send((address(&server), server.stopper())).unwrap();
        while !server.is_over() {
            server.turn().unwrap();
            if asked.take() {
                let limits = Limits { head_bytes: 100_000, ..Limits::default() };
                server.reload(&Options { limits, ..options() }, site("new", &asked)).unwrap();
            }
        }
    });
    let (address, stopper) = receiver.recv().unwrap();
    let mut produced = Client::connect(address);
    produced.send("GET /produced HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(produced.begin().status, 200);
    let mut upload = Client::connect(address);
    let fields = "Host: a\r\nExpect: 100-continue\r\nContent-Length: 4";
    upload.send(format!("POST /content HTTP/1.1\r\n{fields}\r\n\r\n"));
    assert_eq!(upload.begin().status, 100);
    upload.send("ab");
    let mut client = Client::connect(address);
    assert_eq!(client.get("/word").text(), "old");
    assert_eq!(client.get("/reload").text(), "soon");
    assert_eq!(client.get("/word").text(), "new");
    // A longer head than there was room for.
    let long = "x".repeat(60_000);
    assert_eq!(client.request("GET", "/word", &[("Long", &long)], b"").text(), "new");
    upload.send("cd");
    assert_eq!(upload.response(false).text(), "old 4");
    assert_eq!(upload.request("POST", "/content", &[], b"abcde").text(), "new 5");
    let mut content = Vec::new();
    loop {
        let chunk = produced.chunk();
        if chunk.is_empty() {
            break;
        }
        content.extend(chunk);
    }
    assert_eq!(content, "old".repeat(2_000_000 / 3).into_bytes());
    assert_eq!(produced.get("/word").text(), "new");
    stopper.stop();
    drop((produced, upload, client));
    server.join().unwrap();
}

/// Whose request is here when the end begins is answered, though nobody has looked for it yet; and
/// who has connected, too.
#[test]
fn a_graceful_end_answers_whoever_has_asked_before() {
    let asked = Rc::default();
    let mut server = Server::new(&options(), site("old", &asked)).unwrap();
    let request = "GET /word HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut idle = Client::connect(address(&server));
    idle.send(request);
    let mut silent = Client::connect(address(&server));
    while server.clients() < 2 {
        server.turn().unwrap();
    }
    assert_eq!(idle.response(false).field("Connection"), None);
    idle.send(request);
    let mut early = Client::connect(address(&server));
    early.send(request);
    server.drain();
    let clients = thread::spawn(move || {
        for client in [&mut idle, &mut early] {
            let answer = client.response(false);
            assert_eq!((answer.text(), answer.field("Connection")), ("old", Some("close")));
            assert_eq!(client.read_to_fin(), b"");
        }
        assert_eq!(silent.read_to_fin(), b"");
    });
    while !server.is_over() {
        server.turn().unwrap();
    }
    assert_eq!(server.clients(), 0, "nobody was cut off");
    clients.join().unwrap();
}
