//! Puts the tests to the test: `cargo bench --bench mutants [-- NAME…]`, or `[-- PART/PARTS]` for
//! one of so many parts of the list.
//!
//! Makes each mutant of tests/mutants.toml in a copy of the crate, builds its unit tests, and runs
//! those that should catch it. A mutant that hangs or crashes the tests is caught as well. One that
//! survives, or does not compile and so proves nothing, makes this fail.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]

#[path = "../tests/support/mutant_list.rs"]
mod mutant_list;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mutant_list::Mutant;

/// What is copied: all that a build of the crate may read.
const PARTS: [&str; 7] = ["Cargo.toml", "Cargo.lock", "README.md", "bench", "conf", "src", "tests"];

/// How long tests may run before they count as hanging: so long, and as many times as long as the
/// slowest took without a bug.
const PATIENCE: (Duration, u32) = (Duration::from_secs(20), 4);

/// Address space of the tests, in KiB: a mutant that allocates without end shall not take all.
const MEMORY_KIB: u64 = 8 * 1024 * 1024;

/// How running the tests ended.
enum End {
    Passed,
    /// The first test that failed.
    Failed(String),
    Crashed,
    Hung,
    /// What the compiler said first.
    NotBuilt(String),
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every mutant was caught.
fn run() -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut mutants = mutant_list::read(root)?;
    select(&mut mutants, &wanted);
    if mutants.is_empty() {
        return Err(format!("no mutant has a name like {wanted:?}"));
    }
    let mut laboratory = Laboratory::furnish(root).map_err(|error| format!("copy: {error}"))?;
    laboratory.check_healthy(&mutants)?;
    let mut escaped = 0_usize;
    for (mutant, number) in mutants.iter().zip(1..) {
        let started = Instant::now();
        let end = laboratory.try_out(mutant)?;
        let (caught, says) = match end {
            End::Failed(test) => (true, test),
            End::Crashed => (true, "the tests crashed".to_owned()),
            End::Hung => (true, format!("the tests hung for {} s", laboratory.timeout.as_secs())),
            End::Passed => (false, format!("all of `{}` passed", mutant.caught_by)),
            End::NotBuilt(error) => (false, format!("does not compile: {error}")),
        };
        escaped += usize::from(!caught);
        println!(
            "{number:>3}/{} {} {:<8} {:<44} {says} ({:.0} s)",
            mutants.len(),
            if caught { "caught  " } else { "ESCAPED " },
            format!("{:?}", mutant.kind).to_lowercase(),
            mutant.name,
            started.elapsed().as_secs_f64(),
        );
        if !caught {
            println!("             {}: {}", mutant.file, mutant.why);
        }
    }
    println!("{} mutants, {} caught", mutants.len(), mutants.len() - escaped);
    Ok(escaped == 0)
}

/// Keeps those with a part of a name that is wanted, or the part of the list that is.
fn select(mutants: &mut Vec<Mutant>, wanted: &[String]) {
    let part = wanted.first().and_then(|word| word.split_once('/'));
    let number = |word: &str| word.parse::<usize>().ok();
    let numbers = part.and_then(|(part, parts)| Some((number(part)?, number(parts)?)));
    match numbers {
        Some((part, parts)) if parts > 0 => {
            let mut at = 0_usize;
            mutants.retain(|_| {
                at += 1;
                at % parts == part % parts
            });
        }
        Some(_) | None if wanted.is_empty() => {}
        Some(_) | None => {
            mutants.retain(|mutant| wanted.iter().any(|name| mutant.name.contains(name.as_str())));
        }
    }
}

/// A copy of the crate, where bugs may be let loose.
struct Laboratory {
    root: PathBuf,
    krate: PathBuf,
    target: PathBuf,
    timeout: Duration,
}

impl Laboratory {
    /// Copies the crate into cargo's target folder. What earlier runs built there stays, but for
    /// what the compiler keeps from one mutant to the next: of a run that was killed it is half
    /// written, and then a mutant of that run can come back.
    fn furnish(root: &Path) -> io::Result<Self> {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let place = temporary.parent().unwrap_or(temporary).join("mutants");
        let krate = place.join("crate");
        if krate.exists() {
            fs::remove_dir_all(&krate)?;
        }
        fs::create_dir_all(&krate)?;
        for part in PARTS {
            copy(&root.join(part), &krate.join(part))?;
        }
        let target = place.join("target");
        let kept = target.join("debug/incremental");
        if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        Ok(Laboratory { root: root.to_owned(), krate, target, timeout: Duration::from_mins(10) })
    }

