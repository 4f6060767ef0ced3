//! The house: who lives in which slot of the slab, and where every client stands, at one moment.
//! One character for a slot is little enough to be sent ten times a second.

use super::super::super::client::Client;
use super::super::super::gateways::LinkState;
use super::super::super::peers::{Peer, PeerId, Peers};
use super::super::report::{STATES, state_of};
use crate::http::connection::State;

/// Slots that are shown; more are counted.
const SHOWN: usize = 20_000;

/// The nodes of the state graph: reading × writing.
pub(super) const NODES: usize = 5 * 4;

/// How clients in each of [`STATES`] are shown.
const CELLS: [u8; STATES.len()] = *b"hctpuszil";

/// Who lives where.
#[derive(Debug)]
pub(super) struct House {
    /// One character for each slot. `.`: nobody; `o`: a listener; `g`: a gateway at work, `k`: one
    /// that is kept; `a`: a client of the admin listener, or that listener; else a client by what
    /// it does, as in [`CELLS`].
    pub(super) cells: Vec<u8>,
    /// Slots behind those.
    pub(super) left_out: usize,
    /// Clients by node of the state graph.
    pub(super) nodes: [u32; NODES],
    /// Clients by what they do, as in [`STATES`].
    pub(super) doing: [u32; STATES.len()],
}

impl House {
    /// Looks at all of them. Clients of the admin listener are not counted.
    pub(super) fn look(peers: &Peers) -> House {
        let mut house =
            House { cells: Vec::new(), left_out: 0, nodes: [0; NODES], doing: [0; STATES.len()] };
        for (PeerId { key, .. }, peer) in peers.iter() {
            let cell = house.cell(peer);
            let slot = key as usize;
            if slot >= SHOWN {
                house.left_out += 1;
                continue;
            }
            house.cells.resize(slot, b'.');
            house.cells.push(cell);
        }
        house
    }

    fn cell(&mut self, peer: &Peer) -> u8 {
        match peer {
            Peer::Listener(listener) if listener.is_admin() => b'a',
            Peer::Listener(_) => b'o',
            Peer::Gateway(link) if matches!(link.state, LinkState::Idle) => b'k',
            Peer::Gateway(_) => b'g',
            Peer::Client(client) if client.is_admin => b'a',
            Peer::Client(client) => self.count(client),
        }
    }

    fn count(&mut self, client: &Client) -> u8 {
        let state = state_of(client);
        self.doing[state] += 1;
        self.nodes[node(client.connection.state())] += 1;
        CELLS[state]
    }
}

/// The number of a node: as if the graph were a table with a row for each state of reading.
pub(super) fn node(state: State) -> usize {
    state.reading as usize * 4 + state.writing as usize
}

#[cfg(test)]
mod tests {
    use super::super::super::super::timers::Millis;
    use super::*;

    #[test]
    fn each_slot_has_its_cell() {
        let mut peers = Peers::default();
        let client = || Client::new(None, Millis(0));
        let first = peers.insert(Peer::Client(client()));
        peers.insert(Peer::Client(client().admin()));
        let third = peers.insert(Peer::Client(client()));
        peers.insert(Peer::Client(client()));
        peers.client_mut(third).unwrap().connection.refuse();
        peers.remove(first).unwrap();
        let house = House::look(&peers);
        assert_eq!((&house.cells[..], house.left_out), (&b".ahh"[..], 0));
        assert_eq!((house.doing[0], house.nodes[0], house.nodes[4 * 4 + 1]), (2, 1, 1));
        assert_eq!(house.nodes.iter().sum::<u32>(), 2);
    }
}
