//! The operating system: one epoll, and what it waits for, by name.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Events, Interest, Poll, Token, Waker};
use nix::time::{ClockId, clock_gettime};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::Shutdown;
use slab::Slab;
use socket2::SockRef;

use super::connecting::Connecting;
use super::socket::Socket;
use super::{Net, Ready, Wake};
use crate::server::listener::{Address, Bound, PathOwner};
use crate::server::peers::PeerId;
use crate::server::process::Process;
use crate::server::resolver::Resolver;
use crate::server::spawner::{Ending, Job, Spawner};
use crate::server::timers::Millis;
use crate::site::cold;
use crate::site::program::Endpoint;

/// How many events one wait may bring. More wait in the kernel for the next turn.
const EVENTS: usize = 256;

/// The real network: one epoll, and the sockets by slot.
pub struct System {
    pub(super) poll: Poll,
    events: Events,
    pub(super) slots: Vec<Option<Slot>>,
    /// Processes that were closed and have still to end.
    pub(super) dying: Slab<Process>,
    pub(super) spawner: Spawner,
    pub(super) resolver: Resolver,
    /// For whom something has been read: where threads say it, and where it is heard.
    pub(super) fetched: (Sender<PeerId>, Receiver<PeerId>),
    /// Nothing is read for anybody: whoever sends a file waits for the disk.
    waits_for_disk: bool,
    waker: Arc<Waker>,
    signals: Option<signal_hook_mio::v1_0::Signals>,
    /// When the loop's clock began, on the system's own scale.
    start_ns: u64,
    /// Where it stands, while it is held.
    held_ns: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Slot {
    /// Whose it is: what another thread has done for an earlier tenant must not come here.
    pub(super) generation: u32,
    pub(super) socket: Socket,
}

impl System {
    /// From now on no thread reads what is not in memory: the loop waits for the disk itself.
    pub(in super::super) fn wait_for_disk(&mut self) {
        self.waits_for_disk = true;
    }

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
            slots: Vec::new(),
            dying: Slab::new(),
            spawner: Spawner::new(wake(&waker)),
            resolver: Resolver::new(wake(&waker)),
            fetched: channel(),
            waits_for_disk: false,
            waker,
            signals: None,
            start_ns: clock_ns(),
            held_ns: None,
        })
    }

    /// Takes in a bound listener as `peer`.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn add_listener(&mut self, bound: Bound, peer: PeerId) -> io::Result<()> {
        let socket = match bound {
            Bound::Tcp(listener) => Socket::TcpListener(TcpListener::from_std(listener)),
            Bound::Unix(listener) => Socket::UnixListener(UnixListener::from_std(listener)),
        };
        self.add(peer, socket, Interest::READABLE)
    }

    /// The socket that `listener` accepts on once more, closed on exec.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn share(&mut self, listener: PeerId) -> io::Result<OwnedFd> {
        self.socket(listener)?.descriptor()?.try_clone_to_owned()
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

    /// From now on, each process that is started can reach no more of the file system than its
    /// [`Job`] says.
    pub fn confine_programs(&mut self) {
        self.spawner.confine();
    }

    /// Processes with limits are started through `program`, which calls
    /// [`limited::run`](crate::server::limited::run) as this one should. Unset, it is this one.
    pub fn set_trampoline(&mut self, program: PathBuf) {
        self.spawner.set_trampoline(program);
    }

    /// Has the epoll watch `socket`, as `peer`.
    pub(super) fn add(
        &mut self,
        peer: PeerId,
        mut socket: Socket,
        interest: Interest,
    ) -> io::Result<()> {
        if let Some(source) = socket.source() {
            source.register(self.poll.registry(), token(peer), interest)?;
        }
        self.put(peer, socket);
        Ok(())
    }

    pub(super) fn put(&mut self, peer: PeerId, socket: Socket) {
        let at = peer.key as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(Slot { generation: peer.generation, socket });
    }

    pub(super) fn socket(&mut self, peer: PeerId) -> io::Result<&mut Socket> {
        self.find(peer).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(super) fn find(&mut self, peer: PeerId) -> Option<&mut Socket> {
        let slot = self.slots.get_mut(peer.key as usize)?.as_mut()?;
        (slot.generation == peer.generation).then_some(&mut slot.socket)
    }

    fn unwatch(&mut self, source: &mut impl Source) {
        // It fails only where it was not watched.
        let _ = self.poll.registry().deregister(source);
    }

    fn take(&mut self, peer: PeerId) -> Option<Socket> {
        self.find(peer)?;
        self.slots[peer.key as usize].take().map(|slot| slot.socket)
    }
}

