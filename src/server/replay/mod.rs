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
mod story;
mod words;

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

use super::Server;
use super::net::Net;
use super::recorder::{Moment, Turn};
use super::spawner::Job;
pub use blocks::{Damage, Unreadable};
use crc32fast::Hasher;
pub use recorded::Recorded;
pub use replayed::{Outcome, Replayed};
use words::Word;

/// Bytes that a recording may have, unless it is said otherwise.
pub const MOST: u64 = 1 << 30;

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
    /// A turn is over in which so much has happened, with this checksum. Returns whether there is
    /// another one.
    fn turned(&mut self, moments: u64, sum: u32) -> bool;

    /// The server has ended.
    fn end(&mut self);
}

impl<N: Tape> Server<N> {
    /// Begins to remember when each thing happens, to the nanosecond.
    pub fn begin_tape(&mut self) {
        self.recorder.be_fine(true);
    }

    /// Says that a turn is over, and what has happened since moment `first`: what the recorder has
    /// of that, with all times and states. Returns the number of the moment that will be next;
    /// `None` where a replay is over, or this turn is not what it was.
    pub fn mark_turn(&mut self, first: u64) -> Option<u64> {
        let moments = self.recorder.moments();
        let mut sum = Hasher::new();
        add_turn(&mut sum, self.recorder.turn());
        moments.since(first).for_each(|(_, moment)| add_moment(&mut sum, moment));
        let next = moments.count();
        self.net.turned(next - first, sum.finalize()).then_some(next)
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

    /// What has happened in the last turn, from moment `first` on, in lines of text.
    #[must_use]
    pub fn story(&self, first: u64) -> String {
        let mut text = String::new();
        story::tell(self.turn_number(), first, &self.recorder, &mut text);
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

/// Takes in all that is known of a turn, but for what has happened in it.
fn add_turn(sum: &mut Hasher, turn: &Turn) {
    let Turn { woken_ns, waited_ns, worked_ns, first, ready, served } = *turn;
    let numbers = [woken_ns, waited_ns, worked_ns, first, ready.into(), served.into()];
    sum.update(numbers.map(u64::to_le_bytes).as_flattened());
}

/// Takes in all that is known of a moment.
fn add_moment(sum: &mut Hasher, moment: &Moment) {
    let Moment { at_ns, amount, peer, detail, act, before, after } = *moment;
    let [low, high] = detail.to_le_bytes();
    let states = [before, after].map(|state| [state.reading as u8, state.writing as u8]);
    sum.update([at_ns, amount].map(u64::to_le_bytes).as_flattened());
    sum.update([peer.key, peer.generation].map(u32::to_le_bytes).as_flattened());
    sum.update(&[low, high, act as u8]);
    sum.update(states.as_flattened());
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
    use crate::http::connection::{Reads, State, Writes};
    use crate::server::peers::PeerId;
    use crate::server::recorder::Act;

    #[test]
    fn nothing_of_a_moment_or_a_turn_can_be_another_unnoticed() {
        let sum = |add: &dyn Fn(&mut Hasher)| {
            let mut sum = Hasher::new();
            add(&mut sum);
            sum.finalize()
        };
        let state = State::default();
        let peer = PeerId { key: 1, generation: 2 };
        let (act, before, after) = (Act::Read, state, state);
        let moment = Moment { at_ns: 3, amount: 4, peer, detail: 5, act, before, after };
        let others = [
            moment,
            Moment { at_ns: 1 << 40, ..moment },
            Moment { amount: 1 << 40, ..moment },
            Moment { peer: PeerId { key: 7, ..peer }, ..moment },
            Moment { peer: PeerId { generation: 7, ..peer }, ..moment },
            Moment { detail: 5 << 8, ..moment },
            Moment { act: Act::Closed, ..moment },
            Moment { before: State { reading: Reads::Done, ..state }, ..moment },
            Moment { after: State { reading: Reads::Done, ..state }, ..moment },
            Moment { after: State { writing: Writes::Done, ..state }, ..moment },
        ];
        let mut sums = others.map(|one| sum(&|sum| add_moment(sum, &one))).to_vec();
        let turn = Turn { woken_ns: 1, waited_ns: 2, worked_ns: 3, first: 4, ready: 5, served: 6 };
        let others = [
            turn,
            Turn { woken_ns: 9, ..turn },
            Turn { waited_ns: 9, ..turn },
            Turn { worked_ns: 9, ..turn },
            Turn { first: 9, ..turn },
            Turn { ready: 9, ..turn },
            Turn { served: 9, ..turn },
        ];
        sums.extend(others.map(|one| sum(&|sum| add_turn(sum, &one))));
        let count = sums.len();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), count, "two are known by the same number");
    }

    #[test]
    fn times_come_back_whether_they_go_on_or_back() {
        let (mut written, mut read) = (Clocks::default(), Clocks::default());
        for time in [0, 5, 5, 1 << 62, 3, u64::MAX, 0] {
            let difference = written.difference(time, |clocks| &mut clocks.nanos);
            assert_eq!(read.time(difference, |clocks| &mut clocks.nanos), time);
        }
    }
}
