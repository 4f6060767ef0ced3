//! What a daemon bears: `cargo bench --bench daemon -- WHAT [NUMBERS]`. It ends with a failure if
//! the daemon has not borne it.
//!
//! | what | numbers | |
//! |---|---|---|
//! | `reload` | clients | a hundred changes of the configuration, under load |
//! | `upgrade` | upgrades, clients | new programs take over, one after the other, under load |
//! | `kill` | kills, clients | workers are killed, one after the other, under load |
//! | `shortage` | clients, descriptors | more clients than descriptors |
//! | `slow` | connections, seconds | a good client beside slowhttptest in its four modes |
//! | `soak` | minutes, clients | everything at once, with clients that do everything wrong |

#![allow(clippy::print_stdout, reason = "its tables are what this program is for")]

#[path = "daemon/changes.rs"]
mod changes;
#[path = "../tests/support/folder.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests use more of it, and may panic")]
mod folder;
#[path = "daemon/http.rs"]
mod http;
#[path = "daemon/ledger.rs"]
mod ledger;
#[path = "daemon/load.rs"]
mod load;
#[path = "daemon/origin.rs"]
mod origin;
mod percentile;
#[path = "daemon/process.rs"]
mod process;
#[path = "throughput/responder.rs"]
#[allow(dead_code, reason = "here it is FastCGI only")]
mod responder;
#[path = "daemon/shortage.rs"]
mod shortage;
#[path = "daemon/slow.rs"]
mod slow;
#[path = "daemon/soak.rs"]
mod soak;
#[path = "daemon/visitor.rs"]
mod visitor;

use std::io;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use percentile::percentile;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let numbers: Vec<usize> = words.iter().skip(1).filter_map(|word| word.parse().ok()).collect();
    let number = |at: usize, usual: usize| numbers.get(at).copied().unwrap_or(usual);
    let name = words.first().map_or("", String::as_str);
    let done = all_descriptors().and_then(|()| match name {
        "reload" => changes::reload(number(0, 1_000)),
        "upgrade" => changes::upgrade(number(1, 1_000), number(0, 10)),
        "kill" => changes::kill(number(1, 1_000), number(0, 10)),
        "shortage" => shortage::shortage(number(0, 2_000), number(1, 256)),
        "slow" => slow::slow(number(0, 1_000), number(1, 15)),
        "soak" => soak::soak(number(0, 10), number(1, 48)),
        // With all other benches, and nothing said, it does nothing.
        _ => {
            println!(
                "daemon: say what it is to bear: \
                 `cargo bench --bench daemon -- reload|upgrade|kill|shortage|slow|soak`"
            );
            Ok(0)
        }
    });
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            println!("{name}: {failed} failures");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("daemon: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Takes as many descriptors as the system allows.
fn all_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// The median of some times, their p99 and the longest; zeros if there are none.
fn three(times: &[f64]) -> [f64; 3] {
    if times.is_empty() {
        return [0.0; 3];
    }
    [0.5, 0.99, 1.0].map(|share| percentile(times, share))
}

/// The head of a table.
fn write_table(columns: &[&str]) {
    println!("| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
}
