//! How an exchange with a program goes on: the request's content goes to it while it takes any,
//! and what it says goes to the client while that has room. Nobody is asked for more than the other
//! side can take: that is all the flow control there is.
//!
//! Who is given which gateway is not known here; see `dialing.rs`.

use std::ops::Range;
use std::rc::Rc;

use super::access_log::Entry;
use super::client::Pending;
use super::dialing::{Parting, Wish};
use super::exchange::entry_of;
use super::gateway::{Failure, Gateway, Relay, Stage, Upload};
use super::net::Net;
use super::serving::{Serving, Step};
use super::spawner::Ending;
use super::spool::{Spool, too_large};
use crate::gateway::{BadGateway, Inbound, MAX_HEAD_BYTES, ResponseHead};
use crate::http::Refusal;
use crate::http::connection::Received;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;
use crate::site::program::{Kind, Plan};

/// Bytes that are read from a program at once, and that may wait to be understood.
const RECEIVE: usize = 64 << 10;

/// Bytes of spooled content that are framed at once.
const PIECE: usize = 32 << 10;

/// Bytes of a complaint without a line end that are logged as one.
const COMPLAINT: usize = 4 << 10;

/// Why a conversation does not go on.
pub(super) enum Stop {
    /// All is said.
    Over,
    /// The script wants this path and query to be answered instead.
    Redirect(String),
    /// The program has failed.
    Fail(Failure),
    /// The client has: what it sends is no content.
    Refuse(Refusal),
}

impl From<BadGateway> for Stop {
    fn from(BadGateway(why): BadGateway) -> Stop {
        Stop::Fail(Failure::bad(why))
    }
}

impl<N: Net> Serving<'_, '_, N> {
    /// A program is to answer the request with this head. What is started here has its content kept
    /// first, since it must know how much there is; an origin server gets it as it comes.
    pub(super) fn engage(&mut self, plan: Box<Plan>, head: &[u8]) {
        let spool = Spool::new(head, plan.content_limit, &self.cx.budget);
        self.exchange.spool = Some(spool.in_memory(self.cx.limits.spool_memory));
        let streams = matches!(plan.program.kind, Kind::Proxy(_));
        let relay = if !streams && self.client.connection.is_in_content() {
            self.client.connection.invite_content(self.cx.tx);
            Relay::new(plan, Stage::Gathering)
        } else {
            self.wish();
            Relay::new(plan, Stage::Waiting(self.cx.now))
        };
        self.exchange.pending = Pending::Gateway(Box::new(relay));
    }

    /// The request's content is complete. Returns whether a program waits for it.
    pub(super) fn is_gathered(&mut self) -> bool {
        let Pending::Gateway(relay) = &mut self.exchange.pending else { return false };
        relay.stage = Stage::Waiting(self.cx.now);
        self.wish();
        true
    }

    fn wish(&mut self) {
        self.cx.wishes.push(Wish::Gateway(self.id));
    }

    /// Takes one step of an exchange that a program answers.
    pub(super) fn relay(&mut self, rx: &[u8], window: &mut Range<usize>) -> Step {
        let pending = std::mem::take(&mut self.exchange.pending);
        let Pending::Gateway(mut relay) = pending else { return Step::Moved };
        if self.client.ready.read_closed && relay.left_at.is_none() {
            relay.left_at = Some(self.cx.now);
        }
        let result = match &mut relay.stage {
            Stage::Gathering | Stage::Waiting(_) => Ok(Step::NeedsOther),
            Stage::Failed(failure) => {
                let failure = std::mem::replace(failure, Failure::bad(""));
                Err(Stop::Fail(failure))
            }
            Stage::Talking(gateway) => self.talk(gateway, &relay.plan, rx, window),
        };
        match result {
            Ok(step) => {
                self.exchange.pending = Pending::Gateway(relay);
                step
            }
            Err(stop) => self.stop(relay, stop),
        }
    }

