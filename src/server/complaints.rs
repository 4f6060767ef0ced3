//! What a program complains of on its standard error: line by line into the diagnostic log, and no
//! more than a log can take. How it gets here is not known here.

use super::limits::Limits;
use super::relay::name;
use crate::site::program::Plan;

/// Bytes without a line end that are logged as one line.
const LINE: usize = 4 << 10;

/// The complaints of one exchange.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// The line that is not whole yet.
    begun: Vec<u8>,
    /// Lines that may still be logged.
    lines: u32,
    /// And bytes.
    bytes: usize,
}

impl Complaints {
    /// As many as `limits` allow.
    pub(super) fn new(limits: &Limits) -> Self {
        let (lines, bytes) = (limits.complaints_lines, limits.complaints_bytes);
        Complaints { begun: Vec::new(), lines, bytes }
    }

    /// Whether all that comes now is left out.
    pub(super) fn is_full(&self) -> bool {
        self.lines == 0 || self.bytes == 0
    }

    /// Takes more of what the program with this plan complains of.
    pub(super) fn hear(&mut self, text: &[u8], plan: &Plan) {
        for piece in text.split_inclusive(|&byte| byte == b'\n').flat_map(|line| line.chunks(LINE))
        {
            if self.is_full() {
                return;
            }
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.begun.len() >= LINE {
                self.log(plan);
            }
        }
    }

    /// There will be no more.
    pub(super) fn end(&mut self, plan: &Plan) {
        if !self.begun.is_empty() && !self.is_full() {
            self.log(plan);
        }
    }

    fn log(&mut self, plan: &Plan) {
        let line = String::from_utf8_lossy(&self.begun);
        let line = line.trim_end().replace(char::is_control, "\u{fffd}");
        if !line.is_empty() {
            log::warn!("{} says: {line}", name(plan));
        }
        self.lines = self.lines.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(self.begun.len());
        self.begun.clear();
        if self.is_full() {
            self.begun = Vec::new();
            log::warn!("{} says more than is logged of one exchange", name(plan));
        }
    }
}
