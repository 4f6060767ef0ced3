//! The other side of a gateway: a connection to a made-up program, or a process. What it says is
//! `program.rs`'s business; when, and in which pieces, chance's.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::time::Duration;

use fastrand::Rng;

use super::super::net::Ready;
use super::super::peers::PeerId;
use super::super::spawner::{Ending, Job};
use super::super::timers::Millis;
use super::program::{Asked, End, Protocol, STRAY, Speech, hear, say};
use super::world::event;
use crate::site::program::Endpoint;

/// What the made-up programs complain of.
const COMPLAINT: &[u8] = b"nothing is well\nand no line ends";

/// The ports at which the made-up programs are; nobody is at any other.
pub(super) const FASTCGI: u16 = 10;
pub(super) const SCGI: u16 = 11;
pub(super) const HTTP: u16 = 12;

/// All programs, by the names that the server knows them by.
#[derive(Debug, Default)]
pub(super) struct Backends {
    all: BTreeMap<PeerId, Backend>,
    /// How many there ever were.
    pub(super) count: usize,
}

/// One connection or process.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is about another thing")]
struct Backend {
    protocol: Protocol,
    state: State,
    /// On their way from the server.
    told: Vec<u8>,
    /// Heard, and not understood yet.
    heard: Vec<u8>,
    /// What is to be said.
    speech: Option<Speech>,
    said: usize,
    /// On their way to the server.
    arrived: Vec<u8>,
    complaint: &'static [u8],
    /// How many bytes may be under way, each way.
    window: usize,
    wants_room: bool,
    /// No more comes from it.
    is_closed: bool,
    ending: Option<Ending>,
    next_at: Millis,
    edges: Edges,
    /// It has spoken when nobody had asked.
    has_strayed: bool,
    /// The server has been told that the next exchange must not have this connection.
    is_spoilt: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is being connected or started.
    Opening,
    /// Nobody is there.
    Refused,
    /// It waits for a request.
    Listening,
    /// It answers.
    Speaking,
    /// It gives back so many bytes.
    Echoing(usize),
    /// It will say something out of turn.
    Straying,
    /// It reads what comes, and that is all.
    Dull,
    /// It has said all, and ends with this.
    Ending(Ending),
}

#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are the bits of an epoll event")]
struct Edges {
    readable: bool,
    writable: bool,
    broken: bool,
    /// The next wait tells of it, and not some later one.
    urgent: bool,
}

impl Edges {
    fn any(self) -> bool {
        self.readable || self.writable || self.broken
    }
}

/// Who is there, if anybody.
fn protocol_at(endpoint: &Endpoint) -> Option<Protocol> {
    let Endpoint::Tcp(address) = endpoint else { panic!("{endpoint} is nowhere in this world") };
    match address.port() {
        FASTCGI => Some(Protocol::FastCgi),
        SCGI => Some(Protocol::Scgi),
        HTTP => Some(Protocol::Http),
        _ => None,
    }
}

/// Whether somebody is there.
pub(super) fn is_there(endpoint: &Endpoint) -> bool {
    protocol_at(endpoint).is_some()
}

impl Backends {
    fn add(&mut self, peer: PeerId, protocol: Protocol, random: &mut Rng, now: Millis) {
        self.count += 1;
        let backend = Backend {
            protocol,
            state: State::Opening,
            told: Vec::new(),
            heard: Vec::new(),
            speech: None,
            said: 0,
            arrived: Vec::new(),
            complaint: b"",
            window: [5, 60, 900, 9_000, 60_000][random.usize(..5)],
            wants_room: false,
            is_closed: false,
            ending: None,
            next_at: now + Duration::from_millis(random.u64(..30)),
            edges: Edges::default(),
            has_strayed: false,
            is_spoilt: false,
        };
        assert!(self.all.insert(peer, backend).is_none(), "two gateways of one name");
    }

