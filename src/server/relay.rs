//! An exchange that a program answers, from its beginning to its end: whole, failed, tried again or
//! sent elsewhere. What is said meanwhile is told in `conversation.rs`, who is given which gateway
//! in `dialing.rs`.

use std::ops::Range;

use super::client::{Pending, Phase};
use super::conversation::Stop;
use super::dialing::{Parting, Wish};
use super::gateway::{Failure, Origin, Relay, Stage, Trouble, Upload};
use super::metrics::Limit;
use super::net::Net;
use super::serving::{Serving, Step};
use super::spool::Spool;
use crate::http::Refusal;
use crate::http::fields;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;
use crate::site::Reply;
use crate::site::program::{Kind, Plan};

/// How often one request may be sent to another path by the scripts that answer it.
const MAX_REDIRECTS: u8 = 10;

impl<N: Net> Serving<'_, '_, N> {
    /// A program is to answer the request with this head. What is started here has its content kept
    /// first, since it must know how much there is; an origin server gets it as it comes.
    pub(super) fn engage(&mut self, plan: Box<Plan>, head: &[u8]) {
        let spool = Spool::new(head, plan.content_limit, self.cx.budget);
        self.exchange.spool = Some(spool.in_memory(self.cx.terms.limits.spool_memory));
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
        match self.exchange.spool.as_mut().map_or(Ok(()), Spool::finish) {
            Ok(()) => self.wish(),
            Err(refusal) => self.refuse_spooled(refusal),
        }
        true
    }

    fn wish(&mut self) {
        self.cx.wishes.push_back(Wish::Gateway(self.id));
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
        // Its deadline finds nobody in who is kept busy by nothing but complaints.
        let is_late = self.client.clock.phase == Phase::Gateway
            && relay.due(&self.cx.terms.limits) <= self.cx.now;
        match result {
            Ok(_) if is_late => self.stop_late(relay),
            Ok(step) => {
                self.exchange.pending = Pending::Gateway(relay);
                step
            }
            Err(stop) => self.stop(relay, stop),
        }
    }

    /// The client has ended in the middle of its request: the program need not go on. What it was
    /// answered before still goes out.
    pub(super) fn abandon(&mut self) -> Step {
        self.leave_program();
        match self.cut_body("the client ended before its request did") {
            Step::Moved => Step::NeedsRoom,
            step => step,
        }
    }

    /// Whatever a program may still have to say, its client is done with it.
    pub(super) fn leave_program(&mut self) {
        if let Pending::Gateway(relay) = &mut self.exchange.pending
            && let Some(gateway) = relay.gateway()
        {
            self.cx.wishes.push_back(Wish::Part(gateway.id, Parting::Close));
        }
    }

    /// Gives the program more of the request, and asks it nothing.
    pub(super) fn push_on(&mut self, rx: &[u8], window: &mut Range<usize>) -> Step {
        let pending = std::mem::take(&mut self.exchange.pending);
        let Pending::Gateway(mut relay) = pending else {
            self.exchange.pending = pending;
            return Step::NeedsRoom;
        };
        // Content that is gathered first waits where it is: nothing here would take it.
        let (pushed, has_gateway) = match relay.gateway() {
            Some(gateway) if gateway.is_open => (self.push(gateway, rx, window), true),
            Some(_) | None => (Ok(false), false),
        };
        let step = match pushed {
            Err(stop) => return self.stop(relay, stop),
            Ok(true) => Step::Moved,
            Ok(false) if has_gateway && relay.awaits_client() => Step::NeedsInput,
            Ok(false) => Step::NeedsRoom,
        };
        self.exchange.pending = Pending::Gateway(relay);
        step
    }

