//! Whoever is measured: an architecture, an installed server, or one that runs somewhere.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use super::machine::Processes;
use super::options::Url;
use super::proc::{self, Used};
use super::servers::Server;
use super::stage::Running;

pub(crate) enum Player {
    Architecture(Running),
    Peer(Server),
    Url(SocketAddr),
}

impl Player {
    /// # Errors
    /// Where the name has no address.
    pub(crate) fn at(url: &Url) -> io::Result<Player> {
        let mut addresses = url.authority.to_socket_addrs()?;
        let address = addresses.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Player::Url(address))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Player::Architecture(running) => running.address,
            Player::Peer(server) => server.address,
            Player::Url(address) => *address,
        }
    }

    /// Its processes, if they are known.
    ///
    /// # Errors
    /// Where /proc cannot be read.
    pub(crate) fn processes(&self) -> io::Result<Option<Processes>> {
        match self {
            Player::Architecture(running) => running.processes().map(Some),
            Player::Peer(server) => server.processes().map(Some),
            Player::Url(_) => Ok(None),
        }
    }

    /// What it has used until now, if that can be known.
    ///
    /// # Errors
    /// As for [`processes`](Self::processes).
    pub(crate) fn used(&mut self) -> io::Result<Option<Used>> {
        match self {
            Player::Architecture(running) => running.used().map(Some),
            Player::Peer(server) => Ok(Some(proc::used(server.processes()?.ids()))),
            Player::Url(_) => Ok(None),
        }
    }

    /// Waits until it has no more processes than that.
    ///
    /// # Errors
    /// As for [`processes`](Self::processes).
    pub(crate) fn settle(&mut self, processes: Option<usize>) -> io::Result<()> {
        match (self, processes) {
            (Player::Architecture(running), Some(processes)) => running.settle(processes),
            (Player::Architecture(_) | Player::Peer(_) | Player::Url(_), _) => Ok(()),
        }
    }
}
