//! Instructions, counted by callgrind. What is counted is not known here.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether there is anybody to count them.
pub(crate) fn is_installed() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// Is to run what is added to it, and to write its counts to `file`.
pub(crate) fn counting(file: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["-q", "--tool=callgrind"]);
    command.arg(format!("--callgrind-out-file={}", file.display()));
    command
}

/// Runs it to its end. What valgrind complains of, such as system calls that it does not know, is
/// told only if the program fails.
pub(crate) fn run(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// How many instructions `counts`, such a file, says that there were.
pub(crate) fn total(counts: &Path) -> u64 {
    let counts = fs::read_to_string(counts).unwrap();
    let total = counts.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.trim().parse().unwrap()
}

/// Instructions of one time, if so many times are as many as `count` says: what lies between
/// `times` and twice as many, divided. What is done once is in neither.
pub(crate) fn each(times: u32, count: impl Fn(u32) -> u64) -> f64 {
    let (one, two) = (count(times), count(2 * times));
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let difference = two.saturating_sub(one) as f64;
    difference / f64::from(times)
}
