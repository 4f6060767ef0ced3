//! The slab of everything the loop talks to, and names that do not outlive their bearer.

use slab::Slab;

use super::client::Client;
use super::gateways::Link;
use super::listener::Listener;

/// Names one peer for as long as it lives. Its slot's next tenant has another name, so an event
/// that comes too late finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId {
    /// The slot.
    pub key: u32,
    /// Which tenant of the slot.
    pub generation: u32,
}

impl PeerId {
    /// Not a peer: a signal has come in.
    pub const SIGNAL: PeerId = PeerId { key: u32::MAX, generation: 0 };
    /// Not a peer: another thread has rung.
    pub const BELL: PeerId = PeerId { key: u32::MAX - 1, generation: 0 };
    /// The key of what is no peer any more: a process that was closed and has still to end.
    pub const DYING: u32 = u32::MAX - 2;
}

/// Whom the loop talks to.
#[derive(Debug)]
pub enum Peer {
    /// A socket that accepts.
    Listener(Listener),
    /// A client.
    Client(Client),
    /// A connection to a program, or a process.
    Gateway(Link),
}

impl Peer {
    /// Whether it is the admin listener, or one of its clients.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        match self {
            Peer::Listener(listener) => listener.is_admin(),
            Peer::Client(client) => client.is_admin,
            Peer::Gateway(_) => false,
        }
    }
}

// Nearly all slots hold idle clients: what they cost is what this costs.
const _: () = assert!(size_of::<Client>() <= 256);
const _: () = assert!(size_of::<Slot>() <= 200);

/// Fewer slots than that are not worth being given back.
const WORTH_GIVING_BACK: usize = 1024;

#[derive(Debug)]
struct Slot {
    generation: u32,
    /// It stands in the loop's queue.
    queued: bool,
    peer: Peer,
}

/// All peers, by name.
#[derive(Debug)]
pub struct Peers {
    slots: Slab<Slot>,
    generation: u32,
    /// Those that have not come to the admin listener.
    clients: usize,
    /// Those that have.
    admins: usize,
    /// More peers than that are no reason to look again for slots to be given back.
    shrunk_at: usize,
}

impl Default for Peers {
    fn default() -> Self {
        Peers { slots: Slab::new(), generation: 0, clients: 0, admins: 0, shrunk_at: usize::MAX }
    }
}

impl Peers {
    /// The name the next peer will have.
    #[must_use]
    pub fn next_id(&self) -> PeerId {
        let key = u32::try_from(self.slots.vacant_key()).expect("fewer peers than descriptors");
        PeerId { key, generation: self.generation }
    }

    /// Takes in a peer under [`next_id`](Self::next_id).
    pub fn insert(&mut self, peer: Peer) -> PeerId {
        let id = self.next_id();
        self.generation = self.generation.wrapping_add(1);
        if let Peer::Client(client) = &peer {
            *self.count(client.is_admin) += 1;
        }
        self.slots.insert(Slot { generation: id.generation, queued: false, peer });
        id
    }

