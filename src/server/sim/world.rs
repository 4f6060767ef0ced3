//! A made-up network: clients that send in pieces, read slowly, leave early or never, and a clock
//! that jumps. Everything comes from one seed, so a run can be had again.
//!
//! It keeps to what epoll(7), tcp(7) and accept(2) promise, and to nothing more: readiness is told
//! once, in any order, sometimes for a socket that is long gone; bytes that the server has not read
//! when it closes cost the client what it has not read either.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;

use super::super::net::{Net, Ready, Wake};
use super::super::peers::PeerId;
use super::super::spawner::{Ending, Job};
use super::super::timers::Millis;
use super::backend::Backends;
use super::remote::{Edges, Manner, Remote, State};
use crate::site::handler::{Promise, Response};
use crate::site::program::Endpoint;

/// The wall clock stands still, so that every answer has the same date.
pub(super) const UNIX_TIME: u64 = 1_000_000_000;

/// No story takes so long: the most patient wait for ten hours.
const DOOMSDAY: Millis = Millis(200_000_000);

/// How long a client that reads leaves an answer alone, about.
const TIME_TO_READ: Duration = Duration::from_secs(1);

/// Promises of handlers that are to be fulfilled some time.
pub(super) type Promises = Rc<RefCell<Vec<Promise>>>;

/// What a promised answer says.
pub(super) fn promised() -> Response {
    Response::text("as promised\n")
}

/// The world of one run.
pub(super) struct World {
    random: Rng,
    now: Millis,
    pub(super) remotes: Vec<Remote>,
    pub(super) backends: Backends,
    by_peer: HashMap<PeerId, usize>,
    former: Vec<PeerId>,
    knocking: Vec<usize>,
    knocked: bool,
    listener: Option<PeerId>,
    /// accept(2) finds no descriptor while this many accepts are still to fail.
    exhausted: u32,
    /// There was no room for a client, so that idle ones may have been let go.
    pub(super) was_full: bool,
    bell: Arc<AtomicBool>,
    promises: Promises,
    promise_at: Millis,
    has_slow_disk: bool,
    /// For whom a disk is read, and until when.
    fetching: Vec<(Millis, PeerId)>,
    /// What each client was sent since the last wait.
    pub(super) sent_this_turn: HashMap<PeerId, Vec<u8>>,
    /// The most answers and bytes that one client had in one turn.
    pub(super) most_answers: usize,
    pub(super) most_bytes: usize,
    /// Clients that the server has taken in.
    pub(super) taken_in: u64,
    /// Bytes that the server has had from all clients, and that it has given them.
    pub(super) heard: u64,
    pub(super) said: u64,
}

impl World {
    pub(super) fn new(mut random: Rng, promises: Promises) -> Self {
        World {
            has_slow_disk: random.bool(),
            random,
            now: Millis(0),
            remotes: Vec::new(),
            backends: Backends::default(),
            by_peer: HashMap::new(),
            former: Vec::new(),
            knocking: Vec::new(),
            knocked: false,
            listener: None,
            exhausted: 0,
            was_full: false,
            bell: Arc::default(),
            promises,
            promise_at: Millis::NEVER,
            fetching: Vec::new(),
            sent_this_turn: HashMap::new(),
            most_answers: 0,
            most_bytes: 0,
            taken_in: 0,
            heard: 0,
            said: 0,
        }
    }

    pub(super) fn listen(&mut self, listener: PeerId) {
        self.listener = Some(listener);
    }

    pub(super) fn add(&mut self, script: Vec<u8>, manner: Manner) {
        self.remotes.push(Remote::new(script, manner, &mut self.random));
    }

    /// Whether every client's story is over.
    pub(super) fn is_over(&self) -> bool {
        self.remotes.iter().all(|remote| remote.state == State::Gone)
    }

    /// Who is next to do something, and when.
    fn next(&self) -> Option<(Millis, usize)> {
        let remotes = self.remotes.iter().zip(0..).map(|(remote, at)| (remote.next_at, at));
        remotes.filter(|&(at, _)| at != Millis::NEVER).min()
    }

    fn fulfil_promises(&mut self) {
        self.promise_at = Millis::NEVER;
        let promises = std::mem::take(&mut *self.promises.borrow_mut());
        for promise in promises {
            // Now and then a thread dies with its promise.
            promise.fulfil(promised);
        }
    }

