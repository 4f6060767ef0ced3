//! What somebody who watches is told ten times a second: what has happened since the last time, and
//! where everybody stands. What was too much to be told is counted.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::super::Server;
use super::super::super::net::Net;
use super::super::super::recorder::{Exchange, Exchanges, Moment, Note, Recorder, Ring};
use super::super::report::STATES;
use super::house::{House, NODES, node};
use super::json::{push, push_bytes, push_list, push_name, push_numbers, push_string, push_words};
use super::recording::push_stall;

/// Turns that one event tells of: the newest.
const TURNS: u64 = 200;

/// Moments that one event looks through for what has moved, from the newest back.
const MOMENTS: u64 = 4_096;

/// Moments that one event follows exchanges through: what a loop that has nothing else to do makes
/// in a tenth of a second.
const FOLDED: u64 = 1 << 16;

/// Exchanges that one event tells of: those that ended last.
const LATEST: usize = 12;

/// How far somebody who watches has been told.
#[derive(Debug, Default)]
pub(in super::super::super) struct Cursor {
    /// The number of the next turn.
    turn: u64,
    /// That of the next moment.
    moment: u64,
    /// That of the turn behind the last long one.
    stall: u64,
    /// The number of the site whose greeting it has had, counted from 1 on.
    site: u64,
    /// Those that are under way, and those that ended last, the newest first.
    exchanges: Exchanges,
    latest: VecDeque<Exchange>,
}

impl Cursor {
    /// Goes on by the moments that have happened since.
    fn follow(&mut self, moments: &Ring<Moment>) {
        let from = self.moment.max(moments.count().saturating_sub(FOLDED)).max(moments.first());
        if from > self.moment {
            // What was left out may have been the end of any.
            self.exchanges = Exchanges::default();
        }
        for (number, moment) in moments.since(from) {
            for exchange in self.exchanges.follow(number, moment) {
                self.latest.push_front(exchange);
            }
            self.latest.truncate(LATEST);
        }
    }
}

/// A name of this process that no other has, so that whoever watches sees that it is a new one.
fn process() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{}.{}", std::process::id(), since.as_nanos())
    })
}

impl<N: Net> Server<N> {
    /// The next event for whoever has come so far.
    pub(super) fn event(&self, cursor: &mut Cursor) -> String {
        let (turns, moments) = (self.recorder.turns(), self.recorder.moments());
        let stalls = self.recorder.stalls();
        let site = self.metrics.sites;
        let mut out = String::with_capacity(16 << 10);
        out.push_str("data: ");
        push_name(&mut out, '{', "now");
        push(&mut out, self.net.nanos());
        if cursor.site != site {
            self.push_greeting(&mut out);
        }
        push_turns(&mut out, &self.recorder, cursor.turn);
        push_name(&mut out, ',', "stalls");
        push_list(&mut out, stalls.iter().filter(|one| one.turn >= cursor.stall), push_stall);
        push_steps(&mut out, &self.recorder, cursor.moment);
        self.push_house(&mut out, cursor.moment);
        push_name(&mut out, ',', "latest");
        cursor.follow(moments);
        push_list(&mut out, &cursor.latest, |out, exchange| {
            push_exchange(out, &self.recorder, exchange);
        });
        self.push_counters(&mut out);
        push_name(&mut out, ',', "held");
        push(&mut out, self.holding());
        out.push_str("}\n\n");
        if let Some(last) = stalls.last() {
            cursor.stall = last.turn + 1;
        }
        (cursor.turn, cursor.moment, cursor.site) = (turns.count(), moments.count(), site);
        out
    }

    /// What stays as it is until the configuration is read again.
    fn push_greeting(&self, out: &mut String) {
        push_name(out, ',', "version");
        push_string(out, env!("CARGO_PKG_VERSION"));
        push_name(out, ',', "since");
        push_string(out, process());
        push_name(out, ',', "loop_lag_ms");
        push(out, self.terms.limits.loop_lag.as_millis());
        push_name(out, ',', "most");
        push(out, self.terms.limits.connections);
        push_name(out, ',', "doings");
        push_words(out, STATES);
        push_name(out, ',', "routes");
        self.push_routes(out);
    }

