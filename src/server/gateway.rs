//! One program behind one client: where their conversation stands, and the bytes neither side has
//! taken yet. How it goes on is told in `relay.rs`.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::time::Duration;

use super::client::Readiness;
use super::complaints::Complaints;
use super::conversation::PIECE;
use super::limits::Limits;
use super::net::{Net, Ready};
use super::peers::PeerId;
use super::spawner::Ending;
use super::timers::Millis;
use crate::gateway::Codec;
use crate::http::status::Status;
use crate::site::program::Plan;

/// How long a process that has closed its output may take to say how it ended. One that was killed
/// has said it by then.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// An exchange that a program answers.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) plan: Box<Plan>,
    pub(super) stage: Stage,
    /// The endpoints to which a connection was begun.
    pub(super) tried: Vec<usize>,
    /// An idle connection has failed: the next one is to be new.
    pub(super) fresh: bool,
    /// Since when it is known that the client will say no more. It may have gone.
    pub(super) left_at: Option<Millis>,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// All of the request's content is kept first.
    Gathering,
    /// The loop is to give it a gateway; since when.
    Waiting(Millis),
    /// There is none.
    Failed(Failure),
    /// It has one.
    Talking(Box<Gateway>),
}

/// Why a program does not answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// 502, 503 or 504.
    pub(super) status: Status,
    /// As a clause without its full stop, for the log.
    pub(super) why: Cow<'static, str>,
    pub(super) trouble: Trouble,
}

/// What kind of failure it is: so what may be tried, and whom it speaks against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody was reached.
    NotReached,
    /// There is not enough of something, on one side or the other.
    Shortage,
    /// It has ended, or said what it should not.
    Ended,
    /// It has taken too long, or its client has gone.
    Late,
}

/// A connection to a program, or a process, and what was said over it.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) id: PeerId,
    pub(super) codec: Codec,
    pub(super) ready: Readiness,
    /// Something has happened to it since it was last looked at.
    pub(super) is_news: bool,
    /// It is connected, or runs; one that was kept has been told something.
    pub(super) is_open: bool,
    pub(super) origin: Origin,
    /// What the program has yet to take: `output[sent..]`.
    pub(super) output: Vec<u8>,
    pub(super) sent: usize,
    /// What it has said that is nothing whole yet.
    pub(super) input: Vec<u8>,
    pub(super) upload: Upload,
    /// Bytes of request content that the client was asked for, and are kept nowhere.
    pub(super) streamed: u64,
    /// Bytes it has said.
    pub(super) heard: u64,
    pub(super) answer_end: AnswerEnd,
    pub(super) complaints: Complaints,
    /// When it closed its output.
    pub(super) closed_at: Option<Millis>,
    pub(super) ending: Option<Ending>,
    /// When something last moved, either way.
    pub(super) moved_at: Millis,
}

/// How a gateway came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A process was started.
    Started,
    /// A connection was made.
    Connected,
    /// A connection was kept from another exchange. The program may have closed it since.
    Kept,
}

/// Where its answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerEnd {
    /// Where it says so, or ends itself.
    Open,
    /// Where its head has announced.
    Announced,
    /// With the connection: what it says is not HTTP any more.
    Tunnel,
}

/// How the request's content goes to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    /// From the spool, from this byte on.
    Spooled(u64),
    /// As the client sends it.
    Streamed,
    /// As the client sends it, in another protocol than HTTP.
    Tunnel,
    /// The client of a tunnel has ended its direction, which the program is still to be told.
    Ending,
    /// All is said.
    Done,
}

impl Relay {
    /// One that has just begun.
    pub(super) fn new(plan: Box<Plan>, stage: Stage) -> Self {
        Relay { plan, stage, tried: Vec::new(), fresh: false, left_at: None }
    }

    /// The gateway, if it has one.
    pub(super) fn gateway(&mut self) -> Option<&mut Gateway> {
        match &mut self.stage {
            Stage::Talking(gateway) => Some(gateway),
            Stage::Gathering | Stage::Waiting(_) | Stage::Failed(_) => None,
        }
    }

    /// Whether there is another endpoint to try, where one could not be reached.
    pub(super) fn has_another(&self) -> bool {
        let upstream = self.plan.program.kind.upstream();
        self.tried.len() < upstream.map_or(0, |upstream| upstream.to.len())
    }

    /// Whether it is the client that has to go on: its content is wanted.
    pub(super) fn awaits_client(&self) -> bool {
        match &self.stage {
            Stage::Gathering => true,
            Stage::Waiting(_) | Stage::Failed(_) => false,
            Stage::Talking(gateway) => {
                let is_wanted = matches!(gateway.upload, Upload::Streamed | Upload::Tunnel);
                gateway.is_open && is_wanted && !gateway.has_output()
            }
        }
    }

    /// Now it is the program again that is waited for: the time its client has taken is not its
    /// fault.
    pub(super) fn begin_wait(&mut self, now: Millis) {
        if let Some(gateway) = self.gateway() {
            gateway.moved_at = now;
        }
    }

    /// When the program will have taken too long, or the client will have been gone for too long.
    pub(super) fn due(&self, limits: &Limits) -> Millis {
        let program = &self.plan.program;
        let due = match &self.stage {
            Stage::Gathering | Stage::Failed(_) => Millis::NEVER,
            Stage::Waiting(since) => *since + program.timeout,
            Stage::Talking(gateway) if !gateway.is_open => {
                let upstream = program.kind.upstream();
                gateway.moved_at
                    + upstream.map_or(program.timeout, |upstream| upstream.connect_timeout)
            }
            Stage::Talking(gateway) if gateway.is_tunnel() => {
                gateway.moved_at + limits.tunnel_timeout
            }
            Stage::Talking(gateway) => {
                let due = gateway.moved_at + program.timeout;
                gateway.closed_at.map_or(due, |at| due.min(at + LAST_WORDS))
            }
        };
        due.min(self.gone_at(limits))
    }

