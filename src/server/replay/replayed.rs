//! The network of a server that is replayed: a recording. It answers each call with what came of it
//! then, and compares what the server asks with what it has asked then. Once they differ, or the
//! recording is over, every wait fails and nothing is told any more.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Read, Seek};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::asked::{Asked, Call};
use super::blocks::{Damage, Reader, Unreadable};
use super::recorded::{
    asked_to_accept, asked_to_connect, asked_to_listen, asked_to_wait, asked_to_write,
};
use super::words::Word;
use super::{Clocks, Head, Tape, stamp, sum_of};
use crate::server::listener::{Address, PathOwner};
use crate::server::net::{Net, Ready, Wake};
use crate::server::peers::PeerId;
use crate::server::spawner::{Ending, Job};
use crate::server::timers::Millis;
use crate::site::program::Endpoint;

/// How long a replay waits for another thread that had left word by then in the recording: as long
/// as the slowest password takes to verify, and longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// No clock of a loop comes so far: a century, in nanoseconds. Times can be added to it.
const LATEST_NS: u64 = 100 * 365 * 86_400 * 1_000_000_000;

/// How often it looks whether the thread has.
const LOOK: Duration = Duration::from_millis(1);

/// How a replay has come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of the recording came out as it was recorded, to the end of the server.
    Same,
    /// The same as far as the recording goes: it was ended before the server, for its length.
    SameUntilFull,
    /// The same, but the recording has no end: whoever made it was stopped.
    SameUntilCut,
    /// The same up to the turn that was asked for.
    SameUntilTurn,
    /// The server has asked for something else than it had then.
    Differs {
        /// In which turn; those before came out as they were recorded.
        turn: u64,
        /// Where that is in the file.
        offset: u64,
        /// What differs.
        what: String,
    },
}

impl Outcome {
    /// Whether everything came out as it was recorded.
    #[must_use]
    pub fn is_same(&self) -> bool {
        match self {
            Outcome::Same
            | Outcome::SameUntilFull
            | Outcome::SameUntilCut
            | Outcome::SameUntilTurn => true,
            Outcome::Differs { .. } => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Same => "all of it came out as recorded",
            Outcome::SameUntilTurn => "it came out as recorded up to here",
            Outcome::SameUntilFull => {
                "it came out as recorded as far as the recording goes, which was as long as it \
                 might be"
            }
            Outcome::SameUntilCut => {
                "it came out as recorded as far as the recording goes, which has no end: the \
                 server was killed, or there was no room"
            }
            Outcome::Differs { turn, offset, what } => {
                return write!(f, "turn {turn} differs, at offset {offset}: {what}");
            }
        })
    }
}

/// A network made of a recording.
#[derive(Debug)]
pub struct Replayed<R = File> {
    state: RefCell<State<R>>,
}

#[derive(Debug)]
struct State<R> {
    reader: Reader<R>,
    /// How much of the reader's block was used.
    at: usize,
    clocks: Clocks,
    /// Turns that were begun.
    turn: u64,
    /// The last one.
    until: u64,
    outcome: Option<Outcome>,
}

impl<R: Read + Seek> Replayed<R> {
    /// Looks through all of a recording for damage, and goes back to its beginning.
    ///
    /// # Errors
    /// Where it is damaged, or none; those of read(2).
    pub fn open(mut source: R) -> Result<(Head, Replayed<R>), Unreadable> {
        let mut reader = Reader::begin(&mut source)?;
        while reader.advance()? {}
        source.rewind()?;
        let mut reader = Reader::begin(source)?;
        let offset = reader.offset;
        let what = "this recording has no beginning";
        let nothing = || Unreadable::Damaged(Damage { offset, what });
        let head = if reader.advance()? { Head::get(&reader.block) } else { None };
        let head = head.ok_or_else(nothing)?;
        let (clocks, at) = (Clocks::default(), reader.block.len());
        let state = State { reader, at, clocks, turn: 0, until: u64::MAX, outcome: None };
        Ok((head, Replayed { state: RefCell::new(state) }))
    }
}

impl<R: Read> Replayed<R> {
    /// The replay ends behind this turn. The first one is turn 1.
    pub fn end_behind(&mut self, turn: u64) {
        self.state.get_mut().until = turn;
    }

    /// The number of the turn under way.
    #[must_use]
    pub fn turn(&self) -> u64 {
        self.state.borrow().turn
    }

    /// How it has come out, once it is over.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.state.borrow().outcome.clone()
    }

    /// The last time that the recording has told of the clock of the loop, in nanoseconds.
    pub(super) fn told_ns(&self) -> u64 {
        self.state.borrow().clocks.nanos.min(LATEST_NS)
    }

    fn ask<T: Word>(&self, asked: Asked) -> Option<T> {
        self.state.borrow_mut().ask(asked)
    }

    /// What came of a call that can fail, or an error where the replay is over.
    fn result<T: Word>(&self, asked: Asked) -> io::Result<T> {
        self.ask(asked).unwrap_or_else(|| Err(over()))
    }

    fn differs(&self, what: &str) {
        self.state.borrow_mut().differs(what.to_owned());
    }

    /// What was read then.
    fn read_again(&self, asked: Asked, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes: Vec<u8> = self.result(asked)?;
        let count = self.within(bytes.len(), buffer.len())?;
        buffer[..count].copy_from_slice(&bytes);
        Ok(count)
    }

    /// No call moves more bytes than it was given.
    fn within(&self, count: usize, most: usize) -> io::Result<usize> {
        if count > most {
            self.differs("more bytes were moved than there were, which cannot be");
            return Err(over());
        }
        Ok(count)
    }
}

