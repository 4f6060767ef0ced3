//! A client that does all that clients do, and much that they should not. It notes which answers it
//! has seen; what the server makes of it is not known here.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::http::Connection;
use super::ledger::Statuses;

/// The longest that it thinks, in microseconds.
const THINKS: u64 = 20_000;

/// The longest that it stalls in the middle of a head, in milliseconds: longer than it may.
const STALLS: u64 = 1_300;

/// Bytes of the large file.
pub(crate) const LARGE: usize = 1 << 20;

/// Where content is sent to.
const TAKERS: [&str; 3] = ["/origin/upload", "/fastcgi/upload", "/cgi/hello.sh"];

#[derive(Clone, Copy, Debug)]
enum Act {
    Small,
    Large,
    Range,
    NotModified,
    Missing,
    Cgi,
    FastCgi,
    Proxied,
    Upload,
    Pipelined,
    Reset,
    ResetAtOnce,
    HalfClosed,
    Stalled,
    Garbage,
    CutUpload,
    Deaf,
}

/// What is done, and how often: the first ten are as they should be.
const ACTS: [(Act, usize); 17] = [
    (Act::Small, 40),
    (Act::Large, 6),
    (Act::Range, 10),
    (Act::NotModified, 10),
    (Act::Missing, 10),
    (Act::Cgi, 2),
    (Act::FastCgi, 10),
    (Act::Proxied, 10),
    (Act::Upload, 5),
    (Act::Pipelined, 6),
    (Act::Reset, 3),
    (Act::ResetAtOnce, 3),
    (Act::HalfClosed, 4),
    (Act::Stalled, 1),
    (Act::Garbage, 3),
    (Act::CutUpload, 3),
    (Act::Deaf, 1),
];

/// One client, and what it has seen.
pub(crate) struct Visitor {
    address: SocketAddr,
    number: usize,
    random: fastrand::Rng,
    kept: Option<Connection>,
    /// By request.
    pub(crate) seen: Statuses,
    /// Answers to what was no request.
    pub(crate) refusals: u64,
    /// How often it has done what it should not.
    pub(crate) faults: u64,
    /// What went wrong where nothing should have.
    pub(crate) failures: Vec<String>,
}

impl Visitor {
    pub(crate) fn new(address: SocketAddr, number: usize) -> Visitor {
        Visitor {
            address,
            number,
            random: fastrand::Rng::with_seed(number as u64),
            kept: None,
            seen: Statuses::new(),
            refusals: 0,
            faults: 0,
            failures: Vec::new(),
        }
    }

    /// Goes on until it is over.
    pub(crate) fn visit(mut self, is_over: &AtomicBool) -> Visitor {
        let all: usize = ACTS.iter().map(|(_, weight)| weight).sum();
        while !is_over.load(Ordering::Acquire) {
            thread::sleep(Duration::from_micros(self.random.u64(..THINKS)));
            let mut at = self.random.usize(..all);
            let act = ACTS.iter().find(|(_, weight)| {
                let is_it = at < *weight;
                at = at.saturating_sub(*weight);
                is_it
            });
            let Some(&(act, _)) = act else { continue };
            if let Err(error) = self.act(act) {
                self.failures.push(format!("{act:?}: {error}"));
            }
        }
        self.kept = None;
        self
    }

    fn act(&mut self, act: Act) -> io::Result<()> {
        let close = if self.random.u8(..10) == 0 { "Connection: close\r\n" } else { "" };
        match act {
            Act::Small => self.get("/small.txt", close, 200),
            Act::Large => self.get("/large.bin", close, 200),
            Act::Range => {
                let begin = self.random.usize(..LARGE - 1);
                let end = self.random.usize(begin..LARGE);
                self.get("/large.bin", &format!("{close}Range: bytes={begin}-{end}\r\n"), 206)
            }
            Act::NotModified => {
                self.get("/small.txt", &format!("{close}If-None-Match: *\r\n"), 304)
            }
            Act::Missing => self.get("/missing", close, 404),
            Act::Cgi => self.get("/cgi/hello.sh", close, 200),
            Act::FastCgi => self.get("/fastcgi/answer", close, 200),
            Act::Proxied => self.get("/origin/answer", close, 200),
            Act::Upload => self.upload(),
            Act::Pipelined => self.pipelined(),
            Act::Reset
            | Act::ResetAtOnce
            | Act::HalfClosed
            | Act::Stalled
            | Act::Garbage
            | Act::CutUpload
            | Act::Deaf => {
                self.faults += 1;
                self.misbehave(act)
            }
        }
    }

    /// A request in bytes, and its number.
    fn request(&mut self, method: &str, path: &str, fields: &str) -> (usize, String) {
        let (client, id) = (self.number, self.seen.len());
        self.seen.push(0);
        let head =
            format!("{method} {path}?id={client}.{id} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        (id, head)
    }

    fn connection(&mut self) -> io::Result<Connection> {
        self.kept.take().map_or_else(|| Connection::open(self.address), Ok)
    }

    fn get(&mut self, path: &str, fields: &str, expected: u16) -> io::Result<()> {
        let (id, head) = self.request("GET", path, fields);
        self.ask(id, head.as_bytes(), expected)
    }

    fn upload(&mut self) -> io::Result<()> {
        let length = self.random.usize(1..200_000);
        let path = TAKERS[self.random.usize(..TAKERS.len())];
        let (id, head) = self.request("POST", path, &format!("Content-Length: {length}\r\n"));
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + length, b'u');
        self.ask(id, &bytes, 200)
    }

