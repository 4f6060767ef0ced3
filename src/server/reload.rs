//! Other terms while the server runs: sites, limits, addresses, the access log. Whatever is under
//! way goes on by the terms that it began with. Where the new ones come from is not known here.

use std::io;
use std::rc::Rc;

use super::access_log::AccessLog;
use super::gateways::{Link, LinkState};
use super::listener::{Address, BACKLOG, Bound, Listener, Wanted};
use super::net::Net;
use super::peers::{Peer, PeerId};
use super::start::{Options, StartError};
use super::terms::Terms;
use super::{RECEIVE, Server};
use crate::site::Site;

impl Server {
    /// From the next request on, `site` answers, and `options` hold. Exchanges under way, tunnels
    /// among them, go on by what was before; connections stay. Of the addresses only those are
    /// bound or closed that were not there or are not there any more.
    ///
    /// # Errors
    /// Where one of the new addresses or the access log cannot be had: then nothing has changed.
    pub fn reload(&mut self, options: &Options, site: impl Into<Site>) -> Result<(), StartError> {
        let log = (options.access_log != *self.log.options())
            .then(|| AccessLog::open(&options.access_log))
            .transpose()
            .map_err(StartError::AccessLog)?;
        options.check()?;
        self.listen_at(&options.wanted())?;
        if let Some(log) = log {
            self.log.write();
            self.metrics.lines_lost += self.log.lost();
            self.log = log;
        }
        self.adopt(Terms::new(site.into(), options.limits.clone(), options.trust.clone()));
        self.heed_listeners();
        Ok(())
    }

    /// Listens at these addresses and no others: if one cannot be had, at those where it did.
    pub(super) fn listen_at(&mut self, wanted: &[Wanted<'_>]) -> Result<(), StartError> {
        let there = self.peers.listeners();
        let is_wanted = |listener: &Listener| wanted.iter().any(|one| listener.is(*one));
        let is_missing = |one: &&Wanted<'_>| !there.iter().any(|(_, listener)| listener.is(**one));
        let leaving = there.iter().filter(|(_, listener)| !is_wanted(listener)).map(|(id, _)| *id);
        let leaving: Vec<PeerId> = leaving.collect();
        let missing: Vec<_> = wanted.iter().filter(is_missing).copied().collect();
        let failed = |address: &Address, error| StartError::Listen(address.clone(), error);
        let mut bound = Vec::new();
        for one in missing {
            bound.push((one.address, bind(one).map_err(|error| failed(one.address, error))?));
        }
        let mut added = Vec::new();
        for (address, (bound, listener)) in bound {
            match self.take_in(bound, listener) {
                Ok(id) => added.push(id),
                Err(error) => {
                    for id in added {
                        self.close(id);
                    }
                    return Err(failed(address, error));
                }
            }
        }
        for id in leaving {
            self.close_listener(id);
        }
        Ok(())
    }

    fn take_in(&mut self, bound: Bound, listener: Listener) -> io::Result<PeerId> {
        let id = self.peers.insert(Peer::Listener(listener));
        self.net.add_listener(bound, id).inspect_err(|_| self.close(id))?;
        Ok(id)
    }
}

impl<N: Net> Server<N> {
    /// Opens the files of the logs anew, for they may have been renamed.
    ///
    /// # Errors
    /// Where one cannot be opened; then it goes on where it was.
    pub fn reopen_logs(&mut self) -> io::Result<()> {
        self.log.reopen()
    }

    /// Goes by these terms from the next request on.
    pub(super) fn adopt(&mut self, mut terms: Terms) {
        self.metrics.enlist(&mut terms.site);
        terms.site.set_secret(self.net.chance());
        let Terms { limits, .. } = &terms;
        self.watch.allow(limits);
        // It never becomes smaller: what waits with a client must go into it.
        if self.rx.len() < 2 * limits.head_bytes {
            self.rx.resize(RECEIVE.max(2 * limits.head_bytes), 0);
        }
        self.budget.set_room(limits.spool_total);
        self.terms = Rc::new(terms);
        self.take_up_programs();
        self.count_connections();
    }

    /// The programs of the site are those that exchanges are given to from now on. What was kept
    /// for others goes, and nobody asks any more how they are.
    pub(super) fn take_up_programs(&mut self) {
        let terms = Rc::clone(&self.terms);
        let mut former = self.gateways.renew(terms.site.programs());
        former.extend(self.peers.iter().filter_map(as_monitor));
        for id in former {
            self.close(id);
        }
        self.watch_health(&terms.site);
    }

    /// Closes a listener. Whoever has connected to it before is taken in first: closing it would
    /// cut them off.
    pub(super) fn close_listener(&mut self, id: PeerId) {
        let now = self.net.now();
        let is_admin = self.is_admin_listener(id);
        for _ in 0..BACKLOG {
            if self.is_full(is_admin) {
                break;
            }
            let client = self.peers.next_id();
            match self.net.accept(id, client) {
                Ok(address) => self.admit(id, address, is_admin, now),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => break,
            }
        }
        self.close(id);
    }
}

/// Binds what is `wanted`. The listener is there at once: it removes the path of a socket at its
/// end.
fn bind(wanted: Wanted<'_>) -> io::Result<(Bound, Listener)> {
    let bound = wanted.bind()?;
    let listener = Listener::new(bound.address()?).wanted(wanted);
    Ok((bound, listener))
}

fn as_monitor((id, peer): (PeerId, &Peer)) -> Option<PeerId> {
    match peer {
        Peer::Gateway(Link { state: LinkState::Monitoring(_), .. }) => Some(id),
        Peer::Gateway(_) | Peer::Client(_) | Peer::Listener(_) => None,
    }
}
