//! One client: what it does, and how far it has come. Who gives it its requests and checks what it
//! gets is not known here.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};

use super::answer::Reading;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Asks, and is measured.
    Active,
    /// Has asked once.
    Idle,
    /// Asks for something long, and reads it slowly. It is not measured.
    Slow,
}

/// What an active client does when it has its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Rests,
    /// It asks for more.
    Asks,
    /// It asks for what has been due the longest, if anything is.
    Obeys,
}

/// One of them.
pub(crate) struct Client {
    pub(crate) role: Role,
    pub(crate) stream: Option<TcpStream>,
    pub(crate) is_connected: bool,
    pub(crate) target: usize,
    /// When each request was due that has no answer.
    pub(crate) due: VecDeque<Instant>,
    /// So many of these, the first ones, are of an earlier load and do not count.
    pub(crate) before: usize,
    /// When each request was due that it could not ask for yet.
    pub(crate) queue: VecDeque<Instant>,
    pub(crate) reading: Reading,
    /// Something has come, ever.
    pub(crate) has_heard: bool,
    /// Answers on this connection.
    pub(crate) answers_here: u64,
    pub(crate) answers: u64,
}

impl Client {
    pub(crate) fn new(role: Role) -> Client {
        Client {
            role,
            stream: None,
            is_connected: false,
            target: 0,
            due: VecDeque::new(),
            before: 0,
            queue: VecDeque::new(),
            reading: Reading::default(),
            has_heard: false,
            answers_here: 0,
            answers: 0,
        }
    }
}

/// Its window, in bytes: what the kernel takes for it.
const WINDOW: usize = 4 << 10;

/// Begins to connect. A slow client has a small window, which has to be said before.
pub(crate) fn connect(server: SocketAddr, is_slow: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if is_slow {
        socket.set_recv_buffer_size(WINDOW)?;
    }
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        Ok(()) | Err(_) => Ok(TcpStream::from_std(socket.into())),
    }
}
