//! Where all of it happens: processors, files, descriptors.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use oneloop::daemon;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::ground::Ground;
use super::load::Target;
use super::player::Player;
use super::servers::{self, Behind, Mode, Peer};
use super::stage::Running;
use super::workloads::{Demand, Files};
use super::{answer, machine, proc};
use crate::architectures::Architecture;

pub(crate) struct Place {
    folder: PathBuf,
    pub(crate) files: Files,
    servers: CpuSet,
    /// The clients have one for themselves, unless there is only one.
    pub(crate) clients: usize,
    /// How many of them servers have.
    pub(crate) processors: usize,
    /// How many a process may open.
    pub(crate) descriptors: u64,
    /// There is one run at a time.
    _lock: File,
}

/// What is asked for in one load.
pub(crate) struct Asked {
    pub(crate) targets: Vec<Target>,
    pub(crate) choices: Vec<usize>,
    pub(crate) long: Vec<usize>,
}

/// How long a server may take to have all its threads, and for how long none is added then.
const STARTING: Duration = Duration::from_secs(2);
const STEADY: Duration = Duration::from_millis(10);

/// What clients and servers need beside those for connections.
const SPARE: u64 = 200;

/// For ten thousand clients whose threads have three each.
const DESCRIPTORS: u64 = 1 << 16;

/// Has this process, and all that it starts, open as many descriptors as are wanted, or else as
/// may be. Returns how many.
fn raise_descriptor_limit() -> u64 {
    if getrlimit(Resource::Nofile).maximum.is_some_and(|most| most < DESCRIPTORS) {
        // Only root may go beyond the hard limit.
        let most = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
        let _ = setrlimit(Resource::Nofile, most);
    }
    daemon::raise_descriptor_limit().unwrap_or(u64::MAX)
}

impl Place {
    /// Writes all files below `target/laboratory/`, on a disk.
    ///
    /// # Errors
    /// Where that cannot be, or this program cannot choose its processor.
    pub(crate) fn new() -> io::Result<Place> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/laboratory");
        fs::create_dir_all(&folder)?;
        // Another run would have its files written anew while they are served.
        let lock = File::create(folder.join("lock"))?;
        if lock.try_lock().is_err() {
            println!("architectures: another run is under way, and is waited for");
            lock.lock()?;
        }
        let files = Files::write(&folder)?;
        let mut servers = sched_getaffinity(None)?;
        let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&at| servers.is_set(at)).collect();
        let clients = allowed.last().copied().unwrap_or(0);
        if allowed.len() > 1 {
            servers.unset(clients);
        }
        let processors = allowed.len().saturating_sub(1).max(1);
        let descriptors = raise_descriptor_limit();
        machine::stay_on(clients)?;
        Ok(Place { folder, files, servers, clients, processors, descriptors, _lock: lock })
    }

    /// How many descriptors a process has for connections.
    pub(crate) fn spare(&self) -> u64 {
        self.descriptors.saturating_sub(SPARE)
    }

    /// Starts an architecture with so many threads, processes or loops.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn start(&self, architecture: &Architecture, size: usize) -> io::Result<Player> {
        let (root, programs) = (self.files.root.clone(), self.files.programs.clone());
        let ground = Ground { root, programs, own: env::current_exe()?, size };
        let started = self.among_servers(|| Running::start(architecture, &ground));
        let why = |error| io::Error::other(format!("{}: {error}", architecture.name));
        let player = started.map(Player::Architecture).map_err(why)?;
        wait_for(&player).map_err(why)?;
        Ok(player)
    }

    /// # Errors
    /// As for [`start`](Self::start).
    pub(crate) fn start_peer(&self, peer: &Peer) -> io::Result<Player> {
        let ground = servers::Ground {
            folder: &self.folder.join(peer.name),
            root: &self.files.root,
            mode: Mode::Silent,
            // Nothing is passed on.
            behind: Behind { origin: 9, responder: 9, programs: &self.files.programs },
        };
        let player = self.among_servers(|| peer.start(ground)).map(Player::Peer)?;
        wait_for(&player)?;
        Ok(player)
    }

    /// Whatever is started there has the processors of servers.
    fn among_servers<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        sched_setaffinity(None, &self.servers)?;
        let started = start();
        machine::stay_on(self.clients)?;
        started
    }

    /// What is asked for under this load.
    ///
    /// # Errors
    /// Where a file cannot be opened.
    pub(crate) fn asked(&self, demand: &Demand) -> io::Result<Asked> {
        let (mut targets, choices) = self.files.targets(demand.workload)?;
        targets.push(Files::long());
        let long = vec![targets.len() - 1];
        Ok(Asked { targets, choices, long })
    }
}

/// Waits until a server has answered once, and has all threads and processes that it begins
/// with.
fn wait_for(player: &Player) -> io::Result<()> {
    let target = Files::long();
    answer::exchange(player.address(), &target.ask.request)?;
    let deadline = Instant::now() + STARTING;
    let mut before = None;
    while Instant::now() < deadline {
        let now = player.processes()?.map(|all| (all.ids().count(), proc::threads(&all)));
        if now == before {
            break;
        }
        before = now;
        thread::sleep(STEADY);
    }
    Ok(())
}
