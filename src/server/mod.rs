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
pub mod confinement;
mod conversation;
mod desk;
pub mod diagnostic_log;
mod dialing;
mod draining;
mod exchange;
mod gateway;
pub mod gateways;
pub mod handing_over;
mod health;
mod introducing;
mod kept;
mod lag;
mod leaving;
pub mod limited;
pub mod limits;
pub mod listener;
mod memory;
mod metrics;
pub mod net;
pub mod opening;
pub mod outlet;
mod overload;
pub mod peers;
mod process;
pub mod recorder;
mod relay;
mod reload;
pub mod replay;
mod resolver;
mod sending;
mod serving;
pub mod shares;
#[cfg(test)]
mod sim;
pub mod spawner;
mod spool;
mod start;
mod stepping;
mod telling;
mod terms;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod trust;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::http::date::Stamp;
use crate::site::Site;
use access_log::AccessLog;
use admin::Shown;
use client::{Fate, Work};
use desk::Desk;
pub use desk::Stopper;
use dialing::Wish;
use gateways::Gateways;
use lag::{Phase, Watch};
pub use limits::Limits;
pub use listener::Address;
use listener::Listener;
use memory::Memory;
use metrics::Metrics;
use net::{Net, Ready, System, Wake};
use peers::{Peer, PeerId, Peers};
use recorder::{Act, Recorder};
use serving::{Cx, GATHERED, Occasion, serve};
use shares::Shares;
use spool::Budget;
pub use start::{ONLY_HERE, Options, StartError};
use stepping::Stepping;
use terms::Terms;
use timers::{Millis, Timers};
pub use trust::Trust;

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
    /// What holds for exchanges that begin.
    terms: Rc<Terms>,
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
    /// What the client of the admin listener is shown that is served and has asked.
    shown: Option<Shown>,
    /// The diagnostic log, to be shown how it is.
    diagnostic_log: Option<&'static diagnostic_log::DiagnosticLog>,
    watch: Watch,
    recorder: Recorder,
    stepping: Stepping,
    memory: Memory,
    shares: Shares,
    /// Another number in each turn, and whenever more is received within one.
    moment: u64,
    /// What the time was when the loop last looked: at the end of its last turn.
    now: Millis,
    /// When the server was made, on the same clock.
    started: Millis,
    stamp: Stamp,
    stop: Arc<AtomicBool>,
    /// A watched signal has come in.
    signalled: bool,
    /// The server ends; at this time at the latest.
    drained_by: Option<Millis>,
    /// It does not wait for idle clients.
    lets_go: bool,
}

impl Server {
    /// From now on these signals come in by [`next_signal`](Self::next_signal).
    ///
    /// # Errors
    /// Those of sigaction(2) and `epoll_ctl(2)`.
    pub fn watch_signals(&mut self, numbers: &[i32]) -> io::Result<()> {
        self.net.watch_signals(numbers)
    }

    /// From now on the loop waits for the disk itself, and everybody with it, where a file is not
    /// in memory. It is there to be compared with a loop that has threads to read ahead.
    pub fn wait_for_disk(&mut self) {
        self.net.wait_for_disk();
    }
}

impl<N: Net> Server<N> {
    /// A server over another network than the system's, for tests and measurements. It listens
    /// nowhere yet.
    pub fn over(net: N, site: Site, limits: Limits, log: AccessLog) -> Self {
        Server::by_terms(net, Terms::new(site, limits, Trust::default()), log)
    }

    fn by_terms(mut net: N, mut terms: Terms, log: AccessLog) -> Self {
        let mut metrics = Metrics::new();
        metrics.enlist(&mut terms.site);
        terms.site.set_secret(net.chance());
        let shares = Shares::new(net.chance());
        let terms = Rc::new(terms);
        let limits = &terms.limits;
        let stamp = Stamp::new(net.unix_time());
        let desk = Desk::new(net.waker());
        let mut server = Server {
            peers: Peers::default(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            newcomers: Vec::new(),
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
            diagnostic_log: None,
            watch: Watch::new(limits, net.nanos()),
            recorder: Recorder::new(limits, net.nanos()),
            stepping: Stepping::default(),
            memory: Memory::default(),
            shares,
            moment: 0,
            now: net.now(),
            started: net.now(),
            stamp,
            stop: Arc::default(),
            signalled: false,
            drained_by: None,
            lets_go: false,
            terms,
            net,
        };
        server.take_up_programs();
        server
    }

    /// Listens at `address`, where the network has a listener by the name that is returned.
    pub fn add_listener(&mut self, address: Address) -> PeerId {
        self.peers.insert(Peer::Listener(Listener::new(address)))
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

    /// Has the admin listener show how this log is doing, too.
    pub fn show_log(&mut self, log: &'static diagnostic_log::DiagnosticLog) {
        self.diagnostic_log = Some(log);
    }

    /// The time when the last turn ended.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Ends a wait of the loop, from another thread.
    #[must_use]
    pub fn waker(&self) -> Wake {
        self.desk.wake()
    }

    /// Ends this server from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper::new(Arc::clone(&self.stop), self.desk.wake())
    }

    /// Serves until the server has been stopped and has drained.
    ///
    /// # Errors
    /// Those of [`turn`](Self::turn).
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_over() {
            self.turn()?;
        }
        self.log.flush();
        Ok(())
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
        self.turn_within(None)
    }

