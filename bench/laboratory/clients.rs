//! The clients: one thread with one poll. It is event-driven itself, so that ten thousand of them
//! cost it no more than ten. Each answer is checked byte by byte.
//!
//! In a *closed* loop a client asks again when it has its answer: a slow server is asked less. In
//! an *open* loop requests are due at equal distances, whatever becomes of the earlier ones, and
//! the time of each counts from when it was due: so a server that stands still for a while pays for
//! all that was due meanwhile (no coordinated omission). They are dealt out to the clients in turn,
//! and wait in the queue of theirs: so it also pays for each client that it leaves standing.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::ops::Range;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::answer::{LastHead, Reading};
use super::client::{Client, Role, Then, connect};
use super::load::{Load, Target};
use super::seen::Seen;

/// Clients that are connecting at once: fewer than a server's queue holds.
const TOGETHER: usize = 100;

/// How long nothing may come while connections are opened; then the others are left as they are.
const OPENING: Duration = Duration::from_millis(100);

/// How long answers are waited for that are under way when the time is over.
const GRACE: Duration = Duration::from_millis(50);

/// Requests that wait for one client, at the most. What finds no room has no answer.
const QUEUE: usize = 1024;

/// Bytes read at once.
const BUFFER: usize = 256 << 10;

/// A slow client takes so much, and then nothing for so long: as over a network of 64 KiB/s.
const SIP: usize = 2 << 10;
const PAUSE: Duration = Duration::from_millis(30);

/// All clients of one load.
pub(crate) struct Clients<'a> {
    load: &'a Load<'a>,
    poll: Poll,
    all: Vec<Client>,
    /// Slow clients, and when each of them reads again.
    sipping: VecDeque<(Instant, usize)>,
    then: Then,
    /// Clients without their answer, and slow ones without its first bytes.
    waiting: usize,
    heard: Instant,
    seen: Seen,
    last_head: LastHead,
    buffer: Vec<u8>,
    burst: Vec<u8>,
    random: Rng,
}

