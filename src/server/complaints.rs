//! What a program complains of on its standard error: line by line into the diagnostic log, and no
//! more than a log can take. How it gets here is not known here.

use super::relay::name;
use crate::site::program::Plan;

/// Bytes without a line end that are logged as one line.
const LINE: usize = 4 << 10;

/// Lines that one exchange may add to the log.
const MAX_LINES: u32 = 1_000;

/// Bytes that one exchange may add to the log.
const MAX_BYTES: usize = 64 << 10;

/// The complaints of one exchange.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// The line that is not whole yet.
    begun: Vec<u8>,
    lines: u32,
    bytes: usize,
}

impl Complaints {
    /// Whether all that comes now is left out.
    pub(super) fn is_full(&self) -> bool {
        self.lines >= MAX_LINES || self.bytes >= MAX_BYTES
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
        self.lines += 1;
        self.bytes += self.begun.len();
        self.begun.clear();
        if self.is_full() {
            self.begun = Vec::new();
            log::warn!("{} says more than is logged of one exchange", name(plan));
        }
    }
}
