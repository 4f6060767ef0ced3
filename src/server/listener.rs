//! Where clients come in: addresses, sockets that accept, and resting when there is no room.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rustix::fs::Mode;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::timers::Millis;

/// Connections the kernel keeps for us until they are accepted. Linux cuts it to
/// /proc/sys/net/core/somaxconn.
pub(super) const BACKLOG: i32 = 4096;

/// The mode of a path where its owner, and perhaps his group, may connect.
const TIGHT: Mode = Mode::from_raw_mode(0o660);

/// How long a listener rests when no connection can be taken in.
pub const REST: Duration = Duration::from_millis(100);

/// How long a listener has not had to rest when a shortage is over. The next is told of again.
const RECOVERED: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and port. Port 0 is any free one.
    Tcp(SocketAddr),
    /// The path of a Unix-domain socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    /// `127.0.0.1:80`, `[::1]:80` or `unix:/path`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Address::Unix(PathBuf::from(path)))
            } else {
                Err(format!("`{text}` needs an absolute path, as in unix:/run/oneloop.sock"))
            };
        }
        text.parse().map(Address::Tcp).map_err(|_| {
            format!(
                "`{text}` is no address to listen on; \
                 write it as 127.0.0.1:8080, [::1]:8080 or unix:/path"
            )
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that is bound and listens, and is in no loop yet.
#[derive(Debug)]
pub enum Bound {
    /// On an IP address.
    Tcp(TcpListener),
    /// On a path.
    Unix(UnixListener),
}

impl Address {
    /// Whether the system is to choose the port.
    #[must_use]
    pub fn is_any_port(&self) -> bool {
        match self {
            Address::Tcp(address) => address.port() == 0,
            Address::Unix(_) => false,
        }
    }

    /// Where the admin listener of one of several workers is, counted from 1, if this is where the
    /// first has it: so many ports further, or at the path with `.2` and so on behind it. `None`
    /// where there are not so many ports.
    #[must_use]
    pub fn of_worker(&self, number: usize) -> Option<Address> {
        match self {
            _ if number == 1 || self.is_any_port() => Some(self.clone()),
            Address::Tcp(first) => {
                let further = u16::try_from(number - 1).ok()?;
                let port = first.port().checked_add(further)?;
                Some(Address::Tcp(SocketAddr::new(first.ip(), port)))
            }
            Address::Unix(path) => {
                let mut name = path.clone().into_os_string();
                name.push(format!(".{number}"));
                Some(Address::Unix(name.into()))
            }
        }
    }

    /// Whether nobody gets there from another machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Unix(_) => true,
        }
    }

    /// Binds and listens.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and listen(2). A Unix-domain socket that nobody listens on any
    /// more is replaced; anything else at its path is left alone and is an error.
    pub fn bind(&self) -> io::Result<Bound> {
        match self {
            Address::Tcp(address) => bind_tcp(*address, false).map(Bound::Tcp),
            Address::Unix(path) => bind_unix(path, None).map(Bound::Unix),
        }
    }

    /// The same, but to a socket's path only its owner may connect, and his group where the umask
    /// lets it.
    ///
    /// # Errors
    /// As for [`bind`](Self::bind).
    pub fn bind_tight(&self) -> io::Result<Bound> {
        match self {
            Address::Tcp(address) => bind_tcp(*address, false).map(Bound::Tcp),
            Address::Unix(path) => bind_unix(path, Some(TIGHT)).map(Bound::Unix),
        }
    }

    /// Whether everybody on this machine may connect to a socket's path.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        let Address::Unix(path) = self else { return false };
        path.metadata().is_ok_and(|metadata| metadata.mode() & 0o002 != 0)
    }

    /// The same, but others of this user that are bound so can be there as well; the kernel gives
    /// each connection to one of them.
    ///
    /// # Errors
    /// As for [`bind`](Self::bind).
    pub fn bind_beside_others(&self) -> io::Result<Bound> {
        match self {
            Address::Tcp(address) => bind_tcp(*address, true).map(Bound::Tcp),
            Address::Unix(path) => bind_unix(path, None).map(Bound::Unix),
        }
    }
}

fn bind_tcp(address: SocketAddr, beside_others: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(beside_others)?;
    if address.is_ipv6() {
        // [::] and 0.0.0.0 are two listeners, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    // Accepted sockets inherit it, which saves a call for each.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The path has this mode, less the umask; `None`: the system's own.
fn bind_unix(path: &Path, mode: Option<Mode>) -> io::Result<UnixListener> {
    let is_socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    let is_deserted = || {
        UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if is_socket && is_deserted() {
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if let Some(mode) = mode {
        // The path is made with the mode of the socket, so there is no moment when it has another.
        rustix::fs::fchmod(&socket, mode)?;
    }
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(OwnedFd::from(socket).into())
}

impl From<Bound> for OwnedFd {
    fn from(bound: Bound) -> OwnedFd {
        match bound {
            Bound::Tcp(listener) => listener.into(),
            Bound::Unix(listener) => listener.into(),
        }
    }
}

impl Bound {
    /// Where it really listens: the port is known now.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Bound::Tcp(listener) => Address::Tcp(listener.local_addr()?),
            Bound::Unix(listener) => {
                let path = listener.local_addr()?.as_pathname().map(Path::to_path_buf);
                Address::Unix(path.unwrap_or_default())
            }
        })
    }
}

/// An address where to listen, and what for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The address.
    pub address: &'a Address,
    /// Its clients are answered by the server itself.
    pub is_admin: bool,
}

