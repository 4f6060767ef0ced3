//! The flight recorder: what the loop did last, in memory that does not grow. Two rings, of turns
//! and of moments, are always written; whoever looks at them does so later. Nothing is allocated
//! once they are full, and nothing is worked out that a reader can work out.
//!
//! What a moment means to the protocol is not known here, nor who reads of it.

mod exchanges;
mod sum;
#[cfg(test)]
mod tests;
mod trace;
pub(super) mod words;

use std::net::SocketAddr;

use crc32fast::Hasher;

use super::Server;
use super::gateway::{Gateway, Origin};
use super::limits::Limits;
use super::net::Net;
use super::peers::{Peer, PeerId};
use crate::http::connection::State;
pub(super) use exchanges::{Exchange, Exchanges};
pub use trace::Trace;

/// Bytes of a request's line that are kept.
const LINE: usize = 60;

/// Moments for each line that is kept: an exchange has as many at least.
const MOMENTS_PER_LINE: usize = 4;

/// Long turns that are kept in words.
const STALLS: usize = 32;

/// What has moved a peer, and what the numbers of the [`Moment`] say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Act {
    /// It was taken in. `amount`: the number of its [`Note`].
    Accepted,
    /// Bytes were read from it.
    Read,
    /// A request's head is complete. `amount`: the number of its [`Note`].
    Head,
    /// Bytes of the request's content were taken up.
    Content,
    /// Another thread is to make the answer.
    Waits,
    /// A program is to make the answer. `amount`: the slot of the gateway; `detail`: 0 where a
    /// connection that was kept is used again, 1 where one is opened, 2 where a process is started.
    Dialed,
    /// Bytes were given to the program.
    Told,
    /// Bytes came from the program.
    Heard,
    /// An answer begins. `amount`: the number of its route; `detail`: the status code.
    Answered,
    /// Bytes were written to it. Where it stands idle behind it, the exchange is over.
    Wrote,
    /// Bytes of a file were sent to it.
    SentFile,
    /// A file is not in memory: a thread reads it.
    Fetches,
    /// Its deadline has come. `detail`: in which phase.
    Late,
    /// No more is written: the last answer is out, and it is listened to a little longer.
    Finished,
    /// Its share of the turn is over. `amount`: what that took, in nanoseconds; `detail`: its
    /// phase, and 256 more where it could have gone on.
    Served,
    /// It is to see that its answer is not whole.
    Reset,
    /// It has gone.
    Closed,
}

impl Act {
    /// All of them, in the order of their numbers.
    pub const ALL: [Act; 17] = [
        Act::Accepted,
        Act::Read,
        Act::Head,
        Act::Content,
        Act::Waits,
        Act::Dialed,
        Act::Told,
        Act::Heard,
        Act::Answered,
        Act::Wrote,
        Act::SentFile,
        Act::Fetches,
        Act::Late,
        Act::Finished,
        Act::Served,
        Act::Reset,
        Act::Closed,
    ];

    /// Its name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Act::Accepted => "accepted",
            Act::Read => "read",
            Act::Head => "head",
            Act::Content => "content",
            Act::Waits => "waits",
            Act::Dialed => "dialed",
            Act::Told => "told",
            Act::Heard => "heard",
            Act::Answered => "answered",
            Act::Wrote => "wrote",
            Act::SentFile => "sent file",
            Act::Fetches => "fetches",
            Act::Late => "late",
            Act::Finished => "finished",
            Act::Served => "served",
            Act::Reset => "reset",
            Act::Closed => "closed",
        }
    }
}

/// One thing that has happened to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When, in nanoseconds of the loop's clock: when the peer's share of the turn began, or the
    /// very time while somebody watches.
    pub at_ns: u64,
    /// Bytes, unless the [`Act`] says otherwise.
    pub amount: u64,
    /// Whom it has happened to.
    pub peer: PeerId,
    /// More, where the [`Act`] says so.
    pub detail: u16,
    /// What has happened.
    pub act: Act,
    /// Where its connection stood.
    pub before: State,
    /// Where it stands from then on.
    pub after: State,
}

/// One turn of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When the wait was over, in nanoseconds of the loop's clock.
    pub woken_ns: u64,
    /// How long the wait before had been, in nanoseconds.
    pub waited_ns: u64,
    /// How long the work took, in nanoseconds; 0 while it is under way.
    pub worked_ns: u64,
    /// The number of its first moment.
    pub first: u64,
    /// Events that the wait brought.
    pub ready: u32,
    /// Peers that were served.
    pub served: u32,
}

/// What words belong to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Where a client comes from; `None` over a Unix-domain socket.
    From(Option<SocketAddr>),
    /// What a request's first line begins with.
    Line(Line),
}

