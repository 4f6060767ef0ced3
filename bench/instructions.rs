//! The instructions of one exchange: `cargo bench --bench instructions`.
//!
//! A hot file of 1 KiB is asked for on one persistent connection, once so often and once twice as
//! often, under valgrind. What lies between the two, divided, is one exchange: a whole turn of the
//! loop. The server runs over a network that is not there: read, parse, route, answer, write, and
//! nothing of mio, libc or the kernel. The last row is the whole program with them, in user space.
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
#[path = "instructions/null.rs"]
mod null;
#[path = "../tests/support/running.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod running;
#[path = "instructions/told.rs"]
mod told;
#[path = "instructions/valgrind.rs"]
mod valgrind;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use browser::BROWSER;
use folder::Folder;
use null::Served;
use running::Daemon;

/// A way to ask, and what was measured when this was last looked at. Lower it when less is needed.
/// The flight recorder takes 287 of each, and as many again go into being able to record.
struct Row {
    name: &'static str,
    path: &'static str,
    fields: &'static str,
    /// How often it is asked before an answer is waited for.
    depth: u32,
    recorded: f64,
}

const ROWS: [Row; 5] = [
    Row { name: "plain", path: "/small.txt", fields: "", depth: 1, recorded: 4_565.0 },
    Row { name: "pipelined", path: "/small.txt", fields: "", depth: 16, recorded: 3_333.0 },
    Row { name: "browser", path: "/small.txt", fields: BROWSER, depth: 1, recorded: 9_044.0 },
    Row {
        name: "304",
        path: "/small.txt",
        fields: "If-None-Match: *\r\n",
        depth: 1,
        recorded: 5_015.0,
    },
    Row { name: "404", path: "/nothing.txt", fields: "", depth: 1, recorded: 4_924.0 },
];

/// The plain row by the whole program.
const WHOLE: f64 = 5_404.0;

/// What it may become before it counts as worse.
const TOLERANCE: f64 = 1.05;

/// The issue that set out to make it fast wants fewer than these for the plain row.
const GOAL: f64 = 3000.0;

/// What a browser sends beside its fields.
const CODING: &str = "Accept-Encoding: gzip, deflate, br, zstd\r\n";

/// Exchanges of the first run.
const EXCHANGES: u32 = 2000;

/// Tells this program that it is the server, and what of: row, exchanges, root.
const SERVE: &str = "--serve";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == SERVE) {
        serve(&arguments[at + 1..]);
        return ExitCode::SUCCESS;
    }
    if !valgrind::is_installed() {
        println!("instructions: valgrind is not installed, so nothing is measured");
        return ExitCode::SUCCESS;
    }
    let folder = Folder::new();
    folder.write("www/small.txt", vec![b'x'; 1024]);
    println!("{:<20}{:>14}{:>12}", "exchange", "instructions", "recorded");
    let mut is_worse = false;
    for (at, row) in ROWS.iter().enumerate() {
        let count = |exchanges| over_nothing(&folder, at, exchanges);
        is_worse |= report(row.name, valgrind::each(EXCHANGES, count), row.recorded);
    }
    let count = |exchanges| whole(&folder, &request(&ROWS[0]), exchanges);
    let each = valgrind::each(EXCHANGES, count);
    is_worse |= report("plain, whole program", each, WHOLE);
    println!("the goal, plain: below {GOAL:.0}");
    if is_worse { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints a row; whether it is worse than it was.
fn report(name: &str, each: f64, recorded: f64) -> bool {
    let is_worse = each > recorded * TOLERANCE;
    let verdict = if is_worse { "  more than before" } else { "" };
    println!("{name:<20}{each:>14.0}{recorded:>12.0}{verdict}");
    is_worse
}

fn request(row: &Row) -> String {
    let Row { path, fields, depth, .. } = *row;
    let coding = if fields == BROWSER { CODING } else { "" };
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}{coding}\r\n").repeat(depth as usize)
}

/// All instructions of a server over no network.
fn over_nothing(folder: &Folder, row: usize, exchanges: u32) -> u64 {
    let counts = folder.path().join("counts");
    let mut command = valgrind::counting(&counts);
    command.arg(env::current_exe().unwrap()).args([SERVE, &row.to_string()]);
    command.arg(exchanges.to_string()).arg(folder.path().join("www"));
    valgrind::run(command);
    valgrind::total(&counts)
}

/// Is that server.
fn serve(arguments: &[String]) {
    let [row, exchanges, root] = arguments else { panic!("row, exchanges, root") };
    let row = &ROWS[row.parse::<usize>().unwrap()];
    let exchanges: u32 = exchanges.parse().unwrap();
    let mut served = Served::new(request(row), Path::new(root));
    served.serve(exchanges / row.depth);
    assert!(!served.first().is_empty());
}

/// All instructions of the program in user space, from its start to its end.
fn whole(folder: &Folder, request: &str, exchanges: u32) -> u64 {
    let file = folder.write(
        "oneloop.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = { to = \"none\" }\n\
         [limits]\npersistent = { requests = 1000000 }\n[[site]]\nroot = \"www\"\n",
    );
    let counts = folder.path().join("counts");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]);
    let counting = valgrind::counting(&counts);
    command.arg(counting.get_program()).args(counting.get_args());
    command.arg(env!("CARGO_BIN_EXE_oneloop")).arg("-c").arg(file);
    let daemon = Daemon::spawn(command);
    let mut client = daemon.connect();
    for _ in 0..exchanges {
        client.send(request);
        assert_eq!(client.response(false).content.len(), 1024);
    }
    drop(client);
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    valgrind::total(&counts)
}
