//! A process of ours, from its start until it has been reaped. What it does, and what it says, is
//! not known here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use super::spawner::Ending;

/// How long a process that is dropped may take to die, in seconds. SIGKILL is heeded at once,
/// unless it is stuck in the kernel.
const PATIENCE: i64 = 1;

/// A process that leads a group. Dropped, it is killed with its group, and reaped.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// Readable when the process has ended.
    pidfd: OwnedFd,
    /// It has been reaped: its number may already be another's.
    ending: Option<Ending>,
}

impl Process {
    /// Takes over `child`, which leads a process group. On an error it is killed and reaped.
    ///
    /// # Errors
    /// Those of `pidfd_open(2)`.
    pub(super) fn new(mut child: Child) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Process { pid, pidfd, ending: None }),
            Err(error) => {
                // Not yet reaped, so the number is still its own.
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    /// Kills it and whatever of its group is left.
    pub(super) fn kill(&self) {
        if self.ending.is_none() {
            // It fails only where there is nobody left.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// How it has ended; `None` while it runs. When it has, whatever it has started is killed, and
    /// it is reaped: in this order, since before that its number is nobody else's. What has left
    /// its process group on purpose (setsid(2)) lives on.
    pub(super) fn ended(&mut self) -> Option<Ending> {
        if self.ending.is_none() {
            let over = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let looked = waitid(WaitId::PidFd(self.pidfd.as_fd()), over | WaitIdOptions::NOWAIT);
            self.ending = Some(match looked {
                Ok(None) => return None,
                Ok(Some(status)) => {
                    self.kill();
                    let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), over);
                    match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Ending::Exited(code),
                        (None, signal) => Ending::Killed(signal.unwrap_or(0)),
                    }
                }
                // Somebody else in this process has reaped it: its number may be another's, how it
                // ended is not known, and what it said must not count as whole.
                Err(_) => Ending::Killed(0),
            });
        }
        self.ending
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
            let mut end = [PollFd::new(&self.pidfd, PollFlags::IN)];
            let patience = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
            let _ = rustix::event::poll(&mut end, Some(&patience));
            self.ended();
        }
    }
}
