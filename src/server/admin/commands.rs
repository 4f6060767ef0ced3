//! What can be asked of the loop at the admin listener: to hold, to let one event through, to go
//! on. How it does so is told in `stepping.rs`.

use serde_json::{Value, json};

use super::super::Server;
use super::super::client::Client;
use super::super::net::Net;
use super::super::peers::{Peer, PeerId};
use super::super::serving::Occasion;
use super::super::stepping::{Before, Command, Next};
use super::Report;
use super::inspector::Shown;
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

/// What a request asks of the loop, if it does.
pub(super) fn wanted(head: &Head<'_>) -> Option<Command> {
    let path = head.target.path().filter(|_| head.method == Method::Post)?;
    command(path, head.target.query())
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
    /// Does what clients of the admin listener ask of the loop, and answers them: between two
    /// turns, when nobody is served. What one asks for is done to others, so a bug that it brings
    /// to light is one of the loop.
    pub(in super::super) fn obey(&mut self) {
        for id in self.stepping.take_asking() {
            let Some((command, is_tcp)) = self.asked_by(id) else { continue };
            let obeyed = match self.command(command) {
                Ok(()) => Obeyed::Done,
                Err(why) => Obeyed::Refused(why),
            };
            let report = Report { is_tcp, obeyed, ..self.report() };
            self.shown = Some(Shown::Report(Box::new(report)));
            let now = self.net.now();
            self.serve(id, now, Occasion::Ready);
            self.shown = None;
        }
    }

    /// What a client that waits for it asks of the loop, and whether it came over TCP.
    fn asked_by(&mut self, id: PeerId) -> Option<(Command, bool)> {
        let limits = self.terms.limits.http();
        let Client { work, address, .. } = self.peers.client_mut(id)?;
        let spool = work.as_ref()?.exchange.spool.as_ref()?;
        let mut space = HeadSpace::new();
        let head = Head::parse(spool.head(), &mut space, &limits).ok()?;
        Some((wanted(&head)?, address.is_some()))
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
