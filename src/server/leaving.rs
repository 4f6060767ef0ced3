//! Letting peers go: what they had is given back, and what they were not given is counted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Server;
use super::client::{Client, Pending};
use super::net::Net;
use super::peers::{Peer, PeerId};
use super::recorder::Act;

impl<N: Net> Server<N> {
    /// Closes a peer and forgets it.
    pub(super) fn close(&mut self, id: PeerId) {
        self.net.close(id);
        self.forget(id);
    }

    /// Forgets a peer whose descriptor is closed, and what it had.
    pub(super) fn forget(&mut self, id: PeerId) {
        self.timers.clear(id.key);
        if self.peers.client_mut(id).is_some() {
            self.record(id, Act::Closed, (0, 0));
        }
        match self.peers.remove(id) {
            Some(Peer::Client(mut client)) => {
                self.count_loss(&client);
                if client.is_admin {
                    self.stepping.take_answer(id);
                    if self.recorder.is_fine() {
                        self.heed_watchers();
                    }
                }
                if client.is_counted
                    && let Some(address) = client.address
                {
                    self.shares.leave(address.ip(), self.now);
                }
                let Some(mut work) = client.work.take() else { return };
                if let Some(draft) = &work.exchange.draft {
                    let why = work.exchange.why.as_deref().or(Some("the connection ended before"));
                    self.log.add_draft(draft, work.exchange.body_sent, why);
                }
                if let Pending::Gateway(relay) = &mut work.exchange.pending {
                    self.dismiss(id, relay);
                }
                // With it goes what a handler gave, and that may have a bug in its end.
                if catch_unwind(AssertUnwindSafe(|| drop(work))).is_err() {
                    log::error!("letting go of an answer panicked");
                    self.metrics.panics += 1;
                }
            }
            Some(Peer::Gateway(link)) => self.bury(id, &link),
            Some(Peer::Listener(_)) | None => {}
        }
    }

    /// Gives back what a burst of peers has left behind.
    pub(super) fn shrink(&mut self) {
        if let Some(slots) = self.peers.shrink() {
            self.timers.shrink(slots);
            self.net.shrink(slots);
            self.queue.shrink_to_fit();
        }
    }

    /// Counts what a client that goes has not been given.
    fn count_loss(&mut self, client: &Client) {
        if client.is_admin {
            return;
        }
        if client.connection.owes_answer() {
            self.metrics.unanswered += 1;
        } else if client.connection.owes_content() && !client.is_in_tunnel() {
            self.metrics.cut += 1;
        }
    }
}

impl<N: Net> Drop for Server<N> {
    /// Whoever is still here is cut off, but not forgotten in the log.
    fn drop(&mut self) {
        let all: Vec<PeerId> = self.peers.iter().map(|(id, _)| id).collect();
        for id in all {
            self.close(id);
        }
        self.log.write();
    }
}
