//! Starting processes, on a thread of its own: what to start goes there, what runs comes back, and
//! the loop waits for neither. For whom a process runs is not known here.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::confinement::Rules;
use super::limited;
use super::net::Wake;
use super::peers::PeerId;
use super::process::Process;
use crate::site::program::{ProcessLimits, Reach};

/// So many starts may be under way. One takes about a millisecond, so the last of them is not late;
/// each holds the file with its request's content open.
pub const UNDER_WAY: usize = 256;

/// How long the end of a spawner waits for a start that is under way. It is over in a moment unless
/// the program lies on a file system that does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A process to be started: in a process group of its own, its output and its complaints in pipes.
#[derive(Debug)]
pub struct Job {
    /// The program; absolute.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<OsString>,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs; absolute.
    pub directory: PathBuf,
    /// Its standard input, from where the file stands; empty if `None`.
    pub input: Option<File>,
    /// What it may have.
    pub limits: ProcessLimits,
    /// What it may use of the file system, if it is confined.
    pub reach: Reach,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// A process that runs, and what it says.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Process,
    /// Its standard output.
    pub(super) output: OwnedFd,
    /// Its standard error.
    pub(super) complaints: OwnedFd,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Started {
    /// Whose job it was.
    pub(super) peer: PeerId,
    pub(super) running: io::Result<Running>,
}

/// So many threads there are at most: one for each kind of confinement. The one that was begun
/// first goes for another, and does what it was asked for before that.
const THREADS: usize = 16;

struct Order {
    job: Job,
    peer: PeerId,
    trampoline: Option<PathBuf>,
}

/// Threads that start processes. Each is begun with the first job of its kind, which is after this
/// process has taken its final shape (forked, given up privileges). A thread is confined before it
/// starts anything, and so is all that it starts.
pub(super) struct Spawner {
    /// For each thread, what its processes may reach.
    queues: Vec<(Option<Reach>, Sender<Order>)>,
    /// What each thread tells.
    results: Sender<Started>,
    started: Receiver<Started>,
    under_way: usize,
    is_confining: bool,
    trampoline: Option<PathBuf>,
    wake: Wake,
    /// Nobody wants what is still in the queue.
    over: Arc<AtomicBool>,
}

impl Spawner {
    /// A spawner that calls `wake` after each job.
    pub(super) fn new(wake: Wake) -> Self {
        let (results, started) = channel();
        let trampoline = limited::own_program();
        let over = Arc::default();
        let (queues, is_confining) = (Vec::new(), false);
        Spawner { queues, results, started, under_way: 0, is_confining, trampoline, wake, over }
    }

    /// From now on, each process can reach only what its job says.
    pub(super) fn confine(&mut self) {
        self.is_confining = true;
    }

    /// From now on, processes with limits are started through `program`, which heeds
    /// [`limited::run`].
    pub(super) fn set_trampoline(&mut self, program: PathBuf) {
        self.trampoline = Some(program);
    }

    /// Has `job` done for `peer`. What becomes of it, [`next`](Self::next) says.
    ///
    /// # Errors
    /// `WouldBlock` where [`UNDER_WAY`] are under way; those of `pthread_create(3)`.
    pub(super) fn start(&mut self, job: Job, peer: PeerId) -> io::Result<()> {
        if self.under_way >= UNDER_WAY {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let reach = self.is_confining.then(|| job.reach.clone());
        let mut order = Order { job, peer, trampoline: self.trampoline.clone() };
        if let Some(at) = self.queues.iter().position(|(of, _)| *of == reach) {
            match self.queues[at].1.send(order) {
                Ok(()) => {
                    self.under_way += 1;
                    return Ok(());
                }
                // The thread is gone, which only a bug can bring about; what it had is lost.
                Err(unsent) => order = unsent.0,
            }
            self.queues.remove(at);
        }
        let queue = self.begin(reach.clone())?;
        if queue.send(order).is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.under_way += 1;
        if self.queues.len() >= THREADS {
            self.queues.remove(0);
        }
        self.queues.push((reach, queue));
        Ok(())
    }

    /// What has become of a job, one after the other.
    pub(super) fn next(&mut self) -> Option<Started> {
        let started = self.started.try_recv().ok()?;
        self.under_way -= 1;
        Some(started)
    }

    /// Whether nothing is under way.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    fn begin(&self, reach: Option<Reach>) -> io::Result<Sender<Order>> {
        let (queue, orders) = channel();
        let results = self.results.clone();
        let (wake, over) = (Wake::clone(&self.wake), Arc::clone(&self.over));
        let thread = thread::Builder::new().name("oneloop-spawn".to_owned());
        thread.spawn(move || {
            let confined = reach.map_or(Ok(()), |reach| confine(&reach));
            work_off(&orders, &confined, &results, &wake, &over);
        })?;
        Ok(queue)
    }
}

impl Drop for Spawner {
    /// What was started and not called for ends here, with the [`Process`] that is dropped.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.queues.clear();
        // Only the threads' own ends are left, and the last of them ends this.
        self.results = channel().0;
        while self.started.recv_timeout(PATIENCE).is_ok() {}
    }
}

/// Confines this thread. Where the system has no such thing, that was told of at the start.
fn confine(reach: &Reach) -> Result<(), String> {
    let held = Rules::of_programs(reach).hold();
    held.map(drop).map_err(|error| format!("it cannot be confined: {error}"))
}

fn work_off(
    orders: &Receiver<Order>,
    confined: &Result<(), String>,
    results: &Sender<Started>,
    wake: &Wake,
    over: &AtomicBool,
) {
    while let Ok(Order { job, peer, trampoline }) = orders.recv() {
        if over.load(Ordering::Acquire) {
            return;
        }
        let running = match confined {
            Ok(()) => start(job, trampoline.as_deref()),
            Err(why) => Err(io::Error::other(why.clone())),
        };
        if results.send(Started { peer, running }).is_err() {
            return;
        }
        wake();
    }
}

/// Starts a process. Its signal mask is empty and SIGPIPE ends it, whatever holds for this one:
/// scripts rely on it.
///
/// Everything asked for here is among what std hands to `posix_spawn(3)`, which does not copy the
/// page tables: a user, a group or a `pre_exec` would make it fork. So the limits are set by a
/// program in between, the trampoline.
///
/// # Errors
/// Those of pipe(2), of execve(2), and of `pidfd_open(2)`. A text without `#!` in its first line is
/// ENOEXEC: unlike a shell, `posix_spawn` does not guess at a language. What the trampoline cannot
/// execute is no error here but an end with code 127 and a complaint.
fn start(job: Job, trampoline: Option<&Path>) -> io::Result<Running> {
    if !job.program.is_absolute() {
        let what = "a program is started by its absolute path";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut command = if job.limits == ProcessLimits::default() {
        Command::new(&job.program)
    } else {
        limited::command(trampoline, &job.program, job.limits)?
    };
    command
        .args(&job.arguments)
        .env_clear()
        .envs(job.environment)
        .current_dir(&job.directory)
        .process_group(0)
        .stdin(job.input.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (output, complaints) = (child.stdout.take(), child.stderr.take());
    let process = Process::new(child)?;
    let output = output.expect("its output was asked to be a pipe").into();
    let complaints = complaints.expect("its complaints were asked to be a pipe").into();
    Ok(Running { process, output, complaints })
}
