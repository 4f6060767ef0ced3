//! What a daemon bears while it is used: `cargo bench --bench daemon -- reload [CONNECTIONS]`.
//!
//! A thousand connections ask without a pause, one request each at a time, and now and then begin
//! anew. Meanwhile the configuration is changed and read again, a hundred times: a route says
//! something else, a listener comes and goes. Each request must have one of the two answers. The
//! first part, without reloads, is what the second is to be held against.
//!
//! It ends with a failure if a request has failed, and prints how long answers took.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]

#[path = "../tests/support/folder.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests use more of it, and may panic")]
mod folder;
#[path = "daemon/load.rs"]
mod load;
mod percentile;

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use folder::Folder;
use load::{Load, Seen};
use percentile::percentile;

/// Connections at once, unless another number is said.
const CONNECTIONS: usize = 1_000;

const RELOADS: usize = 100;

/// The time between two of them.
const PAUSE: Duration = Duration::from_millis(100);

/// What the route says, in turn.
const WORDS: [&str; 2] = ["one", "two"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let said: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match said[..] {
        ["reload"] => reload(CONNECTIONS),
        ["reload", count] => count.parse().map_err(io::Error::other).and_then(reload),
        // With all other benches, and nothing said, it does nothing.
        _ => {
            println!("daemon: say what it is to bear: `cargo bench --bench daemon -- reload`");
            return ExitCode::SUCCESS;
        }
    };
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            println!("{failed} requests have failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("daemon: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reloads under load; how many requests have failed.
fn reload(connections: usize) -> io::Result<usize> {
    let folder = Folder::new();
    let mut daemon = Daemon::start(&folder)?;
    println!("| {connections} connections | answers/s | p50 ms | p99 ms | longest ms | failed |");
    println!("|---|---|---|---|---|---|");
    let load = Load::start(daemon.address, connections)?;
    std::thread::sleep(PAUSE * u32::try_from(RELOADS).unwrap_or(u32::MAX));
    let quiet = load.end();
    tell("no reload", &quiet);
    let load = Load::start(daemon.address, connections)?;
    let mut took = Vec::new();
    for round in 1..=RELOADS {
        std::thread::sleep(PAUSE);
        configure(&folder, round);
        kill_process(daemon.pid(), Signal::HUP)?;
        took.push(daemon.says("reloaded")?);
    }
    let reloaded = load.end();
    tell(&format!("{RELOADS} reloads"), &reloaded);
    let milliseconds = |line: &String| {
        let (_, rest) = line.split_once(" in ")?;
        rest.split_once(" ms")?.0.parse::<f64>().ok()
    };
    let took: Vec<f64> = took.iter().filter_map(milliseconds).collect();
    let [half, all] = [0.5, 1.0].map(|share| percentile(&took, share));
    println!("\nA reload held the loop up for {half} ms (p50), {all} ms at most.");
    Ok(quiet.failed + reloaded.failed)
}

#[allow(clippy::cast_precision_loss, reason = "nobody counts so far")]
fn tell(name: &str, seen: &Seen) {
    let rate = seen.times.len() as f64 / seen.lasted.as_secs_f64();
    let [half, most, all] = [0.5, 0.99, 1.0].map(|share| percentile(&seen.times, share));
    println!("| {name} | {rate:.0} | {half:.1} | {most:.1} | {all:.1} | {} |", seen.failed);
}

/// Writes the configuration of this round.
fn configure(folder: &Folder, round: usize) {
    let socket = folder.path().join("socket");
    let more =
        if round % 2 == 1 { format!(", \"unix:{}\"", socket.display()) } else { String::new() };
    let word = WORDS[round % 2];
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"{more}]\n[log]\naccess = {{ to = \"./access.log\" }}\n\
         [[site]]\nroot = \"www\"\n[[site.route]]\npath = \"/word\"\n\
         respond = {{ status = 200, content = \"{word}\" }}\n"
    );
    folder.write("oneloop.toml", text);
}

/// The daemon, and what it says of itself. It is killed when this is dropped.
struct Daemon {
    child: Child,
    lines: io::Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

impl Daemon {
    fn start(folder: &Folder) -> io::Result<Daemon> {
        folder.write("www/index.html", "");
        configure(folder, 0);
        let mut child = Command::new(env!("CARGO_BIN_EXE_oneloop"))
            .arg("-c")
            .arg(folder.path().join("oneloop.toml"))
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let address = ([127, 0, 0, 1], 0).into();
        let mut daemon = Daemon { child, lines: BufReader::new(stderr).lines(), address };
        let line = daemon.says("listening on http://")?;
        let (_, url) = line.split_once("http://").ok_or(io::ErrorKind::InvalidData)?;
        daemon.address = url.trim_end_matches('/').parse().map_err(io::Error::other)?;
        Ok(daemon)
    }

    /// Waits for a line with `part` in it.
    fn says(&mut self, part: &str) -> io::Result<String> {
        for line in &mut self.lines {
            let line = line?;
            if line.contains(part) {
                return Ok(line);
            }
            if line.contains("ERROR") {
                return Err(io::Error::other(line));
            }
        }
        Err(io::Error::other("the daemon has ended"))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
