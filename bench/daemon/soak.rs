//! Everything at once, for minutes: what the daemon has at its end that it had not before, and
//! whether its books are right.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::ledger::Ledger;
use super::process::{Daemon, Memory, wait_until};
use super::visitor::{LARGE, Visitor};
use super::{origin, responder, write_table};

/// What a daemon is at rest with.
struct Rest {
    memory: Memory,
    descriptors: usize,
}

/// Memory of this many KiB more is no more: what the allocator keeps of the largest moment grows
/// with ever rarer ones, and ever less. The warm-up is long for the same reason.
const TOLERANCE: u64 = 512;

/// So many times all clients go, and what is left is looked at.
const PARTS: u32 = 10;

/// How many things are not as they should be.
pub(crate) fn soak(minutes: usize, clients: usize) -> io::Result<usize> {
    let lasts = Duration::from_secs(60 * minutes as u64);
    let folder = Folder::new();
    configure(&folder)?;
    let mut daemon = Daemon::start(&folder, "")?;
    let warm_up = lasts / 2;
    println!("{clients} clients, {} s to warm up, then {minutes} min\n", warm_up.as_secs());
    write_table(&["at rest", "resident, KiB", "its own, KiB", "descriptors"]);
    at_rest(&mut daemon)?.write("at start");
    let mut visitors = visit(&daemon, clients, 0, warm_up)?;
    let before = at_rest(&mut daemon)?;
    before.write("before");
    let mut after = None;
    for part in 1..=PARTS {
        visitors.extend(visit(&daemon, clients, visitors.len(), lasts / PARTS)?);
        let rest = at_rest(&mut daemon)?;
        rest.write(&format!("after {part}/{PARTS}"));
        after = Some(rest);
    }
    let after = after.ok_or(io::ErrorKind::InvalidInput)?;
    let metrics = daemon.admin("/metrics")?;
    let log = folder.path().join("access.log");
    let mut faults = check_books(&log, &metrics, &mut visitors)?;
    let memory = [before.memory.resident, before.memory.own];
    for (was, is) in memory.into_iter().zip([after.memory.resident, after.memory.own]) {
        faults += usize::from(is > was + TOLERANCE);
    }
    faults += usize::from(after.descriptors != before.descriptors);
    let said = daemon.said();
    let panics = said.lines().filter(|line| line.contains("panicked")).count();
    let panics = panics.max(count(&metrics, "oneloop_panics_total"));
    println!("Panics: {panics}.");
    for line in said.lines().filter(|line| line.contains("ERROR")).take(5) {
        println!("  {line}");
    }
    daemon.end()?;
    Ok(faults + panics)
}

impl Rest {
    fn write(&self, when: &str) {
        let Memory { resident, own } = self.memory;
        println!("| {when} | {resident} | {own} | {} |", self.descriptors);
    }
}

fn configure(folder: &Folder) -> io::Result<()> {
    folder.write("www/small.txt", [b's'; 1024]);
    folder.write("www/large.bin", vec![b'l'; LARGE]);
    let origin = origin::start()?;
    let content = folder.write("content", [b'f'; 700]);
    // It is to bind a port by its number, as a program would.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let arguments = [port.to_string(), content.display().to_string()];
    thread::spawn(move || responder::main(&arguments));
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateways/programs/cgi");
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"unix:./admin\"\n\
         [limits]\nhead = {{ timeout = \"1s\" }}\ncontent = {{ timeout = \"1s\" }}\n\
         persistent = {{ requests = 500 }}\nhalf-closed = \"500ms\"\nlinger = \"500ms\"\n\
         [log]\naccess = {{ to = \"./access.log\", format = \"common\" }}\n\
         [[site]]\nroot = \"www\"\n\
         [[site.route]]\npath = \"/cgi/*\"\ncgi = {{ root = \"{scripts}\", queue = 1000 }}\n\
         [[site.route]]\npath = \"/fastcgi/*\"\n\
         fastcgi = {{ to = \"127.0.0.1:{port}\", root = \"/\", persistent = 8, idle = \"1s\" }}\n\
         [[site.route]]\npath = \"/origin/*\"\n\
         proxy = {{ to = \"http://{origin}\", persistent = 8, idle = \"1s\" }}\n"
    );
    folder.write("oneloop.toml", config);
    Ok(())
}

