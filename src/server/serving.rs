//! One client served: what can be done for it now, until nothing moves or its turn is over.
//!
//! What the loop owns (buffers, clock, site, log) is lent for the time of one call; what is left
//! over at its end is kept in the client's [`Work`]. How a request becomes an answer is told in
//! `exchange.rs`, how bytes leave in `sending.rs`.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use super::access_log::AccessLog;
use super::admin::Shown;
use super::client::{Client, Exchange, Fate, Pending, Phase, Work};
use super::desk::Desk;
use super::dialing::Wish;
use super::kept::Kept;
use super::lag::{self, Watch};
use super::metrics::{Limit, Metrics};
use super::net::Net;
use super::peers::PeerId;
use super::recorder::{Act, Recorder};
use super::shares::Shares;
use super::spool::Budget;
use super::terms::Terms;
use super::timers::Millis;
use crate::http::date::Stamp;

/// Bytes of gathered answers above which they are written before more are made.
pub(super) const GATHERED: usize = 64 << 10;

/// What a byte that a program says costs of a turn, beside what it costs to send it on: it is
/// copied from the pipe and into its frame, where `sendfile` copies nothing.
pub(super) const RELAYED_COST: usize = 3;

/// What the loop lends to whom it serves.
pub(super) struct Cx<'a, N> {
    pub(super) net: &'a mut N,
    /// What holds for the exchange under way, and between exchanges for the connection.
    pub(super) terms: &'a Rc<Terms>,
    /// What holds for the next one.
    pub(super) current: &'a Rc<Terms>,
    pub(super) log: &'a mut AccessLog,
    pub(super) desk: &'a Desk,
    /// Where everything is received.
    pub(super) rx: &'a mut [u8],
    /// Where answers are gathered. Empty between clients.
    pub(super) tx: &'a mut Vec<u8>,
    /// Where produced content is made before it is framed.
    pub(super) scratch: &'a mut Vec<u8>,
    /// Where what programs say is received. Empty until one does.
    pub(super) gx: &'a mut Vec<u8>,
    /// What the loop is to do for clients once this one was served.
    pub(super) wishes: &'a mut VecDeque<Wish>,
    /// How much request content may be kept.
    pub(super) budget: &'a Budget,
    pub(super) metrics: &'a mut Metrics,
    /// What of the turn takes long.
    pub(super) watch: &'a mut Watch,
    /// What has happened last.
    pub(super) recorder: &'a mut Recorder,
    /// What addresses have had.
    pub(super) shares: &'a mut Shares,
    /// For clients of the admin listener: what they are answered with.
    pub(super) shown: &'a mut Option<Shown>,
    pub(super) now: Millis,
    /// Another number whenever a request may have come in since the last one was answered. The
    /// first that is read of a client in a turn has not, where the wait before has told of it.
    pub(super) moment: &'a mut u64,
    pub(super) stamp: &'a Stamp,
    /// The server ends: every answer is its connection's last.
    pub(super) draining: bool,
}

/// One client while it is served.
pub(super) struct Serving<'c, 'a, N> {
    pub(super) id: PeerId,
    pub(super) client: &'c mut Client,
    pub(super) cx: &'c mut Cx<'a, N>,
    /// Bytes received and not taken up, when the turn begins.
    input: &'c mut Kept,
    /// Bytes of answers that the socket has not taken: `output[output_sent..]`.
    pub(super) output: &'c mut Kept,
    pub(super) output_sent: &'c mut usize,
    pub(super) exchange: &'c mut Exchange,
    /// Bytes received and sent in this turn, by clients and programs, at what they cost.
    pub(super) moved: usize,
    /// Bytes received from the client in this turn.
    received: usize,
    /// Bytes sent to the client in this turn.
    pub(super) sent: usize,
    /// Requests answered in this turn.
    pub(super) answered: u32,
    /// How often a producer was asked in this turn.
    pub(super) asked: u32,
    /// A producer has asked for a pause until then.
    pub(super) paused_until: Option<Millis>,
}

/// How far one step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something has moved: on with the next.
    Moved,
    /// The client must say more.
    NeedsInput,
    /// The client must take some of what waits for it.
    NeedsRoom,
    /// Another thread, a program or a producer must say more.
    NeedsOther,
    /// All is said; the connection ends when what was written is out.
    Over,
    /// The connection is broken.
    Broken,
    /// The answer is cut, and only a reset tells the client.
    Reset,
}

