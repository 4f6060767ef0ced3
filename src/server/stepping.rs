//! Step mode: the loop holds before each turn, or before each event of one, and lets the next
//! through when somebody at the admin listener asks for it. Meanwhile time stands still for
//! everybody, so that nobody is late; only the clients of the admin listener are served.
//!
//! Whom an event is for, and what is done for it, is not known here. A server that others than this
//! machine can reach is never held, nor is one that was not started to be: whoever may look at a
//! server need not be whoever may stop it.

use std::io;
use std::time::{Duration, Instant};

use super::Server;
use super::client::Phase;
use super::net::{Net, Ready};
use super::peers::{Peer, PeerId};
use super::serving::Occasion;
use super::timers::Millis;
use crate::site::Reply;

/// The longest that a held loop sleeps: those who watch it are told how it is.
const GLANCE: Duration = Duration::from_millis(100);

/// A held loop goes on by itself when nobody has watched it or asked anything of it for so long, in
/// seconds.
const LEFT_ALONE: u64 = 60;

/// What the loop holds before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Each turn.
    Turn,
    /// Each event of a turn.
    Event,
}

/// Who is served next, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Its socket is ready, or another thread has its answer.
    Ready(PeerId),
    /// Its deadline has come.
    Due(PeerId),
    /// It was taken in during this turn.
    Newcomer(PeerId),
}

/// What somebody at the admin listener wants of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// To hold, from the next turn on.
    Hold(Before),
    /// To let one through: an event, or what is left of the turn.
    Step(Before),
    /// To go on.
    Go,
}

/// Whether the loop is held, and where.
#[derive(Debug, Default)]
pub(super) struct Stepping {
    /// What it holds before. `None`: it goes on by itself.
    before: Option<Before>,
    /// The turn that has been begun and is not over.
    turn: Option<OpenTurn>,
    /// What is let through next. `None`: nothing is ready.
    next: Option<Next>,
    /// Events that waits have brought for the next turn.
    ready: usize,
    /// Whether it may be held at all.
    is_allowed: bool,
    /// What clients of the admin listener ask of the loop, each one thing.
    asked: Vec<(PeerId, Command)>,
    /// What they are to be answered once it was done.
    answers: Vec<(PeerId, Reply)>,
    /// When somebody was there last who could let something through, in seconds since 1970.
    attended: u64,
    /// When those who watch were last told how it is. `None`: something was done since.
    told: Option<Instant>,
}

/// A turn in the midst of which the loop is held.
#[derive(Clone, Copy, Debug)]
struct OpenTurn {
    now: Millis,
    /// How many in the queue are still served in it.
    left: usize,
}

impl Stepping {
    /// Whether the loop is held.
    pub(super) fn is_on(&self) -> bool {
        self.before.is_some()
    }

    /// This client asks something of the loop, which is done when nobody is served.
    pub(super) fn ask(&mut self, id: PeerId, command: Command) {
        if !self.asked.iter().any(|&(other, _)| other == id) {
            self.asked.push((id, command));
        }
    }

    /// What is asked of the loop.
    pub(super) fn take_asked(&mut self) -> Vec<(PeerId, Command)> {
        std::mem::take(&mut self.asked)
    }

    /// Whether nobody asks anything.
    pub(super) fn is_unasked(&self) -> bool {
        self.asked.is_empty()
    }

    /// What this client has asked for was done.
    pub(super) fn answer(&mut self, id: PeerId, answer: Reply) {
        self.answers.push((id, answer));
    }

    /// What this client is to be answered, if anything was done for it.
    pub(super) fn take_answer(&mut self, id: PeerId) -> Option<Reply> {
        let at = self.answers.iter().position(|&(other, _)| other == id)?;
        Some(self.answers.swap_remove(at).1)
    }

    /// What it holds before, and who is next, if anybody is ready.
    pub(super) fn state(&self) -> Option<(Before, Option<Next>)> {
        self.before.map(|before| (before, self.next))
    }
}

impl<N: Net> Server<N> {
    /// From now on, somebody at the admin listener may hold the loop.
    pub fn allow_steps(&mut self) {
        self.stepping.is_allowed = true;
    }

