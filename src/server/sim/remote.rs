//! One made-up client: it sends in pieces, reads slowly, leaves early or never.

use fastrand::Rng;

use super::super::peers::PeerId;
use super::super::timers::Millis;

/// How a client behaves once it has sent what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Sends all, reads all, and waits for the server to close.
    Patient,
    /// Sends all, closes its direction, reads all.
    HalfCloses,
    /// Stops sending after this many bytes, and waits.
    StallsAt(usize),
    /// Resets the connection once it has sent this many bytes.
    ResetsAt(usize),
    /// Sends all and stops reading after this many bytes.
    StopsReadingAt(usize),
}

/// One client.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) manner: Manner,
    pub(super) script: Vec<u8>,
    pub(super) sent: usize,
    /// How many bytes may be on their way to it, unread.
    pub(super) window: usize,
    /// On their way to the server.
    pub(super) arrived: Vec<u8>,
    /// On their way to the client.
    pub(super) in_flight: Vec<u8>,
    pub(super) received: Vec<u8>,
    pub(super) peer: Option<PeerId>,
    /// The same, once waits tell of it.
    pub(super) watched: Option<PeerId>,
    pub(super) state: State,
    pub(super) half_closed: bool,
    pub(super) wants_room: bool,
    pub(super) next_at: Millis,
    pub(super) last_moved: Millis,
    pub(super) closed_at: Option<Millis>,
    pub(super) edges: Edges,
    /// The server has ended it by a reset.
    pub(super) was_reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Knocking,
    Open,
    /// The server has said that it will write no more.
    Finished,
    Closed,
    Gone,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Edges {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) broken: bool,
}

impl Remote {
    /// One that has still to come.
    pub(super) fn new(script: Vec<u8>, manner: Manner, random: &mut Rng) -> Self {
        Remote {
            manner,
            script,
            sent: 0,
            window: [5, 60, 900, 9_000, 70_000, 1 << 20][random.usize(..6)],
            arrived: Vec::new(),
            in_flight: Vec::new(),
            received: Vec::new(),
            peer: None,
            watched: None,
            state: State::Waiting,
            half_closed: false,
            wants_room: false,
            next_at: Millis(random.u64(..100)),
            last_moved: Millis(0),
            closed_at: None,
            edges: Edges::default(),
            was_reset: false,
        }
    }

    /// What it said, and how it stands, for whoever looks into a failure.
    pub(super) fn tell(&self) -> String {
        let said = String::from_utf8_lossy(&self.script[..self.sent]);
        format!(
            "{:?}, window {}, closed at {:?}, said {said:?}",
            self.state, self.window, self.closed_at
        )
    }

    /// Sends some more of its script.
    pub(super) fn send(&mut self, random: &mut Rng, now: Millis) {
        let end = match self.manner {
            Manner::StallsAt(at) | Manner::ResetsAt(at) => at.min(self.script.len()),
            Manner::Patient | Manner::HalfCloses | Manner::StopsReadingAt(_) => self.script.len(),
        };
        let most = [1, 2, 30, 1_000, 100_000][random.usize(..5)];
        let count = (end - self.sent).min(random.usize(1..=most));
        if count > 0 && self.state == State::Closed {
            // Nobody is there any more: a reset comes back, and what was not read is lost.
            self.in_flight.clear();
            self.state = State::Gone;
            return;
        }
        if count > 0 {
            self.arrived.extend_from_slice(&self.script[self.sent..self.sent + count]);
            self.sent += count;
            self.edges.readable = true;
            self.last_moved = now;
        }
        if self.sent < end || self.state == State::Closed {
            return;
        }
        if matches!(self.manner, Manner::ResetsAt(_)) {
            self.edges.broken = true;
            self.state = State::Gone;
        } else if self.manner == Manner::HalfCloses && !self.half_closed {
            self.half_closed = true;
            self.edges.readable = true;
        }
    }

    /// Whether something is on its way that it will read.
    pub(super) fn reads_on(&self) -> bool {
        !self.in_flight.is_empty() && !matches!(self.manner, Manner::StopsReadingAt(_))
    }

    /// Reads some of what is on its way.
    pub(super) fn take(&mut self, random: &mut Rng, now: Millis) {
        let most = [1, 50, 3_000, 1 << 20][random.usize(..4)];
        let mut count = self.in_flight.len().min(random.usize(1..=most));
        if let Manner::StopsReadingAt(at) = self.manner {
            count = count.min(at.saturating_sub(self.received.len()));
        }
        self.received.extend(self.in_flight.drain(..count));
        if count > 0 {
            self.last_moved = now;
            if std::mem::take(&mut self.wants_room) {
                self.edges.writable = true;
            }
        }
    }

    /// A client that has read all leaves when the server has; one that does not read is kept.
    pub(super) fn maybe_leave(&mut self, now: Millis) {
        let has_read_all = self.in_flight.is_empty();
        match self.state {
            State::Finished if has_read_all && !self.half_closed => {
                self.half_closed = true;
                self.edges.readable = true;
            }
            State::Closed if has_read_all || matches!(self.manner, Manner::StopsReadingAt(_)) => {
                self.state = State::Gone;
            }
            State::Waiting
            | State::Knocking
            | State::Open
            | State::Finished
            | State::Closed
            | State::Gone => {}
        }
        if self.state == State::Gone {
            self.closed_at.get_or_insert(now);
        }
    }
}
