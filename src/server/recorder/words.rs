//! The recording in words, for a log and for other forms of it.

use super::{Act, Moment, Note};
use crate::http::connection::{Reads, State, Writes};
use crate::server::Server;
use crate::server::net::Net;
use crate::server::peers::PeerId;

/// A peer's name: its slot, and which tenant of that it is.
pub(in crate::server) fn peer(id: PeerId) -> String {
    format!("peer {}.{}", id.key, id.generation)
}

/// Where a connection stands, on either side: reading, and writing.
pub(in crate::server) fn sides(state: State) -> [&'static str; 2] {
    let reading = match state.reading {
        Reads::Idle => "idle",
        Reads::Head => "head",
        Reads::Content => "content",
        Reads::Done => "done",
        Reads::Closed => "closed",
    };
    let writing = match state.writing {
        Writes::Idle => "idle",
        Writes::Owed => "owed",
        Writes::Content => "content",
        Writes::Done => "done",
    };
    [reading, writing]
}

/// Where a connection stands.
pub(in crate::server) fn state(state: State) -> String {
    sides(state).join("/")
}

/// The words of a note: what a client has sent is shown as text, and does no harm to a terminal.
pub(super) fn note(note: &Note) -> String {
    match note {
        Note::From(Some(address)) => address.to_string(),
        Note::From(None) => "unix:".to_owned(),
        Note::Line(line) => line.bytes().escape_ascii().to_string(),
    }
}

/// What has happened, with what belongs to it.
pub(in crate::server) fn what(moment: &Moment, with: Option<Note>) -> String {
    let Moment { act, amount, detail, .. } = *moment;
    let with = || with.map_or_else(|| "?".to_owned(), |with| note(&with));
    match act {
        Act::Accepted => format!("accepted from {}", with()),
        Act::Head => format!("head: {}", with()),
        Act::Read
        | Act::Content
        | Act::Told
        | Act::Heard
        | Act::Wrote
        | Act::SentFile
        | Act::Fetches => format!("{} {amount} bytes", act.name()),
        Act::Answered => format!("answered {detail}"),
        Act::Dialed => format!(
            "dialed: {}",
            match detail {
                0 => "a kept connection",
                1 => "a new connection",
                _ => "a process",
            }
        ),
        Act::Served => format!("served for {amount} ns"),
        Act::Waits | Act::Late | Act::Finished | Act::Reset | Act::Closed => act.name().to_owned(),
    }
}

impl<N: Net> Server<N> {
    /// How often something has panicked that has not ended the server.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.metrics.panics
    }

    /// The last `most` moments, a line each, oldest first.
    #[must_use]
    pub fn last_words(&self, most: u64) -> Vec<String> {
        let (recorder, from) = (&self.recorder, self.recorder.moments.count().saturating_sub(most));
        let line = |(number, moment): (u64, &Moment)| {
            let with = recorder.note_of(moment).copied();
            let (seconds, rest) = (moment.at_ns / 1_000_000_000, moment.at_ns % 1_000_000_000);
            let (before, after) = (state(moment.before), state(moment.after));
            let (who, what) = (peer(moment.peer), what(moment, with));
            format!("{number} {seconds}.{rest:09} {who} {before} -> {after} {what}")
        };
        recorder.moments.since(from).map(line).collect()
    }
}
