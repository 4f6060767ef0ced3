//! What a request costs: `cargo bench --bench throughput [-- ROW… OPTION…]`.
//!
//! oneloop, a bare limit program and every peer that is installed get the same load in turn, round
//! by round, and the processor time that each has used per answer is read from /proc. It judges
//! nothing; bench/README.md says what can be compared, and shows a run.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]

#[path = "throughput/answer.rs"]
mod answer;
#[path = "throughput/browser.rs"]
mod browser;
#[path = "throughput/calls.rs"]
mod calls;
#[path = "../tests/support/folder.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests use more of it, and may panic")]
mod folder;
#[path = "throughput/generator.rs"]
mod generator;
#[path = "throughput/limit.rs"]
mod limit;
#[path = "throughput/machine.rs"]
mod machine;
#[path = "throughput/options.rs"]
mod options;
#[path = "throughput/paced.rs"]
mod paced;
mod percentile;
#[path = "throughput/relay.rs"]
mod relay;
#[path = "throughput/responder.rs"]
mod responder;
#[path = "throughput/resting.rs"]
mod resting;
#[path = "throughput/rows.rs"]
mod rows;
#[path = "throughput/servers.rs"]
mod servers;
#[path = "throughput/spawning.rs"]
mod spawning;
#[path = "throughput/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use answer::Ask;
use folder::Folder;
use generator::{Generator, Load};
use machine::Places;
use options::Options;
use resting::Resting;
use rows::{Files, PACED, ROWS, Row};
use servers::{Behind, Ground, Mode, PEERS, Peer, Server};
use table::{Cell, LIMIT};

/// The limit program once more: what lies between the two is noise.
const CONTROL: &str = "control";

/// The name of the table about servers that have nothing to do.
const RESTING: &str = "resting";

/// How long a server may take to finish what nobody waits for.
const SETTLE: Duration = Duration::from_millis(5);

/// This one program is also those that it measures itself against, and those behind the servers.
fn main() -> ExitCode {
    if std::env::var_os("GATEWAY_INTERFACE").is_some() {
        let answered = responder::answer_as_cgi();
        return if answered.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let bare = words.split_first().and_then(|(first, rest)| match &**first {
        "limit" => Some(limit::main(rest)),
        "relay" => Some(relay::main(rest)),
        "spawning" => Some(spawning::main(rest)),
        "responder" => Some(responder::main(rest)),
        _ => None,
    });
    let ended = match bare {
        Some(ended) => ended.map_err(|error| error.to_string()),
        None => Options::read(words).and_then(|options| run(&options)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("throughput: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if options.list {
        for row in &ROWS {
            println!("{:<14}{}", row.name, row.says);
        }
        println!("{:<14}{}: how long answers take", PACED.name, PACED.says);
        println!("{RESTING:<14}time to the first answer, memory, size");
        let peers = PEERS.iter().map(|peer| peer.name);
        println!(
            "servers: {}",
            [LIMIT, CONTROL].into_iter().chain(peers).collect::<Vec<_>>().join(" ")
        );
        return Ok(());
    }
    measure(options).map_err(|error| error.to_string())
}

/// A server in one row.
struct Entrant {
    server: Rc<Server>,
    asks: Vec<Ask>,
    costs: Vec<f64>,
    /// Why it is not measured in this row.
    failure: Option<String>,
}

/// A row and all who are measured in it, in the order of the table.
struct Contest {
    row: &'static Row,
    entrants: Vec<Entrant>,
}

impl Contest {
    fn find(&self, name: &str) -> Option<&Entrant> {
        self.entrants.iter().find(|entrant| entrant.server.name == name)
    }
}

/// Starts everything, measures, prints.
fn measure(options: &Options) -> io::Result<()> {
    let places = Places::find()?;
    let folder = Folder::new();
    let files = Files::write(&folder.path().join("www"))?;
    machine::stay_on(places.clients)?;
    let programs = folder.path().join("programs");
    let content = files.write_programs(&programs)?;
    let mut behind = Behind { origin: 0, responder: 0, programs: &programs };
    let origin = ROWS[0].limit("origin", &folder.path().join("origin"), &files, behind)?;
    let place = folder.path().join("responder");
    let responder = Server::bare("responder", "responder", &place, &[&content])?;
    behind.origin = origin.address.port();
    behind.responder = responder.address.port();
    describe(options);
    let rows: Vec<&'static Row> = ROWS.iter().filter(|row| options.has_row(row.name)).collect();
    let start = |rows: &[&'static Row]| {
        machine::stay_on(places.servers)?;
        let contests = open(options, rows, folder.path(), &files, behind);
        machine::stay_on(places.clients)?;
        contests
    };
    let mut contests = start(&rows)?;
    if options.calls {
        println!("system calls, over {} s\n", options.time.as_secs_f64());
        calls::measure(&contests, folder.path(), options.time);
        return Ok(());
    }
    if !contests.is_empty() {
        compare(&mut contests, options);
        drop(contests);
    }
    if options.has_row(PACED.name) {
        for mut contest in start(&[&PACED])? {
            paced::measure(&mut contest.entrants, options.rate, options.rounds, options.time);
        }
    }
    if options.has_row(RESTING) {
        let peers: Vec<&Peer> = installed(options).filter(|peer| ROWS[0].takes(peer)).collect();
        Resting { folder: folder.path(), files: &files, places, behind }.measure(&peers)?;
    }
    Ok(())
}

/// Measures what an answer costs everybody in every row, and prints it.
fn compare(contests: &mut [Contest], options: &Options) {
    for round in 0..options.rounds {
        for contest in &mut *contests {
            // Who comes behind whom may matter, so each round begins with another.
            let from = round % contest.entrants.len().max(1);
            contest.entrants.rotate_left(from);
            for entrant in contest.entrants.iter_mut().filter(|one| one.failure.is_none()) {
                match cost(contest.row, entrant, options.time) {
                    Ok(cost) => entrant.costs.push(cost),
                    Err(error) => entrant.fail(&error),
                }
            }
            contest.entrants.rotate_right(from);
        }
    }
    let (rounds, seconds) = (options.rounds, options.time.as_secs_f64());
    println!("{rounds} rounds of {seconds} s; CPU µs per answer · times the limit program's");
    show(contests);
}

/// Starts the servers, and finds out what each must answer in each row.
fn open(
    options: &Options,
    rows: &[&'static Row],
    folder: &Path,
    files: &Files,
    behind: Behind<'_>,
) -> io::Result<Vec<Contest>> {
    let start = |mode: Mode| -> Vec<(&Peer, Rc<Server>)> {
        let is_needed = |peer: &&Peer| rows.iter().any(|row| row.mode == mode && row.takes(peer));
        let start = |peer: &'static Peer| {
            let folder = folder.join(format!("{}-{mode:?}", peer.name));
            let ground = Ground { folder: &folder, root: &files.root, mode, behind };
            peer.start(ground).map(|server| (peer, Rc::new(server)))
        };
        installed(options).filter(is_needed).map(start).inspect(complain).flatten().collect()
    };
    let started = Mode::ALL.map(|mode| (mode, start(mode)));
    let mut contests = Vec::new();
    for &row in rows {
        let mut entrants = Vec::new();
        for name in [LIMIT, CONTROL].into_iter().filter(|name| options.has_server(name)) {
            let folder = folder.join(format!("{name}-{}", row.name));
            let server = row.limit(name, &folder, files, behind)?;
            entrants.push(Entrant::new(row, Rc::new(server), true, files)?);
        }
        let fitting = started.iter().filter(|(mode, _)| *mode == row.mode);
        for (peer, server) in fitting.flat_map(|(_, servers)| servers) {
            if row.takes(peer) {
                entrants.push(Entrant::new(row, Rc::clone(server), false, files)?);
            }
        }
        contests.push(Contest { row, entrants });
    }
    Ok(contests)
}

/// Says who does not start, and is left out.
fn complain<T>(started: &io::Result<T>) {
    if let Err(error) = started {
        println!("left out: {error}");
    }
}

/// The peers that were asked for, oneloop among them.
fn chosen(options: &Options) -> impl Iterator<Item = &'static Peer> {
    PEERS.iter().filter(|peer| options.has_server(peer.name))
}

fn installed(options: &Options) -> impl Iterator<Item = &'static Peer> {
    chosen(options).filter(|peer| peer.path().is_some())
}

impl Entrant {
    fn new(
        row: &'static Row,
        server: Rc<Server>,
        is_limit: bool,
        files: &Files,
    ) -> io::Result<Entrant> {
        let asks = row.asks(server.address, is_limit, files)?;
        Ok(Entrant { server, asks, costs: Vec::new(), failure: None })
    }

    /// Does not hold out in this row: what it has cost before does not count.
    fn fail(&mut self, error: &io::Error) {
        self.costs.clear();
        self.failure = Some(error.to_string());
    }

    fn load(&self, row: &Row) -> Load<'_> {
        Load {
            server: self.server.address,
            asks: &self.asks,
            connections: row.connections,
            idle: row.idle,
            depth: row.depth,
            closes: row.closes,
        }
    }
}