    pub(super) fn connect(
        &mut self,
        endpoint: &Endpoint,
        peer: PeerId,
        random: &mut Rng,
        now: Millis,
    ) -> io::Result<()> {
        if let Some(protocol) = protocol_at(endpoint) {
            self.add(peer, protocol, random, now);
            return Ok(());
        }
        self.add(peer, Protocol::Http, random, now);
        self.find(peer)?.state = State::Refused;
        if random.bool() { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) }
    }

    pub(super) fn spawn(&mut self, job: Job, peer: PeerId, random: &mut Rng, now: Millis) {
        self.add(peer, Protocol::Cgi, random, now);
        let backend = self.all.get_mut(&peer).expect("it was just added");
        let variable = |name: &str| {
            let found = job.environment.iter().find(|(known, _)| known == name);
            found.and_then(|(_, value)| value.to_str())
        };
        let said = |name| variable(name).expect("it is always there");
        let mut content = Vec::new();
        if let Some(mut input) = job.input {
            input.read_to_end(&mut content).expect("the spool can be read");
        }
        let length = variable("CONTENT_LENGTH").map_or(0, |length| length.parse().unwrap());
        assert_eq!(content.len(), length, "CONTENT_LENGTH is exact");
        let asked = Asked { content, ..Asked::new(said("REQUEST_URI"), said("REQUEST_METHOD")) };
        backend.speech = Some(say(Protocol::Cgi, &asked));
        if random.bool() {
            backend.complaint = COMPLAINT;
        }
    }

    fn find(&mut self, peer: PeerId) -> io::Result<&mut Backend> {
        self.all.get_mut(&peer).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn has(&self, peer: PeerId) -> bool {
        self.all.contains_key(&peer)
    }

    /// Forgets one; whether there was one of this name.
    pub(super) fn close(&mut self, peer: PeerId) -> bool {
        self.all.remove(&peer).is_some()
    }

    pub(super) fn read(
        &mut self,
        peer: PeerId,
        buffer: &mut [u8],
        now: Millis,
    ) -> io::Result<usize> {
        let backend = self.find(peer)?;
        if backend.arrived.is_empty() {
            return if backend.is_closed { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = backend.arrived.len().min(buffer.len());
        buffer[..count].copy_from_slice(&backend.arrived[..count]);
        backend.arrived.drain(..count);
        backend.wake(now);
        Ok(count)
    }

    pub(super) fn write(&mut self, peer: PeerId, bytes: &[u8], now: Millis) -> io::Result<usize> {
        let backend = self.find(peer)?;
        assert!(backend.state != State::Opening, "the server writes before it is connected");
        let is_first = matches!(backend.state, State::Listening | State::Straying)
            && backend.told.is_empty()
            && backend.heard.is_empty();
        assert!(!(is_first && backend.is_spoilt), "it asks where it must not expect an answer");
        if backend.is_closed || backend.state == State::Refused {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = backend.window.saturating_sub(backend.told.len()).min(bytes.len());
        backend.wants_room |= room < bytes.len();
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        backend.told.extend_from_slice(&bytes[..room]);
        backend.wake(now);
        Ok(room)
    }

    pub(super) fn error(&mut self, peer: PeerId) -> Option<io::Error> {
        let backend = self.all.get(&peer)?;
        (backend.state == State::Refused).then(|| io::ErrorKind::ConnectionRefused.into())
    }

    pub(super) fn complain(&mut self, peer: PeerId, buffer: &mut [u8]) -> usize {
        let Some(backend) = self.all.get_mut(&peer) else { return 0 };
        let count = backend.complaint.len().min(buffer.len());
        buffer[..count].copy_from_slice(&backend.complaint[..count]);
        backend.complaint = &backend.complaint[count..];
        count
    }

    pub(super) fn ended(&self, peer: PeerId) -> Option<Ending> {
        self.all.get(&peer)?.ending
    }

    /// Who is next to do something, and when.
    pub(super) fn next(&self) -> Option<(Millis, PeerId)> {
        let next = self.all.iter().map(|(&peer, backend)| (backend.next_at, peer)).min();
        next.filter(|&(at, _)| at != Millis::NEVER)
    }

    /// One program does one thing.
    pub(super) fn act(&mut self, peer: PeerId, random: &mut Rng, now: Millis) {
        if let Some(backend) = self.all.get_mut(&peer) {
            backend.act(random, now);
        }
    }

    pub(super) fn has_edges(&self) -> bool {
        self.all.values().any(|backend| backend.edges.any())
    }

    pub(super) fn tell(&mut self, ready: &mut Vec<Ready>, random: &mut Rng) {
        for (&peer, backend) in &mut self.all {
            let edges = backend.edges;
            if !edges.any() || (!edges.urgent && random.u8(..4) == 0) {
                continue;
            }
            backend.edges = Edges::default();
            backend.is_spoilt |= edges.readable && (backend.is_closed || backend.has_strayed);
            ready.push(Ready {
                fetched: false,
                read_closed: edges.readable
                    && backend.is_closed
                    && backend.protocol != Protocol::Cgi,
                broken: edges.broken,
                ..event(peer, edges.readable, edges.writable)
            });
        }
    }
}

impl Backend {
    /// There may be something to do for it soon.
    fn wake(&mut self, now: Millis) {
        self.next_at = self.next_at.min(now + Duration::from_millis(1));
    }

    fn act(&mut self, random: &mut Rng, now: Millis) {
        let pause = if random.u8(..8) == 0 { random.u64(..40) } else { random.u64(..3) };
        self.next_at = now + Duration::from_millis(pause);
        match self.state {
            State::Opening => {
                self.edges.writable = true;
                self.state = State::Listening;
                if self.protocol == Protocol::Cgi {
                    self.state = State::Speaking;
                    // It may have complained by the time it is looked at.
                    self.edges.readable = !self.complaint.is_empty();
                }
            }
            State::Refused => {
                self.edges.broken = true;
                self.next_at = Millis::NEVER;
            }
            State::Listening => {
                if self.is_closed || (!self.listen(random) && self.told.is_empty()) {
                    self.next_at = Millis::NEVER;
                }
            }
            State::Speaking => self.speak(random, now),
            State::Echoing(left) => self.echo(left, random, now),
            State::Straying => self.stray(random),
            State::Dull => {
                if !self.hear(random) {
                    self.next_at = Millis::NEVER;
                }
            }
            State::Ending(ending) => {
                if self.ending.replace(ending).is_none() {
                    self.edges.readable = true;
                }
                self.next_at = Millis::NEVER;
            }
        }
    }

    /// Hears some more. Whether there was any.
    fn hear(&mut self, random: &mut Rng) -> bool {
        let most = [1, 50, 3_000, 1 << 20][random.usize(..4)];
        let count = self.told.len().min(random.usize(1..=most));
        self.heard.extend(self.told.drain(..count));
        if count > 0 && std::mem::take(&mut self.wants_room) {
            self.edges.writable = true;
        }
        count > 0
    }

    /// Hears some more, and answers once the request is there.
    fn listen(&mut self, random: &mut Rng) -> bool {
        let has_heard = self.hear(random);
        if let Some((used, asked)) = hear(self.protocol, &self.heard) {
            self.heard.drain(..used);
            self.speech = Some(say(self.protocol, &asked));
            self.said = 0;
            self.state = State::Speaking;
            return true;
        }
        has_heard
    }

    /// Says some more.
    fn speak(&mut self, random: &mut Rng, now: Millis) {
        // A request whose answer came early goes on.
        self.hear(random);
        let speech = self.speech.as_ref().expect("who speaks has something to say");
        let left = speech.bytes.len() - self.said;
        if left == 0 {
            let end = speech.end;
            return self.end(end, random, now);
        }
        let room = self.window.saturating_sub(self.arrived.len());
        let most = [1, 50, 3_000, 1 << 20][random.usize(..4)];
        let mut count = left.min(random.usize(1..=most)).min(room);
        if count > 0 && left - count < speech.glued {
            count = left;
        }
        self.arrived.extend_from_slice(&speech.bytes[self.said..self.said + count]);
        self.said += count;
        self.edges.readable |= count > 0;
        if count == 0 {
            self.next_at = Millis::NEVER; // The server must read before there is room.
        }
    }

    fn end(&mut self, end: End, random: &mut Rng, now: Millis) {
        self.speech = None;
        let is_process = self.protocol == Protocol::Cgi;
        match end {
            End::Stays if !is_process => self.state = State::Listening,
            End::Hangs => self.state = State::Dull,
            End::Echoes(count) => self.state = State::Echoing(count),
            End::Strays if !is_process => {
                self.state = State::Straying;
                self.next_at = now + Duration::from_millis(random.u64(..20));
            }
            End::Stays | End::Closes | End::Strays | End::Dies | End::Lingers => {
                self.is_closed = true;
                self.edges.readable = true;
                // Whoever dies may have left a part of its request unheard.
                self.state = if end == End::Dies { State::Dull } else { State::Listening };
                if is_process {
                    let well = end != End::Dies;
                    let ending = if well { Ending::Exited(0) } else { Ending::Killed(9) };
                    self.state = State::Ending(ending);
                }
                if end == End::Lingers {
                    self.next_at = now + Duration::from_secs(3);
                }
            }
        }
    }

    /// Gives back what it has heard, up to `left` bytes.
    fn echo(&mut self, left: usize, random: &mut Rng, now: Millis) {
        let has_heard = self.hear(random);
        let room = self.window.saturating_sub(self.arrived.len());
        let count = self.heard.len().min(left).min(room);
        self.arrived.extend(self.heard.drain(..count));
        self.edges.readable |= count > 0;
        self.state = State::Echoing(left - count);
        if left == count {
            self.end(End::Closes, random, now);
        } else if !has_heard && count == 0 {
            self.next_at = Millis::NEVER;
        }
    }

    /// Says something that nobody has asked for, unless somebody has asked by now.
    fn stray(&mut self, random: &mut Rng) {
        self.state = State::Listening;
        if self.told.is_empty() && self.heard.is_empty() && random.bool() {
            self.arrived.extend_from_slice(STRAY);
            self.has_strayed = true;
            self.edges = Edges { readable: true, urgent: true, ..self.edges };
            self.next_at = Millis::NEVER;
        }
    }
}
