//! What a server is started with, and why one does not start.

use std::fmt;
use std::io;

use super::access_log::AccessLogOptions;
use super::limits::Limits;
use super::listener::{Address, Wanted};
use super::trust::Trust;

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
