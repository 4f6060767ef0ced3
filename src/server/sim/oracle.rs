//! What a client must get: the pure core and the site, fed with everything at once, with no loop
//! between them.

use std::os::unix::fs::FileExt as _;

use super::super::limits::Limits;
use super::expected::{After, Choice, Expected};
use super::world::{Promises, UNIX_TIME, promised};
use crate::http::Refusal;
use crate::http::connection::{Connection, Received, Turn};
use crate::http::date::Stamp;
use crate::http::framing::Length;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;
use crate::site::body::{Body, Produced};
use crate::site::handler::{Later, Settled};
use crate::site::rule::RouteNumber;
use crate::site::{Answer, Inquiry, Now, Reply, Site};

/// One client's conversation.
pub(super) struct Oracle<'a> {
    pub(super) site: &'a Site,
    pub(super) limits: &'a Limits,
    promises: &'a Promises,
    /// Connections to programs may end between two exchanges.
    pub(super) is_flaky: bool,
    pub(super) connection: Connection,
    requests: u32,
    pub(super) out: Vec<u8>,
    /// Where there is more than one: what may come of the exchange.
    pub(super) choices: Vec<Choice>,
    /// What may come of one whose content is not all there, before it is too late.
    pub(super) early: Vec<Choice>,
}

/// All that the server must say to `script`. With `is_flaky`, connections to programs may end
/// between two exchanges.
pub(super) fn expect(
    site: &Site,
    limits: &Limits,
    promises: &Promises,
    script: &[u8],
    is_flaky: bool,
) -> Expected {
    let mut oracle = Oracle {
        site,
        limits,
        promises,
        is_flaky,
        connection: Connection::new(),
        requests: 0,
        out: Vec::new(),
        choices: Vec::new(),
        early: Vec::new(),
    };
    let mut at = 0;
    let mut parts = Vec::new();
    let mut is_open = true;
    while is_open && let Some(used) = oracle.exchange(&script[at..]) {
        at += used;
        let part = oracle.end_part();
        is_open = part.iter().any(|choice| choice.after == After::GoesOn);
        parts.push(part);
    }
    // What was said before the end of an exchange that does not end: 100 Continue.
    let begun = std::mem::take(&mut oracle.out);
    if !begun.is_empty() {
        parts.push(vec![Choice { bytes: begun, after: After::GoesOn }]);
    }
    if script[at..].starts_with(b"\r") && oracle.connection.is_idle() {
        is_open = false; // No head will come of a line end alone, and nobody asks for an answer.
    }
    if is_open && at < script.len() {
        let why = if oracle.connection.is_in_content() {
            "the request's content took too long"
        } else {
            "the request's head took too long"
        };
        oracle.connection.refuse();
        let refusal = Refusal { status: Status::REQUEST_TIMEOUT, why };
        oracle.respond(site.refuse(refusal));
    }
    let out = std::mem::take(&mut oracle.out);
    let mut timed_out = oracle.early;
    timed_out.push(Choice { bytes: out, after: After::Ends });
    timed_out.retain(|choice| !choice.bytes.is_empty());
    Expected { parts, is_open, timed_out }
}

