//! Whether the lines of an access log are those of the requests that were answered. Each request
//! has a number in its target, `?id=CLIENT.REQUEST`. Why a request was not answered is not known
//! here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// What one client has seen: for each of its requests the status of the answer, 0 if none began.
pub(crate) type Statuses = Vec<u16>;

/// What came of the comparison.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) lines: u64,
    /// Those of requests with a number, and of anything else: what was no request, for instance.
    pub(crate) numbered: u64,
    pub(crate) others: u64,
    /// Answers that clients have seen begin.
    pub(crate) seen: u64,
    /// Of these, the ones without a line, with more than one, or with one that says another status.
    pub(crate) missing: u64,
    pub(crate) twice: u64,
    pub(crate) wrong: u64,
    /// Lines about answers that no client has seen, because it did not look.
    pub(crate) unseen: u64,
    /// Numbered lines by their status.
    pub(crate) by_status: BTreeMap<u16, u64>,
}

impl Ledger {
    /// Compares a log in the common format with what the clients have seen.
    pub(crate) fn of(log: &Path, clients: &[Statuses]) -> io::Result<Ledger> {
        let mut ledger = Ledger::default();
        let mut lines: Vec<Vec<u8>> = clients.iter().map(|seen| vec![0; seen.len()]).collect();
        for line in BufReader::new(File::open(log)?).lines() {
            let line = line?;
            ledger.lines += 1;
            let Some((client, request, status)) = numbers(&line) else {
                ledger.others += 1;
                continue;
            };
            ledger.numbered += 1;
            *ledger.by_status.entry(status).or_default() += 1;
            let Some(count) = lines.get_mut(client).and_then(|of| of.get_mut(request)) else {
                ledger.wrong += 1;
                continue;
            };
            *count = count.saturating_add(1);
            let seen = clients[client][request];
            ledger.wrong += u64::from(seen != 0 && seen != status);
            ledger.unseen += u64::from(seen == 0);
        }
        for (status, count) in clients.iter().flatten().zip(lines.iter().flatten()) {
            ledger.seen += u64::from(*status != 0);
            ledger.missing += u64::from(*status != 0 && *count == 0);
            ledger.twice += u64::from(*count > 1);
        }
        Ok(ledger)
    }

    /// How many lines are not as they should be.
    pub(crate) fn faults(&self) -> u64 {
        self.missing + self.twice + self.wrong
    }
}

/// Client, request and status of a line.
fn numbers(line: &str) -> Option<(usize, usize, u16)> {
    let (_, rest) = line.split_once("?id=")?;
    let (id, _) = rest.split_once([' ', '"'])?;
    let (client, request) = id.split_once('.')?;
    let (_, answer) = line.rsplit_once("\" ")?;
    let status = answer.split(' ').next()?;
    Some((client.parse().ok()?, request.parse().ok()?, status.parse().ok()?))
}
