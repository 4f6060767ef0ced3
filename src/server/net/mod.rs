//! The operating system behind one trait, [`Net`]; [`System`] is the real one. **The only room
//! that names mio.**
//!
//! What the bytes mean is not known here. The simulation (`sim/`) is the trait's other
//! implementation.

mod connecting;
mod gateways;
mod process;
mod socket;
mod system;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::listener::{Address, PathOwner};
use super::memory;
use super::peers::PeerId;
use super::spawner::{Ending, Job};
use super::timers::Millis;
use crate::site::cold;
use crate::site::program::Endpoint;
pub use system::System;

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
    /// What was to be [fetched](Net::fetch) for it has been read.
    pub fetched: bool,
}

/// Wakes the loop from any thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Everything the loop asks of the operating system. Nothing here ever blocks but
/// [`wait`](Net::wait). A network that has clients only need not say what it does with programs.
pub trait Net {
    /// The loop's clock.
    fn now(&self) -> Millis;

    /// The same clock in nanoseconds, to tell how long things take.
    fn nanos(&self) -> u64 {
        self.now().0 * 1_000_000
    }

    /// From now on the loop's clock stands still, or goes on from where it stood.
    fn hold(&mut self, _is_held: bool) {}

    /// Seconds since 1970-01-01T00:00:00Z.
    fn unix_time(&self) -> u64;

    /// A number that nobody can guess.
    fn chance(&mut self) -> u64 {
        RandomState::new().build_hasher().finish()
    }

    /// Bytes of this process in memory, if that can be told.
    fn resident(&mut self) -> Option<u64> {
        memory::resident()
    }

    /// Listens at `address` as `listener`. Returns where that really is, and whose its path is.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2).
    fn listen(
        &mut self,
        _address: &Address,
        _listener: PeerId,
    ) -> io::Result<(Address, PathOwner)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The next signal that has come in; a wait says as [`PeerId::SIGNAL`] that there is one.
    fn next_signal(&mut self) -> Option<i32> {
        None
    }

    /// Waits until something is ready or `timeout` is over; appends to `ready`.
    ///
    /// # Errors
    /// Only if the poll itself is broken; an interruption is no error.
    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()>;

    /// What wakes the loop; [`PeerId::BELL`] is ready then.
    fn waker(&self) -> Wake;

    /// Whom other threads have left word for, as `next` says it now; [`PeerId::BELL`] for the
    /// server itself, which is to end.
    fn heard(&mut self, next: impl FnOnce() -> Option<PeerId>) -> Option<PeerId> {
        next()
    }

    /// Whether another thread has left word, as `look` says it now. Like a call of the system, it
    /// says what nobody can know beforehand.
    fn has_word(&mut self, mut look: impl FnMut() -> bool) -> bool {
        look()
    }

    /// Whether somebody waits to be accepted on `listener`.
    fn has_visitor(&mut self, listener: PeerId) -> bool;

    /// Accepts a connection on `listener`; it will be known as `client`, and no wait tells of it
    /// before [`watch`](Net::watch). Returns where it comes from; `None` from a Unix-domain socket,
    /// which has no address.
    ///
    /// # Errors
    /// Those of accept4(2); `WouldBlock` when none waits.
    fn accept(&mut self, listener: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>>;

    /// From now on waits tell of `client`, which was accepted; the next one of all it can do then.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    fn watch(&mut self, client: PeerId) -> io::Result<()>;

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

    /// Fills `bytes` from `offset` of `file`, if that does not mean to wait for a disk. Whether it
    /// is so, and they are there.
    fn read_at_hand(&mut self, file: &File, bytes: &mut [u8], offset: u64) -> bool {
        cold::read_at_hand(file, bytes, offset).unwrap_or(false)
    }

    /// Whether `length` bytes of `file` from `offset` can be sent without waiting for a disk. If
    /// not, a thread begins to read them, and a wait tells of it when that has ended, however it
    /// did.
    fn fetch(&mut self, _peer: PeerId, _file: &Arc<File>, _offset: u64, _length: usize) -> bool {
        true
    }

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

    /// There are only so many slots of peers left.
    fn shrink(&mut self, _slots: usize) {}

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
    /// then [`error`](Net::error) says why. It is readable when there is output, a complaint, or
    /// its end.
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