/// What a request's first line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    length: u8,
    bytes: [u8; LINE],
}

impl Line {
    /// All that was kept.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A turn that took too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Its number.
    pub turn: u64,
    /// When it began, in nanoseconds of the loop's clock.
    pub woken_ns: u64,
    /// What took how long, and whom it was for.
    pub what: String,
}

/// A ring of the last things of a kind. Each has a number, counted from 0 on.
#[derive(Debug)]
pub struct Ring<T> {
    kept: Vec<T>,
    /// Where the next one goes, once the ring is full.
    at: usize,
    most: usize,
    /// How many there have been.
    count: u64,
}

impl<T: Copy> Ring<T> {
    fn new(most: usize) -> Ring<T> {
        let most = most.max(1);
        // Pages that nothing was written to yet are not there.
        Ring { kept: Vec::with_capacity(most), at: 0, most, count: 0 }
    }

    /// Adds one. Returns its number.
    #[inline]
    fn push(&mut self, one: T) -> u64 {
        match self.kept.get_mut(self.at) {
            Some(oldest) => *oldest = one,
            None => self.grow(one),
        }
        self.at = if self.at + 1 == self.most { 0 } else { self.at + 1 };
        self.count += 1;
        self.count - 1
    }

    #[cold]
    fn grow(&mut self, one: T) {
        self.kept.push(one);
    }

    /// How many there have been. The last has the number below.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number of the oldest that is still here.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.count - self.kept.len() as u64
    }

    /// The one of this number, if it is still here.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&T> {
        let back = usize::try_from(self.count.checked_sub(number)?).ok()?;
        if back == 0 || back > self.kept.len() {
            return None;
        }
        let at = if back <= self.at { self.at - back } else { self.at + self.kept.len() - back };
        self.kept.get(at)
    }

    /// Those from `number` on that are still here, each with its number, oldest first.
    pub fn since(&self, number: u64) -> impl Iterator<Item = (u64, &T)> {
        let first = number.max(self.first());
        (first..self.count).filter_map(|number| Some((number, self.get(number)?)))
    }
}

/// The last turns and moments of a loop.
#[derive(Debug)]
pub struct Recorder {
    turns: Ring<Turn>,
    moments: Ring<Moment>,
    notes: Ring<Note>,
    stalls: Vec<Stall>,
    turn: Turn,
    /// When the piece of work under way began.
    piece_ns: u64,
    /// What the time was when somebody last looked.
    at_ns: u64,
    /// When the turn before ended.
    ended_ns: u64,
    /// Where the connection stands that is served.
    state: State,
    /// Every moment looks at the clock.
    is_fine: bool,
    /// What sums up the moments, while the server is recorded or replayed.
    sum: Option<Hasher>,
}

impl Recorder {
    /// One that keeps as much as these allow. The time is `now_ns`. A server has its own; this one
    /// is for measurements.
    #[must_use]
    pub fn new(limits: &Limits, now_ns: u64) -> Recorder {
        let turn =
            Turn { woken_ns: now_ns, waited_ns: 0, worked_ns: 0, first: 0, ready: 0, served: 0 };
        Recorder {
            turns: Ring::new(limits.recorder_turns),
            moments: Ring::new(limits.recorder_moments),
            notes: Ring::new(limits.recorder_moments / MOMENTS_PER_LINE),
            stalls: Vec::new(),
            turn,
            piece_ns: now_ns,
            at_ns: now_ns,
            ended_ns: now_ns,
            state: State::default(),
            is_fine: false,
            sum: None,
        }
    }

    /// The last turns that are over.
    #[must_use]
    pub fn turns(&self) -> &Ring<Turn> {
        &self.turns
    }

    /// The last moments.
    #[must_use]
    pub fn moments(&self) -> &Ring<Moment> {
        &self.moments
    }

    /// Words that belong to them.
    #[must_use]
    pub fn notes(&self) -> &Ring<Note> {
        &self.notes
    }

    /// The last turns that took too long, oldest first.
    #[must_use]
    pub fn stalls(&self) -> &[Stall] {
        &self.stalls
    }

    /// The turn under way.
    #[must_use]
    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// What belongs to this moment, if that is still here.
    #[must_use]
    pub fn note_of(&self, moment: &Moment) -> Option<&Note> {
        let has_note = matches!(moment.act, Act::Accepted | Act::Head);
        self.notes.get(moment.amount).filter(|_| has_note)
    }

    /// From now on, moments have their very time, or no longer.
    pub fn be_fine(&mut self, is_fine: bool) {
        self.is_fine = is_fine;
    }

    /// Whether a moment is to have its very time.
    pub(super) fn is_fine(&self) -> bool {
        self.is_fine
    }

