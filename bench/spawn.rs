//! How long a loop stands still for a process that is started: `cargo bench --bench spawn`.
//!
//! A stand-in for the server's loop turns: it waits in an epoll, touches its memory, says something
//! over a socket, takes a descriptor and gives it back. Meanwhile processes are started, one after
//! the other, each way in its turn. For each of them, the longest time that the loop was held up
//! from the order to the end of the process is noted.
//!
//! `-- busy` (if nothing is said) never rests, and counts the time from one turn to the next.
//! `-- paced` has work every 100 µs, and counts how late that was begun; it is to be preferred
//! where the loop has not a core of its own (`taskset -c 0 cargo bench …`). `-- quiet` only starts
//! processes, for those who count system calls. A second word is how many in each round.
//!
//! It prints what it sees, and judges nothing. On a machine that others use too, `chrt --rr 10`
//! before it keeps them out of its figures.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]

mod percentile;
#[path = "spawn/ways.rs"]
mod ways;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use percentile::percentile;
use ways::{Helper, Running, Said};

/// What a process has: MiB of memory that were written to, and descriptors.
const PROCESSES: [(usize, usize); 3] = [(1, 0), (1024, 0), (1, 10_000)];

/// How often each way has its turn, and how many processes are started then.
const ROUNDS: usize = 5;
const SPAWNS: usize = 200;

/// Forking a large process takes so long that it is done so many times less often.
const FEWER_FORKS: usize = 4;

/// The time between two pieces of paced work.
const TICK: Duration = Duration::from_micros(100);

/// How long all rest between two processes, and how long the loop turns where none is started.
const REST: Duration = Duration::from_millis(1);
const BASELINE: Duration = Duration::from_millis(2);

/// A page; how many of them one piece of work touches, and how far they lie apart.
const PAGE: usize = 4096;
const TOUCHED: usize = 8;
const APART: usize = 61 * PAGE;

/// What an event is about.
const TICKED: u64 = 0;
const BELL: u64 = 1;
const HELPER: u64 = 2;
const ENDED: u64 = 3;
const SAYS: u64 = 4;

/// Who starts a process.
#[derive(Clone, Copy)]
enum Way {
    Nobody,
    Itself,
    Forking,
    Thread,
    Helper,
}

/// Each way, with its name.
const WAYS: [(Way, &str); 5] = [
    (Way::Nobody, "none is started"),
    (Way::Itself, "the loop itself"),
    (Way::Thread, "a thread"),
    (Way::Helper, "a helper process"),
    (Way::Forking, "the loop, forking"),
];

/// How the loop spends its time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Busy,
    Paced,
    Quiet,
}

/// What one process has cost.
#[derive(Clone, Copy, Default)]
struct Sample {
    /// The longest time that the loop stood still.
    stall: Duration,
    /// Processor time of the loop's thread, and of whoever started the process for it.
    own: Duration,
    elsewhere: Duration,
    /// When the loop knew that it runs, and that it had ended.
    told: Duration,
    ended: Duration,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let said: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match said[..] {
        [ways::HELPER_FLAG, ..] => ways::help(),
        ["--subject", memory, descriptors, load, spawns, ways] => {
            let number = |text: &str| text.parse::<usize>().map_err(io::Error::other);
            let subject = Subject::new(number(memory)?, number(descriptors)?, load_of(load))?;
            subject.run(number(spawns)?, ways)
        }
        _ => begin(&said.into_iter().filter(|word| !word.starts_with('-')).collect::<Vec<_>>()),
    }
}

/// Has each of [`PROCESSES`] tried out in a process of its own.
fn begin(said: &[&str]) -> io::Result<()> {
    let (spawns, mut said) = (SPAWNS.to_string(), said.to_vec());
    said.extend(["busy", &spawns, "all"].into_iter().skip(said.len()));
    for (memory, descriptors) in PROCESSES {
        println!("\n{memory} MiB resident, {descriptors} more descriptors, {}; µs", said[0]);
        let status = Command::new("/proc/self/exe")
            .args(["--subject", &memory.to_string(), &descriptors.to_string()])
            .args(&said)
            .status()?;
        if !status.success() {
            return Err(io::Error::other(status.to_string()));
        }
    }
    Ok(())
}

fn load_of(text: &str) -> Load {
    match text {
        "paced" => Load::Paced,
        "quiet" => Load::Quiet,
        _ => Load::Busy,
    }
}

