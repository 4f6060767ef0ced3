//! One exchange: what the client says is taken up, the site is asked, its answer begins.
//!
//! A request that cannot be answered yet, for want of its content or of another thread's word, is
//! kept in a [`Spool`] and asked about again.

use std::fs::File;
use std::net::IpAddr;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::access_log::Entry;
use super::client::{Pending, Phase};
use super::gateway::Stage;
use super::metrics::Limit;
use super::net::Net;
use super::recorder::Act;
use super::serving::{Serving, Step};
use super::spool::{Spool, too_large};
use crate::http::Refusal;
use crate::http::connection::{Received, Turn};
use crate::http::fields::Name;
use crate::http::framing::Length;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;
use crate::site::body::Body;
use crate::site::handler::{Later, Settled};
use crate::site::rule::RouteNumber;
use crate::site::{Answer, Inquiry, Now, Reply};

/// Content up to this many bytes is copied behind its head; above it, it is cheaper to write it
/// from where it is.
const COPIED: u64 = 16 << 10;

/// Request content that nobody wants is read and thrown away up to this many bytes. Above it,
/// closing the connection is cheaper for both sides.
const DISCARDED: u64 = 64 << 10;

/// Bytes of a refused request's first line that are logged.
const LOGGED_LINE: usize = 256;

/// What is answered, as far as it came in.
#[derive(Clone, Copy)]
enum Asked<'a> {
    /// A request.
    Head(&'a Head<'a>),
    /// No request, but something that began so.
    Line(&'a [u8]),
}

impl<N: Net> Serving<'_, '_, N> {
    /// The next thing that can be done.
    pub(super) fn step(&mut self, rx: &[u8], window: &mut Range<usize>) -> Step {
        if let Pending::Gateway(relay) = &self.exchange.pending
            && !matches!(relay.stage, Stage::Gathering)
        {
            return self.relay(rx, window);
        }
        if self.client.connection.owes_content() {
            let watches = matches!(self.exchange.pending, Pending::Watch(_));
            return if watches { self.send_event() } else { self.send_body() };
        }
        match self.client.connection.turn() {
            Turn::Close => return Step::Over,
            Turn::Next => {
                self.exchange.clear();
                self.cx.terms = self.cx.current;
                self.answered += 1;
                let is_dry = window.start == window.end && !self.is_spent();
                return if is_dry { Step::NeedsInput } else { Step::Moved };
            }
            Turn::Stay => {}
        }
        match self.exchange.pending {
            Pending::Later(_) => return self.settle(),
            Pending::Report if self.cx.shown.is_none() => return Step::NeedsOther,
            Pending::Report => {
                self.exchange.pending = Pending::Nothing;
                self.answer_spooled();
                return Step::Moved;
            }
            Pending::Nothing
            | Pending::Content
            | Pending::Discard(_)
            | Pending::Watch(_)
            | Pending::Gateway(_) => {}
        }
        if window.start == window.end && self.client.connection.is_idle() {
            return Step::NeedsInput;
        }
        if self.client.awaits_header {
            return self.introduce(rx, window);
        }
        let mut space = HeadSpace::new();
        let input = &rx[window.clone()];
        let received =
            self.client.connection.receive(input, &mut space, &self.cx.terms.limits.http());
        match received {
            Err(refusal) => {
                self.refuse(refusal, first_line(input));
                Step::Moved
            }
            Ok((used, received)) => {
                let at = window.start;
                window.start += used;
                self.take_up(received, rx, at..window.start)
            }
        }
    }

