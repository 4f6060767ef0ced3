//! The operating system behind one trait. **The only file that names mio.**
//!
//! What the bytes mean is not known here. The simulation (`sim.rs`) is the trait's other
//! implementation.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{SendFlags, Shutdown};

use super::listener::Bound;
use super::peers::PeerId;
use super::spawner::{Ending, Job};
use super::timers::Millis;
use crate::site::program::Endpoint;

/// How many events one wait may bring. More wait in the kernel for the next turn.
const EVENTS: usize = 256;

/// What a wait has to say about one peer. Edge-triggered: told once, it holds until an operation
/// says `WouldBlock` or takes less than it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "they are the bits of an epoll event")]
pub struct Ready {
    /// Whom it is about.
    pub peer: PeerId,
    /// Something can be read or accepted.
    pub readable: bool,
    /// Something can be written.
    pub writable: bool,
    /// The other side has ended its direction: read on until 0.
    pub read_closed: bool,
    /// Both directions are gone, by a reset or an error.
    pub broken: bool,
}

/// Wakes the loop from any thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Everything the loop asks of the operating system. Nothing here ever blocks but
/// [`wait`](Net::wait). A network that has clients only need not say what it does with programs.
pub trait Net {
    /// The loop's clock.
    fn now(&self) -> Millis;

    /// Seconds since 1970-01-01T00:00:00Z.
    fn unix_time(&self) -> u64;

    /// Waits until something is ready or `timeout` is over; appends to `ready`.
    ///
    /// # Errors
    /// Only if the poll itself is broken; an interruption is no error.
    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()>;

    /// What wakes the loop; [`PeerId::BELL`] is ready then.
    fn waker(&self) -> Wake;

    /// Whether somebody waits to be accepted on `listener`.
    fn has_visitor(&mut self, listener: PeerId) -> bool;