impl Net for System {
    fn now(&self) -> Millis {
        Millis(self.nanos() / 1_000_000)
    }

    fn nanos(&self) -> u64 {
        self.held_ns.unwrap_or_else(|| clock_ns().saturating_sub(self.start_ns))
    }

    fn hold(&mut self, is_held: bool) {
        match self.held_ns {
            None if is_held => self.held_ns = Some(self.nanos()),
            Some(at_ns) if !is_held => {
                self.start_ns = clock_ns() - at_ns;
                self.held_ns = None;
            }
            Some(_) | None => {}
        }
    }

    fn unix_time(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
    }

    fn listen(&mut self, address: &Address, listener: PeerId) -> io::Result<(Address, PathOwner)> {
        let bound = address.bind()?;
        let address = bound.address()?;
        self.add_listener(bound, listener)?;
        Ok((address, PathOwner::This))
    }

    fn next_signal(&mut self) -> Option<i32> {
        self.signals.as_mut()?.pending().next()
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let mut rung = false;
        for event in &events {
            rung |= event.token() == token(PeerId::BELL);
            ready.extend(self.heed(event));
        }
        self.events = events;
        if rung {
            self.collect(ready);
        }
        Ok(())
    }

    fn waker(&self) -> Wake {
        wake(&self.waker)
    }

