//! What a server is started with, and why one does not start.

use std::fmt;
use std::io;

use super::access_log::AccessLogOptions;
use super::limits::Limits;
use super::listener::Address;

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to listen; several at once are fine.
    pub listen: Vec<Address>,
    /// The limits.
    pub limits: Limits,
    /// The access log.
    pub access_log: AccessLogOptions,
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be listened on.
    Listen(Address, io::Error),
    /// The access log could not be opened.
    AccessLog(io::Error),
    /// The system has no epoll to give.
    Poll(io::Error),
    /// A worker could not be started.
    Worker(io::Error),
}

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
            StartError::AccessLog(error) => write!(f, "cannot open the access log: {error}"),
            StartError::Poll(error) => write!(f, "cannot set up epoll: {error}"),
            StartError::Worker(error) => write!(f, "cannot start a worker: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
