//! The recording as JSON: all that the flight recorder still has, or what of it is about one turn
//! or one peer. What a reader makes of it is not known here.

use std::collections::BTreeSet;

use super::super::super::Server;
use super::super::super::client::Client;
use super::super::super::gateways::LinkState;
use super::super::super::net::Net;
use super::super::super::peers::{Peer, PeerId};
use super::super::super::recorder::{Act, Moment, Note, Stall, Turn, words};
use super::super::report::{STATES, state_of};
use super::json::{push, push_bytes, push_list, push_name, push_numbers, push_string, push_words};
use crate::http::connection::State;
use crate::site::rule::RouteNumber;

/// What of the recording is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All of it.
    All,
    /// The turn of this number, and what happened in it.
    Turn(u64),
    /// What happened to the peer in this slot: to the tenant that is named, or else to the last.
    Peer(u32, Option<u32>),
}

/// The phases, as [`Act::Served`] and [`Act::Late`] number them.
const PHASES: [&str; 8] =
    ["head", "content", "later", "gateway", "send", "pause", "idle", "linger"];

/// Moments that are told of at once: the newest of more.
const MOST: usize = 1 << 16;

const TURN: [&str; 7] =
    ["number", "woken_ns", "waited_ns", "worked_ns", "ready", "served", "first"];

const MOMENT: [&str; 10] =
    ["number", "turn", "at_ns", "peer", "act", "amount", "detail", "before", "after", "note"];

impl<N: Net> Server<N> {
    /// What is wanted of the recording. `None`: nothing is known of it, or no longer.
    pub(super) fn recording(&self, which: Which) -> Option<String> {
        let (turns, moments) = (self.recorder.turns(), self.recorder.moments());
        let end = moments.count();
        let (first, end) = match which {
            // Not more than can be told in a turn that is not long.
            Which::All => (moments.first().max(end.saturating_sub(MOST as u64)), end),
            Which::Peer(..) => (moments.first(), end),
            Which::Turn(number) => {
                let end = turns.get(number + 1).unwrap_or(self.recorder.turn()).first;
                (turns.get(number)?.first, end)
            }
        };
        let concerned = match which {
            Which::All | Which::Turn(_) => None,
            Which::Peer(key, generation) => Some(self.concerned(key, generation)?),
        };
        let is_wanted = |moment: &Moment| concerned.is_none_or(|id| id == moment.peer);
        let rows = moments.since(first).take_while(|&(number, _)| number < end);
        let mut rows: Vec<(u64, &Moment)> = rows.filter(|(_, moment)| is_wanted(moment)).collect();
        rows.drain(..rows.len().saturating_sub(MOST));
        let mut out = String::with_capacity(4096 + 64 * rows.len());
        self.push_heading(&mut out);
        push_name(&mut out, ',', "turns");
        self.push_turns(&mut out, which);
        push_name(&mut out, ',', "moments");
        self.push_moments(&mut out, &rows);
        push_name(&mut out, ',', "peers");
        let take_part: BTreeSet<PeerId> = match which {
            Which::All => BTreeSet::new(),
            Which::Turn(_) => rows.iter().map(|(_, moment)| moment.peer).collect(),
            Which::Peer(..) => concerned.into_iter().collect(),
        };
        let lives = self.peers.iter().filter(|&(id, peer)| {
            !peer.is_apart() && (which == Which::All || take_part.contains(&id))
        });
        push_list(&mut out, lives, push_peer);
        push_name(&mut out, ',', "stalls");
        push_list(&mut out, self.recorder.stalls(), push_stall);
        out.push_str("}\n");
        Some(out)
    }

    /// The tenant of this slot that is meant.
    fn concerned(&self, key: u32, generation: Option<u32>) -> Option<PeerId> {
        let moments = self.recorder.moments();
        let named = generation.map(|generation| PeerId { key, generation });
        let is_meant = |id: PeerId| id.key == key && named.is_none_or(|named| named == id);
        let lives = self.peers.iter().find(|&(id, peer)| is_meant(id) && !peer.is_apart());
        let last = || moments.since(0).filter(|(_, moment)| is_meant(moment.peer)).last();
        lives.map(|(id, _)| id).or_else(|| last().map(|(_, moment)| moment.peer))
    }

    fn push_heading(&self, out: &mut String) {
        push_name(out, '{', "version");
        push_string(out, env!("CARGO_PKG_VERSION"));
        push_name(out, ',', "unix_time");
        push(out, self.stamp.seconds());
        push_name(out, ',', "now_ns");
        push(out, self.net.nanos());
        push_name(out, ',', "loop_lag_ms");
        push(out, self.terms.limits.loop_lag.as_millis());
        push_name(out, ',', "acts");
        push_words(out, Act::ALL.map(Act::name));
        push_name(out, ',', "phases");
        push_words(out, PHASES);
        push_name(out, ',', "routes");
        self.push_routes(out);
    }