    /// Whether somebody holds the loop.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.stepping.is_on()
    }

    /// Holds the loop before its first event. Somebody at the admin listener is to let it go on.
    ///
    /// # Errors
    /// Where others than this machine can reach the server: the sentence says so.
    pub fn hold(&mut self) -> Result<(), String> {
        self.allow_steps();
        self.command(Command::Hold(Before::Event))
    }

    /// Does as somebody at the admin listener wants.
    ///
    /// # Errors
    /// Where that cannot be: the sentence says why.
    pub(super) fn command(&mut self, command: Command) -> Result<(), String> {
        let is_on = self.stepping.is_on();
        self.stepping.attended = self.net.unix_time();
        self.stepping.told = None;
        match command {
            Command::Go => self.go_on(),
            Command::Step(_) if !is_on => return Err("the loop is not held".to_owned()),
            Command::Step(what) => self.step(what),
            Command::Hold(before) => {
                self.may_hold()?;
                // What is left of the turn is not to be waited for.
                if before == Before::Turn && self.stepping.turn.is_some() {
                    self.step(Before::Turn);
                }
                self.stepping.before = Some(before);
            }
        }
        Ok(())
    }

    fn may_hold(&self) -> Result<(), String> {
        if !self.stepping.is_allowed {
            return Err(
                "start it with --step, or `oneloop --inspect`: this server was not started \
                        to be held"
                    .to_owned(),
            );
        }
        if self.drained_by.is_some() {
            return Err("the server is about to end".to_owned());
        }
        let listeners = self.peers.listeners();
        match listeners.iter().find(|(_, listener)| !listener.address().is_local()) {
            None => Ok(()),
            Some((_, listener)) => Err(format!(
                "the loop is never held where others wait for it: it listens at {}, which is not \
                 this machine alone",
                listener.address()
            )),
        }
    }

    /// There are other listeners than before: where others may come in by them, the loop is not
    /// held any longer.
    pub(super) fn heed_listeners(&mut self) {
        if self.stepping.is_on()
            && let Err(why) = self.may_hold()
        {
            log::warn!("step mode: {why}; it goes on");
            self.go_on();
        }
    }

    /// The loop goes on by itself.
    pub(super) fn go_on(&mut self) {
        if self.stepping.is_on() {
            self.net.hold(false);
            self.finish_turn();
            let Stepping { is_allowed, asked, answers, .. } = std::mem::take(&mut self.stepping);
            self.stepping = Stepping { is_allowed, asked, answers, ..Stepping::default() };
        }
    }

    /// A turn of a loop that is held: whoever has come to the admin listener is served, and of all
    /// else what somebody there lets through.
    pub(super) fn turn_held(&mut self, most: Option<Duration>) -> io::Result<()> {
        self.net.hold(true);
        let has_news = self.stepping.told.is_none() || !self.stepping.is_unasked();
        let is_busy = has_news || self.queue.iter().any(|&id| self.peers.is_apart(id));
        let timeout = if is_busy { Duration::ZERO } else { GLANCE };
        let mut ready = std::mem::take(&mut self.ready);
        let waited =
            self.net.wait(&mut ready, Some(most.map_or(timeout, |most| most.min(timeout))));
        let is_held = |event: &&Ready| !self.peers.is_apart(event.peer);
        self.stepping.ready += ready.iter().filter(is_held).count();
        self.hear(ready);
        waited?;
        self.serve_apart();
        self.obey();
        if self.stepping.is_on() {
            self.look_after();
        }
        if self.stepping.is_on() {
            self.look_ahead();
        }
        Ok(())
    }

    /// Lets one through, while time goes on for as long as that takes.
    fn step(&mut self, what: Before) {
        self.look_ahead();
        self.net.hold(false);
        self.let_through(what);
        self.look_ahead();
        self.log.write();
        self.net.hold(self.stepping.is_on());
    }

    /// Serves the clients of the admin listener, and that itself. For those who watch, time goes
    /// on.
    fn serve_apart(&mut self) {
        let now = self.net.now();
        let ready = self.queue.iter().copied().filter(|&id| self.peers.is_apart(id));
        let mut apart: Vec<PeerId> = ready.collect();
        self.queue.retain(|&id| !apart.contains(&id));
        for &id in &apart {
            self.peers.set_queued(id, false);
        }
        let has_rested = |told: Instant| told.elapsed() >= GLANCE;
        let is_time = self.stepping.told.is_none_or(has_rested);
        if is_time {
            self.stepping.told = Some(Instant::now());
            // Its rest would not end, for the clock stands still.
            let doors = self.peers.listeners().into_iter();
            let doors =
                doors.filter(|(_, listener)| listener.is_admin() && listener.is_resting(now));
            for id in doors.map(|(id, _)| id).collect::<Vec<_>>() {
                if let Some(Peer::Listener(listener)) = self.peers.get_mut(id) {
                    listener.wake();
                }
                self.serve(id, now, Occasion::Ready);
            }
        }
        let watching = self.peers.iter().filter(|_| is_time).filter_map(|(id, peer)| match peer {
            Peer::Client(client) if client.is_admin => {
                (client.clock.phase == Phase::Pause && !apart.contains(&id)).then_some(id)
            }
            Peer::Client(_) | Peer::Listener(_) | Peer::Gateway(_) => None,
        });
        apart.extend(watching.collect::<Vec<_>>());
        for id in apart {
            if let Some(client) = self.peers.client_mut(id).filter(|_| is_time)
                && client.clock.phase == Phase::Pause
            {
                client.clock.pause(now);
            }
            self.serve(id, now, Occasion::Ready);
        }
        let newcomers = self.newcomers.iter().copied().filter(|&id| self.peers.is_apart(id));
        for id in newcomers.collect::<Vec<_>>() {
            self.newcomers.retain(|&newcomer| newcomer != id);
            self.welcome_one(id, now);
        }
    }

    /// Lets the loop go on where nobody is there any more who could.
    fn look_after(&mut self) {
        let now = self.net.unix_time();
        if self.is_attended() {
            self.stepping.attended = now;
        } else if now.abs_diff(self.stepping.attended) > LEFT_ALONE {
            log::warn!(
                "step mode: nobody has been at the inspector for a minute; the loop goes on"
            );
            self.go_on();
        }
    }

    /// Finds out what is next. A turn that has nothing left is over.
    fn look_ahead(&mut self) {
        if self.stepping.next.is_none() && self.stepping.turn.is_some() {
            self.stepping.next = self.next_of_turn();
            if self.stepping.next.is_none() {
                self.net.hold(false);
                self.finish_turn();
                self.net.hold(true);
            }
        }
        if self.stepping.turn.is_none() {
            // A kept connection to a program is told at the beginning of a turn.
            let untold = || self.untold.front().copied();
            let next = self.waiting().next().or_else(untold);
            self.stepping.next = next.map(Next::Ready);
        }
    }

    fn next_of_turn(&mut self) -> Option<Next> {
        let turn = self.stepping.turn?;
        if turn.left > 0
            && let Some(id) = self.waiting().next()
        {
            return Some(Next::Ready(id));
        }
        if let Some(id) = self.next_due(turn.now) {
            return Some(Next::Due(id));
        }
        let is_held = |id: &&PeerId| !self.peers.is_apart(**id);
        self.newcomers.iter().find(is_held).copied().map(Next::Newcomer)
    }

    fn let_through(&mut self, what: Before) {
        self.open_turn();
        match what {
            Before::Turn => self.finish_turn(),
            Before::Event => self.let_one_through(),
        }
    }

    /// Begins a turn, if there is none and somebody has something to do in it.
    fn open_turn(&mut self) {
        let is_idle = self.waiting().next().is_none() && self.untold.is_empty();
        if self.stepping.turn.is_some() || is_idle {
            return;
        }
        let ready = std::mem::take(&mut self.stepping.ready);
        let now = self.begin_turn(ready);
        self.tell_kept(now);
        self.stepping.turn = Some(OpenTurn { now, left: self.waiting().count() });
    }

    /// Those in the queue who are held back.
    fn waiting(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.queue.iter().copied().filter(|&id| !self.peers.is_apart(id))
    }

    fn let_one_through(&mut self) {
        let (Some(turn), Some(next)) = (&mut self.stepping.turn, self.stepping.next.take()) else {
            return;
        };
        let now = turn.now;
        match next {
            // One that was told at the beginning of the turn has nothing else to do in it, nor has
            // one that has gone.
            Next::Ready(id) => {
                let before = self.queue.len();
                self.queue.retain(|&other| other != id);
                turn.left = turn.left.saturating_sub(before - self.queue.len());
                if self.peers.set_queued(id, false) {
                    self.serve(id, now, Occasion::Ready);
                }
            }
            Next::Due(id) => self.serve(id, now, Occasion::Due),
            Next::Newcomer(id) => {
                self.newcomers.retain(|&newcomer| newcomer != id);
                self.welcome_one(id, now);
            }
        }
    }

    /// Brings the turn that was begun to its end.
    fn finish_turn(&mut self) {
        let Some(turn) = self.stepping.turn.take() else { return };
        if let Some(Next::Due(id)) = self.stepping.next.take() {
            self.serve(id, turn.now, Occasion::Due);
        }
        let apart = self.queue.len() - self.waiting().count();
        self.work(turn.now, turn.left + apart);
    }
}