    fn pipelined(&mut self) -> io::Result<()> {
        let (mut bytes, mut expected) = (String::new(), Vec::new());
        for _ in 0..self.random.usize(2..16) {
            let (path, status) =
                if self.random.bool() { ("/small.txt", 200) } else { ("/missing", 404) };
            let (id, head) = self.request("GET", path, "");
            bytes += &head;
            expected.push((id, status));
        }
        let mut connection = self.connection()?;
        connection.send(bytes.as_bytes())?;
        for (id, status) in expected {
            self.hear(id, &mut connection, status)?;
        }
        self.kept = Some(connection);
        Ok(())
    }

    /// Asks, and has the answer that belongs to it.
    fn ask(&mut self, id: usize, bytes: &[u8], expected: u16) -> io::Result<()> {
        let mut connection = self.connection()?;
        connection.send(bytes)?;
        if self.hear(id, &mut connection, expected)? {
            self.kept = Some(connection);
        }
        Ok(())
    }

    /// Whether the connection persists behind the answer.
    fn hear(&mut self, id: usize, connection: &mut Connection, expected: u16) -> io::Result<bool> {
        let head = connection.head()?;
        self.seen[id] = head.status;
        connection.content(&head)?;
        if head.status == expected {
            Ok(head.persists)
        } else {
            Err(io::Error::other(format!("{} in place of {expected}", head.status)))
        }
    }

    /// Does what nobody should. Only what the server can be blamed for is an error.
    fn misbehave(&mut self, act: Act) -> io::Result<()> {
        let mut connection = self.connection()?;
        match act {
            Act::Reset => {
                let (id, head) = self.request("GET", "/large.bin", "");
                connection.send(head.as_bytes())?;
                self.seen[id] = connection.head()?.status;
                // Some of it.
                let mut piece = vec![0; self.random.usize(1..200_000)];
                connection.stream.read_exact(&mut piece)?;
                reset(connection)
            }
            Act::ResetAtOnce => {
                let paths = ["/small.txt", "/large.bin", "/cgi/hello.sh", TAKERS[0], TAKERS[1]];
                let path = paths[self.random.usize(..paths.len())];
                let (_, head) = self.request("GET", path, "");
                connection.send(head.as_bytes())?;
                thread::sleep(Duration::from_micros(self.random.u64(..2_000)));
                reset(connection)
            }
            Act::HalfClosed => {
                let paths = ["/small.txt", "/large.bin", TAKERS[0], TAKERS[1]];
                let path = paths[self.random.usize(..paths.len())];
                let (id, head) = self.request("GET", path, "");
                connection.send(head.as_bytes())?;
                connection.stream.shutdown(Shutdown::Write)?;
                self.hear(id, &mut connection, 200).map(drop)
            }
            Act::Stalled => self.stall(connection),
            Act::Garbage => self.talk_garbage(connection),
            Act::CutUpload => self.cut_upload(connection),
            Act::Deaf => {
                let (_, first) = self.request("GET", "/large.bin", "");
                let (_, second) = self.request("GET", "/large.bin", "");
                connection.send((first + &second).as_bytes())?;
                thread::sleep(Duration::from_millis(self.random.u64(..500)));
                reset(connection)
            }
            Act::Small
            | Act::Large
            | Act::Range
            | Act::NotModified
            | Act::Missing
            | Act::Cgi
            | Act::FastCgi
            | Act::Proxied
            | Act::Upload
            | Act::Pipelined => Ok(()),
        }
    }

    /// Stops in the middle of a head, perhaps for too long.
    fn stall(&mut self, mut connection: Connection) -> io::Result<()> {
        let (id, head) = self.request("GET", "/small.txt", "");
        let (first, second) = head.split_at(self.random.usize(1..head.len()));
        connection.send(first.as_bytes())?;
        thread::sleep(Duration::from_millis(self.random.u64(..STALLS)));
        if connection.send(second.as_bytes()).is_err() {
            return Ok(());
        }
        match connection.head() {
            // It was too late, and what came then was not looked at.
            Ok(head) if head.status == 408 => self.refusals += 1,
            Ok(head) => self.seen[id] = head.status,
            Err(_) => {}
        }
        Ok(())
    }

    fn talk_garbage(&mut self, mut connection: Connection) -> io::Result<()> {
        let mut bytes: Vec<u8> = (0..self.random.usize(1..3_000)).map(|_| 0).collect();
        self.random.fill(&mut bytes);
        bytes.extend(b"\r\n\r\n");
        if connection.send(&bytes).is_err() {
            return Ok(());
        }
        match connection.head() {
            Ok(head) if (400..500).contains(&head.status) => self.refusals += 1,
            Ok(head) => return Err(io::Error::other(format!("answered with {}", head.status))),
            Err(_) => {}
        }
        connection.rest();
        Ok(())
    }

    /// Sends less than was promised, and then goes in one of three ways.
    fn cut_upload(&mut self, mut connection: Connection) -> io::Result<()> {
        let path = TAKERS[self.random.usize(..TAKERS.len())];
        let length = self.random.usize(1..200_000);
        let (id, head) = self.request("POST", path, &format!("Content-Length: {length}\r\n"));
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + self.random.usize(..length), b'c');
        connection.send(&bytes)?;
        match self.random.u8(..3) {
            0 => reset(connection),
            1 => Ok(()),
            _ => {
                connection.stream.shutdown(Shutdown::Write)?;
                if let Ok(head) = connection.head() {
                    self.seen[id] = head.status;
                }
                connection.rest();
                Ok(())
            }
        }
    }
}

/// Ends a connection so that the other side hears of it by an error.
fn reset(connection: Connection) -> io::Result<()> {
    SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO))?;
    drop(connection);
    Ok(())
}
