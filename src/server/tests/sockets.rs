//! The server over real sockets, turn by turn: what a single client can do to the loop, and what
//! the loop owes a single client.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::rc::Rc;

use super::super::client::Phase;
use super::super::*;
use crate::site::body::{Produce, Produced};
use crate::site::files::Files;
use crate::site::handler::{Request, Response};
use crate::site::program::{Endpoint, Program};
use crate::site::router::Router;

fn server(router: Router) -> Server {
    let options = Options {
        listen: vec![Address::Tcp(([127, 0, 0, 1], 0).into())],
        limits: Limits { turn_requests: 8, ..Limits::default() },
        ..Options::default()
    };
    Server::new(&options, router.build().unwrap()).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    connect_to(&server.local_addresses()[0])
}

pub(super) fn connect_to(address: &Address) -> TcpStream {
    let Address::Tcp(address) = address else { panic!("not TCP") };
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

/// One turn that does not sleep.
pub(super) fn turn(server: &mut Server) {
    (server.desk.wake())();
    server.turn().unwrap();
}

/// Turns until `condition` holds.
pub(super) fn turn_until(server: &mut Server, what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        turn(server);
    }
    panic!("it never came to this: {what}");
}

/// All that can be read now; whether the server has closed.
pub(super) fn read(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    match stream.read_to_end(into) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("after {} bytes: {error}", into.len()),
    }
}

/// A handler whose content `produce` makes, told how often it was asked before.
fn producing(
    produce: impl Fn(usize, &mut Vec<u8>) -> Produced + Copy + 'static,
) -> (Router, Rc<Cell<usize>>) {
    let asked = Rc::new(Cell::new(0));
    let counter = Rc::clone(&asked);
    let handler = move |_: &Request<'_>| {
        let counter = Rc::clone(&counter);
        Response::produced("text/plain", move |out: &mut Vec<u8>| {
            let before = counter.get();
            counter.set(before + 1);
            Ok(produce(before, out))
        })
    };
    (Router::new().get("/", handler), asked)
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What is left from a read that has filled the buffer is read in the next turn, in which the wait
/// has told nothing of it: it may have come in after others in this turn were answered.
#[test]
fn what_nobody_told_of_may_be_younger_than_the_turn() {
    let folder = super::Folder::new();
    let path = folder.0.path().join("small.txt");
    let late: Rc<Cell<Option<TcpStream>>> = Rc::default();
    let (other, file) = (Rc::clone(&late), path.clone());
    let change = move |_: &Request<'_>| {
        if let Some(mut late) = other.take() {
            std::fs::write(&file, "new").unwrap();
            late.write_all(b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        }
        Response::text("changed")
    };
    let files = Files::new(folder.0.path()).unwrap();
    let router = Router::new().files("/*", files).get("/change", change);
    let mut server = server(router);
    Rc::get_mut(&mut server.terms).unwrap().limits.turn_requests = 1;
    server.rx.truncate(300);
    let mut clients = [(); 3].map(|()| connect(&server));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n");
    let mut long = get("/small.txt") + "A: ";
    long += &"x".repeat(300 - long.len() - 4);
    // In one turn each has one answer and yields; in the next one the first is told what it knows
    // already, the second changes the file, and the third is read once more.
    for (client, second) in clients.iter_mut().zip(["/small.txt", "/change"]) {
        let both = format!("{}\r\n{}\r\n", get("/small.txt"), get(second));
        client.write_all(both.as_bytes()).unwrap();
    }
    clients[2].write_all(format!("{long}\r\n\r\n").as_bytes()).unwrap();
    late.set(Some(clients[2].try_clone().unwrap()));
    let mut got = Vec::new();
    for _ in 0..10 {
        turn(&mut server);
        read(&mut clients[2], &mut got);
    }
    let got = String::from_utf8(got).unwrap();
    let contents: Vec<_> = got.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
    let [first, second] = contents[..] else { panic!("{got}") };
    assert!(first.ends_with("\r\n\r\nsmall") && second.ends_with("\r\n\r\nnew"), "{got}");
}

#[test]
fn a_producer_with_nothing_to_say_does_not_keep_the_loop() {
    for pause in [None, Some(Duration::ZERO), Some(Duration::from_micros(900))] {
        let (router, asked) = match pause {
            None => {
                producing(|before, _| if before < 500 { Produced::More } else { Produced::End })
            }
            Some(Duration::ZERO) => producing(|before, _| {
                if before < 500 { Produced::Pause(Duration::ZERO) } else { Produced::End }
            }),
            Some(_) => producing(|before, _| {
                let pause = Duration::from_micros(900);
                if before < 500 { Produced::Pause(pause) } else { Produced::End }
            }),
        };
        let mut server = server(router);
        let mut client = connect(&server);
        client.write_all(GET).unwrap();
        turn_until(&mut server, "the producer is asked", || asked.get() > 0);
        assert!(asked.get() <= 2, "asked {} times in one turn", asked.get());
    }
}

