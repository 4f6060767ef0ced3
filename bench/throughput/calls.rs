//! System calls per answer, counted by strace. It slows a server down, so more is ready at each
//! look: calls that serve many clients at once, such as `epoll_wait`, come less often than they
//! would.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::generator::Generator;
use crate::table;
use crate::{Contest, Entrant};

/// Calls that come less often are left out.
const FEWEST: f64 = 0.005;

/// Counts for everybody in every row, and prints a table.
pub(crate) fn measure(contests: &[Contest], folder: &Path, time: Duration) {
    println!("{}", table::head("row", &["server", "in all", "system calls per answer"]));
    for contest in contests {
        for entrant in &contest.entrants {
            let counted = count(contest, entrant, &folder.join("calls"), time);
            let (row, server) = (contest.row.name, entrant.server.name);
            match counted {
                Ok(calls) => println!("| {row} | {server} | {} |", tell(&calls)),
                Err(error) => println!("| {row} | {server} | – | {error} |"),
            }
        }
    }
}

/// How often each call was made for one answer.
fn count(
    contest: &Contest,
    entrant: &Entrant,
    file: &Path,
    time: Duration,
) -> io::Result<BTreeMap<String, f64>> {
    let mut generator = Generator::new(entrant.load(contest.row))?;
    generator.run(contest.row.least)?;
    let processes = entrant.server.processes()?;
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-o"]).arg(file);
    for id in processes.ids() {
        command.args(["-p", &id.to_string()]);
    }
    let strace = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut strace = strace.map_err(|error| io::Error::other(format!("strace: {error}")))?;
    let mut said = BufReader::new(strace.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?).lines();
    let mut attached = 0;
    while attached < processes.ids().count() {
        let line = said.next().transpose()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        attached += usize::from(line.ends_with("attached") || line.contains(" attached with "));
    }
    let counted = generator.run(time);
    Command::new("kill").args(["-s", "INT", &strace.id().to_string()]).status()?;
    strace.wait()?;
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let answers = counted?.answers as f64;
    let mut calls = BTreeMap::new();
    for line in fs::read_to_string(file)?.lines() {
        // The share, seconds, microseconds per call, calls, perhaps errors, the name.
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [share, _, _, number, .., name] = &*words
            && share.parse::<f64>().is_ok()
            && *name != "total"
            && let Ok(number) = number.parse::<f64>()
        {
            calls.insert((*name).to_owned(), number / answers);
        }
    }
    Ok(calls)
}

/// The sum, and all that come often, the most frequent first.
fn tell(calls: &BTreeMap<String, f64>) -> String {
    let mut often: Vec<_> = calls.iter().filter(|(_, count)| **count >= FEWEST).collect();
    often.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let often: Vec<String> =
        often.iter().map(|(name, count)| format!("{name} {}", table::short(**count))).collect();
    format!("{} | {}", table::short(calls.values().sum()), often.join(", "))
}
