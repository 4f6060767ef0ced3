//! A server that is recorded or replayed, from its first turn to its last. What a recording is made
//! of is not known here.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::dump::{self, Dump};
use super::inherit::Inherited;
use super::notify::Notifier;
use super::pid_file::PidFile;
use super::sandbox::{self, Asked, Confinement};
use super::{Ended, reopen_logs};
use crate::server::Server;
use crate::server::diagnostic_log::DiagnosticLog;
use crate::server::net::System;
use crate::server::replay::Tape;

/// What a recorded server is beside its loop. A replayed one is nothing beside it.
#[derive(Debug, Default)]
pub struct Company {
    notifier: Notifier,
    /// There until the server has ended.
    _pid_file: Option<PidFile>,
}

impl Company {
    /// Writes the number of the process to `pid_file`, and looks who waits to be told. This process
    /// was given what was `inherited`.
    ///
    /// # Errors
    /// Where the file cannot be written, or somebody asks for what a recorded server does not do;
    /// and what to do.
    pub fn new(inherited: &Inherited, pid_file: Option<&Path>) -> Result<Company, String> {
        if !inherited.sockets.is_empty() {
            return Err(
                "systemd has passed sockets, and a server that is recorded binds its own: \
                        stop the socket unit as long"
                    .to_owned(),
            );
        }
        let notifier = Notifier::from_environment();
        if notifier.patience().is_some() {
            return Err("systemd watches whether the loop turns, and a server that is recorded \
                        does not say so: set WatchdogSec=0 as long"
                .to_owned());
        }
        let pid_file = pid_file.map(|path| PidFile::create(path, None)).transpose()?;
        Ok(Company { notifier, _pid_file: pid_file })
    }
}

/// A network for a server that is to be recorded. SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1 and
/// SIGUSR2 are for [`run`] to act on.
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

/// Runs `server`, whose tape has begun, until SIGTERM or SIGINT ends it: the first begins its
/// graceful end, a second one ends it now. SIGUSR1 reopens the logs, `log` among them, and SIGQUIT
/// has what the loop did last written into it. `seen` may look at the server after each turn, be it
/// the last one or not whole, and is told which moment was the first since it did before. In a
/// replay, the signals are those of the recording.
///
/// # Errors
/// Those of [`Server::turn`], and where a replay is over.
pub fn run<N: Tape>(
    server: &mut Server<N>,
    mut company: Company,
    log: &DiagnosticLog,
    mut seen: impl FnMut(&Server<N>, u64),
) -> io::Result<Ended> {
    company.notifier.ready();
    let ended = live(server, &mut company, log, &mut seen);
    server.end_tape();
    ended
}

fn live<N: Tape>(
    server: &mut Server<N>,
    company: &mut Company,
    log: &DiagnosticLog,
    seen: &mut impl FnMut(&Server<N>, u64),
) -> io::Result<Ended> {
    let (mut is_ending, mut dump) = (false, Dump::default());
    let mut first = 0;
    loop {
        dump.watch(server, |server| {
            let turned = catch_unwind(AssertUnwindSafe(|| server.turn()));
            if !matches!(turned, Ok(Ok(()))) {
                seen(server, first);
            }
            turned.unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        let next = server.mark_turn(first);
        seen(server, first);
        first = next.ok_or_else(|| io::Error::other("the replay is over"))?;
        while let Some(signal) = server.next_signal() {
            match signal {
                SIGQUIT => dump::told(server),
                SIGUSR1 => reopen_logs(server, log),
                SIGHUP | SIGUSR2 => log::warn!(
                    "what is recorded is one process with one configuration: nothing is read \
                     again, and nothing upgraded"
                ),
                _ if is_ending => return Ok(Ended::Cut),
                _ => {
                    log::info!("ending: finishing what is under way; a second signal ends it now");
                    is_ending = true;
                    company.notifier.stopping();
                    server.drain();
                }
            }
        }
        if server.is_over() {
            return Ok(if server.clients() == 0 { Ended::Drained } else { Ended::Cut });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::server::access_log::{AccessLog, AccessLogOptions};
    use crate::server::diagnostic_log::{DiagnosticLogOptions, Environment};
    use crate::server::limits::Limits;
    use crate::server::net::{Net, Ready, Wake};
    use crate::server::outlet::LogTarget;
    use crate::server::peers::PeerId;
    use crate::server::timers::Millis;
    use crate::site::router::Router;

    /// A network on which the loop panics as soon as somebody comes.
    struct Broken(Vec<Ready>);

    impl Tape for Broken {
        fn begin(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn turned(&mut self, _: u64, _: u32) -> bool {
            true
        }

        fn end(&mut self) {}
    }

    impl Net for Broken {
        fn now(&self) -> Millis {
            Millis::default()
        }

        fn unix_time(&self) -> u64 {
            0
        }

        fn wait(&mut self, ready: &mut Vec<Ready>, _: Option<Duration>) -> io::Result<()> {
            ready.append(&mut self.0);
            Ok(())
        }

        fn waker(&self) -> Wake {
            Arc::new(|| ())
        }

        fn has_visitor(&mut self, _: PeerId) -> bool {
            true
        }

        fn accept(&mut self, _: PeerId, _: PeerId) -> io::Result<Option<SocketAddr>> {
            panic!("a bug")
        }

        fn watch(&mut self, _: PeerId) -> io::Result<()> {
            Ok(())
        }

        fn read(&mut self, _: PeerId, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn write(&mut self, _: PeerId, _: &[IoSlice<'_>], _: bool) -> io::Result<usize> {
            Ok(0)
        }

        fn send_file(&mut self, _: PeerId, _: &File, _: u64, _: usize) -> io::Result<usize> {
            Ok(0)
        }

        fn finish(&mut self, _: PeerId) {}

        fn close(&mut self, _: PeerId) {}
    }

    #[test]
    fn a_turn_that_panics_is_seen_and_then_ends_the_server() {
        let site = Router::new().build().unwrap();
        let log = AccessLog::open(&AccessLogOptions::default()).unwrap();
        let listener = PeerId { key: 0, generation: 0 };
        let ready = Ready {
            peer: listener,
            readable: true,
            writable: false,
            read_closed: false,
            broken: false,
            fetched: false,
        };
        let mut server = Server::over(Broken(vec![ready]), site, Limits::default(), log);
        let address = "127.0.0.1:80".parse().unwrap();
        assert_eq!(server.add_listener(address), listener, "or nobody would be ready");
        let options = DiagnosticLogOptions { to: LogTarget::None, ..Default::default() };
        let log = DiagnosticLog::open(&options, &Environment::default()).unwrap();
        let mut seen = 0;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            run(&mut server, Company::default(), &log, |server, _| {
                seen += 1;
                assert_eq!(server.recorder().turn().ready, 1);
            })
        }));
        assert!(ended.is_err(), "it is told of, and goes on");
        assert_eq!(seen, 1);
    }
}
