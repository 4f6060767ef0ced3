//! What a client must get where a program answers: the pure codecs, fed with all that the program
//! says at once. Where it is a matter of time how an exchange ends, each way it can end.

use super::backend::is_there;
use super::expected::{After, Choice};
use super::oracle::{Oracle, inquiry, whole};
use super::program::{Act, Asked, ELSEWHERE, End, Protocol, is_retried, say};
use super::world::UNIX_TIME;
use crate::gateway::{BadGateway, Call, Codec, Inbound, cgi, fastcgi, origin};
use crate::http::connection::{Connection, Turn};
use crate::http::date::Stamp;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;
use crate::site::program::{Kind, Plan};

/// How an exchange with a program ends.
enum Outcome {
    Over,
    Fails(Status),
    Redirects,
    /// The protocol was changed.
    Switches,
}

impl Oracle<'_> {
    /// All that may come of a request that a program answers, whose content is at the front of
    /// `input`: how much of it that is. `None` if it is not all there.
    pub(super) fn relay(&mut self, head: &Head<'_>, plan: &Plan, input: &[u8]) -> Option<usize> {
        let protocol = protocol(plan);
        let streams = protocol == Protocol::Http;
        let has_content = head.length.is_some();
        if has_content && !streams {
            self.connection.invite_content(&mut self.out);
        }
        let received = match head.length {
            Some(_) => self.content(input, plan.content_limit),
            None => Some((0, Ok(Vec::new()))),
        };
        if received.is_none() && streams && self.is_flaky {
            self.early = vec![self.failing(head, plan, self.connection, true)];
        }
        let (taken, content) = received?;
        let content = match content {
            Ok(content) => content,
            Err(refusal) => {
                self.respond(self.site.refuse(refusal));
                return Some(taken);
            }
        };
        let line = std::str::from_utf8(head.line).expect("targets are ASCII");
        let target = line.split(' ').nth(1).expect("a line has a target");
        let mut asked = Asked::new(target, head.method.as_str());
        asked.expects = head.expects_continue && streams && has_content;
        if !asked.is_hasty(protocol) {
            asked.content = content;
        }
        let before = std::mem::take(&mut self.out);
        let mut choices = Vec::new();
        let begun = self.connection;
        let is_hasty = asked.is_hasty(protocol) || is_away(plan);
        let is_hasty = is_hasty && streams && has_content;
        for ends in if is_hasty { &[false, true][..] } else { &[false] } {
            let mut connection = begun;
            if *ends {
                connection.close_after_answer();
            }
            choices.push(self.choose(head, plan, &asked, connection));
        }
        if self.is_flaky && !is_retried(protocol, head.method, has_content) {
            choices.extend([false, true].map(|ends| self.failing(head, plan, begun, ends)));
        }
        if asked.expects {
            choices.extend(choices.clone().into_iter().map(invited));
        }
        for choice in &mut choices {
            choice.bytes.splice(..0, before.iter().copied());
        }
        if asked.act == Act::Switch && choices[0].after == After::IsCut {
            echo(&mut choices[0], input, asked.count);
        }
        self.choices = choices;
        Some(taken)
    }

    /// What comes of it if the program is heard to the end.
    fn choose(
        &self,
        head: &Head<'_>,
        plan: &Plan,
        asked: &Asked,
        mut connection: Connection,
    ) -> Choice {
        let mut out = Vec::new();
        let outcome = hear(head, plan, asked, &mut connection, &mut out);
        let mut after = None;
        match outcome {
            Outcome::Over => connection.finish(&mut out),
            Outcome::Redirects => {
                let method = if asked.head_only { "HEAD" } else { "GET" };
                let version = head.minor_version;
                let text = format!("{method} {ELSEWHERE} HTTP/1.{version}\r\nHost: a\r\n\r\n");
                let mut space = HeadSpace::new();
                let there = Head::parse(text.as_bytes(), &mut space, &self.limits.http());
                let reply = self.ask_now(&there.expect("this is a head"));
                out = whole(reply, &mut connection);
            }
            Outcome::Fails(status) if connection.owes_answer() => {
                out.extend(self.fail(head, plan, status, &mut connection));
            }
            Outcome::Fails(_) => {
                after = Some(if connection.cut() { After::IsReset } else { After::IsCut });
            }
            Outcome::Switches => after = Some(After::IsCut),
        }
        match after {
            Some(after) => Choice { bytes: out, after },
            None => choice(out, connection),
        }
    }

    /// What comes of it if the connection to the program was over; with `ends`, so is the client's.
    fn failing(
        &self,
        head: &Head<'_>,
        plan: &Plan,
        mut connection: Connection,
        ends: bool,
    ) -> Choice {
        if ends {
            connection.close_after_answer();
        }
        let bytes = self.fail(head, plan, Status::BAD_GATEWAY, &mut connection);
        choice(bytes, connection)
    }

    /// What is answered for a program that has failed.
    fn fail(
        &self,
        head: &Head<'_>,
        plan: &Plan,
        status: Status,
        connection: &mut Connection,
    ) -> Vec<u8> {
        let reply = self.site.fail(&inquiry(head, None), plan, status, b"");
        whole(reply, connection)
    }
}

