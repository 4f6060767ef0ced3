//! What happened in a turn, in lines of text: one for the turn, and one for each moment. Who reads
//! them, and whether they are as they were before, is not known here.

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::server::recorder::words::{peer, state, what};
use crate::server::recorder::{Recorder, Turn};

/// Appends the story of the last turn, which has this number: its moments are those from `first`
/// on. Some may have happened behind the turn before.
pub(super) fn tell(number: u64, first: u64, recorder: &Recorder, out: &mut String) {
    let Turn { woken_ns, waited_ns, worked_ns, ready, served, first: _ } = *recorder.turn();
    let [waited, worked] = [waited_ns, worked_ns].map(Duration::from_nanos);
    let at = Seconds(woken_ns);
    // A text takes all that is written.
    let _ = writeln!(
        out,
        "{number:>7} {at} turn: waited {waited:?}, {ready} ready, {served} served, \
         worked {worked:?}"
    );
    let untold = recorder.moments().first().saturating_sub(first);
    if untold > 0 {
        let _ = writeln!(out, "{number:>7} {untold} moments are not told: there are too many");
    }
    for (_, moment) in recorder.moments().since(first) {
        let (at, who) = (Seconds(moment.at_ns), peer(moment.peer));
        let [before, after] = [moment.before, moment.after].map(state);
        let what = what(moment, recorder.note_of(moment).copied());
        let _ = writeln!(out, "{number:>7} {at} {who:<11} {before:>14} -> {after:<14} {what}");
    }
}

/// A time of the loop's clock, in nanoseconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection::State;
    use crate::server::limits::Limits;
    use crate::server::peers::PeerId;
    use crate::server::recorder::Act;

    #[test]
    fn what_is_not_told_is_said_to_be_missing() {
        let limits = Limits { recorder_moments: 3, ..Limits::default() };
        let mut recorder = Recorder::new(&limits, 0);
        let told = |recorder: &Recorder, first| {
            let mut text = String::new();
            tell(7, first, recorder, &mut text);
            text
        };
        for amount in 0..4 {
            let id = PeerId { key: 1, generation: 2 };
            recorder.add(id, Act::Read, State::default(), (amount, 0));
        }
        assert_eq!(told(&recorder, 1).lines().count(), 4, "a turn and three moments");
        let text = told(&recorder, 0);
        assert_eq!(text.lines().count(), 5);
        assert_eq!(text.lines().nth(1), Some("      7 1 moments are not told: there are too many"));
    }
}