    fn has_visitor(&mut self, listener: PeerId) -> bool {
        let Some(Ok(descriptor)) = self.find(listener).map(|socket| socket.descriptor()) else {
            return false;
        };
        let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn accept(&mut self, listener: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>> {
        let (socket, address) = match self.socket(listener)? {
            Socket::TcpListener(listener) => {
                let (stream, address) = listener.accept()?;
                (Socket::Tcp(stream), Some(address))
            }
            Socket::UnixListener(listener) => (Socket::Unix(listener.accept()?.0), None),
            Socket::Tcp(_)
            | Socket::Unix(_)
            | Socket::Connecting(_)
            | Socket::Starting { .. }
            | Socket::Process(_)
            | Socket::Failed(_) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        self.put(client, socket);
        Ok(address)
    }

    fn watch(&mut self, client: PeerId) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(client.key as usize).and_then(Option::as_mut) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let Some(source) = slot.socket.source() else { return Ok(()) };
        let both = Interest::READABLE | Interest::WRITABLE;
        source.register(self.poll.registry(), token(client), both)
    }

    fn read(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket(peer)?.read(buffer)
    }

    fn write(&mut self, peer: PeerId, parts: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        self.socket(peer)?.write(parts, more)
    }

    fn fetch(&mut self, peer: PeerId, file: &Arc<File>, offset: u64, length: usize) -> bool {
        let length = length as u64;
        if self.waits_for_disk || cold::is_at_hand(file, offset, length) {
            return true;
        }
        let (sender, wake) = (self.fetched.0.clone(), self.waker());
        let done = move || {
            // It fails only after the loop is gone, and then nobody waits.
            if sender.send(peer).is_ok() {
                wake();
            }
        };
        // Without a thread, the loop waits itself.
        !cold::read_ahead(Arc::clone(file), offset, length, Box::new(done))
    }

    fn send_file(
        &mut self,
        peer: PeerId,
        file: &File,
        mut offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let socket = self.socket(peer)?.descriptor()?;
        Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), length)?)
    }

    fn finish(&mut self, peer: PeerId) {
        if let Some(Ok(descriptor)) = self.find(peer).map(|socket| socket.descriptor()) {
            // It fails only where the connection is gone, and then there is nothing to say.
            let _ = rustix::net::shutdown(descriptor, Shutdown::Write);
        }
    }

    fn close(&mut self, peer: PeerId) {
        // Closing a descriptor takes it out of the epoll (epoll(7), question 6), unless another
        // process has it, too.
        match self.take(peer) {
            Some(Socket::TcpListener(mut listener)) => self.unwatch(&mut listener),
            Some(Socket::UnixListener(mut listener)) => self.unwatch(&mut listener),
            Some(Socket::Process(talking)) => self.let_die(talking.into_process(), true),
            Some(Socket::Connecting(mut connecting)) => {
                connecting.give_up();
                self.note_failures(&connecting);
            }
            Some(
                Socket::Tcp(_)
                | Socket::Unix(_)
                // Once it runs, nobody is here for it, and it is killed.
                | Socket::Starting { .. }
                | Socket::Failed(_),
            )
            | None => {}
        }
    }

    fn abort(&mut self, peer: PeerId) {
        if let Some(Socket::Tcp(stream)) = self.find(peer) {
            // It fails only where the connection is gone already.
            let _ = SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
        }
        self.close(peer);
    }

    fn shrink(&mut self, slots: usize) {
        self.slots.truncate(slots);
        self.slots.shrink_to_fit();
    }

    fn local_address(&self, peer: PeerId) -> Option<SocketAddr> {
        let slot = self.slots.get(peer.key as usize)?.as_ref()?;
        slot.socket.local_address().filter(|_| slot.generation == peer.generation)
    }

    fn connect(&mut self, endpoint: &Endpoint, gateway: PeerId) -> io::Result<()> {
        let token = token(gateway);
        let connecting = match endpoint {
            Endpoint::Tcp(address) => {
                Connecting::to_address(*address, self.poll.registry(), token)?
            }
            Endpoint::Unix(path) => Connecting::to_path(path, self.poll.registry(), token)?,
            Endpoint::Name(name, port) => {
                let mut connecting = Connecting::to_name(name, *port);
                let now = self.now();
                if let Some(addresses) = self.resolver.look_up(name, gateway, now)? {
                    let begun = connecting.begin(&addresses, self.poll.registry(), token);
                    if begun.is_err() {
                        self.note_failures(&connecting);
                    }
                    begun?;
                }
                connecting
            }
        };
        self.put(gateway, Socket::Connecting(Box::new(connecting)));
        Ok(())
    }

    fn spawn(&mut self, job: Job, gateway: PeerId) -> io::Result<()> {
        self.spawner.start(job, gateway)?;
        self.put(gateway, Socket::Starting { killed: false });
        Ok(())
    }

    fn error(&mut self, peer: PeerId) -> Option<io::Error> {
        self.find(peer)?.error()
    }

    fn read_complaints(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        match self.socket(peer)? {
            Socket::Process(talking) => talking.read_complaints(buffer),
            Socket::Starting { .. } => Err(io::ErrorKind::WouldBlock.into()),
            Socket::TcpListener(_)
            | Socket::UnixListener(_)
            | Socket::Tcp(_)
            | Socket::Unix(_)
            | Socket::Connecting(_)
            | Socket::Failed(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn ended(&mut self, peer: PeerId) -> Option<Ending> {
        match self.find(peer)? {
            Socket::Process(talking) => talking.ended(),
            Socket::TcpListener(_)
            | Socket::UnixListener(_)
            | Socket::Tcp(_)
            | Socket::Unix(_)
            | Socket::Connecting(_)
            | Socket::Starting { .. }
            | Socket::Failed(_) => None,
        }
    }

    fn kill(&mut self, peer: PeerId) {
        match self.find(peer) {
            Some(Socket::Process(talking)) => talking.kill(),
            Some(Socket::Starting { killed }) => *killed = true,
            Some(
                Socket::TcpListener(_)
                | Socket::UnixListener(_)
                | Socket::Tcp(_)
                | Socket::Unix(_)
                | Socket::Connecting(_)
                | Socket::Failed(_),
            )
            | None => {}
        }
    }
}

impl Drop for System {
    /// All processes are killed before any is waited for: that is done as each is dropped.
    fn drop(&mut self) {
        for slot in self.slots.iter().flatten() {
            if let Socket::Process(talking) = &slot.socket {
                talking.kill();
            }
        }
    }
}

#[cfg(test)]
impl System {
    /// Whether every process that was closed has been reaped, and none is being started.
    pub(super) fn is_alone(&self) -> bool {
        self.dying.is_empty() && self.spawner.is_idle()
    }

    /// How many names have something behind them.
    pub(super) fn descriptors(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

fn wake(waker: &Arc<Waker>) -> Wake {
    let waker = Arc::clone(waker);
    Arc::new(move || {
        // It can fail only where the eventfd's counter is full: then the loop is awake anyway.
        let _ = waker.wake();
    })
}

/// What the system's clock says that never goes back, in nanoseconds.
fn clock_ns() -> u64 {
    // It fails only for a clock that is none.
    let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return 0 };
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec()) * 1_000_000_000 + part(time.tv_nsec())
}

pub(super) fn token(peer: PeerId) -> Token {
    Token((peer.generation as usize) << 32 | peer.key as usize)
}

pub(super) fn peer(token: Token) -> PeerId {
    let low = |bits: usize| u32::try_from(bits & 0xffff_ffff).expect("masked to 32 bits");
    PeerId { key: low(token.0), generation: low(token.0 >> 32) }
}