    /// All routes by their numbers: where the configuration says them is told of those that it
    /// still does.
    pub(super) fn push_routes(&self, out: &mut String) {
        push_list(out, self.metrics.routes.iter().zip(0..), |out, (route, number)| {
            push_name(out, '{', "host");
            push_string(out, &route.host);
            push_name(out, ',', "pattern");
            push_string(out, &route.pattern);
            push_name(out, ',', "place");
            match self.terms.site.place_of(RouteNumber(number)).filter(|_| number > 0) {
                Some(place) => push_string(out, &format!("{}:{}", place.file, place.line)),
                None => out.push_str("null"),
            }
            out.push('}');
        });
    }

    fn push_turns(&self, out: &mut String, which: Which) {
        let turns = self.recorder.turns();
        let (first, count) = match which {
            Which::All => (0, usize::MAX),
            Which::Turn(number) => (number, 1),
            Which::Peer(..) => (u64::MAX, 0),
        };
        push_name(out, '{', "columns");
        push_words(out, TURN);
        push_name(out, ',', "rows");
        push_list(out, turns.since(first).take(count), |out, (number, turn)| {
            let &Turn { woken_ns, waited_ns, worked_ns, first, ready, served } = turn;
            let (ready, served) = (ready.into(), served.into());
            push_numbers(out, [number, woken_ns, waited_ns, worked_ns, ready, served, first]);
        });
        out.push('}');
    }

    fn push_moments(&self, out: &mut String, rows: &[(u64, &Moment)]) {
        push_name(out, '{', "columns");
        push_words(out, MOMENT);
        push_name(out, ',', "rows");
        let mut turns = self.recorder.turns().since(0).peekable();
        let mut turn = None;
        push_list(out, rows, |out, &(number, moment)| {
            while let Some((number, _)) = turns.next_if(|(_, turn)| turn.first <= number) {
                turn = Some(number);
            }
            // What has happened since the last of them belongs to the one under way.
            let is_under_way = self.recorder.turn().first <= number;
            let turn = if is_under_way { Some(self.recorder.turns().count()) } else { turn };
            self.push_moment(out, (turn, number), moment);
        });
        out.push('}');
    }

    fn push_moment(&self, out: &mut String, (turn, number): (Option<u64>, u64), moment: &Moment) {
        let &Moment { at_ns, amount, peer, detail, act, before, after } = moment;
        push(out, format_args!("[{number},"));
        match turn {
            Some(turn) => push(out, turn),
            None => out.push_str("null"),
        }
        push(out, format_args!(",{at_ns},\"{}.{}\",", peer.key, peer.generation));
        push_string(out, act.name());
        push(out, format_args!(",{amount},{detail},"));
        push_state(out, before);
        out.push(',');
        push_state(out, after);
        out.push(',');
        match self.recorder.note_of(moment) {
            Some(Note::From(Some(address))) => push(out, format_args!("\"{address}\"")),
            Some(Note::From(None)) => out.push_str("\"unix:\""),
            Some(Note::Line(line)) => push_bytes(out, line.bytes()),
            None => out.push_str("null"),
        }
        out.push(']');
    }
}

/// A node of the state graph: `reading writing`.
fn push_state(out: &mut String, state: State) {
    let [reading, writing] = words::sides(state);
    push(out, format_args!("\"{reading} {writing}\""));
}

fn push_peer(out: &mut String, (id, peer): (PeerId, &Peer)) {
    push(out, format_args!("{{\"id\":\"{}.{}\"", id.key, id.generation));
    push_name(out, ',', "kind");
    match peer {
        Peer::Listener(listener) => {
            push_string(out, "listener");
            push_name(out, ',', "address");
            push_string(out, &listener.address().to_string());
        }
        Peer::Gateway(link) => {
            push_string(out, "gateway");
            push_name(out, ',', "serves");
            match &link.state {
                LinkState::Serving(client) => {
                    push(out, format_args!("\"{}.{}\"", client.key, client.generation));
                }
                LinkState::Idle | LinkState::Leaving(_) | LinkState::Monitoring(_) => {
                    out.push_str("null");
                }
            }
        }
        Peer::Client(client) => push_client(out, client),
    }
    out.push('}');
}

fn push_client(out: &mut String, client: &Client) {
    push_string(out, "client");
    push_name(out, ',', "address");
    match client.address {
        Some(address) => push(out, format_args!("\"{address}\"")),
        None => out.push_str("\"unix:\""),
    }
    push_name(out, ',', "doing");
    push_string(out, STATES[state_of(client)]);
    push_name(out, ',', "state");
    push_state(out, client.connection.state());
    push_name(out, ',', "requests");
    push(out, client.requests);
}

pub(super) fn push_stall(out: &mut String, stall: &Stall) {
    let Stall { turn, woken_ns, what } = stall;
    push(out, format_args!("{{\"turn\":{turn},\"woken_ns\":{woken_ns}"));
    push_name(out, ',', "what");
    push_string(out, what);
    out.push('}');
}