    /// Takes up what was received, which lies at `at` in `rx`.
    fn take_up(&mut self, received: Received<'_>, rx: &[u8], at: Range<usize>) -> Step {
        match received {
            Received::Nothing if at.is_empty() => return Step::NeedsInput,
            Received::Nothing => {}
            Received::Head(head) => {
                if self.answered == 1 {
                    *self.cx.moment += 1;
                }
                self.end_request(rx);
                self.cx.watch.asked = at.clone();
                self.record_head(head.line);
                self.client.requests += 1;
                self.cx.metrics.requests += 1;
                let is_last = self.client.requests >= self.cx.terms.limits.persistent_requests;
                if is_last {
                    self.cx.metrics.hit(Limit::Requests);
                }
                if self.cx.draining || is_last {
                    self.client.connection.close_after_answer();
                }
                if self.cx.terms.trust.forwarders.is_some()
                    && let Err(refusal) = self.hear_forwarder(&head)
                {
                    self.client.connection.refuse();
                    self.refuse(refusal, head.line);
                } else if self.may_be_put_off()
                    && let Some(reply) = self.put_off()
                {
                    self.answer_now(reply, &head, &rx[at]);
                } else {
                    self.answer(&head, &rx[at], None, false);
                }
            }
            Received::Content(content) => {
                self.record(Act::Content, content.len() as u64, 0);
                if let Some(spool) = &mut self.exchange.spool
                    && let Err(refusal) = spool.push(content)
                {
                    self.client.connection.refuse();
                    self.refuse_spooled(refusal);
                }
            }
            Received::End if self.is_gathered() => {}
            Received::End => self.answer_spooled(),
        }
        Step::Moved
    }