impl<'a> Clients<'a> {
    /// Connects them all. Each has asked once when this returns, and has its answer, if the server
    /// gives any.
    ///
    /// # Errors
    /// Where there is no poll to be had, or the first answer is wrong.
    pub(crate) fn new(load: &'a Load<'a>) -> io::Result<Clients<'a>> {
        let mut clients = Clients {
            load,
            poll: Poll::new()?,
            all: Vec::new(),
            sipping: VecDeque::new(),
            then: Then::Rests,
            waiting: 0,
            heard: Instant::now(),
            seen: Seen::new(load.active)?,
            last_head: LastHead::default(),
            buffer: vec![0; BUFFER],
            burst: Vec::new(),
            random: Rng::with_seed(1),
        };
        // Those who ask come last: whoever has no seat for all does not keep theirs for them.
        let roles = [(Role::Idle, load.idle), (Role::Slow, load.slow), (Role::Active, load.active)];
        let roles = roles.into_iter().flat_map(|(role, count)| std::iter::repeat_n(role, count));
        let mut events = Events::with_capacity(1024);
        for role in roles {
            let at = clients.all.len();
            clients.all.push(Client::new(role));
            clients.ask(at, Instant::now(), if role == Role::Active { load.depth } else { 1 });
            while clients.waiting >= TOGETHER && clients.heard.elapsed() < OPENING {
                clients.turn(&mut events, OPENING)?;
            }
        }
        while clients.waiting > 0 && clients.heard.elapsed() < OPENING {
            clients.turn(&mut events, OPENING)?;
        }
        match clients.seen.first_error.take() {
            Some(error) if clients.seen.answers == 0 => Err(io::Error::other(error)),
            Some(_) | None => Ok(clients),
        }
    }

    /// Each active client asks again as soon as it has its answer.
    ///
    /// # Errors
    /// Where the poll fails, or an answer is wrong.
    pub(crate) fn closed_loop(&mut self, time: Duration) -> io::Result<Seen> {
        let begun = self.begin()?;
        self.then = Then::Asks;
        let mut events = Events::with_capacity(1024);
        for at in self.active() {
            if self.all[at].due.is_empty() {
                self.ask(at, Instant::now(), self.load.depth);
            }
        }
        while begun.elapsed() < time {
            self.turn(&mut events, time.saturating_sub(begun.elapsed()))?;
        }
        self.then = Then::Rests;
        self.finish(begun, begun + time, &mut events)
    }

    /// The places of those who are measured: they came last.
    fn active(&self) -> Range<usize> {
        self.all.len() - self.load.active..self.all.len()
    }

    /// So many requests in a second, dealt out to the clients in turn.
    ///
    /// # Errors
    /// As for [`closed_loop`](Self::closed_loop).
    pub(crate) fn open_loop(&mut self, rate: f64, time: Duration) -> io::Result<Seen> {
        let begun = self.begin()?;
        let end = begun + time;
        self.then = Then::Obeys;
        // What is still under way was never due here. If it stays so, what is due behind it waits.
        self.all.iter_mut().for_each(|client| client.before = client.due.len());
        let mut events = Events::with_capacity(1024);
        let due = |number: u32| begun + Duration::from_secs_f64(f64::from(number) / rate);
        let mut dues = (0..).map(due).take_while(|&due| due < end).zip(self.active().cycle());
        let mut dues = std::iter::from_fn(|| dues.next()).peekable();
        while dues.peek().is_some() {
            // It does not sleep: to wake up takes longer than most answers.
            self.turn(&mut events, Duration::ZERO)?;
            let now = Instant::now();
            while let Some((due, at)) = dues.next_if(|&(due, _)| due <= now) {
                self.is_due(at, due, end);
            }
        }
        self.finish(begun, end, &mut events)
    }

    /// One client is to ask once more, as soon as it can.
    fn is_due(&mut self, at: usize, due: Instant, end: Instant) {
        let client = &mut self.all[at];
        if client.due.is_empty() {
            self.ask(at, due, 1);
        } else if client.queue.len() < QUEUE {
            client.queue.push_back(due);
        } else {
            self.seen.unanswered += 1;
            self.seen.record(end - due);
        }
    }

    /// Counts from here.
    fn begin(&mut self) -> io::Result<Instant> {
        self.seen = Seen::new(self.load.active)?;
        let now = Instant::now();
        for at in 0..self.all.len() {
            let client = &mut self.all[at];
            client.answers = 0;
            // The time of earlier requests is that of an earlier load.
            client.due.iter_mut().for_each(|due| *due = now);
            if client.stream.is_none() && !client.due.is_empty() {
                self.resume(at);
            }
        }
        self.heard = now;
        Ok(now)
    }

    /// Waits a little for what is under way, and counts what has not come: clients of a closed
    /// loop, requests of an open one. Each is in the latency with the time that it has waited.
    fn finish(&mut self, begun: Instant, end: Instant, events: &mut Events) -> io::Result<Seen> {
        self.heard = end;
        // What has come while this thread stood still has not come too late.
        self.turn(events, Duration::ZERO)?;
        let is_waiting =
            |client: &Client| client.due.len() > client.before || !client.queue.is_empty();
        while self.all[self.active()].iter().any(is_waiting)
            && self.heard.elapsed() < GRACE
            && end.elapsed() < 5 * GRACE
        {
            self.turn(events, GRACE)?;
        }
        let now = Instant::now();
        let is_open = std::mem::replace(&mut self.then, Then::Rests) == Then::Obeys;
        for client in &mut self.all[self.load.idle + self.load.slow..] {
            let most = if is_open { usize::MAX } else { 1 };
            let asked = client.due.iter().skip(client.before).copied();
            for due in asked.chain(client.queue.drain(..)).take(most) {
                self.seen.unanswered += 1;
                self.seen.record(now - due);
            }
            client.before = 0;
        }
        self.seen.time = self.heard.max(end) - begun;
        self.seen.served = self.all.iter().filter(|client| client.has_heard).count();
        self.seen.shares = self.all[self.active()].iter().map(|client| client.answers).collect();
        let next = Seen::new(self.load.active)?;
        Ok(std::mem::replace(&mut self.seen, next))
    }

    fn turn(&mut self, events: &mut Events, most: Duration) -> io::Result<()> {
        let now = Instant::now();
        let next = self.sipping.front().map(|(at, _)| at.saturating_duration_since(now));
        let most = next.map_or(most, |next| next.min(most));
        match self.poll.poll(events, Some(most)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for event in events.iter() {
            let at = event.token().0;
            if !self.all[at].is_connected && (event.is_writable() || event.is_error()) {
                self.all[at].is_connected = true;
                self.send(at);
            }
            let speaks = event.is_readable() || event.is_read_closed() || event.is_error();
            if speaks && self.all[at].role != Role::Slow {
                self.receive(at, event.is_read_closed() || event.is_error())?;
            }
        }
        let now = Instant::now();
        while let Some(&(due, at)) = self.sipping.front()
            && due <= now
        {
            self.sipping.pop_front();
            self.receive(at, false)?;
            self.sipping.push_back((now + PAUSE, at));
        }
        Ok(())
    }

    /// Asks `count` times at once, on a new connection if there is none.
    fn ask(&mut self, at: usize, due: Instant, count: usize) {
        let role = self.all[at].role;
        let targets = match role {
            Role::Active | Role::Idle => self.load.choices,
            Role::Slow => self.load.long,
        };
        let client = &mut self.all[at];
        client.target = targets[self.random.usize(..targets.len())];
        client.due.extend(std::iter::repeat_n(due, count));
        // From then on a slow one sips by itself, whatever becomes of its connection.
        let is_new = !client.has_heard;
        if role == Role::Slow && is_new {
            self.sipping.push_back((due + PAUSE, at));
        }
        if role != Role::Slow || is_new {
            self.waiting += 1;
        }
        self.resume(at);
    }

    /// Sends what has been asked for and not been answered.
    fn resume(&mut self, at: usize) {
        let client = &mut self.all[at];
        if client.stream.is_none() {
            match connect(self.load.server, client.role == Role::Slow) {
                Ok(mut stream) => {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    if self.poll.registry().register(&mut stream, Token(at), both).is_ok() {
                        client.stream = Some(stream);
                    }
                    client.is_connected = false;
                }
                Err(error) => self.seen.fail(format!("cannot connect: {error}")),
            }
            return;
        }
        self.send(at);
    }

    fn send(&mut self, at: usize) {
        let client = &mut self.all[at];
        let target: &Target = &self.load.targets[client.target];
        let Some(stream) = &mut client.stream else { return };
        target.chill();
        self.burst.clear();
        for _ in &client.due {
            self.burst.extend_from_slice(&target.ask.request);
        }
        match stream.write(&self.burst) {
            Ok(sent) if sent == self.burst.len() => {}
            Ok(_) => self.lose(at, "a request does not leave whole"),
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                self.all[at].is_connected = false;
            }
            Err(error) => self.lose(at, &format!("a request does not leave: {error}")),
        }
    }

    /// Reads what is there. A short read means that there is no more, but for an end.
    fn receive(&mut self, at: usize, has_ended: bool) -> io::Result<()> {
        let most = if self.all[at].role == Role::Slow { SIP } else { BUFFER };
        loop {
            let Some(stream) = &mut self.all[at].stream else { return Ok(()) };
            match stream.read(&mut self.buffer[..most]) {
                Ok(0) => {
                    self.end(at);
                    return Ok(());
                }
                Ok(count) => {
                    let now = Instant::now();
                    let client = &mut self.all[at];
                    let is_first = !std::mem::replace(&mut client.has_heard, true);
                    let is_slow = client.role == Role::Slow;
                    if !is_slow || is_first {
                        self.heard = now;
                    }
                    if is_slow && is_first {
                        self.waiting -= 1;
                    }
                    self.check(at, count, now)?;
                    let is_dry = count < most && !has_ended;
                    if is_dry || self.all[at].role == Role::Slow {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lose(at, &format!("a connection breaks: {error}"));
                    return Ok(());
                }
            }
        }
    }

    /// Checks `count` bytes that have come.
    fn check(&mut self, at: usize, count: usize, now: Instant) -> io::Result<()> {
        let client = &mut self.all[at];
        let ask = &self.load.targets[client.target].ask;
        let mut rest = &self.buffer[..count];
        while !rest.is_empty() {
            let Some(&due) = client.due.front() else {
                return Err(io::Error::other("more comes than was asked for"));
            };
            let taken = client.reading.take(rest, ask, &mut self.last_head);
            let taken = taken.map_err(io::Error::other)?;
            rest = &rest[taken.bytes..];
            if taken.is_whole {
                client.due.pop_front();
                client.answers_here += 1;
                if client.before > 0 {
                    client.before -= 1;
                } else if client.role == Role::Active {
                    client.answers += 1;
                    self.seen.answers += 1;
                    self.seen.record(now - due);
                }
            }
        }
        if client.due.is_empty() && !self.load.closes {
            self.answered(at);
        }
        Ok(())
    }

    /// The server has closed. After some answers it may; what it has not answered is asked again.
    fn end(&mut self, at: usize) {
        let client = &mut self.all[at];
        client.stream = None;
        let is_whole = client.reading.is_between();
        client.reading = Reading::default();
        let has_answered = std::mem::take(&mut client.answers_here) > 0;
        if !(has_answered && is_whole) {
            return self.lose(at, "the server closes without an answer");
        }
        if !client.due.is_empty() {
            self.resume(at);
        } else if self.load.closes {
            self.answered(at);
        }
    }

    /// A connection is gone. Its client asks on a new one.
    fn lose(&mut self, at: usize, why: &str) {
        self.seen.fail(why.to_owned());
        let client = &mut self.all[at];
        client.stream = None;
        client.reading = Reading::default();
        client.answers_here = 0;
        if client.role != Role::Idle && self.then != Then::Rests && self.seen.errors < 10_000 {
            self.resume(at);
        }
    }

    /// All answers of one client are there.
    fn answered(&mut self, at: usize) {
        let role = self.all[at].role;
        if role != Role::Slow {
            self.waiting -= 1;
        }
        match role {
            Role::Active => match self.then {
                Then::Rests => {}
                Then::Asks => self.ask(at, Instant::now(), self.load.depth),
                Then::Obeys => {
                    if let Some(due) = self.all[at].queue.pop_front() {
                        self.ask(at, due, 1);
                    }
                }
            },
            Role::Slow => self.ask(at, Instant::now(), 1),
            Role::Idle => {}
        }
    }
}

impl Drop for Clients<'_> {
    /// Resets the connections: none of them leaves a port behind that has to wait.
    fn drop(&mut self) {
        for stream in self.all.iter().filter_map(|one| one.stream.as_ref()) {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}