#[test]
fn a_producer_of_crumbs_yields_to_the_others() {
    let (router, asked) = producing(|before, out| {
        out.push(b'.');
        if before < 5_000 { Produced::More } else { Produced::End }
    });
    let mut server = server(router);
    let mut client = connect(&server);
    client.write_all(GET).unwrap();
    turn_until(&mut server, "the producer is asked", || asked.get() > 0);
    assert!(asked.get() <= 8, "asked {} times in one turn", asked.get());
    let mut got = Vec::new();
    turn_until(&mut server, "all is there", || {
        read(&mut client, &mut got);
        got.ends_with(b"\r\n0\r\n\r\n")
    });
    assert_eq!(memchr::memmem::find_iter(&got, b"\r\n.\r\n").count(), 5_001);
}

#[test]
fn a_producer_may_rest_though_its_client_is_slow() {
    let (router, asked) = producing(|_, out| {
        out.resize(8 << 20, b'.');
        Produced::Pause(Duration::from_hours(1))
    });
    let mut server = server(router);
    let mut client = connect(&server);
    client.write_all(GET).unwrap();
    turn_until(&mut server, "the producer is asked", || asked.get() > 0);
    let mut got = Vec::new();
    turn_until(&mut server, "all is there", || {
        read(&mut client, &mut got);
        got.len() > 8 << 20
    });
    turn(&mut server);
    assert_eq!(asked.get(), 1);
}

#[test]
fn content_in_memory_keeps_to_the_budget_of_a_turn() {
    let content: Rc<[u8]> = vec![b'm'; 4 << 20].into();
    let handler = move |_: &Request<'_>| Response::bytes("text/plain", Rc::clone(&content));
    let mut server = server(Router::new().get("/", handler));
    let mut client = connect(&server);
    client.write_all(GET).unwrap();
    let (mut got, mut most) = (Vec::new(), 0);
    while got.len() < 4 << 20 {
        // What the client can read by now may be of more than one turn.
        let before = server.metrics.sent;
        turn(&mut server);
        most = most.max(server.metrics.sent - before);
        read(&mut client, &mut got);
    }
    let budget = (server.terms.limits.turn_bytes + GATHERED) as u64;
    assert!(most <= budget, "{most} bytes in one turn, more than {budget}");
}

#[test]
fn content_is_kept_while_another_thread_is_asked() {
    let asked = Cell::new(0);
    let handler = move |request: &Request<'_>| {
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            let (promise, response) = Response::later();
            promise.ask_again();
            return response;
        }
        Response::bytes("text/plain", request.content())
    };
    let mut server = server(Router::new().post("/", handler));
    let mut client = connect(&server);
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde").unwrap();
    let mut got = Vec::new();
    turn_until(&mut server, "it is answered", || {
        read(&mut client, &mut got);
        memchr::memmem::find(&got, b"\r\n\r\n").is_some()
    });
    assert!(got.ends_with(b"\r\n\r\nabcde"), "{}", got.escape_ascii());
}

#[test]
fn the_last_answer_survives_both_ends() {
    let content: Rc<[u8]> = vec![b'm'; 1 << 20].into();
    let handler = move |_: &Request<'_>| Response::bytes("text/plain", Rc::clone(&content));
    let mut server = server(Router::new().get("/", handler));
    let mut client = connect(&server);
    // What the client's kernel does not take stays with the server's.
    socket2::SockRef::from(&client).set_recv_buffer_size(65_536).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nand more").unwrap();
    let mut got = Vec::new();
    let is_lingering = |server: &Server| {
        let mut peers = server.peers.iter();
        peers.any(
            |(_, peer)| matches!(peer, Peer::Client(client) if client.clock.phase == Phase::Linger),
        )
    };
    while !is_lingering(&server) {
        turn(&mut server);
        let mut some = [0; 10_000];
        if let Ok(count) = client.read(&mut some) {
            got.extend_from_slice(&some[..count]);
        }
    }
    client.write_all(&[b'x'; 1_000]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    // The server hears of it before the client reads on.
    for _ in 0..10 {
        turn(&mut server);
    }
    while !read(&mut client, &mut got) {
        turn(&mut server);
    }
    assert!(got.len() > 1 << 20, "cut after {} bytes", got.len());
}

/// A producer that panics when it is let go.
struct Bitter;

impl Produce for Bitter {
    fn produce(&mut self, out: &mut Vec<u8>) -> io::Result<Produced> {
        out.push(b'.');
        Ok(Produced::Pause(Duration::from_hours(1)))
    }
}

impl Drop for Bitter {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "let go");
    }
}