    /// The same, but waits no longer than `most`, where that is said.
    ///
    /// # Errors
    /// As for [`turn`](Self::turn).
    pub fn turn_within(&mut self, most: Option<Duration>) -> io::Result<()> {
        if self.stepping.is_on() {
            return self.turn_held(most);
        }
        let mut ready = std::mem::take(&mut self.ready);
        let timeout = match (self.timeout(self.now), most) {
            (Some(timeout), Some(most)) => Some(timeout.min(most)),
            (timeout, most) => timeout.or(most),
        };
        let waited = self.net.wait(&mut ready, timeout);
        let now = self.begin_turn(ready.len());
        self.hear(ready);
        waited?;
        self.tell_kept(now);
        // Whoever yields from here on stands behind everyone who is ready now.
        self.work(now, self.queue.len());
        self.obey();
        Ok(())
    }

    /// What is done in a turn: the first `ready` of the queue are served, then those whose deadline
    /// has come, and those who have come in meanwhile.
    fn work(&mut self, now: Millis, ready: usize) {
        for _ in 0..ready {
            if let Some(id) = self.queue.pop_front() {
                self.peers.set_queued(id, false);
                self.serve(id, now, Occasion::Ready);
            }
        }
        while let Some(id) = self.next_due(now) {
            self.serve(id, now, Occasion::Due);
        }
        // Last, for a listener that has rested takes clients in when its time has come.
        self.welcome(now);
        self.heed_memory(now);
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
    }

    /// Whose deadline has come, one after the other.
    fn next_due(&mut self, now: Millis) -> Option<PeerId> {
        loop {
            let key = self.timers.expired(now)?;
            // Whoever has yielded is not late; its next turn sets its deadline anew.
            let late = self.peers.tenant(key).filter(|&id| !self.peers.is_queued(id));
            if late.is_some() {
                return late;
            }
        }
    }

    fn timeout(&self, now: Millis) -> Option<Duration> {
        let is_idle = self.queue.is_empty() && self.untold.is_empty();
        if !(is_idle && self.newcomers.is_empty() && self.stepping.is_unasked()) {
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

    /// Takes note of all that a wait has told.
    fn hear(&mut self, mut ready: Vec<Ready>) {
        self.moment += 1;
        self.look_at_clock();
        for event in ready.drain(..) {
            self.note(&event);
        }
        self.ready = ready;
    }

    /// Takes note of an event. Who is served when is decided once all events are in.
    fn note(&mut self, event: &Ready) {
        match event.peer {
            PeerId::SIGNAL => self.signalled = true,
            PeerId::BELL => {
                while let Some(id) = self.net.heard(|| self.desk.next()) {
                    self.enqueue(id);
                }
                let is_stopped = || self.stop.load(Ordering::Acquire).then_some(PeerId::BELL);
                if self.net.heard(is_stopped).is_some() {
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
                let is_admin = client.is_admin;
                let served = catch_unwind(AssertUnwindSafe(|| {
                    let fate = self.serve_client(id, now, occasion);
                    let shown = if is_admin { self.answer_admin(id, now) } else { None };
                    shown.unwrap_or(fate)
                }));
                served.unwrap_or_else(|_| {
                    log::error!("serving a client panicked; its connection is closed");
                    self.metrics.panics += 1;
                    self.tx.clear();
                    self.blank = Work::default();
                    self.shown = None;
                    self.close_gateways_of(id);
                    Fate::Close
                })
            }
        };
        self.end_piece_of(id, fate == Fate::Yield);
        match fate {
            Fate::Wait => {}
            Fate::Yield => self.enqueue(id),
            Fate::Close => self.close(id),
            Fate::Reset => {
                self.record(id, Act::Reset, (0, 0));
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
        let own = client.work.as_mut().and_then(|work| work.terms.take());
        let mut cx = Cx {
            net: &mut self.net,
            terms: own.as_ref().unwrap_or(&self.terms),
            current: &self.terms,
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
            recorder: &mut self.recorder,
            shares: &mut self.shares,
            shown: &mut self.shown,
            now,
            moment: &mut self.moment,
            stamp: &self.stamp,
            draining: self.drained_by.is_some(),
        };
        let (fate, due) = serve(id, client, &mut cx, &mut self.blank, occasion);
        self.timers.set(id.key, due);
        // Where the server ends, nobody waits for what an idle client may say.
        // The admin listener goes on: whoever comes there only now is heard.
        let is_new = client.is_admin && client.requests == 0;
        let is_let_go = self.lets_go && fate == Fate::Wait && client.is_idle() && !is_new;
        if is_let_go { Fate::Close } else { fate }
    }
}
