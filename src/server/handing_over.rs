//! Listening sockets that one process has bound and another one accepts on: taken over at the
//! start, handed over to a successor. Who passes them, and how, is not known here.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::net::AddressFamily;
use rustix::net::sockopt::{socket_acceptconn, socket_domain};

use super::gateways::LinkState;
use super::listener::{Address, Bound, Listener, PathOwner, Wanted};
use super::net::Net;
use super::peers::{Peer, PeerId};
use super::{Server, StartError};

/// Why a socket's path is none for the admin listener, and what is.
const OPEN_TO_ALL: &str = "everybody on this machine may connect to it: give its path a mode like \
                           0660 (`SocketMode=0660` in a systemd unit)";

/// A listening socket that is passed from one process to another.
#[derive(Debug)]
pub struct Passed {
    socket: OwnedFd,
    address: Address,
    owner: PathOwner,
    is_admin: bool,
}

impl Passed {
    /// Takes `socket` for one that listens for sites; `owner` has the path of a Unix-domain socket.
    ///
    /// # Errors
    /// Where it does not listen, or not where an [`Address`] could say.
    pub fn new(socket: OwnedFd, owner: PathOwner) -> io::Result<Self> {
        if !socket_acceptconn(&socket)? {
            return Err(io::Error::other("it is no socket that listens"));
        }
        let bound = bound(socket.try_clone()?)?;
        match &bound {
            // As they would be had they been bound here.
            Bound::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                socket2::SockRef::from(listener).set_tcp_nodelay(true)?;
            }
            Bound::Unix(listener) => listener.set_nonblocking(true)?,
        }
        Ok(Passed { address: bound.address()?, socket, owner, is_admin: false })
    }

    /// The same, but it is that of an admin listener.
    #[must_use]
    pub fn for_admin(self) -> Self {
        Passed { is_admin: true, ..self }
    }

    /// Whether it is that of an admin listener.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whose the path of a Unix-domain socket is.
    #[must_use]
    pub fn path_owner(&self) -> PathOwner {
        self.owner
    }

    /// The process that this one was to succeed serves no more: what was its is this one's.
    pub fn succeed(&mut self) {
        if self.owner == PathOwner::Predecessor {
            self.owner = PathOwner::This;
        }
    }

    /// The same socket once more, for another process that is told who has its path.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn try_clone(&self) -> io::Result<Self> {
        let Passed { owner, is_admin, .. } = *self;
        Ok(Passed {
            socket: self.socket.try_clone()?,
            address: self.address.clone(),
            owner,
            is_admin,
        })
    }

    /// The same, for one that has nothing to do with its path.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn lend(&self) -> io::Result<Self> {
        Ok(Passed { owner: PathOwner::Other, ..self.try_clone()? })
    }

    /// Nobody is to listen there any more: removes the path, where it is this process's.
    pub fn remove_path(&self) {
        if self.owner == PathOwner::This {
            // Which does so when it goes.
            drop(Listener::new(self.address.clone()));
        }
    }
}

impl From<Passed> for OwnedFd {
    fn from(passed: Passed) -> OwnedFd {
        passed.socket
    }
}

impl AsFd for Passed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn bound(socket: OwnedFd) -> io::Result<Bound> {
    match socket_domain(&socket)? {
        AddressFamily::INET | AddressFamily::INET6 => Ok(Bound::Tcp(TcpListener::from(socket))),
        AddressFamily::UNIX => {
            let listener = UnixListener::from(socket);
            if listener.local_addr()?.as_pathname().is_none() {
                return Err(io::Error::other("it is a Unix-domain socket without a path"));
            }
            Ok(Bound::Unix(listener))
        }
        _ => Err(io::Error::other("it is no TCP or Unix-domain socket")),
    }
}

