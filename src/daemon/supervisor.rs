//! Several workers, each one loop: they are started, given their sockets, and started again when
//! one dies. All sockets stay open here, so nobody who waits in the queue of one is lost with it.
//!
//! A change, be it of the configuration or of the program, is a new generation of workers: it
//! serves before the last one is told to retire. What is served is not known here.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::generation::{Crew, Generation};
use super::inherit::Inherited;
use super::notify::Notifier;
use super::passing::{Item, Order};
use super::pid_file::PidFile;
use super::upgrade::{Program, Start};
use super::{Ended, may_upgrade};
use crate::server::Address;
use crate::server::diagnostic_log::DiagnosticLog;
use crate::server::net::{Net as _, Ready, System};
use crate::server::timers::Millis;

/// How much longer than it should a worker may take to end, until it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// What a configuration asks of the supervisor.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to listen.
    pub listen: Vec<Address>,
    /// Where the first worker has its admin listener, if they have any.
    pub admin: Option<Address>,
    /// How many workers there are.
    pub workers: usize,
    /// Where the number of the supervisor stands.
    pub pid_file: Option<PathBuf>,
    /// How long workers, or a new program, may take until they serve.
    pub start: Duration,
    /// How long workers may take to end.
    pub drain: Duration,
    /// The configuration as it stands. A worker that is started again gets just this one.
    pub text: String,
}

/// What the supervisor asks of whoever knows what a configuration is.
pub trait Configuration {
    /// What it is now.
    ///
    /// # Errors
    /// Where it means nothing.
    fn read(&self) -> Result<Plan, Box<dyn Error>>;

    /// The workers serve at these addresses.
    fn serves(&self, addresses: &[Address]);
}

/// The supervisor.
pub struct Supervisor<'a> {
    net: System,
    configuration: &'a dyn Configuration,
    program: Program,
    notifier: Notifier,
    pid_file: Option<PidFile>,
    inherited: Inherited,
    /// The generation that serves.
    current: Option<Generation>,
    /// The one that is to serve in its place.
    next: Option<Generation>,
    /// Workers that retire or end.
    old: Crew,
    /// How long workers may take to end.
    drain: Duration,
    upgrade: Option<Start>,
    is_succeeded: bool,
    /// It ends; then all workers are killed.
    ends_by: Option<Millis>,
}

impl<'a> Supervisor<'a> {
    /// Begins to start the workers of `plan`.
    ///
    /// # Errors
    /// Where an address cannot be listened on, or no process be started.
    pub fn new(
        configuration: &'a dyn Configuration,
        plan: Plan,
        mut inherited: Inherited,
    ) -> Result<Self, Box<dyn Error>> {
        let mut net = System::new()?;
        net.watch_signals(&[SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD])?;
        let program = Program::this()?;
        let first = Generation::begin(plan, &mut inherited.sockets, &program, &net.waker())?;
        if let Err(error) = inherited.settle() {
            first.dissolve(&[]).kill();
            return Err(error.into());
        }
        Ok(Supervisor {
            net,
            configuration,
            program,
            notifier: Notifier::from_environment(),
            pid_file: None,
            inherited,
            current: None,
            next: Some(first),
            old: Crew::default(),
            drain: Duration::ZERO,
            upgrade: None,
            is_succeeded: false,
            ends_by: None,
        })
    }

    /// Keeps the workers running until SIGTERM or SIGINT ends them, or a successor has taken over.
    ///
    /// # Errors
    /// Where the first workers do not come to serve.
    pub fn run(mut self, log: &DiagnosticLog) -> Result<Ended, Box<dyn Error>> {
        let mut ready: Vec<Ready> = Vec::new();
        loop {
            let now = self.net.now();
            self.net.wait(&mut ready, self.timeout(now))?;
            ready.clear();
            let now = self.net.now();
            self.notifier.turned(now);
            while let Some(signal) = self.net.next_signal() {
                self.heed(signal, now, log);
            }
            self.look_at_next(now)?;
            if let Some(current) = &mut self.current {
                let patience = self.notifier.patience();
                current.tend(now, patience, &self.program, &self.net.waker());
            }
            self.look_at_upgrade();
            self.old.bury();
            if self.ends_by.is_some_and(|by| by <= now) {
                self.old.kill();
                return Ok(Ended::Cut);
            }
            if (self.is_succeeded || self.ends_by.is_some()) && self.old.is_empty() {
                return Ok(Ended::Drained);
            }
        }
    }