#[test]
fn a_panic_at_a_clients_end_ends_no_other() {
    let router = Router::new()
        .get("/", |_: &Request<'_>| Response::produced("text/plain", Bitter))
        .get("/other", |_: &Request<'_>| Response::text("other"));
    let mut server = server(router);
    let mut client = connect(&server);
    client.write_all(GET).unwrap();
    let mut got = Vec::new();
    turn_until(&mut server, "it is answered", || {
        read(&mut client, &mut got);
        got.ends_with(b"\r\n.\r\n")
    });
    let socket = socket2::SockRef::from(&client);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    while server.clients() > 0 {
        turn(&mut server);
    }
    assert_eq!(server.metrics.panics, 1);
}

#[test]
fn a_producer_that_panics_is_counted() {
    let produced = |_: &Request<'_>| {
        Response::produced("text/plain", |_: &mut Vec<u8>| resume_unwind(Box::new(())))
    };
    let mut server = server(Router::new().get("/", produced));
    let mut client = connect(&server);
    client.write_all(GET).unwrap();
    let mut got = Vec::new();
    while !read(&mut client, &mut got) {
        turn(&mut server);
    }
    assert!(got.ends_with(b"chunked\r\n\r\n"), "not even its end: {got:?}");
    assert_eq!((server.metrics.panics, server.metrics.cut), (1, 1));
}

/// An origin server that may have one exchange at once, and answers as a test does by hand.
struct Origin(TcpListener);

impl Origin {
    fn new() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Origin(listener)
    }

    fn program(&self, timeout: Duration) -> Program {
        let endpoint = Endpoint::Tcp(self.0.local_addr().unwrap());
        Program { at_once: 1, timeout, ..Program::proxy(endpoint) }
    }

    fn accept(&self, server: &mut Server) -> TcpStream {
        let mut accepted = None;
        turn_until(server, "the origin is connected to", || {
            accepted = accepted.take().or_else(|| self.0.accept().ok());
            accepted.is_some()
        });
        let (stream, _) = accepted.expect("it was waited for");
        stream.set_nonblocking(true).unwrap();
        stream
    }
}

/// Turns until what is asked of `origin` ends so.
fn turn_until_asked(server: &mut Server, origin: &mut TcpStream, end: &[u8]) {
    let mut asked = Vec::new();
    turn_until(server, "the origin is asked", || {
        assert!(!read(origin, &mut asked), "its connection is closed");
        asked.ends_with(end)
    });
}

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn who_is_given_a_connection_in_time_has_not_waited_for_too_long() {
    let origin = Origin::new();
    let timeout = Duration::from_millis(100);
    let mut server = server(Router::new().program("/*", origin.program(timeout)));
    let mut first = connect(&server);
    first.write_all(GET).unwrap();
    let mut asked = origin.accept(&mut server);
    turn_until_asked(&mut server, &mut asked, b"\r\n\r\n");
    let mut second = connect(&server);
    second.write_all(GET).unwrap();
    for _ in 0..10 {
        turn(&mut server);
    }
    // The loop is late. When it looks, the connection is free, and the time of waiting is over.
    std::thread::sleep(2 * timeout);
    asked.write_all(EMPTY).unwrap();
    turn_until_asked(&mut server, &mut asked, b"\r\n\r\n");
}

#[test]
fn a_kept_connection_is_told_nothing_before_it_was_looked_at_again() {
    let origin = Origin::new();
    let closing: Rc<Cell<Option<TcpStream>>> = Rc::default();
    let closed = Rc::clone(&closing);
    let close = move |_: &Request<'_>| {
        drop(closed.take());
        Response::text("closed")
    };
    let router = Router::new().program("/*", origin.program(Duration::from_mins(1)));
    let mut server = server(router.get("/close", close));
    let [mut first, mut second, mut third] = [(); 3].map(|()| connect(&server));
    first.write_all(GET).unwrap();
    let mut asked = origin.accept(&mut server);
    turn_until_asked(&mut server, &mut asked, b"\r\n\r\n");
    third.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").unwrap();
    for _ in 0..10 {
        turn(&mut server);
    }
    // In one turn the connection is kept and given away, ends, and could be told something.
    asked.write_all(EMPTY).unwrap();
    closing.set(Some(asked));
    second.write_all(b"GET /close HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    third.write_all(b"abcde").unwrap();
    let mut fresh = origin.accept(&mut server);
    turn_until_asked(&mut server, &mut fresh, b"\r\n\r\nabcde");
}

/// It looks at every client: what nobody has asked for is not made.
#[test]
fn how_the_server_is_doing_is_looked_at_when_all_of_a_request_is_there() {
    let options =
        Options { admin: Some(Address::Tcp(([127, 0, 0, 1], 0).into())), ..Options::default() };
    let mut server = Server::new(&options, Router::new().build().unwrap()).unwrap();
    let mut client = connect_to(&server.admin_address().unwrap());
    let mut answer = Vec::new();
    let mut allocations = |server: &mut Server, said: &[u8]| {
        client.write_all(said).unwrap();
        let counted = allocation_counter::measure(|| (0..3).for_each(|_| turn(server)));
        assert!(!read(&mut client, &mut answer));
        counted.count_total
    };
    allocations(&mut server, b"GET /readyz HTTP/1.1\r\n");
    let dripping = allocations(&mut server, b"H");
    let asking = allocations(&mut server, b"ost: 127.0.0.1\r\n\r\n");
    let again = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    allocations(&mut server, &again.repeat(2));
    assert!(dripping < 5 && asking > 10, "{dripping} {asking}");
    let answers = memchr::memmem::find_iter(&answer, b"HTTP/1.1 200 OK\r\n").count();
    assert_eq!(answers, 3);
}