    /// The client has ended its direction. In a tunnel, that is something to tell the program,
    /// which may still have something to say: returns whether it is one.
    pub(super) fn ends_tunnel(&mut self) -> bool {
        let Pending::Gateway(relay) = &mut self.exchange.pending else { return false };
        match relay.gateway() {
            Some(gateway) if gateway.upload == Upload::Tunnel => {
                gateway.upload = Upload::Ending;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Acts on the end of a conversation.
    fn stop(&mut self, mut relay: Box<Relay>, stop: Stop) -> Step {
        if let Stage::Talking(gateway) = &mut relay.stage {
            let parting = match &stop {
                Stop::Over if gateway.is_reusable() => Parting::Keep,
                Stop::Over | Stop::Redirect(_) if gateway.is_process() => {
                    let complaints = std::mem::take(&mut gateway.complaints);
                    Parting::Leave(relay.plan.clone(), complaints)
                }
                // It may be ill; others are asked first for a while.
                Stop::Fail(failure) if gateway.is_ill(failure.trouble) => Parting::Unreachable,
                Stop::Over | Stop::Redirect(_) | Stop::Fail(_) | Stop::Refuse(_) => Parting::Close,
            };
            self.cx.wishes.push_back(Wish::Part(gateway.id, parting));
        }
        match stop {
            Stop::Over => {
                self.client.connection.finish(self.cx.tx);
                self.end_body();
                Step::Moved
            }
            Stop::Redirect(target) => self.redirect_locally(&relay, &target),
            Stop::Fail(failure) if self.may_retry(&relay, failure.trouble) => {
                log::debug!("{}: {}; trying again", name(&relay.plan), failure.why);
                relay.fresh = true;
                relay.stage = Stage::Waiting(self.cx.now);
                self.wish();
                self.exchange.pending = Pending::Gateway(relay);
                Step::NeedsOther
            }
            Stop::Fail(failure) => self.fail(&relay.plan, failure),
            Stop::Refuse(refusal) if self.client.connection.owes_answer() => {
                self.client.connection.refuse();
                let reply = self.refused(&relay.plan, refusal);
                self.reply_spooled(reply);
                Step::Moved
            }
            Stop::Refuse(refusal) => self.cut_body(refusal.why),
        }
    }

    /// Whether asking again can do no harm, and may help: nothing has come back, and either nothing
    /// got there, or an idle connection has turned out to be closed and the method is idempotent
    /// (RFC 9112 §9.3.1). Whoever has had such a connection is not given another.
    fn may_retry(&mut self, relay: &Relay, trouble: Trouble) -> bool {
        let Stage::Talking(gateway) = &relay.stage else { return false };
        // Content that the client has sent us cannot be had from it again.
        let is_untouched = gateway.heard == 0 && gateway.streamed == 0;
        if !is_untouched || !self.client.connection.owes_answer() {
            return false;
        }
        match trouble {
            Trouble::NotReached | Trouble::Shortage => !gateway.is_open && relay.has_another(),
            Trouble::Ended if gateway.origin == Origin::Kept => {
                self.with_head(|_, head| head.method.is_idempotent())
            }
            Trouble::Ended | Trouble::Late => false,
        }
    }

    /// Answers for a program that has failed; where its answer has begun, it is cut.
    fn fail(&mut self, plan: &Plan, failure: Failure) -> Step {
        let Failure { status, ref why, .. } = failure;
        if !self.client.connection.owes_answer() {
            log::warn!("{}: {why}; its answer is cut", name(plan));
            return self.cut_body(failure.why);
        }
        log::warn!("{}: {why} ({status})", name(plan));
        let own: &[u8] =
            if status == Status::SERVICE_UNAVAILABLE { b"Retry-After: 1\r\n" } else { b"" };
        let reply = self.with_head(|serving, head| {
            serving.cx.terms.site.fail(&serving.inquiry(head, None), plan, status, own)
        });
        self.exchange.why = Some(failure.why);
        self.reply_spooled(reply);
        Step::Moved
    }

    /// The answer to a request for a program whose content is refused.
    pub(super) fn refused(&mut self, plan: &Plan, refusal: Refusal) -> Reply {
        self.exchange.why = Some(refusal.why.into());
        self.with_head(|serving, head| {
            serving.cx.terms.site.refuse_call(&serving.inquiry(head, None), plan, refusal)
        })
    }

    /// Answers with what stands at another path of this server (RFC 3875 §6.2.2).
    fn redirect_locally(&mut self, relay: &Relay, target: &str) -> Step {
        self.exchange.redirects += 1;
        if self.exchange.redirects > MAX_REDIRECTS {
            return self.fail(&relay.plan, Failure::bad("it redirects again and again"));
        }
        let head = self.with_head(|_, head| elsewhere(head, target));
        let mut space = HeadSpace::new();
        let Ok(parsed) = Head::parse(&head, &mut space, &self.cx.terms.limits.http()) else {
            let why = format!("it redirects to {target:?}, which is no path");
            return self.fail(&relay.plan, Failure::bad(why));
        };
        self.exchange.spool = None;
        self.answer(&parsed, &head, None, false);
        Step::Moved
    }

    /// Calls `work` with the head of the request that is kept.
    pub(super) fn with_head<T>(&mut self, work: impl FnOnce(&mut Self, &Head<'_>) -> T) -> T {
        let spool = self.exchange.spool.take().expect("a program's request is kept to its end");
        let mut space = HeadSpace::new();
        let head = Head::parse(spool.head(), &mut space, &self.cx.terms.limits.http())
            .expect("a head that was parsed can be parsed again");
        let result = work(self, &head);
        self.exchange.spool = Some(spool);
        result
    }

    /// The program, or the client, has taken too long.
    pub(super) fn relay_is_late(&mut self) -> Step {
        let pending = std::mem::take(&mut self.exchange.pending);
        let Pending::Gateway(relay) = pending else { return Step::Moved };
        self.stop_late(relay)
    }

    fn stop_late(&mut self, mut relay: Box<Relay>) -> Step {
        let is_gone = relay.gone_at(&self.cx.terms.limits) <= self.cx.now;
        if matches!(relay.stage, Stage::Waiting(_)) {
            self.cx.wishes.push_back(Wish::Nothing(self.id));
        }
        self.cx.metrics.hit(match &relay.stage {
            _ if is_gone => Limit::HalfClosed,
            Stage::Talking(gateway) if gateway.is_open && gateway.is_tunnel() => Limit::Tunnel,
            Stage::Talking(_) | Stage::Waiting(_) | Stage::Gathering | Stage::Failed(_) => {
                Limit::Program
            }
        });
        let stop = match &mut relay.stage {
            _ if is_gone => Stop::Fail(Failure::late("the client seems to have gone")),
            Stage::Waiting(_) => {
                Stop::Fail(Failure::short("it has no process or connection to spare"))
            }
            Stage::Talking(gateway) if !gateway.is_open => {
                let (status, why) = (Status::GATEWAY_TIMEOUT, "cannot be reached in time");
                Stop::Fail(Failure::new(Trouble::NotReached, status, why))
            }
            Stage::Talking(gateway) if gateway.closed_at.is_some() => Self::end_of(gateway),
            Stage::Talking(_) | Stage::Gathering | Stage::Failed(_) => {
                Stop::Fail(Failure::late("it has said nothing for too long"))
            }
        };
        self.stop(relay, stop)
    }
}

/// The head of a GET for `target` that is like `head` in all else (RFC 3875 §6.2.2). Host says whom
/// `head` was for, and so the same: its target may have outranked its Host (RFC 9112 §3.2.2).
fn elsewhere(head: &Head<'_>, target: &str) -> Vec<u8> {
    let method = if head.method.as_str() == "HEAD" { "HEAD" } else { "GET" };
    let mut bytes = format!("{method} {target} HTTP/1.{}\r\n", head.minor_version).into_bytes();
    if !head.authority.is_empty() {
        fields::write(&mut bytes, "Host", head.authority.as_bytes());
    }
    for line in head.fields.lines() {
        let is_replaced = ["Expect", "Host", "Transfer-Encoding"]
            .iter()
            .any(|name| line.name.eq_ignore_ascii_case(name));
        let is_of_content =
            line.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
        if !is_replaced && !is_of_content {
            fields::write(&mut bytes, line.name, line.value);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
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