    /// The peer of this name, if it still lives.
    pub fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        let slot = self.slots.get_mut(id.key as usize)?;
        (slot.generation == id.generation).then_some(&mut slot.peer)
    }

    /// The same, to be looked at.
    #[must_use]
    pub fn get(&self, id: PeerId) -> Option<&Peer> {
        let slot = self.slots.get(id.key as usize)?;
        (slot.generation == id.generation).then_some(&slot.peer)
    }

    /// The client of this name, if it is one and still lives.
    pub fn client_mut(&mut self, id: PeerId) -> Option<&mut Client> {
        match self.get_mut(id)? {
            Peer::Client(client) => Some(client),
            Peer::Listener(_) | Peer::Gateway(_) => None,
        }
    }

    /// Notes whether the peer stands in the loop's queue. Returns whether that is news.
    pub fn set_queued(&mut self, id: PeerId, queued: bool) -> bool {
        let slot = self.slots.get_mut(id.key as usize);
        slot.filter(|slot| slot.generation == id.generation)
            .is_some_and(|slot| std::mem::replace(&mut slot.queued, queued) != queued)
    }

    /// Whether it is the admin listener, or one of its clients.
    #[must_use]
    pub fn is_apart(&self, id: PeerId) -> bool {
        self.get(id).is_some_and(Peer::is_apart)
    }

    /// Whether the peer stands in the loop's queue.
    #[must_use]
    pub fn is_queued(&self, id: PeerId) -> bool {
        let slot = self.slots.get(id.key as usize);
        slot.is_some_and(|slot| slot.generation == id.generation && slot.queued)
    }

    /// The name of the slot's present tenant.
    #[must_use]
    pub fn tenant(&self, key: u32) -> Option<PeerId> {
        let slot = self.slots.get(key as usize)?;
        Some(PeerId { key, generation: slot.generation })
    }

    /// Lets the peer of this name go.
    pub fn remove(&mut self, id: PeerId) -> Option<Peer> {
        self.get_mut(id)?;
        let peer = self.slots.remove(id.key as usize).peer;
        if let Peer::Client(client) = &peer {
            *self.count(client.is_admin) -= 1;
        }
        Some(peer)
    }

    /// Gives back the slots behind the last peer once most of many are empty. Returns how many are
    /// left, if it has looked: which it does again when there are half as many peers.
    pub fn shrink(&mut self) -> Option<usize> {
        let (peers, slots) = (self.slots.len(), self.slots.capacity());
        if peers > slots / 2 {
            self.shrunk_at = usize::MAX;
        }
        if slots < WORTH_GIVING_BACK || peers > slots / 4 || peers >= self.shrunk_at {
            return None;
        }
        // Of few, each may be the one behind which all is empty.
        self.shrunk_at = if peers < 64 { peers } else { peers / 2 };
        self.slots.shrink_to_fit();
        Some(self.slots.capacity())
    }

    fn count(&mut self, is_admin: bool) -> &mut usize {
        if is_admin { &mut self.admins } else { &mut self.clients }
    }

    /// How many clients there are, but for those of the admin listener.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// How many clients of the admin listener there are.
    #[must_use]
    pub fn admins(&self) -> usize {
        self.admins
    }

    /// How many slots there are, and the bytes of one.
    #[must_use]
    pub fn slots(&self) -> (usize, usize) {
        (self.slots.capacity(), size_of::<Slot>())
    }

    /// All listeners, in the order they came.
    pub(super) fn listeners(&self) -> Vec<(PeerId, &Listener)> {
        let mut listeners = Vec::new();
        for (id, peer) in self.iter() {
            match peer {
                Peer::Listener(listener) => listeners.push((id, listener)),
                Peer::Client(_) | Peer::Gateway(_) => {}
            }
        }
        listeners.sort_unstable_by_key(|(id, _)| id.key);
        listeners
    }

    /// Everyone, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.slots.iter().map(|(key, slot)| {
            let key = u32::try_from(key).expect("fewer peers than descriptors");
            (PeerId { key, generation: slot.generation }, &slot.peer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::timers::Millis;

    #[test]
    fn a_name_dies_with_its_bearer() {
        let mut peers = Peers::default();
        let first = peers.insert(Peer::Client(Client::new(None, Millis(0))));
        assert!(peers.get_mut(first).is_some());
        assert!(peers.remove(first).is_some());
        let second = peers.insert(Peer::Client(Client::new(None, Millis(0))));
        assert_eq!(first.key, second.key);
        assert!(peers.get_mut(first).is_none());
        assert!(peers.remove(first).is_none());
        assert_eq!(peers.tenant(first.key), Some(second));
        assert_eq!(peers.clients(), 1);
    }

    #[test]
    fn empty_slots_are_given_back_behind_the_last_peer() {
        let mut peers = Peers::default();
        let all: Vec<PeerId> =
            (0..4096).map(|_| peers.insert(Peer::Client(Client::new(None, Millis(0))))).collect();
        assert_eq!(peers.shrink(), None);
        let mut looks = 0;
        for id in all.iter().filter(|id| id.key != 2000) {
            assert!(peers.remove(*id).is_some());
            looks += usize::from(peers.shrink().is_some_and(|slots| slots > 2000));
        }
        assert!((1..100).contains(&looks), "{looks} looks");
        assert!(peers.slots.capacity() < 2100, "{} slots", peers.slots.capacity());
        assert!(peers.get_mut(all[2000]).is_some());
        assert!(peers.remove(all[2000]).is_some());
        assert_eq!(peers.shrink(), Some(0));
        assert_eq!(peers.insert(Peer::Client(Client::new(None, Millis(0)))).key, 0);
    }
}