/// Feeds the codec with what the program says.
fn hear(
    head: &Head<'_>,
    plan: &Plan,
    asked: &Asked,
    connection: &mut Connection,
    out: &mut Vec<u8>,
) -> Outcome {
    if is_away(plan) {
        return Outcome::Fails(Status::BAD_GATEWAY);
    }
    let protocol = protocol(plan);
    let speech = say(protocol, asked);
    let mut codec = codec(plan, head);
    let mut rest = &speech.bytes[..];
    let mut is_sized = false;
    let mut is_tunnel = false;
    let bad = |BadGateway(_)| Outcome::Fails(Status::BAD_GATEWAY);
    loop {
        if is_tunnel {
            connection.send(rest, out);
            return Outcome::Switches;
        }
        let (used, inbound) = match codec.receive(rest) {
            Ok(received) => received,
            Err(error) => return bad(error),
        };
        rest = &rest[used..];
        match inbound {
            Inbound::Nothing if used == 0 => break,
            Inbound::Nothing | Inbound::Complaint(_) | Inbound::Interim(Status::CONTINUE, _) => {}
            Inbound::Interim(status, fields) => connection.inform(status, &fields, out),
            Inbound::Head(said) => {
                let mut fields = said.fields;
                plan.complete(&mut fields, said.status);
                is_sized = said.length.is_some();
                let stamp = Stamp::new(UNIX_TIME);
                let date = said.date.as_deref().unwrap_or(stamp.http());
                connection.respond(said.status, &fields, said.length, date, out);
            }
            Inbound::LocalRedirect(_) => return Outcome::Redirects,
            Inbound::Overloaded => return Outcome::Fails(Status::SERVICE_UNAVAILABLE),
            Inbound::Switch(fields) => {
                connection.switch(&fields, Stamp::new(UNIX_TIME).http(), out);
                is_tunnel = true;
            }
            Inbound::Content(content) => connection.send(content, out),
            Inbound::End => return Outcome::Over,
        }
    }
    match (speech.end, codec.close()) {
        (End::Hangs, _) => Outcome::Fails(Status::GATEWAY_TIMEOUT),
        (_, Err(error)) => bad(error),
        (End::Dies, Ok(())) if protocol == Protocol::Cgi && !is_sized => {
            Outcome::Fails(Status::BAD_GATEWAY)
        }
        (_, Ok(())) => Outcome::Over,
    }
}

/// The same for a client that is asked for its content before it has sent any.
fn invited(mut choice: Choice) -> Choice {
    choice.bytes.splice(..0, *b"HTTP/1.1 100 Continue\r\n\r\n");
    choice
}

/// What stands behind a change of protocol goes through the tunnel and back, up to `count` bytes.
fn echo(choice: &mut Choice, input: &[u8], count: usize) {
    choice.bytes.extend_from_slice(&input[..input.len().min(count)]);
    if input.len() >= count {
        choice.after = After::Ends;
    }
}

fn choice(bytes: Vec<u8>, mut connection: Connection) -> Choice {
    let after = match connection.turn() {
        Turn::Next => After::GoesOn,
        Turn::Close => After::Ends,
        Turn::Stay => panic!("an answer that does not end"),
    };
    Choice { bytes, after }
}

fn protocol(plan: &Plan) -> Protocol {
    match &plan.program.kind {
        Kind::Cgi(_) => Protocol::Cgi,
        Kind::FastCgi(_) => Protocol::FastCgi,
        Kind::Scgi(_) => Protocol::Scgi,
        Kind::Proxy(_) => Protocol::Http,
    }
}

/// Whether nobody is there.
fn is_away(plan: &Plan) -> bool {
    let upstream = plan.program.kind.upstream();
    upstream.is_some_and(|upstream| !upstream.to.iter().any(is_there))
}

/// What understands the program.
fn codec(plan: &Plan, head: &Head<'_>) -> Codec {
    match &plan.program.kind {
        Kind::Cgi(_) | Kind::Scgi(_) => Codec::Script(cgi::Answer::new(head.method)),
        Kind::FastCgi(_) => Codec::FastCgi(fastcgi::Exchange::new(head.method, true)),
        Kind::Proxy(_) => {
            let call = Call::new(head, &plan.script);
            let mut exchange = origin::Exchange::new(head.method);
            let forward = origin::Forward { target: b"/", host: "a" };
            exchange.request(&call, &forward, &mut Vec::new());
            Codec::Origin(exchange)
        }
    }
}