/// Why a client is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Its socket, another thread or its own haste last turn says that something can be done.
    Ready,
    /// Its deadline has come.
    Due,
}

/// Serves `client` until nothing moves or its turn is over. Says what becomes of it, and when it
/// wants to be looked at again though nothing has happened. `blank` is for one that has no work; it
/// is left blank.
pub(super) fn serve<N: Net>(
    id: PeerId,
    client: &mut Client,
    cx: &mut Cx<'_, N>,
    blank: &mut Work,
    occasion: Occasion,
) -> (Fate, Millis) {
    let phase = client.clock.phase;
    cx.recorder.begin(client.connection.state());
    if phase == Phase::Linger {
        return (linger(id, client, cx), client.clock.due(&cx.terms.limits));
    }
    let is_over = occasion == Occasion::Due && ends_silently(client);
    if client.ready.broken || is_over {
        if is_over {
            cx.metrics.hit(limit_of(phase));
        }
        return (Fate::Close, Millis::NEVER);
    }
    let mut kept = client.work.take();
    let Work { input, output, sent, exchange, terms: _ } = kept.as_deref_mut().unwrap_or(blank);
    let mut serving = Serving {
        id,
        paused_until: client.clock.paused_until(cx.now),
        client,
        cx,
        input,
        output,
        output_sent: sent,
        exchange,
        moved: 0,
        received: 0,
        sent: 0,
        answered: 0,
        asked: 0,
    };
    let late = (occasion == Occasion::Due).then(|| serving.time_out(phase));
    let fate = match late {
        Some(Step::Broken) => Fate::Close,
        Some(Step::Reset) => Fate::Reset,
        Some(Step::Moved | Step::NeedsInput | Step::NeedsRoom | Step::NeedsOther | Step::Over)
        | None => serving.run(),
    };
    let Serving { answered, received, sent, paused_until, .. } = serving;
    cx.metrics.received += received as u64;
    cx.metrics.sent += sent as u64;
    keep(client, kept, blank, fate, cx.terms);
    let now = cx.now;
    let phase = client.phase();
    if phase == Phase::Gateway
        && let Some(work) = &mut client.work
        && let Pending::Gateway(relay) = &mut work.exchange.pending
    {
        if client.clock.phase != Phase::Gateway {
            relay.begin_wait(now);
        }
        client.clock.relay(relay.due(&cx.terms.limits));
    } else if let Some(until) = paused_until {
        client.clock.pause(until);
    } else if answered > 0 {
        client.clock.restart(phase, now);
    } else {
        // Time is bought by what the client itself has said or taken.
        let moved = if phase == Phase::Content { received } else { sent };
        client.clock.enter(phase, now, moved as u64);
    }
    (fate, client.clock.due(&cx.terms.limits))
}

/// Leaves with the client what neither side has taken, which is in `kept` or else in `blank`; an
/// idle client is left nothing.
fn keep(
    client: &mut Client,
    mut kept: Option<Box<Work>>,
    blank: &mut Work,
    fate: Fate,
    terms: &Rc<Terms>,
) {
    client.ready.is_told = false;
    let work = kept.as_deref_mut().unwrap_or(blank);
    let is_idle = work.input.is_empty() && work.output.is_empty() && client.connection.is_idle();
    // Who goes and owes nobody a word needs nothing any more.
    let is_over = matches!(fate, Fate::Close | Fate::Reset)
        && work.exchange.draft.is_none()
        && matches!(work.exchange.pending, Pending::Nothing);
    if is_idle || is_over || client.clock.phase == Phase::Linger {
        if kept.is_none() {
            blank.clear();
        }
        return;
    }
    // A tunnel that is silent for long holds nothing of what went through it.
    for buffer in [&mut work.input, &mut work.output] {
        if buffer.is_empty() {
            *buffer = Kept::default();
        }
    }
    let mut work = kept.unwrap_or_else(|| Box::new(std::mem::take(blank)));
    // Half a head is nothing yet: it is read under what holds when all of it is there.
    let has_begun = !client.connection.is_idle() && !client.connection.is_in_head();
    work.terms = has_begun.then(|| Rc::clone(terms));
    client.work = Some(work);
}

