//! Whoever watches: a client of the admin listener whose answer does not end. It is given an event
//! when it has taken the one before and a little time has gone by, so a slow one gets fewer, and
//! nothing piles up. While there is one, every moment has its very time.

use std::mem;
use std::time::Duration;

use super::super::super::Server;
use super::super::super::client::{Client, Fate, Pending};
use super::super::super::net::Net;
use super::super::super::peers::{Peer, PeerId};
use super::super::super::serving::{Occasion, Serving, Step};
use super::super::super::timers::Millis;
use super::super::commands;
use super::super::{Report, answer, error, guard};
use super::Wanted;
use crate::http;
use crate::http::head::{Head, HeadSpace};
use crate::http::method::Method;
use crate::http::status::Status;
use crate::site::Reply;

/// Between two events.
const EVERY: Duration = Duration::from_millis(100);

/// Requests of one client of the admin listener that are answered before the others have their
/// turn.
const ANSWERS: usize = 8;

/// What one client of the admin listener is lent, once, to be answered with.
#[derive(Debug)]
pub(in super::super::super) enum Shown {
    /// How the server is doing.
    Report(Box<Report>),
    /// An answer.
    Reply(Box<Reply>),
    /// An answer without end.
    Stream(Box<Reply>),
    /// What comes next in it. Empty: there is an end after all.
    Event(String),
}

impl<N: Net> Server<N> {
    /// Answers a client of the admin listener that waits for it. `None`: it does not, or not yet.
    pub(in super::super::super) fn answer_admin(
        &mut self,
        id: PeerId,
        now: Millis,
    ) -> Option<Fate> {
        let mut fate = None;
        for _ in 0..ANSWERS {
            let Some(shown) = self.show(id, now) else { return fate };
            let begins = matches!(shown, Shown::Stream(_));
            self.shown = Some(shown);
            fate = Some(self.serve_client(id, now, Occasion::Ready));
            self.shown = None;
            if begins {
                self.heed_watchers();
            }
            if matches!(fate, Some(Fate::Close | Fate::Reset)) {
                return fate;
            }
        }
        Some(Fate::Yield)
    }

    /// What this client is to be shown, if it waits for something.
    fn show(&mut self, id: PeerId, now: Millis) -> Option<Shown> {
        let client = self.peers.client_mut(id)?;
        let is_tcp = client.address.is_some();
        let is_resting = client.clock.paused_until(now).is_some();
        let work = client.work.as_deref_mut()?;
        match &mut work.exchange.pending {
            Pending::Watch(_) if is_resting || !work.output.is_empty() => None,
            // Whoever has ended its direction has gone: nobody who watches has more to say.
            Pending::Watch(_) if client.ready.read_closed || self.drained_by.is_some() => {
                Some(Shown::Event(String::new()))
            }
            Pending::Watch(cursor) => {
                let mut reached = mem::take(&mut **cursor);
                let event = self.event(&mut reached);
                if let Some(Client { work: Some(work), .. }) = self.peers.client_mut(id)
                    && let Pending::Watch(cursor) = &mut work.exchange.pending
                {
                    **cursor = reached;
                }
                Some(Shown::Event(event))
            }
            // What stands before it in the same connection is not out.
            Pending::Report if !work.output.is_empty() => None,
            Pending::Report => {
                if let Some(answer) = self.stepping.take_answer(id) {
                    return Some(Shown::Reply(Box::new(answer)));
                }
                let spool = work.exchange.spool.take()?;
                // What has come in under other limits is not refused by those of now.
                let limits = work.terms.as_ref().unwrap_or(&self.terms).limits.http();
                let shown = self.look_up(id, spool.head(), &limits, is_tcp);
                // Nobody is let go while he is being answered.
                if let Some(Client { work: Some(work), .. }) = self.peers.client_mut(id) {
                    work.exchange.spool = Some(spool);
                }
                shown
            }
            Pending::Nothing
            | Pending::Content
            | Pending::Discard(_)
            | Pending::Later(_)
            | Pending::Gateway(_) => None,
        }
    }

