//! Where the content of an answer comes from, and how much of it is still to be sent. Who sends it,
//! and in what framing, is not known here.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The content of a reply. What is sent is taken off it, so a `Body` always says what is left.
#[derive(Debug, Default)]
pub enum Body {
    /// No content, or nothing left of it.
    #[default]
    Empty,
    /// Content in memory, shared with whoever else sends it.
    Bytes {
        /// All of it; this reply sends `at..end`.
        bytes: Rc<[u8]>,
        /// The first byte not yet sent.
        at: usize,
        /// One past the last byte to send.
        end: usize,
    },
    /// Content in a regular file, read at offsets, so that many replies can share one descriptor.
    File {
        /// The open file.
        file: Arc<File>,
        /// Where the next byte to send stands.
        offset: u64,
        /// How many bytes from there are still to be sent. The file may have become shorter since.
        left: u64,
    },
    /// Several pieces of the two kinds above, one after the other: the parts of a
    /// `multipart/byteranges` (RFC 9110 §14.6).
    Parts(Box<Parts>),
    /// Content made while it is sent; how much it will be, nobody knows.
    Produced(Box<dyn Produce>),
}

impl Body {
    /// A body of all of `bytes`.
    #[must_use]
    pub fn bytes(bytes: Rc<[u8]>) -> Body {
        let end = bytes.len();
        Body::Bytes { bytes, at: 0, end }
    }

    /// How many bytes are still to be sent; `None` where that is not known beforehand.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Bytes { at, end, .. } => Some((end - at) as u64),
            Body::File { left, .. } => Some(*left),
            Body::Parts(parts) => Some(parts.length()),
            Body::Produced(_) => None,
        }
    }
}

/// Pieces of content, sent in order.
#[derive(Debug, Default)]
pub struct Parts {
    pieces: VecDeque<Body>,
}

impl Parts {
    /// Adds a piece at the end. A piece of unknown length cannot be one.
    ///
    /// # Panics
    /// If `piece` is [`Body::Parts`] or [`Body::Produced`].
    pub fn push(&mut self, piece: Body) {
        assert!(
            matches!(piece, Body::Empty | Body::Bytes { .. } | Body::File { .. }),
            "a part is in memory or in a file"
        );
        self.pieces.push_back(piece);
    }

    /// The piece to send from now: [`Body::Bytes`] or [`Body::File`] with at least one byte left.
    /// Pieces that are sent fall away; `None` when all are.
    pub fn current(&mut self) -> Option<&mut Body> {
        while self.pieces.front().is_some_and(|piece| piece.length() == Some(0)) {
            self.pieces.pop_front();
        }
        self.pieces.front_mut()
    }

    /// How many bytes are still to be sent over all pieces.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.pieces.iter().filter_map(Body::length).sum()
    }
}

/// Content that is made while it is sent. The loop asks when the client has room, so a slow client
/// slows its producer down and nothing piles up.
pub trait Produce {
    /// Appends some content to `out`: at most some tens of KiB, so that others have their turn.
    /// It runs on the loop and must not block.
    ///
    /// # Errors
    /// An error ends the connection without a proper end of the content, so that the client
    /// notices that it is not whole.
    fn produce(&mut self, out: &mut Vec<u8>) -> io::Result<Produced>;
}

/// What a producer has to say after it was asked for content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produced {
    /// There is more: ask again as soon as the client has room.
    More,
    /// There may be more later: ask again when this much time has gone by.
    Pause(Duration),
    /// That was all.
    End,
}

impl<F: FnMut(&mut Vec<u8>) -> io::Result<Produced>> Produce for F {
    fn produce(&mut self, out: &mut Vec<u8>) -> io::Result<Produced> {
        self(out)
    }
}

impl fmt::Debug for dyn Produce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Produce")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Body {
        Body::bytes(Rc::from(text.as_bytes()))
    }

    #[test]
    fn parts_fall_away_as_they_are_sent() {
        let mut parts = Parts::default();
        for text in ["", "ab", "", "c"] {
            parts.push(bytes(text));
        }
        assert_eq!(parts.length(), 3);
        let mut sent = Vec::new();
        while let Some(piece) = parts.current() {
            let Body::Bytes { bytes, at, end } = piece else { panic!("not in memory") };
            assert!(at < end);
            sent.push(bytes[*at]);
            *at += 1;
        }
        assert_eq!(sent, b"abc");
        assert_eq!(parts.length(), 0);
    }

    #[test]
    fn only_what_is_produced_has_no_length() {
        assert_eq!(Body::Empty.length(), Some(0));
        assert_eq!(bytes("abc").length(), Some(3));
        let produced = Body::Produced(Box::new(|_: &mut Vec<u8>| Ok(Produced::End)));
        assert_eq!(produced.length(), None);
    }
}
