//! The whole server in a made-up world: slab, names, fairness, accepting, deadlines, every path of
//! an exchange, programs in all protocols, under cuts at any byte, windows that fill and open,
//! half-closes, resets, exhaustion, stalls, early ends, late events and reloads.
//! `SEED=n cargo test sim` runs one seed again, with what happened.
//!
//! What must come of it is worked out by `oracle.rs`; the bugs it is known to catch are listed in
//! `tests/mutants.toml`.

mod backend;
mod expected;
mod oracle;
mod program;
mod relayed;
mod remote;
mod replay;
mod script;
mod world;

use std::rc::{Rc, Weak};
use std::time::Duration;

use fastrand::Rng;

use super::access_log::{AccessLog, AccessLogOptions};
use super::client::Client;
use super::listener::Address;
use super::net::Net;
use super::peers::Peer;
use super::stepping::{Before, Command};
use super::terms::Terms;
use super::timers::Millis;
use super::trust::Trust;
use super::{Limits, Server};
use crate::site::Site;
use expected::{After, Expected, Fit, unchunked};
use remote::{Manner, Remote};
use script::{Files, Programs, Wants, script, site};
use world::{Promises, World};

/// How many seeds one test run tries; `SEEDS=n` tries others.
const SEEDS: u64 = 1_000;

/// Others that have found a bug: clients of a listener that had rested were nobody's, and a client
/// that left while it said the rest of its request was counted as one whose answer was cut.
const FOUND: [u64; 2] = [2_626, 2_275];

fn limits(random: &mut Rng) -> Limits {
    Limits {
        connections: random.usize(4..12),
        head_bytes: 2_000,
        // Programs have their own limits, and a half-closed client of theirs waits as any other.
        half_closed: Duration::from_hours(10),
        tunnel_timeout: Duration::from_mins(1),
        turn_requests: random.u32(1..6),
        turn_bytes: random.usize(100..9_000),
        persistent_requests: random.u32(3..30),
        // The slowest client has a window of one byte, and is still fast enough.
        content_min_rate: 20,
        send_min_rate: 20,
        ..Limits::default()
    }
}

/// How a client behaves, and what it may ask of programs.
fn client(random: &mut Rng, programs: Programs, wants: Wants) -> (Vec<u8>, Manner) {
    let kind = random.u8(..10);
    // One that breaks off could do so while an answer is on its way before its time; and one that
    // ends its direction has the tunnel end at once.
    let wants = Wants { hasty: kind >= 3, tunnel: !(3..6).contains(&kind), ..wants };
    let script = script(random, Wants { late: programs.at_once > 2, ..wants });
    let manner = manner(kind, &script, random);
    (script, manner)
}

/// One of three clients in ten goes astray, each in another way.
fn manner(kind: u8, script: &[u8], random: &mut Rng) -> Manner {
    match kind {
        0 => Manner::StallsAt(random.usize(..=script.len())),
        1 => Manner::ResetsAt(random.usize(..=script.len())),
        2 => Manner::StopsReadingAt(random.usize(..2_000)),
        3..6 => Manner::HalfCloses,
        _ => Manner::Patient,
    }
}

/// Few exchanges at once, which may wait for each other for ever; or many, which may take long.
fn programs(random: &mut Rng) -> Programs {
    if random.bool() {
        Programs { at_once: random.usize(1..3), timeout: Duration::from_hours(10) }
    } else {
        Programs { at_once: 100, timeout: Duration::from_secs(100) }
    }
}

/// Whether connections to programs end between two exchanges, in a world of these scripts.
fn is_flaky(scripts: &[(Vec<u8>, Manner)]) -> bool {
    const ENDING: [&str; 3] = ["leaves-", "untilclose-", "lingers-"];
    let has = |script: &[u8], act: &str| memchr::memmem::find(script, act.as_bytes()).is_some();
    scripts.iter().any(|(script, _)| ENDING.iter().any(|act| has(script, act)))
}

