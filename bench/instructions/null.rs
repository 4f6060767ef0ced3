//! A network that is not there: one client, who asks the same again and again; and a server of
//! files over it.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use oneloop::server::access_log::{AccessLog, AccessLogOptions};
use oneloop::server::net::{Net, Ready, Wake};
use oneloop::server::peers::PeerId;
use oneloop::server::timers::Millis;
use oneloop::server::{Limits, Server};
use oneloop::site::files::Files;
use oneloop::site::router::Router;

use super::told::told;

/// A server that serves that client from a folder, and nobody else.
pub(crate) struct Served {
    server: Server<Null>,
    seen: Rc<Seen>,
}

impl Served {
    /// `request` is what the client asks each time, and has been answered once; the files are below
    /// `root`.
    pub(crate) fn new(request: String, root: &Path) -> Served {
        told(|| {
            let mut served = Served::start(request, root);
            served.serve(1);
            served
        })
    }

    fn start(request: String, root: &Path) -> Served {
        let seen = Rc::new(Seen::default());
        let net = Null { request: request.into_bytes(), client: None, seen: Rc::clone(&seen) };
        let site = Router::new().files("/*", Files::new(root).unwrap()).build().unwrap();
        let limits = Limits { persistent_requests: u32::MAX, ..Limits::default() };
        let log = AccessLog::open(&AccessLogOptions::default()).unwrap();
        let mut server = Server::over(net, site, limits, log);
        seen.listener.set(Some(server.add_listener("127.0.0.1:1".parse().unwrap())));
        Served { server, seen }
    }

    /// Turns until the client has been answered so many times more, each time what it asks at once.
    /// It is the one place that turns, and never inlined: so the compiler makes the same of it for
    /// all who count instructions.
    #[inline(never)]
    pub(crate) fn serve(&mut self, times: u32) {
        let last = self.seen.answers.get() + times;
        while self.seen.answers.get() < last {
            self.server.turn().unwrap();
        }
    }

    /// The first of these answers.
    pub(crate) fn first(&self) -> Vec<u8> {
        self.seen.first.borrow().clone()
    }
}

/// What is known of the network from outside.
#[derive(Default)]
struct Seen {
    /// Where the client comes in.
    listener: Cell<Option<PeerId>>,
    /// Answers, one write each.
    answers: Cell<u32>,
    /// The bytes of the first one.
    first: RefCell<Vec<u8>>,
}

impl Seen {
    /// Cold, so that the compiler keeps it out of the way of all other answers.
    #[cold]
    fn note_first(&self, parts: &[IoSlice<'_>]) {
        let mut first = self.first.borrow_mut();
        for part in parts {
            first.extend_from_slice(part);
        }
    }
}

/// The network.
struct Null {
    /// What the client asks each time.
    request: Vec<u8>,
    client: Option<PeerId>,
    seen: Rc<Seen>,
}

impl Net for Null {
    fn now(&self) -> Millis {
        Millis(u64::from(self.seen.answers.get()) / 100)
    }

    fn unix_time(&self) -> u64 {
        1_700_000_000
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, _timeout: Option<Duration>) -> io::Result<()> {
        let peer = self.client.or(self.seen.listener.get()).expect("somebody listens");
        let flags = (true, true, false, false);
        let (readable, writable, read_closed, broken) = flags;
        ready.push(Ready { peer, readable, writable, read_closed, broken, fetched: false });
        Ok(())
    }

    fn waker(&self) -> Wake {
        Arc::new(|| ())
    }

    fn has_visitor(&mut self, _listener: PeerId) -> bool {
        self.client.is_none()
    }

    fn accept(&mut self, _: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>> {
        if self.client.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.client = Some(client);
        Ok(Some(([127, 0, 0, 1], 1).into()))
    }

    fn watch(&mut self, _client: PeerId) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, _peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        buffer[..self.request.len()].copy_from_slice(&self.request);
        Ok(self.request.len())
    }

    fn write(&mut self, _: PeerId, parts: &[IoSlice<'_>], _more: bool) -> io::Result<usize> {
        let answers = self.seen.answers.get();
        if answers == 0 {
            self.seen.note_first(parts);
        }
        self.seen.answers.set(answers + 1);
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn send_file(&mut self, _: PeerId, _: &File, _: u64, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn finish(&mut self, _peer: PeerId) {}

    fn close(&mut self, _peer: PeerId) {
        self.client = None;
    }
}
