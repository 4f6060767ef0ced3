//! The loop over a network of one client, who says the same again and again and takes every answer:
//! what a request costs in allocations, and that nobody is listened to without end.

mod commanding;
mod handing_over;
mod recorder;
mod sockets;
mod stepping;
mod watching;

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::access_log::{AccessLog, AccessLogOptions, LogFormat};
use super::listener::Address;
use super::net::{Net, Ready, Wake};
use super::outlet::LogTarget;
use super::peers::PeerId;
use super::recorder::Act;
use super::timers::Millis;
use super::{Limits, Server};
use crate::site::files::Files;
use crate::site::handler::{Request, Response};
use crate::site::program::{Endpoint, Program};
use crate::site::router::Router;

/// How much the client has to say whenever it is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Its words once, and again after the next wait.
    Once,
    /// As much as there is room for.
    Endlessly,
}

/// The network. Its clock stands still but where a test moves it.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Replay {
    words: Vec<u8>,
    says: Says,
    listener: Option<PeerId>,
    client: Option<PeerId>,
    has_said: bool,
    is_watched: bool,
    /// There is no room in the epoll.
    is_full: bool,
    now: Rc<Cell<Millis>>,
    /// Each look at the clock finds it a nanosecond later.
    creeps: bool,
    crept: Cell<u64>,
    sent: Vec<u8>,
    /// It takes nothing.
    is_deaf: bool,
    closed: bool,
    /// Its clock stands still.
    is_held: bool,
    unix_time: u64,
    /// Of the next word that another thread leaves, it says that there is none.
    misses_a_word: bool,
}

impl Replay {
    fn new(words: &str, says: Says) -> Replay {
        Replay {
            words: words.as_bytes().to_vec(),
            says,
            listener: None,
            client: None,
            has_said: false,
            is_watched: false,
            is_full: false,
            now: Rc::new(Cell::new(Millis(0))),
            creeps: false,
            crept: Cell::new(0),
            sent: Vec::with_capacity(1 << 20),
            is_deaf: false,
            closed: false,
            is_held: false,
            unix_time: 2_000_000_000,
            misses_a_word: false,
        }
    }
}

impl Net for Replay {
    fn now(&self) -> Millis {
        self.now.get()
    }

    fn nanos(&self) -> u64 {
        self.crept.set(self.crept.get() + u64::from(self.creeps));
        self.now().0 * 1_000_000 + self.crept.get()
    }

    fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    fn unix_time(&self) -> u64 {
        self.unix_time
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, _: Option<Duration>) -> io::Result<()> {
        self.has_said = false;
        let peer = self.client.or(self.listener).expect("somebody listens");
        ready.push(Ready {
            fetched: false,
            peer,
            readable: true,
            writable: true,
            read_closed: false,
            broken: false,
        });
        Ok(())
    }

    fn waker(&self) -> Wake {
        Arc::new(|| {})
    }

    fn has_word(&mut self, mut look: impl FnMut() -> bool) -> bool {
        look() && !std::mem::take(&mut self.misses_a_word)
    }

    fn has_visitor(&mut self, _: PeerId) -> bool {
        self.client.is_none()
    }

