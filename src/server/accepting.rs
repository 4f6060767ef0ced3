//! Taking clients in, and making room for them where there is none.

use std::io;
use std::net::SocketAddr;

use super::Server;
use super::client::{Client, Fate};
use super::listener::{Address, REST, Wanted, is_exhausted};
use super::metrics::Limit;
use super::net::Net;
use super::overload::{TOO_MANY, is_let_in};
use super::peers::{Peer, PeerId};
use super::recorder::Act;
use super::serving::Occasion;
use super::timers::Millis;

/// Connections that one listener may accept before the others have their turn.
const ACCEPTS: usize = 64;

/// Clients of the admin listener at once, beside `limits.connections`.
const ADMINS: usize = 8;

const ADMINS_REACHED: &str = "as many clients as may be are at the admin listener";

/// Idle clients let go at once where there is no room for a new one.
const LET_GO: usize = 32;

impl<N: Net> Server<N> {
    /// Takes in whoever waits, up to a bound. Where there is no room, idle clients are let go;
    /// where that does not help, the listener rests, so that the loop does not spin.
    pub(super) fn accept(&mut self, listener: PeerId, now: Millis) -> Fate {
        let is_admin = self.is_admin_listener(listener);
        for _ in 0..ACCEPTS {
            if self.is_full(is_admin) {
                if !self.net.has_visitor(listener) {
                    return Fate::Wait;
                }
                self.metrics.hit(Limit::Connections);
                if !self.let_go_idle(is_admin) {
                    if is_admin && self.has_new_admin() {
                        // Once they were heard, they may be idle.
                        return Fate::Yield;
                    }
                    let why =
                        if is_admin { ADMINS_REACHED } else { "limits.connections is reached" };
                    return self.rest(listener, now, why);
                }
            }
            // Whoever is alone is served, however much memory there is.
            if self.memory.is_over && !is_admin && self.peers.clients() > 0 {
                return self.rest(listener, now, "limits.max-memory is reached");
            }
            let id = self.peers.next_id();
            match self.net.accept(listener, id) {
                Ok(address) => self.admit(listener, address, is_admin, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Fate::Wait,
                Err(error) if is_exhausted(&error) => {
                    // accept(2) says so even where nobody waits.
                    if !self.net.has_visitor(listener) {
                        return Fate::Wait;
                    }
                    self.metrics.hit(Limit::Descriptors);
                    if !self.let_go_idle(false) {
                        let why = format!("no descriptors left to accept with: {error}");
                        return self.rest(listener, now, &why);
                    }
                }
                // The client was gone before it was taken in (accept(2)): on with the next.
                Err(error) => log::debug!("accept: {error}"),
            }
        }
        Fate::Yield
    }

    /// Whether there are as many clients as there may be. Those of the admin listener have places
    /// of their own, so that the server can be looked at just when it is full.
    pub(super) fn is_full(&self, is_admin: bool) -> bool {
        if is_admin {
            self.peers.admins() >= ADMINS
        } else {
            self.peers.clients() >= self.terms.limits.connections
        }
    }

    /// Whether somebody has come to the admin listener who was not heard yet.
    fn has_new_admin(&self) -> bool {
        self.newcomers.iter().any(|&id| self.peers.is_apart(id))
    }

    pub(super) fn is_admin_listener(&mut self, id: PeerId) -> bool {
        matches!(self.peers.get_mut(id), Some(Peer::Listener(one)) if one.is_admin())
    }

    /// There is no room: the listener tries again later. Until then no arrival wakes it.
    fn rest(&mut self, id: PeerId, now: Millis, why: &str) -> Fate {
        if let Some(Peer::Listener(listener)) = self.peers.get_mut(id)
            && listener.rest(now)
        {
            log::warn!("{why}, and nobody is idle: new clients wait");
        }
        self.timers.set(id.key, now + REST);
        Fate::Wait
    }

    /// Takes in a client that has come to `listener`.
    pub(super) fn admit(
        &mut self,
        listener: PeerId,
        address: Option<SocketAddr>,
        is_admin: bool,
        now: Millis,
    ) {
        let mut client = Client::new(address, now);
        if !self.terms.trust.senders.is_empty()
            && let Some(Peer::Listener(listener)) = self.peers.get_mut(listener)
        {
            let is_at = |address: &Address| listener.is(Wanted { address, is_admin: false });
            client.awaits_header = self.terms.trust.awaits_header(is_at, address);
        }
        if !is_admin && !is_let_in(&mut client, &self.terms, &mut self.shares, &mut self.metrics) {
            log::debug!("closed {address:?}: {TOO_MANY}");
            // It is nobody yet: only its socket is there.
            return self.net.close(self.peers.next_id());
        }
        let id = self.peers.insert(Peer::Client(if is_admin {
            client.admin()
        } else {
            self.metrics.accepted += 1;
            client
        }));
        if !is_admin {
            let note = self.recorder.note_address(address);
            self.record(id, Act::Accepted, (note, 0));
        }
        self.timers.set(id.key, now + self.terms.limits.head_timeout);
        self.newcomers.push(id);
    }

    /// Serves those who were taken in during this turn. Most have said something by then, and who
    /// does not stay is gone again before the epoll has to know.
    pub(super) fn welcome(&mut self, now: Millis) {
        if self.newcomers.is_empty() {
            return;
        }
        let mut newcomers = std::mem::take(&mut self.newcomers);
        for id in newcomers.drain(..) {
            self.welcome_one(id, now);
        }
        self.newcomers = newcomers;
    }

    /// Serves one of them for the first time.
    pub(super) fn welcome_one(&mut self, id: PeerId, now: Millis) {
        self.serve(id, now, Occasion::Ready);
        if self.peers.client_mut(id).is_some()
            && let Err(error) = self.net.watch(id)
        {
            log::warn!("a new client cannot be watched: {error}");
            self.close(id);
            self.grant_wishes(now);
        }
    }

    /// Closes a few clients that are between requests, those first that have been for longest.
    /// Returns whether there was one. While the loop is held nobody is late, so there a client of
    /// the admin listener that is not idle has its place only as long as nobody else wants it, but
    /// for one that watches.
    pub(super) fn let_go_idle(&mut self, is_admin: bool) -> bool {
        // More than one where there are many, since finding the oldest costs a look at all.
        let count = LET_GO.min(1 + self.peers.clients() / 64);
        let is_held = is_admin && self.stepping.is_on() && !self.has_new_admin();
        let idle_client = |(id, peer): (PeerId, &Peer)| match peer {
            Peer::Client(_) if self.peers.is_queued(id) => None,
            Peer::Client(client) if client.is_admin != is_admin => None,
            Peer::Client(client) => match client.idle_since() {
                Some(since) => Some((false, since, id)),
                None if !is_held || client.watches() => None,
                None => Some((true, self.now, id)),
            },
            Peer::Listener(_) | Peer::Gateway(_) => None,
        };
        let mut idle: Vec<(bool, Millis, PeerId)> =
            self.peers.iter().filter_map(idle_client).collect();
        if idle.len() > count {
            idle.select_nth_unstable(count);
            idle.truncate(count);
        }
        for &(_, _, id) in &idle {
            self.close(id);
        }
        !idle.is_empty()
    }
}
