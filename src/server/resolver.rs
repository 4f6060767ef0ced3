//! Looks names up, on threads of its own: the system's resolver waits for other machines, and the
//! loop must not. What is done with the addresses is not known here.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::net::Wake;
use super::peers::PeerId;
use super::timers::Millis;

/// How many names are looked up at once, each by a thread: one whose name server does not answer
/// keeps no other waiting.
const AT_ONCE: usize = 4;

/// How many names are known at once. They come from the configuration; above this, the least that
/// holds is forgotten.
const NAMES: usize = 256;

/// How many may wait for one name.
const WAITING: usize = 4096;

/// How many addresses of one name are tried.
const ADDRESSES: usize = 16;

/// How long an address counts. The system's resolver does not say how long it may.
const GOOD: Duration = Duration::from_secs(30);

/// How long a failure counts: so short that a name that is there now is found soon.
const BAD: Duration = Duration::from_secs(2);

/// What the system says of a name. Ports do not count.
type Ask = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// The names, and what is known of them.
pub(super) struct Resolver {
    names: HashMap<String, Name>,
    /// Names that no thread has been had for yet.
    queue: VecDeque<String>,
    running: usize,
    sender: Sender<Found>,
    receiver: Receiver<Found>,
    /// Whom to tell what, one after the other.
    news: VecDeque<(PeerId, io::Result<Vec<SocketAddr>>)>,
    ask: Ask,
    wake: Wake,
}

struct Found {
    name: String,
    addresses: io::Result<Vec<SocketAddr>>,
}

#[derive(Default)]
struct Name {
    known: Option<Known>,
    /// Who waits for it to be looked up.
    waiting: Vec<PeerId>,
    under_way: bool,
}

struct Known {
    until: Millis,
    /// Those that answered last, first; or what is wrong.
    addresses: Result<Vec<SocketAddr>, (io::ErrorKind, String)>,
}

impl Resolver {
    /// A resolver that calls `wake` after each lookup.
    pub(super) fn new(wake: Wake) -> Self {
        Resolver::asking(system, wake)
    }

    fn asking(ask: Ask, wake: Wake) -> Self {
        let (sender, receiver) = channel();
        Resolver {
            names: HashMap::new(),
            queue: VecDeque::new(),
            running: 0,
            sender,
            receiver,
            news: VecDeque::new(),
            ask,
            wake,
        }
    }

    /// The addresses of `name`, if they are known. If they are not, `peer` is told of by
    /// [`next`](Self::next).
    ///
    /// # Errors
    /// What the system has said of the name a moment ago; `WouldBlock` where too many wait.
    pub(super) fn look_up(
        &mut self,
        name: &str,
        peer: PeerId,
        now: Millis,
    ) -> io::Result<Option<Vec<SocketAddr>>> {
        if !self.names.contains_key(name) {
            self.make_room()?;
        }
        let entry = self.names.entry(name.to_owned()).or_default();
        if let Some(known) = entry.known.as_ref().filter(|known| now < known.until) {
            return known.told(name).map(Some);
        }
        if entry.waiting.len() >= WAITING {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        entry.waiting.push(peer);
        if !std::mem::replace(&mut entry.under_way, true) {
            self.queue.push_back(name.to_owned());
            self.work_off(now);
        }
        Ok(None)
    }

    /// Who has waited for a name, and what its addresses are.
    pub(super) fn next(&mut self, now: Millis) -> Option<(PeerId, io::Result<Vec<SocketAddr>>)> {
        while let Ok(found) = self.receiver.try_recv() {
            self.running -= 1;
            self.settle(found, now);
            self.work_off(now);
        }
        self.news.pop_front()
    }

    /// Nobody has answered at `addresses`: the next who asks for `name` shall try others first.
    pub(super) fn demote(&mut self, name: &str, failed: &[SocketAddr]) {
        if let Some(Known { addresses: Ok(addresses), .. }) =
            self.names.get_mut(name).and_then(|entry| entry.known.as_mut())
        {
            let has_failed = |address: &SocketAddr| failed.iter().any(|f| f.ip() == address.ip());
            // Stable, so the others keep their order.
            addresses.sort_by_key(has_failed);
        }
    }

    /// Starts looking up as many names as may be looked up at once.
    fn work_off(&mut self, now: Millis) {
        while self.running < AT_ONCE
            && let Some(name) = self.queue.pop_front()
        {
            let (ask, sender, wake) = (self.ask, self.sender.clone(), Wake::clone(&self.wake));
            let asked = name.clone();
            let work = move || {
                let addresses = ask(&asked);
                // It fails only after the loop is gone, and then nobody waits.
                if sender.send(Found { name: asked, addresses }).is_ok() {
                    wake();
                }
            };
            match thread::Builder::new().name("oneloop-resolve".to_owned()).spawn(work) {
                Ok(_) => self.running += 1,
                Err(error) => {
                    self.settle(Found { name, addresses: Err(error) }, now);
                    // Nobody else does it: whoever waits is told in the next turn.
                    (self.wake)();
                }
            }
        }
    }

    fn settle(&mut self, found: Found, now: Millis) {
        let Found { name, addresses } = found;
        let Some(entry) = self.names.get_mut(&name) else { return };
        let lasts = if addresses.is_ok() { GOOD } else { BAD };
        let mut addresses = addresses.map_err(|error| (error.kind(), error.to_string()));
        if let (Err((_, what)), Some(Known { addresses: Ok(old), .. })) = (&addresses, &entry.known)
        {
            // Who was there is there, most likely, though nobody can say so at the moment.
            log::warn!("cannot look up {name} again, its last addresses are kept: {what}");
            addresses = Ok(old.clone());
        }
        let known = Known { until: now + lasts, addresses };
        let waiting = entry.waiting.drain(..);
        self.news.extend(waiting.map(|peer| (peer, known.told(&name))));
        entry.known = Some(known);
        entry.under_way = false;
    }

    /// Makes room for one more name.
    ///
    /// # Errors
    /// `WouldBlock` where all of them are being looked up.
    fn make_room(&mut self) -> io::Result<()> {
        if self.names.len() < NAMES {
            return Ok(());
        }
        let settled = self.names.iter().filter(|(_, entry)| !entry.under_way);
        let until = |entry: &Name| entry.known.as_ref().map(|known| known.until);
        let least = settled.min_by_key(|(_, entry)| until(entry)).map(|(name, _)| name.clone());
        let least = least.ok_or(io::ErrorKind::WouldBlock)?;
        self.names.remove(&least);
        Ok(())
    }
}

impl Known {
    fn told(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        self.addresses
            .clone()
            .map_err(|(kind, what)| io::Error::new(kind, format!("cannot look up {name}: {what}")))
    }
}

/// Asks the system's resolver (`getaddrinfo(3)`).
fn system(name: &str) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in (name, 0).to_socket_addrs()? {
        if !addresses.contains(&address) && addresses.len() < ADDRESSES {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    }
    Ok(addresses)
}