    /// Acts on the end of a conversation.
    fn stop(&mut self, mut relay: Box<Relay>, stop: Stop) -> Step {
        if let Stage::Talking(gateway) = &relay.stage {
            let parting = match stop {
                Stop::Over if gateway.is_reusable() => Parting::Keep,
                Stop::Over | Stop::Redirect(_) if gateway.is_process => {
                    Parting::Leave(Rc::clone(&relay.plan))
                }
                Stop::Fail(_) if !gateway.is_open => Parting::Unreachable,
                Stop::Over | Stop::Redirect(_) | Stop::Fail(_) | Stop::Refuse(_) => Parting::Close,
            };
            self.cx.wishes.push(Wish::Part(gateway.id, parting));
        }
        match stop {
            Stop::Over => {
                self.client.connection.finish(self.cx.tx);
                self.end_body();
                Step::Moved
            }
            Stop::Redirect(target) => self.redirect_locally(&relay, &target),
            Stop::Fail(failure) if self.may_retry(&relay) => {
                log::debug!("{}: {}; trying again", name(&relay.plan), failure.why);
                relay.fresh = true;
                relay.stage = Stage::Waiting(self.cx.now);
                self.wish();
                self.exchange.pending = Pending::Gateway(relay);
                Step::NeedsOther
            }
            Stop::Fail(failure) => self.fail(&relay.plan, &failure),
            Stop::Refuse(refusal) if self.client.connection.owes_answer() => {
                self.client.connection.refuse();
                self.refuse_spooled(refusal);
                Step::Moved
            }
            Stop::Refuse(_) => self.cut_body(),
        }
    }

    /// Whether asking again can do no harm, and may help: nothing has come back, and either nothing
    /// got there, or an idle connection has turned out to be closed and the method is idempotent
    /// (RFC 9112 §9.3.1).
    fn may_retry(&mut self, relay: &Relay) -> bool {
        let Stage::Talking(gateway) = &relay.stage else { return false };
        // Content that the client has sent us cannot be had from it again.
        let is_untouched = gateway.heard == 0 && gateway.streamed == 0;
        if !is_untouched || !self.client.connection.owes_answer() {
            return false;
        }
        if !gateway.is_open {
            let upstream = relay.plan.program.kind.upstream();
            return relay.attempts < upstream.map_or(0, |upstream| upstream.to.len());
        }
        gateway.is_reused && self.with_head(|_, head| head.method.is_idempotent())
    }

    /// Answers for a program that has failed; where its answer has begun, it is cut.
    fn fail(&mut self, plan: &Plan, failure: &Failure) -> Step {
        let Failure { status, why } = failure;
        if !self.client.connection.owes_answer() {
            log::warn!("{}: {why}; its answer is cut", name(plan));
            return self.cut_body();
        }
        log::warn!("{}: {why} ({status})", name(plan));
        let own: &[u8] =
            if *status == Status::SERVICE_UNAVAILABLE { b"Retry-After: 1\r\n" } else { b"" };
        let reply = self.with_head(|serving, head| {
            serving.cx.site.fail(&serving.inquiry(head, None), plan, *status, own)
        });
        self.exchange.why = Some(why.to_string());
        self.reply_spooled(reply);
        Step::Moved
    }

    /// Answers with what stands at another path of this server (RFC 3875 §6.2.2).
    fn redirect_locally(&mut self, relay: &Relay, target: &str) -> Step {
        self.exchange.redirects += 1;
        if self.exchange.redirects > MAX_REDIRECTS {
            return self.fail(&relay.plan, &Failure::bad("it redirects again and again"));
        }
        let head = self.with_head(|_, head| elsewhere(head, target));
        let mut space = HeadSpace::new();
        let Ok(parsed) = Head::parse(&head, &mut space, &self.cx.limits.http()) else {
            let why = format!("it redirects to {target:?}, which is no path");
            return self.fail(&relay.plan, &Failure::bad(why));
        };
        self.exchange.spool = None;
        self.answer(&parsed, &head, None);
        Step::Moved
    }

