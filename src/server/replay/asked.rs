//! What the loop asks of the network: which call, about whom, and with what. A recording has each
//! of them, before what came of it; so it shows where a server that is replayed asks for something
//! else. What comes of a call is not known here.

use std::fmt;

use super::words::Word;
use crate::server::peers::PeerId;

/// A call of [`Net`](crate::server::net::Net), or something that only a recording has. Each is
/// written as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Listen,
    NextSignal,
    Nanos,
    Hold,
    UnixTime,
    Chance,
    Resident,
    Wait,
    Heard,
    HasWord,
    HasVisitor,
    Accept,
    Watch,
    LocalAddress,
    Read,
    Write,
    ReadAtHand,
    Fetch,
    SendFile,
    Finish,
    Close,
    Abort,
    Shrink,
    Connect,
    Spawn,
    Error,
    ReadComplaints,
    Ended,
    Kill,
    /// The turn is over.
    Turned,
    /// The server has ended.
    End,
    /// The recording is as long as it may be; the server goes on.
    Full,
}

/// In the order of their numbers.
const CALLS: [Call; 32] = [
    Call::Listen,
    Call::NextSignal,
    Call::Nanos,
    Call::Hold,
    Call::UnixTime,
    Call::Chance,
    Call::Resident,
    Call::Wait,
    Call::Heard,
    Call::HasWord,
    Call::HasVisitor,
    Call::Accept,
    Call::Watch,
    Call::LocalAddress,
    Call::Read,
    Call::Write,
    Call::ReadAtHand,
    Call::Fetch,
    Call::SendFile,
    Call::Finish,
    Call::Close,
    Call::Abort,
    Call::Shrink,
    Call::Connect,
    Call::Spawn,
    Call::Error,
    Call::ReadComplaints,
    Call::Ended,
    Call::Kill,
    Call::Turned,
    Call::End,
    Call::Full,
];

impl Call {
    /// What the server does by it, as a part of a sentence.
    fn verb(self) -> &'static str {
        match self {
            Call::Listen => "listens",
            Call::NextSignal => "asks for a signal",
            Call::Nanos => "looks at the clock",
            Call::Hold => "stops the clock",
            Call::UnixTime => "asks for the date",
            Call::Chance => "asks for a random number",
            Call::Resident => "asks how much memory it has",
            Call::Wait => "waits",
            Call::Heard => "asks who has left word",
            Call::HasWord => "asks whether an answer is there",
            Call::HasVisitor => "asks whether somebody waits",
            Call::Accept => "accepts",
            Call::Watch => "has the poll watch",
            Call::LocalAddress => "asks for the address",
            Call::Read => "reads",
            Call::Write => "writes",
            Call::ReadAtHand => "reads a file",
            Call::Fetch => "asks for a file to be in memory",
            Call::SendFile => "sends a file",
            Call::Finish => "ends its direction",
            Call::Close => "closes",
            Call::Abort => "resets",
            Call::Shrink => "gives slots back",
            Call::Connect => "connects",
            Call::Spawn => "starts a program",
            Call::Error => "asks for an error",
            Call::ReadComplaints => "reads complaints",
            Call::Ended => "asks whether a process has ended",
            Call::Kill => "kills",
            Call::Turned => "ends the turn",
            Call::End => "ends",
            Call::Full => "goes on unseen",
        }
    }

    /// What an amount is counted in.
    fn unit(self) -> &'static str {
        if self == Call::Wait {
            " µs at most"
        } else if self == Call::Turned {
            " moments"
        } else if self.may_be_of_file() || matches!(self, Call::Read | Call::ReadComplaints) {
            " bytes"
        } else {
            ""
        }
    }

    /// Whether files of the site decide what is asked.
    pub(super) fn may_be_of_file(self) -> bool {
        matches!(self, Call::Write | Call::ReadAtHand | Call::Fetch | Call::SendFile)
    }
}

/// Beside the number of a call: more is said of it, by a byte of these.
const HAS_MORE: u8 = 0x80;
const HAS_PEER: u8 = 1;
const HAS_AMOUNT: u8 = 2;
const HAS_SUM: u8 = 4;

