//! One client of the loop: where its connection stands, how long it may stay there, and what
//! neither side has taken yet. An idle client holds none of the last.
//!
//! How a request is answered is not known here; see `exchange.rs`.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::access_log::Draft;
use super::admin::Cursor;
use super::gateway::{Relay, Stage};
use super::kept::Kept;
use super::limits::Limits;
use super::net::Ready;
use super::spool::Spool;
use super::terms::Terms;
use super::timers::Millis;
use crate::http::connection::Connection;
use crate::http::forwarded::Forwarded;
use crate::site::Reply;
use crate::site::body::Body;
use crate::site::handler::Later;
use crate::site::rule::RouteNumber;

/// One client.
#[derive(Debug)]
pub struct Client {
    pub(super) connection: Connection,
    /// Where it comes from, or where a PROXY header says that it does; `None` over a Unix-domain
    /// socket.
    pub(super) address: Option<SocketAddr>,
    /// Where it has connected to, once a program was told, or a PROXY header has said so; `None`
    /// over a Unix-domain socket.
    pub(super) server: Option<Box<SocketAddr>>,
    /// What is under way. `None` between requests.
    pub(super) work: Option<Box<Work>>,
    pub(super) ready: Readiness,
    pub(super) clock: PhaseClock,
    /// Requests taken up so far.
    pub(super) requests: u32,
    /// It is counted among the connections of its address.
    pub(super) is_counted: bool,
    /// It has come to the admin listener: the server answers it itself.
    pub(super) is_admin: bool,
    /// It is to begin with a PROXY header, and has not yet.
    pub(super) awaits_header: bool,
}

/// What the socket may still do before it says `WouldBlock`. A client's is tried before it says
/// what it can; that of a gateway starts as able to do nothing.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are the bits of an epoll event")]
pub(super) struct Readiness {
    pub(super) readable: bool,
    /// The wait of this turn has told of what is to be read; else that may have come in since.
    pub(super) is_told: bool,
    pub(super) writable: bool,
    /// The client has ended its direction: read until 0, though reads come up short.
    pub(super) read_closed: bool,
    pub(super) broken: bool,
    /// A thread reads what of a file is to be sent next.
    pub(super) fetching: bool,
    /// It has been read, and not been sent yet.
    pub(super) fetched: bool,
}

/// What neither side has taken yet, and the exchange it belongs to.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Bytes received and not taken up.
    pub(super) input: Kept,
    /// Bytes of answers that the socket has not taken: `output[sent..]`.
    pub(super) output: Kept,
    pub(super) sent: usize,
    pub(super) exchange: Exchange,
    /// What holds for the exchange. `None` while it is served, and where none has begun.
    pub(super) terms: Option<Rc<Terms>>,
}

impl Work {
    /// Makes it as good as new.
    pub(super) fn clear(&mut self) {
        if !(self.input.is_empty() && self.output.is_empty()) {
            *self = Work::default();
        }
        self.exchange.clear();
    }
}

/// What belongs to one request.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) pending: Pending,
    /// Content of the answer that is still to be sent.
    pub(super) body: Body,
    /// Content of the answer that has been sent, in bytes.
    pub(super) body_sent: u64,
    /// The request, kept until it can be answered.
    pub(super) spool: Option<Spool>,
    pub(super) draft: Option<Draft>,
    /// Why it is answered with an error, or its answer cut, for the access log.
    pub(super) why: Option<Cow<'static, str>>,
    /// What somebody who is believed has said of it.
    pub(super) forwarded: Option<Forwarded>,
    /// How often a script has sent it to another path.
    pub(super) redirects: u8,
    /// What a program says is content for the client: it is none for HEAD.
    pub(super) has_content: bool,
    /// Which route answers.
    pub(super) route: RouteNumber,
}

impl Exchange {
    /// Makes it as good as new. Most exchanges leave nothing behind, and seeing that is cheaper
    /// than to write it all anew.
    pub(super) fn clear(&mut self) {
        let Exchange { pending, body, body_sent, spool, draft, why, .. } = self;
        let Exchange { forwarded, redirects, has_content, .. } = self;
        let is_blank = matches!((pending, body), (Pending::Nothing, Body::Empty))
            && (*body_sent, *redirects, *has_content) == (0, 0, false)
            && (spool.is_none() && draft.is_none() && why.is_none() && forwarded.is_none());
        if !is_blank {
            *self = Exchange::default();
        }
    }
}