    fn accept(&mut self, _: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>> {
        if self.client.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.client = Some(client);
        Ok(Some(SocketAddr::from(([192, 0, 2, 1], 1))))
    }

    fn watch(&mut self, _: PeerId) -> io::Result<()> {
        if self.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.is_watched = true;
        Ok(())
    }

    fn read(&mut self, _: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        if self.says == Says::Endlessly {
            buffer.fill(self.words[0]);
            return Ok(buffer.len());
        }
        if std::mem::replace(&mut self.has_said, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer[..self.words.len()].copy_from_slice(&self.words);
        Ok(self.words.len())
    }

    fn write(&mut self, _: PeerId, parts: &[IoSlice<'_>], _: bool) -> io::Result<usize> {
        if self.is_deaf {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = self.sent.len();
        for part in parts {
            self.sent.extend_from_slice(part);
        }
        Ok(self.sent.len() - before)
    }

    fn send_file(&mut self, _: PeerId, _: &File, _: u64, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn finish(&mut self, _: PeerId) {}

    fn close(&mut self, _: PeerId) {
        self.closed = true;
    }

    fn connect(&mut self, _: &Endpoint, _: PeerId) -> io::Result<()> {
        Ok(())
    }
}

/// A server that has taken in its one client, and heard it once.
fn server(net: Replay, site: Router, log: &AccessLogOptions) -> Server<Replay> {
    let server = taking_in(net, site, log);
    assert_eq!(server.clients(), 1);
    server
}

/// One that nobody reaches from another machine.
fn local(net: Replay, site: Router) -> Server<Replay> {
    let mut server = at(([127, 0, 0, 1], 80), net, site, &AccessLogOptions::default());
    server.turn().unwrap();
    server
}

/// A server after the turn in which its one client has come in.
fn taking_in(net: Replay, site: Router, log: &AccessLogOptions) -> Server<Replay> {
    let mut server = at(([192, 0, 2, 2], 80), net, site, log);
    server.turn().unwrap();
    server
}

fn at(at: ([u8; 4], u16), net: Replay, site: Router, log: &AccessLogOptions) -> Server<Replay> {
    let limits = Limits { persistent_requests: u32::MAX, ..Limits::default() };
    let log = AccessLog::open(log).unwrap();
    let mut server = Server::over(net, site.build().unwrap(), limits, log);
    let listener = server.add_listener(Address::Tcp(at.into()));
    server.net.listener = Some(listener);
    server
}

/// A folder with one small file, gone when this is.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.txt"), "small").unwrap();
        Folder(folder)
    }
}

/// How many times memory is allocated for 1000 turns, in each of which the client asks `requests`
/// times for a small file. The first turns do not count: there its cache and buffers are filled.
fn allocations(requests: usize, log: &AccessLogOptions) -> u64 {
    let folder = Folder::new();
    let request = "GET /small.txt HTTP/1.1\r\nHost: a.example\r\nUser-Agent: b\r\n\
                   Accept: */*\r\nAccept-Encoding: br, gzip\r\n\r\n";
    let net = Replay::new(&request.repeat(requests), Says::Once);
    let site = Router::new().files("/*", Files::new(folder.0.path()).unwrap());
    let mut server = server(net, site, log);
    for _ in 0..10 {
        server.turn().unwrap();
    }
    let mut answered = 0;
    let counted = allocation_counter::measure(|| {
        for _ in 0..1000 {
            server.net.sent.clear();
            server.turn().unwrap();
            answered += memchr::memmem::find_iter(&server.net.sent, b"\r\n\r\nsmall").count();
        }
    });
    assert_eq!(answered, 1000 * requests);
    counted.count_total
}

/// Lines are made, and thrown away.
fn logging(format: LogFormat) -> AccessLogOptions {
    let to = LogTarget::File("/dev/null".into());
    AccessLogOptions { to, format, ..AccessLogOptions::default() }
}

#[test]
fn a_request_for_a_small_file_allocates_nothing() {
    let silent = AccessLogOptions::default();
    assert_eq!(allocations(1, &silent), 0);
    assert_eq!(allocations(16, &silent), 0, "pipelined");
}

#[test]
fn what_has_changed_between_two_turns_is_new_in_the_second() {
    let folder = Folder::new();
    let net = Replay::new("GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let site = Router::new().files("/*", Files::new(folder.0.path()).unwrap());
    let mut server = server(net, site, &AccessLogOptions::default());
    for content in ["first", "second", "third"] {
        fs::write(folder.0.path().join("small.txt"), content).unwrap();
        server.net.sent.clear();
        server.turn().unwrap();
        assert!(server.net.sent.ends_with(content.as_bytes()), "{content} is not there yet");
    }
}

#[test]
fn who_is_gone_again_in_the_turn_it_came_in_is_never_watched() {
    for (fields, stays) in [("Connection: close\r\n", false), ("", true)] {
        let words = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let net = Replay::new(&words, Says::Once);
        let server = taking_in(net, Router::new(), &AccessLogOptions::default());
        assert!(server.net.sent.starts_with(b"HTTP/1.1 404 "), "it is answered at once");
        assert_eq!((server.net.is_watched, server.net.closed), (stays, !stays));
        assert_eq!(server.clients(), usize::from(stays));
    }
}

#[test]
fn who_cannot_be_watched_leaves_its_seat_to_the_next() {
    let net = Replay::new("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let net = Replay { is_full: true, ..net };
    let program = Program::proxy(Endpoint::Tcp(([192, 0, 2, 3], 80).into()));
    let site = Router::new().program("/*", program);
    let server = taking_in(net, site, &AccessLogOptions::default());
    assert_eq!(server.clients(), 0);
    assert!(server.wishes.is_empty(), "whoever is next in line is not told");
}

#[test]
fn a_line_of_the_access_log_allocates_nothing() {
    for format in [LogFormat::Common, LogFormat::Combined, LogFormat::Json] {
        let log = logging(format);
        assert_eq!(allocations(1, &log), 0, "{format:?}");
    }
}

#[test]
fn the_loop_wakes_up_for_lines_that_are_held_back() {
    let log = logging(LogFormat::Combined);
    let net = Replay::new("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let mut server = server(net, Router::new(), &log);
    let mut naps = || {
        server.turn().unwrap();
        server.timeout(Millis(0)).unwrap()
    };
    let naps: Vec<Duration> = (0..110).map(|_| naps()).collect();
    assert!(naps[50] > Duration::from_secs(1), "the lines of a burst are written at once");
    assert!(naps[109] <= Duration::from_millis(10), "{:?}", naps[109]);
}

#[test]
fn a_server_that_has_ended_has_written_its_log() {
    let folder = Folder::new();
    let path = folder.0.path().join("log");
    let log = AccessLogOptions { to: LogTarget::File(path.clone()), ..Default::default() };
    let net = Replay::new("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let mut server = server(net, Router::new(), &log);
    for _ in 0..120 {
        server.turn().unwrap();
    }
    let lines = || fs::read_to_string(&path).unwrap().lines().count();
    assert!(lines() < 121, "some are held back");
    server.drain();
    server.turn().unwrap();
    // Its last words were its answer; it is not listened to for ever.
    server.net.now.set(Millis(60_000));
    server.run().unwrap();
    assert_eq!(lines(), 122, "one has come in as it ended");
}

#[test]
fn allocations_are_noticed() {
    let site = Router::new().get("/", |_: &Request<'_>| Response::text("made anew"));
    let net = Replay::new("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let mut server = server(net, site, &AccessLogOptions::default());
    let counted = allocation_counter::measure(|| server.turn().unwrap());
    assert!(counted.count_total > 0, "the counter does not count");
}

#[test]
fn one_that_never_stops_talking_is_let_go_all_the_same() {
    // Nothing but NUL: it is refused, and what follows is thrown away.
    let net = Replay::new("\0", Says::Endlessly);
    let mut server = server(net, Router::new(), &AccessLogOptions::default());
    server.turn().unwrap();
    assert!(server.net.sent.starts_with(b"HTTP/1.1 400 "));
    let linger = server.terms.limits.linger_timeout;
    server.net.now.set(Millis(0) + linger / 2);
    server.turn().unwrap();
    assert!(!server.net.closed, "its answer may still be on its way");
    server.net.now.set(Millis(0) + linger);
    server.turn().unwrap();
    assert!(server.net.closed, "it would be listened to for ever");
    assert_eq!(server.clients(), 0);
}

/// As in a replay, where another thread is faster than it was when that was recorded.
#[test]
fn an_answer_that_is_there_too_early_is_asked_for_again() {
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    let site = Router::new().get("/", move |_: &Request<'_>| {
        count.set(count.get() + 1);
        Response::text("it")
    });
    let words = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let net = Replay { misses_a_word: true, ..Replay::new(words, Says::Once) };
    let server = server(net, site, &AccessLogOptions::default());
    assert!(server.recorder().moments().since(0).any(|(_, moment)| moment.act == Act::Waits));
    assert_eq!(asked.get(), 2);
    assert!(server.net.sent.ends_with(b"\r\n\r\nit"));
}
