//! The instructions of one exchange: `cargo bench --bench instructions`.
//!
//! The server runs under valgrind and answers a small hot file on one persistent connection, once
//! so often and once twice as often. What lies between the two, divided, is one exchange: a whole
//! turn of the loop, from `epoll_wait` to `epoll_wait`. Only instructions of user space count.
//!
//! Fails if there are more than were recorded here. Without valgrind it says so and judges nothing.

#![allow(clippy::print_stdout, reason = "its figure is what this program is for")]
#![allow(clippy::unwrap_used, reason = "a measurement may fail by panicking")]

#[path = "throughput/browser.rs"]
mod browser;
#[path = "../tests/support/client.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod client;
#[path = "../tests/support/folder.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod folder;
#[path = "../tests/support/running.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod running;

use std::fs;
use std::process::{Command, ExitCode};

use browser::BROWSER;
use folder::Folder;
use running::Daemon;

/// What was measured when this was last looked at, with the fields that a browser sends and
/// without. Lower them when less is needed.
const RECORDED: [(&str, &str, f64); 2] = [("plain", "", 6_900.0), ("browser", BROWSER, 17_455.0)];

/// What it may become before it counts as worse.
const TOLERANCE: f64 = 1.05;

/// The issue that set out to make it fast wants fewer than these, without a browser's fields.
const GOAL: f64 = 3000.0;

/// What a browser sends beside them.
const CODING: &str = "Accept-Encoding: gzip, deflate, br, zstd\r\n";

/// Exchanges of the first run.
const EXCHANGES: u32 = 2000;

fn main() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("instructions: valgrind is not installed, so nothing is measured");
        return ExitCode::SUCCESS;
    }
    let mut has_failed = false;
    println!("{:<10}{:>14}{:>12}", "request", "instructions", "recorded");
    for (name, fields, recorded) in RECORDED {
        let coding = if fields.is_empty() { "" } else { CODING };
        let request = format!("GET /small.txt HTTP/1.1\r\nHost: localhost\r\n{fields}{coding}\r\n");
        let one = run(&request, EXCHANGES);
        let two = run(&request, 2 * EXCHANGES);
        #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let each = (two - one) as f64 / f64::from(EXCHANGES);
        let is_worse = each > recorded * TOLERANCE;
        has_failed |= is_worse;
        let verdict = if is_worse { "  more than before" } else { "" };
        println!("{name:<10}{each:>14.0}{recorded:>12.0}{verdict}");
    }
    println!("the goal, plain: below {GOAL:.0}");
    if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The instructions of a server from its start to its end, with so many exchanges.
fn run(request: &str, exchanges: u32) -> u64 {
    let folder = Folder::new();
    folder.write("www/small.txt", vec![b'x'; 1024]);
    let file = folder.write(
        "oneloop.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = { to = \"none\" }\n\
         [limits]\npersistent = { requests = 1000000 }\n[[site]]\nroot = \"www\"\n",
    );
    let counts = folder.path().join("counts");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1", "valgrind", "--tool=callgrind"]);
    command.arg(format!("--callgrind-out-file={}", counts.display()));
    command.arg("-q").arg(env!("CARGO_BIN_EXE_oneloop")).arg("-c").arg(file);
    let daemon = Daemon::spawn(command);
    let mut client = daemon.connect();
    for _ in 0..exchanges {
        client.send(request);
        assert_eq!(client.response(false).content.len(), 1024);
    }
    drop(client);
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    let counts = fs::read_to_string(counts).unwrap();
    let total = counts.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.trim().parse().unwrap()
}
