//! What the flight recorder has to say of an exchange, and of a turn that took too long.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::super::access_log::AccessLogOptions;
use super::super::client::Phase;
use super::super::recorder::{Act, Moment, Note};
use super::super::timers::Millis;
use super::{Folder, Replay, Says, server, taking_in};
use crate::http::connection::{Reads, State, Writes};
use crate::site::files::Files;
use crate::site::handler::{Request, Response};
use crate::site::router::Router;

const IDLE: State = State { reading: Reads::Idle, writing: Writes::Idle };
const OWED: State = State { reading: Reads::Done, writing: Writes::Owed };
const SENDING: State = State { reading: Reads::Done, writing: Writes::Content };

fn acts(moments: &[Moment]) -> Vec<Act> {
    moments.iter().map(|moment| moment.act).collect()
}

#[test]
fn an_exchange_is_read_taken_up_answered_and_written() {
    let folder = Folder::new();
    let request = "GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let net = Replay::new(request, Says::Once);
    let site = Router::new().files("/*", Files::new(folder.0.path()).unwrap());
    let mut server = taking_in(net, site, &AccessLogOptions::default());
    server.turn().unwrap();
    let recorder = server.recorder();
    let (client, listener) = (server.net.client.unwrap(), server.net.listener.unwrap());
    let all: Vec<Moment> = recorder.moments().since(0).map(|(_, &moment)| moment).collect();
    let exchange = [Act::Read, Act::Head, Act::Answered, Act::Wrote, Act::Served];
    let accepted = [&[Act::Accepted, Act::Served], &exchange[..], &exchange].concat();
    assert_eq!(acts(&all), accepted);
    assert!(all.iter().all(|moment| moment.peer == client || moment.act == Act::Served));
    assert_eq!(all[1].peer, listener);
    let Some(Note::From(Some(address))) = recorder.notes().get(all[0].amount) else {
        panic!("nobody knows where it came from");
    };
    assert_eq!(address.to_string(), "192.0.2.1:1");
    let [read, head, answered, wrote, turn_over] = all[7..] else { panic!("{all:?}") };
    assert_eq!(read.amount, request.len() as u64);
    let Some(Note::Line(line)) = recorder.notes().get(head.amount) else { panic!("no line") };
    assert_eq!(line.bytes(), b"GET /small.txt HTTP/1.1");
    assert_eq!((head.before, head.after), (IDLE, OWED));
    assert_eq!((answered.before, answered.after), (OWED, SENDING));
    assert_eq!((answered.amount, answered.detail), (1, 200), "the first route, and OK");
    assert_eq!((wrote.before, wrote.after), (SENDING, IDLE));
    assert!(wrote.amount > 100, "{wrote:?}");
    assert_eq!((turn_over.after, turn_over.detail), (IDLE, Phase::Idle as u16));
    let turns: Vec<_> = recorder.turns().since(0).map(|(_, &turn)| turn).collect();
    assert_eq!((turns[1].first, turns[1].ready, turns[1].served), (7, 1, 1));
    assert_eq!(turns.len(), 2);
}

#[test]
fn a_turn_that_took_too_long_is_kept_in_words() {
    let net = Replay::new("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let clock = net.now.clone();
    let handler = move |_: &Request<'_>| {
        clock.set(Millis(clock.get().0 + 70));
        Response::text("at last")
    };
    let mut server = server(net, Router::new().any("/slow", handler), &AccessLogOptions::default());
    let [stall] = server.recorder().stalls() else { panic!("{:?}", server.recorder().stalls()) };
    assert_eq!(stall.turn, 0);
    assert_eq!(
        stall.what,
        "70 ms: 70 ms of it to read and answer, 192.0.2.1:1 \"GET /slow HTTP/1.1\""
    );
    let took = |(_, moment): (u64, &Moment)| (moment.act == Act::Served).then_some(moment.amount);
    let longest = server.recorder().moments().since(0).filter_map(took).max();
    assert_eq!(longest.map(Duration::from_nanos), Some(Duration::from_millis(70)));
    server.turn().unwrap();
    assert_eq!(server.recorder().stalls().len(), 2);
}

#[test]
fn while_somebody_watches_each_moment_has_its_time() {
    let folder = Folder::new();
    fs::write(folder.0.path().join("b"), "b").unwrap();
    let net = Replay::new("GET /b HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let site = Router::new().files("/*", Files::new(folder.0.path()).unwrap());
    let mut server = server(net, site, &AccessLogOptions::default());
    for is_fine in [false, true] {
        server.recorder_mut().be_fine(is_fine);
        server.net.creeps = true;
        let first = server.recorder().moments().count();
        server.turn().unwrap();
        let moments = server.recorder().moments();
        let times: Vec<u64> = moments.since(first).map(|(_, moment)| moment.at_ns).collect();
        let are_different = times.is_sorted_by(|one, other| one < other);
        assert_eq!(are_different, is_fine, "{times:?}");
    }
}

#[test]
fn a_trace_is_json_of_known_events() {
    let folder = Folder::new();
    let net = Replay::new("GET /small.txt?xxx HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let site = Router::new().files("/*", Files::new(folder.0.path()).unwrap());
    let mut server = server(net, site, &AccessLogOptions::default());
    server.turn().unwrap();
    let trace: Value = serde_json::from_slice(&server.trace().into_bytes()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let count = |kind: &str| events.iter().filter(|event| event["cat"] == kind).count();
    assert_eq!((count("turn"), count("wait"), count("served"), count("request")), (2, 2, 3, 2));
    let request = events.iter().find(|event| event["cat"] == "request").unwrap();
    assert_eq!(request["name"], "GET /small.txt?xxx HTTP/1.1");
    assert_eq!(
        (&request["args"]["status"], &request["args"]["route"]),
        (&200.into(), &"/*".into())
    );
    for event in events {
        assert!(event["pid"] == 1 && event["tid"].is_u64(), "{event}");
        assert!(event["ph"] == "M" || event["ts"].is_f64(), "{event}");
    }
}

/// What two spans of a track are to each other is found out by sums of floating point numbers.
#[test]
fn the_spans_of_a_trace_follow_or_enclose_one_another() {
    let net = Replay::new("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Says::Once);
    let net = Replay { creeps: true, ..net };
    let mut server = server(net, Router::new(), &AccessLogOptions::default());
    for turn in 0..200 {
        server.net.crept.set(server.net.crept.get() + 997 * turn);
        server.turn().unwrap();
    }
    let trace: Value = serde_json::from_slice(&server.trace().into_bytes()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let on_loop = events.iter().filter(|event| event["ph"] == "X" && event["tid"] == 0);
    let number = |event: &Value, name: &str| event[name].as_f64().unwrap();
    let mut spans: Vec<(f64, f64)> = on_loop
        .map(|event| (number(event, "ts"), number(event, "ts") + number(event, "dur")))
        .collect();
    // The one that encloses comes first.
    spans.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1)));
    assert!(spans.len() > 500);
    let mut open: Vec<f64> = Vec::new();
    for (began, ended) in spans {
        while open.last().is_some_and(|&end| end <= began) {
            open.pop();
        }
        assert!(open.last().is_none_or(|&end| ended <= end), "{began} to {ended} in {open:?}");
        open.push(ended);
    }
}