    fn timeout(&self, now: Millis) -> Option<Duration> {
        let restart = self.current.as_ref().and_then(|current| current.due(now));
        let end = self.ends_by.map(|by| by.since(now));
        self.notifier.due(now).into_iter().chain(restart).chain(end).min()
    }

    fn heed(&mut self, signal: i32, now: Millis, log: &DiagnosticLog) {
        match signal {
            // What has become of whom, each turn finds out.
            SIGCHLD => {}
            SIGHUP => self.reload(),
            SIGQUIT => self.order_all(Order::Tell),
            SIGUSR1 => self.reopen_logs(log),
            SIGUSR2 => self.begin_upgrade(),
            _ if self.ends_by.is_some() => self.old.order(Order::Cut),
            _ => self.end(now),
        }
    }

    /// Opens the files of the logs anew, for they may have been renamed: its own and the workers'.
    fn reopen_logs(&self, log: &DiagnosticLog) {
        if let Err(error) = log.reopen() {
            log::error!("cannot reopen the error log, which goes on as it was: {error}");
        }
        self.order_all(Order::Reopen);
    }

    fn order_all(&self, order: Order) {
        for generation in self.current.iter().chain(&self.next) {
            generation.order(order);
        }
    }

    fn end(&mut self, now: Millis) {
        log::info!("ending: finishing what is under way; a second signal ends it now");
        if let Some(Ok(born)) = self.upgrade.take().and_then(Start::cancel) {
            self.succeeded_by(born.child.id());
        }
        self.notifier.stopping();
        for generation in self.next.take().into_iter().chain(self.current.take()) {
            self.old.add(generation.dissolve(&[]));
        }
        self.old.order(Order::End);
        self.ends_by = Some(now + self.drain + GRACE);
    }

    /// Begins a generation of workers under the configuration as it is now.
    fn reload(&mut self) {
        let why_not = match (&self.next, &self.upgrade) {
            (Some(_), _) | (_, Some(_)) => Some("another change is under way"),
            _ if self.is_succeeded || self.ends_by.is_some() => Some("this server is about to end"),
            (None, None) => None,
        };
        if let Some(why_not) = why_not {
            return log::warn!("no reload: {why_not}");
        }
        log::info!("reload: starting new workers");
        self.notifier.reloading();
        match self.next_generation() {
            Ok(next) => self.next = Some(next),
            Err(error) => self.change_failed(&error.to_string()),
        }
    }

    fn next_generation(&self) -> Result<Generation, Box<dyn Error>> {
        let plan = self.configuration.read()?;
        let mut sockets = match &self.current {
            Some(current) => current.share()?,
            None => Vec::new(),
        };
        Ok(Generation::begin(plan, &mut sockets, &self.program, &self.net.waker())?)
    }

    /// Looks whether the next generation serves by now; then it is the current one.
    fn look_at_next(&mut self, now: Millis) -> Result<(), Box<dyn Error>> {
        let Some(next) = &mut self.next else { return Ok(()) };
        match next.is_ready(now) {
            Ok(false) => {}
            Ok(true) => {
                let next = self.next.take();
                if let Err(error) = self.promote(next) {
                    if self.current.is_none() {
                        return Err(error.into());
                    }
                    self.change_failed(&error);
                }
            }
            Err(error) => {
                if let Some(next) = self.next.take() {
                    self.dismiss(next);
                }
                if self.current.is_none() {
                    return Err(format!("no worker serves: {error}").into());
                }
                self.change_failed(&error);
            }
        }
        Ok(())
    }

