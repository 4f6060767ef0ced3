//! A process that is started while this one goes on: it is given the sockets, and says when it
//! serves. Whatever goes wrong before that, it is gone, and why is known.
//!
//! Whether it is a successor or a worker, and what becomes of it, is not known here.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::inherit::PREDECESSOR;
use super::passing::{Channel, Item};
use crate::server::net::Wake;

/// How long a program that says no more may take to end by itself, in seconds. Then it is killed.
const LAST_STEPS: i64 = 2;

/// What a process runs, as it sees it itself.
const RUNNING: &str = "/proc/self/exe";

/// The program that this process runs, as it was started.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    words: Vec<OsString>,
}

impl Program {
    /// To be asked for at the start: later another file may stand at the path, and then that one is
    /// meant. Where there is no /proc, as in a bare chroot(2), it is at the path that has started
    /// it.
    pub(super) fn this() -> io::Result<Program> {
        let words: Vec<OsString> = env::args_os().collect();
        let called = words.first().map(Path::new).filter(|path| path.components().count() > 1);
        let path =
            env::current_exe().or_else(|error| called.map_or(Err(error), std::path::absolute))?;
        Ok(Program { path, words })
    }

    /// What this process runs, whatever lies at the path by now.
    pub(super) fn same(&self) -> Program {
        Program { path: PathBuf::from(RUNNING), words: self.words.clone() }
    }

    /// The file at its path, or what this process runs if there is none.
    fn file(&self) -> &Path {
        if self.path.exists() { &self.path } else { Path::new(RUNNING) }
    }

    /// Starts it as this process was started, with `input` as its standard input. Its other streams
    /// are those of this process.
    fn start(&self, input: OwnedFd) -> io::Result<Child> {
        let mut command = Command::new(self.file());
        if let Some((name, arguments)) = self.words.split_first() {
            command.arg0(name).args(arguments);
        }
        command.env(PREDECESSOR, std::process::id().to_string());
        // The watchdog is to hear of the new one. Whose number the variable has, nobody else hears.
        if env::var("WATCHDOG_PID").is_ok_and(|number| number == std::process::id().to_string()) {
            command.env_remove("WATCHDOG_PID");
        }
        command.stdin(Stdio::from(input)).spawn()
    }
}

/// A process that serves, and the way to it.
#[derive(Debug)]
pub(super) struct Born {
    pub(super) child: Child,
    pub(super) channel: Channel,
}

/// The process that serves, or why none does.
pub(super) type Outcome = Result<Born, String>;

/// A process that has been started and does not serve yet. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Start {
    /// `None` once the outcome is known.
    thread: Option<JoinHandle<()>>,
    outcome: Receiver<Outcome>,
    channel: Channel,
    /// Nobody wants it any more.
    is_cancelled: Arc<AtomicBool>,
}

impl Start {
    /// Has `program` started, by a thread: whatever takes long there does not stop the loop. It
    /// gets `items`, and `limit` until it serves. `wake` is called when that is decided.
    ///
    /// # Errors
    /// Where there is no descriptor or no thread to be had.
    pub(super) fn begin(
        program: Program,
        items: Vec<Item>,
        limit: Duration,
        wake: Wake,
    ) -> io::Result<Start> {
        let (channel, other) = Channel::pair(limit)?;
        let ours = channel.try_clone()?;
        let (sender, outcome) = mpsc::channel();
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let cancelled = Arc::clone(&is_cancelled);
        let thread = std::thread::Builder::new().name("start".to_owned());
        let thread = thread.spawn(move || {
            let work = Work { program, channel, limit, cancelled };
            // The receiver lives as long as this thread does.
            let _ = sender.send(work.succeed(other, &items));
            wake();
        })?;
        Ok(Start { thread: Some(thread), outcome, channel: ours, is_cancelled })
    }

    /// How it has gone, once that is decided.
    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        let outcome = match self.outcome.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err("its thread has ended".to_owned()),
        };
        self.join();
        Some(outcome)
    }

    /// Has the process killed, unless it serves already.
    pub(super) fn cancel(mut self) -> Option<Outcome> {
        self.give_up();
        self.outcome()
    }

    fn give_up(&mut self) {
        if self.thread.is_some() {
            self.is_cancelled.store(true, Ordering::Release);
            self.channel.stop_waiting();
            self.join();
        }
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It has nothing to wait for.
            let _ = thread.join();
        }
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// What the thread has to do.
struct Work {
    program: Program,
    channel: Channel,
    limit: Duration,
    cancelled: Arc<AtomicBool>,
}

impl Work {
    /// Starts the program, gives it `items`, and waits for its word.
    fn succeed(self, other: OwnedFd, items: &[Item]) -> Outcome {
        let file = self.program.file().display();
        let mut child =
            self.program.start(other).map_err(|error| format!("cannot run {file}: {error}"))?;
        let told = items.iter().try_for_each(|item| self.channel.send(item));
        match told.and_then(|()| self.channel.receive()) {
            Ok(Some(Item::Ready)) => return Ok(Born { child, channel: self.channel }),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                end(&mut child, 0);
                let limit = self.limit.as_secs_f64();
                return Err(format!(
                    "{file} did not serve within {limit} s (limits.upgrade.start), and was killed"
                ));
            }
            // It has ended before it had everything.
            Err(error) => log::debug!("start: {error}"),
        }
        let patience = if self.cancelled.load(Ordering::Acquire) { 0 } else { LAST_STEPS };
        match end(&mut child, patience) {
            Some(status) => Err(format!(
                "{file} ended before it served ({status}); what it said of that stands above"
            )),
            None => Err(format!("{file} did not say that it serves, and was killed")),
        }
    }
}

/// Waits so many seconds for the end of `child`, and kills it then. Returns how it has ended by
/// itself.
fn end(child: &mut Child, patience: i64) -> Option<ExitStatus> {
    if let Ok(pidfd) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) {
        let patience = Timespec { tv_sec: patience, tv_nsec: 0 };
        let mut end = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        let _ = rustix::event::poll(&mut end, Some(&patience));
    }
    let status = child.try_wait().ok().flatten();
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    status
}
