//! Record and replay: what the network has told the loop, in a file; and the same server on it once
//! more, with no network. [`Recorded`] stands between a server and its network and writes down what
//! is asked, and what comes of it. [`Replayed`] is a network made of such a file: it answers as the
//! other did then, and notices when it is asked for anything else.
//!
//! The files of a site are no part of a recording: a replay reads them where they are. What the
//! server writes has a checksum in it, so where a file has changed, the replay says so.

mod asked;
mod blocks;
mod recorded;
mod replayed;
mod scribe;
mod story;
mod words;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use super::Server;
use super::net::Net;
use super::spawner::Job;
pub use blocks::{Damage, Unreadable};
use crc32fast::Hasher;
pub use recorded::Recorded;
pub use replayed::{Outcome, Replayed};
use words::Word;

/// Bytes that a recording may have, unless it is said otherwise.
pub const MOST: u64 = 1 << 30;

/// Moments that a replay keeps where they are told, so that all of a turn are. They take some 64
/// bytes each, of which none that was never used is in memory.
pub const WHOLE_TURN: usize = 1 << 20;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a recording begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The version of the program that has made it.
    pub made_by: String,
    /// The configuration that the server had, in words that this program understands.
    pub configuration: String,
}

impl Head {
    /// That of a recording which is made now.
    #[must_use]
    pub fn new(configuration: String) -> Head {
        Head { made_by: VERSION.to_owned(), configuration }
    }

    /// Whether this program is what has made it: another one may do other things.
    #[must_use]
    pub fn is_of_this_program(&self) -> bool {
        self.made_by == VERSION
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.made_by.put(out);
        self.configuration.put(out);
    }

    fn get(mut input: &[u8]) -> Option<Head> {
        let head =
            Head { made_by: String::get(&mut input)?, configuration: String::get(&mut input)? };
        input.is_empty().then_some(head)
    }
}

/// A network that writes down what it says, or that says what was written down.
pub trait Tape: Net {
    /// The server is about to take its first turn.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    fn begin(&mut self) -> io::Result<()>;

    /// A turn is over in which so much has happened, with this checksum. Returns whether there is
    /// another one.
    fn turned(&mut self, moments: u64, sum: u32) -> bool;

    /// The server has ended.
    fn end(&mut self);
}

impl<N: Tape> Server<N> {
    /// Begins to remember when each thing happens, to the nanosecond, and to sum up all of it.
    ///
    /// # Errors
    /// Where the server cannot be recorded.
    pub fn begin_tape(&mut self) -> io::Result<()> {
        self.recorder.be_fine(true);
        self.recorder.sum_up();
        self.net.begin()
    }

    /// Says that a turn is over, and what has happened since moment `first`, which was the next one
    /// when the turn before was over: all of it, with all times and states. Returns the number of
    /// the next moment; `None` where a replay is over, or this turn is not what it was.
    pub fn mark_turn(&mut self, first: u64) -> Option<u64> {
        let next = self.recorder.moments().count();
        let sum = self.recorder.sum_up();
        self.net.turned(next - first, sum).then_some(next)
    }

    /// Says that the server has ended.
    pub fn end_tape(&mut self) {
        self.net.end();
    }
}

impl Server<Replayed> {
    /// The number of the turn under way, or of the last one.
    #[must_use]
    pub fn turn_number(&self) -> u64 {
        self.net.turn()
    }

    /// What has happened in the last turn, from moment `first` on, in lines of text. Where the
    /// replay has come to an end within the turn, what was done behind that is not told.
    #[must_use]
    pub fn story(&self, first: u64) -> String {
        let mut text = String::new();
        story::tell(self.turn_number(), first, self.net.told_ns(), &self.recorder, &mut text);
        text
    }

    /// How the replay has come out, once it is over.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.net.outcome()
    }
}

/// The nanoseconds of a clock, and the seconds of another, as they are written: as differences.
#[derive(Debug, Default)]
struct Clocks {
    nanos: u64,
    seconds: u64,
}

impl Clocks {
    /// The difference to the time that was told before on the clock that `clock` picks.
    fn difference(&mut self, time: u64, clock: impl FnOnce(&mut Clocks) -> &mut u64) -> i64 {
        let before = std::mem::replace(clock(self), time);
        time.wrapping_sub(before).cast_signed()
    }

    /// The time that is so much later than the one before.
    fn time(&mut self, difference: i64, clock: impl FnOnce(&mut Clocks) -> &mut u64) -> u64 {
        let time = clock(self);
        *time = time.wrapping_add_signed(difference);
        *time
    }
}

/// What a file is known by in a recording: its length, and when its content was changed last.
/// Where something of it is used from `offset` on.
fn stamp(file: &File, offset: u64) -> u32 {
    let facts = file.metadata().map(|facts| (facts.len(), facts.mtime(), facts.mtime_nsec()));
    let (length, seconds, nanoseconds) = facts.unwrap_or_default();
    let numbers = [offset, length, seconds.cast_unsigned(), nanoseconds.cast_unsigned()];
    crc32fast::hash(numbers.map(u64::to_le_bytes).as_flattened())
}

/// What a process is known by: program, arguments and variables. Where programs are looked for is
/// left out, for the server has that from its own environment.
fn sum_of(job: &Job) -> u32 {
    let mut words = vec![job.program.as_os_str()];
    words.extend(job.arguments.iter().map(OsString::as_os_str));
    let variables = job.environment.iter().filter(|(name, _)| name != "PATH");
    words.extend(variables.flat_map(|(name, value)| [name.as_os_str(), value.as_os_str()]));
    let mut sum = Hasher::new();
    for word in words {
        sum.update(word.as_encoded_bytes());
        sum.update(&[0]);
    }
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_whether_they_go_on_or_back() {
        let (mut written, mut read) = (Clocks::default(), Clocks::default());
        for time in [0, 5, 5, 1 << 62, 3, u64::MAX, 0] {
            let difference = written.difference(time, |clocks| &mut clocks.nanos);
            assert_eq!(read.time(difference, |clocks| &mut clocks.nanos), time);
        }
    }
}
