//! Floor 2, the loop: one thread, one poll, a slab of peers. [`Server::turn`] waits, serves whoever
//! is ready, and lets go of whoever has taken too long.
//!
//! *Invariant:* peers do not know each other. Each is served with what the loop lends it and
//! returns its fate; the loop acts on it.

mod accepting;
pub mod access_log;
mod admin;
pub mod client;
mod complaints;
mod conversation;
mod desk;
mod dialing;
mod exchange;
mod gateway;
pub mod gateways;
mod health;
mod kept;
mod lag;
mod leaving;
pub mod limited;
pub mod limits;
pub mod listener;
mod metrics;
pub mod net;
pub mod peers;
mod process;
mod relay;
mod resolver;
mod sending;
mod serving;
#[cfg(test)]
mod sim;
pub mod spawner;
mod spool;
mod start;
#[cfg(test)]
mod tests;
pub mod timers;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::http::date::Stamp;
use crate::site::Site;
use access_log::AccessLog;
use admin::Report;
use client::{Fate, Work};
use desk::Desk;
use dialing::Wish;
use gateways::{Gateways, LinkState};
use lag::{Phase, Watch};
pub use limits::Limits;
pub use listener::Address;
use listener::Listener;
use metrics::Metrics;
use net::{Net, Ready, System, Wake};
use peers::{Peer, PeerId, Peers};
use serving::{Cx, GATHERED, Occasion, serve};
use spool::Budget;
pub use start::{ONLY_HERE, Options, StartError};
use timers::{Millis, Timers};

/// Bytes of the receive buffer, and at least twice what a head may have.
const RECEIVE: usize = 64 << 10;

/// The server: a loop over `N`, the network.
pub struct Server<N: Net = System> {
    net: N,
    peers: Peers,
    timers: Timers,
    /// Who could go on at once; each once.
    queue: VecDeque<PeerId>,
    /// Who was taken in during this turn.
    newcomers: Vec<PeerId>,
    site: Site,
    limits: Limits,
    log: AccessLog,
    desk: Desk,
    ready: Vec<Ready>,
    rx: Vec<u8>,
    tx: Vec<u8>,
    scratch: Vec<u8>,
    gx: Vec<u8>,
    blank: Work,
    gateways: Gateways,
    wishes: VecDeque<Wish>,
    /// Clients that were given kept connections in the turn before.
    untold: VecDeque<PeerId>,
    budget: Budget,
    metrics: Metrics,
    /// What clients of the admin listener do is counted apart, and shown nowhere.
    aside: Metrics,
    /// What the client of the admin listener that is served is shown.
    shown: Option<Box<Report>>,
    watch: Watch,
    /// Another number in each turn, and whenever more is received within one.
    moment: u64,
    /// What the time was when the loop last looked: at the end of its last turn.
    now: Millis,
    /// When the last wait was over, and the turn behind it, in microseconds.
    woken_us: u64,
    ended_us: u64,
    /// When the server was made, on the same clock.
    started: Millis,
    stamp: Stamp,
    stop: Arc<AtomicBool>,
    /// A watched signal has come in.
    signalled: bool,
    /// The server ends; at this time at the latest.
    drained_by: Option<Millis>,
}

/// Ends a server gracefully, from any thread.
#[derive(Clone)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    wake: Wake,
}

impl Stopper {
    /// Begins the graceful end of the server: see [`Server::drain`].
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        (self.wake)();
    }
}

impl Server {
    /// Binds all addresses and opens the log; nothing is served before [`run`](Self::run).
    ///
    /// # Errors
    /// Where one of them cannot be had.
    pub fn new(options: &Options, site: impl Into<Site>) -> Result<Self, StartError> {
        if let Some(address) = options.admin.as_ref().filter(|address| !address.is_local()) {
            return Err(StartError::PublicAdmin(address.clone()));
        }
        let log = AccessLog::open(&options.access_log).map_err(StartError::AccessLog)?;
        let net = System::new().map_err(StartError::Poll)?;
        let mut server = Server::over(net, site.into(), options.limits.clone(), log);
        for (address, listener) in options
            .listen
            .iter()
            .map(|address| (address, Listener::new as fn(Address) -> Listener))
            .chain(options.admin.iter().map(|address| (address, Listener::admin as _)))
        {
            server
                .listen(address, listener)
                .map_err(|error| StartError::Listen(address.clone(), error))?;
        }
        Ok(server)
    }

    fn listen(
        &mut self,
        address: &Address,
        listener: impl FnOnce(Address) -> Listener,
    ) -> io::Result<()> {
        let bound = address.bind()?;
        let id = self.peers.insert(Peer::Listener(listener(bound.address()?)));
        self.net.add_listener(bound, id)
    }

    /// From now on these signals come in by [`next_signal`](Self::next_signal).
    ///
    /// # Errors
    /// Those of sigaction(2) and `epoll_ctl(2)`.
    pub fn watch_signals(&mut self, numbers: &[i32]) -> io::Result<()> {
        self.net.watch_signals(numbers)
    }