    /// Without a bug, the tests must pass, and there must be some. Learns how long they take.
    fn check_healthy(&mut self, mutants: &[Mutant]) -> Result<(), String> {
        let filters: BTreeSet<&str> = mutants.iter().map(|mutant| &*mutant.caught_by).collect();
        let tests = self.build()?.map_err(|error| format!("the crate does not build: {error}"))?;
        let mut slowest = Duration::ZERO;
        for filter in filters {
            let started = Instant::now();
            let (end, output) = self.test(&tests, filter)?;
            if !matches!(end, End::Passed) {
                return Err(format!("`{filter}` does not pass even without a mutant:\n{output}"));
            }
            if output.contains("running 0 tests") {
                return Err(format!("`{filter}` selects no test"));
            }
            slowest = slowest.max(started.elapsed());
            println!("healthy: `{filter}` passes in {:.1} s", started.elapsed().as_secs_f64());
        }
        self.timeout = PATIENCE.0 + slowest * PATIENCE.1;
        Ok(())
    }

    /// Lets one bug loose, and mends it again.
    fn try_out(&self, mutant: &Mutant) -> Result<End, String> {
        let said = |error: io::Error| format!("{}: {error}", mutant.file);
        let healthy = fs::read_to_string(self.root.join(&mutant.file)).map_err(said)?;
        let sick = self.krate.join(&mutant.file);
        fs::write(&sick, mutant.apply(&healthy)?).map_err(said)?;
        let end = match self.build()? {
            Ok(tests) => self.test(&tests, &mutant.caught_by)?.0,
            Err(error) => End::NotBuilt(error),
        };
        fs::write(&sick, healthy).map_err(said)?;
        Ok(end)
    }

    /// Builds the unit tests: the program, or what the compiler said.
    fn build(&self) -> Result<Result<PathBuf, String>, String> {
        let output = Command::new(env!("CARGO"))
            .args(["test", "--lib", "--no-run", "--offline", "--message-format=json"])
            .current_dir(&self.krate)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            .env_remove("RUSTFLAGS")
            .stderr(Stdio::null())
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut error = "cargo says nothing".to_owned();
        for line in text.lines().rev() {
            let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            if let Some(program) = message["executable"].as_str() {
                return Ok(Ok(program.into()));
            }
            if message["message"]["level"] == "error" {
                message["message"]["message"].as_str().unwrap_or("").clone_into(&mut error);
            }
        }
        Ok(Err(error))
    }

    /// Runs the tests that `filter` selects: how it ended, and what they said.
    fn test(&self, tests: &Path, filter: &str) -> Result<(End, String), String> {
        let said = |error: io::Error| format!("{}: {error}", tests.display());
        let path = self.target.join("output");
        let output = File::create(&path).map_err(said)?;
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -v \"$0\" && exec \"$@\"", &MEMORY_KIB.to_string()])
            .arg(tests)
            .arg(filter)
            .current_dir(&self.krate)
            .env("RUST_BACKTRACE", "0")
            .stdout(output.try_clone().map_err(said)?)
            .stderr(output)
            .spawn()
            .map_err(said)?;
        let deadline = Instant::now() + self.timeout;
        let status = loop {
            match child.try_wait().map_err(said)? {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        if status.is_none() {
            child.kill().and_then(|()| child.wait()).map_err(said)?;
        }
        let output = String::from_utf8_lossy(&fs::read(&path).map_err(said)?).into_owned();
        let failed = output.lines().find_map(|line| line.strip_suffix(" ... FAILED"));
        let end = match (status, failed) {
            (None, _) => End::Hung,
            (Some(status), _) if status.success() => End::Passed,
            (Some(_), Some(test)) => End::Failed(test.trim_start_matches("test ").to_owned()),
            (Some(_), None) => End::Crashed,
        };
        Ok((end, output))
    }
}

/// Copies a file or a whole folder.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
