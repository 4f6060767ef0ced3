//! The small pieces, each alone: `cargo bench --bench micro [-- ROW… OPTION…]`.
//!
//! A head is parsed, a request answered by the site, content cut into chunks, a deadline set: for
//! each row the processor time of one operation, and its instructions where valgrind is installed.
//! Instructions do not depend on what else the machine does; the time says what they are worth.
//!
//! All rows have their turn in each round, so that what disturbs the machine for a while disturbs
//! all of them. Each is asked once beforehand whether its result is right. It judges nothing: that
//! is for `--bench instructions`, which knows how many there were before.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]
#![allow(clippy::unwrap_used, reason = "a measurement may fail by panicking")]

#[path = "micro/answers.rs"]
mod answers;
#[path = "throughput/browser.rs"]
mod browser;
#[path = "../tests/support/folder.rs"]
mod folder;
#[path = "micro/loops.rs"]
mod loops;
#[path = "throughput/machine.rs"]
#[allow(dead_code, reason = "throughput uses more of it")]
mod machine;
#[path = "instructions/null.rs"]
mod null;
#[path = "micro/options.rs"]
mod options;
#[path = "micro/protocol.rs"]
mod protocol;
#[path = "micro/rows.rs"]
mod rows;
#[path = "throughput/table.rs"]
#[allow(dead_code, reason = "throughput uses more of it")]
mod table;
#[path = "instructions/told.rs"]
mod told;
#[path = "instructions/valgrind.rs"]
mod valgrind;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use folder::Folder;
use options::Options;
use rows::{ROWS, Row, Work};
use table::{median, short, spread};

/// How long a row has its turn in each round, at least.
const TURN: Duration = Duration::from_millis(30);

/// Operations of the first of two runs under valgrind; as [`rows::DEPTH`] divides it.
const COUNTED: u32 = 8000;

/// Tells this program that it is under valgrind: the row, how often, the folder of files.
const COUNT: &str = "--count";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [first, row, times, root] = &words[..]
        && first == COUNT
    {
        let row = ROWS.iter().find(|known| known.name == row).unwrap();
        (row.prepare)(Path::new(root))(times.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    match Options::read(words) {
        Ok(options) if options.list => {
            for row in &ROWS {
                println!("{:<20}{}", row.name, row.says);
            }
            ExitCode::SUCCESS
        }
        Ok(options) => {
            run(&options);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("micro: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A row that is ready.
struct Ready {
    row: &'static Row,
    work: Work,
    /// How often it is done in each turn.
    times: u32,
    /// Nanoseconds of one operation, one figure for each round.
    costs: Vec<f64>,
}

fn run(options: &Options) {
    let folder = Folder::new();
    rows::write_files(&folder);
    let root = folder.path().join(rows::ROOT);
    let mut chosen: Vec<Ready> = Vec::new();
    for row in ROWS.iter().filter(|row| options.has_row(row.name)) {
        let mut work = (row.prepare)(&root);
        let times = times_of(&mut work);
        chosen.push(Ready { row, work, times, costs: Vec::new() });
    }
    for round in 0..options.rounds {
        for at in 0..chosen.len() {
            // Each round begins with another one.
            let at = (at + round) % chosen.len();
            let Ready { work, times, costs, .. } = &mut chosen[at];
            costs.push(1e9 * time(work, *times).as_secs_f64() / f64::from(*times));
        }
    }
    println!("{}", machine::description());
    let is_counted = options.instructions && valgrind::is_installed();
    if options.instructions && !is_counted {
        println!("valgrind is not installed, so no instructions are counted");
    }
    let (columns, lines) = if is_counted { (" instructions |", "---|") } else { ("", "") };
    println!("\n| row | what | ns |{columns}\n|---|---|---|{lines}");
    for Ready { row, costs, .. } in &chosen {
        let time = format!("{} ± {}", short(median(costs)), short(spread(costs)));
        print!("| {} | {} | {time} |", row.name, row.says);
        if is_counted {
            let each = valgrind::each(COUNTED, |times| count(row, times, &folder));
            print!(" {} |", short(each));
        }
        println!();
    }
}

/// How often it is to be done for a turn. It is warm then.
fn times_of(work: &mut Work) -> u32 {
    let mut times = rows::DEPTH;
    while time(work, times) < TURN {
        times *= 2;
    }
    times
}

/// The processor time that it takes so many times; what others do meanwhile does not count.
fn time(work: &mut Work, times: u32) -> Duration {
    let before = own_time();
    work(times);
    own_time().saturating_sub(before)
}

/// The processor time of this thread until now.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("processor time is never negative")
}

/// All instructions of a program that prepares the row and does it so many times.
fn count(row: &Row, times: u32, folder: &Folder) -> u64 {
    let counts = folder.path().join("counts");
    let mut command = valgrind::counting(&counts);
    command.arg(env::current_exe().unwrap()).args([COUNT, row.name, &times.to_string()]);
    command.arg(folder.path().join(rows::ROOT));
    valgrind::run(command);
    valgrind::total(&counts)
}
