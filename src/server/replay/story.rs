//! What happened in a turn, in lines of text: one for the turn, and one for each moment. Who reads
//! them, and whether they are as they were before, is not known here.

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::http::connection::State;
use crate::server::recorder::{Act, Moment, Note, Recorder, Turn};

/// What the number of a phase means, in the order of `client::Phase`.
const PHASES: [&str; 8] =
    ["head", "content", "later", "gateway", "send", "pause", "idle", "linger"];

/// Appends the story of the last turn, which has this number: its moments are those from `first`
/// on. Some may have happened behind the turn before.
pub(super) fn tell(number: u64, first: u64, recorder: &Recorder, out: &mut String) {
    let Turn { woken_ns, waited_ns, worked_ns, ready, served, first: _ } = *recorder.turn();
    let [waited, worked] = [waited_ns, worked_ns].map(Duration::from_nanos);
    let at = Seconds(woken_ns);
    // A text takes all that is written.
    let _ = writeln!(
        out,
        "{number:>7} {at}  turn    waited {waited:?}, {ready} ready, {served} served, \
         worked {worked:?}"
    );
    for (_, moment) in recorder.moments().since(first) {
        let name = format!("{}.{}", moment.peer.key, moment.peer.generation);
        let at = Seconds(moment.at_ns);
        let (act, [before, after]) = (moment.act.name(), [moment.before, moment.after].map(Stands));
        let _ = write!(out, "{number:>7} {at}  {name:<7} {act:<9} {before} > {after}");
        tell_numbers(moment, recorder, out);
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
}

/// Appends what the numbers of a moment say.
fn tell_numbers(moment: &Moment, recorder: &Recorder, out: &mut String) {
    let Moment { act, amount, detail, .. } = *moment;
    let [phase, goes_on] = detail.to_le_bytes();
    let phase = PHASES.get(usize::from(phase)).copied().unwrap_or("none");
    let _ = match act {
        Act::Accepted | Act::Head => match recorder.notes().get(amount) {
            Some(Note::From(Some(address))) => write!(out, "  from {address}"),
            Some(Note::From(None)) => write!(out, "  from a Unix-domain socket"),
            Some(Note::Line(line)) => {
                write!(out, "  {:?}", String::from_utf8_lossy(line.bytes()))
            }
            None => Ok(()),
        },
        Act::Read | Act::Content | Act::Told | Act::Heard | Act::Wrote | Act::SentFile => {
            write!(out, "  {amount} bytes")
        }
        Act::Dialed => {
            let how = ["kept", "connecting", "starting"].get(usize::from(detail));
            write!(out, "  slot {amount}, {}", how.unwrap_or(&"unknown"))
        }
        Act::Answered => write!(out, "  {detail}, route {amount}"),
        Act::Late => write!(out, "  {phase}"),
        Act::Served => {
            let rest = if goes_on > 0 { ", could go on" } else { "" };
            write!(out, "  {:?}, {phase}{rest}", Duration::from_nanos(amount))
        }
        Act::Waits | Act::Fetches | Act::Finished | Act::Reset | Act::Closed => Ok(()),
    };
}

/// A time of the loop's clock, in nanoseconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// Where a connection stands.
struct Stands(State);

impl fmt::Display for Stands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { reading, writing } = self.0;
        let words = format!("{reading:?} {writing:?}").to_ascii_lowercase();
        write!(f, "{words:<15}")
    }
}
