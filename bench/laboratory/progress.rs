//! How far the run is, on the terminal, and how long it still takes.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A line that is written again and again; nothing where there is no terminal.
pub(crate) struct Progress {
    begun: Instant,
    done: f64,
    all: f64,
    shown: Option<Instant>,
    is_visible: bool,
}

/// What was thought beforehand counts as much as so many seconds of experience: in the beginning
/// there is little of that.
const TRUST: f64 = 30.0;

const WIDTH: usize = 30;
const PAUSE: Duration = Duration::from_millis(100);

impl Progress {
    /// All that is to be done, in seconds as far as is known before.
    pub(crate) fn new(all: f64) -> Progress {
        let is_visible = io::stderr().is_terminal();
        Progress { begun: Instant::now(), done: 0.0, all, shown: None, is_visible }
    }

    /// Says what is done next, and that it is so much.
    pub(crate) fn next(&mut self, what: &str, much: f64) {
        self.show(what);
        self.done += much;
    }

    /// Something that was to be done is not: it is so much less.
    pub(crate) fn less(&mut self, much: f64) {
        self.all -= much;
    }

    /// How much of it is done, 0 to 1, and how long the rest takes: as long as was thought, times
    /// how much longer than that it has taken so far, when so much time has gone by.
    pub(crate) fn stands(&self, elapsed: Duration) -> (f64, Duration) {
        let share = (self.done / self.all.max(1e-6)).clamp(0.0, 1.0);
        let longer = (elapsed.as_secs_f64() + TRUST) / (self.done + TRUST);
        let left = (self.all - self.done).max(0.0) * longer;
        (share, Duration::from_secs_f64(left))
    }

    fn show(&mut self, what: &str) {
        if !self.is_visible || self.shown.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Instant::now());
        let (share, left) = self.stands(self.begun.elapsed());
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "at most the width of the bar"
        )]
        let filled = (share * WIDTH as f64) as usize;
        let bar = "█".repeat(filled) + &"░".repeat(WIDTH - filled);
        let left = format!("{}:{:02} left", left.as_secs() / 60, left.as_secs() % 60);
        let _ = write!(io::stderr(), "\r\x1b[K{bar} {left:>10}  {what}");
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        if self.is_visible {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
