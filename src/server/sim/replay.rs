//! What happens in a made-up world is recorded, and replayed by a server that has nothing but the
//! recording: all moments must be the same, turn by turn, however the world was.
//!
//! `SEEDS=n cargo test sim_replay` tries more worlds, `SEED=n` one of them, `REQUESTS=n` makes the
//! long recording longer.

use std::io::{self, Cursor, Write};
use std::time::Duration;

use fastrand::Rng;

use super::script::{Files, Programs, long_script};
use super::world::{Promises, World, promised};
use super::{AccessLog, AccessLogOptions, Address, Limits, Rc, Server, Terms, Trust, Wants, Whims};
use super::{Manner, client, limits, manner, number, programs, site};
use crate::server::replay::{Head, MOST, Outcome, Recorded, Replayed, Tape, Unreadable};

/// How many worlds one test run tries.
const WORLDS: u64 = 100;

/// How many requests the long recording has at least, and each client of it asks.
const REQUESTS: u64 = 2_000;
const LONG: usize = 500;

/// More turns than that have no end.
const MOST_TURNS: u64 = 50_000_000;

/// Which world it is.
#[derive(Clone, Copy)]
struct Story {
    seed: u64,
    /// Clients who have much to say; 0: a few of them, as they are elsewhere.
    clients: usize,
}

impl Story {
    fn of(seed: u64) -> Story {
        Story { seed, clients: 0 }
    }
}

/// A client who has much to say. Some go astray.
fn long_client(random: &mut Rng) -> (Vec<u8>, Manner) {
    let script = long_script(random, LONG);
    let manner = manner(random.u8(..10), &script, random);
    (script, manner)
}

/// A server in a world, or on a recording of it.
struct Run<'a, N: Tape> {
    server: Server<N>,
    whims: Whims,
    files: &'a Files,
    promises: Promises,
    programs: Programs,
    limits: Limits,
    /// Moments that were seen.
    moments: u64,
}

impl<'a, N: Tape> Run<'a, N> {
    /// `network` is made of the world.
    fn new(story: Story, files: &'a Files, network: impl FnOnce(World) -> N) -> Run<'a, N> {
        let mut random = Rng::with_seed(story.seed);
        let promises = Promises::default();
        let mut limits = limits(&mut random);
        let mut programs = programs(&mut random);
        let scripts: Vec<_> = if story.clients > 0 {
            limits = Limits { connections: 2_000, persistent_requests: 1_000, ..limits };
            programs = Programs { at_once: 100, timeout: Duration::from_secs(100) };
            (0..story.clients).map(|_| long_client(&mut random)).collect()
        } else {
            let is_programmed = random.bool();
            let wants = Wants { programs: is_programmed, late: false, hasty: false, tunnel: false };
            let count = random.usize(1..7);
            (0..count).map(|_| client(&mut random, programs, wants)).collect()
        };
        let site = site(files, &promises, programs);
        let mut world = World::new(random.fork(), Rc::clone(&promises));
        for (script, manner) in scripts {
            world.add(script, manner);
            if story.clients > 0 {
                let window = &mut world.remotes.last_mut().expect("it was added").window;
                *window = (*window).max(900);
            }
        }
        let log = AccessLog::open(&AccessLogOptions::default()).unwrap();
        let mut server = Server::over(network(world), site, limits.clone(), log);
        server.rx.truncate(random.usize(2 * limits.head_bytes..20_000));
        server.begin_tape().unwrap();
        let whims = Whims::new(story.seed);
        Run { server, whims, files, promises, programs, limits, moments: 0 }
    }

    /// One turn. Returns whether there was one.
    fn turn(&mut self) -> bool {
        if self.server.turn().is_err() {
            return false;
        }
        let Some(next) = self.server.mark_turn(self.moments) else { return false };
        self.moments = next;
        if self.whims.has_one() {
            let site = site(self.files, &self.promises, self.programs);
            self.server.adopt(Terms::new(site, self.limits.clone(), Trust::default()));
        }
        true
    }

    /// Where everybody stands.
    fn states(&self) -> String {
        format!("{:?}", self.server.peers)
    }
}

/// What came of a world.
struct Recording {
    bytes: Vec<u8>,
    turns: u64,
    requests: u64,
}

/// Runs a world to its end, and records it up to `most` bytes; `seen` is told after each turn where
/// everybody stands, if it wants to know.
fn record(
    story: Story,
    files: &Files,
    most: u64,
    mut states: Option<&mut Vec<String>>,
) -> Recording {
    let head = Head::new(format!("seed {}", story.seed));
    let recorded = |world| Recorded::begin(world, Vec::new(), most, &head).unwrap();
    let mut run = Run::new(story, files, recorded);
    let turns = run_to_end(&mut run, &mut states);
    let bytes = run.server.net.take(std::mem::take);
    Recording { bytes, turns, requests: run.server.metrics.requests }
}

fn run_to_end<W: Write + Send + 'static>(
    run: &mut Run<'_, Recorded<World, W>>,
    states: &mut Option<&mut Vec<String>>,
) -> u64 {
    let listener = run.server.add_listener(Address::Tcp(([127, 0, 0, 1], 80).into()));
    run.server.net.inner().listen(listener);
    let mut turns = 0;
    while !run.server.net.inner().is_over() || run.server.peers.iter().count() > 1 {
        assert!(run.turn());
        if let Some(states) = states {
            states.push(run.states());
        }
        turns += 1;
        assert!(turns < MOST_TURNS, "the loop spins");
    }
    run.server.end_tape();
    turns
}

