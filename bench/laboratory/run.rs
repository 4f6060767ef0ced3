//! A whole run: all loads, for everybody, in turn.

use std::env;
use std::io;
use std::time::Duration;

use fastrand::Rng;

use super::contest::{self, Contestant};
use super::data::{Cell, Results};
use super::measure;
use super::options::Options;
use super::place::{Asked, Place};
use super::progress::Progress;
use super::servers::PEERS;
use super::workloads::{self, Beside, Demand, What};
use super::{machine, wrk};
use crate::architectures;

/// Clients that are at work for longer have no time left.
const AT_WORK: f64 = 0.95;

/// Opening a connection and closing it, about, in seconds, for the time left.
const OPENING: f64 = 60e-6;

/// # Errors
/// Which name nobody has.
pub(crate) fn check(options: &Options) -> Result<(), String> {
    let names = architectures::ALL.map(|one| one.name);
    Options::check("architecture", &options.arch, &names)?;
    let names = workloads::ALL.each_ref().map(|one| one.name);
    Options::check("workload", &options.workload, &names)?;
    Options::check("peer", &options.peer, &PEERS.each_ref().map(|one| one.name))
}

/// The names of all, each with what it is.
pub(crate) fn list() -> String {
    let line = |name: &str, says: &str| format!("  {name:<15}{says}");
    let mut lines = vec!["architectures".to_owned()];
    lines.extend(architectures::ALL.iter().map(|one| line(one.name, one.idea)));
    lines.push("workloads".to_owned());
    lines.extend(workloads::ALL.iter().map(|one| line(one.name, one.says)));
    lines.push(format!("peers\n  {}", PEERS.each_ref().map(|one| one.name).join(" ")));
    lines.join("\n")
}

/// Measures all that is asked for.
///
/// # Errors
/// Where nobody can be measured at all.
pub(crate) fn run(options: &Options) -> io::Result<Results> {
    let place = Place::new()?;
    let time = Duration::from_secs_f64(options.seconds);
    let mut notes = Vec::new();
    let mut contestants = contest::gather(options, &place, time, &mut notes)?;
    let rate = match options.rate {
        Some(rate) => f64::from(rate),
        None => contest::pace(&mut contestants, &place, time)?,
    };
    let demands = plan(options, &place, rate, &mut notes)?;
    if demands.is_empty() {
        let why = notes.join("\n");
        return Err(io::Error::other(format!("there is nothing left to be measured\n{why}")));
    }
    let cells = measure_all(options, &demands, &mut contestants, &place, time)?;
    notes.extend(limited(&cells));
    let check = wrk::check(&place, &mut notes).unwrap_or_else(|error| {
        notes.push(format!("The clients were not compared with wrk: {error}."));
        None
    });
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let workloads = workloads::ALL.iter();
    let workloads =
        workloads.map(|one| super::data::Workload { name: one.name.into(), says: one.says.into() });
    Ok(Results {
        machine: machine::description(),
        command: format!("cargo bench --bench architectures -- {}", words.join(" ")),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rounds: options.rounds.into(),
        seconds: options.seconds,
        workloads: workloads.collect(),
        entrants: contestants.into_iter().map(|one| one.entrant).collect(),
        cells,
        check,
        notes,
    })
}

/// All loads, and what is left out of them.
fn plan(
    options: &Options,
    place: &Place,
    rate: f64,
    notes: &mut Vec<String>,
) -> io::Result<Vec<Demand>> {
    let mut demands = Vec::new();
    for (at, workload) in workloads::ALL.iter().enumerate() {
        if !Options::wants(&options.workload, workload.name) {
            continue;
        }
        if workload.what == What::Cold && !place.files.can_be_cold()? {
            let name = workload.name;
            notes.push(format!(
                "{name}: files cannot be thrown out of memory where they lie, so nothing is cold."
            ));
            continue;
        }
        let counts = workload.clients(&options.clients);
        if counts.is_empty() {
            notes.push(format!(
                "{}: beside its {} active clients there is nobody idle.",
                workload.name, workload.active
            ));
        }
        for clients in counts {
            if clients as u64 > place.spare() {
                notes.push(format!(
                    "{} with {clients} clients: a process may open {} descriptors (ulimit -n).",
                    workload.name, place.descriptors
                ));
                continue;
            }
            let rate = workload.is_paced.then_some(rate);
            demands.push(Demand { workload, at, clients, rate });
        }
    }
    Ok(demands)
}