impl<R: Read> State<R> {
    /// What came of this call, if it is the one that was made then.
    fn ask<T: Word>(&mut self, asked: Asked) -> Option<T> {
        if self.outcome.is_some() || !self.has_more() {
            return None;
        }
        let mut rest = &self.reader.block[self.at..];
        match Asked::get(&mut rest) {
            None => {
                self.differs("what is written here is no call of the loop".to_owned());
                None
            }
            Some(Asked { call: Call::Full, .. }) => {
                self.at = self.reader.block.len() - rest.len();
                self.finish(Outcome::SameUntilFull);
                None
            }
            Some(then) if then != asked => {
                self.differs(difference(asked, then));
                None
            }
            Some(_) => {
                let answer = T::get(&mut rest);
                let left = rest.len();
                if answer.is_none() {
                    self.differs(format!("no answer is written here to who {asked}"));
                } else {
                    self.at = self.reader.block.len() - left;
                }
                answer
            }
        }
    }

    /// Whether something is left of the recording.
    fn has_more(&mut self) -> bool {
        while self.at == self.reader.block.len() {
            self.at = 0;
            match self.reader.advance() {
                Ok(true) => {}
                Ok(false) => {
                    self.outcome = Some(Outcome::SameUntilCut);
                    return false;
                }
                Err(error) => {
                    self.differs(error.to_string());
                    return false;
                }
            }
        }
        true
    }

    /// The recording ends here, so nothing may stand behind it.
    fn finish(&mut self, outcome: Outcome) {
        if self.has_more() || self.reader.is_cut {
            self.outcome = None;
            self.differs("more is written behind the end".to_owned());
        } else if self.outcome == Some(Outcome::SameUntilCut) {
            self.outcome = Some(outcome);
        }
    }

    fn differs(&mut self, what: String) {
        if self.outcome.is_none() {
            // Where there is no block any more, it is behind the last one.
            let is_in_block = !self.reader.block.is_empty();
            let within = self.reader.offset + self.at as u64;
            let offset = if is_in_block { within } else { self.reader.read };
            self.outcome = Some(Outcome::Differs { turn: self.turn, offset, what });
        }
    }
}

/// What is told where the server does something else than it did then.
fn difference(asked: Asked, then: Asked) -> String {
    let may_be_of_file = [asked, then].iter().all(|one| one.call.may_be_of_file());
    let files = "; have files of the site changed since, or who may read them";
    let files = if may_be_of_file { files } else { "" };
    format!("the server {asked}; in the recording it {then}{files}")
}

/// What is said once nothing is told any more.
fn over() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the replay is over")
}

impl<R: Read> Tape for Replayed<R> {
    fn begin(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn turned(&mut self, moments: u64, sum: u32) -> bool {
        let asked = Asked::of(Call::Turned).amount(moments).sum(sum);
        self.ask::<()>(asked).is_some()
    }

    fn end(&mut self) {
        if self.ask::<()>(Asked::of(Call::End)).is_some() {
            self.state.get_mut().finish(Outcome::Same);
        }
    }
}

impl<R: Read> Net for Replayed<R> {
    fn now(&self) -> Millis {
        Millis(self.nanos() / 1_000_000)
    }

    fn nanos(&self) -> u64 {
        let mut state = self.state.borrow_mut();
        match state.ask(Asked::of(Call::Nanos)) {
            Some(difference) => {
                state.clocks.time(difference, |clocks| &mut clocks.nanos).min(LATEST_NS)
            }
            // What is done from now on is later than all that was recorded.
            None => state.clocks.nanos.min(LATEST_NS) + 1,
        }
    }

    fn hold(&mut self, is_held: bool) {
        self.ask::<()>(Asked::of(Call::Hold).amount(is_held.into()));
    }

    fn unix_time(&self) -> u64 {
        let mut state = self.state.borrow_mut();
        let difference = state.ask(Asked::of(Call::UnixTime)).unwrap_or(0);
        state.clocks.time(difference, |clocks| &mut clocks.seconds)
    }

    fn chance(&mut self) -> u64 {
        self.ask(Asked::of(Call::Chance)).unwrap_or(0)
    }

    fn resident(&mut self) -> Option<u64> {
        self.ask(Asked::of(Call::Resident)).flatten()
    }

