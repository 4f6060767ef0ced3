//! What clients have seen: how many answers there were, for whom, and how long they took.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The most that a latency can be told apart from, in microseconds: a minute.
const LONGEST: u64 = 60_000_000;

/// What has come, and how long it took.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) time: Duration,
    pub(crate) answers: u64,
    /// Connections that broke, or could not be had.
    pub(crate) errors: u64,
    /// Why, the first time.
    pub(crate) first_error: Option<String>,
    /// Requests without an answer at the end (open loop), clients that waited for theirs (closed).
    pub(crate) unanswered: u64,
    /// Microseconds. Those without an answer are in it with the time that they have waited.
    pub(crate) latency: Histogram<u64>,
    /// Clients of all kinds that have heard of the server, ever.
    pub(crate) served: usize,
    /// Answers of each active client.
    pub(crate) shares: Vec<u64>,
}

impl Seen {
    pub(crate) fn new(active: usize) -> io::Result<Seen> {
        let latency = Histogram::new_with_bounds(1, LONGEST, 3).map_err(io::Error::other)?;
        Ok(Seen {
            time: Duration::ZERO,
            answers: 0,
            errors: 0,
            first_error: None,
            unanswered: 0,
            latency,
            served: 0,
            shares: Vec::with_capacity(active),
        })
    }

    /// Jain's index over the clients: 1 where all had as many answers, 1/n where one of n had them
    /// all, 0 where nobody had any.
    pub(crate) fn fairness(&self) -> f64 {
        let square = |share: u64| u128::from(share).pow(2);
        let squares: u128 = self.shares.iter().copied().map(square).sum();
        if squares == 0 {
            return 0.0;
        }
        let all = square(self.shares.iter().sum());
        #[allow(clippy::cast_precision_loss, reason = "only the quotient counts")]
        let index = all as f64 / (self.shares.len() as f64 * squares as f64);
        index
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.latency.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST).max(1));
    }

    pub(crate) fn fail(&mut self, why: String) {
        self.errors += 1;
        self.first_error.get_or_insert(why);
    }
}
