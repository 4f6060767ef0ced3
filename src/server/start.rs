//! What a server is started with, and why one does not start.

use std::fmt;
use std::io;

use super::Server;
use super::access_log::{AccessLog, AccessLogOptions};
use super::handing_over::{self, Passed};
use super::limits::Limits;
use super::listener::{Address, Listener, Wanted};
use super::net::{Net, System};
use super::peers::Peer;
use super::terms::Terms;
use super::trust::Trust;
use crate::site::Site;

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to listen; several at once are fine.
    pub listen: Vec<Address>,
    /// Where the server shows how it is doing: only to this machine. `None`: nowhere.
    pub admin: Option<Address>,
    /// Whom the server believes when they say for whom they speak.
    pub trust: Trust,
    /// The limits.
    pub limits: Limits,
    /// The access log.
    pub access_log: AccessLogOptions,
}

impl Options {
    /// Where to listen, for sites and for the admin listener.
    pub(super) fn wanted(&self) -> Vec<Wanted<'_>> {
        let for_sites = self.listen.iter().map(|address| Wanted { address, is_admin: false });
        for_sites
            .chain(self.admin.iter().map(|address| Wanted { address, is_admin: true }))
            .collect()
    }

    /// # Errors
    /// Where the server must not listen at one of these addresses.
    pub(super) fn check(&self) -> Result<(), StartError> {
        match &self.admin {
            Some(address) if !address.is_local() => Err(StartError::PublicAdmin(address.clone())),
            Some(_) | None => Ok(()),
        }
    }
}

impl Server {
    /// Binds all addresses and opens the log; nothing is served before [`run`](Self::run).
    ///
    /// # Errors
    /// Where one of them cannot be had.
    pub fn new(options: &Options, site: impl Into<Site>) -> Result<Self, StartError> {
        Server::with_sockets(options, site, &mut Vec::new())
    }

    /// The same, but where one of `passed` listens at an address already, it is taken out of them
    /// and nothing is bound.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_sockets(
        options: &Options,
        site: impl Into<Site>,
        passed: &mut Vec<Passed>,
    ) -> Result<Self, StartError> {
        options.check()?;
        let log = AccessLog::open(&options.access_log).map_err(StartError::AccessLog)?;
        let net = System::new().map_err(StartError::Poll)?;
        let (limits, trust) = (options.limits.clone(), options.trust.clone());
        let mut server = Server::by_terms(net, Terms::new(site.into(), limits, trust), log);
        let wanted = options.wanted();
        let assigned = handing_over::assign(&wanted, passed);
        for (wanted, passed) in wanted.into_iter().zip(assigned) {
            let error = |error| StartError::Listen(wanted.address.clone(), error);
            server.listen(wanted, passed).map_err(error)?;
        }
        server.listen_beside(passed)?;
        Ok(server)
    }
}

impl<N: Net> Server<N> {
    /// A server over `net` that listens where the options say, wherever that is in `net`. But for
    /// files, it has nothing to do with anything else. It shows nowhere how it is doing.
    ///
    /// # Errors
    /// As for [`Server::new`].
    pub fn with_network(net: N, options: &Options, site: Site) -> Result<Self, StartError> {
        let log = AccessLog::open(&options.access_log).map_err(StartError::AccessLog)?;
        let (limits, trust) = (options.limits.clone(), options.trust.clone());
        let mut server = Server::by_terms(net, Terms::new(site, limits, trust), log);
        for address in &options.listen {
            let wanted = Wanted { address, is_admin: false };
            let id = server.peers.next_id();
            let listening = server.net.listen(address, id);
            let (there, owner) =
                listening.map_err(|error| StartError::Listen(address.clone(), error))?;
            let mut listener = Listener::new(there).wanted(wanted);
            listener.set_path_owner(owner);
            server.peers.insert(Peer::Listener(listener));
        }
        Ok(server)
    }
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be listened on.
    Listen(Address, io::Error),
    /// The address where the server shows how it is doing can be reached from other machines.
    PublicAdmin(Address),
    /// The access log could not be opened.
    AccessLog(io::Error),
    /// The system has no epoll to give.
    Poll(io::Error),
    /// A worker could not be started.
    Worker(io::Error),
}

/// Why an address is none for the admin listener, and what is.
pub const ONLY_HERE: &str =
    "what it shows is for this one: 127.0.0.1:9090, [::1]:9090 or unix:/path";

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}")?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => write!(
                        f,
                        "\nAnother program listens there already: end it, or choose another \
                         address."
                    ),
                    io::ErrorKind::AddrNotAvailable => f.write_str(
                        "\nThis machine has no such address: `ip address` shows which it has.",
                    ),
                    io::ErrorKind::PermissionDenied => write!(
                        f,
                        "\nPorts below 1024 need root or CAP_NET_BIND_SERVICE; a socket's path \
                         needs a folder that may be written."
                    ),
                    _ => Ok(()),
                }
            }
            StartError::PublicAdmin(address) => {
                write!(
                    f,
                    "{address} can be reached from other machines, and is no place for the admin \
                     listener:\n{ONLY_HERE}"
                )
            }
            StartError::AccessLog(error) => write!(f, "cannot open the access log: {error}"),
            StartError::Poll(error) => write!(f, "cannot set up epoll: {error}"),
            StartError::Worker(error) => write!(f, "cannot start a worker: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
