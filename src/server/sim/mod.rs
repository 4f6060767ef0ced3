//! The whole server in a made-up world: slab, names, fairness, accepting, deadlines, every path of
//! an exchange, under cuts at any byte, windows that fill and open, half-closes, resets,
//! exhaustion, stalls and late events. `SEED=n cargo test sim` runs one seed again, with what
//! happened.
//!
//! What must come of it is worked out by `oracle.rs`; the bugs it is known to catch are listed in
//! `tests/mutants.toml`.

mod oracle;
mod script;
mod world;

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;

use super::access_log::{AccessLog, AccessLogOptions};
use super::listener::{Address, Listener};
use super::peers::Peer;
use super::timers::Millis;
use super::{Limits, Server};
use crate::site::Site;
use script::{Files, script, site};
use world::{Manner, Promises, World};

/// How many seeds one test run tries; `SEEDS=n` tries others.
const SEEDS: u64 = 1_000;

fn limits(random: &mut Rng) -> Limits {
    Limits {
        connections: random.usize(4..12),
        head_bytes: 2_000,
        content_bytes: 3_000,
        turn_requests: random.u32(1..6),
        turn_bytes: random.usize(100..9_000),
        persistent_requests: random.u32(3..30),
        // The slowest client has a window of one byte, and is still fast enough.
        content_min_rate: 20,
        send_min_rate: 20,
        ..Limits::default()
    }
}

fn manner(random: &mut Rng, length: usize) -> Manner {
    match random.u8(..10) {
        0 => Manner::StallsAt(random.usize(..=length)),
        1 => Manner::ResetsAt(random.usize(..=length)),
        2 => Manner::StopsReadingAt(random.usize(..2_000)),
        3..6 => Manner::HalfCloses,
        _ => Manner::Patient,
    }
}

/// Runs one world to its end.
fn run(seed: u64, files: &Files) {
    let mut random = Rng::with_seed(seed);
    let promises = Promises::default();
    let limits = limits(&mut random);
    let scripts: Vec<Vec<u8>> = (0..random.usize(1..7)).map(|_| script(&mut random)).collect();
    let site: Site = site(files, &promises, &limits);
    let mut expected = Vec::new();
    let mut world = World::new(random.fork(), Rc::clone(&promises));
    for script in scripts {
        let manner = manner(&mut random, script.len());
        let heard = match manner {
            Manner::StallsAt(at) | Manner::ResetsAt(at) => &script[..at],
            Manner::Patient | Manner::HalfCloses | Manner::StopsReadingAt(_) => &script[..],
        };
        expected.push(oracle::expect(&site, &limits, &promises, heard));
        world.add(script, manner);
    }
    let log = AccessLog::open(&AccessLogOptions::default()).unwrap();
    let mut server = Server::over(world, site, limits.clone(), log);
    // So small that a read can fill it.
    server.rx.truncate(random.usize(2 * limits.head_bytes..20_000));
    let address = Address::Tcp(([127, 0, 0, 1], 80).into());
    let listener = server.peers.insert(Peer::Listener(Listener::new(address)));
    server.net.listen(listener);
    let mut turns = 0;
    while !server.net.is_over() {
        server.turn().unwrap();
        turns += 1;
        assert!(turns < 2_000_000, "the loop spins");
    }
    let was_full = server.net.was_full || server.net.remotes.len() > limits.connections;
    for (remote, expected) in server.net.remotes.iter().zip(&expected) {
        let got = remote.received.len();
        if was_full && expected.pauses.iter().any(|&at| at >= got) {
            // Let go between two requests; what was on its way then may be lost, but not changed.
            same(&remote.received, &expected.bytes[..got], remote);
        } else {
            judge(remote, expected, &limits);
        }
    }
    // Whoever has left without a word is noticed by the next events and deadlines.
    for _ in 0..100 {
        if server.peers.clients() > 0 {
            server.turn().unwrap();
        }
    }
    assert_eq!(server.peers.clients(), 0, "a client is never let go");
    // What was made in the turn before may go out in this one.
    let (net, answers) = (&server.net, 2 * limits.turn_requests as usize);
    assert!(net.most_answers <= answers, "{} answers in one turn", net.most_answers);
    let bytes = limits.turn_bytes + 2 * super::serving::GATHERED;
    assert!(net.most_bytes <= bytes, "{} bytes in one turn", net.most_bytes);
}

/// Holds what a client got against what it must get, and how long it was kept.
fn judge(remote: &world::Remote, expected: &oracle::Expected, limits: &Limits) {
    let got = &remote.received;
    let second = Duration::from_secs(1);
    let closed_at = remote.closed_at.unwrap_or(Millis::NEVER);
    let lasted = closed_at.since(remote.last_moved);
    let all = [&expected.bytes[..], &expected.timed_out].concat();
    let (shortest, longest) = match remote.manner {
        Manner::HalfCloses => {
            same(got, &expected.bytes, remote);
            (Duration::ZERO, second)
        }
        Manner::Patient | Manner::StallsAt(_) => {
            same(got, &all, remote);
            if !expected.timed_out.is_empty() {
                (Duration::ZERO, limits.content_timeout + limits.linger_timeout + second)
            } else if expected.is_open && !got.is_empty() {
                (limits.idle_timeout * 9 / 10, limits.idle_timeout + second)
            } else {
                (Duration::ZERO, limits.head_timeout + second)
            }
        }
        Manner::ResetsAt(_) => {
            same(got, &all[..got.len().min(all.len())], remote);
            (Duration::ZERO, Duration::MAX)
        }
        Manner::StopsReadingAt(_) => {
            same(got, &all[..got.len().min(all.len())], remote);
            // Its content is cut off, and then it does not take what it is told about that.
            (Duration::ZERO, limits.content_timeout + limits.send_timeout + second)
        }
    };
    let is_right = shortest <= lasted && lasted <= longest;
    assert!(is_right, "kept for {lasted:?}, not {shortest:?} to {longest:?}: {}", remote.tell());
}

fn same(got: &[u8], expected: &[u8], remote: &world::Remote) {
    if got != expected {
        let at = got.iter().zip(expected).take_while(|(one, other)| one == other).count();
        let near = |bytes: &[u8]| {
            let from = at.saturating_sub(200);
            String::from_utf8_lossy(&bytes[from..bytes.len().min(at + 200)]).into_owned()
        };
        panic!(
            "{:?} {}: differs at byte {at} of {} (expected {})\ngot: {}\nexpected: {}",
            remote.manner,
            remote.tell(),
            got.len(),
            expected.len(),
            near(got),
            near(expected)
        );
    }
}

#[test]
fn sim_of_a_thousand_seeds() {
    let files = Files::new();
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let result = std::panic::catch_unwind(|| run(seed, &files));
        if let Err(panic) = result {
            say_seed(seed);
            std::panic::resume_unwind(panic);
        }
    }
}

#[allow(clippy::print_stderr, reason = "whoever sees the failure needs its seed")]
fn say_seed(seed: u64) {
    eprintln!("in this world: SEED={seed} cargo test sim");
}