/// What an answer costs one server, measured once. The time is read while nothing is under way.
fn cost(row: &Row, entrant: &Entrant, time: Duration) -> io::Result<f64> {
    let mut generator = Generator::new(entrant.load(row))?;
    generator.run(row.least)?;
    thread::sleep(SETTLE);
    let before = entrant.server.time()?;
    let count = generator.run(time.max(row.least))?;
    thread::sleep(SETTLE);
    Ok(row.cost(entrant.server.time()?.saturating_sub(before), count))
}

/// Says what is measured where, and what is left out.
fn describe(options: &Options) {
    println!("{}", machine::description());
    let mut versions = Vec::new();
    for peer in chosen(options) {
        versions.push(match peer.path() {
            Some(_) => format!("{} {}", peer.name, peer.version()),
            None => format!("{} is not installed", peer.program),
        });
    }
    println!("{}\n", versions.join(", "));
}

/// One table of what is answered from files, and one of what programs behind answer. Each has those
/// who do so at all.
fn show(contests: &[Contest]) {
    for are_files in [true, false] {
        let fits = |contest: &&Contest| contest.row.mode.has_files_only() == are_files;
        let contests = || contests.iter().filter(fits);
        let has = |name: &&str| contests().any(|contest| contest.find(name).is_some());
        let peers = PEERS.iter().map(|peer| peer.name);
        let names: Vec<&str> = [LIMIT, CONTROL].into_iter().chain(peers).filter(has).collect();
        if names.is_empty() {
            continue;
        }
        println!("\n{}", table::head("row", &names));
        for contest in contests() {
            let costs = |&name| contest.find(name).map_or(&[][..], |entrant| &entrant.costs);
            let cells: Vec<Cell<'_>> =
                names.iter().map(|name| Cell { server: name, costs: costs(name) }).collect();
            println!("{}", table::line(contest.row.says, &cells));
        }
    }
    for contest in contests {
        let mut failures: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for entrant in &contest.entrants {
            if let Some(failure) = &entrant.failure {
                failures.entry(failure).or_default().push(entrant.server.name);
            }
        }
        for (failure, names) in failures {
            println!("\n`{}`, {}: {failure}", contest.row.name, names.join(", "));
        }
    }
}
