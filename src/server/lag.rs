//! What takes long in a turn of the loop. A turn is made of pieces: one client served, one
//! listener, one program; whichever was the longest is remembered, if it was long. What a piece is
//! about is worked out only then.
//!
//! The clock is looked at once for each piece; the recorder (`recorder/`) has its time from there.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::Server;
use super::client::{Client, Pending};
use super::limits::Limits;
use super::metrics::Limit;
use super::net::Net;
use super::peers::{Peer, PeerId};
use super::timers::Millis;
use crate::http::connection::State;
use crate::site::body::Body;

/// Bytes of a request line that are logged.
const LOGGED_LINE: usize = 256;

/// A piece is remembered if it takes more than the allowed time of a turn divided by this.
const SHARE: u64 = 4;

/// A wait that has taken so long, in nanoseconds, has slept: who was ready then was so just now.
const SLEEP_NS: u64 = 100_000;

/// What of a turn takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Accept,
    Answer,
    Send,
    Relay,
    Dial,
    Log,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Accept => "accept",
            Phase::Answer => "read and answer",
            Phase::Send => "send",
            Phase::Relay => "relay",
            Phase::Dial => "start or connect programs",
            Phase::Log => "write the access log",
        })
    }
}

/// The turn, as it goes on.
#[derive(Debug)]
pub(super) struct Watch {
    /// When the last wait was over, and the turn behind it, in nanoseconds.
    woken_ns: u64,
    ended_ns: u64,
    /// When the piece under way began.
    since_ns: u64,
    pieces: u32,
    /// How long a turn may take, in nanoseconds.
    allowed_ns: u64,
    /// How long it may take until the rest of it is put off, if the one before took longer, too.
    overload_ns: u64,
    /// The one before took longer than that.
    was_overdue: bool,
    /// Requests that were put off since turns take so long.
    put_off: u64,
    longest: Option<Piece>,
    /// Where in the receive buffer the head lies that was taken up last, if it still does.
    pub(super) asked: Range<usize>,
}

/// A piece that took long.
#[derive(Debug)]
struct Piece {
    took: Duration,
    phase: Phase,
    /// Who it was for, and what was asked, fit for a log.
    whose: String,
}

impl Watch {
    /// Watches over turns that may take so long.
    pub(super) fn new(limits: &Limits, now_ns: u64) -> Watch {
        let mut watch = Watch {
            woken_ns: now_ns,
            ended_ns: now_ns,
            since_ns: now_ns,
            pieces: 0,
            allowed_ns: 0,
            overload_ns: 0,
            was_overdue: false,
            put_off: 0,
            longest: None,
            asked: 0..0,
        };
        watch.allow(limits);
        watch
    }

    /// From now on turns may take as long as these allow.
    pub(super) fn allow(&mut self, limits: &Limits) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.overload_ns = nanoseconds(limits.overload);
        self.allowed_ns = nanoseconds(limits.loop_lag);
    }

    /// A turn begins. Returns how long whoever is ready may have waited for it, in nanoseconds:
    /// not at all, if the loop has slept.
    fn begin_turn(&mut self, now_ns: u64) -> Option<u64> {
        let has_slept = now_ns.saturating_sub(self.ended_ns) >= SLEEP_NS;
        // Who was found ready at once may have been so since the last look.
        let lag_ns = (!has_slept).then(|| self.ended_ns.saturating_sub(self.woken_ns));
        (self.woken_ns, self.since_ns) = (now_ns, now_ns);
        self.pieces = 0;
        lag_ns
    }

    /// When this turn began.
    fn began(&self) -> Millis {
        Millis(self.woken_ns / 1_000_000)
    }

    /// Whether there is more to do than can be done: a turn has taken too long, and this one does
    /// as well. One alone may have been somebody's slow disk, and all who waited are served.
    pub(super) fn is_overdue(&self) -> bool {
        self.was_overdue && self.since_ns.saturating_sub(self.woken_ns) > self.overload_ns
    }

    /// A request was put off for it.
    pub(super) fn put_off(&mut self) {
        if self.put_off == 0 {
            log::warn!(
                "overloaded: turns take longer than limits.overload, and requests that come late \
                 in one are answered with 503"
            );
        }
        self.put_off += 1;
    }

    /// The turn has ended. Returns how long it has taken, in nanoseconds.
    fn end_turn(&mut self, now_ns: u64) -> u64 {
        self.ended_ns = now_ns;
        let took_ns = now_ns.saturating_sub(self.woken_ns);
        self.was_overdue = took_ns > self.overload_ns;
        if self.put_off > 0 && !self.was_overdue {
            let count = std::mem::take(&mut self.put_off);
            log::warn!("no longer overloaded: {count} requests were answered with 503");
        }
        took_ns
    }

    /// A piece ends, and the next begins. Returns how long it took, if the caller is to
    /// [`note`](Self::note) what it was.
    pub(super) fn end_piece(&mut self, now_ns: u64) -> Option<Duration> {
        let took_ns = now_ns.saturating_sub(self.since_ns);
        self.since_ns = now_ns;
        self.pieces += 1;
        (took_ns > self.allowed_ns / SHARE).then(|| Duration::from_nanos(took_ns))
    }

    /// Notes what has taken so long.
    pub(super) fn note(&mut self, took: Duration, phase: Phase, whose: String) {
        if self.longest.as_ref().is_none_or(|longest| longest.took < took) {
            self.longest = Some(Piece { took, phase, whose });
        }
    }

    /// What of the turn that has ended took long, as the end of a sentence.
    fn explain(&self) -> String {
        match &self.longest {
            Some(Piece { took, phase, whose }) => {
                format!("{} ms of it to {phase}, {whose}", took.as_millis())
            }
            None => format!("no single one of its {} pieces took long", self.pieces),
        }
    }
}

