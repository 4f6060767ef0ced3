//! Exchanges, folded out of moments, oldest first: which moments are those of one, when it is over,
//! what it came to. Who wants to know is not known here.

use std::collections::BTreeMap;

use super::super::client::Phase;
use super::super::peers::PeerId;
use super::{Act, Moment};
use crate::http::connection::{Reads, Writes};

/// One exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Exchange {
    pub(in super::super) peer: PeerId,
    /// The number of the moment when its head was complete.
    pub(in super::super) head: u64,
    /// The number of the note with its line.
    pub(in super::super) line: u64,
    /// When its first bytes were read, or else, behind another request, its head was complete.
    pub(in super::super) began_ns: u64,
    /// When its last bytes were written.
    pub(in super::super) ended_ns: u64,
    /// Bytes that were sent. Where one write was for several, they count with the last of these.
    pub(in super::super) sent: u64,
    /// The number of the route, and the status code. `None`: it got no answer.
    pub(in super::super) answer: Option<(u64, u16)>,
}

/// Exchanges that are not over yet: as many as there are requests of which the answer is not out.
#[derive(Debug, Default)]
pub(in super::super) struct Exchanges {
    by_peer: BTreeMap<PeerId, UnderWay>,
}

/// Those of one client.
#[derive(Debug, Default)]
struct UnderWay {
    /// When the first bytes of a request were read whose head is not complete.
    read_ns: Option<u64>,
    /// Oldest first. None but the last can be without an answer.
    exchanges: Vec<Exchange>,
    /// How many of them something was written for.
    written: usize,
}

impl Exchanges {
    /// Goes on by one moment, which has this number. Returns what is over with it, oldest first.
    pub(in super::super) fn follow(&mut self, number: u64, moment: &Moment) -> Vec<Exchange> {
        let &Moment { at_ns, amount, peer, detail, act, .. } = moment;
        match act {
            Act::Read => {
                let own = self.by_peer.entry(peer).or_default();
                if own.exchanges.is_empty() {
                    own.read_ns.get_or_insert(at_ns);
                }
            }
            Act::Head => self.by_peer.entry(peer).or_default().begin(number, moment),
            Act::Answered => {
                if let Some(own) = self.by_peer.get_mut(&peer)
                    && let Some(last) = own.exchanges.last_mut()
                {
                    last.answer.get_or_insert((amount, detail));
                }
            }
            Act::Wrote | Act::SentFile => {
                if let Some(own) = self.by_peer.get_mut(&peer) {
                    own.write(moment);
                }
            }
            Act::Served => return self.end_share(moment),
            Act::Reset | Act::Closed => {
                let own = self.by_peer.remove(&peer).unwrap_or_default();
                return over(own.exchanges, moment);
            }
            Act::Accepted
            | Act::Content
            | Act::Waits
            | Act::Dialed
            | Act::Told
            | Act::Heard
            | Act::Fetches
            | Act::Late
            | Act::Finished => {}
        }
        Vec::new()
    }

    /// What is over when a client's share of a turn is: all, if it owes nothing any more; and else
    /// what was written for, unless more may follow.
    fn end_share(&mut self, moment: &Moment) -> Vec<Exchange> {
        let Some(own) = self.by_peer.get_mut(&moment.peer) else { return Vec::new() };
        if moment.after.reading == Reads::Idle {
            // What was read was no request.
            own.read_ns = None;
        }
        if moment.detail & 0xff == Phase::Send as u16 {
            // Of what is still here nobody knows whose it is.
            return Vec::new();
        }
        let is_out = matches!(moment.after.writing, Writes::Idle | Writes::Done);
        let all = own.exchanges.len();
        let many = if is_out { all } else { own.written.min(all.saturating_sub(1)) };
        let ended = own.exchanges.drain(..many).collect();
        own.written -= own.written.min(many);
        if own.exchanges.is_empty() && own.read_ns.is_none() {
            self.by_peer.remove(&moment.peer);
        }
        over(ended, moment)
    }
}

impl UnderWay {
    fn begin(&mut self, number: u64, moment: &Moment) {
        let began_ns = self.read_ns.take().unwrap_or(moment.at_ns);
        self.exchanges.push(Exchange {
            peer: moment.peer,
            head: number,
            line: moment.amount,
            began_ns,
            ended_ns: began_ns,
            sent: 0,
            answer: None,
        });
    }

    /// Something was written for all that have an answer.
    fn write(&mut self, moment: &Moment) {
        let answered = self.exchanges.iter_mut().filter(|one| one.answer.is_some());
        self.written = answered.map(|one| one.ended_ns = moment.at_ns).count();
        if let Some(last) = self.written.checked_sub(1) {
            self.exchanges[last].sent += moment.amount;
        }
    }
}