/// What an answer that is owed waits for.
#[derive(Debug, Default)]
pub(super) enum Pending {
    /// Nothing: there is no such answer.
    #[default]
    Nothing,
    /// All of the request's content.
    Content,
    /// The end of request content that nobody wants; the answer is ready.
    Discard(Box<Reply>),
    /// Another thread.
    Later(Later),
    /// How the server is doing, which cannot be looked at while a client is served.
    Report,
    /// Nothing but time: whoever watches is told what has happened, again and again.
    Watch(Box<Cursor>),
    /// A program.
    Gateway(Box<Relay>),
}

/// What a client is doing, as far as it must not do it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has connected and said nothing yet, or its request's head is coming in.
    Head,
    /// Its request's content is coming in.
    Content,
    /// Another thread makes its answer.
    Later,
    /// A program makes its answer; the clock tells until when.
    Gateway,
    /// Its answer is going out.
    Send,
    /// Its answer's producer has asked for a pause; the clock tells until when.
    Pause,
    /// Between requests.
    Idle,
    /// All is said; what it still sends is thrown away.
    Linger,
}

/// How long the present phase has lasted, and how much it has moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhaseClock {
    pub(super) phase: Phase,
    since: Millis,
    /// When bytes were last received or sent.
    moved_at: Millis,
    /// Bytes received or sent within this phase.
    bytes: u64,
}

/// What becomes of a peer after it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits for the next event, or for its deadline.
    Wait,
    /// It could go on, but the others have their turn first.
    Yield,
    /// It goes.
    Close,
    /// It goes, and is to see that what it got is not whole.
    Reset,
}

impl Client {
    /// A client that has just connected.
    #[must_use]
    pub fn new(address: Option<SocketAddr>, now: Millis) -> Self {
        Client {
            connection: Connection::new(),
            address,
            server: None,
            work: None,
            ready: Readiness { readable: true, writable: true, ..Readiness::default() },
            clock: PhaseClock::new(Phase::Head, now),
            requests: 0,
            is_counted: false,
            is_admin: false,
            awaits_header: false,
        }
    }

    /// One that has connected to the admin listener.
    pub(super) fn admin(self) -> Self {
        Client { is_admin: true, ..self }
    }

    /// Notes what the socket has become able to do.
    pub(super) fn note(&mut self, ready: &Ready) {
        self.ready.is_told |= ready.readable;
        self.ready.readable |= ready.readable || ready.read_closed;
        self.ready.writable |= ready.writable;
        self.ready.read_closed |= ready.read_closed;
        self.ready.broken |= ready.broken;
        self.ready.fetching &= !ready.fetched;
        self.ready.fetched |= ready.fetched;
    }

    /// Whether it speaks another protocol than HTTP by now: that may end at any time.
    pub(super) fn is_in_tunnel(&self) -> bool {
        let Some(Pending::Gateway(relay)) = self.work.as_ref().map(|work| &work.exchange.pending)
        else {
            return false;
        };
        matches!(&relay.stage, Stage::Talking(gateway) if gateway.is_tunnel())
    }

    /// Who asks, as far as is known: whom its `exchange` is from where somebody who is believed has
    /// passed that on, and else itself. `None` over a Unix-domain socket.
    pub(super) fn asker(&self, exchange: &Exchange) -> Option<IpAddr> {
        match &exchange.forwarded {
            Some(forwarded) => forwarded.client,
            None => self.address.map(|address| address.ip()),
        }
    }

    /// Whether nothing is under way: no request, no answer, no last words.
    pub(super) fn is_idle(&self) -> bool {
        self.work.is_none() && self.clock.phase != Phase::Linger
    }

    /// What holds for its exchange, or else for the next one: the `current` terms.
    pub(super) fn terms(&self, current: &Rc<Terms>) -> Rc<Terms> {
        let own = self.work.as_ref().and_then(|work| work.terms.as_ref());
        Rc::clone(own.unwrap_or(current))
    }

    /// Whether it is between requests: then it can be let go without anything being lost, and the
    /// time says since when.
    pub(super) fn idle_since(&self) -> Option<Millis> {
        (self.clock.phase == Phase::Idle).then_some(self.clock.since)
    }

    /// The phase that the state of things amounts to.
    pub(super) fn phase(&self) -> Phase {
        if self.clock.phase == Phase::Linger {
            return Phase::Linger;
        }
        let Some(work) = self.work.as_deref() else {
            // One that has only just connected has the time of a head to say something.
            return if self.requests == 0 { Phase::Head } else { Phase::Idle };
        };
        match &work.exchange.pending {
            _ if work.sent < work.output.len() => Phase::Send,
            Pending::Gateway(relay)
                if relay.awaits_client()
                    && self.connection.owes_answer()
                    && !self.connection.awaits_continue() =>
            {
                Phase::Content
            }
            Pending::Gateway(_) => Phase::Gateway,
            _ if self.connection.owes_content() => Phase::Send,
            Pending::Later(_) | Pending::Report | Pending::Watch(_) => Phase::Later,
            Pending::Content | Pending::Discard(_) => Phase::Content,
            Pending::Nothing => Phase::Head,
        }
    }
}

