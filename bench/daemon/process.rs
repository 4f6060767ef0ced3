//! A running daemon, and what the system says of a process. What it is made to bear is not known
//! here.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::folder::Folder;

/// How long anything may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The daemon. Whatever serves under its pid file is killed when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    /// How much has been read of what it says.
    read: usize,
}

impl Daemon {
    /// Starts a daemon with what `oneloop.toml` in the folder says, and waits until it listens.
    /// `before` is for the shell that starts it.
    pub(crate) fn start(folder: &Folder, before: &str) -> io::Result<Daemon> {
        let folder = folder.path().to_owned();
        let child = Command::new("sh")
            .args(["-c", &format!("{before}\nexec \"$0\" -c oneloop.toml")])
            .arg(env!("CARGO_BIN_EXE_oneloop"))
            .current_dir(&folder)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(File::create(folder.join("said"))?)
            .spawn()?;
        let address = ([127, 0, 0, 1], 0).into();
        let mut daemon = Daemon { child, address, folder, read: 0 };
        let line = daemon.says("listening on http://")?;
        let (_, url) = line.split_once("http://").ok_or(ErrorKind::InvalidData)?;
        daemon.address = url.trim_end_matches('/').parse().map_err(io::Error::other)?;
        Ok(daemon)
    }

    /// Waits for a line with `part` in it.
    pub(crate) fn says(&mut self, part: &str) -> io::Result<String> {
        let mut found = None;
        wait_until(part, || {
            let said = self.said();
            let mut lines = said[self.read..].split_inclusive('\n');
            found = lines.find(|line| line.ends_with('\n') && line.contains(part)).map(|line| {
                self.read += line.as_ptr().addr() - said[self.read..].as_ptr().addr() + line.len();
                line.trim_end().to_owned()
            });
            found.is_some()
        })
        .map_err(|error| io::Error::other(format!("{error}; it has said:\n{}", self.said())))?;
        found.ok_or_else(|| ErrorKind::InvalidData.into())
    }

    /// Everything that it has said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.join("said")).unwrap_or_default()
    }

    /// The process that was started.
    pub(crate) fn process(&mut self) -> Process {
        // One that has ended and been replaced is to be no zombie.
        let _ = self.child.try_wait();
        Process(self.child.id())
    }

    /// The process that its pid file names.
    pub(crate) fn named(&self) -> Option<Process> {
        fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok().map(Process)
    }

    /// A page of the admin listener, which is the socket `admin` in the folder.
    pub(crate) fn admin(&self, path: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(self.folder.join("admin"))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Ends it, and waits for its end.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.process().signal(Signal::TERM)?;
        self.child.wait().map(drop)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(process) = self.named() {
            let _ = process.signal(Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so, and fails after a while.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("it never came to this: {what}")));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// A process, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// What of it lies in no file: its own.
    pub(crate) own: u64,
}

impl Process {
    pub(crate) fn signal(self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.0).ok().and_then(Pid::from_raw);
        Ok(kill_process(id.ok_or(ErrorKind::InvalidInput)?, signal)?)
    }

    fn read(self, name: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{name}", self.0))
    }

    /// What it has started.
    pub(crate) fn children(self) -> Vec<Process> {
        let list = self.read(&format!("task/{}/children", self.0)).unwrap_or_default();
        list.split_whitespace().filter_map(|number| number.parse().ok().map(Process)).collect()
    }

    /// Stops it, until it has stopped.
    pub(crate) fn stop(self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        wait_until("it stands still", || self.read("stat").is_ok_and(|stat| stat.contains(") T ")))
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.0))?.count())
    }

    /// The time that it has had on the processor.
    pub(crate) fn processor_time(self) -> io::Result<Duration> {
        let stat = self.read("stat")?;
        let (_, fields) = stat.rsplit_once(") ").ok_or(ErrorKind::InvalidData)?;
        let ticks =
            fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        // A tick is a hundredth of a second on every Linux there is.
        Ok(Duration::from_millis(10 * ticks.sum::<u64>()))
    }

    pub(crate) fn memory(self) -> io::Result<Memory> {
        let rollup = self.read("smaps_rollup")?;
        let sum = |prefix: &str| {
            let lines = rollup.lines().filter(|line| line.starts_with(prefix));
            lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
        };
        Ok(Memory { resident: sum("Rss:"), own: sum("Anonymous:") })
    }

    /// The ports of the clients whose connections it has.
    pub(crate) fn clients(self) -> io::Result<HashSet<u16>> {
        let mut sockets = HashSet::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.0))? {
            let target = fs::read_link(entry?.path()).unwrap_or_default();
            let name = target.to_string_lossy();
            sockets.extend(
                name.strip_prefix("socket:[").map(|rest| rest.trim_end_matches(']').to_owned()),
            );
        }
        let table = self.read("net/tcp")?;
        let port = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, port) = fields.get(2)?.split_once(':')?;
            sockets.contains(*fields.get(9)?).then(|| u16::from_str_radix(port, 16).ok())?
        };
        // That of a listener is 0.
        Ok(table.lines().skip(1).filter_map(port).filter(|port| *port != 0).collect())
    }
}
