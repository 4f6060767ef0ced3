//! What the system tells of a process: /proc/ID (proc(5)).

use std::fs;

use super::machine::{Processes, after_name};

/// What a server has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Microseconds of processor time.
    pub(crate) user: u64,
    pub(crate) system: u64,
    /// Context switches: it had nothing to do, or somebody else was to go on.
    pub(crate) voluntary: u64,
    pub(crate) involuntary: u64,
}

impl Used {
    pub(crate) fn add(&mut self, other: Used) {
        self.user += other.user;
        self.system += other.system;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }

    pub(crate) fn since(self, before: Used) -> Used {
        Used {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
            voluntary: self.voluntary.saturating_sub(before.voluntary),
            involuntary: self.involuntary.saturating_sub(before.involuntary),
        }
    }
}

/// What living processes have used by themselves. All of their time is told to the nanosecond, how
/// much of it was in the system only in ticks: so the one is divided as the other.
pub(crate) fn used(processes: impl Iterator<Item = u32>) -> Used {
    let (mut ran, mut ticks, mut sum) = (0, [0; 2], Used::default());
    for id in processes {
        for task in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
            let text = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let nanoseconds =
                text("schedstat").split(' ').next().and_then(|word| word.parse().ok());
            ran += nanoseconds.unwrap_or(0_u64);
            let status = text("status");
            let number = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0_u64)
            };
            sum.voluntary += number("voluntary_ctxt_switches:");
            sum.involuntary += number("nonvoluntary_ctxt_switches:");
        }
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        for (sum, at) in ticks.iter_mut().zip([11, 12]) {
            *sum += u64::from(after_name(&stat, at).unwrap_or(0));
        }
    }
    let all = ran / 1000;
    sum.user = (all * ticks[0]).checked_div(ticks[0] + ticks[1]).unwrap_or(all);
    sum.system = all - sum.user;
    sum
}

/// KiB of memory, each page that several share by its share; threads of all.
pub(crate) fn size(processes: &Processes) -> (u64, usize) {
    let threads = processes
        .ids()
        .map(|id| fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count));
    (processes.memory("smaps_rollup", "Pss:"), threads.sum())
}
