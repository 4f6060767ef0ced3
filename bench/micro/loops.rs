//! Pieces of the loop: deadlines, and whole exchanges over a network that is not there.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use oneloop::http::connection::{Reads, State, Writes};
use oneloop::server::Limits;
use oneloop::server::peers::PeerId;
use oneloop::server::recorder::{Act, Recorder};
use oneloop::server::timers::{Millis, Timers};

use super::null::Served;
use super::rows::{DEPTH, FILE, Work, content, request};

/// Clients that each have a deadline.
const CLIENTS: u32 = 10_000;

/// Between two of them, or two requests: what the clock goes on by with each operation.
const TICK: Duration = Duration::from_millis(1);

/// A deadline that comes, and is set anew for when all others have come.
pub(crate) fn expire() -> Work {
    let mut timers = Timers::default();
    let mut now = Millis(0);
    for client in 0..CLIENTS {
        now = now + TICK;
        timers.set(client, now);
    }
    let mut now = Millis(0);
    let mut expire = move || {
        now = now + TICK;
        let due = timers.expired(now).expect("one is due with each tick");
        timers.set(due, now + TICK * CLIENTS);
        assert_eq!(timers.expired(now), None);
        due
    };
    for round in 0..2 {
        for client in 0..CLIENTS {
            assert_eq!(expire(), client, "round {round}");
        }
    }
    Box::new(move |times| {
        for _ in 0..times {
            black_box(expire());
        }
    })
}

/// A deadline that is moved before it comes, as with each request of a client that stays.
pub(crate) fn postpone() -> Work {
    // Each client asks again after a sixth of the time it has.
    let time = TICK * CLIENTS * 6;
    let mut timers = Timers::default();
    let mut now = Millis(0);
    let mut client = 0;
    let mut postpone = move || {
        now = now + TICK;
        timers.set(client, now + time);
        client = (client + 1) % CLIENTS;
        assert_eq!(timers.expired(now), None, "nobody is late");
        timers.timeout(now)
    };
    // Until the heap has heard of each of them anew.
    for _ in 0..7 * CLIENTS {
        assert!(postpone().is_some());
    }
    Box::new(move |times| {
        for _ in 0..times {
            black_box(postpone());
        }
    })
}

/// What the recorder keeps of such an exchange: five moments, the request's line, and a turn.
pub(crate) fn record() -> Work {
    let mut recorder = Recorder::new(&Limits::default(), 0);
    let client = PeerId { key: 1, generation: 1 };
    let idle = State::default();
    let owed = State { reading: Reads::Done, writing: Writes::Owed };
    let sending = State { reading: Reads::Done, writing: Writes::Content };
    let mut now_ns = 0;
    let mut record = move || {
        now_ns += 1000;
        recorder.begin_turn(now_ns, 1);
        recorder.begin(idle);
        recorder.add(client, Act::Read, idle, (44, 0));
        let line = recorder.note_line(black_box(b"GET /small.txt HTTP/1.1"));
        recorder.add(client, Act::Head, owed, (line, 0));
        recorder.add(client, Act::Answered, sending, (1, 200));
        recorder.add(client, Act::Wrote, idle, (1200, 0));
        recorder.end_piece(now_ns + 10, client, idle, 6);
        recorder.end_turn(now_ns + 20, false);
        recorder.moments().count()
    };
    assert_eq!((record(), record()), (5, 10));
    Box::new(move |times| {
        for _ in 0..times {
            black_box(record());
        }
    })
}

/// A small file, on one persistent connection, asked for so often before an answer is waited for.
pub(crate) fn exchange(root: &Path, fields: &str, depth: u32) -> Work {
    assert!(depth == 1 || depth == DEPTH, "a row is done a multiple of that many times");
    let mut served = Served::new(request(FILE.0, fields).repeat(depth as usize), root);
    let answers = served.first();
    for answer in answers.chunks_exact(answers.len() / depth as usize) {
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(answer.ends_with(&[b"\r\n\r\n", &*content(FILE.1)].concat()));
    }
    Box::new(move |times| {
        served.serve(times / depth);
    })
}