/// Whether a client that has taken too long is not worth an answer: it has asked for nothing, or
/// does not take what it was given.
fn ends_silently(client: &Client) -> bool {
    match client.clock.phase {
        Phase::Idle | Phase::Send | Phase::Linger => true,
        // At most it has sent the line end that old clients send behind a form.
        Phase::Head => client.connection.is_idle(),
        Phase::Content | Phase::Later | Phase::Gateway | Phase::Pause => false,
    }
}

/// Which limit a client has come up against that has ended silently in this phase.
fn limit_of(phase: Phase) -> Limit {
    match phase {
        Phase::Head => Limit::HeadTimeout,
        Phase::Content => Limit::ContentTimeout,
        Phase::Later => Limit::Answer,
        Phase::Gateway => Limit::Program,
        Phase::Send | Phase::Pause => Limit::Send,
        Phase::Idle | Phase::Linger => Limit::Idle,
    }
}

/// Throws away what still comes in, so that closing does not reset the connection before the client
/// has read the last answer (RFC 9112 §9.6). One that never stops is not heard for longer for it.
fn linger<N: Net>(id: PeerId, client: &mut Client, cx: &mut Cx<'_, N>) -> Fate {
    if client.clock.due(&cx.terms.limits) <= cx.now {
        return Fate::Close;
    }
    let mut left = cx.terms.limits.turn_bytes;
    while client.ready.readable {
        match cx.net.read(id, cx.rx) {
            Ok(0) => return Fate::Close,
            Ok(count) => {
                cx.metrics.received += count as u64;
                if count >= left {
                    return Fate::Yield;
                }
                left -= count;
                client.ready.readable = count == cx.rx.len() || client.ready.read_closed;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                client.ready.readable = false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Fate::Close,
        }
    }
    // Both directions are over as soon as the client has ended its own: then, too, what it said
    // before is read first.
    if client.ready.broken { Fate::Close } else { Fate::Wait }
}

impl<N: Net> Serving<'_, '_, N> {
    /// The turn of this client. What is left of the input goes back where it came from.
    fn run(&mut self) -> Fate {
        let rx = std::mem::take(&mut self.cx.rx);
        let mut window = 0..self.input.len();
        if window.start < window.end {
            rx[window.clone()].copy_from_slice(self.input);
            self.input.clear();
        }
        let fate = self.advance(rx, &mut window);
        if window.start < window.end {
            self.input.extend_from_slice(&rx[window]);
        }
        self.cx.rx = rx;
        fate
    }

    fn advance(&mut self, rx: &mut [u8], window: &mut Range<usize>) -> Fate {
        // What is left of the last turn goes first: while it does not, nothing new is made.
        let mut step = self.flush(false);
        loop {
            match step {
                Step::Moved => {}
                Step::NeedsInput | Step::NeedsOther => return Fate::Wait,
                Step::NeedsRoom => return self.upload(rx, window),
                Step::Over | Step::Broken => return Fate::Close,
                Step::Reset => return Fate::Reset,
            }
            if self.is_spent() {
                return match self.flush(false) {
                    // Where there is no room for the answer, the client may still be giving.
                    Step::Moved | Step::NeedsRoom => Fate::Yield,
                    Step::Broken | Step::Over | Step::Reset => Fate::Close,
                    Step::NeedsInput | Step::NeedsOther => Fate::Wait,
                };
            }
            step = match self.step(rx, window) {
                Step::Moved if self.cx.tx.len() >= GATHERED => self.flush(false),
                // Before more is asked of the client, it gets what it has asked for.
                Step::NeedsInput => match self.flush(false) {
                    Step::Moved => self.read(rx, window),
                    stuck => stuck,
                },
                Step::NeedsOther => match self.flush(false) {
                    Step::Moved => Step::NeedsOther,
                    stuck => stuck,
                },
                Step::Over => match self.flush(false) {
                    Step::Moved => return self.end(window.start == window.end),
                    stuck => stuck,
                },
                step => step,
            };
        }
    }

    /// A client that takes nothing of its answer may still be giving: some give all of their
    /// content before they look at what comes back.
    fn upload(&mut self, rx: &mut [u8], window: &mut Range<usize>) -> Fate {
        while !self.is_spent() {
            let step = match self.push_on(rx, window) {
                Step::NeedsInput => self.read(rx, window),
                step => step,
            };
            match step {
                Step::Moved => {}
                Step::NeedsInput | Step::NeedsRoom | Step::NeedsOther => return Fate::Wait,
                Step::Over | Step::Broken => return Fate::Close,
                Step::Reset => return Fate::Reset,
            }
        }
        Fate::Yield
    }

    /// Whether this client has had its share of the turn.
    pub(super) fn is_spent(&self) -> bool {
        self.answered >= self.cx.terms.limits.turn_requests
            || self.asked >= self.cx.terms.limits.turn_requests
            || self.moved >= self.cx.terms.limits.turn_bytes
    }

    /// Reads on, behind what is still in the window.
    fn read(&mut self, rx: &mut [u8], window: &mut Range<usize>) -> Step {
        if !self.client.ready.readable {
            return Step::NeedsInput;
        }
        if window.start > 0 {
            // What was asked before is overwritten here.
            self.end_request(rx);
            self.cx.watch.asked = 0..0;
            rx.copy_within(window.clone(), 0);
            *window = 0..window.len();
        }
        let room = &mut rx[window.end..];
        let length = room.len();
        if length == 0 {
            return Step::NeedsOther; // A read into nothing would look like the end.
        }
        match self.cx.net.read(self.id, room) {
            Ok(0) if self.ends_tunnel() => Step::Moved,
            Ok(0) => {
                // Whatever was begun stays unfinished: nobody is left to say the rest.
                self.client.connection.close_reading();
                if self.output.is_empty() { Step::Broken } else { self.abandon() }
            }
            Ok(count) => {
                let is_told = std::mem::take(&mut self.client.ready.is_told);
                if self.answered > 0 || !is_told {
                    *self.cx.moment += 1;
                }
                window.end += count;
                self.moved += count;
                self.received += count;
                self.record(Act::Read, count as u64, 0);
                // A short read means that the socket is dry; only an end makes it worth to ask
                // again.
                self.client.ready.readable = count == length || self.client.ready.read_closed;
                Step::Moved
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.client.ready.readable = false;
                Step::NeedsInput
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Step::Moved,
            Err(_) => Step::Broken,
        }
    }

    /// Another request of this client begins, or more is read, within its turn: notes if the one
    /// before has taken long.
    pub(super) fn end_request(&mut self, rx: &[u8]) {
        if self.answered == 0 {
            return;
        }
        let now_ns = self.cx.net.nanos();
        self.cx.recorder.look(now_ns);
        if let Some(took) = self.cx.watch.end_piece(now_ns) {
            let line = rx.get(self.cx.watch.asked.clone()).unwrap_or_default();
            let whose = lag::describe(self.client.address, line);
            self.cx.watch.note(took, lag::Phase::Answer, whose);
        }
    }

    /// All is said and out. Where the client might still be talking, it is listened to a little
    /// longer.
    fn end(&mut self, all_taken: bool) -> Fate {
        let is_silent = all_taken && !self.client.ready.readable;
        if is_silent && self.client.connection.is_mutual_end() {
            return Fate::Close;
        }
        self.cx.net.finish(self.id);
        self.record(Act::Finished, 0, 0);
        self.client.clock.enter(Phase::Linger, self.cx.now, 0);
        Fate::Yield
    }

    /// Something has happened to this client. `amount` and `detail` are as the [`Act`] says.
    pub(super) fn record(&mut self, act: Act, amount: u64, detail: u16) {
        if self.client.is_admin {
            return; // Whoever watches would see nothing but itself.
        }
        let recorder = &mut *self.cx.recorder;
        if recorder.is_fine() {
            recorder.look(self.cx.net.nanos());
        }
        recorder.add(self.id, act, self.client.connection.state(), (amount, detail));
    }

    /// The head of a request that begins with this line is complete.
    pub(super) fn record_head(&mut self, line: &[u8]) {
        if !self.client.is_admin {
            let line = self.cx.recorder.note_line(line);
            self.record(Act::Head, line, 0);
        }
    }
}