    /// What the site has to know of a request.
    pub(super) fn inquiry<'h>(&self, head: &'h Head<'h>, content: Option<&'h [u8]>) -> Inquiry<'h> {
        Inquiry {
            head,
            again: false,
            client: self.client.asker(self.exchange),
            content,
            now: Now {
                monotonic_ms: self.cx.now.0,
                unix: self.cx.stamp.seconds(),
                moment: *self.cx.moment,
            },
        }
    }

    /// Asks the site, `again` or for the first time, and does what it says. `bytes` are the head's.
    pub(super) fn answer(
        &mut self,
        head: &Head<'_>,
        bytes: &[u8],
        content: Option<&[u8]>,
        again: bool,
    ) {
        if self.client.is_admin {
            return self.answer_admin(head, bytes);
        }
        let inquiry = Inquiry { again, ..self.inquiry(head, content) };
        let (site, route) = (&self.cx.terms.site, &mut self.exchange.route);
        let mut answer = None;
        let is_there = self.cx.net.has_word(|| {
            // A bug in a handler ends its own exchange and no other.
            let asked = catch_unwind(AssertUnwindSafe(|| site.answer(&inquiry, route)));
            !matches!(answer.insert(asked), Ok(Answer::Later(_)))
        });
        let answer = match answer {
            Some(Ok(answer)) if is_there || matches!(answer, Answer::Later(_)) => answer,
            // It comes sooner than it did when this was recorded.
            Some(Ok(_)) => Answer::Later(Later::to_ask_again()),
            Some(Err(_)) | None => Answer::Reply(self.panicked()),
        };
        match answer {
            Answer::Reply(reply) => self.answer_now(reply, head, bytes),
            Answer::Content { limit } => {
                if matches!(head.length, Some(Length::Known(length)) if length > limit) {
                    let reply = self.cx.terms.site.refuse(too_large());
                    return self.begin(reply, Asked::Head(head));
                }
                if content.is_some() {
                    let reply = self.cx.terms.site.refuse(PANICKED);
                    return self.begin(reply, Asked::Head(head));
                }
                self.exchange.spool = Some(Spool::new(bytes, limit, self.cx.budget));
                self.exchange.pending = Pending::Content;
                self.client.connection.invite_content(self.cx.tx);
                if head.length.is_none() {
                    self.answer_spooled();
                }
            }
            Answer::Later(mut later) => {
                later.ring(self.cx.desk.bell(self.id));
                self.record(Act::Waits, 0, 0);
                self.wait(Pending::Later(later), bytes);
            }
            Answer::Gateway(plan) => self.engage(plan, bytes),
        }
    }

    #[cold]
    fn panicked(&mut self) -> Reply {
        self.cx.metrics.panics += 1;
        self.cx.terms.site.refuse(PANICKED)
    }

    /// Answers at once, or when a little content that nobody wants has come in: then the connection
    /// can persist.
    pub(super) fn answer_now(&mut self, reply: Reply, head: &Head<'_>, bytes: &[u8]) {
        let connection = &self.client.connection;
        let is_small = connection.content_left().is_some_and(|left| left <= DISCARDED);
        if connection.is_in_content() && is_small && !connection.awaits_continue() {
            let budget = self.cx.budget;
            self.exchange.spool.get_or_insert_with(|| Spool::new(bytes, DISCARDED, budget));
            self.exchange.pending = Pending::Discard(Box::new(reply));
        } else {
            self.begin(reply, Asked::Head(head));
        }
    }

    /// Keeps the request until what its answer waits for is there.
    pub(super) fn wait(&mut self, pending: Pending, head: &[u8]) {
        let budget = self.cx.budget;
        self.exchange.spool.get_or_insert_with(|| Spool::new(head, DISCARDED, budget));
        self.exchange.pending = pending;
    }

    /// Looks whether another thread is done.
    fn settle(&mut self) -> Step {
        let Pending::Later(later) = &mut self.exchange.pending else { return Step::Moved };
        if !self.cx.net.has_word(|| later.is_there()) {
            return Step::NeedsOther;
        }
        let settled = catch_unwind(AssertUnwindSafe(|| later.take()));
        match settled {
            Ok(None) => return Step::NeedsOther,
            Ok(Some(Settled::AskAgain)) => {
                self.exchange.pending = Pending::Nothing;
                self.answer_spooled();
            }
            Ok(Some(Settled::Reply(reply))) => self.reply_spooled(reply),
            Err(_) => {
                let reply = self.panicked();
                self.reply_spooled(reply);
            }
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
        let head = Head::parse(spool.head(), &mut space, &self.cx.terms.limits.http())
            .expect("a head that was parsed can be parsed again");
        // Content that is still to come is asked for by the answer, if it wants any.
        let content = (!self.client.connection.is_in_content()).then_some(spool.content());
        self.answer(&head, spool.head(), content, true);
        if let Pending::Later(_) = self.exchange.pending {
            // The site may want to be asked again, with the same content.
            self.exchange.spool = Some(spool);
        }
    }

    pub(super) fn reply_spooled(&mut self, reply: Reply) {
        self.leave_program();
        self.exchange.pending = Pending::Nothing;
        if let Some(spool) = self.exchange.spool.take() {
            self.begin_spooled(reply, &spool);
        }
    }

    fn begin_spooled(&mut self, reply: Reply, spool: &Spool) {
        let mut space = HeadSpace::new();
        let head = Head::parse(spool.head(), &mut space, &self.cx.terms.limits.http())
            .expect("a head that was parsed can be parsed again");
        self.begin(reply, Asked::Head(&head));
    }

    /// Answers a request that is no request.
    fn refuse(&mut self, refusal: Refusal, line: &[u8]) {
        if self.exchange.spool.is_some() {
            return self.refuse_spooled(refusal);
        }
        log::debug!("refused {:?}: {}", self.client.address, refusal.why);
        let reply = self.cx.terms.site.refuse(refusal);
        self.exchange.route = RouteNumber::default();
        self.exchange.why = Some(refusal.why.into());
        self.begin(reply, Asked::Line(line));
    }

    /// Answers a request whose content is no content.
    pub(super) fn refuse_spooled(&mut self, refusal: Refusal) {
        self.exchange.why = Some(refusal.why.into());
        if refusal.status == Status::SERVICE_UNAVAILABLE {
            self.cx.metrics.hit(Limit::Spool);
        }
        let pending = std::mem::take(&mut self.exchange.pending);
        let reply = match &pending {
            Pending::Gateway(relay) => self.refused(&relay.plan, refusal),
            Pending::Nothing
            | Pending::Content
            | Pending::Discard(_)
            | Pending::Later(_)
            | Pending::Report
            | Pending::Watch(_) => self.cx.terms.site.refuse(refusal),
        };
        self.exchange.pending = pending;
        self.reply_spooled(reply);
    }

    /// Answers for what has taken too long in `phase`.
    pub(super) fn time_out(&mut self, phase: Phase) -> Step {
        self.record(Act::Late, 0, phase as u16);
        let (limit, why) = match phase {
            Phase::Head => (Limit::HeadTimeout, "the request's head took too long"),
            Phase::Content => (Limit::ContentTimeout, "the request's content took too long"),
            Phase::Later => {
                self.cx.metrics.hit(Limit::Answer);
                let why = "the answer took too long to make";
                let refusal = Refusal { status: Status::SERVICE_UNAVAILABLE, why };
                self.reply_spooled(self.cx.terms.site.refuse(refusal));
                return Step::Moved;
            }
            Phase::Gateway => return self.relay_is_late(),
            Phase::Send | Phase::Pause | Phase::Idle | Phase::Linger => return Step::Moved,
        };
        self.cx.metrics.hit(limit);
        self.client.connection.refuse();
        self.refuse(Refusal { status: Status::REQUEST_TIMEOUT, why }, b"");
        Step::Moved
    }

    /// Begins an answer: its head, and its content as far as that is at hand and small.
    fn begin(&mut self, reply: Reply, asked: Asked<'_>) {
        reply.begin(&mut self.client.connection, self.cx.stamp.http(), self.cx.tx);
        let Reply { status, user, body, .. } = reply;
        self.cx.metrics.count_answer(self.exchange.route, status);
        self.record(Act::Answered, self.exchange.route.0.into(), status.code());
        let connection = &mut self.client.connection;
        let sent = match body {
            _ if !connection.owes_content() => Some(0),
            Body::Bytes { bytes, at, end } if (end - at) as u64 <= COPIED => {
                connection.send(&bytes[at..end], self.cx.tx);
                Some((end - at) as u64)
            }
            Body::File { file, offset, left }
                if left <= COPIED && append(self.cx.net, &file, offset, left, self.cx.tx) =>
            {
                connection.sent(left);
                Some(left)
            }
            body => {
                self.exchange.body = body;
                None
            }
        };
        if self.cx.log.is_on() && !self.client.is_admin {
            self.log(status, user.as_deref(), asked, sent);
        }
    }

    /// Adds the line of an answer to the access log, or prepares it where content has still to be
    /// sent.
    fn log(&mut self, status: Status, user: Option<&str>, asked: Asked<'_>, sent: Option<u64>) {
        let is_large = status == Status::CONTENT_TOO_LARGE;
        let why = self.exchange.why.as_deref().or(is_large.then_some(too_large().why));
        let who = self.client.asker(self.exchange);
        let entry = match asked {
            Asked::Head(head) => entry_of(head, who),
            Asked::Line(line) => Entry { line, ..blank_entry(who) },
        };
        let entry = Entry { user, status, why, ..entry };
        match sent {
            Some(sent) => self.cx.log.add(&entry, self.cx.stamp, sent),
            None => self.exchange.draft = self.cx.log.draft(&entry, self.cx.stamp),
        }
    }

    /// Adds a line for a connection that is closed without an answer, and without a request. Its
    /// status is what would have been answered.
    pub(super) fn log_unanswered(&mut self, status: Status, why: &str) {
        log::debug!("closed {:?}: {why}", self.client.address);
        let asker = self.client.asker(self.exchange);
        let entry = Entry { status, why: Some(why), ..blank_entry(asker) };
        self.cx.log.add(&entry, self.cx.stamp, 0);
    }

    /// Notes that the answer's content is out, or will never be.
    pub(super) fn end_body(&mut self) {
        if let Some(draft) = self.exchange.draft.take() {
            let why = self.exchange.why.as_deref();
            self.cx.log.add_draft(&draft, self.exchange.body_sent, why);
        }
        self.exchange.clear();
    }
}

