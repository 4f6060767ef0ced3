//! The graceful end: nobody comes in, and whoever is in the middle of something may finish it. Who
//! asks for it, and when, is not known here.

use super::Server;
use super::gateways::LinkState;
use super::net::Net;
use super::peers::{Peer, PeerId};

impl<N: Net> Server<N> {
    /// Begins the graceful end: no new connections, idle clients are let go in the next turn unless
    /// they have said something by then, exchanges under way are finished and their connections
    /// closed; [`drain_timeout`](super::Limits::drain_timeout) is the most it takes. The admin
    /// listener goes on to the end, and says that the server is not ready.
    pub fn drain(&mut self) {
        self.go_on();
        self.lets_go = true;
        let by = self.net.now() + self.terms.limits.drain_timeout;
        // Retired, it may have longer.
        if self.drained_by.is_some_and(|before| before <= by) {
            return;
        }
        self.drained_by = Some(by);
        let all: Vec<PeerId> = self.peers.iter().map(|(id, _)| id).collect();
        for id in all {
            match self.peers.get_mut(id) {
                // Its next request may be here already: it is looked for once more.
                Some(Peer::Client(client)) if client.is_idle() => {
                    client.ready.readable = true;
                    self.enqueue(id);
                }
                Some(Peer::Client(client)) => client.connection.close_after_answer(),
                Some(Peer::Gateway(link)) if !matches!(link.state, LinkState::Idle) => {}
                Some(Peer::Listener(listener)) if listener.is_admin() => {}
                Some(Peer::Listener(_)) => self.close_listener(id),
                Some(Peer::Gateway(_)) => self.close(id),
                None => {}
            }
        }
        self.log.write();
    }

    /// Whether the server has ended: it was stopped, and nobody is left or waited for any longer.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.drained_by.is_some_and(|by| self.peers.clients() == 0 || by <= self.net.now())
    }
}
