//! How much memory the process has, and what is given up where that is too much. What the memory is
//! for, is not known here.

use std::fs;
use std::time::Duration;

use super::Server;
use super::metrics::Limit;
use super::net::Net;
use super::timers::Millis;

/// How often it is looked at, at most.
const LOOK: Duration = Duration::from_millis(100);

/// How the process stood when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Memory {
    looked: Option<Millis>,
    /// It had more than it may have.
    pub(super) is_over: bool,
}

impl<N: Net> Server<N> {
    /// Where the process has more memory than it may have, files that are kept in it go, and idle
    /// clients; new ones wait.
    pub(super) fn heed_memory(&mut self, now: Millis) {
        let Some(most) = self.terms.limits.max_memory else {
            self.memory.is_over = false;
            return;
        };
        if self.memory.looked.is_some_and(|looked| now.since(looked) < LOOK) {
            return;
        }
        self.memory.looked = Some(now);
        let was_over = self.memory.is_over;
        let resident = self.net.resident().unwrap_or_default();
        self.memory.is_over = resident > most;
        if !self.memory.is_over {
            return;
        }
        self.metrics.hit(Limit::Memory);
        if !was_over {
            log::warn!(
                "limits.max-memory is reached ({} KiB are in use): cached files and idle clients \
                 are let go, and new clients wait",
                resident >> 10
            );
        }
        self.terms.site.forget_files();
        self.let_go_idle(false);
    }
}

/// Bytes of this process in memory (the second number in `/proc/self/statm`, proc(5)).
pub(super) fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_is_seen() {
        // Other tests give back much less meanwhile.
        let before = resident().unwrap();
        let used = vec![1_u8; 256 << 20];
        let after = resident().unwrap();
        assert!(after >= before + (128 << 20), "{before} {after} {}", used[used.len() / 2]);
    }
}
