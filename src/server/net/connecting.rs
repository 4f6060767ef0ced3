//! A connection that is still to come about: one address after the other is tried until one
//! answers. Who looks names up is not known here.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use super::socket::Socket;

/// A connection that is still to come about.
#[derive(Debug)]
pub(super) struct Connecting {
    /// The name that is looked up, and the port; `None` where the address was given.
    name: Option<(String, u16)>,
    attempt: Option<Attempt>,
    /// What is still to be tried.
    rest: VecDeque<SocketAddr>,
    /// Where nobody answered.
    failed: Vec<SocketAddr>,
}

#[derive(Debug)]
enum Attempt {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// What an event means for a connection.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing yet.
    Pending,
    /// Here it is.
    Connected(Socket),
    /// Nobody answers at any of the addresses.
    Failed(io::Error),
}

impl Connecting {
    /// To a path.
    ///
    /// # Errors
    /// Those of connect(2): it is done or refused at once. `WouldBlock` where the listener's queue
    /// is full.
    pub(super) fn to_path(path: &Path, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut stream = UnixStream::connect(path)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let attempt = Some(Attempt::Unix(stream));
        Ok(Connecting { name: None, attempt, rest: VecDeque::new(), failed: Vec::new() })
    }

    /// To an address.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2), as far as they show at once.
    pub(super) fn to_address(
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let rest = VecDeque::from([address]);
        let mut connecting = Connecting { name: None, attempt: None, rest, failed: Vec::new() };
        connecting.advance(registry, token)?;
        Ok(connecting)
    }

    /// To `port` at the addresses of `name`, once they are known: then [`begin`](Self::begin).
    pub(super) fn to_name(name: &str, port: u16) -> Self {
        let name = Some((name.to_owned(), port));
        Connecting { name, attempt: None, rest: VecDeque::new(), failed: Vec::new() }
    }

    /// Begins with the first of `addresses`, whose ports do not count.
    ///
    /// # Errors
    /// Where none can even be tried: why not the last.
    pub(super) fn begin(
        &mut self,
        addresses: &[SocketAddr],
        registry: &Registry,
        token: Token,
    ) -> io::Result<()> {
        let port = self.name.as_ref().map_or(0, |(_, port)| *port);
        self.rest = addresses.iter().copied().collect();
        for address in &mut self.rest {
            address.set_port(port);
        }
        self.advance(registry, token)
    }

    /// An event has come in.
    pub(super) fn progress(&mut self, registry: &Registry, token: Token) -> Progress {
        let state = match &self.attempt {
            Some(Attempt::Tcp(stream, _)) => state(stream.take_error(), || stream.peer_addr()),
            Some(Attempt::Unix(stream)) => state(stream.take_error(), || stream.peer_addr()),
            None => Ok(false),
        };
        match state {
            Ok(false) => Progress::Pending,
            Ok(true) => match self.attempt.take() {
                Some(Attempt::Tcp(stream, _)) => Progress::Connected(Socket::Tcp(stream)),
                Some(Attempt::Unix(stream)) => Progress::Connected(Socket::Unix(stream)),
                None => Progress::Pending,
            },
            Err(error) => {
                self.give_up();
                if self.rest.is_empty() {
                    return Progress::Failed(error);
                }
                match self.advance(registry, token) {
                    Ok(()) => Progress::Pending,
                    Err(error) => Progress::Failed(error),
                }
            }
        }
    }

    /// The name, and its addresses at which nobody has answered.
    pub(super) fn failed(&self) -> Option<(&str, &[SocketAddr])> {
        self.name.as_ref().map(|(name, _)| (name.as_str(), &*self.failed))
    }

    /// Ends the attempt under way as one that nobody has answered.
    pub(super) fn give_up(&mut self) {
        if let Some(Attempt::Tcp(_, address)) = self.attempt.take() {
            self.failed.push(address);
        }
    }

    /// Goes on to the next address that can be tried.
    fn advance(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
        while let Some(address) = self.rest.pop_front() {
            match attempt(address, registry, token) {
                Ok(stream) => {
                    self.attempt = Some(Attempt::Tcp(stream, address));
                    return Ok(());
                }
                Err(error) => {
                    self.failed.push(address);
                    result = Err(error);
                }
            }
        }
        result
    }
}

fn attempt(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    // What is written here is gathered before it is written.
    stream.set_nodelay(true)?;
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

/// Whether a connection has come about: it has no error, and somebody is at its other end.
fn state<A>(
    error: io::Result<Option<io::Error>>,
    peer: impl Fn() -> io::Result<A>,
) -> io::Result<bool> {
    if let Some(error) = error? {
        return Err(error);
    }
    match peer() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