/// A process whose loop is looked at.
struct Subject {
    load: Load,
    // It began before the memory was there, as that of a server would.
    helper: Helper,
    thread: ways::Thread,
    turning: Turning,
    environment: Vec<String>,
    _held: Vec<OwnedFd>,
}

impl Subject {
    fn new(memory: usize, descriptors: usize, load: Load) -> io::Result<Subject> {
        let (helper, thread) = (Helper::begin()?, ways::Thread::begin()?);
        let turning = Turning::new(memory << 20, load)?;
        turning.watch(&thread.bell, BELL)?;
        turning.watch(&helper.socket, HELPER)?;
        let held = (0..descriptors).map(|_| Ok(eventfd(0, EventfdFlags::CLOEXEC)?));
        let held = held.collect::<io::Result<_>>()?;
        let environment = ways::environment();
        Ok(Subject { load, helper, thread, turning, environment, _held: held })
    }

    fn run(mut self, spawns: usize, wanted: &str) -> io::Result<()> {
        let mut samples = WAYS.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for ((way, name), samples) in WAYS.into_iter().zip(&mut samples) {
                let count = match way {
                    _ if wanted != "all" && !name.contains(wanted) => 0,
                    Way::Forking => spawns.div_ceil(FEWER_FORKS),
                    Way::Nobody | Way::Itself | Way::Thread | Way::Helper => spawns,
                };
                for _ in 0..count {
                    samples.push(self.sample(way)?);
                }
            }
        }
        println!(
            "{:<18}{:>9}{:>9}{:>9} |{:>9}{:>10} |{:>8}{:>8}",
            "", "stall p50", "p99", "longest", "loop CPU", "elsewhere", "told", "ended"
        );
        for ((_, name), samples) in WAYS.into_iter().zip(&samples) {
            show(name, samples);
        }
        Ok(())
    }

    fn sample(&mut self, way: Way) -> io::Result<Sample> {
        // It really rests, so that it may run with a real-time priority: who never does is stopped.
        thread::sleep(REST);
        self.rest(TICK)?;
        self.turning.longest = Duration::ZERO;
        let mut sample = Sample::default();
        let ordered = Instant::now();
        let cpu = ways::thread_time();
        let running = self.order(way)?;
        if let Some(running) = &running {
            self.turning.listen_to(running)?;
            sample.told = ordered.elapsed();
        }
        sample.own = ways::thread_time().saturating_sub(cpu);
        if matches!(way, Way::Nobody) {
            self.rest(BASELINE)?;
        } else {
            self.follow(way, running, ordered, &mut sample)?;
            self.rest(TICK)?;
        }
        sample.stall = self.turning.longest;
        Ok(sample)
    }

    /// Has a process started. It runs already where the loop has done it.
    fn order(&self, way: Way) -> io::Result<Option<Running>> {
        match way {
            Way::Nobody => Ok(None),
            Way::Itself => ways::start(&self.environment, false).map(Some),
            Way::Forking => ways::start(&self.environment, true).map(Some),
            Way::Thread => self.thread.order(self.environment.clone()).map(|()| None),
            Way::Helper => self.helper.order(&self.environment).map(|()| None),
        }
    }

    /// Turns until the process has ended.
    fn follow(
        &mut self,
        way: Way,
        mut running: Option<Running>,
        ordered: Instant,
        sample: &mut Sample,
    ) -> io::Result<()> {
        // The helper process tells of the end, too: it may do so before or after the descriptor.
        let is_helped = matches!(way, Way::Helper);
        let mut is_reaped = false;
        while sample.ended.is_zero() || !is_reaped {
            for event in self.turning.turn()? {
                let cpu = ways::thread_time();
                let started = match event {
                    BELL => Some(self.thread.next()?),
                    HELPER => match self.helper.next()? {
                        Said::Started(started) => Some(started),
                        Said::Ended => {
                            is_reaped = true;
                            None
                        }
                    },
                    ENDED => {
                        sample.ended = ordered.elapsed();
                        if let Some(running) = running.as_ref().filter(|_| !is_helped) {
                            ways::reap(running.pidfd.as_fd())?;
                            is_reaped = true;
                        }
                        None
                    }
                    _ => continue,
                };
                if let Some(started) = started {
                    self.turning.listen_to(&started)?;
                    sample.told = ordered.elapsed();
                    sample.elsewhere = started.elsewhere;
                    running = Some(started);
                }
                sample.own += ways::thread_time().saturating_sub(cpu);
            }
        }
        let cpu = ways::thread_time();
        drop(running);
        sample.own += ways::thread_time().saturating_sub(cpu);
        Ok(())
    }

    /// Turns for a while; a quiet loop does not.
    fn rest(&mut self, time: Duration) -> io::Result<()> {
        if self.load == Load::Quiet { Ok(()) } else { self.turning.turn_for(time) }
    }
}

