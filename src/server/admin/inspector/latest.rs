//! The exchanges that ended last, read backwards out of the moments: of an exchange, the end is
//! found first, then its answer, then its head.

use super::super::super::client::Phase;
use super::super::super::peers::PeerId;
use super::super::super::recorder::{Act, Moment, Recorder};
use crate::http::connection::{Reads, State, Writes};

/// Exchanges that are told of.
const LATEST: usize = 12;

/// Peers that may have ended one and are looked back for.
const CANDIDATES: usize = 64;

/// Moments that are looked through for them.
const LOOKED_THROUGH: u64 = 4_096;

/// One exchange that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) peer: PeerId,
    /// The number of the moment when its head was complete.
    pub(super) head: u64,
    /// The number of the note with its line.
    pub(super) line: u64,
    pub(super) began_ns: u64,
    pub(super) ended_ns: u64,
    /// Bytes that were sent.
    pub(super) sent: u64,
    /// The number of the route, and the status code. `None`: it got no answer.
    pub(super) answer: Option<(u64, u16)>,
    /// When the last of them were.
    wrote_ns: u64,
    /// Its head was found.
    is_whole: bool,
}

/// The exchanges that ended last, the newest first. Of several that were answered with one write,
/// there is the last.
pub(super) fn latest(recorder: &Recorder) -> Vec<Exchange> {
    let moments = recorder.moments();
    let first = moments.count().saturating_sub(LOOKED_THROUGH).max(moments.first());
    let mut found: Vec<Exchange> = Vec::new();
    let mut whole = 0;
    for number in (first..moments.count()).rev() {
        let Some(moment) = moments.get(number) else { break };
        let of_it = |one: &Exchange| one.peer == moment.peer && !one.is_whole;
        match found.iter().position(of_it) {
            Some(at) => {
                go_back(&mut found[at], number, moment);
                whole += usize::from(found[at].is_whole);
            }
            None if ends(moment) && found.len() < CANDIDATES => found.push(Exchange {
                peer: moment.peer,
                head: 0,
                line: 0,
                began_ns: 0,
                ended_ns: moment.at_ns,
                wrote_ns: 0,
                sent: 0,
                answer: None,
                is_whole: false,
            }),
            None => {}
        }
        if whole == LATEST {
            break;
        }
    }
    found.retain(|exchange| exchange.is_whole);
    found
}

/// Whether an exchange may be over here.
fn ends(moment: &Moment) -> bool {
    let State { reading, writing } = moment.after;
    match moment.act {
        Act::Served => match writing {
            Writes::Done => true,
            // All others that are served and stand there have not been a client's exchange.
            Writes::Idle => {
                matches!(reading, Reads::Idle) && moment.detail & 0xff == Phase::Idle as u16
            }
            Writes::Owed | Writes::Content => false,
        },
        Act::Closed | Act::Reset => matches!(writing, Writes::Owed | Writes::Content),
        Act::Accepted
        | Act::Read
        | Act::Head
        | Act::Content
        | Act::Waits
        | Act::Dialed
        | Act::Told
        | Act::Heard
        | Act::Answered
        | Act::Wrote
        | Act::SentFile
        | Act::Fetches
        | Act::Late
        | Act::Finished => false,
    }
}

/// What happened earlier in an exchange.
fn go_back(exchange: &mut Exchange, number: u64, moment: &Moment) {
    match moment.act {
        Act::Answered => {
            exchange.answer = exchange.answer.or(Some((moment.amount, moment.detail)));
        }
        Act::Wrote | Act::SentFile => {
            exchange.wrote_ns = exchange.wrote_ns.max(moment.at_ns);
            exchange.sent += moment.amount;
        }
        Act::Head => {
            (exchange.head, exchange.line) = (number, moment.amount);
            exchange.began_ns = moment.at_ns;
            // Where nobody watches, both have the time when their turn began.
            if exchange.wrote_ns > moment.at_ns {
                exchange.ended_ns = exchange.wrote_ns;
            }
            exchange.is_whole = true;
        }
        Act::Accepted
        | Act::Read
        | Act::Content
        | Act::Waits
        | Act::Dialed
        | Act::Told
        | Act::Heard
        | Act::Fetches
        | Act::Late
        | Act::Finished
        | Act::Served
        | Act::Reset
        | Act::Closed => {}
    }
}
