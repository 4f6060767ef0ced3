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

const WIDTH: usize = 30;
const PAUSE: Duration = Duration::from_millis(100);

impl Progress {
    /// All that is to be done, in any unit.
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

    /// How much of it is done, 0 to 1, and how long the rest takes if it goes on as it has for so
    /// long.
    pub(crate) fn stands(&self, elapsed: Duration) -> (f64, Option<Duration>) {
        let share = (self.done / self.all.max(1e-6)).clamp(0.0, 1.0);
        let left = (share > 0.0).then(|| elapsed.mul_f64((1.0 - share) / share.max(1e-6)));
        (share, left)
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
        let left = left.map_or_else(String::new, |left| {
            format!("{}:{:02} left", left.as_secs() / 60, left.as_secs() % 60)
        });
        let _ = write!(io::stderr(), "\r\x1b[K{bar} {left:>10}  {what}");
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        if self.is_visible {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
