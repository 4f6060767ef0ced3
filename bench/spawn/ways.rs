//! Four ways to start a process: by the loop itself, with and without a copy of its page tables; by
//! a thread beside it; by a small process that was begun before the large one grew. What the loop
//! does meanwhile is not known here.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg, socketpair,
};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, getuid, pidfd_open, waitid};
use rustix::time::{ClockId, clock_gettime};

/// What is started.
const PROGRAM: &str = "/bin/true";

/// Bytes of the largest job that the helper process takes.
const LARGEST_JOB: usize = 64 << 10;

/// The helper process is called with this.
pub(crate) const HELPER_FLAG: &str = "--helper";

/// What the helper process says: a process runs, with its descriptors, or has ended.
const STARTED: u8 = b's';
const ENDED: u8 = b'e';

/// A process that runs.
pub(crate) struct Running {
    pub(crate) pidfd: OwnedFd,
    pub(crate) output: OwnedFd,
    pub(crate) complaints: OwnedFd,
    /// Processor time it took outside of the loop's thread to start it.
    pub(crate) elsewhere: Duration,
}

/// The environment of a usual script, as names and values in turn.
pub(crate) fn environment() -> Vec<String> {
    let variable = |number| [format!("HTTP_X_FIELD_{number}"), "a value of some length".repeat(2)];
    (0..24).flat_map(variable).collect()
}

/// Starts a process from the calling thread, as `server/spawner.rs` does; `forks` makes std leave
/// its way by `posix_spawn(3)`.
pub(crate) fn start(environment: &[String], forks: bool) -> io::Result<Running> {
    let (child, pidfd) = start_child(environment, forks)?;
    let output = child.stdout.ok_or(io::ErrorKind::BrokenPipe)?.into();
    let complaints = child.stderr.ok_or(io::ErrorKind::BrokenPipe)?.into();
    Ok(Running { pidfd, output, complaints, elsewhere: Duration::ZERO })
}

fn start_child(environment: &[String], forks: bool) -> io::Result<(Child, OwnedFd)> {
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .envs(environment.chunks_exact(2).map(|pair| (&pair[0], &pair[1])))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if forks {
        command.uid(getuid().as_raw());
    }
    let child = command.spawn()?;
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    Ok((child, pidfd))
}

/// Reaps a process of the caller's that has ended.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED)?;
    Ok(())
}

/// Processor time of the calling thread.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    Duration::from_secs(whole(time.tv_sec)) + Duration::from_nanos(whole(time.tv_nsec))
}

/// A thread that starts processes.
pub(crate) struct Thread {
    orders: Sender<Vec<String>>,
    started: Receiver<io::Result<Running>>,
    /// Readable when something has been started.
    pub(crate) bell: OwnedFd,
}

impl Thread {
    pub(crate) fn begin() -> io::Result<Thread> {
        let (orders, jobs) = channel::<Vec<String>>();
        let (results, started) = channel();
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let rope = bell.try_clone()?;
        thread::spawn(move || {
            while let Ok(job) = jobs.recv() {
                let before = thread_time();
                let running = start(&job, false);
                let elsewhere = thread_time().saturating_sub(before);
                let running = running.map(|running| Running { elsewhere, ..running });
                if results.send(running).is_err()
                    || rustix::io::write(&rope, &1_u64.to_ne_bytes()).is_err()
                {
                    return;
                }
            }
        });
        Ok(Thread { orders, started, bell })
    }

    pub(crate) fn order(&self, job: Vec<String>) -> io::Result<()> {
        self.orders.send(job).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    pub(crate) fn next(&self) -> io::Result<Running> {
        rustix::io::read(&self.bell, &mut [0_u8; 8])?;
        self.started.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?
    }
}

/// A process that starts processes.
pub(crate) struct Helper {
    child: Child,
    /// Readable when it has something to say.
    pub(crate) socket: OwnedFd,
}

/// What a helper process says.
pub(crate) enum Said {
    Started(Running),
    Ended,
}

impl Helper {
    pub(crate) fn begin() -> io::Result<Helper> {
        let flags = SocketFlags::CLOEXEC;
        let (socket, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let child =
            Command::new("/proc/self/exe").arg(HELPER_FLAG).stdin(Stdio::from(other)).spawn()?;
        Ok(Helper { child, socket })
    }

    pub(crate) fn order(&self, job: &[String]) -> io::Result<()> {
        send(&self.socket, job.join("\0").as_bytes(), SendFlags::NOSIGNAL)?;
        Ok(())
    }

    pub(crate) fn next(&self) -> io::Result<Said> {
        let mut text = [0; 9];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        recvmsg(&self.socket, &mut [IoSliceMut::new(&mut text)], &mut control, flags)?;
        let mut passed = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        });
        let mut next = || passed.next().ok_or(io::ErrorKind::InvalidData);
        let [kind, rest @ ..] = text;
        if kind == ENDED {
            return Ok(Said::Ended);
        }
        let elsewhere = Duration::from_nanos(u64::from_ne_bytes(rest));
        let (pidfd, output, complaints) = (next()?, next()?, next()?);
        Ok(Said::Started(Running { pidfd, output, complaints, elsewhere }))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// The helper process: starts what it is told to, says what runs and what has ended, until nobody
/// is left to tell it anything.
pub(crate) fn help() -> io::Result<()> {
    let socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut children: Vec<OwnedFd> = Vec::new();
    let mut text = vec![0; LARGEST_JOB];
    loop {
        let mut polled = vec![PollFd::new(&socket, PollFlags::IN)];
        polled.extend(children.iter().map(|child| PollFd::new(child, PollFlags::IN)));
        match rustix::event::poll(&mut polled, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let is_ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        for at in (0..children.len()).rev().filter(|at| is_ready[at + 1]) {
            reap(children.swap_remove(at).as_fd())?;
            send(&socket, &[ENDED], SendFlags::NOSIGNAL)?;
        }
        if is_ready[0] {
            let count = rustix::io::read(&socket, &mut text)?;
            if count == 0 {
                return Ok(());
            }
            children.push(do_job(&socket, &text[..count])?);
        }
    }
}

/// Starts a process and passes its descriptors on; returns what tells of its end.
fn do_job(socket: &File, text: &[u8]) -> io::Result<OwnedFd> {
    let before = thread_time();
    let text = std::str::from_utf8(text).map_err(io::Error::other)?;
    let job: Vec<String> = text.split('\0').map(str::to_owned).collect();
    let running = start(&job, false)?;
    let took = u64::try_from((thread_time().saturating_sub(before)).as_nanos()).unwrap_or(0);
    let passed = [running.pidfd.as_fd(), running.output.as_fd(), running.complaints.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&passed));
    let mut text = vec![STARTED];
    text.extend(took.to_ne_bytes());
    sendmsg(socket, &[IoSlice::new(&text)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(running.pidfd)
}
