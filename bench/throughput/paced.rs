//! Requests at a fixed rate, whatever becomes of the earlier ones: how long each answer takes,
//! counted from when its request was due. One that finds no free connection is sent as soon as
//! there is one, and has waited meanwhile.
//!
//! Between two requests the clients look again and again in place of sleeping: to wake up takes
//! longer than most answers. How late they are all the same is measured too.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::Events;

use crate::Entrant;
use crate::generator::{Generator, PATIENCE, STANDS_STILL};
use crate::percentile::percentile;
use crate::rows::PACED;
use crate::table;

/// What does not count yet.
const WARMING_UP: Duration = Duration::from_millis(200);

/// The columns, of which the times are in microseconds.
const COLUMNS: [&str; 5] = ["p50, µs", "p99", "p99.9", "answers per second", "sent late, p99"];

/// What was seen of one server in one round, by column.
type Seen = [f64; COLUMNS.len()];

/// Measures all of them in turn, and prints a table.
pub(crate) fn measure(entrants: &mut [Entrant], rate: u32, rounds: usize, time: Duration) {
    let time = time.max(PACED.least);
    let mut seen: Vec<Vec<Seen>> = entrants.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for turn in 0..entrants.len() {
            let at = (round + turn) % entrants.len();
            if entrants[at].failure.is_some() {
                continue;
            }
            match go(&entrants[at], rate, time) {
                Ok(now) => seen[at].push(now),
                Err(error) => entrants[at].fail(&error),
            }
        }
    }
    println!(
        "\n{rounds} rounds of {} s; {}, {rate} requests per second\n",
        time.as_secs_f64(),
        PACED.says
    );
    println!("{}", table::head(PACED.name, &COLUMNS));
    for (entrant, seen) in entrants.iter().zip(&seen) {
        let name = entrant.server.name;
        if let Some(failure) = &entrant.failure {
            println!("| {name} | {failure} |{}", " – |".repeat(COLUMNS.len() - 1));
            continue;
        }
        let cells = (0..COLUMNS.len()).map(|column| {
            let values: Vec<f64> = seen.iter().map(|seen| seen[column]).collect();
            let [median, spread] = [table::median(&values), table::spread(&values)];
            format!(" {} ± {} |", table::short(median), table::short(spread))
        });
        println!("| {name} |{}", cells.collect::<String>());
    }
}

/// One server, once.
fn go(entrant: &Entrant, rate: u32, time: Duration) -> io::Result<Seen> {
    let mut generator = Generator::new(entrant.load(&PACED))?;
    run(&mut generator, rate, WARMING_UP)?;
    run(&mut generator, rate, time)
}

/// Sends as many requests as are due in this time, and waits for all answers.
fn run(generator: &mut Generator<'_>, rate: u32, time: Duration) -> io::Result<Seen> {
    let mut events = Events::with_capacity(PACED.connections);
    // What was answered before this is no news.
    generator.look(&mut events)?.for_each(drop);
    let begun = Instant::now();
    // Due times are made of whole numbers: no error adds up.
    let due = |number: u32| begun + Duration::from_secs(number.into()) / rate;
    let (mut requests, end) = (0, begun + time);
    let mut free: VecDeque<(usize, Instant)> =
        (0..PACED.connections).map(|at| (at, begun)).collect();
    // When that which each connection waits for was due.
    let mut asked = vec![begun; PACED.connections];
    let (mut taken, mut late) = (Vec::new(), Vec::new());
    let mut heard = begun;
    loop {
        for (at, answered) in generator.look(&mut events)? {
            taken.push(microseconds(answered - asked[at]));
            free.push_back((at, answered));
            heard = answered;
        }
        let now = Instant::now();
        while due(requests) < end.min(now)
            && let Some((at, since)) = free.pop_front()
        {
            asked[at] = due(requests);
            requests += 1;
            // It is not the clients' fault that no connection was free.
            late.push(microseconds(since.max(asked[at]).elapsed()));
            generator.ask(at)?;
        }
        let has_all = taken.len() == late.len();
        if has_all && due(requests) >= end {
            break;
        }
        if !has_all && now > heard + PATIENCE {
            return Err(io::Error::other(STANDS_STILL));
        }
    }
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile(&taken, share));
    let per_second = f64::from(requests) / (heard.max(end) - begun).as_secs_f64();
    Ok([p50, p99, p999, per_second, percentile(&late, 0.99)])
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