    fn promote(&mut self, next: Option<Generation>) -> Result<(), String> {
        let Some(mut next) = next else { return Ok(()) };
        let before = self.current.as_ref().and_then(|current| current.plan.pid_file.as_ref());
        if next.plan.pid_file.as_ref() != before || self.current.is_none() {
            let given = self.inherited.pid_file.take();
            let made = next.plan.pid_file.as_ref().map(|path| PidFile::create(path, given));
            match made.transpose() {
                Ok(pid_file) => self.pid_file = pid_file,
                Err(error) => {
                    self.dismiss(next);
                    return Err(error);
                }
            }
        }
        next.succeed();
        self.drain = next.plan.drain;
        let (addresses, kept) = (next.addresses(), next.all_addresses());
        if let Some(last) = self.current.replace(next) {
            let mut retired = last.dissolve(&kept);
            retired.order(Order::Retire);
            self.old.add(retired);
        }
        self.configuration.serves(&addresses);
        if self.inherited.predecessor.is_some() {
            self.inherited.serves();
        } else {
            self.notifier.ready();
        }
        Ok(())
    }

    /// A generation that is not to serve. Its sockets are those of the current one as well.
    fn dismiss(&mut self, generation: Generation) {
        let kept = self.current.as_ref().map(Generation::all_addresses).unwrap_or_default();
        let mut crew = generation.dissolve(&kept);
        crew.order(Order::End);
        self.old.add(crew);
    }

    fn change_failed(&mut self, why: &str) {
        log::error!("no change, this server goes on: {why}");
        self.upgrade = None;
        self.notifier.ready();
        if let Some(pid_file) = &self.pid_file {
            pid_file.renew();
        }
    }

    /// Starts the program anew, to take the place of this process and its workers.
    fn begin_upgrade(&mut self) {
        let is_busy = self.upgrade.is_some() || self.next.is_some();
        if !may_upgrade(self.ends_by.is_some(), self.is_succeeded, is_busy) {
            return;
        }
        log::info!("upgrade: starting the new program");
        self.notifier.reloading();
        match self.start_successor() {
            Ok(upgrade) => self.upgrade = Some(upgrade),
            Err(error) => self.change_failed(&error.to_string()),
        }
    }

    fn start_successor(&self) -> io::Result<Start> {
        let Some(current) = &self.current else { return Err(io::ErrorKind::NotFound.into()) };
        let sockets = current.share()?.into_iter().map(Item::Socket);
        let pid_file = self.pid_file.as_ref().map(PidFile::share).transpose()?;
        let items = sockets.chain(pid_file.map(Item::PidFile)).chain([Item::End]).collect();
        // It has workers to start, one of them after another.
        let limit = current.plan.start;
        Start::begin(self.program.clone(), items, limit, self.net.waker())
    }

    fn look_at_upgrade(&mut self) {
        match self.upgrade.as_mut().and_then(Start::outcome) {
            Some(Ok(born)) => self.succeeded_by(born.child.id()),
            Some(Err(why)) => self.change_failed(&why),
            None => {}
        }
    }

    fn succeeded_by(&mut self, process: u32) {
        log::info!("upgrade: process {process} serves; this one ends with its clients");
        self.upgrade = None;
        self.notifier.succeeded_by(process);
        self.is_succeeded = true;
        if let Some(current) = self.current.take() {
            let kept = current.all_addresses();
            let mut crew = current.dissolve(&kept);
            crew.order(Order::Retire);
            self.old.add(crew);
        }
    }
}

impl Drop for Supervisor<'_> {
    /// Whatever goes wrong: no worker is left behind.
    fn drop(&mut self) {
        for generation in self.next.take().into_iter().chain(self.current.take()) {
            self.old.add(generation.dissolve(&[]));
        }
        self.old.kill();
    }
}