    /// What a request with this head is shown, which was taken in under these limits. `None`: it
    /// asks something of the loop, which is done [later](Self::obey).
    fn look_up(
        &mut self,
        id: PeerId,
        bytes: &[u8],
        limits: &http::Limits,
        is_tcp: bool,
    ) -> Option<Shown> {
        let mut space = HeadSpace::new();
        let head = Head::parse(bytes, &mut space, limits)
            .expect("a head that was parsed can be parsed again");
        if let Some((status, why)) = guard::refusal(&head, is_tcp) {
            return Some(Shown::Reply(Box::new(error(status, b"", why))));
        }
        if let Some(command) = commands::wanted(&head) {
            self.stepping.ask(id, command);
            return None;
        }
        let path = head.target.path().unwrap_or_default();
        Some(match Wanted::by(path, head.target.query()) {
            Some(wanted) => {
                let reply = Box::new(self.inspect(wanted, &head));
                let begins = wanted == Wanted::Events && reply.status == Status::OK;
                if begins { Shown::Stream(reply) } else { Shown::Reply(reply) }
            }
            None => Shown::Report(Box::new(self.report())),
        })
    }

    /// How many watch.
    pub(in super::super::super) fn watchers(&self) -> usize {
        let watches = |peer: &Peer| matches!(peer, Peer::Client(client) if client.watches());
        self.peers.iter().filter(|(_, peer)| watches(peer)).count()
    }

    /// Whether somebody watches and has taken all that there was to be seen.
    pub(in super::super::super) fn is_attended(&self) -> bool {
        let has_taken_all =
            |client: &Client| client.work.as_ref().is_some_and(|work| work.output.is_empty());
        self.peers.iter().any(|(_, peer)| {
            matches!(peer, Peer::Client(client) if client.watches() && has_taken_all(client))
        })
    }

    /// Somebody has begun to watch, or a client of the admin listener has gone.
    pub(in super::super::super) fn heed_watchers(&mut self) {
        let is_watched = self.watchers() > 0;
        self.recorder.be_fine(is_watched);
    }
}

impl Client {
    /// Whether it is one that watches.
    pub(in super::super::super) fn watches(&self) -> bool {
        self.is_admin
            && !self.ready.read_closed
            && self
                .work
                .as_ref()
                .is_some_and(|work| matches!(work.exchange.pending, Pending::Watch(_)))
    }
}

impl<N: Net> Serving<'_, '_, N> {
    /// Answers a client of the admin listener, once it was lent what with.
    pub(in super::super::super) fn answer_admin(&mut self, head: &Head<'_>, bytes: &[u8]) {
        let reply = match self.cx.shown.take() {
            None | Some(Shown::Event(_)) => return self.wait(Pending::Report, bytes),
            Some(Shown::Report(report)) => answer(&report, head),
            Some(Shown::Reply(reply)) => *reply,
            Some(Shown::Stream(reply)) => {
                let watches = head.method == Method::Get && head.length.is_none();
                self.answer_now(*reply, head, bytes);
                if watches {
                    self.exchange.pending = Pending::Watch(Box::default());
                }
                return;
            }
        };
        self.answer_now(reply, head, bytes);
    }

    /// Sends the next event, if there is one to be sent.
    pub(in super::super::super) fn send_event(&mut self) -> Step {
        match self.cx.shown.take() {
            Some(Shown::Event(event)) if event.is_empty() => {
                let step = self.finish_body();
                self.end_body();
                step
            }
            Some(Shown::Event(event)) => {
                self.client.connection.send(event.as_bytes(), self.cx.tx);
                self.exchange.body_sent += event.len() as u64;
                self.pause(EVERY)
            }
            None | Some(Shown::Report(_) | Shown::Reply(_) | Shown::Stream(_)) => Step::NeedsOther,
        }
    }
}