    /// One client does one thing.
    fn act(&mut self, at: usize) {
        let random = &mut self.random;
        let remote = &mut self.remotes[at];
        let pause = if random.u8(..8) == 0 { random.u64(..40) } else { random.u64(..3) };
        remote.next_at = self.now + Duration::from_millis(pause);
        match remote.state {
            State::Waiting => {
                remote.state = State::Knocking;
                self.knocking.push(at);
                self.knocked = true;
                if random.u8(..30) == 0 {
                    self.exhausted = random.u32(..4);
                }
            }
            State::Knocking => {}
            State::Open | State::Finished | State::Closed => {
                // Whoever has something to read looks for it in time.
                let is_late = remote.reads_on() && self.now.since(remote.last_moved) > TIME_TO_READ;
                if random.bool() && !is_late {
                    remote.send(random, self.now);
                } else {
                    remote.take(random, self.now);
                }
                remote.maybe_leave(self.now);
                if self.now.since(remote.last_moved) > Duration::from_secs(1) {
                    // Nothing moves any more: look only now and then.
                    remote.next_at = self.now + Duration::from_millis(500);
                }
            }
            State::Gone => remote.next_at = Millis::NEVER,
        }
    }

    /// Tells some of the edges that are there, in any order, and now and then one of the past.
    fn tell(&mut self, ready: &mut Vec<Ready>) {
        if std::mem::take(&mut self.knocked)
            && let Some(peer) = self.listener
        {
            ready.push(event(peer, true, false));
        }
        if self.bell.swap(false, Ordering::AcqRel) {
            ready.push(event(PeerId::BELL, true, false));
        }
        for remote in &mut self.remotes {
            let Some(peer) = remote.watched else { continue };
            let edges = remote.edges;
            if (edges.readable || edges.writable || edges.broken) && self.random.u8(..4) > 0 {
                remote.edges = Edges::default();
                let is_over = remote.half_closed && remote.state == State::Finished;
                ready.push(Ready {
                    peer,
                    fetched: false,
                    readable: edges.readable,
                    writable: edges.writable,
                    read_closed: edges.readable && remote.half_closed,
                    broken: edges.broken || is_over,
                });
            }
        }
        self.backends.tell(ready, &mut self.random);
        let now = self.now;
        for (_, peer) in self.fetching.extract_if(.., |&mut (at, _)| at <= now) {
            ready.push(Ready { fetched: true, ..event(peer, false, false) });
        }
        if !ready.is_empty() && !self.former.is_empty() && self.random.bool() {
            let peer = self.former[self.random.usize(..self.former.len())];
            ready.push(Ready { broken: true, ..event(peer, true, true) });
        }
        self.random.shuffle(ready);
    }

    fn end_turn(&mut self) {
        for sent in std::mem::take(&mut self.sent_this_turn).into_values() {
            let count = |of: &[u8]| memchr::memmem::find_iter(&sent, of).count();
            let answers = count(b"HTTP/1.1 ") - count(b"HTTP/1.1 1");
            self.most_answers = self.most_answers.max(answers);
            self.most_bytes = self.most_bytes.max(sent.len());
        }
    }

    fn open(&mut self, peer: PeerId) -> io::Result<&mut Remote> {
        let at = self.by_peer.get(&peer).expect("the server names a peer that is not there");
        let remote = &mut self.remotes[*at];
        if remote.state == State::Gone {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(remote)
    }
}

pub(super) fn event(peer: PeerId, readable: bool, writable: bool) -> Ready {
    Ready { peer, readable, writable, read_closed: false, broken: false, fetched: false }
}

impl Net for World {
    fn now(&self) -> Millis {
        self.now
    }

    fn unix_time(&self) -> u64 {
        UNIX_TIME
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        self.end_turn();
        let until = timeout.map_or(Millis::NEVER, |timeout| self.now + timeout);
        if !self.promises.borrow().is_empty() && self.promise_at == Millis::NEVER {
            self.promise_at = self.now + Duration::from_millis(self.random.u64(..200));
        }
        loop {
            self.tell(ready);
            if !ready.is_empty() || (timeout == Some(Duration::ZERO) && self.random.bool()) {
                return Ok(());
            }
            let has_edges = self.remotes.iter().any(|remote| {
                remote.watched.is_some()
                    && (remote.edges.readable || remote.edges.writable || remote.edges.broken)
            });
            if has_edges || self.backends.has_edges() {
                continue; // Chance held them back; they are still due.
            }
            let (client, program) = (self.next(), self.backends.next());
            let time = |at: Option<Millis>| at.unwrap_or(Millis::NEVER);
            let of_client = time(client.map(|(at, _)| at));
            let of_program = time(program.map(|(at, _)| at));
            let of_disk = time(self.fetching.iter().map(|&(at, _)| at).min());
            let at = of_client.min(of_program).min(self.promise_at).min(of_disk);
            if at > until || at == Millis::NEVER {
                let is_woken = until != Millis::NEVER || self.is_over();
                assert!(is_woken, "the loop sleeps for ever, and nobody will wake it");
                if until != Millis::NEVER {
                    self.now = until;
                }
                return Ok(());
            }
            self.now = self.now.max(at);
            assert!(self.now < DOOMSDAY, "somebody is kept for ever");
            match (client, program) {
                (Some((time, remote)), _) if time == at => self.act(remote),
                (_, Some((time, peer))) if time == at => {
                    self.backends.act(peer, &mut self.random, self.now);
                }
                _ if of_disk == at => {}
                _ => self.fulfil_promises(),
            }
        }
    }