    /// Calls `work` with the head of the request that is kept.
    fn with_head<T>(&mut self, work: impl FnOnce(&mut Self, &Head<'_>) -> T) -> T {
        let spool = self.exchange.spool.take().expect("a program's request is kept to its end");
        let mut space = HeadSpace::new();
        let head = Head::parse(spool.head(), &mut space, &self.cx.limits.http())
            .expect("a head that was parsed can be parsed again");
        let result = work(self, &head);
        self.exchange.spool = Some(spool);
        result
    }

    /// One step of a conversation.
    fn talk(
        &mut self,
        gateway: &mut Gateway,
        plan: &Plan,
        rx: &[u8],
        window: &mut Range<usize>,
    ) -> Result<Step, Stop> {
        if !gateway.is_open {
            if gateway.ready.broken && !gateway.ready.writable {
                return Err(Stop::Fail(self.why_closed(gateway)));
            }
            if !gateway.ready.writable {
                return Ok(Step::NeedsOther);
            }
            gateway.is_open = true;
            gateway.moved_at = self.cx.now;
        }
        if gateway.is_process && std::mem::take(&mut gateway.is_news) {
            self.look_after(gateway, plan);
        }
        let pushed = self.push(gateway, rx, window)?;
        let pulled = self.pull(gateway, plan)?;
        if pushed || pulled {
            gateway.moved_at = self.cx.now;
            return Ok(Step::Moved);
        }
        let wants_content = matches!(gateway.upload, Upload::Streamed | Upload::Tunnel);
        Ok(if wants_content && !gateway.has_output() { Step::NeedsInput } else { Step::NeedsOther })
    }

    /// Why a gateway could not be opened.
    fn why_closed(&mut self, gateway: &Gateway) -> Failure {
        match self.cx.net.error(gateway.id) {
            Some(error) if gateway.is_process => Failure::bad(format!("cannot be run: {error}")),
            Some(error) => Failure::bad(format!("cannot be reached: {error}")),
            None => Failure::bad("cannot be reached"),
        }
    }

    /// Hears a process's complaints, and whether it has ended.
    fn look_after(&mut self, gateway: &mut Gateway, plan: &Plan) {
        let mut buffer = self.take_buffer();
        while let Ok(count @ 1..) = self.cx.net.read_complaints(gateway.id, &mut buffer) {
            complain(&mut gateway.complaint, &buffer[..count], plan);
        }
        *self.cx.gx = buffer;
        gateway.ending = gateway.ending.or_else(|| self.cx.net.ended(gateway.id));
        if gateway.ending.is_some() && !gateway.complaint.is_empty() {
            complain(&mut gateway.complaint, b"\n", plan);
        }
    }

    /// The loop's buffer for what programs say. The caller gives it back.
    fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(self.cx.gx);
        buffer.resize(MAX_HEAD_BYTES + RECEIVE, 0);
        buffer
    }