    /// The next of the watched signals that has come in. Each wakes [`turn`](Self::turn).
    pub fn next_signal(&mut self) -> Option<i32> {
        if !self.signalled {
            return None; // Looking costs a call of the system, in every turn.
        }
        let signal = self.net.next_signal();
        self.signalled = signal.is_some();
        signal
    }
}

impl<N: Net> Server<N> {
    /// A server over another network than the system's, for tests and measurements. It listens
    /// nowhere yet.
    pub fn over(net: N, mut site: Site, mut limits: Limits, log: AccessLog) -> Self {
        // Whoever has no share of a turn would yield for ever.
        limits.turn_requests = limits.turn_requests.max(1);
        limits.turn_bytes = limits.turn_bytes.max(1);
        let stamp = Stamp::new(net.unix_time());
        let desk = Desk::new(net.waker());
        let mut metrics = Metrics::new();
        metrics.enlist(&mut site);
        let mut server = Server {
            peers: Peers::default(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            newcomers: Vec::new(),
            site,
            log,
            desk,
            ready: Vec::new(),
            rx: vec![0; RECEIVE.max(2 * limits.head_bytes)],
            tx: Vec::with_capacity(GATHERED),
            scratch: Vec::new(),
            gx: Vec::new(),
            blank: Work::default(),
            gateways: Gateways::default(),
            wishes: VecDeque::new(),
            untold: VecDeque::new(),
            budget: Budget::new(limits.spool_total),
            metrics,
            aside: Metrics::new(),
            shown: None,
            watch: Watch::new(limits.loop_lag),
            moment: 0,
            now: net.now(),
            woken_us: net.micros(),
            ended_us: net.micros(),
            started: net.now(),
            stamp,
            stop: Arc::default(),
            signalled: false,
            drained_by: None,
            limits,
            net,
        };
        server.watch_health();
        server
    }

    /// Listens at `address`, where the network has a listener by the name that is returned.
    pub fn add_listener(&mut self, address: Address) -> PeerId {
        self.peers.insert(Peer::Listener(Listener::new(address)))
    }

    /// Where the server listens, with the ports it was given; but for the admin listener.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<Address> {
        self.addresses(false)
    }

    /// Where the server shows how it is doing.
    #[must_use]
    pub fn admin_address(&self) -> Option<Address> {
        self.addresses(true).pop()
    }

    fn addresses(&self, is_admin: bool) -> Vec<Address> {
        let mut listeners: Vec<_> = self.peers.iter().filter_map(as_listener).collect();
        listeners.retain(|(_, listener)| listener.is_admin() == is_admin);
        listeners.sort_unstable_by_key(|(id, _)| id.key);
        listeners.into_iter().map(|(_, listener)| listener.address().clone()).collect()
    }

