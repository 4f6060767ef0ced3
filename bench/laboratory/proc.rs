//! What the system tells of a process: /proc/ID (proc(5)).

use std::fs;

use super::machine::{Processes, after_name};

/// What a server has used until now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Microseconds of processor time, all of it.
    pub(crate) time: u64,
    /// The same as it was sampled: how much of it in the server's own code, how much in the kernel.
    pub(crate) user: u64,
    pub(crate) system: u64,
    /// Context switches: it had nothing to do, or somebody else was to go on.
    pub(crate) voluntary: u64,
    pub(crate) involuntary: u64,
}

/// What was used in between, each in microseconds or switches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Difference {
    pub(crate) time: f64,
    /// How much of it was in the server's own code, 0 to 1, if that was sampled at all.
    pub(crate) user_share: Option<f64>,
    pub(crate) voluntary: f64,
    pub(crate) involuntary: f64,
}

impl Used {
    pub(crate) fn add(&mut self, other: Used) {
        self.time += other.time;
        self.user += other.user;
        self.system += other.system;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }

    /// The time is exact; it is divided as it was sampled.
    pub(crate) fn since(self, before: Used) -> Difference {
        #[allow(clippy::cast_precision_loss, reason = "far less than 2^52")]
        let more = |of: fn(Used) -> u64| of(self).saturating_sub(of(before)) as f64;
        let (time, user) = (more(|used| used.time), more(|used| used.user));
        let sampled = user + more(|used| used.system);
        Difference {
            time,
            user_share: (sampled > 0.0).then(|| user / sampled),
            voluntary: more(|used| used.voluntary),
            involuntary: more(|used| used.involuntary),
        }
    }
}

/// Microseconds of a clock tick in /proc.
const TICK: u64 = 10_000;

/// What living processes have used, with children that they have waited for.
pub(crate) fn used(processes: impl Iterator<Item = u32>) -> Used {
    let mut sum = Used::default();
    for id in processes {
        for task in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
            let text = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let nanoseconds =
                text("schedstat").split(' ').next().and_then(|word| word.parse().ok());
            sum.time += nanoseconds.unwrap_or(0_u64) / 1000;
            let status = text("status");
            let number = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0_u64)
            };
            sum.voluntary += number("voluntary_ctxt_switches:");
            sum.involuntary += number("nonvoluntary_ctxt_switches:");
        }
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let ticks = |at| u64::from(after_name(&stat, at).unwrap_or(0)) * TICK;
        // The latter two are those of children that were waited for, as CGI programs are.
        sum.time += ticks(13) + ticks(14);
        sum.user += ticks(11) + ticks(13);
        sum.system += ticks(12) + ticks(14);
    }
    sum
}

/// KiB of memory, each page that several share by its share. It takes long: the system walks all
/// their pages.
pub(crate) fn memory(processes: &Processes) -> u64 {
    processes.memory("smaps_rollup", "Pss:")
}

/// Of all of them.
pub(crate) fn threads(processes: &Processes) -> usize {
    let of = |id| fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count);
    processes.ids().map(of).sum()
}
