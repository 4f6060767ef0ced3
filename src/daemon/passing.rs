//! Descriptors over a pair of sockets, by SCM_RIGHTS (unix(7)): what a process gives to the one
//! that it has started, and the word that comes back. Which processes these are, is not known here.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::server::handing_over::Passed;
use crate::server::listener::PathOwner;

/// One packet.
#[derive(Debug)]
pub(super) enum Item {
    /// A socket that listens.
    Socket(Passed),
    /// The file with the number of the process, open to be written.
    PidFile(OwnedFd),
    /// The other is one of several workers; this one supervises them.
    Worker,
    /// The configuration, in a file that is nowhere.
    Configuration(OwnedFd),
    /// What it is confined to, and so is the other, in a file that is nowhere.
    Confinement(OwnedFd),
    /// There is no more to come.
    End,
    /// It serves.
    Ready,
    /// Its loop turns.
    Alive,
    /// What a worker is to do.
    Order(Order),
}

/// What a supervisor asks of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Another one serves: end with the clients that are there.
    Retire,
    /// End gracefully.
    End,
    /// End now.
    Cut,
    /// Open the files of the logs anew.
    Reopen,
    /// What its loop did last.
    Tell,
}

/// One end of the pair. Packets are kept apart and in order; the end of one process is seen by the
/// other.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// Bytes of control data in which one descriptor fits.
const SPACE: usize = rustix::cmsg_space!(ScmRights(1));

/// A file that is nowhere, with `content` in it.
pub(super) fn in_memory(content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("oneloop", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

impl Channel {
    /// Both ends. Neither lets a call take longer than `limit`.
    pub(super) fn pair(limit: Duration) -> io::Result<(Channel, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (this, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Channel::new(this, limit)?, other))
    }

    /// This end.
    pub(super) fn new(end: OwnedFd, limit: Duration) -> io::Result<Channel> {
        set_socket_timeout(&end, Timeout::Recv, Some(limit))?;
        set_socket_timeout(&end, Timeout::Send, Some(limit))?;
        Ok(Channel(end))
    }

    /// The same end once more.
    pub(super) fn try_clone(&self) -> io::Result<Channel> {
        Ok(Channel(self.0.try_clone()?))
    }

    /// Whoever waits at either end waits no longer: the pair is of no use any more.
    pub(super) fn stop_waiting(&self) {
        // It fails only where the other end has gone.
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }

    /// Sends one packet.
    pub(super) fn send(&self, item: &Item) -> io::Result<()> {
        self.send_by(item, SendFlags::NOSIGNAL)
    }

    /// The same, but where the other process has not heard enough yet, this fails.
    pub(super) fn send_now(&self, item: &Item) -> io::Result<()> {
        self.send_by(item, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_by(&self, item: &Item, flags: SendFlags) -> io::Result<()> {
        let (kind, descriptor): (u8, Option<BorrowedFd<'_>>) = match item {
            Item::Socket(passed) => {
                let kind = match (passed.path_owner(), passed.is_admin()) {
                    (PathOwner::This | PathOwner::Predecessor, false) => b'o',
                    (PathOwner::Other, false) => b's',
                    (PathOwner::This | PathOwner::Predecessor, true) => b'n',
                    (PathOwner::Other, true) => b'm',
                };
                (kind, Some(passed.as_fd()))
            }
            Item::PidFile(file) => (b'p', Some(file.as_fd())),
            Item::Configuration(file) => (b'c', Some(file.as_fd())),
            Item::Confinement(file) => (b'l', Some(file.as_fd())),
            Item::Worker => (b'w', None),
            Item::Order(Order::Retire) => (b'R', None),
            Item::Order(Order::End) => (b'E', None),
            Item::Order(Order::Cut) => (b'C', None),
            Item::Order(Order::Reopen) => (b'L', None),
            Item::Order(Order::Tell) => (b'T', None),
            Item::End => (b'.', None),
            Item::Ready => (b'r', None),
            Item::Alive => (b'a', None),
        };
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_slice();
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let kind = [kind];
        let parts = [IoSlice::new(&kind)];
        // A call with a time limit is not resumed after a signal (signal(7)).
        retry_on_intr(|| sendmsg(&self.0, &parts, &mut control, flags))?;
        Ok(())
    }

    /// Receives one packet; `None` when the other process has ended, or has closed its end.
    pub(super) fn receive(&self) -> io::Result<Option<Item>> {
        self.receive_by(RecvFlags::CMSG_CLOEXEC)
    }

    /// The same, but where there is none yet, it is late.
    pub(super) fn receive_now(&self) -> io::Result<Option<Item>> {
        self.receive_by(RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
    }

    fn receive_by(&self, flags: RecvFlags) -> io::Result<Option<Item>> {
        let mut kind = [0];
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut kind)];
        let received = match retry_on_intr(|| recvmsg(&self.0, &mut parts, &mut control, flags)) {
            Ok(received) => received,
            Err(Errno::CONNRESET) => return Ok(None),
            Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let item = match (kind[0], descriptor) {
            (b'o', Some(socket)) => Item::Socket(Passed::new(socket, PathOwner::Predecessor)?),
            (b's', Some(socket)) => Item::Socket(Passed::new(socket, PathOwner::Other)?),
            (b'n', Some(socket)) => {
                Item::Socket(Passed::new(socket, PathOwner::Predecessor)?.for_admin())
            }
            (b'm', Some(socket)) => {
                Item::Socket(Passed::new(socket, PathOwner::Other)?.for_admin())
            }
            (b'p', Some(file)) => Item::PidFile(file),
            (b'c', Some(file)) => Item::Configuration(file),
            (b'l', Some(file)) => Item::Confinement(file),
            (b'w', None) => Item::Worker,
            (b'.', None) => Item::End,
            (b'r', None) => Item::Ready,
            (b'a', None) => Item::Alive,
            (b'R', None) => Item::Order(Order::Retire),
            (b'E', None) => Item::Order(Order::End),
            (b'C', None) => Item::Order(Order::Cut),
            (b'L', None) => Item::Order(Order::Reopen),
            (b'T', None) => Item::Order(Order::Tell),
            _ => return Err(io::Error::other("the other process speaks another language")),
        };
        Ok(Some(item))
    }
}