/// Runs one world to its end.
fn run(seed: u64, files: &Files) {
    let mut random = Rng::with_seed(seed);
    let promises = Promises::default();
    let limits = limits(&mut random);
    let programs = programs(&mut random);
    let nothing = Wants { programs: random.bool(), late: false, hasty: false, tunnel: false };
    let count = random.usize(1..7);
    let scripts: Vec<_> = (0..count).map(|_| client(&mut random, programs, nothing)).collect();
    let site: Site = site(files, &promises, programs);
    let is_flaky = is_flaky(&scripts);
    let mut expected = Vec::new();
    let mut world = World::new(random.fork(), Rc::clone(&promises));
    for (script, manner) in scripts {
        let heard = match manner {
            Manner::StallsAt(at) | Manner::ResetsAt(at) => &script[..at],
            Manner::Patient | Manner::HalfCloses | Manner::StopsReadingAt(_) => &script[..],
        };
        expected.push(oracle::expect(&site, &limits, &promises, heard, is_flaky));
        world.add(script, manner);
    }
    let log = AccessLog::open(&AccessLogOptions::default()).unwrap();
    let mut server = Server::over(world, site, limits.clone(), log);
    // So small that a read can fill it.
    server.rx.truncate(random.usize(2 * limits.head_bytes..20_000));
    let listener = server.add_listener(Address::Tcp(([127, 0, 0, 1], 80).into()));
    server.net.listen(listener);
    server.allow_steps();
    let mut turns = 0;
    let mut held = Duration::ZERO;
    let mut whims = Whims::new(seed);
    while !server.net.is_over() {
        if let Some(command) = whims.command() {
            server.command(command).unwrap();
        }
        let before = server.net.now();
        server.turn().unwrap();
        // This world's clock goes on meanwhile.
        held += if whims.held.is_some() { server.net.now().since(before) } else { Duration::ZERO };
        if whims.has_one() {
            whims.former.push(Rc::downgrade(&server.terms));
            let site = self::site(files, &promises, programs);
            server.adopt(Terms::new(site, limits.clone(), Trust::default()));
        }
        check_memory(&server);
        turns += 1;
        assert!(turns < 2_000_000, "the loop spins");
    }
    let was_full = server.net.was_full || server.net.remotes.len() > limits.connections;
    for (remote, expected) in server.net.remotes.iter().zip(&expected) {
        // Let go between two requests; what was on its way then may be lost, but not changed.
        let is_let_go = was_full
            && matches!(expected.fit(&remote.received, false), Fit::Begins(true) | Fit::Whole(_));
        if !is_let_go {
            // A program may have had all its time; and before that as much again, to say what HEAD
            // does not ask for.
            let times = if nothing.programs { full_times(remote).max(2) } else { 0 };
            let slack = times * programs.timeout + held;
            judge(remote, expected, &limits, slack);
        }
    }
    check_rest(&mut server);
    let is_gone = |former: &Weak<Terms>| former.strong_count() == 0;
    assert!(whims.former.iter().all(is_gone), "nobody goes by former terms any more");
    check_counts(&server);
    // What was made in the turn before may go out in this one.
    let (net, answers) = (&server.net, 2 * limits.turn_requests as usize);
    assert!(net.most_answers <= answers, "{} answers in one turn", net.most_answers);
    let bytes = limits.turn_bytes + 2 * super::serving::GATHERED;
    assert!(net.most_bytes <= bytes, "{} bytes in one turn", net.most_bytes);
}

/// When the server is given other terms, and when its loop is held. The terms say the same, and
/// whoever is held is let through soon, so that nobody may see a difference; what an exchange began
/// with is of no use to any other.
struct Whims {
    random: Rng,
    often: u32,
    left: usize,
    former: Vec<Weak<Terms>>,
    /// How often the loop is still held, and for how many turns it is now.
    holds: usize,
    held: Option<u32>,
}

impl Whims {
    /// Chance of its own, so that a world goes as it would without.
    fn new(seed: u64) -> Whims {
        let mut random = Rng::with_seed(!seed);
        let left = if random.bool() { random.usize(..10) } else { 0 };
        let holds = if random.bool() { random.usize(..4) } else { 0 };
        let often = random.u32(2..100);
        Whims { often, left, random, former: Vec::new(), holds, held: None }
    }

    fn command(&mut self) -> Option<Command> {
        let before = if self.random.u8(..4) == 0 { Before::Turn } else { Before::Event };
        match &mut self.held {
            Some(0) => {
                self.held = None;
                Some(Command::Go)
            }
            Some(left) => {
                *left -= 1;
                Some(Command::Step(before))
            }
            None if self.holds > 0 && self.random.u32(..2 * self.often) == 0 => {
                self.holds -= 1;
                self.held = Some(self.random.u32(1..40));
                Some(Command::Hold(before))
            }
            None => None,
        }
    }

    fn has_one(&mut self) -> bool {
        let has_one = self.left > 0 && self.random.u32(..self.often) == 0;
        self.left -= usize::from(has_one);
        has_one
    }
}

/// How many programs take all their time for a client that takes no answer any more: to its eyes,
/// nothing moves meanwhile.
fn full_times(remote: &Remote) -> u32 {
    let Manner::StopsReadingAt(_) = remote.manner else { return 0 };
    let count = |act: &str| memchr::memmem::find_iter(&remote.script, act).count();
    u32::try_from(count("/late-") + count("/stuck-")).expect("a script is short")
}

