//! One server under one load, once.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use super::clients::Clients;
use super::data::{self, Latency, Sample};
use super::load::Load;
use super::machine::Processes;
use super::place::Asked;
use super::player::Player;
use super::proc::{self, Difference};
use super::seen::Seen;
use super::workloads::{Beside, Demand};

/// What does not count yet.
const WARMING_UP: f64 = 0.2;

/// Opening a connection and closing it, about, in seconds.
const OPENING: f64 = 60e-6;

/// Reading what a server has used, starting it anew, waiting for what is under way: about, in
/// seconds.
const ABOUT: f64 = 0.05;
const STARTING: f64 = 0.1;

/// About how long it takes to measure somebody under this load, in seconds.
pub(crate) fn lasts(demand: &Demand, time: Duration) -> f64 {
    let warming = time.mul_f64(WARMING_UP).max(demand.workload.warming);
    let starting = if demand.workload.beside == Beside::Idle { STARTING } else { 0.0 };
    #[allow(clippy::cast_precision_loss, reason = "some thousand clients")]
    let opening = OPENING * demand.clients as f64;
    (time + warming).as_secs_f64() + opening + ABOUT + starting
}

/// Measures `player` for so long, in a closed loop or at its rate.
///
/// # Errors
/// Where an answer is wrong, or there is none from the beginning.
pub(crate) fn measure(
    player: &mut Player,
    asked: &Asked,
    demand: &Demand,
    time: Duration,
) -> io::Result<Sample> {
    let load = load(player, asked, demand);
    let tells_memory = demand.workload.beside == Beside::Idle;
    let memory = |all: &Option<Processes>| all.as_ref().filter(|_| tells_memory).map(proc::memory);
    let at_rest = player.processes()?;
    let memory_at_rest = memory(&at_rest);
    let at_rest = at_rest.map(|all| all.ids().count());
    let mut clients = Clients::new(&load)?;
    let mut go = |time| match demand.rate {
        None => clients.closed_loop(time),
        Some(rate) => clients.open_loop(rate, time),
    };
    go(time.mul_f64(WARMING_UP).max(demand.workload.warming))?;
    let before = player.used()?;
    let own = own_time();
    let seen = go(time)?;
    let own = own_time().saturating_sub(own);
    if demand.workload.closes {
        // Processes that end are in nobody's account until they have been waited for.
        player.settle(at_rest)?;
    }
    let after = player.used()?;
    let processes = player.processes()?;
    let memory = memory(&processes);
    let threads = processes.as_ref().map(proc::threads);
    drop(clients);
    player.settle(at_rest)?;
    let used = before.zip(after).map(|(before, after)| after.since(before));
    if seen.answers == 0
        && let Some(why) = &seen.first_error
    {
        return Err(io::Error::other(why.clone()));
    }
    Ok(Sample {
        clients_busy: own.as_secs_f64() / seen.time.as_secs_f64(),
        memory,
        memory_at_rest,
        processes: processes.map(|all| all.ids().count()),
        threads,
        ..sample(&seen, used)
    })
}

/// The processor time of this thread, which is all clients.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

pub(crate) fn load<'a>(player: &Player, asked: &'a Asked, demand: &Demand) -> Load<'a> {
    let workload = demand.workload;
    let slow = match workload.beside {
        Beside::Slow(count) => count,
        Beside::Nobody | Beside::Few | Beside::Idle => 0,
    };
    let active = match workload.beside {
        Beside::Nobody => demand.clients,
        Beside::Few | Beside::Idle | Beside::Slow(_) => workload.active,
    };
    Load {
        server: player.address(),
        targets: &asked.targets,
        choices: &asked.choices,
        long: &asked.long,
        active,
        idle: demand.clients - active - slow,
        slow,
        depth: workload.depth,
        closes: workload.closes,
    }
}

fn sample(seen: &Seen, used: Option<Difference>) -> Sample {
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let each = |of: fn(&Difference) -> Option<f64>| {
        let used = used.as_ref().filter(|_| seen.answers > 0)?;
        Some(of(used)? / seen.answers as f64)
    };
    Sample {
        seconds: seen.time.as_secs_f64(),
        answers: seen.answers,
        errors: seen.errors,
        unanswered: seen.unanswered,
        served: Some(seen.served),
        latency: latency(&seen.latency),
        fairness: seen.fairness(),
        time: each(|used| Some(used.time)),
        user: each(|used| Some(used.time * used.user_share?)),
        system: each(|used| Some(used.time * (1.0 - used.user_share?))),
        voluntary: each(|used| Some(used.voluntary)),
        involuntary: each(|used| Some(used.involuntary)),
        ..Sample::default()
    }
}

fn latency(seen: &Histogram<u64>) -> Latency {
    #[allow(clippy::cast_precision_loss, reason = "at most a minute")]
    let at =
        |share: f64| data::tells(seen.len(), share).then(|| seen.value_at_quantile(share) as f64);
    #[allow(clippy::cast_precision_loss, reason = "at most a minute")]
    let distribution = seen
        .iter_quantiles(4)
        .map(|step| (step.quantile_iterated_to(), step.value_iterated_to() as f64))
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "at most a minute")]
    let most = seen.max() as f64;
    Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), most, distribution }
}