/// Those that are over with this moment.
fn over(mut exchanges: Vec<Exchange>, moment: &Moment) -> Vec<Exchange> {
    for one in &mut exchanges {
        // Where nobody watches, all of a share has the time when that began, but for its end.
        if one.ended_ns <= one.began_ns {
            one.ended_ns = moment.at_ns;
        }
    }
    exchanges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection::State;

    const WHO: PeerId = PeerId { key: 3, generation: 1 };

    /// What comes of these moments: act, amount, detail, and how writing stands from then on. Their
    /// times are 10, 20, 30.
    fn fold(moments: &[(Act, u64, u16, Writes)]) -> Vec<Exchange> {
        let mut exchanges = Exchanges::default();
        let mut found = Vec::new();
        for (number, &(act, amount, detail, writing)) in (0..).zip(moments) {
            let (at_ns, after) = (10 * (number + 1), State { reading: Reads::Idle, writing });
            let (peer, before) = (WHO, State::default());
            let moment = Moment { at_ns, amount, peer, detail, act, before, after };
            found.extend(exchanges.follow(number, &moment));
        }
        let left = exchanges.by_peer.values().map(|own| own.exchanges.len()).sum::<usize>();
        assert_eq!((left, exchanges.by_peer.len()), (0, 0), "nothing is kept of what is over");
        found
    }

    /// What one comes to, with the numbers of its head and its line.
    fn exchange(
        (head, line): (u64, u64),
        (began_ns, ended_ns): (u64, u64),
        sent: u64,
        answer: Option<(u64, u16)>,
    ) -> Exchange {
        Exchange { peer: WHO, head, line, began_ns, ended_ns, sent, answer }
    }

    #[test]
    fn one_write_for_several_ends_each_of_them() {
        let found = fold(&[
            (Act::Read, 99, 0, Writes::Idle),
            (Act::Head, 0, 0, Writes::Owed),
            (Act::Answered, 1, 200, Writes::Content),
            (Act::Head, 1, 0, Writes::Owed),
            (Act::Answered, 2, 404, Writes::Content),
            (Act::Wrote, 500, 0, Writes::Idle),
            (Act::Served, 7, Phase::Idle as u16, Writes::Idle),
        ]);
        let first = exchange((1, 0), (10, 60), 0, Some((1, 200)));
        assert_eq!(found, [first, exchange((3, 1), (40, 60), 500, Some((2, 404)))]);
    }

    #[test]
    fn an_exchange_is_over_when_its_last_bytes_are_out() {
        let found = fold(&[
            (Act::Read, 99, 0, Writes::Idle),
            (Act::Head, 0, 0, Writes::Owed),
            (Act::Answered, 1, 200, Writes::Content),
            (Act::Head, 1, 0, Writes::Owed),
            (Act::Wrote, 100, 0, Writes::Owed),
            // A program makes the second answer: the first is over, the second is not.
            (Act::Served, 7, Phase::Gateway as u16, Writes::Owed),
            (Act::Answered, 2, 200, Writes::Content),
            (Act::Wrote, 30, 0, Writes::Idle),
            // The socket was full.
            (Act::Served, 7, Phase::Send as u16, Writes::Idle),
            (Act::Wrote, 4, 0, Writes::Idle),
            (Act::Served, 7, Phase::Idle as u16, Writes::Idle),
        ]);
        let first = exchange((1, 0), (10, 50), 100, Some((1, 200)));
        assert_eq!(found, [first, exchange((3, 1), (40, 100), 34, Some((2, 200)))]);
    }

    #[test]
    fn what_is_read_and_is_no_request_begins_none() {
        let found = fold(&[
            (Act::Read, 2, 0, Writes::Idle),
            (Act::Served, 7, Phase::Idle as u16, Writes::Idle),
            (Act::Read, 99, 0, Writes::Idle),
            (Act::Head, 0, 0, Writes::Owed),
            (Act::Answered, 1, 200, Writes::Content),
            (Act::Wrote, 100, 0, Writes::Idle),
            (Act::Served, 7, Phase::Idle as u16, Writes::Idle),
        ]);
        assert_eq!(found, [exchange((3, 0), (30, 60), 100, Some((1, 200)))]);
    }

    #[test]
    fn where_the_socket_is_full_none_is_over() {
        let found = fold(&[
            (Act::Read, 99, 0, Writes::Idle),
            (Act::Head, 0, 0, Writes::Owed),
            (Act::Answered, 1, 200, Writes::Content),
            (Act::Head, 1, 0, Writes::Owed),
            (Act::Answered, 1, 200, Writes::Content),
            (Act::Wrote, 10, 0, Writes::Idle),
            (Act::Served, 7, Phase::Send as u16, Writes::Idle),
            (Act::Wrote, 190, 0, Writes::Idle),
            (Act::Served, 7, Phase::Idle as u16, Writes::Idle),
        ]);
        let ended: Vec<u64> = found.iter().map(|one| one.ended_ns).collect();
        assert_eq!(ended, [80, 80], "the one that was cut in two is not known");
        assert_eq!(found.iter().map(|one| one.sent).sum::<u64>(), 200);
    }

    #[test]
    fn whoever_goes_ends_what_is_under_way_and_a_refusal_alone_is_no_exchange() {
        let found = fold(&[
            (Act::Read, 99, 0, Writes::Idle),
            (Act::Head, 0, 0, Writes::Owed),
            (Act::Served, 7, Phase::Gateway as u16, Writes::Owed),
            (Act::Closed, 0, 0, Writes::Owed),
            (Act::Read, 9, 0, Writes::Idle),
            (Act::Answered, 0, 400, Writes::Content),
            (Act::Wrote, 100, 0, Writes::Done),
            (Act::Finished, 0, 0, Writes::Done),
            (Act::Closed, 0, 0, Writes::Done),
        ]);
        assert_eq!(found, [exchange((1, 0), (10, 40), 0, None)]);
    }
}