/// However slow a client is, little waits for it: it slows down whoever makes its answer.
fn check_memory(server: &Server<World>) {
    for (_, peer) in server.peers.iter() {
        if let Peer::Client(Client { work: Some(work), .. }) = peer {
            let waits = work.output.len() - work.sent;
            assert!(waits <= 4 * super::serving::GATHERED, "{waits} bytes wait for a client");
        }
    }
}

/// When nobody is there any more, nothing is left of anybody.
fn check_rest(server: &mut Server<World>) {
    server.go_on();
    for _ in 0..10_000 {
        if server.peers.iter().count() > 1 {
            server.turn().unwrap();
        }
    }
    let left: Vec<_> = server.peers.iter().skip(1).collect();
    assert!(left.is_empty(), "somebody is never let go: {left:?}");
    assert!(server.net.backends.is_empty(), "a program is never let go");
    assert!(server.gateways.is_at_rest(), "a seat is never given up: {:?}", server.gateways);
    assert_eq!(server.budget.left(), server.terms.limits.spool_total, "content is kept for nobody");
}

/// What was counted is what has happened.
fn check_counts(server: &Server<World>) {
    let (metrics, net) = (&server.metrics, &server.net);
    assert_eq!((metrics.received, metrics.sent), (net.heard, net.said), "bytes in and out");
    assert_eq!(metrics.accepted, net.taken_in);
    let answers: u64 = metrics.routes.iter().flat_map(|route| route.answers).sum();
    // Each request has an answer or none; and what is no request is refused, once for each client.
    let refused = answers + metrics.unanswered - metrics.requests;
    assert!(refused <= net.taken_in, "{refused} more answers than requests: {metrics:?}");
}

/// Holds what a client got against what it must get, and how long it was kept.
fn judge(remote: &Remote, expected: &Expected, limits: &Limits, slack: Duration) {
    let got = &remote.received;
    let second = Duration::from_secs(1);
    let closed_at = remote.closed_at.unwrap_or(Millis::NEVER);
    let lasted = closed_at.since(remote.last_moved);
    let fit = expected.fit(got, remote.manner != Manner::HalfCloses);
    let (fits, (shortest, longest)) = match remote.manner {
        Manner::HalfCloses => (matches!(fit, Fit::Whole(_)), (Duration::ZERO, second)),
        Manner::Patient | Manner::StallsAt(_) => {
            let is_open = expected.is_open && fit == Fit::Whole(None);
            let bounds = if !expected.timed_out.is_empty() {
                (Duration::ZERO, limits.content_timeout + limits.linger_timeout + second)
            } else if is_open && !got.is_empty() {
                (limits.idle_timeout * 9 / 10, limits.idle_timeout + second)
            } else {
                (Duration::ZERO, limits.head_timeout + second)
            };
            (matches!(fit, Fit::Whole(_)), bounds)
        }
        Manner::ResetsAt(_) => (!matches!(fit, Fit::Differs(_)), (Duration::ZERO, Duration::MAX)),
        // Its content is cut off, and then it does not take what it is told about that.
        Manner::StopsReadingAt(_) => {
            let longest = limits.content_timeout + limits.send_timeout + second;
            (!matches!(fit, Fit::Differs(_)), (Duration::ZERO, longest))
        }
    };
    let tell =
        || format!("{}\ngot: {:?}\nexpected: {}", remote.tell(), near(got, fit), expected.tell());
    assert!(fits, "{:?} {fit:?} {}", remote.manner, tell());
    let told = fit != Fit::Whole(Some(After::IsReset)) || remote.was_reset;
    assert!(told, "it cannot know that its answer is cut: {}", tell());
    let longest = longest.saturating_add(slack);
    let is_right = shortest <= lasted && lasted <= longest;
    assert!(is_right, "kept for {lasted:?}, not {shortest:?} to {longest:?}: {}", tell());
}

/// What a client got, about where it differs.
fn near(got: &[u8], fit: Fit) -> String {
    let got = unchunked(got);
    let at = if let Fit::Differs(at) = fit { at } else { got.len() };
    let from = at.saturating_sub(200);
    String::from_utf8_lossy(&got[from..got.len().min(at + 200)]).into_owned()
}

/// A number that the environment names, to try other worlds.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn sim_of_a_thousand_seeds() {
    let files = Files::new();
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => FOUND.into_iter().chain(0..number("SEEDS").unwrap_or(SEEDS)).collect(),
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
