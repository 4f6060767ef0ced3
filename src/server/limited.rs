//! The trampoline: a program that takes limits upon itself and then becomes another. Between fork
//! and exec only unsafe code could do it, and at the price of a fork; so this very program is
//! started once more and does it in `main`.
//!
//! Which limits are right is not known here.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::site::program::ProcessLimits;

/// What the trampoline is called with: this, the memory in bytes, the processor time in seconds,
/// open files, bytes of a file, the program, its arguments. It is no option for people, so `--help`
/// does not know it.
const FLAG: &str = "--run-limited";

/// Stands for a limit that is not set.
const NONE: &str = "-";

/// The code of a trampoline that could not execute its program, as shells have it.
const NOT_EXECUTED: u8 = 127;

/// How much of a file is looked at to tell a text from a program.
const PROBED: u64 = 128;

/// This program calls [`run`], so that it can be started as a trampoline.
static IS_TRAMPOLINE: AtomicBool = AtomicBool::new(false);

/// Becomes the program that `arguments` name, with their limits, where they ask for that. To be
/// called first in `main`, by each program that serves scripts with limits. Returns how to exit
/// where the program cannot be executed; `None` where something else is asked for.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1).as_deref() != Some(OsStr::new(FLAG)) {
        IS_TRAMPOLINE.store(true, Ordering::Relaxed);
        return None;
    }
    let error = become_program(&mut arguments);
    // Its standard error is the script's: the server logs it.
    let _ = writeln!(io::stderr(), "cannot be executed: {error}");
    Some(ExitCode::from(NOT_EXECUTED))
}

/// This program, if it can be a trampoline.
pub(super) fn own_program() -> Option<PathBuf> {
    // Leads to the very file that runs, even when another was put in its place.
    IS_TRAMPOLINE.load(Ordering::Relaxed).then(|| PathBuf::from("/proc/self/exe"))
}

/// `program` with limits, still without its arguments.
///
/// # Errors
/// `Unsupported` where there is no trampoline.
pub(super) fn command(
    trampoline: Option<&Path>,
    program: &Path,
    limits: ProcessLimits,
) -> io::Result<Command> {
    let Some(trampoline) = trampoline else {
        let what = "limits of a process need `server::limited::run` in `main`";
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    };
    let ProcessLimits { memory, cpu, descriptors, file } = limits;
    let seconds = cpu.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0));
    let said = |limit: Option<u64>| limit.map_or(NONE.to_owned(), |limit| limit.to_string());
    let mut command = Command::new(trampoline);
    command.args([FLAG, &said(memory), &said(seconds), &said(descriptors), &said(file)]);
    command.arg(program);
    Ok(command)
}

fn become_program(arguments: &mut impl Iterator<Item = OsString>) -> io::Error {
    let mut limits = [None; 4];
    for said in &mut limits {
        match limit(arguments.next().as_deref()) {
            Ok(limit) => *said = limit,
            Err(error) => return error,
        }
    }
    let [memory, cpu, descriptors, file] = limits;
    let Some(program) = arguments.next() else { return io::ErrorKind::InvalidInput.into() };
    if is_bare_text(Path::new(&program)) {
        return rustix::io::Errno::NOEXEC.into();
    }
    let mut command = Command::new(program);
    command.args(arguments);
    // What needs memory is done. A core would be written where the scripts are.
    let done = limit_core()
        .and_then(|()| cpu.map_or(Ok(()), limit_cpu))
        .and_then(|()| file.map_or(Ok(()), |bytes| set(Resource::Fsize, bytes, bytes)))
        .and_then(|()| descriptors.map_or(Ok(()), |most| set(Resource::Nofile, most, most)))
        .and_then(|()| memory.map_or(Ok(()), |bytes| set(Resource::As, bytes, bytes)));
    match done {
        Ok(()) => command.exec(),
        Err(error) => error,
    }
}

fn limit(said: Option<&OsStr>) -> io::Result<Option<u64>> {
    let said = said.and_then(OsStr::to_str).ok_or(io::ErrorKind::InvalidInput)?;
    if said == NONE {
        return Ok(None);
    }
    said.parse().map(Some).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn limit_core() -> io::Result<()> {
    set(Resource::Core, 0, 0)
}

/// SIGXCPU first, which can be caught and told of; a second later SIGKILL.
fn limit_cpu(seconds: u64) -> io::Result<()> {
    let seconds = seconds.max(1);
    set(Resource::Cpu, seconds, seconds.saturating_add(1))
}

/// Sets a limit as far as the one that holds already allows it.
fn set(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(current.min(most)), maximum: Some(maximum.min(most)) };
    Ok(setrlimit(resource, limit)?)
}

/// Whether `program` is a text that does not say who is to read it. The C library's `execvp(3)`,
/// which is behind `exec`, would give it to `/bin/sh`; without limits it is ENOEXEC, and so it
/// shall be here. What cannot be read cannot be a script either.
fn is_bare_text(program: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(program).and_then(|file| file.take(PROBED).read_to_end(&mut start));
    read.is_ok() && !start.starts_with(b"#!") && !start.contains(&0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_says_nothing_of_limits_is_no_trampoline() {
        let run_with = |arguments: &[&str]| run(arguments.iter().map(OsString::from));
        assert!(run_with(&[]).is_none());
        assert!(run_with(&["oneloop"]).is_none());
        assert!(run_with(&["oneloop", "--help", FLAG]).is_none());
        assert!(run_with(&[FLAG]).is_none());
        assert_eq!(own_program(), Some("/proc/self/exe".into()));
    }

    #[test]
    fn limits_are_said_in_whole_numbers() {
        let arguments = |memory, cpu| {
            let limits = ProcessLimits { memory, cpu, ..ProcessLimits::default() };
            let command = command(Some("/t".as_ref()), "/p".as_ref(), limits).unwrap();
            let words = command.get_args().map(|word| word.to_str().unwrap().to_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(arguments(None, None), "--run-limited - - - - /p");
        let cpu = Duration::from_millis(1001);
        assert_eq!(arguments(Some(1 << 40), Some(cpu)), "--run-limited 1099511627776 2 - - /p");
        for said in ["", "-1", "1.5", "+ 1", "99999999999999999999"] {
            assert!(limit(Some(said.as_ref())).is_err(), "{said}");
        }
        assert!(limit(None).is_err());
        assert!(matches!(limit(Some("-".as_ref())), Ok(None)));
        assert!(matches!(limit(Some("7".as_ref())), Ok(Some(7))));
    }

    #[test]
    fn without_a_trampoline_there_are_no_limits() {
        let error = command(None, "/p".as_ref(), ProcessLimits::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