/// Appends `length` bytes of `file` from `offset`: whether they are there, and in memory. A little
/// of a large file is read, for that spares the second write that `sendfile` would be.
fn append(net: &mut impl Net, file: &File, offset: u64, length: u64, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let Ok(length) = usize::try_from(length) else { return false };
    out.resize(start + length, 0);
    let is_there = net.read_at_hand(file, &mut out[start..], offset);
    if !is_there {
        out.truncate(start);
    }
    is_there
}

/// What is answered where a handler has panicked. The panic itself is in the diagnostic log.
const PANICKED: Refusal =
    Refusal { status: Status::INTERNAL_SERVER_ERROR, why: "the server has a bug here" };

fn blank_entry<'a>(client: Option<IpAddr>) -> Entry<'a> {
    Entry {
        client,
        user: None,
        line: b"",
        host: "",
        status: Status::OK,
        referer: None,
        user_agent: None,
        why: None,
    }
}

pub(super) fn entry_of<'a>(head: &Head<'a>, client: Option<IpAddr>) -> Entry<'a> {
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
    let input = input.strip_prefix(b"\r\n").unwrap_or(input);
    let end = memchr::memchr2(b'\r', b'\n', input).unwrap_or(input.len());
    &input[..end.min(LOGGED_LINE)]
}
