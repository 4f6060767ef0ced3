//! Where clients sit while they wait for their sockets: the reading stage of an assembly line.

use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use super::line::{Client, Wants};
use super::talk::READ;

/// Clients are new, or come back.
const NEWS: Token = Token(usize::MAX);

/// Where a client goes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Answer,
    Send,
}

/// All seats.
pub(crate) struct Seats {
    poll: Poll,
    events: Events,
    bell: Arc<Waker>,
    all: Slab<Seat>,
    most: usize,
    buffer: Box<[u8; READ]>,
}

#[derive(Default)]
struct Seat {
    client: Option<Client>,
    /// What its socket was ready for while it was under way.
    readable: bool,
    writable: bool,
    /// It has said its last word: there is an end to be read.
    is_closed: bool,
}

impl Seats {
    /// For so many clients at the most.
    ///
    /// # Errors
    /// Where there is no epoll to be had.
    pub(crate) fn new(most: usize) -> io::Result<Seats> {
        let poll = Poll::new()?;
        let bell = Arc::new(Waker::new(poll.registry(), NEWS)?);
        Ok(Seats {
            poll,
            events: Events::with_capacity(1024),
            bell,
            all: Slab::new(),
            most,
            buffer: Box::new([0; READ]),
        })
    }

    /// Wakes whoever waits here.
    pub(crate) fn bell(&self) -> Arc<Waker> {
        Arc::clone(&self.bell)
    }

    /// Waits; returns the clients whose sockets are ready.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)`.
    pub(crate) fn wait(&mut self) -> io::Result<Vec<Client>> {
        match self.poll.poll(&mut self.events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut ready = Vec::new();
        for event in &self.events {
            if let Some(seat) = self.all.get_mut(event.token().0) {
                seat.is_closed |= event.is_read_closed();
                seat.readable |= event.is_readable() || event.is_read_closed();
                seat.writable |= event.is_writable();
                ready.extend(seat.client.take());
            }
        }
        Ok(ready)
    }

    /// Reads of a client that wants it, and says where it goes. One whose socket has to be waited
    /// for sits down; one that is over is gone.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub(crate) fn read(&mut self, mut client: Client) -> io::Result<Option<(Stage, Client)>> {
        let seated = match client.seat {
            Some(at) => Some(at),
            None => self.enter(&mut client)?,
        };
        // Whoever finds no seat is let go.
        let Some(at) = seated else { return Ok(None) };
        let seat = &mut self.all[at];
        let next = match client.wants {
            Wants::Answers => Some(Stage::Answer),
            Wants::Room => std::mem::take(&mut seat.writable).then_some(Stage::Send),
            Wants::Input if seat.readable => {
                seat.readable = seat.is_closed;
                client.read(&mut self.buffer).then_some(Stage::Answer)
            }
            Wants::End if std::mem::take(&mut seat.readable) => {
                if client.drop_input(&mut self.buffer) {
                    client.wants = Wants::Nothing;
                }
                None
            }
            Wants::Input | Wants::End | Wants::Nothing => None,
        };
        if client.wants == Wants::Nothing {
            // Its socket goes with it.
            self.all.remove(at);
            return Ok(None);
        }
        if let Some(stage) = next {
            return Ok(Some((stage, client)));
        }
        seat.client = Some(client);
        Ok(None)
    }

    /// Seats a new client; `None` where all seats are taken.
    fn enter(&mut self, client: &mut Client) -> io::Result<Option<usize>> {
        if self.all.len() >= self.most {
            return Ok(None);
        }
        let at = self.all.insert(Seat::default());
        client.seat = Some(at);
        let (socket, both) = (client.stream.as_raw_fd(), Interest::READABLE | Interest::WRITABLE);
        self.poll.registry().register(&mut SourceFd(&socket), Token(at), both)?;
        Ok(Some(at))
    }
}