    /// Accepts a connection on `listener`; it will be known as `client`. Returns where it comes
    /// from; `None` from a Unix-domain socket, which has no address.
    ///
    /// # Errors
    /// Those of accept4(2); `WouldBlock` when none waits.
    fn accept(&mut self, listener: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>>;

    /// Reads into `buffer`; 0 at the end.
    ///
    /// # Errors
    /// Those of recv(2).
    fn read(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes from `parts` in order. `more` says that more follows at once, so that the kernel may
    /// wait with a packet that is not full.
    ///
    /// # Errors
    /// Those of send(2); never a signal.
    fn write(&mut self, peer: PeerId, parts: &[IoSlice<'_>], more: bool) -> io::Result<usize>;

    /// Sends `length` bytes of `file` from `offset`; 0 where the file ends before.
    ///
    /// # Errors
    /// Those of sendfile(2).
    fn send_file(
        &mut self,
        peer: PeerId,
        file: &File,
        offset: u64,
        length: usize,
    ) -> io::Result<usize>;

    /// Says that nothing more will be written; reading goes on.
    fn finish(&mut self, peer: PeerId);

    /// Forgets `peer` and closes its descriptors. A process ends with all that it has started.
    fn close(&mut self, peer: PeerId);

    /// As [`close`](Net::close), but so that the other side sees a reset: it cannot take what it
    /// was sent for whole.
    fn abort(&mut self, peer: PeerId) {
        self.close(peer);
    }

    /// Where a client has connected to; `None` over a Unix-domain socket.
    fn local_address(&self, _peer: PeerId) -> Option<SocketAddr> {
        None
    }

    /// Begins to connect `gateway` to `endpoint`, whose name may have to be looked up first. It is
    /// ready to be written when that is done, or broken: then [`error`](Net::error) says why.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2), as far as they show at once.
    fn connect(&mut self, _endpoint: &Endpoint, _gateway: PeerId) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Begins to start a process as `gateway`. It is ready to be written once it runs, or broken:
    /// then [`error`](Net::error) says why. It is readable when there is output, a complaint, or its
    /// end.
    ///
    /// # Errors
    /// Where too many are being started already.
    fn spawn(&mut self, _job: Job, _gateway: PeerId) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Why `peer` is broken, once; `None` if it has just ended.
    fn error(&mut self, _peer: PeerId) -> Option<io::Error> {
        None
    }

    /// Reads what a process complains of on its standard error, as [`read`](Net::read) does its
    /// output.
    ///
    /// # Errors
    /// Those of read(2).
    fn read_complaints(&mut self, _peer: PeerId, _buffer: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    /// How a process has ended; `None` while it runs. What it has started ends with it.
    fn ended(&mut self, _peer: PeerId) -> Option<Ending> {
        None
    }

    /// Kills a process and all that it has started. It is seen to end a little later.
    fn kill(&mut self, _peer: PeerId) {}
}

/// The real one: one epoll, and the sockets by slot.
pub struct System {
    poll: Poll,
    events: Events,
    sockets: Vec<Option<Socket>>,
    waker: Arc<Waker>,
    signals: Option<signal_hook_mio::v1_0::Signals>,
    start: Instant,
}

#[derive(Debug)]
enum Socket {
    TcpListener(TcpListener),
    UnixListener(UnixListener),
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl System {
    /// A new epoll.
    ///
    /// # Errors
    /// Where epoll or its waker cannot be had, for want of descriptors.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), token(PeerId::BELL))?);
        Ok(System {
            poll,
            events: Events::with_capacity(EVENTS),
            sockets: Vec::new(),
            waker,
            signals: None,
            start: Instant::now(),
        })
    }

    /// Takes in a bound listener as `peer`.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn add_listener(&mut self, bound: Bound, peer: PeerId) -> io::Result<()> {
        let mut socket = match bound {
            Bound::Tcp(listener) => Socket::TcpListener(TcpListener::from_std(listener)),
            Bound::Unix(listener) => Socket::UnixListener(UnixListener::from_std(listener)),
        };
        socket.source().register(self.poll.registry(), token(peer), Interest::READABLE)?;
        self.put(peer, socket);
        Ok(())
    }

    /// From now on these signals come in as [`PeerId::SIGNAL`] and do nothing else.
    ///
    /// # Errors
    /// Those of sigaction(2) and `epoll_ctl(2)`.
    pub fn watch_signals(&mut self, numbers: &[i32]) -> io::Result<()> {
        let mut signals = signal_hook_mio::v1_0::Signals::new(numbers)?;
        self.poll.registry().register(&mut signals, token(PeerId::SIGNAL), Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// The next signal that has come in.
    pub fn next_signal(&mut self) -> Option<i32> {
        self.signals.as_mut()?.pending().next()
    }

    fn put(&mut self, peer: PeerId, socket: Socket) {
        let at = peer.key as usize;
        if at >= self.sockets.len() {
            self.sockets.resize_with(at + 1, || None);
        }
        self.sockets[at] = Some(socket);
    }

    fn socket(&mut self, peer: PeerId) -> io::Result<&mut Socket> {
        let slot = self.sockets.get_mut(peer.key as usize).and_then(Option::as_mut);
        slot.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Net for System {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn unix_time(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        ready.extend(self.events.iter().map(|event| Ready {
            peer: peer(event.token()),
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            broken: event.is_error() || (event.is_read_closed() && event.is_write_closed()),
        }));
        Ok(())
    }

    fn waker(&self) -> Wake {
        let waker = Arc::clone(&self.waker);
        Arc::new(move || {
            // It can fail only where the eventfd's counter is full: then the loop is awake anyway.
            let _ = waker.wake();
        })
    }

    fn has_visitor(&mut self, listener: PeerId) -> bool {
        let Ok(socket) = self.socket(listener) else { return false };
        let mut polled = [PollFd::new(&*socket, PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn accept(&mut self, listener: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>> {
        let (mut socket, address) = match self.socket(listener)? {
            Socket::TcpListener(listener) => {
                let (stream, address) = listener.accept()?;
                (Socket::Tcp(stream), Some(address))
            }
            Socket::UnixListener(listener) => (Socket::Unix(listener.accept()?.0), None),
            Socket::Tcp(_) | Socket::Unix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        socket.source().register(self.poll.registry(), token(client), both)?;
        self.put(client, socket);
        Ok(address)
    }

    fn read(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        match self.socket(peer)? {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
            Socket::TcpListener(_) | Socket::UnixListener(_) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
        }
    }

    fn write(&mut self, peer: PeerId, parts: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        let socket = self.socket(peer)?;
        if more && let [part] = parts {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            return Ok(rustix::net::send(socket.as_fd(), part, flags)?);
        }
        match (socket, parts) {
            (Socket::Tcp(stream), [part]) => stream.write(part),
            (Socket::Tcp(stream), parts) => stream.write_vectored(parts),
            (Socket::Unix(stream), [part]) => stream.write(part),
            (Socket::Unix(stream), parts) => stream.write_vectored(parts),
            (Socket::TcpListener(_) | Socket::UnixListener(_), _) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
        }
    }

    fn send_file(
        &mut self,
        peer: PeerId,
        file: &File,
        mut offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let socket = self.socket(peer)?;
        Ok(rustix::fs::sendfile(socket.as_fd(), file, Some(&mut offset), length)?)
    }

    fn finish(&mut self, peer: PeerId) {
        if let Ok(socket) = self.socket(peer) {
            // It fails only where the connection is gone, and then there is nothing to say.
            let _ = rustix::net::shutdown(socket.as_fd(), Shutdown::Write);
        }
    }

    fn close(&mut self, peer: PeerId) {
        // Closing the descriptor takes it out of the epoll (epoll(7), question 6).
        if let Some(slot) = self.sockets.get_mut(peer.key as usize) {
            *slot = None;
        }
    }
}

impl Socket {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Socket::TcpListener(listener) => listener,
            Socket::UnixListener(listener) => listener,
            Socket::Tcp(stream) => stream,
            Socket::Unix(stream) => stream,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::TcpListener(listener) => listener.as_fd(),
            Socket::UnixListener(listener) => listener.as_fd(),
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }
}

fn token(peer: PeerId) -> Token {
    Token((peer.generation as usize) << 32 | peer.key as usize)
}

fn peer(token: Token) -> PeerId {
    let low = |bits: usize| u32::try_from(bits & 0xffff_ffff).expect("masked to 32 bits");
    PeerId { key: low(token.0), generation: low(token.0 >> 32) }
}