    fn waker(&self) -> Wake {
        let bell = Arc::clone(&self.bell);
        Arc::new(move || bell.store(true, Ordering::Release))
    }

    fn has_visitor(&mut self, _: PeerId) -> bool {
        !self.knocking.is_empty()
    }

    fn accept(&mut self, _: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>> {
        if self.knocking.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.exhausted > 0 {
            self.exhausted -= 1;
            self.was_full = true;
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error()));
        }
        self.taken_in += 1;
        let at = self.knocking.remove(0);
        assert!(self.by_peer.insert(client, at).is_none(), "two clients of one name");
        let remote = &mut self.remotes[at];
        remote.peer = Some(client);
        remote.state = State::Open;
        remote.last_moved = self.now;
        remote.edges.writable = true;
        Ok(Some(SocketAddr::from(([127, 0, 0, 1], 1))))
    }

    fn watch(&mut self, peer: PeerId) -> io::Result<()> {
        self.open(peer)?.watched = Some(peer);
        Ok(())
    }

    fn read(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty(), "a read into nothing looks like an end");
        if self.backends.has(peer) {
            return self.backends.read(peer, buffer, self.now);
        }
        let remote = self.open(peer)?;
        if remote.arrived.is_empty() {
            let at_end = remote.half_closed;
            return if at_end { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = remote.arrived.len().min(buffer.len());
        buffer[..count].copy_from_slice(&remote.arrived[..count]);
        remote.arrived.drain(..count);
        self.heard += count as u64;
        Ok(count)
    }

    fn write(&mut self, peer: PeerId, parts: &[IoSlice<'_>], _: bool) -> io::Result<usize> {
        if self.backends.has(peer) {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            return self.backends.write(peer, &bytes, self.now);
        }
        let remote = self.open(peer)?;
        assert!(remote.state == State::Open, "the server writes after its end");
        let total: usize = parts.iter().map(|part| part.len()).sum();
        assert!(total > 0, "a write of nothing");
        let room = remote.window.saturating_sub(remote.in_flight.len());
        remote.wants_room |= room < total;
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes: Vec<u8> =
            parts.iter().flat_map(|part| part.iter().copied()).take(room).collect();
        remote.in_flight.extend_from_slice(&bytes);
        self.said += bytes.len() as u64;
        self.sent_this_turn.entry(peer).or_default().extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn fetch(&mut self, peer: PeerId, _: &Arc<File>, _: u64, _: usize) -> bool {
        assert!(self.fetching.iter().all(|&(_, other)| other != peer), "one read for each");
        let is_there = !self.has_slow_disk || self.random.bool();
        if !is_there {
            self.fetching.push((self.now + Duration::from_millis(self.random.u64(..50)), peer));
        }
        is_there
    }

    fn send_file(
        &mut self,
        peer: PeerId,
        file: &File,
        offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let mut bytes = vec![0; length];
        let count = file.read_at(&mut bytes, offset)?;
        if count == 0 {
            return Ok(0);
        }
        self.write(peer, &[IoSlice::new(&bytes[..count])], false)
    }

    fn finish(&mut self, peer: PeerId) {
        if let Ok(remote) = self.open(peer) {
            remote.state = State::Finished;
        }
    }

    fn close(&mut self, peer: PeerId) {
        if self.backends.close(peer) {
            return self.former.push(peer);
        }
        let Some(at) = self.by_peer.remove(&peer) else {
            let is_known = Some(peer) == self.listener || std::thread::panicking();
            assert!(is_known, "the server closes a peer that is not there");
            return;
        };
        self.former.push(peer);
        let remote = &mut self.remotes[at];
        remote.closed_at = Some(self.now);
        remote.peer = None;
        remote.watched = None;
        if !remote.arrived.is_empty() && remote.state != State::Gone {
            remote.in_flight.clear();
        }
        if remote.state != State::Gone {
            remote.state = State::Closed;
            remote.next_at = self.now;
        }
    }

    fn abort(&mut self, peer: PeerId) {
        let at = self.by_peer.get(&peer).expect("only clients see a reset");
        self.remotes[*at].was_reset = true;
        self.close(peer);
    }

    fn connect(&mut self, endpoint: &Endpoint, gateway: PeerId) -> io::Result<()> {
        self.backends.connect(endpoint, gateway, &mut self.random, self.now)
    }

    fn spawn(&mut self, job: Job, gateway: PeerId) -> io::Result<()> {
        self.backends.spawn(job, gateway, &mut self.random, self.now);
        Ok(())
    }

    fn error(&mut self, peer: PeerId) -> Option<io::Error> {
        self.backends.error(peer)
    }

    fn read_complaints(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.backends.complain(peer, buffer))
    }

    fn ended(&mut self, peer: PeerId) -> Option<Ending> {
        self.backends.ended(peer)
    }
}