    /// When the client will count as gone: it has ended its direction, and nothing has moved since.
    pub(super) fn gone_at(&self, limits: &Limits) -> Millis {
        let moved_at = match &self.stage {
            Stage::Talking(gateway) => gateway.moved_at,
            Stage::Gathering | Stage::Waiting(_) | Stage::Failed(_) => Millis(0),
        };
        self.left_at.map_or(Millis::NEVER, |at| at.max(moved_at) + limits.half_closed)
    }
}

impl Gateway {
    /// A gateway that was just asked for (or a connection that was kept), for a conversation in
    /// `codec`; `output` is what is to be said first.
    pub(super) fn new(id: PeerId, codec: Codec, output: Vec<u8>, now: Millis) -> Self {
        Gateway {
            id,
            codec,
            ready: Readiness::default(),
            is_news: false,
            is_open: false,
            origin: Origin::Connected,
            output,
            sent: 0,
            input: Vec::new(),
            upload: Upload::Done,
            streamed: 0,
            heard: 0,
            answer_end: AnswerEnd::Open,
            complaints: Complaints::default(),
            closed_at: None,
            ending: None,
            moved_at: now,
        }
    }

    /// Frames a piece of content; an empty one is its end.
    pub(super) fn frame(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            self.codec.finish(&mut self.output);
            self.upload = Upload::Done;
        } else {
            self.codec.send(piece, &mut self.output);
        }
    }

    /// Writes what waits for the program, once. Says how much of it went out.
    ///
    /// # Errors
    /// Those of [`Net::write`].
    pub(super) fn write<N: Net>(&mut self, net: &mut N) -> io::Result<usize> {
        let rest = &self.output[self.sent..];
        let count = net.write(self.id, &[IoSlice::new(rest)], false)?;
        self.ready.writable = count == rest.len();
        self.sent += count;
        if !self.has_output() {
            self.output.clear();
            self.output.shrink_to(2 * PIECE);
            self.sent = 0;
        }
        Ok(count)
    }

    /// Notes what it has become able to do.
    pub(super) fn note(&mut self, event: &Ready) {
        self.is_news = true;
        self.ready.writable |= event.writable;
        self.ready.read_closed |= event.read_closed;
        self.ready.broken |= event.broken;
        // Whatever has ended it, reading says what it said before, and then that it has ended.
        self.ready.readable |= event.readable || event.read_closed || event.broken;
    }

    /// Whether it is a process of our own.
    pub(super) fn is_process(&self) -> bool {
        self.origin == Origin::Started
    }

    /// Whether it speaks another protocol than HTTP by now.
    pub(super) fn is_tunnel(&self) -> bool {
        self.answer_end == AnswerEnd::Tunnel
    }

    /// Whether it was kept, and nothing has been said yet.
    pub(super) fn is_untold(&self) -> bool {
        self.origin == Origin::Kept && !self.is_open
    }

    /// Whether all is said.
    pub(super) fn is_told(&self) -> bool {
        self.upload == Upload::Done && !self.has_output()
    }

    /// Whether the program has yet to take something.
    pub(super) fn has_output(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Whether it may carry another exchange: nothing is left over from this one.
    pub(super) fn is_reusable(&self) -> bool {
        self.codec.is_reusable() && self.input.is_empty() && !self.has_output() && !self.has_news()
    }

    /// Whether there is something to be read from it, or its end.
    pub(super) fn has_news(&self) -> bool {
        self.ready.readable || self.ready.read_closed || self.ready.broken
    }

    /// Whether a failure of this kind speaks against the endpoint: it cannot be reached, or has
    /// ended a new connection without a word.
    pub(super) fn is_ill(&self, trouble: Trouble) -> bool {
        let has_failed = match trouble {
            Trouble::NotReached | Trouble::Ended => true,
            Trouble::Shortage | Trouble::Late => false,
        };
        has_failed && self.heard == 0 && self.origin == Origin::Connected
    }

    /// Whether its response may end here: what it was to say was announced, or it closed its
    /// output of its own will.
    pub(super) fn ended_well(&self) -> bool {
        let is_killed = matches!(self.ending, Some(Ending::Killed(_)));
        !self.is_process() || self.answer_end == AnswerEnd::Announced || !is_killed
    }
}

impl Failure {
    /// A failure of this kind, with a status and a reason.
    pub(super) fn new(trouble: Trouble, status: Status, why: impl Into<Cow<'static, str>>) -> Self {
        Failure { status, why: why.into(), trouble }
    }

    /// 502: the program has not said what it should.
    pub(super) fn bad(why: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(Trouble::Ended, Status::BAD_GATEWAY, why)
    }

    /// 502: nobody is there.
    pub(super) fn unreached(why: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(Trouble::NotReached, Status::BAD_GATEWAY, why)
    }

    /// 503: there is not enough of something.
    pub(super) fn short(why: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(Trouble::Shortage, Status::SERVICE_UNAVAILABLE, why)
    }

    /// 504: it has taken too long.
    pub(super) fn late(why: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(Trouble::Late, Status::GATEWAY_TIMEOUT, why)
    }
}
