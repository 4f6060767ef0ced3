//! The measured seen from one side: one load, one figure, all entrants. How it is drawn or told is
//! not known here.

use super::data::{BEYOND, Cell, Entrant, Results, Sample, tells};
use super::numbers::{Spread, clients, float, float64, grouped, listed, rough};

/// What all entrants had to do at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) workload: usize,
    pub(crate) clients: usize,
    pub(crate) rate: Option<f64>,
}

/// One entrant's figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Its place among the entrants.
    pub(crate) entrant: usize,
    pub(crate) name: &'a str,
    pub(crate) spread: Spread,
}

/// What is looked at: a figure of one round, if there is one.
pub(crate) type Measure = fn(&Cell, &Sample) -> Option<f64>;

impl Load {
    pub(crate) fn of(cell: &Cell) -> Load {
        Load { workload: cell.workload, clients: cell.clients, rate: cell.rate }
    }

    /// `docs, 100 clients`.
    pub(crate) fn says(&self, results: &Results) -> String {
        let name = results.workloads.get(self.workload).map_or("?", |workload| &workload.name);
        format!("{name}, {}", self.numbers())
    }

    /// `100 clients`, and the rate if it is fixed.
    pub(crate) fn numbers(&self) -> String {
        match self.rate {
            Some(rate) => {
                format!("{}, {} requests per second", clients(self.clients), rough(rate))
            }
            None => clients(self.clients),
        }
    }
}

/// All loads, in the order of the workloads; those with few clients first.
pub(crate) fn loads(results: &Results) -> Vec<Load> {
    let mut loads: Vec<Load> = Vec::new();
    for cell in &results.cells {
        let load = Load::of(cell);
        let is_known = cell.entrant < results.entrants.len();
        if load.workload < results.workloads.len() && is_known && !loads.contains(&load) {
            loads.push(load);
        }
    }
    loads.sort_by(|one, other| {
        let rate = |load: &Load| load.rate.unwrap_or(0.0);
        one.workload
            .cmp(&other.workload)
            .then(rate(one).total_cmp(&rate(other)))
            .then(one.clients.cmp(&other.clients))
    });
    loads
}

/// The loads of each workload that is asked as fast as answers come, workload by workload.
pub(crate) fn sweeps(results: &Results) -> Vec<Vec<Load>> {
    let mut sweeps: Vec<Vec<Load>> = Vec::new();
    for load in loads(results).into_iter().filter(|load| load.rate.is_none()) {
        match sweeps.last_mut() {
            Some(sweep) if sweep[0].workload == load.workload => sweep.push(load),
            Some(_) | None => sweeps.push(vec![load]),
        }
    }
    sweeps
}

/// The workload that has the most numbers of clients, and of these the first, unless most of its
/// clients are idle.
pub(crate) fn main_sweep(results: &Results) -> Option<Vec<Load>> {
    let sweeps = sweeps(results);
    let rank = |sweep: &Vec<Load>| (!is_idle(results, sweep[0].workload), sweep.len());
    let best = sweeps.iter().map(rank).max()?;
    sweeps.into_iter().find(|sweep| rank(sweep) == best)
}

/// Whether clients of this workload are idle. Only its name can tell.
pub(crate) fn is_idle(results: &Results, workload: usize) -> bool {
    results.workloads.get(workload).is_some_and(|workload| workload.name.contains("idle"))
}

pub(crate) fn cell<'a>(results: &'a Results, entrant: usize, load: &Load) -> Option<&'a Cell> {
    results.cells.iter().find(|cell| cell.entrant == entrant && Load::of(cell) == *load)
}

/// What was measured in all rounds. Nothing, where something failed: its rounds are not like those
/// of the others.
pub(crate) fn spread(cell: &Cell, measure: Measure) -> Option<Spread> {
    if cell.failure.is_some() {
        return None;
    }
    raw_spread(cell, measure)
}

/// The same of those that failed as well. What most rounds do not have, nobody has.
pub(crate) fn raw_spread(cell: &Cell, measure: Measure) -> Option<Spread> {
    let values: Vec<f64> = cell.samples.iter().filter_map(|sample| measure(cell, sample)).collect();
    (values.len() * 2 > cell.samples.len()).then(|| Spread::of(&values))?
}

/// All entrants that have this figure under this load, in their order.
pub(crate) fn entries<'a>(results: &'a Results, load: &Load, measure: Measure) -> Vec<Entry<'a>> {
    let entry = |(at, entrant): (usize, &'a Entrant)| {
        let spread = spread(cell(results, at, load)?, measure)?;
        Some(Entry { entrant: at, name: &entrant.name, spread })
    };
    results.entrants.iter().enumerate().filter_map(entry).collect()
}