impl Oracle<'_> {
    /// What has come of an exchange.
    fn end_part(&mut self) -> Vec<Choice> {
        let choices = std::mem::take(&mut self.choices);
        if !choices.is_empty() {
            // Whatever else may come of it: where the next request is answered, it is afresh.
            self.connection = Connection::new();
            return choices;
        }
        let after = if self.connection.turn() == Turn::Close { After::Ends } else { After::GoesOn };
        vec![Choice { bytes: std::mem::take(&mut self.out), after }]
    }

    /// One exchange from the front of `input`; how many bytes it took, if it came to an answer.
    fn exchange(&mut self, input: &[u8]) -> Option<usize> {
        let mut space = HeadSpace::new();
        let (used, head) = match self.connection.receive(input, &mut space, &self.limits.http()) {
            Ok((used, Received::Head(head))) => (used, head),
            Ok(_) => return None,
            Err(refusal) => {
                self.respond(self.site.refuse(refusal));
                return Some(input.len());
            }
        };
        self.requests += 1;
        if self.requests >= self.limits.persistent_requests {
            self.connection.close_after_answer();
        }
        let reply = match self.ask(&head, None) {
            Answer::Reply(reply) => {
                let is_small = matches!(head.length, Some(Length::Known(1..=65_536)));
                if is_small && !head.expects_continue {
                    let (taken, result) = self.content(&input[used..], u64::MAX)?;
                    let reply = result.map_or_else(|refusal| self.site.refuse(refusal), |_| reply);
                    self.respond(reply);
                    return Some(used + taken);
                }
                reply
            }
            Answer::Content { limit } => return self.with_content(input, used, &head, limit),
            Answer::Later(later) => self.settle(later),
            Answer::Gateway(plan) => {
                return self.relay(&head, &plan, &input[used..]).map(|taken| used + taken);
            }
        };
        self.respond(reply);
        Some(used)
    }

    fn with_content(
        &mut self,
        input: &[u8],
        used: usize,
        head: &Head<'_>,
        limit: u64,
    ) -> Option<usize> {
        if matches!(head.length, Some(Length::Known(length)) if length > limit) {
            self.respond(self.site.refuse(super::super::spool::too_large()));
            return Some(input.len());
        }
        self.connection.invite_content(&mut self.out);
        let (taken, result) = match head.length {
            Some(_) => self.content(&input[used..], limit)?,
            None => (0, Ok(Vec::new())),
        };
        let reply = match result {
            Err(refusal) => self.site.refuse(refusal),
            Ok(content) => match self.ask(head, Some(&content)) {
                Answer::Reply(reply) => reply,
                Answer::Later(later) => self.settle(later),
                Answer::Content { .. } => panic!("content is asked for twice"),
                Answer::Gateway(_) => panic!("a program asks for its content itself"),
            },
        };
        self.respond(reply);
        Some(used + taken)
    }

    fn ask(&self, head: &Head<'_>, content: Option<&[u8]>) -> Answer {
        self.site.answer(&inquiry(head, content), &mut RouteNumber::default())
    }

    /// The answer to a request that needs nobody's help.
    pub(super) fn ask_now(&self, head: &Head<'_>) -> Reply {
        match self.ask(head, None) {
            Answer::Reply(reply) => reply,
            Answer::Content { .. } | Answer::Later(_) | Answer::Gateway(_) => {
                panic!("files are answered at once")
            }
        }
    }

    fn settle(&self, mut later: Later) -> Reply {
        let promise = self.promises.borrow_mut().pop().expect("a promise was made");
        promise.fulfil(promised);
        match later.take() {
            Some(Settled::Reply(reply)) => reply,
            Some(Settled::AskAgain) | None => panic!("the promise was fulfilled"),
        }
    }

    /// All of the request's content; `None` if it is not all there.
    pub(super) fn content(
        &mut self,
        input: &[u8],
        limit: u64,
    ) -> Option<(usize, Result<Vec<u8>, Refusal>)> {
        let mut at = 0;
        let mut content = Vec::new();
        loop {
            let mut space = HeadSpace::new();
            let rest = &input[at..];
            match self.connection.receive(rest, &mut space, &self.limits.http()) {
                Err(refusal) => return Some((input.len(), Err(refusal))),
                Ok((used, Received::Content(piece))) => {
                    at += used;
                    content.extend_from_slice(piece);
                    if content.len() as u64 > limit {
                        self.connection.refuse();
                        return Some((input.len(), Err(super::super::spool::too_large())));
                    }
                }
                Ok((used, Received::End)) => return Some((at + used, Ok(content))),
                Ok((_, Received::Nothing)) => return None,
                Ok((_, Received::Head(_))) => panic!("a head within content"),
            }
        }
    }

    pub(super) fn respond(&mut self, reply: Reply) {
        let mut connection = self.connection;
        self.out.extend(whole(reply, &mut connection));
        self.connection = connection;
    }
}

/// A request as the site is asked about it.
pub(super) fn inquiry<'h>(head: &'h Head<'h>, content: Option<&'h [u8]>) -> Inquiry<'h> {
    Inquiry {
        head,
        client: Some([127, 0, 0, 1].into()),
        content,
        again: false,
        now: Now { monotonic_ms: 0, unix: UNIX_TIME, moment: 0 },
    }
}

/// A whole answer over `connection`.
pub(super) fn whole(reply: Reply, connection: &mut Connection) -> Vec<u8> {
    let (stamp, mut out) = (Stamp::new(UNIX_TIME), Vec::new());
    reply.begin(connection, stamp.http(), &mut out);
    if connection.owes_content() {
        let mut body = reply.body;
        let mut content = Vec::new();
        while collect(&mut body, &mut content) {
            connection.send(&content, &mut out);
            content.clear();
        }
        connection.send(&content, &mut out);
        connection.finish(&mut out);
    }
    out
}

/// Appends some content, or all of it where it need not come piece by piece; whether there is more.
fn collect(body: &mut Body, out: &mut Vec<u8>) -> bool {
    match body {
        Body::Empty => {}
        Body::Bytes { bytes, at, end } => out.extend_from_slice(&bytes[*at..*end]),
        Body::File { file, offset, left } => {
            let mut bytes = vec![0; usize::try_from(*left).unwrap()];
            file.read_exact_at(&mut bytes, *offset).unwrap();
            out.extend_from_slice(&bytes);
        }
        Body::Parts(parts) => {
            while let Some(piece) = parts.current() {
                collect(piece, out);
                *piece = Body::Empty;
            }
        }
        Body::Produced(produce) => return produce.produce(out).unwrap() != Produced::End,
    }
    false
}
