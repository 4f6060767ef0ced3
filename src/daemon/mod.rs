//! Floor 3, being a daemon: what the process may have, and what signals and the service manager ask
//! of the loop.

mod dump;
mod generation;
pub mod inherit;
pub mod notify;
mod passing;
mod pid_file;
pub mod privileges;
pub mod recording;
pub mod sandbox;
pub mod supervisor;
mod system_calls;
mod upgrade;
mod worker;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};

use crate::server::Server;
use crate::server::diagnostic_log::DiagnosticLog;
use crate::server::net::Net;
use dump::Dump;
use inherit::Inherited;
use notify::Notifier;
use passing::{Item, Order, in_memory};
use pid_file::PidFile;
use sandbox::{Asked, Confinement};
use upgrade::{Program, Start};
use worker::Orders;

/// How a server's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every exchange was finished.
    Drained,
    /// A second signal, or the drain's deadline, came first.
    Cut,
}

/// Lets this process open as many descriptors as its hard limit allows. The soft limit is low for
/// the sake of programs that use select(2), which this is not. Returns how many that is, if
/// limited.
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let result = setrlimit(Resource::Nofile, raised);
    if result.is_ok() { limit.maximum } else { limit.current }
}

/// Has the system's table of this process's descriptors hold `count` of them from the beginning, if
/// as many are allowed. It would grow by and by; but where there are several threads, whoever needs
/// it larger waits until no processor looks at the former one any more. Under load, an `accept4`
/// has taken 1.7 s for it. So this is for the time before there is a second thread.
pub fn make_room_for_descriptors(count: usize) {
    let most = raise_descriptor_limit().unwrap_or(u64::MAX).saturating_sub(1);
    let last = i32::try_from(most.min(count as u64)).unwrap_or(i32::MAX);
    // What cannot be had now may still be had later.
    let _ = rustix::io::fcntl_dupfd_cloexec(io::stderr(), last);
}

/// From now on a file that has grown as large as it may (`ulimit -f`) fails the next write to it
/// with EFBIG, and SIGXFSZ ends nothing. It is caught and not ignored, so that in programs
/// that are started it does what it does by default.
///
/// # Errors
/// Those of sigaction(2).
pub fn outlive_file_limit() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// From now on SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are for [`run`] to act on.
/// Until then they end the process at once and leave a Unix-domain socket lying about, so nobody
/// should be told of the server before.
///
/// # Errors
/// Those of [`Server::watch_signals`].
pub fn heed_signals(server: &mut Server) -> io::Result<()> {
    server.watch_signals(&[SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2])
}

/// What a daemon is beside its loop.
#[derive(Debug)]
pub struct Life {
    program: Program,
    notifier: Notifier,
    pid_file: Option<PidFile>,
    inherited: Inherited,
    upgrade: Option<Start>,
    /// What the supervisor asks of this process, if it is a worker.
    orders: Option<Orders>,
    /// What this process is confined to.
    confinement: Confinement,
    /// How long a new program may take until it serves.
    upgrade_limit: Duration,
    stage: Stage,
}

/// How far a daemon has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Another process serves in its place.
    Succeeded,
    /// A signal has asked for its end.
    Ending,
}

impl Life {
    /// Writes the number of the process to `pid_file`. `inherited` is what the server has left of
    /// what it was given.
    ///
    /// # Errors
    /// Where something is wrong with that, or the file cannot be written; and what to do.
    pub fn new(
        inherited: Inherited,
        pid_file: Option<&Path>,
        upgrade_limit: Duration,
    ) -> Result<Life, String> {
        inherited.settle()?;
        let program =
            Program::this().map_err(|error| format!("cannot tell what is running: {error}"))?;
        // The service manager has to do with the supervisor alone.
        let notifier =
            if inherited.is_worker() { Notifier::default() } else { Notifier::from_environment() };
        let pid_file = pid_file.filter(|_| !inherited.is_worker());
        let mut life = Life {
            program,
            notifier,
            pid_file: None,
            inherited,
            upgrade: None,
            orders: None,
            confinement: Confinement::default(),
            upgrade_limit,
            stage: Stage::Serving,
        };
        if let Some(path) = pid_file {
            life.pid_file = Some(PidFile::create(path, life.inherited.pid_file.take())?);
        }
        Ok(life)
    }