/// The one of `loads` that most entrants have this figure of; among equals the one that `prefer`
/// gives the most.
pub(crate) fn fullest(
    results: &Results,
    loads: &[Load],
    measure: Measure,
    prefer: impl Fn(&Load) -> f64,
) -> Option<Load> {
    let rank = |load: &Load| (entries(results, load, measure).len(), prefer(load));
    let is_better = |one: &Load, other: &Load| {
        let (one, other) = (rank(one), rank(other));
        one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
    };
    let best = loads.iter().copied().max_by(|one, other| is_better(one, other))?;
    (rank(&best).0 > 0).then_some(best)
}

/// Prefers a middling number of clients.
pub(crate) fn near_100(load: &Load) -> f64 {
    -(float(load.clients.max(1)) / 100.0).ln().abs()
}

/// Prefers many clients.
pub(crate) fn most_clients(load: &Load) -> f64 {
    float(load.clients)
}

/// Whose figures under these loads are not like those of the others: one sentence for each reason.
/// Who has no `drawn` figure, and so a cross in the drawing, has a cross here too.
pub(crate) fn oddities(results: &Results, loads: &[Load], drawn: Measure) -> Vec<String> {
    let mut told: Vec<Oddity> = Vec::new();
    for load in loads {
        for entrant in 0..results.entrants.len() {
            let Some(cell) = cell(results, entrant, load) else { continue };
            // Clients that are idle want no answer.
            let is_odd = !is_idle(results, load.workload) && leaves(cell);
            let why = match &cell.failure {
                Some(failure) => format!("failed: {}", failure.trim_end_matches('.')),
                None if is_odd && load.rate.is_some() => {
                    "left more than one in a hundred requests without an answer".into()
                }
                None if is_odd => {
                    "left more than one in a hundred of them without an answer".into()
                }
                None if !leaves(cell) && spread(cell, drawn).is_none() => format!(
                    "had too few answers in a round to tell this: at least {BEYOND} must lie beyond"
                ),
                None => continue,
            };
            match told.iter_mut().find(|odd| odd.entrants == [entrant] && odd.why == why) {
                Some(odd) => odd.loads.push(*load),
                None => told.push(Oddity { entrants: vec![entrant], why, loads: vec![*load] }),
            }
        }
    }
    // Those of whom the same is to be said are in one sentence.
    let mut together: Vec<Oddity> = Vec::new();
    for mut odd in told {
        match together.iter_mut().find(|other| other.why == odd.why && other.loads == odd.loads) {
            Some(other) => other.entrants.append(&mut odd.entrants),
            None => together.push(odd),
        }
    }
    together.iter().map(|odd| odd.says(results, drawn)).collect()
}

/// What is to be said of some entrants under some loads.
struct Oddity {
    entrants: Vec<usize>,
    why: String,
    loads: Vec<Load>,
}

impl Oddity {
    fn says(&self, results: &Results, drawn: Measure) -> String {
        let mut at: Vec<String> =
            self.loads.iter().map(|load| grouped(float(load.clients))).collect();
        if let (Some(words), Some(load)) = (at.last_mut(), self.loads.last()) {
            *words = load.numbers();
        }
        let name = |entrant: &usize| results.entrants[*entrant].name.clone();
        let names: Vec<String> = self.entrants.iter().map(name).collect();
        let is_crossed = |load: &Load| {
            let cells = self.entrants.iter().filter_map(|entrant| cell(results, *entrant, load));
            cells.into_iter().any(|cell| lacks(cell, drawn))
        };
        let cross = if self.loads.iter().any(is_crossed) { "✕ " } else { "" };
        format!("{cross}With {}, {} {}.", listed(&at), listed(&names), self.why)
    }
}

/// Whether it failed, or has not this figure because it has left clients without an answer.
pub(crate) fn lacks(cell: &Cell, measure: Measure) -> bool {
    cell.failure.is_some() || leaves(cell) && spread(cell, measure).is_none()
}

/// Whether it has left more than one in a hundred without an answer, in most rounds.
fn leaves(cell: &Cell) -> bool {
    let is_left = |sample: &&Sample| left(cell, sample) > 0.01 + 1e-9;
    cell.samples.iter().filter(is_left).count() * 2 >= cell.samples.len().max(1)
}

/// Answers in a second.
pub(crate) fn rate(_: &Cell, sample: &Sample) -> Option<f64> {
    (sample.seconds > 0.0).then(|| float64(sample.answers) / sample.seconds)
}