impl<N: Net> Server<N> {
    /// A wait is over that brought so many events. Returns what the time is.
    pub(super) fn begin_turn(&mut self, ready: usize) -> Millis {
        let now_ns = self.net.nanos();
        self.recorder.begin_turn(now_ns, ready);
        match self.watch.begin_turn(now_ns) {
            None => self.metrics.lag.add_nothing(),
            Some(lag_ns) => self.metrics.lag.add(lag_ns / 1000),
        }
        self.watch.began()
    }

    /// A turn is over: says so if it has taken too long, and what of it.
    pub(super) fn end_turn(&mut self) {
        let now_ns = self.net.nanos();
        self.now = Millis(now_ns / 1_000_000);
        let took_ns = self.watch.end_turn(now_ns);
        let is_long = took_ns > self.watch.allowed_ns;
        self.recorder.end_turn(now_ns, is_long);
        self.metrics.turns.add(took_ns / 1000);
        if is_long {
            self.complain(took_ns);
        }
        self.watch.longest = None;
    }

    #[cold]
    fn complain(&mut self, took_ns: u64) {
        self.metrics.hit(Limit::LoopLag);
        let what = format!("{} ms: {}", took_ns / 1_000_000, self.watch.explain());
        log::warn!("one turn of the loop took {what}");
        self.recorder.stalled(what);
    }

    /// A piece of the turn ends that was for nobody in particular.
    pub(super) fn end_piece(&mut self, phase: Phase) {
        let now_ns = self.net.nanos();
        self.recorder.skip_piece(now_ns);
        if let Some(took) = self.watch.end_piece(now_ns) {
            self.watch.note(took, phase, "for all".to_owned());
        }
    }

    /// A piece of the turn ends that was for this peer, which could go on if it `yields`.
    pub(super) fn end_piece_of(&mut self, id: PeerId, yields: bool) {
        let now_ns = self.net.nanos();
        if let Some(took) = self.watch.end_piece(now_ns) {
            self.note_peer(id, took);
        }
        let (state, phase) = match self.peers.get_mut(id) {
            Some(peer) if peer.is_apart() => return self.recorder.skip_piece(now_ns),
            Some(Peer::Client(client)) => (client.connection.state(), client.clock.phase as u16),
            Some(Peer::Listener(_) | Peer::Gateway(_)) | None => (State::default(), 0),
        };
        self.recorder.end_piece(now_ns, id, state, phase | u16::from(yields) << 8);
    }

    #[cold]
    fn note_peer(&mut self, id: PeerId, took: Duration) {
        let asked = self.rx.get(self.watch.asked.clone()).unwrap_or_default();
        let (phase, whose) = match self.peers.get_mut(id) {
            None => return,
            Some(Peer::Listener(listener)) => (Phase::Accept, format!("at {}", listener.address())),
            Some(Peer::Gateway(link)) => {
                let address = self.gateways.address(link.seat);
                let name = address.map_or_else(|| "a process".to_owned(), ToString::to_string);
                (Phase::Relay, format!("with {name}"))
            }
            Some(Peer::Client(client)) => of_client(client, asked),
        };
        self.watch.note(took, phase, whose);
    }
}