    /// Gives up what is not needed any more: root's rights, and what the sandbox does not allow.
    /// All that the server starts lives under the same.
    ///
    /// # Errors
    /// Why that cannot be, and what to do. The process is to end then.
    pub fn confine(&mut self, asked: Asked, log: &DiagnosticLog) -> Result<Confinement, String> {
        self.confinement =
            sandbox::confine(asked, std::mem::take(&mut self.inherited.confinement), log)?;
        Ok(self.confinement.clone())
    }

    /// The server serves from now on: whoever waits for that is told.
    fn begin(&mut self, server: &mut Server) -> io::Result<()> {
        if self.inherited.is_worker() {
            if let Some(supervisor) = self.inherited.predecessor.take() {
                self.notifier = Notifier::of_worker(supervisor.try_clone()?);
                self.orders = Some(Orders::heed(supervisor, server.waker())?);
            }
        } else if self.inherited.predecessor.is_some() {
            server.succeed();
            // It tells the service manager of this one.
            self.inherited.serves();
        } else {
            self.notifier.ready();
        }
        Ok(())
    }

    /// Does what the supervisor asks. Returns whether that is to end now.
    fn obey(&mut self, server: &mut Server, log: &DiagnosticLog) -> bool {
        while let Some(order) = self.orders.as_ref().and_then(Orders::next) {
            match order {
                Order::Retire => {
                    server.retire();
                    self.stage = Stage::Succeeded;
                }
                Order::End => {
                    server.drain();
                    self.stage = Stage::Ending;
                }
                Order::Reopen => reopen_logs(server, log),
                Order::Tell => dump::told(server),
                Order::Cut => return true,
            }
        }
        false
    }

    /// Begins the graceful end.
    fn end(&mut self, server: &mut Server) {
        log::info!("ending: finishing what is under way; a second signal ends it now");
        // A successor that does not serve yet is not needed either.
        if let Some(Ok(born)) = self.upgrade.take().and_then(Start::cancel) {
            self.succeeded_by(born.child.id(), server);
        }
        self.notifier.stopping();
        server.drain();
        self.stage = Stage::Ending;
    }

    /// Has the configuration read again, if this server is to go on.
    fn reload(&mut self, reload: impl FnOnce()) {
        match self.stage {
            Stage::Ending => log::info!("ending: the configuration is not read again"),
            Stage::Succeeded => log::warn!("no reload: the process that serves now is another one"),
            Stage::Serving => {
                self.notifier.reloading();
                reload();
                self.notifier.ready();
            }
        }
    }

    /// Starts the program anew, to take the place of this process.
    fn begin_upgrade(&mut self, server: &mut Server) {
        if self.orders.is_some() {
            return log::warn!("no upgrade of a single worker: ask its supervisor for it");
        }
        let (is_ending, is_succeeded) =
            (self.stage == Stage::Ending, self.stage == Stage::Succeeded);
        if !may_upgrade(is_ending, is_succeeded, self.upgrade.is_some()) {
            return;
        }
        log::info!("upgrade: starting the new program");
        self.notifier.reloading();
        match self.start_successor(server) {
            Ok(upgrade) => self.upgrade = Some(upgrade),
            Err(error) => self.upgrade_failed(&error.to_string()),
        }
    }

    fn start_successor(&self, server: &mut Server) -> io::Result<Start> {
        let sockets = server.share_listeners()?.into_iter().map(Item::Socket);
        let pid_file = self.pid_file.as_ref().map(PidFile::share).transpose()?;
        let confinement = Item::Confinement(in_memory(&self.confinement.to_bytes())?);
        let pid_file = pid_file.map(Item::PidFile);
        let items = sockets.chain(pid_file).chain([confinement, Item::End]).collect();
        Start::begin(self.program.clone(), items, self.upgrade_limit, server.waker())
    }