impl Wanted<'_> {
    /// Binds and listens there; to the path of an admin socket, not everybody may connect.
    ///
    /// # Errors
    /// As for [`Address::bind`].
    pub fn bind(&self) -> io::Result<Bound> {
        if self.is_admin { self.address.bind_tight() } else { self.address.bind() }
    }
}

/// Who removes the path of a Unix-domain socket when nobody listens on it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathOwner {
    /// This process, as soon as the listener goes.
    This,
    /// The process that this one is to succeed; this one, once that has come about.
    Predecessor,
    /// Neither: the service manager, or a successor.
    Other,
}

/// A listening socket in the loop.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    path: PathOwner,
    /// What was asked for: with port 0, that is another address.
    asked: Address,
    /// Its clients are answered by the server itself.
    is_admin: bool,
    /// When its last rest is over, or was.
    rests_until: Option<Millis>,
}

impl Listener {
    /// One that listens at `address`.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Listener {
            asked: address.clone(),
            address,
            path: PathOwner::This,
            is_admin: false,
            rests_until: None,
        }
    }

    /// The same, for somebody who wants it so.
    #[must_use]
    pub(super) fn wanted(mut self, wanted: Wanted<'_>) -> Self {
        self.asked = wanted.address.clone();
        self.is_admin = wanted.is_admin;
        self
    }

    /// Whether its clients are answered by the server itself.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// Whether it is what is `wanted`.
    pub(super) fn is(&self, wanted: Wanted<'_>) -> bool {
        let is_there = self.asked == *wanted.address || self.address == *wanted.address;
        is_there && self.is_admin == wanted.is_admin
    }

    /// Whose the path of its socket is.
    #[must_use]
    pub fn path_owner(&self) -> PathOwner {
        self.path
    }

    /// From now on the path of its socket is this one's.
    pub fn set_path_owner(&mut self, owner: PathOwner) {
        self.path = owner;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether there was no room a moment ago: trying again for every arrival would be in vain.
    #[must_use]
    pub fn is_resting(&self, now: Millis) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Ends a rest.
    pub fn wake(&mut self) {
        self.rests_until = None;
    }

    /// Begins a rest. Returns whether it is the first of a shortage.
    pub fn rest(&mut self, now: Millis) -> bool {
        let is_first = self.rests_until.is_none_or(|until| now.since(until) >= RECOVERED);
        self.rests_until = Some(now + REST);
        is_first
    }
}

impl Drop for Listener {
    /// A path whose socket is gone would only be in the way.
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address
            && self.path == PathOwner::This
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("cannot remove the socket {}: {error}", path.display());
        }
    }
}

/// Whether accepting failed for want of descriptors or memory (accept(2)): it will fail again until
/// some are given back.
#[must_use]
pub fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/a b.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "8080", "localhost:80", "::1:80", "unix:", "unix:relative", "1.2.3.4"] {
            assert!(text.parse::<Address>().unwrap_err().contains(text));
        }
    }

    #[test]
    fn only_this_machine_is_local() {
        let is_local = |text: &str| text.parse::<Address>().unwrap().is_local();
        for text in ["127.0.0.1:1", "127.8.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/a"] {
            assert!(is_local(text), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:10.0.0.1]:1", "[fe80::1]:1"] {
            assert!(!is_local(text), "{text}");
        }
    }

    #[test]
    fn a_listener_rests_for_its_time_and_a_shortage_is_told_of_once() {
        let mut listener = Listener::new("127.0.0.1:0".parse().unwrap());
        let mut now = Millis(0);
        assert!(!listener.is_resting(now));
        assert!(listener.rest(now), "the first");
        for _ in 0..1000 {
            assert!(listener.is_resting(now));
            now.0 += 99;
            assert!(listener.is_resting(now));
            now.0 += 1;
            assert!(!listener.is_resting(now));
            assert!(!listener.rest(now), "the same shortage");
        }
        assert!(listener.rest(now + REST + RECOVERED), "another one");
    }

    #[test]
    fn a_deserted_socket_is_replaced_and_a_living_one_or_a_file_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("socket");
        let address = Address::Unix(path.clone());
        drop(address.bind().unwrap()); // leaves its path behind
        let living = address.bind().unwrap();
        assert_eq!(living.address().unwrap(), address);
        assert_eq!(address.bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(living);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        assert!(address.bind().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::remove_file(&path).unwrap();
    }
}