/// One call, and what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) call: Call,
    /// Whom it is about.
    pub(super) peer: Option<PeerId>,
    /// How much it is about: bytes, room, microseconds; and whatever else is one number.
    pub(super) amount: Option<u64>,
    /// The checksum of what is too long to be written.
    pub(super) sum: Option<u32>,
}

impl Asked {
    /// A call that is about nobody.
    pub(super) fn of(call: Call) -> Asked {
        Asked { call, peer: None, amount: None, sum: None }
    }

    /// A call about `peer`.
    pub(super) fn about(call: Call, peer: PeerId) -> Asked {
        Asked { peer: Some(peer), ..Asked::of(call) }
    }

    pub(super) fn amount(self, amount: u64) -> Asked {
        Asked { amount: Some(amount), ..self }
    }

    pub(super) fn sum(self, sum: u32) -> Asked {
        Asked { sum: Some(sum), ..self }
    }
}

impl Word for Asked {
    fn put(&self, out: &mut Vec<u8>) {
        let Asked { call, peer, amount, sum } = *self;
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let more = bit(peer.is_some(), HAS_PEER)
            | bit(amount.is_some(), HAS_AMOUNT)
            | bit(sum.is_some(), HAS_SUM);
        out.push(call as u8 | bit(more > 0, HAS_MORE));
        if more > 0 {
            out.push(more);
        }
        if let Some(peer) = peer {
            peer.put(out);
        }
        if let Some(amount) = amount {
            amount.put(out);
        }
        if let Some(sum) = sum {
            out.extend_from_slice(&sum.to_le_bytes());
        }
    }

    fn get(input: &mut &[u8]) -> Option<Asked> {
        let first = u8::get(input)?;
        let call = *CALLS.get(usize::from(first & !HAS_MORE))?;
        let more = if first & HAS_MORE > 0 { u8::get(input)? } else { 0 };
        let has = |bit: u8| more & bit > 0;
        let peer = if has(HAS_PEER) { Some(PeerId::get(input)?) } else { None };
        let amount = if has(HAS_AMOUNT) { Some(u64::get(input)?) } else { None };
        let sum = if has(HAS_SUM) {
            let (sum, rest) = input.split_first_chunk()?;
            *input = rest;
            Some(u32::from_le_bytes(*sum))
        } else {
            None
        };
        Some(Asked { call, peer, amount, sum })
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call.verb())?;
        if let Some(PeerId { key, generation }) = self.peer {
            write!(f, ", peer {key}.{generation}")?;
        }
        if let Some(amount) = self.amount {
            write!(f, ", {amount}{}", self.call.unit())?;
        }
        if let Some(sum) = self.sum {
            write!(f, ", checksum {sum:08x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_read_as_it_was_written() {
        let peer = PeerId { key: 3, generation: 4 };
        for (number, call) in CALLS.into_iter().enumerate() {
            assert_eq!(call as usize, number);
            for asked in [
                Asked::of(call),
                Asked::about(call, peer).amount(1_000_000),
                Asked::of(call).sum(0xdead_beef),
                Asked::about(call, peer).amount(0).sum(1),
            ] {
                let mut out = Vec::new();
                asked.put(&mut out);
                assert_eq!(Asked::get(&mut &out[..]), Some(asked));
                for end in 0..out.len() {
                    assert_eq!(Asked::get(&mut &out[..end]), None);
                }
            }
        }
        assert_eq!(Asked::get(&mut &[HAS_MORE - 1][..]), None, "no call has this number");
    }

    #[test]
    fn a_call_is_told_in_words() {
        let asked = Asked::about(Call::Write, PeerId { key: 3, generation: 4 });
        let asked = asked.amount(312).sum(0x1a);
        assert_eq!(asked.to_string(), "writes, peer 3.4, 312 bytes, checksum 0000001a");
        assert_eq!(Asked::of(Call::Wait).amount(7).to_string(), "waits, 7 µs at most");
    }
}