/// For each that is wanted the socket that listens there already, taken out of `passed`. Port 0
/// gets what nobody has named, and has served the same purpose.
pub(super) fn assign(wanted: &[Wanted<'_>], passed: &mut Vec<Passed>) -> Vec<Option<Passed>> {
    let mut take = |fits: &dyn Fn(&Passed) -> bool| {
        let at = passed.iter().position(fits)?;
        Some(passed.remove(at))
    };
    let mut assigned: Vec<Option<Passed>> =
        wanted.iter().map(|wanted| take(&|one| one.address == *wanted.address)).collect();
    for (wanted, assigned) in wanted.iter().zip(&mut assigned) {
        if let Address::Tcp(address) = wanted.address
            && address.port() == 0
        {
            *assigned = take(&|one| match &one.address {
                Address::Tcp(there) => {
                    there.ip() == address.ip() && one.is_admin == wanted.is_admin
                }
                Address::Unix(_) => false,
            });
        }
    }
    assigned
}

/// Sockets as they are `wanted`, for several processes: those of `passed`, taken out of them, and
/// as many of its own, bound with SO_REUSEPORT (socket(7)), as it takes for each to have one. Where
/// that cannot be, they share.
///
/// # Errors
/// Where there is none to be had.
pub fn bind_for_several(
    wanted: Wanted<'_>,
    count: usize,
    passed: &mut Vec<Passed>,
) -> io::Result<Vec<Passed>> {
    let Wanted { address, is_admin } = wanted;
    let mut sockets: Vec<Passed> = assign(&[wanted], passed).into_iter().flatten().collect();
    let actual = sockets.first().map_or_else(|| address.clone(), |first| first.address.clone());
    while let Some(at) = passed.iter().position(|one| one.address == actual) {
        sockets.push(passed.remove(at));
    }
    let most = match address {
        Address::Tcp(_) => count,
        // There is one at a path.
        Address::Unix(_) => 1,
    };
    while sockets.len() < most {
        let actual = sockets.first().map_or(address, |first| &first.address);
        match actual.bind_beside_others() {
            Ok(bound) => {
                let (address, owner) = (bound.address()?, PathOwner::This);
                sockets.push(Passed { socket: bound.into(), address, owner, is_admin });
            }
            // What is there was not bound so that another one can be beside it.
            Err(_) if !sockets.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    // What was passed may have served another purpose.
    for one in &mut sockets {
        one.is_admin = is_admin;
    }
    Ok(sockets)
}

impl Server {
    /// Listens as it is `wanted`: on the socket that was passed, or else on one of its own.
    pub(super) fn listen(&mut self, wanted: Wanted<'_>, passed: Option<Passed>) -> io::Result<()> {
        let (bound, owner) = match passed {
            None => (wanted.bind()?, PathOwner::This),
            Some(Passed { socket, owner, .. }) => (bound(socket)?, owner),
        };
        let address = bound.address()?;
        if wanted.is_admin && address.is_open_to_all() {
            return Err(io::Error::other(OPEN_TO_ALL));
        }
        let mut listener = Listener::new(address).wanted(wanted);
        listener.set_path_owner(owner);
        let id = self.peers.insert(Peer::Listener(listener));
        self.net.add_listener(bound, id)
    }

    /// Listens on what is left of `passed` where there are several sockets at one address, as
    /// several processes have them: clients wait on each.
    pub(super) fn listen_beside(&mut self, passed: &mut Vec<Passed>) -> Result<(), StartError> {
        let addresses = self.local_addresses();
        while let Some(at) = passed.iter().position(|one| addresses.contains(&one.address)) {
            let one = passed.remove(at);
            let address = one.address.clone();
            self.listen(Wanted { address: &address, is_admin: false }, Some(one))
                .map_err(|error| StartError::Listen(address.clone(), error))?;
        }
        Ok(())
    }

    /// The sockets that this server listens on, for another process to accept on them as well.
    ///
    /// # Errors
    /// Those of fcntl(2): there may be no descriptor left.
    pub fn share_listeners(&mut self) -> io::Result<Vec<Passed>> {
        let mut shared = Vec::new();
        for id in self.listener_ids() {
            let socket = self.net.share(id)?;
            if let Some(listener) = self.listener_mut(id) {
                let (address, owner) = (listener.address().clone(), listener.path_owner());
                shared.push(Passed { socket, address, owner, is_admin: listener.is_admin() });
            }
        }
        Ok(shared)
    }
}

impl<N: Net> Server<N> {
    /// The process that had the listening sockets before serves no more. What was its is this
    /// one's.
    pub fn succeed(&mut self) {
        for id in self.listener_ids() {
            if let Some(listener) = self.listener_mut(id)
                && listener.path_owner() == PathOwner::Predecessor
            {
                listener.set_path_owner(PathOwner::This);
            }
        }
    }

    /// Begins the end of a server that has a successor, which accepts on the same sockets. Nobody
    /// is let go for it: each client may go on with what is under way, and ask once more; that
    /// answer tells it to come back by another connection. [`upgrade_drain`] is the most that it
    /// takes.
    ///
    /// [`upgrade_drain`]: super::Limits::upgrade_drain
    pub fn retire(&mut self) {
        self.drained_by.get_or_insert(self.net.now() + self.terms.limits.upgrade_drain);
        for id in self.listener_ids() {
            if let Some(listener) = self.listener_mut(id) {
                listener.set_path_owner(PathOwner::Other);
            }
            self.close(id);
        }
        self.close_idle_gateways();
    }

    /// Connections to programs that are kept for later are of no use any more.
    fn close_idle_gateways(&mut self) {
        let is_idle = |(id, peer): (PeerId, &Peer)| match peer {
            Peer::Gateway(link) => matches!(link.state, LinkState::Idle).then_some(id),
            Peer::Client(_) | Peer::Listener(_) => None,
        };
        let idle: Vec<PeerId> = self.peers.iter().filter_map(is_idle).collect();
        for id in idle {
            self.close(id);
        }
    }

    fn listener_mut(&mut self, id: PeerId) -> Option<&mut Listener> {
        match self.peers.get_mut(id) {
            Some(Peer::Listener(listener)) => Some(listener),
            Some(Peer::Client(_) | Peer::Gateway(_)) | None => None,
        }
    }

    fn listener_ids(&self) -> Vec<PeerId> {
        self.peers.listeners().into_iter().map(|(id, _)| id).collect()
    }
}

impl<N: Net> Server<N> {
    /// Where the server listens, with the ports it was given; but for the admin listener.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<Address> {
        self.addresses(false)
    }

    /// Where the server shows how it is doing.
    #[must_use]
    pub fn admin_address(&self) -> Option<Address> {
        self.addresses(true).pop()
    }

    fn addresses(&self, is_admin: bool) -> Vec<Address> {
        let listeners = self.peers.listeners().into_iter().map(|(_, listener)| listener);
        let wanted = listeners.filter(|listener| listener.is_admin() == is_admin);
        wanted.map(|listener| listener.address().clone()).collect()
    }
}
