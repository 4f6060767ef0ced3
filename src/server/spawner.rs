//! Processes: what to start, and how one ended.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// A process to be started: in a process group of its own, its output and its complaints in pipes.
#[derive(Debug)]
pub struct Job {
    /// The program; absolute.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<OsString>,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs; absolute.
    pub directory: PathBuf,
    /// Its standard input, from where the file stands; empty if `None`.
    pub input: Option<File>,
    /// Bytes of memory it may have (`RLIMIT_AS`).
    pub memory: Option<u64>,
    /// Processor time it may have (`RLIMIT_CPU`, whole seconds).
    pub cpu: Option<Duration>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}
