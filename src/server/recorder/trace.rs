//! The recording in the trace event format of Chrome, which Perfetto (<https://ui.perfetto.dev>)
//! and chrome://tracing open. The loop is one track, with its turns and what was done in them for
//! whom; each slot is another one, with the requests of the clients who live there.
//!
//! The format is described in "Trace Event Format" (Google, 2013): times are in microseconds.

use std::collections::BTreeSet;
use std::io;
use std::mem;

use serde_json::{Value, json};

use super::{Act, Exchange, Exchanges, Moment, Note, Turn, words};
use crate::server::Server;
use crate::server::net::Net;
use crate::site::body::{Produce, Produced};

/// Events that are written at once: some 10 KiB.
const PIECE: usize = 100;

/// Moments that it has: the newest of more, for all are copied in one turn.
const MOST: u64 = 1 << 16;

/// The track of the loop; those of clients are numbered from the next on.
const LOOP: u64 = 0;

/// A recording to be written, piece by piece.
#[derive(Debug)]
pub struct Trace {
    turns: Vec<(u64, Turn)>,
    moments: Vec<Moment>,
    /// The number of the first of them.
    first: u64,
    /// What belongs to the moment at the same place.
    notes: Vec<Option<Note>>,
    routes: Vec<String>,
    /// Those whose answer is not out yet.
    exchanges: Exchanges,
    /// Tracks that have their name.
    named: BTreeSet<u64>,
    turns_written: usize,
    moments_written: usize,
    has_begun: bool,
}

impl<N: Net> Server<N> {
    /// What is remembered, to be written as a trace.
    #[must_use]
    pub fn trace(&self) -> Trace {
        let recorder = &self.recorder;
        let first = recorder.moments.count().saturating_sub(MOST).max(recorder.moments.first());
        let moments: Vec<Moment> =
            recorder.moments.since(first).map(|(_, moment)| *moment).collect();
        let note = |moment: &Moment| recorder.note_of(moment).copied();
        Trace {
            turns: recorder
                .turns
                .since(recorder.turns.count().saturating_sub(MOST))
                .map(|(number, turn)| (number, *turn))
                .collect(),
            notes: moments.iter().map(note).collect(),
            moments,
            first,
            routes: self.metrics.routes.iter().map(|route| route.pattern.clone()).collect(),
            exchanges: Exchanges::default(),
            named: BTreeSet::new(),
            turns_written: 0,
            moments_written: 0,
            has_begun: false,
        }
    }
}

impl Produce for Trace {
    fn produce(&mut self, out: &mut Vec<u8>) -> io::Result<Produced> {
        if !mem::replace(&mut self.has_begun, true) {
            let head = json!({ "server": "oneloop", "version": env!("CARGO_PKG_VERSION") });
            out.extend_from_slice(
                format!("{{\"otherData\":{head},\n\"traceEvents\":[\n").as_bytes(),
            );
            push(out, &name("process_name", LOOP, "oneloop"), "");
            push(out, &name("thread_name", LOOP, "the loop"), ",\n");
        }
        for _ in 0..PIECE {
            if let Some((number, turn)) = self.turns.get(self.turns_written).copied() {
                self.turns_written += 1;
                push_turn(out, number, &turn);
            } else if let Some(moment) = self.moments.get(self.moments_written).copied() {
                let note = self.notes[self.moments_written];
                let number = self.first + self.moments_written as u64;
                self.moments_written += 1;
                self.push_moment(out, &moment, note);
                for exchange in self.exchanges.follow(number, &moment) {
                    self.push_exchange(out, &exchange);
                }
            } else {
                out.extend_from_slice(b"\n],\"displayTimeUnit\":\"ns\"}\n");
                return Ok(Produced::End);
            }
        }
        Ok(Produced::More)
    }
}

impl Trace {
    /// All of it at once.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while matches!(self.produce(&mut out), Ok(Produced::More)) {}
        out
    }

    fn push_moment(&mut self, out: &mut Vec<u8>, moment: &Moment, note: Option<Note>) {
        let who = words::peer(moment.peer);
        if moment.act == Act::Served {
            let began = moment.at_ns.saturating_sub(moment.amount);
            let event = span(LOOP, &who, "served", (began, moment.amount), &json!({}));
            push(out, &event, ",\n");
        } else {
            let track = u64::from(moment.peer.key) + 1;
            // One slot is one track, whoever lives there one after the other.
            if self.named.insert(track) {
                let slot = format!("slot {}", moment.peer.key);
                push(out, &name("thread_name", track, &slot), ",\n");
            }
            let what = words::what(moment, note);
            let args = json!({ "peer": who, "before": words::state(moment.before),
                               "after": words::state(moment.after) });
            let event = json!({ "name": what, "cat": "moment", "ph": "i", "s": "t", "pid": 1,
                                "tid": track, "ts": microseconds(moment.at_ns), "args": args });
            push(out, &event, ",\n");
        }
    }

    fn push_exchange(&self, out: &mut Vec<u8>, exchange: &Exchange) {
        let &Exchange { peer, head, began_ns, ended_ns, sent, answer, .. } = exchange;
        let at = usize::try_from(head - self.first).unwrap_or(usize::MAX);
        let note = self.notes.get(at).copied().flatten();
        let line = note.map_or_else(String::new, |note| words::note(&note));
        let (route, status) = answer.unwrap_or_default();
        let route = usize::try_from(route).ok().and_then(|route| self.routes.get(route));
        let route = route.filter(|_| answer.is_some()).map_or("", String::as_str);
        let who = words::peer(peer);
        let args = json!({ "peer": who, "status": status, "route": route, "bytes": sent });
        let time = (began_ns, ended_ns - began_ns);
        push(out, &span(u64::from(peer.key) + 1, &line, "request", time, &args), ",\n");
    }
}

fn push_turn(out: &mut Vec<u8>, number: u64, turn: &Turn) {
    let wait = (turn.woken_ns.saturating_sub(turn.waited_ns), turn.waited_ns);
    push(out, &span(LOOP, "wait", "wait", wait, &json!({})), ",\n");
    let args = json!({ "ready": turn.ready, "served": turn.served });
    let time = (turn.woken_ns, turn.worked_ns);
    push(out, &span(LOOP, &format!("turn {number}"), "turn", time, &args), ",\n");
}

fn push(out: &mut Vec<u8>, event: &Value, before: &str) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(event.to_string().as_bytes());
}

/// What has lasted from a time on, so many nanoseconds.
fn span(track: u64, name: &str, kind: &str, (began, lasted): (u64, u64), args: &Value) -> Value {
    let (begins, ends) = (microseconds(began), microseconds(began + lasted));
    json!({ "name": name, "cat": kind, "ph": "X", "pid": 1, "tid": track,
            "ts": begins, "dur": ends - begins, "args": args })
}

/// The name of a track, or of all of them.
fn name(of: &str, track: u64, name: &str) -> Value {
    json!({ "name": of, "ph": "M", "pid": 1, "tid": track, "args": { "name": name } })
}

/// In whole 1024ths: sums of those are exact, so that where one span ends and the next begins is
/// the same time for whoever adds up.
#[allow(clippy::cast_precision_loss, reason = "1024ths of a microsecond of a hundred days fit")]
fn microseconds(nanoseconds: u64) -> f64 {
    let (whole, rest) = (nanoseconds / 1000, nanoseconds % 1000);
    (whole * 1024 + (rest * 1024 + 500) / 1000) as f64 / 1024.0
}
