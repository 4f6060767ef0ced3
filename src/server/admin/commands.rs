//! What can be asked of the loop at the admin listener: to hold, to let one event through, to go
//! on. How it does so is told in `stepping.rs`.

use serde_json::{Value, json};

use super::super::Server;
use super::super::net::Net;
use super::super::peers::{Peer, PeerId};
use super::super::stepping::{Before, Command, Next};
use super::{JSON, TEXT, reply};
use crate::http::head::Head;
use crate::http::method::Method;
use crate::http::status::Status;

/// What a request asks of the loop, if it is one of these paths and its query can be understood.
fn command(path: &str, query: Option<&str>) -> Option<Command> {
    let before = match query {
        None | Some("event") => Before::Event,
        Some("turn") => Before::Turn,
        Some(_) => return None,
    };
    match path {
        "/inspect/hold" => Some(Command::Hold(before)),
        "/inspect/step" => Some(Command::Step(before)),
        "/inspect/go" if query.is_none() => Some(Command::Go),
        _ => None,
    }
}

/// What a request asks of the loop, if it does.
pub(super) fn wanted(head: &Head<'_>) -> Option<Command> {
    let path = head.target.path().filter(|_| head.method == Method::Post)?;
    command(path, head.target.query())
}

impl<N: Net> Server<N> {
    /// Does what clients of the admin listener ask of the loop: between two turns, when nobody is
    /// served. What one asks for is done to others, so a bug that it brings to light is one of the
    /// loop. The answers wait until it is the turn of those who have asked.
    pub(in super::super) fn obey(&mut self) {
        for (id, command) in self.stepping.take_asked() {
            let answer = match self.command(command) {
                Ok(()) => reply(Status::OK, JSON, format!("{}\n", self.holding())),
                Err(why) => reply(Status::CONFLICT, TEXT, format!("{why}\n")),
            };
            if self.peers.get(id).is_some() {
                self.stepping.answer(id, answer);
                self.enqueue(id);
            }
        }
    }

    /// How the loop is held, as JSON: `null`, or what it holds before, and who is next.
    pub(super) fn holding(&self) -> Value {
        let Some((before, next)) = self.stepping.state() else { return Value::Null };
        let before = match before {
            Before::Turn => "turn",
            Before::Event => "event",
        };
        let (why, id) = match next {
            None => return json!({ "before": before, "next": null }),
            Some(Next::Ready(id)) => ("ready", id),
            Some(Next::Due(id)) => ("due", id),
            Some(Next::Newcomer(id)) => ("new", id),
        };
        let next = json!({ "why": why, "key": id.key, "generation": id.generation,
                           "what": self.kind_of(id) });
        json!({ "before": before, "next": next })
    }

    fn kind_of(&self, id: PeerId) -> &'static str {
        match self.peers.get(id) {
            Some(Peer::Listener(_)) => "listener",
            Some(Peer::Client(_)) => "client",
            Some(Peer::Gateway(_)) => "program",
            None => "nobody",
        }
    }
}
