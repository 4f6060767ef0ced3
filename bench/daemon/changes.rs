//! What is done to a daemon while its clients ask: its configuration is read again, it is replaced
//! by a new program, its workers die.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::folder::Folder;
use super::load::{Load, Seen, WORDS};
use super::process::{Daemon, wait_until};
use super::{three, write_table};

const RELOADS: u32 = 100;

/// The time between two of them.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the load goes on before, between and after other changes.
const BETWEEN: Duration = Duration::from_secs(1);

/// Writes the configuration of this round.
fn configure(folder: &Folder, round: u32, server: &str) {
    let is_odd = round % 2 == 1;
    let socket = folder.path().join("socket");
    let more = if is_odd { format!(", \"unix:{}\"", socket.display()) } else { String::new() };
    let word = WORDS[usize::from(is_odd)];
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"{more}]\npid-file = \"pid\"\n{server}\n\
         [log]\naccess = {{ to = \"./access.log\" }}\n[[site]]\n[[site.route]]\npath = \"/word\"\n\
         respond = {{ status = 200, content = \"{word}\" }}\n"
    );
    folder.write("oneloop.toml", text);
}

/// A hundred reloads; how many requests have failed.
pub(crate) fn reload(clients: usize) -> io::Result<usize> {
    let folder = Folder::new();
    configure(&folder, 0, "");
    let mut daemon = Daemon::start(&folder, "")?;
    let load = Load::start(daemon.address, clients)?;
    thread::sleep(PAUSE * RELOADS);
    let quiet = load.end();
    let load = Load::start(daemon.address, clients)?;
    let mut took = Vec::new();
    for round in 1..=RELOADS {
        thread::sleep(PAUSE);
        configure(&folder, round, "");
        daemon.process().signal(Signal::HUP)?;
        let line = daemon.says("reloaded")?;
        let time = line.split_once(" in ").and_then(|(_, rest)| rest.split_once(" ms"));
        took.extend(time.and_then(|(time, _)| time.parse::<f64>().ok()));
    }
    load.goes_on()?;
    let reloaded = load.end();
    write_changes(clients, &[("no reload", &quiet), (&format!("{RELOADS} reloads"), &reloaded)]);
    let [half, _, all] = three(&took);
    println!("\nA reload held the loop up for {half} ms (p50), {all} ms at most.");
    Ok(quiet.failures.len() + reloaded.failures.len())
}

/// New programs take over, one after the other; how many requests have failed.
pub(crate) fn upgrade(clients: usize, upgrades: usize) -> io::Result<usize> {
    let folder = Folder::new();
    configure(&folder, 0, "");
    let mut daemon = Daemon::start(&folder, "")?;
    let load = Load::start(daemon.address, clients)?;
    let mut took = Vec::new();
    for _ in 0..upgrades {
        thread::sleep(BETWEEN);
        let before = daemon.named().ok_or(io::ErrorKind::NotFound)?;
        let begin = Instant::now();
        before.signal(Signal::USR2)?;
        wait_until("the next one serves", || daemon.named().is_some_and(|now| now != before))?;
        took.push(begin.elapsed().as_secs_f64() * 1000.0);
        daemon.process();
    }
    thread::sleep(BETWEEN);
    load.goes_on()?;
    let seen = load.end();
    write_changes(clients, &[(&format!("{upgrades} upgrades"), &seen)]);
    let [half, _, all] = three(&took);
    println!(
        "\nFrom the signal until the new one serves: {half:.0} ms (p50), {all:.0} ms at most."
    );
    Ok(seen.failures.len())
}

/// Workers are killed, one after the other; how many requests have failed of those that none of
/// them had.
pub(crate) fn kill(clients: usize, kills: usize) -> io::Result<usize> {
    const WORKERS: usize = 4;
    let folder = Folder::new();
    configure(&folder, 0, &format!("workers = {WORKERS}"));
    let mut daemon = Daemon::start(&folder, "")?;
    let supervisor = daemon.process();
    let load = Load::start(daemon.address, clients)?;
    let mut held = 0;
    for round in 0..kills {
        thread::sleep(BETWEEN);
        let workers = supervisor.children();
        let victim = *workers.get(round % WORKERS).ok_or(io::ErrorKind::NotFound)?;
        // While it stands still it gets no further connections and loses none, so these are all.
        victim.stop()?;
        let ports = victim.clients()?;
        held += ports.len();
        load.may_fail(ports);
        victim.signal(Signal::KILL)?;
        wait_until("there is another worker", || {
            let now = supervisor.children();
            now.len() == WORKERS && !now.contains(&victim)
        })?;
        load.goes_on()?;
    }
    thread::sleep(BETWEEN);
    let seen = load.end();
    write_changes(clients, &[(&format!("{kills} kills of {WORKERS} workers"), &seen)]);
    let lost = seen.lost;
    println!("\nThe killed workers held {held} connections; {lost} requests were lost on them.");
    Ok(seen.failures.len())
}

#[allow(clippy::cast_precision_loss, reason = "nobody counts so far")]
fn write_changes(clients: usize, rows: &[(&str, &Seen)]) {
    let name = format!("{clients} connections");
    write_table(&[&name, "answers", "answers/s", "p50 ms", "p99 ms", "longest ms", "failed"]);
    for (name, seen) in rows {
        let (count, failed) = (seen.times.len(), seen.failures.len());
        let rate = count as f64 / seen.lasted.as_secs_f64();
        let [half, most, all] = three(&seen.times);
        println!("| {name} | {count} | {rate:.0} | {half:.1} | {most:.1} | {all:.1} | {failed} |");
    }
    for failure in rows.iter().flat_map(|(_, seen)| &seen.failures).take(10) {
        println!("  {failure}");
    }
}
