//! A conversation with a program: the request's content goes to it while it takes any, and what it
//! says goes to the client while that has room. Nobody is asked for more than the other side can
//! take: that is all the flow control there is.
//!
//! What becomes of the exchange when it ends is told in `relay.rs`.

use std::io::ErrorKind;
use std::ops::Range;

use super::access_log::Entry;
use super::exchange::entry_of;
use super::gateway::{AnswerEnd, Failure, Gateway, Upload};
use super::listener::is_exhausted;
use super::net::Net;
use super::recorder::Act;
use super::serving::{RELAYED_COST, Serving, Step};
use super::spawner::Ending;
use super::spool::{Spool, too_large};
use crate::gateway::{BadGateway, Inbound, MAX_HEAD_BYTES, ResponseHead};
use crate::http::Refusal;
use crate::http::connection::Received;
use crate::http::head::HeadSpace;
use crate::http::status::Status;
use crate::site::program::{Kind, Plan};

/// Bytes that are read from a program at once, and that may wait to be understood.
const RECEIVE: usize = 64 << 10;

/// Bytes of the buffer for what programs say.
pub(super) const BUFFER: usize = MAX_HEAD_BYTES + RECEIVE;

/// Bytes of spooled content that are framed at once.
pub(super) const PIECE: usize = 16 << 10;

