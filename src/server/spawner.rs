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

use super::limited;
use super::net::Wake;
use super::peers::PeerId;
use super::process::Process;

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
    /// Bytes of memory it may have (`RLIMIT_AS`).
    pub memory: Option<u64>,
    /// Processor time it may have (`RLIMIT_CPU`, whole seconds).
    pub cpu: Option<Duration>,
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

struct Order {
    job: Job,
    peer: PeerId,
    trampoline: Option<PathBuf>,
}

/// A thread that starts processes. It is begun with the first job, which is after this process has
/// taken its final shape (forked, given up privileges).
pub(super) struct Spawner {
    queue: Option<Sender<Order>>,
    started: Receiver<Started>,
    under_way: usize,
    trampoline: Option<PathBuf>,
    wake: Wake,
    /// Nobody wants what is still in the queue.
    over: Arc<AtomicBool>,
}

impl Spawner {
    /// A spawner that calls `wake` after each job.
    pub(super) fn new(wake: Wake) -> Self {
        let (_, started) = channel();
        let trampoline = limited::own_program();
        let over = Arc::default();
        Spawner { queue: None, started, under_way: 0, trampoline, wake, over }
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
        let mut order = Order { job, peer, trampoline: self.trampoline.clone() };
        if let Some(queue) = &self.queue {
            match queue.send(order) {
                Ok(()) => {
                    self.under_way += 1;
                    return Ok(());
                }
                // The thread is gone, which only a bug can bring about; what it had is lost.
                Err(unsent) => order = unsent.0,
            }
        }
        let queue = self.begin()?;
        if queue.send(order).is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.queue = Some(queue);
        self.under_way = 1;
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

    fn begin(&mut self) -> io::Result<Sender<Order>> {
        let (queue, orders) = channel();
        let (results, started) = channel();
        let (wake, over) = (Wake::clone(&self.wake), Arc::clone(&self.over));
        let thread = thread::Builder::new().name("oneloop-spawn".to_owned());
        thread.spawn(move || work_off(&orders, &results, &wake, &over))?;
        self.started = started;
        Ok(queue)
    }
}

impl Drop for Spawner {
    /// What was started and not called for ends here, with the [`Process`] that is dropped.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.queue = None;
        while self.started.recv_timeout(PATIENCE).is_ok() {}
    }
}

fn work_off(orders: &Receiver<Order>, results: &Sender<Started>, wake: &Wake, over: &AtomicBool) {
    while let Ok(Order { job, peer, trampoline }) = orders.recv() {
        if over.load(Ordering::Acquire) {
            return;
        }
        let running = start(job, trampoline.as_deref());
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
    let mut command = match (job.memory, job.cpu) {
        (None, None) => Command::new(&job.program),
        (memory, cpu) => limited::command(trampoline, &job.program, memory, cpu)?,
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
