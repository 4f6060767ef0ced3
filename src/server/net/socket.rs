//! What stands behind one name: a socket, or a process. Whom it belongs to is not known here.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use rustix::net::SendFlags;

use super::connecting::Connecting;
use super::process::Talking;

/// What stands behind one name.
#[derive(Debug)]
pub(super) enum Socket {
    TcpListener(TcpListener),
    UnixListener(UnixListener),
    Tcp(TcpStream),
    Unix(UnixStream),
    /// A connection that is still to come about.
    Connecting(Box<Connecting>),
    /// A process that is still to come about, perhaps only to be killed.
    Starting {
        killed: bool,
    },
    Process(Box<Talking>),
    /// What did not come about, and why: told once.
    Failed(Option<io::Error>),
}

impl Socket {
    /// What is waited for; `None` while that is not the epoll's business.
    pub(super) fn source(&mut self) -> Option<&mut dyn Source> {
        match self {
            Socket::TcpListener(listener) => Some(listener),
            Socket::UnixListener(listener) => Some(listener),
            Socket::Tcp(stream) => Some(stream),
            Socket::Unix(stream) => Some(stream),
            Socket::Process(talking) => Some(&mut **talking),
            Socket::Connecting(_) | Socket::Starting { .. } | Socket::Failed(_) => None,
        }
    }

    /// The connection, or what accepts them.
    pub(super) fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Socket::TcpListener(listener) => Ok(listener.as_fd()),
            Socket::UnixListener(listener) => Ok(listener.as_fd()),
            Socket::Tcp(stream) => Ok(stream.as_fd()),
            Socket::Unix(stream) => Ok(stream.as_fd()),
            Socket::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Socket::Starting { .. } | Socket::Process(_) => Err(io::ErrorKind::InvalidInput.into()),
            Socket::Failed(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
            Socket::Process(talking) => talking.read(buffer),
            Socket::TcpListener(_) | Socket::UnixListener(_) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
            Socket::Connecting(_) | Socket::Starting { .. } => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Socket::Failed(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) fn write(&mut self, parts: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        if more && let [part] = parts {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            return Ok(rustix::net::send(self.descriptor()?, part, flags)?);
        }
        match (self, parts) {
            (Socket::Tcp(stream), [part]) => stream.write(part),
            (Socket::Tcp(stream), parts) => stream.write_vectored(parts),
            (Socket::Unix(stream), [part]) => stream.write(part),
            (Socket::Unix(stream), parts) => stream.write_vectored(parts),
            (
                Socket::TcpListener(_)
                | Socket::UnixListener(_)
                | Socket::Starting { .. }
                | Socket::Process(_),
                _,
            ) => Err(io::ErrorKind::InvalidInput.into()),
            (Socket::Connecting(_), _) => Err(io::ErrorKind::WouldBlock.into()),
            (Socket::Failed(_), _) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Why it is broken, once.
    pub(super) fn error(&mut self) -> Option<io::Error> {
        match self {
            Socket::Tcp(stream) => stream.take_error().ok().flatten(),
            Socket::Unix(stream) => stream.take_error().ok().flatten(),
            Socket::Failed(error) => error.take(),
            Socket::TcpListener(_)
            | Socket::UnixListener(_)
            | Socket::Connecting(_)
            | Socket::Starting { .. }
            | Socket::Process(_) => None,
        }
    }

    /// The address at this end of a TCP connection, an IPv4 address as such.
    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        let Socket::Tcp(stream) = self else { return None };
        let mut address = stream.local_addr().ok()?;
        address.set_ip(address.ip().to_canonical());
        Some(address)
    }
}