    /// Looks whether a successor serves by now.
    fn look_at_upgrade(&mut self, server: &mut Server) {
        match self.upgrade.as_mut().and_then(Start::outcome) {
            Some(Ok(born)) => self.succeeded_by(born.child.id(), server),
            Some(Err(why)) => self.upgrade_failed(&why),
            None => {}
        }
    }

    fn succeeded_by(&mut self, process: u32, server: &mut Server) {
        log::info!("upgrade: process {process} serves; this one ends with its clients");
        self.upgrade = None;
        self.notifier.succeeded_by(process);
        server.retire();
        self.stage = Stage::Succeeded;
    }

    fn upgrade_failed(&mut self, why: &str) {
        log::error!("no upgrade, this server goes on: {why}");
        self.upgrade = None;
        self.notifier.ready();
        if let Some(pid_file) = &self.pid_file {
            pid_file.renew();
        }
    }
}

/// Whether a successor can be started now. Where it cannot, the log says why.
fn may_upgrade(is_ending: bool, is_succeeded: bool, is_busy: bool) -> bool {
    let why_not = if is_ending {
        "this server is about to end"
    } else if is_succeeded {
        "the process that serves now is another one"
    } else if is_busy {
        "another change is under way"
    } else if std::process::id() == 1 {
        "a container ends with its first process: start another container instead"
    } else {
        return true;
    };
    log::warn!("no upgrade: {why_not}");
    false
}

/// Runs `server` until SIGTERM or SIGINT ends it. The first begins its graceful end
/// ([`Server::drain`]); a second one ends it now. SIGUSR1 reopens the logs, `log` among them.
/// SIGQUIT has what the loop did last written into it.
/// SIGUSR2 has the program started anew, to go on in its place ([`Server::retire`]). At SIGHUP,
/// `reload` is called: it knows what the server is to go by, and says what has become of it.
/// However many of them come in during one turn, it is called once.
///
/// # Errors
/// Those of [`Server::turn`].
pub fn run(
    server: &mut Server,
    mut life: Life,
    log: &DiagnosticLog,
    mut reload: impl FnMut(&mut Server),
) -> io::Result<Ended> {
    life.begin(server)?;
    let mut dump = Dump::default();
    loop {
        let due = life.notifier.due(server.now()).filter(|_| !server.is_held());
        dump.watch(server, |server| server.turn_within(due))?;
        if server.is_held() {
            // Its clock stands still, and it turns ten times a second.
            life.notifier.is_alive();
        } else {
            life.notifier.turned(server.now());
        }
        let mut is_stale = false;
        while let Some(signal) = server.next_signal() {
            match signal {
                SIGHUP => is_stale = true,
                SIGQUIT => dump::told(server),
                SIGUSR1 => reopen_logs(server, log),
                SIGUSR2 => life.begin_upgrade(server),
                _ if life.stage == Stage::Ending => return Ok(Ended::Cut),
                _ => life.end(server),
            }
        }
        // That of a worker is for its supervisor; a terminal sends it to all.
        if is_stale && life.orders.is_none() {
            life.reload(|| reload(server));
        }
        if life.upgrade.is_some() {
            life.look_at_upgrade(server);
        }
        if life.orders.is_some() && life.obey(server, log) {
            return Ok(Ended::Cut);
        }
        if server.is_over() {
            return Ok(if server.clients() == 0 { Ended::Drained } else { Ended::Cut });
        }
    }
}

/// Opens the files of the logs anew, for they may have been renamed.
fn reopen_logs<N: Net>(server: &mut Server<N>, log: &DiagnosticLog) {
    let reopened = [("access log", server.reopen_logs()), ("error log", log.reopen())];
    for (name, reopened) in reopened {
        if let Err(error) = reopened {
            log::error!("cannot reopen the {name}, which goes on as it was: {error}");
        }
    }
    log::info!("the logs are reopened");
}
