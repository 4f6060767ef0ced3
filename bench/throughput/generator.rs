//! The clients: one thread with one poll that keeps any number of connections busy. The loop is
//! closed: a connection asks again when it has its answers; `paced.rs` drives the same connections
//! by the clock. Every answer is checked.

use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use fastrand::Rng;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use crate::answer::{Ask, LastHead, Reading};

/// What the clients do.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) server: SocketAddr,
    /// One of these is asked for, at random.
    pub(crate) asks: &'a [Ask],
    pub(crate) connections: usize,
    /// Connections that ask once and then stay open.
    pub(crate) idle: usize,
    /// Requests that are sent at once.
    pub(crate) depth: usize,
    /// Whether the server ends the connection behind each answer.
    pub(crate) closes: bool,
}

/// What has come.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) answers: u64,
    /// Bytes of content.
    pub(crate) bytes: u64,
}

/// Connections that are opened at once: fewer than the server's queue holds.
const TOGETHER: usize = 100;

/// How long nothing may come before it is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What is said then.
pub(crate) const STANDS_STILL: &str = "the server stands still";

/// Bytes read at once.
const BUFFER: usize = 256 << 10;

pub(crate) struct Generator<'a> {
    load: Load<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    /// Connections whose answers are not all there.
    waiting: usize,
    /// Whether a connection that has its answers asks again.
    goes_on: bool,
    /// The others, and when each of them had its last answer.
    rested: Vec<(usize, Instant)>,
    count: Count,
    last_head: LastHead,
    buffer: Vec<u8>,
    random: Rng,
}

#[derive(Default)]
struct Connection {
    stream: Option<TcpStream>,
    /// Whether its requests are still to be sent: it is not connected yet.
    is_connecting: bool,
    ask: usize,
    /// Answers that are due.
    due: usize,
    reading: Reading,
}

impl<'a> Generator<'a> {
    /// Opens the connections; each has had one answer when this returns. Where they close behind
    /// every answer, there is nothing to open.
    pub(crate) fn new(load: Load<'a>) -> io::Result<Generator<'a>> {
        let mut generator = Generator {
            load,
            poll: Poll::new()?,
            connections: Vec::new(),
            waiting: 0,
            goes_on: false,
            rested: Vec::new(),
            count: Count::default(),
            last_head: LastHead::default(),
            buffer: vec![0; BUFFER],
            random: Rng::with_seed(1),
        };
        let all = load.connections + load.idle;
        while generator.connections.len() < all {
            let from = generator.connections.len();
            generator.connections.resize_with(all.min(from + TOGETHER), Connection::default);
            if !load.closes {
                for at in from..generator.connections.len() {
                    generator.ask(at)?;
                }
                generator.finish()?;
            }
        }
        Ok(generator)
    }

    /// Keeps all connections busy for so long, and waits for the last answers. With no time, each
    /// asks once.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<Count> {
        let end = Instant::now() + time;
        self.count = Count::default();
        self.rested.clear();
        self.goes_on = !time.is_zero();
        for at in 0..self.load.connections {
            self.ask(at)?;
        }
        let mut events = Events::with_capacity(1024);
        while self.goes_on {
            self.turn(&mut events)?;
            self.goes_on = Instant::now() < end;
        }
        self.finish()?;
        Ok(self.count)
    }

    /// Waits until all answers are there.
    fn finish(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while self.waiting > 0 {
            self.turn(&mut events)?;
        }
        Ok(())
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        self.poll.poll(events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err(io::Error::other(STANDS_STILL));
        }
        self.take(events)
    }

    /// Takes what is there and waits for nothing. Returns the connections that have had their
    /// answers since the last time, and when.
    pub(crate) fn look(
        &mut self,
        events: &mut Events,
    ) -> io::Result<impl Iterator<Item = (usize, Instant)>> {
        self.poll.poll(events, Some(Duration::ZERO))?;
        self.take(events)?;
        Ok(self.rested.drain(..))
    }

    fn take(&mut self, events: &Events) -> io::Result<()> {
        for event in events {
            let at = event.token().0;
            if self.connections[at].is_connecting {
                self.send(at)?;
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.receive(at, event.is_read_closed())?;
            }
        }
        Ok(())
    }

    /// Asks once more, on a new connection if there is none.
    pub(crate) fn ask(&mut self, at: usize) -> io::Result<()> {
        let asks = self.load.asks;
        let connection = &mut self.connections[at];
        connection.ask = if asks.len() == 1 { 0 } else { self.random.usize(..asks.len()) };
        connection.due = self.load.depth;
        self.waiting += 1;
        if connection.stream.is_none() {
            let mut stream = if self.load.closes {
                TcpStream::connect(self.load.server)?
            } else {
                let stream = net::TcpStream::connect(self.load.server)?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                TcpStream::from_std(stream)
            };
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(at), both)?;
            connection.stream = Some(stream);
        }
        self.send(at)
    }

    fn send(&mut self, at: usize) -> io::Result<()> {
        let connection = &mut self.connections[at];
        let request = &self.load.asks[connection.ask].request;
        let Some(stream) = &mut connection.stream else { return Ok(()) };
        connection.is_connecting = false;
        match stream.write(request) {
            Ok(sent) if sent == request.len() => Ok(()),
            Ok(sent) => Err(io::Error::other(format!("only {sent} bytes of a request leave"))),
            Err(error) if self.load.closes && is_early(&error) => {
                connection.is_connecting = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads what is there. A short read means that there is no more, but for an end.
    fn receive(&mut self, at: usize, has_ended: bool) -> io::Result<()> {
        loop {
            let Some(stream) = &mut self.connections[at].stream else { return Ok(()) };
            match stream.read(&mut self.buffer) {
                Ok(0) => return self.end(at),
                Ok(count) => {
                    self.check(at, count)?;
                    if count < BUFFER && !has_ended {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Checks `count` bytes that have come.
    fn check(&mut self, at: usize, count: usize) -> io::Result<()> {
        let connection = &mut self.connections[at];
        let ask = &self.load.asks[connection.ask];
        let mut rest = &self.buffer[..count];
        while !rest.is_empty() {
            if connection.due == 0 {
                return Err(io::Error::other("more than was asked for"));
            }
            let taken = connection.reading.take(rest, ask, &mut self.last_head);
            let taken = taken.map_err(io::Error::other)?;
            rest = &rest[taken.bytes..];
            self.count.bytes += taken.content as u64;
            if taken.is_whole {
                self.count.answers += 1;
                connection.due -= 1;
            }
        }
        if connection.due == 0 && !self.load.closes { self.answered(at) } else { Ok(()) }
    }

    /// The server has closed.
    fn end(&mut self, at: usize) -> io::Result<()> {
        let connection = &mut self.connections[at];
        if connection.due > 0 || !self.load.closes {
            return Err(io::Error::other("the server closes in the middle"));
        }
        connection.stream = None;
        connection.reading = Reading::default();
        self.answered(at)
    }

    /// All answers of one connection are there.
    fn answered(&mut self, at: usize) -> io::Result<()> {
        self.waiting -= 1;
        if self.goes_on {
            return self.ask(at);
        }
        self.rested.push((at, Instant::now()));
        Ok(())
    }
}

/// Whether it is too early to write.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}

impl Drop for Generator<'_> {
    /// Resets the connections: none of them leaves a port behind that has to wait.
    fn drop(&mut self) {
        for stream in self.connections.iter().filter_map(|one| one.stream.as_ref()) {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}