/// How often the clients were at their limit.
fn limited(cells: &[Cell]) -> Option<String> {
    let closed = cells.iter().filter(|cell| cell.rate.is_none());
    let samples: Vec<f64> =
        closed.flat_map(|cell| &cell.samples).map(|sample| sample.clients_busy).collect();
    let limited = samples.iter().filter(|&&busy| busy > AT_WORK).count();
    (limited > 0).then(|| {
        format!(
            "In {limited} of {} loads the clients were at work for more than {:.0} % of the time: \
             there they are the limit, and what a server could do more shows in its processor time \
             per answer and not in answers per second.",
            samples.len(),
            AT_WORK * 100.0
        )
    })
}

/// Every load for everybody, again and again: what disturbs the machine for a while disturbs all.
fn measure_all(
    options: &Options,
    demands: &[Demand],
    contestants: &mut [Contestant],
    place: &Place,
    time: Duration,
) -> io::Result<Vec<Cell>> {
    let count = contestants.len();
    let mut cells: Vec<Cell> = demands
        .iter()
        .flat_map(|demand| (0..count).map(move |entrant| (demand, entrant)))
        .map(|(demand, entrant)| Cell {
            entrant,
            workload: demand.at,
            clients: demand.clients,
            rate: demand.rate,
            samples: Vec::new(),
            failure: contestants[entrant].why_not(demand, place),
        })
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "some thousand clients")]
    let much = |demand: &Demand| options.seconds * 1.2 + OPENING * demand.clients as f64;
    let open = cells.iter().enumerate().filter(|(_, cell)| cell.failure.is_none());
    let all: f64 = open.map(|(at, _)| much(&demands[at / count])).sum();
    let mut progress = Progress::new(all * f64::from(options.rounds));
    let asked = demands.iter().map(|demand| place.asked(demand));
    let asked = asked.collect::<io::Result<Vec<Asked>>>()?;
    let mut random = Rng::with_seed(1);
    let mut order: Vec<usize> = (0..count).collect();
    for _ in 0..options.rounds {
        for (at, demand) in demands.iter().enumerate() {
            // Nobody comes behind the same one each time.
            random.shuffle(&mut order);
            for &entrant in &order {
                let cell = &mut cells[at * count + entrant];
                if cell.failure.is_some() {
                    continue;
                }
                let contestant = &mut contestants[entrant];
                let (name, clients) = (&contestant.entrant.name, demand.clients);
                let what = format!("{}, {clients} clients: {name}", demand.workload.name);
                progress.next(&what, much(demand));
                // Memory is measured there, of which an earlier load may have left some.
                let ready = match demand.workload.beside {
                    Beside::Idle => contestant.restart(place),
                    Beside::Nobody | Beside::Few | Beside::Slow(_) => Ok(()),
                };
                let asked = contestant.own.as_ref().unwrap_or(&asked[at]);
                let player = &mut contestant.player;
                match ready.and_then(|()| measure::measure(player, asked, demand, time)) {
                    Ok(sample) => cell.samples.push(sample),
                    Err(error) => {
                        cell.failure = Some(error.to_string());
                        // What is left of it could fail for the same reason. If it does not even
                        // start, the next load says so.
                        let _ = contestant.restart(place);
                    }
                }
            }
        }
    }
    progress.end();
    cells.retain(|cell| !cell.samples.is_empty() || cell.failure.is_some());
    Ok(cells)
}