    /// The checksum of the turn that is over and of all moments since this was last asked for, be
    /// they here still or not. Before it is asked for, nothing is summed up.
    pub(super) fn sum_up(&mut self) -> u32 {
        let mut sum = self.sum.replace(Hasher::new()).unwrap_or_default();
        sum::add_turn(&mut sum, &self.turn);
        sum.finalize()
    }

    /// A wait is over that brought so many events.
    pub fn begin_turn(&mut self, now_ns: u64, ready: usize) {
        self.turn = Turn {
            woken_ns: now_ns,
            waited_ns: now_ns.saturating_sub(self.ended_ns),
            worked_ns: 0,
            first: self.moments.count(),
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            served: 0,
        };
        self.skip_piece(now_ns);
    }

    /// The turn is over, and `is_long` if it took too long. Where it has served nobody, it is part
    /// of the wait.
    pub fn end_turn(&mut self, now_ns: u64, is_long: bool) {
        self.turn.worked_ns = now_ns.saturating_sub(self.turn.woken_ns);
        if self.turn.served > 0 || self.moments.count() > self.turn.first || is_long {
            self.ended_ns = now_ns;
            self.turns.push(self.turn);
        }
        // What happens before the next one begins is no part of this.
        self.turn.first = self.moments.count();
    }

    /// The turn that is over took too long.
    pub(super) fn stalled(&mut self, what: String) {
        if self.stalls.len() == STALLS {
            self.stalls.remove(0);
        }
        let turn = self.turns.count().saturating_sub(1);
        self.stalls.push(Stall { turn, woken_ns: self.turn.woken_ns, what });
    }

    /// A client is served whose connection stands there.
    pub fn begin(&mut self, state: State) {
        self.state = state;
    }

    /// Somebody has looked at the clock.
    pub(super) fn look(&mut self, now_ns: u64) {
        self.at_ns = now_ns;
    }

    /// Something has happened to `peer`, whose connection stands at `after` from now on.
    #[inline]
    pub fn add(&mut self, peer: PeerId, act: Act, after: State, (amount, detail): (u64, u16)) {
        let (at_ns, before) = (self.at_ns, self.state);
        self.state = after;
        let moment = Moment { at_ns, amount, peer, detail, act, before, after };
        if let Some(sum) = &mut self.sum {
            sum::add_moment(sum, &moment);
        }
        self.moments.push(moment);
    }

    /// Keeps what a request's first line begins with. Returns its number.
    pub fn note_line(&mut self, line: &[u8]) -> u64 {
        let length = line.len().min(LINE);
        let mut bytes = [0; LINE];
        bytes[..length].copy_from_slice(&line[..length]);
        let length = u8::try_from(length).expect("it is no more than 60");
        self.notes.push(Note::Line(Line { length, bytes }))
    }

    /// Keeps where a client comes from. Returns its number.
    pub(super) fn note_address(&mut self, address: Option<SocketAddr>) -> u64 {
        self.notes.push(Note::From(address))
    }

    /// The share of `peer` in this turn is over; `detail` as [`Act::Served`] says.
    pub fn end_piece(&mut self, now_ns: u64, peer: PeerId, state: State, detail: u16) {
        let took = now_ns.saturating_sub(self.piece_ns);
        self.turn.served += 1;
        self.state = state;
        self.at_ns = now_ns;
        self.add(peer, Act::Served, state, (took, detail));
        self.piece_ns = now_ns;
    }

    /// A piece of the turn is over that was for nobody in particular.
    pub(super) fn skip_piece(&mut self, now_ns: u64) {
        (self.piece_ns, self.at_ns) = (now_ns, now_ns);
    }
}

impl<N: Net> Server<N> {
    /// What the loop did last.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The same, to be told how fine it is to be.
    pub fn recorder_mut(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Something has happened to this peer, which is not being served.
    pub(super) fn record(&mut self, id: PeerId, act: Act, numbers: (u64, u16)) {
        let state = match self.peers.get_mut(id) {
            Some(Peer::Client(client)) if client.is_admin => return,
            Some(Peer::Client(client)) => client.connection.state(),
            Some(Peer::Listener(_) | Peer::Gateway(_)) | None => State::default(),
        };
        if self.recorder.is_fine() {
            self.recorder.look(self.net.nanos());
        }
        self.recorder.begin(state);
        self.recorder.add(id, act, state, numbers);
    }

    /// A client was given this gateway.
    pub(super) fn record_dialed(&mut self, client: PeerId, gateway: &Gateway) {
        let how = match gateway.origin {
            Origin::Kept => 0,
            Origin::Connected => 1,
            Origin::Started => 2,
        };
        self.record(client, Act::Dialed, (gateway.id.key.into(), how));
    }
}
