//! The machine: which processor runs whom, what a process has used, what all of it is called.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// One processor for the servers, another for the clients.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    pub(crate) servers: usize,
    pub(crate) clients: usize,
}

impl Places {
    /// The first two processors that this program may use, or the only one for both.
    pub(crate) fn find() -> io::Result<Places> {
        let allowed = sched_getaffinity(None)?;
        let mut processors = (0..CpuSet::MAX_CPU).filter(|&at| allowed.is_set(at));
        let first = processors.next().unwrap_or(0);
        Ok(Places { servers: first, clients: processors.next().unwrap_or(first) })
    }
}

/// Keeps this thread, and the processes that it starts from now on, on one processor.
pub(crate) fn stay_on(processor: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

/// Processes and all that came from them.
pub(crate) struct Processes(BTreeSet<u32>);

impl Processes {
    /// The processes `roots`, with those that come from them now.
    pub(crate) fn of(roots: impl IntoIterator<Item = u32>) -> io::Result<Processes> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Ok(id) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
            // It may have ended meanwhile.
            let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
            if let Some(parent) = after_name(&stat, 1) {
                parents.push((id, parent));
            }
        }
        let mut all = BTreeSet::from_iter(roots);
        // Children may be listed before their parents.
        while let Some((id, _)) =
            parents.iter().find(|(id, parent)| all.contains(parent) && !all.contains(id))
        {
            all.insert(*id);
        }
        Ok(Processes(all))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    /// The processor time, user and system, that they and the children they have waited for have
    /// used. That of their own threads is known to the nanosecond, that of children to 10 ms.
    pub(crate) fn time(&self) -> Duration {
        let mut nanoseconds = 0;
        for id in self.ids() {
            // A CGI program may have ended meanwhile: its parent has its time.
            let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else { continue };
            for task in tasks.flatten() {
                let path = task.path().join("schedstat");
                let Ok(text) = fs::read_to_string(path) else { continue };
                let ran = text.split(' ').next().and_then(|ran| ran.parse().ok());
                nanoseconds += ran.unwrap_or(0_u64);
            }
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let ticks = |at| after_name(&stat, at).map_or(0, u64::from);
            nanoseconds += (ticks(13) + ticks(14)) * 10_000_000;
        }
        Duration::from_nanos(nanoseconds)
    }

    /// KiB that stand behind `name` in `file` of each, in all.
    pub(crate) fn memory(&self, file: &str, name: &str) -> u64 {
        let of = |id| {
            let text = fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
        };
        self.ids().map(of).sum()
    }
}

/// A control group. It knows what processor time everything has used that was started in it, and
/// children too that nobody has waited for.
pub(crate) struct Group(PathBuf);

impl Group {
    /// Makes one, which only root may do as a rule.
    pub(crate) fn new() -> io::Result<Group> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let place = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            words.next().filter(|_| words.next() == Some("cgroup2"))
        });
        let place = Path::new(place.ok_or(io::Error::other("no control groups"))?);
        let path = place.join(format!("oneloop-bench-{}", std::process::id()));
        let made = fs::create_dir(&path);
        made.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        Ok(Group(path))
    }

    /// What has to be run for `program` to run in it from its start.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]);
        command.arg(self.0.join("cgroup.procs")).arg(program);
        command
    }

    pub(crate) fn time(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(self.0.join("cpu.stat"))?;
        let used = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok());
        used.map(Duration::from_micros).ok_or(io::ErrorKind::InvalidData.into())
    }

    /// Kills all that is in it.
    pub(crate) fn kill(&self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
    }
}

impl Drop for Group {
    /// It can go when the last process has.
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The number at place `at` of /proc/ID/stat, counted from the state, which is 0. The name before
/// it may have spaces.
pub(crate) fn after_name(stat: &str, at: usize) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(at)?.parse().ok()
}

/// Date, processors and system.
pub(crate) fn description() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpus.lines().filter(|line| line.starts_with("model name")).collect();
    let model =
        models.first().and_then(|line| line.split_once(": ")).map_or("?", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let date = Command::new("date").arg("+%Y-%m-%d %H:%M").output();
    let date = date.map_or_else(|_| String::new(), |output| text(&output.stdout));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    format!("{date}, {model} × {}, Linux {}, load {load}", models.len(), kernel.trim())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