/// Replays a recording of so many turns; `seen` looks at it after each.
fn replay(
    story: Story,
    files: &Files,
    (bytes, turns): (&[u8], u64),
    mut seen: impl FnMut(u64, &mut Run<'_, Replayed<Cursor<&[u8]>>>),
) -> Outcome {
    let (_, replayed) = Replayed::open(Cursor::new(bytes)).unwrap();
    let mut run = Run::new(story, files, |_| replayed);
    run.server.add_listener(Address::Tcp(([127, 0, 0, 1], 80).into()));
    while run.server.net.turn() < turns && run.turn() {
        // When they were fulfilled, the recording knows.
        for promise in run.promises.take() {
            promise.fulfil(promised);
        }
        seen(run.server.net.turn(), &mut run);
    }
    run.server.end_tape();
    run.server.net.outcome().expect("a replay that is over has come out somehow")
}

#[test]
fn sim_replay_comes_out_the_same_in_every_world() {
    let files = Files::new();
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(WORLDS),
    };
    for seed in seeds {
        let mut states = Vec::new();
        let with_states = (seed % 8 == 0).then_some(&mut states);
        let Recording { bytes, turns, .. } = record(Story::of(seed), &files, MOST, with_states);
        let mut expected = states.iter();
        let outcome = replay(Story::of(seed), &files, (&bytes, turns), |turn, run| {
            if let Some(state) = expected.next() {
                assert_eq!(run.states(), *state, "SEED={seed}, turn {turn}");
            }
        });
        assert_eq!(outcome, Outcome::Same, "SEED={seed} {outcome}");
        assert!(expected.next().is_none(), "SEED={seed}: turns are missing");
    }
}

#[test]
fn sim_replay_of_a_long_recording_comes_out_the_same() {
    let files = Files::new();
    let wanted = number("REQUESTS").unwrap_or(REQUESTS);
    // Most clients go astray, or a program does, before they have said all.
    let clients = 3 * usize::try_from(wanted).unwrap() / LONG;
    let story = Story { seed: number("SEED").unwrap_or(7), clients };
    let Recording { bytes, turns, requests } = record(story, &files, 4 * MOST, None);
    assert!(requests >= wanted, "only {requests} requests");
    let outcome = replay(story, &files, (&bytes, turns), |_, _| ());
    assert_eq!(outcome, Outcome::Same, "{outcome}");
    if number("REQUESTS").is_some() {
        say(requests, turns, bytes.len());
    }
}

#[allow(clippy::print_stderr, reason = "whoever asks for so many wants to know how it was")]
fn say(requests: u64, turns: u64, bytes: usize) {
    eprintln!("{requests} requests in {turns} turns came out the same, of {bytes} bytes");
}

/// The shortest of some recordings that have several blocks, and the world it is of.
fn short(files: &Files) -> (Story, Recording) {
    let recordings = (0..24).map(Story::of).map(|story| (story, record(story, files, MOST, None)));
    let several = recordings.filter(|(_, recording)| recording.bytes.len() > 150_000);
    several.min_by_key(|(_, recording)| recording.bytes.len()).expect("some worlds are busy")
}

#[test]
fn sim_replay_notices_each_byte_that_is_changed() {
    let files = Files::new();
    let (_, Recording { mut bytes, .. }) = short(&files);
    // All of a short one, and some of each part of a long one.
    let step = bytes.len().div_ceil(4_000);
    for at in (0..bytes.len()).step_by(step) {
        bytes[at] ^= 1 << (at % 8);
        let Err(Unreadable::Damaged(damage)) = Replayed::open(Cursor::new(&*bytes)) else {
            panic!("byte {at} is changed, and nobody notices");
        };
        assert!(damage.offset <= at as u64, "{damage}, which is behind byte {at}");
        bytes[at] ^= 1 << (at % 8);
    }
    Replayed::open(Cursor::new(&*bytes)).unwrap();
}

