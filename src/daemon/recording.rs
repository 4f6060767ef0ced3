//! A server that is recorded or replayed, from its first turn to its last. What a recording is made
//! of is not known here.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::Ended;
use super::dump::{self, Dump};
use super::sandbox::{self, Asked, Confinement};
use crate::server::Server;
use crate::server::diagnostic_log::DiagnosticLog;
use crate::server::net::System;
use crate::server::replay::Tape;

/// A network for a server that is to be recorded. SIGTERM, SIGINT, SIGHUP and SIGQUIT are for
/// [`run`] to act on: what is recorded is one process with one configuration.
///
/// # Errors
/// Where there is no epoll, or signals cannot be had.
pub fn network(confines_programs: bool) -> io::Result<System> {
    let mut system = System::new()?;
    system.watch_signals(&[SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2])?;
    if confines_programs {
        system.confine_programs();
    }
    Ok(system)
}

/// The file of a recording, which can be read and written by its owner alone: what clients send may
/// be secret.
///
/// # Errors
/// Those of open(2), and where there is such a file.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).open(path)
}

/// Gives up what is not needed any more, as a server does that is not recorded.
///
/// # Errors
/// Why that cannot be, and what to do.
pub fn confine(asked: Asked, log: &DiagnosticLog) -> Result<(), String> {
    sandbox::confine(asked, Confinement::default(), log).map(drop)
}

/// Runs `server` until a signal ends it: the first begins its graceful end, a second one ends it
/// now. SIGQUIT has what the loop did last written into the log. `seen` may look at the server
/// after each turn, and is told which moment was the first since it did before. In a replay, the
/// signals are those of the recording.
///
/// # Errors
/// Those of [`Server::turn`], and where a replay is over.
pub fn run<N: Tape>(
    server: &mut Server<N>,
    mut seen: impl FnMut(&Server<N>, u64),
) -> io::Result<Ended> {
    server.begin_tape()?;
    let ended = live(server, &mut seen);
    server.end_tape();
    ended
}

fn live<N: Tape>(
    server: &mut Server<N>,
    seen: &mut impl FnMut(&Server<N>, u64),
) -> io::Result<Ended> {
    let (mut is_ending, mut dump) = (false, Dump::default());
    let mut first = 0;
    loop {
        dump.watch(server, Server::turn)?;
        let Some(next) = server.mark_turn(first) else {
            return Err(io::Error::other("the replay is over"));
        };
        seen(server, first);
        first = next;
        while let Some(signal) = server.next_signal() {
            match signal {
                SIGQUIT => dump::told(server),
                SIGUSR1 | SIGUSR2 => {
                    log::warn!(
                        "while it is recorded, logs are not reopened and nothing is upgraded"
                    );
                }
                _ if is_ending => return Ok(Ended::Cut),
                _ => {
                    log::info!("ending: finishing what is under way; a second signal ends it now");
                    is_ending = true;
                    server.drain();
                }
            }
        }
        if server.is_over() {
            return Ok(if server.clients() == 0 { Ended::Drained } else { Ended::Cut });
        }
    }
}