    /// Who lives where; in capitals where something has happened from this moment on.
    fn push_house(&self, out: &mut String, from: u64) {
        let House { mut cells, left_out, nodes, doing } = House::look(&self.peers);
        for (_, moment) in newest(self.recorder.moments(), from) {
            if let Some(cell) = cells.get_mut(moment.peer.key as usize) {
                cell.make_ascii_uppercase();
            }
        }
        push_name(out, ',', "nodes");
        push_numbers(out, nodes);
        push_name(out, ',', "doing");
        push_numbers(out, doing);
        push_name(out, ',', "house");
        push_bytes(out, &cells);
        push_name(out, ',', "more");
        push(out, left_out);
    }

    fn push_counters(&self, out: &mut String) {
        let metrics = &self.metrics;
        let counters = [
            ("accepted", metrics.accepted),
            ("requests", metrics.requests),
            ("received", metrics.received),
            ("sent", metrics.sent),
            ("unanswered", metrics.unanswered),
            ("cut", metrics.cut),
            ("watching", self.watchers() as u64),
        ];
        let mut before = '{';
        push_name(out, ',', "counters");
        for (name, count) in counters {
            push_name(out, before, name);
            push(out, count);
            before = ',';
        }
        out.push('}');
    }
}

/// The turns from this number on.
fn push_turns(out: &mut String, recorder: &Recorder, from: u64) {
    let turns = recorder.turns();
    let first = from.max(turns.count().saturating_sub(TURNS)).max(turns.first());
    push_name(out, ',', "left_out");
    // Who comes only now has missed nothing.
    push(out, if from == 0 { 0 } else { first - from });
    push_name(out, ',', "turns");
    push_list(out, turns.since(first), |out, (number, turn)| {
        let (ready, served) = (turn.ready.into(), turn.served.into());
        let (waited_ns, worked_ns) = (turn.waited_ns, turn.worked_ns);
        push_numbers(out, [number, turn.woken_ns, waited_ns, worked_ns, ready, served]);
    });
}

/// The moments from this number on, as far as they are looked through.
fn newest(moments: &Ring<Moment>, from: u64) -> impl Iterator<Item = (u64, &Moment)> {
    moments.since(from.max(moments.count().saturating_sub(MOMENTS)))
}

/// How many have gone from which node of the state graph to which.
fn push_steps(out: &mut String, recorder: &Recorder, from: u64) {
    let mut steps = [[0_u32; NODES]; NODES];
    for (_, moment) in newest(recorder.moments(), from) {
        steps[node(moment.before)][node(moment.after)] += 1;
    }
    let taken = (0..NODES * NODES).filter_map(|at| {
        let (before, after) = (at / NODES, at % NODES);
        let count = steps[before][after];
        (before != after && count > 0).then_some([before, after, count as usize])
    });
    push_name(out, ',', "steps");
    push_list(out, taken, push_numbers);
}

fn push_exchange(out: &mut String, recorder: &Recorder, exchange: &Exchange) {
    let &Exchange { peer, head, line, began_ns, ended_ns, sent, answer, .. } = exchange;
    push(out, format_args!("[\"{}.{}\",{head},", peer.key, peer.generation));
    match recorder.notes().get(line) {
        Some(Note::Line(line)) => push_bytes(out, line.bytes()),
        Some(Note::From(_)) | None => out.push_str("null"),
    }
    let (route, status) = answer.unwrap_or_default();
    push(out, format_args!(",{began_ns},{},{route},{status},{sent}]", ended_ns - began_ns));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection::{State, Writes};
    use crate::server::limits::Limits;
    use crate::server::peers::PeerId;
    use crate::server::recorder::Act;

    #[test]
    fn a_slow_request_is_told_of_though_much_happens_meanwhile() {
        let mut recorder = Recorder::new(&Limits::default(), 0);
        let (slow, other) = (PeerId { key: 1, generation: 1 }, PeerId { key: 2, generation: 1 });
        let owed = State { writing: Writes::Owed, ..State::default() };
        recorder.add(slow, Act::Head, owed, (0, 0));
        let mut cursor = Cursor::default();
        cursor.follow(recorder.moments());
        for _ in 0..2 * MOMENTS - 10 {
            recorder.add(other, Act::Read, State::default(), (1, 0));
        }
        recorder.add(slow, Act::Answered, owed, (1, 200));
        recorder.add(slow, Act::Closed, owed, (0, 0));
        assert!(recorder.moments().first() <= 1, "it is not forgotten");
        cursor.follow(recorder.moments());
        assert_eq!(cursor.latest.front().and_then(|one| one.answer), Some((1, 200)));
    }
}