    /// Ends this server from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { stop: Arc::clone(&self.stop), wake: self.desk.wake() }
    }

    /// Serves until the server has been stopped and has drained.
    ///
    /// # Errors
    /// Those of [`turn`](Self::turn).
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_over() {
            self.turn()?;
        }
        Ok(())
    }

    /// Begins the graceful end: no new connections, idle clients are let go, exchanges under way
    /// are finished and their connections closed; [`Limits::drain_timeout`] is the most it takes.
    /// The admin listener goes on to the end, and says that the server is not ready.
    pub fn drain(&mut self) {
        if self.drained_by.is_some() {
            return;
        }
        let now = self.net.now();
        self.drained_by = Some(now + self.limits.drain_timeout);
        let all: Vec<PeerId> = self.peers.iter().map(|(id, _)| id).collect();
        for id in all {
            match self.peers.get_mut(id) {
                Some(Peer::Client(client)) if !client.is_idle() => {
                    client.connection.close_after_answer();
                }
                Some(Peer::Gateway(link)) if !matches!(link.state, LinkState::Idle) => {}
                Some(Peer::Listener(listener)) if listener.is_admin() => {}
                Some(Peer::Client(_) | Peer::Listener(_) | Peer::Gateway(_)) => self.close(id),
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

    /// How many clients there are, but for those of the admin listener.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.peers.clients()
    }

    /// One turn of the loop: wait, serve, let go.
    ///
    /// # Errors
    /// Only if the poll itself is broken; what happens to a single client never ends the loop.
    pub fn turn(&mut self) -> io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        let waited = self.net.wait(&mut ready, self.timeout(self.now));
        let now = self.begin_turn();
        self.moment += 1;
        self.look_at_clock();
        for event in ready.drain(..) {
            self.note(&event);
        }
        self.ready = ready;
        waited?;
        self.tell_kept(now);
        // Whoever yields from here on stands behind everyone who is ready now.
        for _ in 0..self.queue.len() {
            if let Some(id) = self.queue.pop_front() {
                self.peers.set_queued(id, false);
                self.serve(id, now, Occasion::Ready);
            }
        }
        while let Some(key) = self.timers.expired(now) {
            // Whoever has yielded is not late; its next turn sets its deadline anew.
            if let Some(id) = self.peers.tenant(key)
                && !self.peers.is_queued(id)
            {
                self.serve(id, now, Occasion::Due);
            }
        }
        // Last, for a listener that has rested takes clients in when its time has come.
        self.welcome(now);
        if self.log.due().is_some() {
            match self.drained_by {
                // Nobody may come back for what is held back.
                Some(_) => self.log.write(),
                None => self.log.write_if_due(now),
            }
            self.end_piece(Phase::Log);
        }
        self.shrink();
        self.end_turn();
        Ok(())
    }

    /// Gives back what a burst of peers has left behind.
    fn shrink(&mut self) {
        if let Some(slots) = self.peers.shrink() {
            self.timers.shrink(slots);
            self.net.shrink(slots);
            self.queue.shrink_to_fit();
        }
    }

    fn timeout(&self, now: Millis) -> Option<Duration> {
        if !self.queue.is_empty() || !self.untold.is_empty() {
            return Some(Duration::ZERO);
        }
        let timers = self.timers.timeout(now);
        let drained = self.drained_by.map(|by| by.since(now));
        let log = self.log.due().map(|due| due.since(now));
        timers.into_iter().chain(drained).chain(log).min()
    }

    /// Writes the date anew when its second is over.
    fn look_at_clock(&mut self) {
        let unix = self.net.unix_time();
        if unix != self.stamp.seconds() {
            self.stamp = Stamp::new(unix);
        }
    }

    /// Takes note of an event. Who is served when is decided once all events are in.
    fn note(&mut self, event: &Ready) {
        match event.peer {
            PeerId::SIGNAL => self.signalled = true,
            PeerId::BELL => {
                while let Some(id) = self.desk.next() {
                    self.enqueue(id);
                }
                if self.stop.load(Ordering::Acquire) {
                    self.drain();
                }
            }
            id => {
                let concerned = match self.peers.get_mut(id) {
                    Some(Peer::Client(client)) => {
                        client.note(event);
                        Some(id)
                    }
                    Some(Peer::Gateway(_)) => self.note_gateway(id, event),
                    Some(Peer::Listener(_)) => Some(id),
                    None => None,
                };
                if let Some(id) = concerned {
                    self.enqueue(id);
                }
            }
        }
    }

    /// Puts a peer in the queue, once however much it has to do.
    fn enqueue(&mut self, id: PeerId) {
        if self.peers.set_queued(id, true) {
            self.queue.push_back(id);
        }
    }

    /// Serves one peer and acts on its fate.
    fn serve(&mut self, id: PeerId, now: Millis, occasion: Occasion) {
        let fate = match self.peers.get_mut(id) {
            None => return,
            Some(Peer::Listener(listener)) if listener.is_resting(now) => return,
            Some(Peer::Listener(_)) => self.accept(id, now),
            Some(Peer::Gateway(_)) => self.serve_gateway(id, now, occasion),
            Some(Peer::Client(client)) => {
                if client.is_admin {
                    self.shown = Some(Box::new(self.report()));
                }
                let served =
                    catch_unwind(AssertUnwindSafe(|| self.serve_client(id, now, occasion)));
                served.unwrap_or_else(|_| {
                    log::error!("serving a client panicked; its connection is closed");
                    self.metrics.panics += 1;
                    self.tx.clear();
                    self.blank = Work::default();
                    self.close_gateways_of(id);
                    Fate::Close
                })
            }
        };
        self.end_piece_of(id);
        match fate {
            Fate::Wait => {}
            Fate::Yield => self.enqueue(id),
            Fate::Close => self.close(id),
            Fate::Reset => {
                self.net.abort(id);
                self.forget(id);
            }
        }
        if !self.wishes.is_empty() {
            self.grant_wishes(now);
            self.end_piece(Phase::Dial);
        }
    }

    fn serve_client(&mut self, id: PeerId, now: Millis, occasion: Occasion) -> Fate {
        let Some(Peer::Client(client)) = self.peers.get_mut(id) else { return Fate::Wait };
        self.watch.asked = 0..0;
        let mut cx = Cx {
            net: &mut self.net,
            site: &self.site,
            limits: &self.limits,
            log: &mut self.log,
            desk: &self.desk,
            rx: &mut self.rx,
            tx: &mut self.tx,
            scratch: &mut self.scratch,
            gx: &mut self.gx,
            wishes: &mut self.wishes,
            budget: &self.budget,
            metrics: if client.is_admin { &mut self.aside } else { &mut self.metrics },
            watch: &mut self.watch,
            report: self.shown.as_deref().filter(|_| client.is_admin),
            now,
            moment: &mut self.moment,
            stamp: &self.stamp,
            draining: self.drained_by.is_some(),
        };
        let (fate, due) = serve(id, client, &mut cx, &mut self.blank, occasion);
        self.timers.set(id.key, due);
        fate
    }
}

fn as_listener((id, peer): (PeerId, &Peer)) -> Option<(PeerId, &Listener)> {
    match peer {
        Peer::Listener(listener) => Some((id, listener)),
        Peer::Client(_) | Peer::Gateway(_) => None,
    }
}
