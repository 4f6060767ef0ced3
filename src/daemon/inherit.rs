//! What this process was given at its start: by its predecessor, whose place it is to take, or by
//! systemd (socket activation, sd_listen_fds(3)). What becomes of it, is not known here.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::process::getppid;

use super::passing::{Channel, Item};
use super::sandbox::Confinement;
use crate::server::Address;
use crate::server::handing_over::Passed;
use crate::server::listener::PathOwner;

/// The environment of a successor names its predecessor by this, by the number of the process. Its
/// standard input is one end of a pair of sockets then.
pub(super) const PREDECESSOR: &str = "ONELOOP_SUCCEEDS";

/// How long a predecessor may take to pass what it has.
const PASSING: Duration = Duration::from_secs(10);

/// The first descriptor that systemd passes (SD_LISTEN_FDS_START).
const FIRST: usize = 3;

/// What was given.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Sockets that listen already. Whoever listens on one takes it out.
    pub sockets: Vec<Passed>,
    /// The file that has the predecessor's number.
    pub(super) pid_file: Option<File>,
    /// The predecessor, or the supervisor.
    pub(super) predecessor: Option<Channel>,
    is_activated: bool,
    is_worker: bool,
    /// The names that systemd has for the sockets.
    names: Vec<String>,
    /// What the predecessor is confined to, and so is this one.
    pub(super) confinement: Confinement,
    /// The configuration that a worker is to serve under.
    configuration: Option<String>,
}

impl Inherited {
    /// Takes it, from whomever. To be called once, before there is another thread.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn take() -> Result<Inherited, String> {
        let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        if env::var(PREDECESSOR).is_ok_and(|number| number == parent.to_string()) {
            return from_predecessor()
                .map_err(|what| format!("cannot take over from process {parent}: {what}"));
        }
        from_systemd()
    }

    /// Whether this process is one of several workers. It serves on all sockets that it was given,
    /// and on no others.
    #[must_use]
    pub fn is_worker(&self) -> bool {
        self.is_worker
    }

    /// Where a worker serves, and where its admin listener is.
    #[must_use]
    pub fn of_worker(&self) -> (Vec<Address>, Option<Address>) {
        let (admin, for_sites): (Vec<&Passed>, Vec<&Passed>) =
            self.sockets.iter().partition(|one| one.is_admin());
        let address = |one: &Passed| one.address().clone();
        (for_sites.into_iter().map(address).collect(), admin.first().copied().map(address))
    }

    /// The text of the configuration that a worker is to serve under.
    pub fn take_configuration(&mut self) -> Option<String> {
        self.configuration.take()
    }

    /// Says in the log what systemd has passed.
    pub fn announce(&self) {
        for (socket, name) in self.sockets.iter().zip(&self.names) {
            log::info!("systemd has passed {name}, which listens on {}", socket.address());
        }
    }

    /// Whether this process takes the place of another one.
    #[must_use]
    pub fn is_successor(&self) -> bool {
        self.predecessor.is_some() && !self.is_worker()
    }

    /// What is left of the sockets when the server listens: the predecessor's are of no use any
    /// more, and systemd's are a mistake.
    ///
    /// # Errors
    /// Which one, and what to do about it.
    pub fn settle(&self) -> Result<(), String> {
        let Some(stranger) = self.sockets.first().filter(|_| self.is_activated) else {
            return Ok(());
        };
        Err(format!(
            "systemd has passed a socket for {address}, which the configuration does not name\n\
             Write `listen = \"{address}\"` in [server], beside the others if there are more, or \
             take it out of the socket unit.",
            address = stranger.address()
        ))
    }

    /// The server serves: says so to the predecessor, which ends then. Paths of sockets that nobody
    /// listens on any more are removed.
    pub(super) fn serves(&mut self) {
        let Some(predecessor) = self.predecessor.take() else { return };
        if let Err(error) = predecessor.send(&Item::Ready) {
            log::warn!("the process before this one has ended by itself: {error}");
        }
        for mut passed in self.sockets.drain(..) {
            passed.succeed();
            passed.remove_path();
        }
    }
}

fn from_predecessor() -> Result<Inherited, String> {
    let end = std::io::stdin().as_fd().try_clone_to_owned();
    let channel = end.and_then(|end| Channel::new(end, PASSING));
    let channel = channel.map_err(|error| format!("its standard input is no socket: {error}"))?;
    // What is left of the standard input must not keep the pair open.
    let null = File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
    rustix::stdio::dup2_stdin(null).map_err(|error| format!("no standard input: {error}"))?;
    let mut inherited = Inherited::default();
    loop {
        match channel.receive() {
            Ok(Some(Item::Socket(passed))) => inherited.sockets.push(passed),
            Ok(Some(Item::PidFile(file))) => inherited.pid_file = Some(file.into()),
            Ok(Some(Item::End)) => break,
            Ok(Some(Item::Worker)) => inherited.is_worker = true,
            Ok(Some(Item::Configuration(file))) => {
                let mut text = String::new();
                let read = File::from(file).read_to_string(&mut text);
                read.map_err(|error| format!("no configuration: {error}"))?;
                inherited.configuration = Some(text);
            }
            Ok(Some(Item::Confinement(file))) => {
                let mut bytes = Vec::new();
                let read = File::from(file).read_to_end(&mut bytes);
                read.map_err(|error| format!("what it is confined to: {error}"))?;
                inherited.confinement =
                    Confinement::from_bytes(&bytes).ok_or("what it is confined to, is not said")?;
            }
            Ok(Some(Item::Ready | Item::Alive | Item::Order(_))) => {
                return Err("it says what it should not".to_owned());
            }
            Ok(None) => return Err("it has ended".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
    }
    inherited.predecessor = Some(channel);
    Ok(inherited)
}

fn from_systemd() -> Result<Inherited, String> {
    let mut inherited = Inherited { is_activated: true, ..Inherited::default() };
    // They are meant for the process of this number, and not for what it starts.
    let own = std::process::id().to_string();
    if env::var("LISTEN_PID").is_ok_and(|number| !number.is_empty() && number != own) {
        return Ok(inherited);
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    for at in 0..passed.len() {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown");
        let socket = listener(&mut passed, at).map_err(|what| {
            format!(
                "systemd has passed descriptor {} ({name}), which is of no use: {what}\n\
                 Its socket unit needs ListenStream= with an address or a path, and Accept=no.",
                FIRST + at
            )
        })?;
        inherited.names.push(name.to_owned());
        inherited.sockets.push(socket);
    }
    Ok(inherited)
}

fn listener(passed: &mut ListenFd, at: usize) -> Result<Passed, String> {
    let socket: Option<OwnedFd> = match passed.take_unix_listener(at) {
        Ok(listener) => listener.map(OwnedFd::from),
        Err(_) => match passed.take_tcp_listener(at) {
            Ok(listener) => listener.map(OwnedFd::from),
            Err(_) => return Err("it is no TCP or Unix-domain socket".to_owned()),
        },
    };
    let socket = socket.ok_or("it is there twice")?;
    Passed::new(socket, PathOwner::Other).map_err(|error| error.to_string())
}
