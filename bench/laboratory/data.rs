//! What was measured, as plain data: the raw values of every round. How it came about, and how it
//! is shown, is not known here.

use serde::{Deserialize, Serialize};

/// One run of the laboratory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Date, processors and system.
    pub(crate) machine: String,
    /// What was typed.
    pub(crate) command: String,
    /// The version of oneloop.
    pub(crate) version: String,
    pub(crate) rounds: usize,
    /// How long each load took, in seconds.
    pub(crate) seconds: f64,
    pub(crate) entrants: Vec<Entrant>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) check: Option<Check>,
    /// What was left out, and why: sentences.
    pub(crate) notes: Vec<String>,
}

/// Who was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entrant {
    /// As in `--arch`, `--peer` or `--url`.
    pub(crate) name: String,
    /// What it does, in half a line.
    pub(crate) idea: String,
    pub(crate) kind: Kind,
    /// How many threads, processes or loops it has, where there is something to choose.
    pub(crate) size: Option<usize>,
    /// How that was chosen: what else was tried.
    pub(crate) search: Vec<Tried>,
}

/// What kind of server that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// oneloop's core under one of the architectures.
    Architecture,
    /// An installed server.
    Peer,
    /// A server that somebody else has started: only its answers are seen.
    Url,
}

/// One size that was tried.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Tried {
    pub(crate) size: usize,
    /// Answers per second.
    pub(crate) rate: f64,
    /// By how many clients, and how many of those waited in vain.
    #[serde(default)]
    pub(crate) clients: usize,
    #[serde(default)]
    pub(crate) unanswered: u64,
}

/// What was asked of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Workload {
    /// As in `--workload`.
    pub(crate) name: String,
    /// What it is, in a line.
    pub(crate) says: String,
}

/// One entrant under one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Places in [`Results::entrants`] and [`Results::workloads`].
    pub(crate) entrant: usize,
    pub(crate) workload: usize,
    /// Clients, with those that are slow or idle.
    pub(crate) clients: usize,
    /// Requests per second, where they come at a fixed rate whatever becomes of the earlier ones
    /// (open loop); `None`: each client asks again when it has its answer (closed loop).
    pub(crate) rate: Option<f64>,
    /// One for each round.
    pub(crate) samples: Vec<Sample>,
    /// Why it was not measured, or not to the end.
    pub(crate) failure: Option<String>,
}

/// What was seen in one round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// How long it took.
    pub(crate) seconds: f64,
    /// Answers, each whole and right.
    pub(crate) answers: u64,
    /// Connections that broke, or could not be had.
    pub(crate) errors: u64,
    /// Requests that were due and had no answer when the time was over (open loop), or clients that
    /// waited for theirs (closed loop).
    pub(crate) unanswered: u64,
    /// Microseconds until the last byte of an answer, from when its request was sent (closed loop)
    /// or was due (open loop). What has no answer is in it with the time that it has waited.
    pub(crate) latency: Latency,
    /// Jain's index over the answers of the clients: 1 where all had as many, 1/n where one of n
    /// had them all.
    pub(crate) fairness: f64,
    /// The share of the time in which the clients were at work. Near 1 they are what limits the
    /// answers, and not the server.
    #[serde(default)]
    pub(crate) clients_busy: f64,
    /// The server's processor time per answer in microseconds. `None`: nobody could tell.
    pub(crate) time: Option<f64>,
    /// How much of it was in its own code, and in the kernel. The system looks a hundred times a
    /// second; `None`: never while one of these processes was there.
    pub(crate) user: Option<f64>,
    pub(crate) system: Option<f64>,
    /// Context switches of the server per answer: it waited, or was made to.
    pub(crate) voluntary: Option<f64>,
    pub(crate) involuntary: Option<f64>,
    /// Connections that have had an answer, be it the only one: the others only wait to be accepted
    /// or served. `None`: nobody has counted them.
    #[serde(default)]
    pub(crate) served: Option<usize>,
    /// KiB of the server's processes under this load, each shared page counted by its share (PSS).
    pub(crate) memory: Option<u64>,
    /// The same with no client at all.
    pub(crate) memory_at_rest: Option<u64>,
    pub(crate) processes: Option<usize>,
    /// In all processes.
    pub(crate) threads: Option<usize>,
}

/// How long answers took, in microseconds. `None`: there were too few of them to tell.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
    pub(crate) most: f64,
    /// The whole distribution: a share of the answers, and how long those took at most. Ascending
    /// in both.
    pub(crate) distribution: Vec<(f64, f64)>,
}

/// So many of `count` values must lie beyond a quantile for it to be told: with fewer, another
/// round would have quite another one.
pub(crate) const BEYOND: u32 = 10;

/// Whether so many values tell the one that the part `share` of them does not exceed. The longest
/// of all is no quantile.
pub(crate) fn tells(count: u64, share: f64) -> bool {
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let beyond = count as f64 * (1.0 - share);
    share >= 1.0 || beyond + 1e-6 >= f64::from(BEYOND)
}

/// The generator beside wrk, each against the same server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Check {
    /// Answers per second, of each round.
    pub(crate) own: Vec<f64>,
    pub(crate) wrk: Vec<f64>,
}