impl PhaseClock {
    fn new(phase: Phase, now: Millis) -> Self {
        PhaseClock { phase, since: now, moved_at: now, bytes: 0 }
    }

    /// Enters `phase`, or goes on in it; `moved` bytes have been received or sent.
    pub(super) fn enter(&mut self, phase: Phase, now: Millis, moved: u64) {
        if self.phase != phase {
            self.restart(phase, now);
        } else if moved > 0 {
            self.bytes += moved;
            self.moved_at = now;
        }
    }

    /// Enters `phase` afresh: it belongs to another request now.
    pub(super) fn restart(&mut self, phase: Phase, now: Millis) {
        *self = PhaseClock::new(phase, now);
    }

    /// Lets a producer rest.
    pub(super) fn pause(&mut self, until: Millis) {
        *self = PhaseClock::new(Phase::Pause, until);
    }

    /// Lets a program work.
    pub(super) fn relay(&mut self, until: Millis) {
        *self = PhaseClock::new(Phase::Gateway, until);
    }

    /// Until when a producer rests, if it still does.
    pub(super) fn paused_until(&self, now: Millis) -> Option<Millis> {
        (self.phase == Phase::Pause && self.since > now).then_some(self.since)
    }

    /// When the phase will have lasted too long. Where it moves bytes, it may not stand still for
    /// as long as its timeout, and every byte buys what it takes at the lowest rate allowed: so
    /// trickling does not keep a connection for ever. A head gets no such credit.
    pub(super) fn due(&self, limits: &Limits) -> Millis {
        match self.phase {
            Phase::Head => self.since + limits.head_timeout,
            Phase::Later => self.since + limits.answer_timeout,
            Phase::Idle => self.since + limits.idle_timeout,
            Phase::Linger => self.since + limits.linger_timeout,
            Phase::Pause | Phase::Gateway => self.since,
            Phase::Content => self.paced(limits.content_timeout, limits.content_min_rate),
            Phase::Send => self.paced(limits.send_timeout, limits.send_min_rate),
        }
    }

    fn paced(&self, timeout: Duration, min_rate: u64) -> Millis {
        let credit = Duration::from_millis(self.bytes.saturating_mul(1000) / min_rate.max(1));
        (self.since + timeout + credit).min(self.moved_at + timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trickling_does_not_keep_a_phase_alive() {
        let limits = Limits::default();
        let mut clock = PhaseClock::new(Phase::Idle, Millis(0));
        clock.enter(Phase::Content, Millis(0), 0);
        let mut now = Millis(0);
        while now < clock.due(&limits) && now < Millis(600_000) {
            now.0 += 1000;
            clock.enter(Phase::Content, now, 100); // a fifth of the lowest rate
        }
        assert!(now < Millis(60_000), "still alive at {now:?}");
        let mut now = Millis(0);
        clock.enter(Phase::Send, now, 0);
        while now < clock.due(&limits) && now < Millis(600_000) {
            now.0 += 1000;
            clock.enter(Phase::Send, now, 600);
        }
        assert_eq!(now, Millis(600_000), "fast enough, but cut");
        assert_eq!(clock.due(&limits), now + limits.send_timeout, "credit is not hoarded");
    }

    #[test]
    fn whom_a_request_was_from_is_forgotten_with_it() {
        let client = Client::new(Some("10.0.0.1:5".parse().unwrap()), Millis(0));
        let mut exchange = Exchange::default();
        assert_eq!(client.asker(&exchange), Some([10, 0, 0, 1].into()));
        let other = Some([192, 0, 2, 7].into());
        exchange.forwarded = Some(Forwarded { client: other, is_secure: true });
        assert_eq!(client.asker(&exchange), other);
        exchange.clear();
        assert_eq!(client.asker(&exchange), Some([10, 0, 0, 1].into()));
    }

    #[test]
    fn a_head_gets_no_credit() {
        let limits = Limits::default();
        let mut clock = PhaseClock::new(Phase::Idle, Millis(0));
        clock.enter(Phase::Head, Millis(5), 1);
        clock.enter(Phase::Head, Millis(9_000), 10_000);
        assert_eq!(clock.due(&limits), Millis(5) + limits.head_timeout);
    }
}
