//! Each architecture plays in a process of its own, which is this program once more: how it is
//! started, what it is told, and what it says that it has used.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use oneloop::server::Address;
use oneloop::server::handing_over::bind_for_several;
use oneloop::server::listener::Wanted;

use super::ground::Ground;
use super::machine::Processes;
use super::proc::{self, Used};
use crate::architectures::Architecture;

/// What the program is told, to be the process of an architecture.
pub(crate) const WORD: &str = "architecture";

/// It is asked so what it has used.
const USED: &str = "used";

/// How long children may take to end when their clients have gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// An architecture that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    child: Child,
    told: ChildStdin,
    says: BufReader<ChildStdout>,
}

/// The process of an architecture: it says where it listens, then serves until its input ends.
///
/// # Errors
/// Where it cannot listen, or ends.
pub(crate) fn play(architecture: &Architecture, ground: &Ground) -> io::Result<()> {
    // One that can have others beside it.
    let any = Address::Tcp(([127, 0, 0, 1], 0).into());
    let wanted = Wanted { address: &any, is_admin: false };
    let mut bound = bind_for_several(wanted, 1, &mut Vec::new())?;
    let listener = TcpListener::from(OwnedFd::from(bound.remove(0)));
    // An architecture waits in accept(2) until somebody comes; oneloop sets this for itself.
    listener.set_nonblocking(false)?;
    say(&listener.local_addr()?.to_string())?;
    thread::spawn(|| {
        for _ in io::stdin().lines().map_while(Result::ok) {
            if say(&own_usage()).is_err() {
                break;
            }
        }
        // Whoever has started it is gone. Its own children would not notice.
        kill_others(std::process::id());
        std::process::exit(0);
    });
    (architecture.serve)(&listener, ground)
}

/// Kills all processes that come from this one, which stays.
fn kill_others(than: u32) {
    for id in Processes::of([than]).iter().flat_map(Processes::ids).filter(|&id| id != than) {
        if let Some(pid) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What this process has used, with all children that it has waited for.
fn own_usage() -> String {
    let [user, system, voluntary, involuntary] = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .map(|who| getrusage(who).map_or([0; 4], numbers))
        .into_iter()
        .fold([0; 4], |sum, one| [0, 1, 2, 3].map(|at| sum[at] + one[at]));
    format!("{user} {system} {voluntary} {involuntary}")
}

fn numbers(usage: Usage) -> [i64; 4] {
    [
        usage.user_time().num_microseconds(),
        usage.system_time().num_microseconds(),
        usage.voluntary_context_switches(),
        usage.involuntary_context_switches(),
    ]
}

impl Running {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// Where it does not.
    pub(crate) fn start(architecture: &Architecture, ground: &Ground) -> io::Result<Running> {
        let mut command = Command::new(&ground.own);
        let paths: [&Path; 2] = [&ground.root, &ground.programs];
        command.args([WORD, architecture.name, &ground.size.to_string()]).args(paths);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (told, says) = (child.stdin.take(), child.stdout.take());
        let (Some(told), Some(says)) = (told, says) else {
            return Err(io::Error::other("it has no input and output"));
        };
        let mut says = BufReader::new(says);
        let mut line = String::new();
        says.read_line(&mut line)?;
        let address = line.trim().parse();
        let mut running = Running { address: ([0, 0, 0, 0], 0).into(), child, told, says };
        running.address = address.map_err(|_| io::Error::other("it does not listen"))?;
        Ok(running)
    }

    /// All its processes.
    pub(crate) fn processes(&self) -> io::Result<Processes> {
        Processes::of([self.child.id()])
    }

    /// What it has used until now, with all its processes: those that live, and those that it has
    /// waited for.
    ///
    /// # Errors
    /// Where it does not say.
    pub(crate) fn used(&mut self) -> io::Result<Used> {
        writeln!(self.told, "{USED}")?;
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        let numbers: Vec<u64> =
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [user, system, voluntary, involuntary] = numbers[..] else {
            return Err(io::Error::other("it does not say what it has used"));
        };
        let mut sum = Used { time: user + system, user, system, voluntary, involuntary };
        sum.add(proc::used(self.processes()?.ids().filter(|&id| id != self.child.id())));
        Ok(sum)
    }

    /// Waits until processes have ended whose clients have gone: before that they are in nobody's
    /// account.
    pub(crate) fn settle(&mut self, processes: usize) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.processes()?.ids().count() > processes && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Running {
    /// Its children end when their clients have gone, or with their parent's listener; those that
    /// were there before do not.
    fn drop(&mut self) {
        kill_others(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
