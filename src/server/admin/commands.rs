//! What can be asked of the loop at the admin listener: to hold, to let one event through, to go
//! on. How it does so is told in `stepping.rs`.

use serde_json::{Value, json};

use super::super::Server;
use super::super::net::Net;
use super::super::peers::{Peer, PeerId};
use super::super::stepping::{Before, Command, Next};
use super::guard;
use crate::http::head::{Head, HeadSpace};
use crate::http::method::Method;

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

/// What became of a command.
#[derive(Debug)]
pub(in super::super) enum Obeyed {
    /// There was none.
    Nothing,
    Done,
    /// It cannot be done: why.
    Refused(String),
}

impl<N: Net> Server<N> {
    /// Does what the request with the head in `bytes` asks of the loop, if it does.
    pub(super) fn obey(&mut self, bytes: &[u8], is_tcp: bool) -> Obeyed {
        let mut space = HeadSpace::new();
        let Ok(head) = Head::parse(bytes, &mut space, &self.terms.limits.http()) else {
            return Obeyed::Nothing;
        };
        if head.method != Method::Post || guard::refusal(&head, is_tcp).is_some() {
            return Obeyed::Nothing;
        }
        let path = head.target.path().unwrap_or_default();
        match command(path, head.target.query()).map(|command| self.command(command)) {
            None => Obeyed::Nothing,
            Some(Ok(())) => Obeyed::Done,
            Some(Err(why)) => Obeyed::Refused(why),
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