    fn listen(&mut self, address: &Address, listener: PeerId) -> io::Result<(Address, PathOwner)> {
        // Who is recorded has listened; what else there is to say, is said at the first wait.
        let there = self.result(asked_to_listen(address, listener));
        // There is no socket, and its path may be another server's by now.
        Ok((there.unwrap_or_else(|_| address.clone()), PathOwner::Other))
    }

    fn next_signal(&mut self) -> Option<i32> {
        self.ask(Asked::of(Call::NextSignal)).flatten()
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let state = self.state.get_mut();
        if state.outcome.is_none() && state.turn == state.until {
            state.outcome = Some(Outcome::SameUntilTurn);
        }
        if state.outcome.is_none() {
            state.turn += 1;
        }
        let events: Vec<Ready> = self.result(asked_to_wait(timeout))?;
        ready.extend(events);
        if self.state.get_mut().outcome.is_some() { Err(over()) } else { Ok(()) }
    }

    fn waker(&self) -> Wake {
        // What other threads have said when, the recording says.
        Arc::new(|| ())
    }

    fn heard(&mut self, _: impl FnOnce() -> Option<PeerId>) -> Option<PeerId> {
        self.ask(Asked::of(Call::Heard)).flatten()
    }

    fn has_word(&mut self, mut look: impl FnMut() -> bool) -> bool {
        let had_word = self.ask(Asked::of(Call::HasWord)).unwrap_or(false);
        let begin = Instant::now();
        // Looked for even where none is to be found: to look may be what makes it come.
        while !look() && had_word {
            if begin.elapsed() > PATIENCE {
                self.differs("another thread had left word by now, and does not now");
                return false;
            }
            thread::sleep(LOOK);
        }
        had_word
    }

    fn has_visitor(&mut self, listener: PeerId) -> bool {
        self.ask(Asked::about(Call::HasVisitor, listener)).unwrap_or(false)
    }

    fn accept(&mut self, listener: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>> {
        let answer = self.ask(asked_to_accept(listener, client));
        answer.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn watch(&mut self, client: PeerId) -> io::Result<()> {
        self.result(Asked::about(Call::Watch, client))
    }

    fn read(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        let asked = Asked::about(Call::Read, peer).amount(buffer.len() as u64);
        self.read_again(asked, buffer)
    }

    fn write(&mut self, peer: PeerId, parts: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        let count = self.result(asked_to_write(peer, parts, more))?;
        self.within(count, parts.iter().map(|part| part.len()).sum())
    }

    fn read_at_hand(&mut self, file: &File, bytes: &mut [u8], offset: u64) -> bool {
        let asked = Asked::of(Call::ReadAtHand).amount(bytes.len() as u64);
        let was_there = self.ask(asked.sum(stamp(file, offset))).unwrap_or(false);
        if was_there && file.read_exact_at(bytes, offset).is_err() {
            self.differs("a file cannot be read any more");
        }
        was_there
    }

    fn fetch(&mut self, peer: PeerId, file: &Arc<File>, offset: u64, length: usize) -> bool {
        let asked = Asked::about(Call::Fetch, peer).amount(length as u64);
        self.ask(asked.sum(stamp(file, offset))).unwrap_or(true)
    }

    fn send_file(
        &mut self,
        peer: PeerId,
        file: &File,
        offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let asked = Asked::about(Call::SendFile, peer).amount(length as u64);
        let count = self.result(asked.sum(stamp(file, offset)))?;
        self.within(count, length)
    }

    fn finish(&mut self, peer: PeerId) {
        self.ask::<()>(Asked::about(Call::Finish, peer));
    }

    fn close(&mut self, peer: PeerId) {
        self.ask::<()>(Asked::about(Call::Close, peer));
    }

    fn abort(&mut self, peer: PeerId) {
        self.ask::<()>(Asked::about(Call::Abort, peer));
    }

    fn shrink(&mut self, slots: usize) {
        self.ask::<()>(Asked::of(Call::Shrink).amount(slots as u64));
    }

    fn local_address(&self, peer: PeerId) -> Option<SocketAddr> {
        self.ask(Asked::about(Call::LocalAddress, peer)).flatten()
    }

    fn connect(&mut self, endpoint: &Endpoint, gateway: PeerId) -> io::Result<()> {
        self.result(asked_to_connect(endpoint, gateway))
    }

    fn spawn(&mut self, job: Job, gateway: PeerId) -> io::Result<()> {
        self.result(Asked::about(Call::Spawn, gateway).sum(sum_of(&job)))
    }

    fn error(&mut self, peer: PeerId) -> Option<io::Error> {
        self.ask(Asked::about(Call::Error, peer)).flatten()
    }

    fn read_complaints(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        let asked = Asked::about(Call::ReadComplaints, peer).amount(buffer.len() as u64);
        self.read_again(asked, buffer)
    }

    fn ended(&mut self, peer: PeerId) -> Option<Ending> {
        self.ask(Asked::about(Call::Ended, peer)).flatten()
    }

    fn kill(&mut self, peer: PeerId) {
        self.ask::<()>(Asked::about(Call::Kill, peer));
    }
}

#[cfg(test)]
mod tests;