    /// Gives the program some of the request. Returns whether anything has moved.
    fn push(
        &mut self,
        gateway: &mut Gateway,
        rx: &[u8],
        window: &mut Range<usize>,
    ) -> Result<bool, Stop> {
        let mut moved = false;
        while !self.is_spent() {
            if gateway.has_output() {
                if !self.write_to(gateway) {
                    break;
                }
            } else if !self.frame(gateway, rx, window)? {
                break;
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Makes more of the request ready to be written. Returns whether there is more.
    fn frame(
        &mut self,
        gateway: &mut Gateway,
        rx: &[u8],
        window: &mut Range<usize>,
    ) -> Result<bool, Stop> {
        gateway.output.clear();
        gateway.output.shrink_to(2 * PIECE);
        gateway.sent = 0;
        match gateway.upload {
            Upload::Done => Ok(false),
            Upload::Spooled(at) => {
                let mut piece = [0; PIECE];
                let spool = self.exchange.spool.as_ref().expect("it is kept to the end");
                let count = spool.read_at(at, &mut piece).map_err(|error| {
                    Stop::Fail(Failure::bad(format!("its request cannot be read again: {error}")))
                })?;
                gateway.upload = Upload::Spooled(at + count as u64);
                Self::frame_piece(gateway, &piece[..count]);
                Ok(true)
            }
            Upload::Tunnel => {
                let count = window.len();
                gateway.output.extend_from_slice(&rx[window.clone()]);
                window.start = window.end;
                Ok(count > 0)
            }
            Upload::Streamed => {
                let mut space = HeadSpace::new();
                let input = &rx[window.clone()];
                let limits = self.cx.limits.http();
                let (used, received) = self
                    .client
                    .connection
                    .receive(input, &mut space, &limits)
                    .map_err(Stop::Refuse)?;
                window.start += used;
                match received {
                    Received::Content(content) => {
                        let limit = self.exchange.spool.as_ref().map_or(0, Spool::limit);
                        gateway.streamed += content.len() as u64;
                        if gateway.streamed > limit {
                            return Err(Stop::Refuse(too_large()));
                        }
                        Self::frame_piece(gateway, content);
                    }
                    Received::End => Self::frame_piece(gateway, &[]),
                    Received::Nothing | Received::Head(_) => {}
                }
                Ok(used > 0 || gateway.upload == Upload::Done)
            }
        }
    }

    /// Frames a piece of content; an empty one is its end.
    fn frame_piece(gateway: &mut Gateway, piece: &[u8]) {
        if piece.is_empty() {
            gateway.codec.finish(&mut gateway.output);
            gateway.upload = Upload::Done;
        } else {
            gateway.codec.send(piece, &mut gateway.output);
        }
    }

    /// Writes what waits for the program. Returns whether any of it went out.
    fn write_to(&mut self, gateway: &mut Gateway) -> bool {
        if !gateway.ready.writable {
            return false;
        }
        let rest = &gateway.output[gateway.sent..];
        match self.cx.net.write(gateway.id, &[std::io::IoSlice::new(rest)], false) {
            Ok(count) => {
                gateway.ready.writable = count == rest.len();
                gateway.sent += count;
                self.moved += count;
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => true,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                gateway.ready.writable = false;
                false
            }
            Err(_) => {
                // It does not listen any more. It may have answered before that, all the same.
                gateway.ready.writable = false;
                gateway.ready.readable = true;
                gateway.output.clear();
                gateway.sent = 0;
                gateway.upload = Upload::Done;
                true
            }
        }
    }

    /// Reads what the program has to say, once, and passes it on. Returns whether anything has
    /// moved.
    fn pull(&mut self, gateway: &mut Gateway, plan: &Plan) -> Result<bool, Stop> {
        if gateway.closed_at.is_some() {
            return self.hear_end(gateway).map(|()| false);
        }
        if !gateway.ready.readable {
            return Ok(false);
        }
        let mut buffer = self.take_buffer();
        let kept = gateway.input.len();
        buffer[..kept].copy_from_slice(&gateway.input);
        let room = buffer.len() - kept;
        let result = match self.cx.net.read(gateway.id, &mut buffer[kept..]) {
            Ok(0) => {
                gateway.closed_at = Some(self.cx.now);
                gateway.ready.readable = false;
                self.hear_end(gateway).map(|()| true)
            }
            Ok(count) => {
                gateway.ready.readable = count == room || gateway.ready.read_closed;
                gateway.heard += count as u64;
                self.moved += count;
                self.hear(gateway, plan, &buffer[..kept + count]).map(|()| true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                gateway.ready.readable = false;
                Ok(false)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(Stop::Fail(Failure::bad(format!("the connection broke: {error}")))),
        };
        *self.cx.gx = buffer;
        result
    }

    /// Passes on what the program has said.
    fn hear(&mut self, gateway: &mut Gateway, plan: &Plan, said: &[u8]) -> Result<(), Stop> {
        if let Kind::Cgi(cgi) = &plan.program.kind
            && gateway.heard > cgi.output
        {
            return Err(Stop::Fail(Failure::bad("it says more than cgi.output allows")));
        }
        let mut rest = said;
        loop {
            if gateway.upload == Upload::Tunnel {
                self.exchange.body_sent += rest.len() as u64;
                self.client.connection.send(rest, self.cx.tx);
                rest = &[];
                break;
            }
            let (used, inbound) = gateway.codec.receive(rest)?;
            rest = &rest[used..];
            match inbound {
                Inbound::Nothing if used == 0 => break,
                Inbound::Nothing => {}
                Inbound::Interim(Status::CONTINUE, _) => {
                    self.client.connection.invite_content(self.cx.tx);
                }
                Inbound::Interim(status, fields) => {
                    self.client.connection.inform(status, &fields, self.cx.tx);
                }
                Inbound::Head(head) => self.begin_relayed(gateway, plan, head),
                Inbound::LocalRedirect(target) => return Err(Stop::Redirect(target)),
                Inbound::Switch(fields) => self.switch(gateway, plan, &fields),
                Inbound::Content(content) => {
                    self.client.connection.send(content, self.cx.tx);
                    if self.exchange.has_content {
                        self.exchange.body_sent += content.len() as u64;
                    }
                }
                Inbound::Complaint(text) => complain(&mut gateway.complaint, text, plan),
                Inbound::End => {
                    gateway.input.clear();
                    gateway.input.extend_from_slice(rest);
                    return Err(Stop::Over);
                }
            }
        }
        if rest.len() > MAX_HEAD_BYTES {
            return Err(Stop::Fail(Failure::bad("its head is too large")));
        }
        let rest = rest.to_vec();
        gateway.input = rest;
        Ok(())
    }

    /// What the end of its output means. A process has its last words first: whether it was killed.
    fn hear_end(&mut self, gateway: &mut Gateway) -> Result<(), Stop> {
        if gateway.upload == Upload::Tunnel {
            return Err(Stop::Over);
        }
        let waits = gateway.is_process && gateway.ending.is_none();
        if waits && !gateway.announced {
            return Ok(());
        }
        Err(self.end_of(gateway))
    }

    /// How a conversation ends whose program says no more.
    fn end_of(&self, gateway: &mut Gateway) -> Stop {
        let closed = gateway.codec.close();
        match (closed, gateway.ending) {
            (Err(BadGateway(why)), Some(Ending::Killed(signal))) => {
                Stop::Fail(Failure::bad(format!("{why}; it was killed by signal {signal}")))
            }
            (Err(BadGateway(why)), Some(Ending::Exited(code))) if code != 0 => {
                Stop::Fail(Failure::bad(format!("{why}; it exited with code {code}")))
            }
            (Err(error), _) => error.into(),
            (Ok(()), Some(Ending::Killed(signal))) if !gateway.ended_well() => {
                Stop::Fail(Failure::bad(format!("it was killed by signal {signal}")))
            }
            (Ok(()), _) => Stop::Over,
        }
    }

    /// Begins the answer with the head that the program has given.
    fn begin_relayed(&mut self, gateway: &mut Gateway, plan: &Plan, head: ResponseHead) {
        let ResponseHead { status, mut fields, date, length } = head;
        gateway.announced = length.is_some();
        plan.complete(&mut fields, status);
        let date = date.as_deref().unwrap_or(self.cx.stamp.http());
        let connection = &mut self.client.connection;
        connection.respond(status, &fields, length, date, self.cx.tx);
        self.exchange.has_content = connection.owes_content();
        self.draft(plan, status);
    }

    fn switch(&mut self, gateway: &mut Gateway, plan: &Plan, fields: &[u8]) {
        self.client.connection.switch(fields, self.cx.stamp.http(), self.cx.tx);
        gateway.upload = Upload::Tunnel;
        self.draft(plan, Status::SWITCHING_PROTOCOLS);
    }

    /// Prepares the line for the access log.
    fn draft(&mut self, plan: &Plan, status: Status) {
        self.exchange.draft = self.with_head(|serving, head| {
            let user = plan.user.as_deref();
            let entry = Entry { status, user, ..entry_of(head, serving.client) };
            serving.cx.log.draft(&entry, serving.cx.stamp)
        });
    }

    /// The program, or the client, has taken too long.
    pub(super) fn relay_is_late(&mut self) -> Step {
        let pending = std::mem::take(&mut self.exchange.pending);
        let Pending::Gateway(mut relay) = pending else { return Step::Moved };
        let has_left = relay.left_at.is_some();
        let status = Status::GATEWAY_TIMEOUT;
        let stop = match &mut relay.stage {
            _ if has_left => Stop::Fail(Failure::new(status, "the client seems to have gone")),
            Stage::Waiting(_) => {
                let why = "it has no process or connection to spare";
                Stop::Fail(Failure::new(Status::SERVICE_UNAVAILABLE, why))
            }
            Stage::Talking(gateway) if !gateway.is_open => {
                Stop::Fail(Failure::new(status, "cannot be reached in time"))
            }
            Stage::Talking(gateway) if gateway.closed_at.is_some() => self.end_of(gateway),
            Stage::Talking(_) | Stage::Gathering | Stage::Failed(_) => {
                Stop::Fail(Failure::new(status, "it has said nothing for too long"))
            }
        };
        self.stop(relay, stop)
    }
}

/// How often one request may be sent to another path by the scripts that answer it.
const MAX_REDIRECTS: u8 = 10;

/// The head of a GET for `target` that is like `head` in all else (RFC 3875 §6.2.2).
fn elsewhere(head: &Head<'_>, target: &str) -> Vec<u8> {
    let method = if head.method.as_str() == "HEAD" { "HEAD" } else { "GET" };
    let mut bytes = format!("{method} {target} HTTP/1.{}\r\n", head.minor_version).into_bytes();
    for line in head.fields.lines() {
        let is_of_content =
            ["Expect", "Transfer-Encoding"].iter().any(|name| line.name.eq_ignore_ascii_case(name))
                || line.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
        if !is_of_content {
            crate::http::fields::write(&mut bytes, line.name, line.value);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Logs what a program complains of, line by line.
pub(super) fn complain(begun: &mut Vec<u8>, text: &[u8], plan: &Plan) {
    for piece in text.split_inclusive(|&byte| byte == b'\n') {
        begun.extend_from_slice(piece);
        if piece.ends_with(b"\n") || begun.len() >= COMPLAINT {
            let line = String::from_utf8_lossy(begun);
            let line = line.trim_end().replace(char::is_control, "\u{fffd}");
            if !line.is_empty() {
                log::warn!("{} says: {line}", name(plan));
            }
            begun.clear();
        }
    }
}

/// What a program is called in the log.
pub(super) fn name(plan: &Plan) -> String {
    match (&plan.program.kind, &plan.script.file) {
        (Kind::Cgi(_), Some(file)) => file.display().to_string(),
        (kind, _) => {
            let endpoints = kind.upstream().map_or(&[][..], |upstream| &upstream.to);
            let names: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
            names.join(" or ")
        }
    }
}