/// The loop.
struct Turning {
    load: Load,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    timer: OwnedFd,
    /// When the first tick was due, less one tick; and how many have been.
    timed_from: Instant,
    ticks: u64,
    pair: (UnixDatagram, UnixDatagram),
    memory: Vec<u8>,
    at: usize,
    last: Instant,
    longest: Duration,
}

impl Turning {
    fn new(memory: usize, load: Load) -> io::Result<Turning> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let turning = Turning {
            load,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(16),
            timer: timerfd_create(TimerfdClockId::Monotonic, flags)?,
            pair: UnixDatagram::pair()?,
            memory: vec![1; memory],
            at: 0,
            timed_from: Instant::now(),
            ticks: 0,
            last: Instant::now(),
            longest: Duration::ZERO,
        };
        if load == Load::Paced {
            let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
            let times = Itimerspec { it_interval: tick, it_value: tick };
            timerfd_settime(&turning.timer, TimerfdTimerFlags::empty(), &times)?;
            turning.watch(&turning.timer, TICKED)?;
        }
        Ok(Turning { timed_from: Instant::now(), ..turning })
    }

    fn watch(&self, descriptor: impl AsFd, what: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, descriptor, EventData::new_u64(what), EventFlags::IN)?)
    }

    fn listen_to(&self, running: &Running) -> io::Result<()> {
        let once = EventFlags::IN | EventFlags::ET;
        for (descriptor, what) in
            [(&running.output, SAYS), (&running.complaints, SAYS), (&running.pidfd, ENDED)]
        {
            epoll::add(&self.epoll, descriptor, EventData::new_u64(what), once)?;
        }
        Ok(())
    }

    fn turn_for(&mut self, time: Duration) -> io::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Waits, works, and returns what has happened.
    fn turn(&mut self) -> io::Result<Vec<u64>> {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = (self.load == Load::Busy).then_some(&at_once);
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut happened = Vec::new();
        for event in self.events.drain(..) {
            happened.push(event.data.u64());
        }
        match self.load {
            Load::Busy => {
                let now = Instant::now();
                self.longest = self.longest.max(now - self.last);
                self.last = now;
                self.work()?;
            }
            Load::Paced if happened.contains(&TICKED) => {
                let mut count = [0; 8];
                rustix::io::read(&self.timer, &mut count)?;
                let due = self.timed_from + TICK.mul_f64(ticks(self.ticks + 1));
                self.longest = self.longest.max(Instant::now().saturating_duration_since(due));
                self.ticks += u64::from_ne_bytes(count);
                self.work()?;
            }
            Load::Paced | Load::Quiet => {}
        }
        Ok(happened)
    }

    /// What a static request costs, about: some memory, something said and heard, a descriptor.
    fn work(&mut self) -> io::Result<()> {
        for _ in 0..TOUCHED {
            self.at = (self.at + APART) % self.memory.len();
            self.memory[self.at] = self.memory[self.at].wrapping_add(1);
        }
        self.pair.0.send(b"ping")?;
        self.pair.1.recv(&mut [0; 4])?;
        drop(self.pair.0.try_clone()?);
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss, reason = "far fewer ticks than 2^52")]
fn ticks(count: u64) -> f64 {
    count as f64
}

fn show(name: &str, samples: &[Sample]) {
    if samples.is_empty() {
        return;
    }
    let part = |share: f64, of: fn(&Sample) -> Duration| {
        let times: Vec<f64> = samples.iter().map(|one| of(one).as_secs_f64() * 1e6).collect();
        percentile(&times, share)
    };
    let stall = |share| part(share, |one| one.stall);
    println!(
        "{name:<18}{:>9.0}{:>9.0}{:>9.0} |{:>9.0}{:>10.0} |{:>8.0}{:>8.0}",
        stall(0.5),
        stall(0.99),
        stall(1.0),
        part(0.5, |one| one.own),
        part(0.5, |one| one.elsewhere),
        part(0.5, |one| one.told),
        part(0.5, |one| one.ended),
    );
}
