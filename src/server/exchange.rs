//! One client served: read → parse → route → answer → write, for as long as something moves.
//!
//! What the loop owns (buffers, clock, site, log) is lent for the time of one call; what is left
//! over at its end is kept in the client's [`Work`]. How bytes leave is told in `sending.rs`.

use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::access_log::{AccessLog, Entry};
use super::client::{Client, Exchange, Fate, Pending, Phase, Work};
use super::desk::Desk;
use super::limits::Limits;
use super::net::Net;
use super::peers::PeerId;
use super::spool::{Spool, too_large};
use super::timers::Millis;
use crate::http::Refusal;
use crate::http::connection::{Received, Turn};
use crate::http::date::Stamp;
use crate::http::fields::Name;
use crate::http::framing::Length;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;
use crate::site::body::Body;
use crate::site::handler::{Later, Settled};
use crate::site::{Answer, Inquiry, Now, Reply, Site};

/// Bytes of gathered answers above which they are written before more are made.
pub(super) const GATHERED: usize = 64 << 10;

/// Content in memory up to this many bytes is copied behind its head; above it, it is cheaper to
/// write it from where it is.
const COPIED: u64 = 16 << 10;

/// Request content that nobody wants is read and thrown away up to this many bytes. Above it,
/// closing the connection is cheaper for both sides.
const DISCARDED: u64 = 64 << 10;

/// Bytes of a refused request's first line that are logged.
const LOGGED_LINE: usize = 256;

/// What the loop lends to whom it serves.
pub(super) struct Cx<'a, N> {
    pub(super) net: &'a mut N,
    pub(super) site: &'a Site,
    pub(super) limits: &'a Limits,
    pub(super) log: &'a mut AccessLog,
    pub(super) desk: &'a Desk,
    /// Where everything is received.
    pub(super) rx: &'a mut [u8],
    /// Where answers are gathered. Empty between clients.
    pub(super) tx: &'a mut Vec<u8>,
    /// Where produced content is made before it is framed.
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) now: Millis,
    pub(super) stamp: &'a Stamp,
    /// The server ends: every answer is its connection's last.
    pub(super) draining: bool,
}