/// What was done for a client, and for which one; `asked` is the head of its request, if that has
/// come in just now.
fn of_client(client: &Client, asked: &[u8]) -> (Phase, String) {
    let exchange = client.work.as_ref().map(|work| &work.exchange);
    let kept = exchange.and_then(|exchange| exchange.spool.as_ref());
    let head = if asked.is_empty() { kept.map_or(&[][..], |spool| spool.head()) } else { asked };
    let phase = match exchange {
        Some(exchange) if matches!(exchange.pending, Pending::Gateway(_)) => Phase::Relay,
        Some(exchange) if asked.is_empty() && !matches!(exchange.body, Body::Empty) => Phase::Send,
        Some(_) | None => Phase::Answer,
    };
    (phase, describe(client.address, head))
}

/// A client by its address, and what it has asked by the head of that, if that is known.
pub(super) fn describe(address: Option<SocketAddr>, head: &[u8]) -> String {
    let address = address.map_or_else(|| "unix:".to_owned(), |address| address.to_string());
    if head.is_empty() { address } else { format!("{address} {}", line_of(head)) }
}

/// The first line of `head`, fit for a log.
fn line_of(head: &[u8]) -> String {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let end = memchr::memchr2(b'\r', b'\n', head).unwrap_or(head.len());
    format!("{:?}", String::from_utf8_lossy(&head[..end.min(LOGGED_LINE)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A millisecond.
    const MS: u64 = 1_000_000;

    #[test]
    fn the_longest_piece_of_a_turn_is_told_of_and_no_short_one() {
        let loop_lag = Duration::from_millis(40);
        let mut watch = Watch::new(&Limits { loop_lag, ..Limits::default() }, 0);
        watch.begin_turn(1000 * MS);
        let mut end = |at_ms: u64, name: &str| {
            let took = watch.end_piece(at_ms * MS);
            if let Some(took) = took {
                watch.note(took, Phase::Answer, name.to_owned());
            }
            took.map(|took| took.as_millis())
        };
        assert_eq!(end(1010, "short"), None, "not more than a quarter");
        assert_eq!(end(1030, "long"), Some(20));
        assert_eq!(end(1060, "longest"), Some(30));
        assert_eq!(end(1080, "late"), Some(20));
        assert_eq!(watch.explain(), "30 ms of it to read and answer, longest");
        watch.longest = None;
        watch.begin_turn(2000 * MS);
        assert_eq!(watch.end_piece(2001 * MS), None);
        assert_eq!(watch.explain(), "no single one of its 1 pieces took long");
    }

    #[test]
    fn one_long_turn_is_no_overload_and_two_of_them_are() {
        let overload = Duration::from_millis(100);
        let mut watch = Watch::new(&Limits { overload, ..Limits::default() }, 0);
        let mut turn = |began: u64, took: u64| {
            watch.begin_turn(began * MS);
            let begins = watch.is_overdue();
            watch.end_piece((began + took) * MS);
            let is_overdue = watch.is_overdue();
            if is_overdue {
                watch.put_off();
            }
            watch.end_turn((began + took) * MS);
            assert!(!begins, "the first in a turn is always served");
            (is_overdue, watch.put_off)
        };
        assert_eq!(turn(0, 5000), (false, 0), "the first");
        assert_eq!(turn(5000, 100), (false, 0), "as long as it may be");
        assert_eq!(turn(5100, 101), (false, 0), "the one before was short enough");
        assert_eq!(turn(5300, 101), (true, 1));
        assert_eq!(turn(5500, 300), (true, 2));
        assert_eq!(turn(6000, 1), (false, 0));
        assert_eq!(turn(6001, 300), (false, 0));
    }

    #[test]
    fn a_line_is_short_and_harmless() {
        assert_eq!(
            line_of(b"GET /\x1b[0m HTTP/1.1\r\nHost: a\r\n\r\n"),
            r#""GET /\u{1b}[0m HTTP/1.1""#
        );
        assert!(line_of(&[b'x'; 5000]).len() < 300);
    }
}
