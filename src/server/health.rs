//! Asking origin servers how they are, whatever else happens: one monitor for each endpoint that
//! wants it. What follows from the answer is known to `gateways.rs`.

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use super::Server;
use super::client::Fate;
use super::dialing::Wish;
use super::gateway::Gateway;
use super::gateways::{Link, LinkState};
use super::listener::is_exhausted;
use super::net::Net;
use super::peers::{Peer, PeerId};
use super::serving::Occasion;
use super::timers::Millis;
use crate::gateway::{Codec, Inbound, origin};
use crate::http::method::Method;
use crate::site::Site;
use crate::site::program::{Endpoint, Health};

/// With less between two questions, one's time would come again within the turn of the other.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The one who asks.
#[derive(Debug)]
pub(super) struct Monitor {
    endpoint: Endpoint,
    health: Health,
    /// The question that is under way.
    question: Option<Box<Gateway>>,
}

impl<N: Net> Server<N> {
    /// Sets up a monitor for each endpoint that wants one.
    pub(super) fn watch_health(&mut self, site: &Site) {
        let now = self.net.now();
        for program in site.programs() {
            let Some(upstream) = program.kind.upstream() else { continue };
            let Some(health) = &upstream.health else { continue };
            for (endpoint, seat) in upstream.to.iter().zip(self.gateways.seats(program)) {
                let (endpoint, health) = (endpoint.clone(), health.clone());
                let monitor = Monitor { endpoint, health, question: None };
                let state = LinkState::Monitoring(Box::new(monitor));
                let id = self.peers.insert(Peer::Gateway(Link { seat, state }));
                self.timers.set(id.key, now);
            }
        }
    }

    /// Goes on with a question, or asks the next one.
    pub(super) fn serve_monitor(&mut self, id: PeerId, now: Millis, occasion: Occasion) -> Fate {
        let Some(Peer::Gateway(Link { seat, state: LinkState::Monitoring(monitor) })) =
            self.peers.get_mut(id)
        else {
            return Fate::Wait;
        };
        let seat = *seat;
        let interval = monitor.health.interval.max(SHORTEST_INTERVAL);
        let verdict = match (&mut monitor.question, occasion) {
            (None, Occasion::Ready) => return Fate::Wait,
            (None, Occasion::Due) => match self.net.connect(&monitor.endpoint, id) {
                Ok(()) => {
                    monitor.ask(id, now);
                    self.timers.set(id.key, now + interval);
                    return Fate::Wait;
                }
                // What is short here says nothing of who is there.
                Err(error) if is_exhausted(&error) => None,
                Err(_) => Some(false),
            },
            (Some(_), Occasion::Due) => Some(false),
            (Some(question), Occasion::Ready) => {
                self.gx.resize(super::conversation::BUFFER, 0);
                listen(question, &mut self.net, &mut self.gx)
            }
        };
        let Some(is_well) = verdict else {
            if monitor.question.is_none() {
                self.timers.set(id.key, now + interval);
            }
            return Fate::Wait;
        };
        monitor.question = None;
        self.timers.set(id.key, now + interval);
        if self.gateways.set_well(seat, is_well) {
            let state = if is_well { "well again" } else { "not well: it is left alone" };
            log::warn!("{} is {state}", monitor.endpoint);
            // Whoever waits may have been waiting for this.
            self.wishes.push_back(Wish::Next(seat.line()));
        }
        self.net.close(id);
        Fate::Wait
    }
}

impl Monitor {
    fn ask(&mut self, id: PeerId, now: Millis) {
        let Monitor { endpoint, health, .. } = self;
        let output = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: oneloop\r\n\
             Connection: close\r\n\r\n",
            health.path,
            endpoint.host()
        );
        let codec = Codec::Origin(origin::Exchange::new(Method::Get));
        self.question = Some(Box::new(Gateway::new(id, codec, output.into_bytes(), now)));
    }

    /// What is asked at the moment.
    pub(super) fn question(&mut self) -> Option<&mut Gateway> {
        self.question.as_deref_mut()
    }
}

/// Says the question, and hears the answer. Returns how the endpoint is, once that is known.
fn listen<N: Net>(question: &mut Gateway, net: &mut N, buffer: &mut [u8]) -> Option<bool> {
    if question.ready.broken && !question.ready.readable {
        return Some(false);
    }
    if question.ready.writable && question.has_output() {
        let rest = [IoSlice::new(&question.output[question.sent..])];
        match net.write(question.id, &rest, false) {
            Ok(count) => question.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Some(false),
        }
    }
    while question.ready.readable {
        let kept = question.input.len();
        buffer[..kept].copy_from_slice(&question.input);
        let count = match net.read(question.id, &mut buffer[kept..]) {
            Ok(0) => return Some(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                question.ready.readable = false;
                return None;
            }
            Err(_) => return Some(false),
        };
        let mut said = &buffer[..kept + count];
        loop {
            match question.codec.receive(said) {
                Err(_) => return Some(false),
                Ok((_, Inbound::Head(head))) => return Some(head.status.code() < 400),
                Ok((0, _)) => break,
                Ok((used, _)) => said = &said[used..],
            }
        }
        question.input.clear();
        question.input.extend_from_slice(said);
    }
    None
}