/// One client while it is served.
pub(super) struct Serving<'c, 'a, N> {
    pub(super) id: PeerId,
    pub(super) client: &'c mut Client,
    pub(super) net: &'c mut N,
    pub(super) tx: &'c mut Vec<u8>,
    pub(super) scratch: &'c mut Vec<u8>,
    site: &'a Site,
    pub(super) limits: &'a Limits,
    pub(super) log: &'c mut AccessLog,
    desk: &'a Desk,
    pub(super) now: Millis,
    stamp: &'a Stamp,
    draining: bool,
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
    pub(super) output_sent: usize,
    pub(super) exchange: Exchange,
    /// Bytes received and sent in this turn.
    pub(super) moved: usize,
    /// Requests answered in this turn.
    answered: u32,
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
    /// Another thread or a producer must say more.
    NeedsOther,
    /// All is said; the connection ends when what was written is out.
    Over,
    /// The connection is broken.
    Broken,
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
/// wants to be looked at again though nothing has happened.
pub(super) fn serve<N: Net>(
    id: PeerId,
    client: &mut Client,
    cx: &mut Cx<'_, N>,
    occasion: Occasion,
) -> (Fate, Millis) {
    let phase = client.clock.phase;
    if client.ready.broken || (occasion == Occasion::Due && ends_silently(client)) {
        return (Fate::Close, Millis::NEVER);
    }
    if phase == Phase::Linger {
        return (linger(id, client, cx), client.clock.due(cx.limits));
    }
    let work = client.work.take().map_or_else(Work::default, |work| *work);
    let mut serving = Serving {
        id,
        paused_until: client.clock.paused_until(cx.now),
        client,
        net: &mut *cx.net,
        tx: &mut *cx.tx,
        scratch: &mut *cx.scratch,
        site: cx.site,
        limits: cx.limits,
        log: &mut *cx.log,
        desk: cx.desk,
        now: cx.now,
        stamp: cx.stamp,
        draining: cx.draining,
        input: work.input,
        output: work.output,
        output_sent: work.sent,
        exchange: work.exchange,
        moved: 0,
        answered: 0,
    };
    if occasion == Occasion::Due {
        serving.time_out(phase);
    }
    let fate = serving.run(cx.rx);
    (fate, serving.keep())
}

/// Whether a client that has taken too long is not worth an answer: it has asked for nothing, or
/// does not take what it was given.
fn ends_silently(client: &Client) -> bool {
    match client.clock.phase {
        Phase::Idle | Phase::Send | Phase::Linger => true,
        Phase::Head => client.connection.is_idle() && client.work.is_none(),
        Phase::Content | Phase::Later | Phase::Pause => false,
    }
}

/// Throws away what still comes in, so that closing does not reset the connection before the client
/// has read the last answer (RFC 9112 §9.6).
fn linger<N: Net>(id: PeerId, client: &mut Client, cx: &mut Cx<'_, N>) -> Fate {
    let mut left = cx.limits.turn_bytes;
    while client.ready.readable {
        match cx.net.read(id, cx.rx) {
            Ok(0) => return Fate::Close,
            Ok(count) if count >= left => return Fate::Yield,
            Ok(count) => {
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
    Fate::Wait
}

impl<N: Net> Serving<'_, '_, N> {
    /// The turn of this client. What is left of the input goes back where it came from.
    fn run(&mut self, rx: &mut [u8]) -> Fate {
        let kept = std::mem::take(&mut self.input);
        rx[..kept.len()].copy_from_slice(&kept);
        let mut window = 0..kept.len();
        let fate = self.advance(rx, &mut window);
        self.input = kept;
        self.input.clear();
        self.input.extend_from_slice(&rx[window]);
        fate
    }

    fn advance(&mut self, rx: &mut [u8], window: &mut Range<usize>) -> Fate {
        // What is left of the last turn goes first: while it does not, nothing new is made.
        let mut step = self.flush(false);
        loop {
            match step {
                Step::Moved => {}
                Step::NeedsInput | Step::NeedsRoom | Step::NeedsOther => return Fate::Wait,
                Step::Over | Step::Broken => return Fate::Close,
            }
            if self.is_spent() {
                return match self.flush(false) {
                    Step::Moved => Fate::Yield,
                    Step::Broken | Step::Over => Fate::Close,
                    Step::NeedsInput | Step::NeedsRoom | Step::NeedsOther => Fate::Wait,
                };
            }
            step = match self.step(rx, window) {
                Step::Moved if self.tx.len() >= GATHERED => self.flush(false),
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

    /// Whether this client has had its share of the turn.
    fn is_spent(&self) -> bool {
        self.answered >= self.limits.turn_requests || self.moved >= self.limits.turn_bytes
    }

    /// The next thing that can be done.
    fn step(&mut self, rx: &[u8], window: &mut Range<usize>) -> Step {
        if self.client.connection.owes_content() {
            return self.send_body();
        }
        match self.client.connection.turn() {
            Turn::Close => return Step::Over,
            Turn::Next => {
                self.answered += 1;
                return Step::Moved;
            }
            Turn::Stay => {}
        }
        if let Pending::Later(_) = self.exchange.pending {
            return self.settle();
        }
        let mut space = HeadSpace::new();
        let input = &rx[window.clone()];
        let received = self.client.connection.receive(input, &mut space, &self.limits.http());
        match received {
            Err(refusal) => {
                self.refuse(refusal, first_line(input));
                Step::Moved
            }
            Ok((used, received)) => {
                let bytes = &input[..used];
                window.start += used;
                self.take_up(received, bytes)
            }
        }
    }

    fn take_up(&mut self, received: Received<'_>, bytes: &[u8]) -> Step {
        match received {
            Received::Nothing if bytes.is_empty() => return Step::NeedsInput,
            Received::Nothing => {}
            Received::Head(head) => {
                self.client.requests += 1;
                if self.draining || self.client.requests >= self.limits.persistent_requests {
                    self.client.connection.close_after_answer();
                }
                self.answer(&head, bytes, None);
            }
            Received::Content(content) => {
                if let Some(spool) = &mut self.exchange.spool
                    && let Err(refusal) = spool.push(content)
                {
                    self.client.connection.refuse();
                    self.refuse_spooled(refusal);
                }
            }
            Received::End => self.answer_spooled(),
        }
        Step::Moved
    }

    /// Asks the site, and does what it says. `bytes` are the head's.
    fn answer(&mut self, head: &Head<'_>, bytes: &[u8], content: Option<&[u8]>) {
        let inquiry = Inquiry {
            head,
            client: self.client.address.map(|address| address.ip()),
            content,
            now: Now { monotonic_ms: self.now.0, unix: self.stamp.seconds() },
        };
        // A bug in a handler ends its own exchange and no other.
        let answer = catch_unwind(AssertUnwindSafe(|| self.site.answer(&inquiry)));
        match answer.unwrap_or_else(|_| Answer::Reply(self.site.refuse(PANICKED))) {
            Answer::Reply(reply) => self.answer_now(reply, head, bytes),
            Answer::Content { limit } => {
                if matches!(head.length, Some(Length::Known(length)) if length > limit) {
                    let reply = self.site.refuse(too_large());
                    return self.begin(reply, &entry_of(head, self.client));
                }
                if content.is_some() {
                    let reply = self.site.refuse(PANICKED);
                    return self.begin(reply, &entry_of(head, self.client));
                }
                self.exchange.spool = Some(Spool::new(bytes, limit));
                self.exchange.pending = Pending::Content;
                self.client.connection.invite_content(self.tx);
                if head.length.is_none() {
                    self.answer_spooled();
                }
            }
            Answer::Later(later) => self.wait_for(later, bytes),
        }
    }

    /// Answers at once, or when a little content that nobody wants has come in: then the connection
    /// can persist.
    fn answer_now(&mut self, reply: Reply, head: &Head<'_>, bytes: &[u8]) {
        let connection = &self.client.connection;
        let is_small = connection.content_left().is_some_and(|left| left <= DISCARDED);
        if connection.is_in_content() && is_small && !connection.awaits_continue() {
            self.exchange.spool.get_or_insert_with(|| Spool::new(bytes, DISCARDED));
            self.exchange.pending = Pending::Discard(Box::new(reply));
        } else {
            self.begin(reply, &entry_of(head, self.client));
        }
    }

    fn wait_for(&mut self, mut later: Later, head: &[u8]) {
        later.ring(self.desk.bell(self.id));
        self.exchange.spool.get_or_insert_with(|| Spool::new(head, DISCARDED));
        self.exchange.pending = Pending::Later(later);
    }

    /// Looks whether another thread is done.
    fn settle(&mut self) -> Step {
        let Pending::Later(later) = &mut self.exchange.pending else { return Step::Moved };
        let settled = catch_unwind(AssertUnwindSafe(|| later.take()));
        match settled {
            Ok(None) => return Step::NeedsOther,
            Ok(Some(Settled::AskAgain)) => {
                self.exchange.pending = Pending::Nothing;
                self.answer_spooled();
            }
            Ok(Some(Settled::Reply(reply))) => self.reply_spooled(reply),
            Err(_) => self.reply_spooled(self.site.refuse(PANICKED)),
        }
        Step::Moved
    }

    /// Goes on with a request that was kept: its content is here, or another thread is done.
    fn answer_spooled(&mut self) {
        let Some(spool) = self.exchange.spool.take() else { return };
        if let Pending::Discard(reply) = std::mem::take(&mut self.exchange.pending) {
            return self.begin_spooled(*reply, &spool);
        }
        let mut space = HeadSpace::new();
        let head = Head::parse(spool.head(), &mut space, &self.limits.http())
            .expect("a head that was parsed can be parsed again");
        // Content that is still to come is asked for by the answer, if it wants any.
        let content = (!self.client.connection.is_in_content()).then_some(spool.content());
        self.answer(&head, spool.head(), content);
    }

    fn reply_spooled(&mut self, reply: Reply) {
        self.exchange.pending = Pending::Nothing;
        if let Some(spool) = self.exchange.spool.take() {
            self.begin_spooled(reply, &spool);
        }
    }

    fn begin_spooled(&mut self, reply: Reply, spool: &Spool) {
        let mut space = HeadSpace::new();
        let head = Head::parse(spool.head(), &mut space, &self.limits.http())
            .expect("a head that was parsed can be parsed again");
        self.begin(reply, &entry_of(&head, self.client));
    }

    /// Answers a request that is no request.
    fn refuse(&mut self, refusal: Refusal, line: &[u8]) {
        if self.exchange.spool.is_some() {
            return self.refuse_spooled(refusal);
        }
        log::debug!("refused {:?}: {}", self.client.address, refusal.why);
        let reply = self.site.refuse(refusal);
        self.begin(reply, &Entry { line, ..blank_entry(self.client) });
    }

    /// Answers a request whose content is no content.
    fn refuse_spooled(&mut self, refusal: Refusal) {
        self.reply_spooled(self.site.refuse(refusal));
    }

    /// Answers for what has taken too long in `phase`.
    fn time_out(&mut self, phase: Phase) {
        let why = match phase {
            Phase::Head => "the request's head took too long",
            Phase::Content => "the request's content took too long",
            Phase::Later => {
                let why = "the answer took too long to make";
                return self.reply_spooled(
                    self.site.refuse(Refusal { status: Status::SERVICE_UNAVAILABLE, why }),
                );
            }
            Phase::Send | Phase::Pause | Phase::Idle | Phase::Linger => return,
        };
        self.client.connection.refuse();
        self.refuse(Refusal { status: Status::REQUEST_TIMEOUT, why }, b"");
    }

    /// Begins an answer: its head, and its content as far as that is in memory and small.
    fn begin(&mut self, reply: Reply, entry: &Entry<'_>) {
        let length = reply.body.length();
        let connection = &mut self.client.connection;
        connection.respond(reply.status, &reply.fields, length, self.stamp.http(), self.tx);
        let entry = Entry { status: reply.status, user: reply.user.as_deref(), ..*entry };
        if !connection.owes_content() {
            return self.log.add(&entry, self.stamp, 0);
        }
        match reply.body {
            Body::Bytes { bytes, at, end } if (end - at) as u64 <= COPIED => {
                connection.send(&bytes[at..end], self.tx);
                self.log.add(&entry, self.stamp, (end - at) as u64);
            }
            body => {
                self.exchange.body = body;
                self.exchange.draft = self.log.draft(&entry, self.stamp);
            }
        }
    }

    /// Notes that the answer's content is out, or will never be.
    pub(super) fn end_body(&mut self) {
        if let Some(draft) = self.exchange.draft.take() {
            self.log.add_draft(&draft, self.exchange.body_sent);
        }
        self.exchange = Exchange::default();
    }

    /// Reads on, behind what is still in the window.
    fn read(&mut self, rx: &mut [u8], window: &mut Range<usize>) -> Step {
        if !self.client.ready.readable {
            return Step::NeedsInput;
        }
        if window.start > 0 {
            rx.copy_within(window.clone(), 0);
            *window = 0..window.len();
        }
        let room = &mut rx[window.end..];
        let length = room.len();
        match self.net.read(self.id, room) {
            Ok(0) => {
                // Whatever was begun stays unfinished: nobody is left to say the rest.
                self.client.connection.close_reading();
                Step::Broken
            }
            Ok(count) => {
                window.end += count;
                self.moved += count;
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

    /// All is said and out. Where the client might still be talking, it is listened to a little
    /// longer.
    fn end(&mut self, all_taken: bool) -> Fate {
        let is_silent = all_taken && !self.client.ready.readable;
        if is_silent && self.client.connection.is_mutual_end() {
            return Fate::Close;
        }
        self.net.finish(self.id);
        self.client.clock.enter(Phase::Linger, self.now, 0);
        Fate::Yield
    }

    /// Leaves with the client what neither side has taken; an idle client is left nothing. Returns
    /// when its phase will have lasted too long.
    fn keep(self) -> Millis {
        let Serving { client, input, output, output_sent, exchange, .. } = self;
        let is_idle = input.is_empty() && output.is_empty() && client.connection.is_idle();
        client.work = (!is_idle && client.clock.phase != Phase::Linger)
            .then(|| Box::new(Work { input, output, sent: output_sent, exchange }));
        let phase = client.phase();
        if let Some(until) = self.paused_until {
            client.clock.pause(until);
        } else if self.answered > 0 {
            client.clock.restart(phase, self.now);
        } else {
            client.clock.enter(phase, self.now, self.moved as u64);
        }
        client.clock.due(self.limits)
    }
}

/// What is answered where a handler has panicked. The panic itself is in the diagnostic log.
const PANICKED: Refusal =
    Refusal { status: Status::INTERNAL_SERVER_ERROR, why: "the server has a bug here" };

fn blank_entry<'a>(client: &Client) -> Entry<'a> {
    Entry {
        client: client.address.map(|address| address.ip()),
        user: None,
        line: b"",
        host: "",
        status: Status::OK,
        referer: None,
        user_agent: None,
    }
}

fn entry_of<'a>(head: &Head<'a>, client: &Client) -> Entry<'a> {
    Entry {
        line: head.line,
        host: head.host,
        referer: head.fields.get(Name::Referer),
        user_agent: head.fields.get(Name::UserAgent),
        ..blank_entry(client)
    }
}

/// What a refused request began with, for the log.
fn first_line(input: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b'\r', b'\n', input).unwrap_or(input.len());
    &input[..end.min(LOGGED_LINE)]
}