/// Bytes of complaints that are read at once, as long as they are logged: each line is a write.
const COMPLAINTS: usize = 4 << 10;

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
    /// One step of a conversation.
    pub(super) fn talk(
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
        if gateway.is_process() && gateway.is_news {
            self.look_after(gateway, plan);
        }
        let pushed = self.push(gateway, rx, window)?;
        let pulled = self.pull(gateway, plan)?;
        // Once it answers, what its client still sends buys it no time.
        let is_progress = pushed && (gateway.is_tunnel() || self.client.connection.owes_answer());
        if pulled || is_progress {
            gateway.moved_at = self.cx.now;
        }
        let wants_content = matches!(gateway.upload, Upload::Streamed | Upload::Tunnel);
        Ok(match () {
            () if pushed || pulled || (gateway.is_process() && gateway.is_news) => Step::Moved,
            () if wants_content && !gateway.has_output() => Step::NeedsInput,
            () => Step::NeedsOther,
        })
    }

    /// Why a gateway could not be opened.
    fn why_closed(&mut self, gateway: &Gateway) -> Failure {
        match self.cx.net.error(gateway.id) {
            Some(error) if is_exhausted(&error) => {
                Failure::short(format!("cannot be had: {error}"))
            }
            Some(error) if gateway.is_process() => Failure::bad(format!("cannot be run: {error}")),
            Some(error) => Failure::unreached(format!("cannot be reached: {error}")),
            None => Failure::unreached("cannot be reached"),
        }
    }

    /// Hears a process's complaints, and whether it has ended.
    pub(super) fn look_after(&mut self, gateway: &mut Gateway, plan: &Plan) {
        let mut buffer = self.take_buffer();
        let most = if gateway.complaints.is_full() { BUFFER } else { COMPLAINTS };
        let said = self.cx.net.read_complaints(gateway.id, &mut buffer[..most]).unwrap_or(0);
        gateway.complaints.hear(&buffer[..said], plan);
        self.moved += said;
        *self.cx.gx = buffer;
        gateway.is_news = said > 0;
        gateway.ending = gateway.ending.or_else(|| self.cx.net.ended(gateway.id));
        if gateway.ending.is_some() && !gateway.is_news {
            gateway.complaints.end(plan);
        }
    }

    /// The loop's buffer for what programs say. The caller gives it back.
    fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(self.cx.gx);
        buffer.resize(BUFFER, 0);
        buffer
    }

    /// Gives the program some of the request. Returns whether anything has moved.
    pub(super) fn push(
        &mut self,
        gateway: &mut Gateway,
        rx: &[u8],
        window: &mut Range<usize>,
    ) -> Result<bool, Stop> {
        let mut moved = false;
        while !self.is_spent() {
            // Pieces are gathered: a client that sends single bytes shall not have each written.
            while gateway.output.len() < PIECE && self.frame(gateway, rx, window)? {
                moved = true;
            }
            if !gateway.has_output() || !self.write_to(gateway) {
                break;
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Makes more of the request ready to be written. Returns whether there may be more.
    fn frame(
        &mut self,
        gateway: &mut Gateway,
        rx: &[u8],
        window: &mut Range<usize>,
    ) -> Result<bool, Stop> {
        match gateway.upload {
            Upload::Done => Ok(false),
            Upload::Ending if gateway.has_output() => Ok(false),
            Upload::Ending => {
                self.cx.net.finish(gateway.id);
                gateway.upload = Upload::Done;
                Ok(false)
            }
            Upload::Spooled(at) => self.frame_spooled(gateway, at).map(|()| true),
            Upload::Tunnel => {
                let count = window.len();
                gateway.output.extend_from_slice(&rx[window.clone()]);
                window.start = window.end;
                Ok(count > 0)
            }
            Upload::Streamed => {
                let mut space = HeadSpace::new();
                let input = &rx[window.clone()];
                let limits = self.cx.terms.limits.http();
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
                        gateway.frame(content);
                    }
                    Received::End => gateway.frame(&[]),
                    Received::Nothing | Received::Head(_) => {}
                }
                Ok(used > 0 || gateway.upload == Upload::Done)
            }
        }
    }

    fn frame_spooled(&self, gateway: &mut Gateway, at: u64) -> Result<(), Stop> {
        let spool = self.exchange.spool.as_ref().expect("it is kept to the end");
        let mut piece = [0; PIECE];
        let count = spool.read_at(at, &mut piece).map_err(|error| {
            Stop::Fail(Failure::bad(format!("its request cannot be read again: {error}")))
        })?;
        gateway.upload = Upload::Spooled(at + count as u64);
        gateway.frame(&piece[..count]);
        Ok(())
    }

    /// Writes what waits for the program. Returns whether any of it went out.
    fn write_to(&mut self, gateway: &mut Gateway) -> bool {
        if !gateway.ready.writable {
            return false;
        }
        match gateway.write(self.cx.net) {
            Ok(count) => {
                self.moved += count;
                self.record(Act::Told, count as u64, 0);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
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
            return Self::hear_end(gateway).map(|()| false);
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
                self.record(Act::Heard, 0, 0);
                Self::hear_end(gateway).map(|()| true)
            }
            Ok(count) => {
                // A process has several descriptors: what was told of one may be about another.
                gateway.ready.readable =
                    count == room || gateway.ready.read_closed || gateway.is_process();
                gateway.heard += count as u64;
                self.record(Act::Heard, count as u64, 0);
                self.moved += count.saturating_mul(RELAYED_COST);
                self.hear(gateway, plan, &buffer[..kept + count]).map(|()| true)
            }
            // What has left its group and holds its output open will not add to its answer.
            Err(error) if error.kind() == ErrorKind::WouldBlock && gateway.ending.is_some() => {
                gateway.closed_at = Some(self.cx.now);
                Self::hear_end(gateway).map(|()| true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                gateway.ready.readable = false;
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
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
            if gateway.is_tunnel() {
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
                Inbound::Complaint(text) => gateway.complaints.hear(text, plan),
                Inbound::Overloaded => {
                    return Err(Stop::Fail(Failure::short("it is overloaded")));
                }
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
    fn hear_end(gateway: &mut Gateway) -> Result<(), Stop> {
        if gateway.is_tunnel() {
            return Err(Stop::Over);
        }
        let waits = gateway.is_process() && gateway.ending.is_none();
        if waits && gateway.answer_end == AnswerEnd::Open {
            return Ok(());
        }
        Err(Self::end_of(gateway))
    }

    /// How a conversation ends whose program says no more.
    pub(super) fn end_of(gateway: &mut Gateway) -> Stop {
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
        if length.is_some() {
            gateway.answer_end = AnswerEnd::Announced;
        }
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
        gateway.answer_end = AnswerEnd::Tunnel;
        self.draft(plan, Status::SWITCHING_PROTOCOLS);
    }

    /// Counts the answer that has begun, and prepares its line for the access log.
    fn draft(&mut self, plan: &Plan, status: Status) {
        self.cx.metrics.count_answer(self.exchange.route, status);
        self.record(Act::Answered, self.exchange.route.0.into(), status.code());
        if !self.cx.log.is_on() {
            return;
        }
        self.exchange.draft = self.with_head(|serving, head| {
            let user = plan.user.as_deref();
            let asker = serving.client.asker(serving.exchange);
            let entry = Entry { user, status, ..entry_of(head, asker) };
            serving.cx.log.draft(&entry, serving.cx.stamp)
        });
    }
}
