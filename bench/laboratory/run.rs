//! A whole run: all loads, for everybody, in turn.

use std::env;
use std::io;
use std::time::Duration;

use fastrand::Rng;

use super::contest::{self, Contestant, Origin};
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

/// # Errors
/// Which name nobody has.
pub(crate) fn check(options: &Options) -> Result<(), String> {
    let names = architectures::ALL.map(|one| one.name);
    if !options.leaves_all_out()? {
        Options::check("architecture", &options.arch, &names)?;
    }
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
    let mut demands = plan(options, &place, &mut notes)?;
    let origins = contest::wanted(options, &mut notes);
    let all = expected(options, &origins, &demands, &place);
    let mut progress = Progress::new(all);
    let contestants = contest::gather(origins, &demands, &place, time, &mut notes, &mut progress);
    let mut contestants = contestants?;
    set_pace(options, &mut demands, &mut contestants, &place, &mut notes, &mut progress)?;
    if demands.is_empty() || contestants.is_empty() {
        let why = notes.join("\n");
        return Err(io::Error::other(format!("there is nothing left to be measured\n{why}")));
    }
    let cells = measure_all(options, &demands, &mut contestants, &place, &mut progress)?;
    notes.extend(limited(&cells));
    let check = wrk::check(&place, &mut notes, &mut progress).unwrap_or_else(|error| {
        notes.push(format!("The clients were not compared with wrk: {error}."));
        None
    });
    progress.end();
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

/// About how long all of it takes, in seconds.
fn expected(options: &Options, origins: &[Origin], demands: &[Demand], place: &Place) -> f64 {
    let time = Duration::from_secs_f64(options.seconds);
    let one = |origin: &Origin| {
        let its = demands.iter().filter(|demand| origin.why_not(demand, place).is_none());
        let loads: f64 = its.map(|demand| measure::lasts(demand, time)).sum();
        let search = origin.search(demands, place).map_or(0.0, |search| search.lasts_in_all(time));
        loads * f64::from(options.rounds) + search
    };
    let is_paced = demands.iter().any(|demand| demand.workload.is_paced);
    let rate = if is_paced && options.rate.is_none() { contest::pace_lasts(time) } else { 0.0 };
    let beside_wrk = if wrk::is_installed() { wrk::lasts() } else { 0.0 };
    origins.iter().map(one).sum::<f64>() + rate + beside_wrk
}

/// Says at which rate requests come, where that is wanted.
fn set_pace(
    options: &Options,
    demands: &mut Vec<Demand>,
    contestants: &mut [Contestant],
    place: &Place,
    notes: &mut Vec<String>,
    progress: &mut Progress,
) -> io::Result<()> {
    if !demands.iter().any(|demand| demand.workload.is_paced) {
        return Ok(());
    }
    let time = Duration::from_secs_f64(options.seconds);
    let rate = match options.rate {
        Some(rate) => Some(f64::from(rate)),
        None => contest::pace(contestants, place, time, progress)?,
    };
    if rate.is_none() {
        notes.push("paced: there is none of our own to take its rate from; say a --rate.".into());
    }
    demands.retain(|demand| rate.is_some() || !demand.workload.is_paced);
    for demand in demands.iter_mut().filter(|demand| demand.workload.is_paced) {
        demand.rate = rate;
    }
    Ok(())
}

/// All loads, and what is left out of them. The rate of those that have one is not known yet.
fn plan(options: &Options, place: &Place, notes: &mut Vec<String>) -> io::Result<Vec<Demand>> {
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
            demands.push(Demand { workload, at, clients, rate: None });
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
    progress: &mut Progress,
) -> io::Result<Vec<Cell>> {
    let time = Duration::from_secs_f64(options.seconds);
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
            failure: contestants[entrant].origin.why_not(demand, place),
        })
        .collect();
    let asked = demands.iter().map(|demand| place.asked(demand));
    let asked = asked.collect::<io::Result<Vec<Asked>>>()?;
    let mut random = Rng::with_seed(1);
    let mut order: Vec<usize> = (0..count).collect();
    for round in 0..options.rounds {
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
                progress.next(&what, measure::lasts(demand, time));
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
                        let rounds = f64::from(options.rounds - round - 1);
                        progress.less(rounds * measure::lasts(demand, time));
                        // What is left of it could fail for the same reason. If it does not even
                        // start, the next load says so.
                        let _ = contestant.restart(place);
                    }
                }
            }
        }
    }
    cells.retain(|cell| !cell.samples.is_empty() || cell.failure.is_some());
    Ok(cells)
}