#[test]
fn sim_replay_of_less_comes_out_the_same_as_far_as_it_goes() {
    let files = Files::new();
    let (story, Recording { bytes, turns, .. }) = short(&files);
    let mut reached = Vec::new();
    for end in (bytes.len() / 9..bytes.len()).step_by(bytes.len() / 9) {
        let mut last = 0;
        let outcome = replay(story, &files, (&bytes[..end], turns), |turn, _| last = turn);
        assert_eq!(outcome, Outcome::SameUntilCut, "{end} bytes: {outcome}");
        reached.push(last);
    }
    assert!(reached.is_sorted() && reached.iter().all(|&last| last < turns), "{reached:?}");
    for most in [2_000, 10_000, bytes.len() as u64 / 2] {
        let shorter = record(story, &files, most, None);
        assert_eq!(shorter.turns, turns, "the server goes on");
        assert!(shorter.bytes.len() as u64 <= most);
        let outcome = replay(story, &files, (&shorter.bytes, turns), |_, _| ());
        assert_eq!(outcome, Outcome::SameUntilFull, "{outcome}");
    }
}

/// A disk that has room for so many bytes.
struct Disk {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room - self.bytes.len());
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn sim_replay_bears_a_disk_that_is_full() {
    let files = Files::new();
    let (story, Recording { bytes, turns, .. }) = short(&files);
    let disk = Disk { bytes: Vec::new(), room: bytes.len() / 2 };
    let head = Head::new(String::new());
    let recorded = |world| Recorded::begin(world, disk, MOST, &head).unwrap();
    let mut run = Run::new(story, &files, recorded);
    assert_eq!(run_to_end(&mut run, &mut None), turns, "the server goes on");
    let written = run.server.net.take(|disk| std::mem::take(&mut disk.bytes));
    let outcome = replay(story, &files, (&written, turns), |_, _| ());
    assert_eq!(outcome, Outcome::SameUntilCut, "{outcome}");
}

#[test]
fn sim_replay_has_all_turns_of_a_server_that_ends_by_a_bug() {
    let files = Files::new();
    let (story, Recording { turns, .. }) = short(&files);
    let file = tempfile::NamedTempFile::new().unwrap();
    let head = Head::new(String::new());
    let sink = file.reopen().unwrap();
    let recorded = |world| Recorded::begin(world, sink, MOST, &head).unwrap();
    let mut run = Run::new(story, &files, recorded);
    let listener = run.server.add_listener(Address::Tcp(([127, 0, 0, 1], 80).into()));
    run.server.net.inner().listen(listener);
    let some = turns / 3;
    assert!((0..some).all(|_| run.turn()));
    drop(run);
    let mut reached = 0;
    let bytes = std::fs::read(file.path()).unwrap();
    replay(story, &files, (&bytes, some), |turn, _| reached = turn);
    assert_eq!(reached, some);
}

#[test]
fn sim_replay_tells_what_differs_and_where() {
    let files = Files::new();
    let (story, Recording { bytes, turns, .. }) = short(&files);
    let mut reached = 0;
    let other = Story::of(story.seed + 1);
    let outcome = replay(other, &files, (&bytes, turns), |turn, _| reached = turn);
    let Outcome::Differs { turn, offset, what } = outcome else { panic!("{outcome}") };
    assert_eq!(turn, reached + 1, "those before came out the same");
    assert!(offset < bytes.len() as u64 && what.contains("in the recording it"), "{what}");
    // One moment more in the sixth turn.
    let outcome = replay(story, &files, (&bytes, turns), |turn, run| {
        run.moments -= u64::from(turn == 5);
    });
    let Outcome::Differs { turn: 6, what, .. } = outcome else { panic!("{outcome}") };
    assert!(what.contains(" moments, checksum "), "{what}");
    let record = |seed| (Story::of(seed), record(Story::of(seed), &files, MOST, None));
    let recordings: Vec<_> = (0..8).map(record).collect();
    files.change();
    let mut told = 0;
    for (story, Recording { bytes, turns, .. }) in recordings {
        if let Outcome::Differs { what, .. } = replay(story, &files, (&bytes, turns), |_, _| ()) {
            told += u32::from(what.contains("have files of the site changed since"));
        }
    }
    assert!(told >= 4, "only {told} of 8 worlds have to do with files");
}
