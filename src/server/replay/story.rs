//! What happened in a turn, in lines of text: one for the turn, and one for each moment. Who reads
//! them, and whether they are as they were before, is not known here.

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::server::recorder::words::{peer, state, what};
use crate::server::recorder::{Recorder, Turn};

/// Appends the story of the last turn, which has this number: its moments are those from `first`
/// on. Some may have happened behind the turn before. What is later than `until_ns` is not told.
pub(super) fn tell(number: u64, first: u64, until_ns: u64, recorder: &Recorder, out: &mut String) {
    let Turn { woken_ns, waited_ns, worked_ns, ready, served, first: _ } = *recorder.turn();
    if woken_ns > until_ns {
        return;
    }
    let [waited, worked] = [waited_ns, worked_ns].map(Duration::from_nanos);
    let at = Seconds(woken_ns);
    // A text takes all that is written.
    let _ = write!(out, "{number:>7} {at} turn: waited {waited:?}, {ready} ready, ");
    let is_over = worked_ns > 0 && woken_ns + worked_ns <= until_ns;
    let _ = if is_over {
        writeln!(out, "{served} served, worked {worked:?}")
    } else {
        writeln!(out, "and it does not come to its end")
    };
    let untold = recorder.moments().first().saturating_sub(first);
    if untold > 0 {
        let _ = writeln!(out, "{number:>7} {untold} moments are not told: there are too many");
    }
    let moments = recorder.moments().since(first);
    for (_, moment) in moments.take_while(|(_, moment)| moment.at_ns <= until_ns) {
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

    const ID: PeerId = PeerId { key: 1, generation: 2 };

    fn told(recorder: &Recorder, first: u64, until_ns: u64) -> Vec<String> {
        let mut text = String::new();
        tell(7, first, until_ns, recorder, &mut text);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_not_told_is_said_to_be_missing() {
        let limits = Limits { recorder_moments: 3, ..Limits::default() };
        let mut recorder = Recorder::new(&limits, 0);
        for amount in 0..4 {
            recorder.add(ID, Act::Read, State::default(), (amount, 0));
        }
        assert_eq!(told(&recorder, 1, 0).len(), 4, "a turn and three moments");
        let lines = told(&recorder, 0, 0);
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[1], "      7 1 moments are not told: there are too many");
    }

    #[test]
    fn of_a_turn_that_is_not_whole_the_beginning_is_told() {
        let mut recorder = Recorder::new(&Limits::default(), 0);
        recorder.begin_turn(100, 2);
        for at in [101, 102, 103] {
            recorder.look(at);
            recorder.add(ID, Act::Read, State::default(), (at, 0));
        }
        assert!(told(&recorder, 0, 103)[0].ends_with("2 ready, and it does not come to its end"));
        recorder.end_turn(110, false);
        let [line, ..] = &told(&recorder, 0, 110)[..] else { panic!("no turn") };
        assert!(line.ends_with("2 ready, 0 served, worked 10ns"), "{line}");
        let lines = told(&recorder, 0, 102);
        assert!(lines[0].ends_with(", and it does not come to its end"), "{lines:?}");
        assert_eq!(lines.len(), 3);
        assert!(lines[2].contains("102 bytes"), "{lines:?}");
        assert!(told(&recorder, 0, 99).is_empty());
    }
}