/// How long the part `share` of all requests took at most. Where some had no answer, they took
/// longer than any other: a server does not become fast by leaving those out that would wait.
pub(crate) fn longest(cell: &Cell, sample: &Sample, share: f64) -> Option<f64> {
    let left = left(cell, sample);
    let due = if cell.rate.is_some() { sample.unanswered } else { 0 };
    if sample.answers == 0 || share > 1.0 - left + 1e-9 || !tells(sample.answers + due, share) {
        return None;
    }
    // At a fixed rate all that was due is in the distribution, and else one for each client.
    let share = if cell.rate.is_some() { share } else { share / (1.0 - left) };
    let latency = &sample.latency;
    let found =
        latency.distribution.iter().find(|(part, _)| *part >= share - 1e-9).map(|(_, time)| *time);
    Some(found.unwrap_or(latency.most))
}

/// The part of the requests, or where each client asks as soon as it can of the clients, that had
/// no answer.
fn left(cell: &Cell, sample: &Sample) -> f64 {
    let without = float64(sample.unanswered);
    let all = match cell.rate {
        Some(_) => float64(sample.answers) + without,
        None => float(cell.clients.max(1)),
    };
    (without / all).min(1.0)
}

/// `value` is the same of the whole distribution, and exact.
fn quantile(cell: &Cell, sample: &Sample, share: f64, value: Option<f64>) -> Option<f64> {
    let longest = longest(cell, sample, share)?;
    let is_exact = cell.rate.is_some() || sample.unanswered == 0;
    if is_exact { value } else { Some(longest) }
}

pub(crate) fn p50(cell: &Cell, sample: &Sample) -> Option<f64> {
    quantile(cell, sample, 0.5, sample.latency.p50)
}

pub(crate) fn p90(cell: &Cell, sample: &Sample) -> Option<f64> {
    quantile(cell, sample, 0.9, sample.latency.p90)
}

pub(crate) fn p99(cell: &Cell, sample: &Sample) -> Option<f64> {
    quantile(cell, sample, 0.99, sample.latency.p99)
}

pub(crate) fn p999(cell: &Cell, sample: &Sample) -> Option<f64> {
    quantile(cell, sample, 0.999, sample.latency.p999)
}

pub(crate) fn most(cell: &Cell, sample: &Sample) -> Option<f64> {
    quantile(cell, sample, 1.0, Some(sample.latency.most))
}

pub(crate) fn fairness(_: &Cell, sample: &Sample) -> Option<f64> {
    (sample.answers > 0).then_some(sample.fairness)
}

pub(crate) fn user(cell: &Cell, sample: &Sample) -> Option<f64> {
    Some(processor(cell, sample)? * user_share(cell)?)
}

pub(crate) fn system(cell: &Cell, sample: &Sample) -> Option<f64> {
    Some(processor(cell, sample)? * (1.0 - user_share(cell)?))
}

/// How much of its time it was in its own code, over all rounds: the system looks some hundred
/// times a second where it is, which is too seldom for one.
fn user_share(cell: &Cell) -> Option<f64> {
    let mut sums = [0.0; 2];
    for sample in &cell.samples {
        let (Some(user), Some(system)) = (sample.user, sample.system) else { continue };
        for (sum, each) in sums.iter_mut().zip([user, system]) {
            *sum += each * float64(sample.answers);
        }
    }
    let all = sums[0] + sums[1];
    (all > 0.0).then(|| sums[0] / all)
}

/// User and system together.
pub(crate) fn processor(_: &Cell, sample: &Sample) -> Option<f64> {
    sample.time
}

pub(crate) fn voluntary(_: &Cell, sample: &Sample) -> Option<f64> {
    sample.voluntary
}

pub(crate) fn involuntary(_: &Cell, sample: &Sample) -> Option<f64> {
    sample.involuntary
}

/// Voluntary and involuntary together.
pub(crate) fn switches(_: &Cell, sample: &Sample) -> Option<f64> {
    Some(sample.voluntary? + sample.involuntary?)
}

/// KiB for each connection that is served, beyond what is there without one. Those that have no
/// answer yet would make a server look small that leaves them in the kernel's queue.
pub(crate) fn memory(cell: &Cell, sample: &Sample) -> Option<f64> {
    let more = float64(sample.memory?) - float64(sample.memory_at_rest?);
    Some(more / float(sample.served.unwrap_or(cell.clients).max(1)))
}

pub(crate) fn processes(_: &Cell, sample: &Sample) -> Option<f64> {
    sample.processes.map(float)
}

pub(crate) fn threads(_: &Cell, sample: &Sample) -> Option<f64> {
    sample.threads.map(float)
}

/// Of all rounds together.
pub(crate) fn errors(cell: &Cell) -> u64 {
    cell.samples.iter().map(|sample| sample.errors).sum()
}

/// Of all rounds together.
pub(crate) fn unanswered(cell: &Cell) -> u64 {
    cell.samples.iter().map(|sample| sample.unanswered).sum()
}
