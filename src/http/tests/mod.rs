//! The protocol tested through its one door, [`Connection`]: what clients say, and what is
//! understood. What lies within one file is tested there.

mod connection;
mod corpus;
mod cuts;
mod framing;
mod head;
mod reference;
mod smuggling;
#[path = "../../../tests/support/spoil.rs"]
mod spoil;

use std::ops::Range;

use super::connection::{Connection, Received, Turn};
use super::framing::Length;
use super::head::{Head, HeadSpace};
use super::status::Status;
use super::{Limits, Refusal};

/// Now, in these tests.
const DATE: &[u8] = b"Thu, 01 Jan 1970 00:00:00 GMT";

/// One thing that a client was understood to say.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// A head: which bytes it was found in, and what follows from it.
    Head { bytes: Range<usize>, length: Option<Length>, persistent: bool, awaits_continue: bool },
    /// Content, joined.
    Content(Vec<u8>),
    /// The end of content.
    End,
    /// Nothing that could be understood.
    Refused(Refusal),
    /// The connection ends after this exchange.
    Close,
}

/// What was understood of all that a client said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Story {
    events: Vec<Event>,
    /// Bytes taken from the input.
    taken: usize,
}

impl Story {
    /// Tells `input` to a fresh connection: first its bytes up to the first of `ends`, then up to
    /// the next. Every request is answered when it is whole, without content.
    fn of(input: &[u8], ends: impl IntoIterator<Item = usize>, limits: &Limits) -> Story {
        let mut connection = Connection::new();
        let mut story = Story::default();
        for end in ends {
            while story.hear(&mut connection, &input[..end], limits) {}
        }
        assert!(story.taken <= input.len());
        story
    }

    /// Tells all of `input` at once.
    fn at_once(input: &[u8]) -> Story {
        Story::of(input, [input.len()], &Limits::default())
    }

    /// Tells `input` byte by byte.
    fn by_bytes(input: &[u8]) -> Story {
        Story::of(input, 1..=input.len(), &Limits::default())
    }

    /// One step. Returns whether there may be another.
    fn hear(&mut self, connection: &mut Connection, input: &[u8], limits: &Limits) -> bool {
        if matches!(self.events.last(), Some(Event::Close)) {
            return false;
        }
        let mut space = HeadSpace::new();
        let is_whole = match connection.receive(&input[self.taken..], &mut space, limits) {
            Ok((0, Received::Nothing)) => return false,
            Ok((used, received)) => self.note(received, used),
            Err(refusal) => {
                self.events.push(Event::Refused(refusal));
                true
            }
        };
        if is_whole {
            self.answer(connection);
        }
        true
    }

    /// Notes what was received. Returns whether a request is now whole.
    fn note(&mut self, received: Received<'_>, used: usize) -> bool {
        let bytes = self.taken..self.taken + used;
        self.taken += used;
        match received {
            Received::Nothing => false,
            Received::Head(Head { length, persistent, expects_continue, .. }) => {
                let awaits_continue = expects_continue && length.is_some();
                self.events.push(Event::Head { bytes, length, persistent, awaits_continue });
                length.is_none()
            }
            Received::Content(content) => {
                assert!(!content.is_empty(), "content of no bytes");
                if let Some(Event::Content(all)) = self.events.last_mut() {
                    all.extend_from_slice(content);
                } else {
                    self.events.push(Event::Content(content.to_vec()));
                }
                false
            }
            Received::End => {
                self.events.push(Event::End);
                true
            }
        }
    }

    fn answer(&mut self, connection: &mut Connection) {
        assert!(connection.owes_answer());
        assert_eq!(connection.turn(), Turn::Stay);
        connection.respond(Status::NO_CONTENT, b"", Some(0), DATE, &mut Vec::new());
        let turn = connection.turn();
        let must_close = match self.events.last() {
            Some(Event::Head { persistent, .. }) => !persistent,
            Some(Event::Refused(_)) => true,
            Some(Event::End | Event::Content(_) | Event::Close) | None => turn == Turn::Close,
        };
        assert_eq!(turn, if must_close { Turn::Close } else { Turn::Next });
        if must_close {
            self.events.push(Event::Close);
        }
    }

    /// The refusal this ended with, if it did.
    fn refusal(&self) -> Option<Refusal> {
        self.events.iter().find_map(|event| match event {
            Event::Refused(refusal) => Some(*refusal),
            Event::Head { .. } | Event::Content(_) | Event::End | Event::Close => None,
        })
    }
}