/// Has clients visit the daemon for a while. The first of them has the number `first`.
fn visit(
    daemon: &Daemon,
    clients: usize,
    first: usize,
    lasts: Duration,
) -> io::Result<Vec<Visitor>> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = &is_over;
        let visitor = |number| {
            let visitor = Visitor::new(daemon.address, number);
            scope.spawn(move || visitor.visit(is_over))
        };
        let threads: Vec<_> = (first..first + clients).map(visitor).collect();
        thread::sleep(lasts);
        is_over.store(true, Ordering::Release);
        let joined = threads.into_iter().map(ScopedJoinHandle::join);
        joined.map(|visitor| visitor.map_err(|_| io::Error::other("a client panicked"))).collect()
    })
}

/// Waits until nobody is there and nothing is kept for anybody, and what there is does not change.
fn at_rest(daemon: &mut Daemon) -> io::Result<Rest> {
    let process = daemon.process();
    wait_until("all have gone", || {
        let metrics = daemon.admin("/metrics").unwrap_or_default();
        let names = ["oneloop_connections{", "oneloop_gateway_running{", "oneloop_gateway_idle{"];
        !metrics.is_empty() && names.iter().all(|name| count(&metrics, name) == 0)
    })?;
    let (mut last, mut since) = (process.descriptors()?, Instant::now());
    wait_until("nothing changes", || {
        let now = process.descriptors().unwrap_or(0);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_secs(2)
    })?;
    Ok(Rest { memory: process.memory()?, descriptors: last })
}

/// The sum of all samples whose line begins so.
fn count(metrics: &str, name: &str) -> usize {
    let samples = metrics.lines().filter(|line| line.starts_with(name));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

/// Compares what clients have seen, what the log says, and what was counted.
fn check_books(log: &Path, metrics: &str, visitors: &mut [Visitor]) -> io::Result<usize> {
    let answers = count(metrics, "oneloop_requests_total{");
    wait_until("all lines are written", || {
        let text = fs::read(log).unwrap_or_default();
        memchr::memchr_iter(b'\n', &text).count() >= answers
    })?;
    let statuses: Vec<_> = visitors.iter_mut().map(|one| std::mem::take(&mut one.seen)).collect();
    let asked: usize = statuses.iter().map(Vec::len).sum();
    let ledger = Ledger::of(log, &statuses)?;
    let [faults, refusals] = [
        visitors.iter().map(|one| one.faults).sum::<u64>(),
        visitors.iter().map(|one| one.refusals).sum(),
    ];
    let heads = count(metrics, "oneloop_request_heads_total");
    let [unanswered, cut, lost] = [
        "oneloop_requests_unanswered_total",
        "oneloop_answers_cut_total",
        "oneloop_log_lines_lost_total{log=\"access\"}",
    ]
    .map(|name| count(metrics, name));
    println!("\nClients sent {asked} requests and misbehaved {faults} times.");
    println!("Answers that they have seen: {}, and {refusals} refusals.", ledger.seen);
    println!("Answers that the server counts: {answers}, of them cut: {cut}; lines lost: {lost}.");
    println!("Heads that it counts: {heads}, of them unanswered: {unanswered}.");
    println!(
        "Lines: {}, of them numbered: {} (not seen by their clients: {}), others: {}.",
        ledger.lines, ledger.numbered, ledger.unseen, ledger.others
    );
    println!(
        "Answers without a line: {}, with two: {}, with a wrong one: {}.",
        ledger.missing, ledger.twice, ledger.wrong
    );
    println!("Lines by status: {:?}", ledger.by_status);
    let failures: Vec<&String> = visitors.iter().flat_map(|one| &one.failures).collect();
    println!("Requests that failed and should not have: {}.", failures.len());
    for failure in failures.iter().take(10) {
        println!("  {failure}");
    }
    let is_whole = [
        ledger.lines == answers as u64,
        ledger.numbered + unanswered as u64 == heads as u64,
        ledger.others >= refusals,
        lost == 0,
    ];
    let wrong = is_whole.iter().filter(|holds| !**holds).count();
    Ok(failures.len() + wrong + usize::try_from(ledger.faults()).unwrap_or(usize::MAX))
}
