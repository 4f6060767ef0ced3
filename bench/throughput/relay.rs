//! The limit of passing on: what comes from a client goes to the program behind, and what comes
//! from there goes back, on a pair of connections, without a look at it. For a program that speaks
//! another protocol, something prepared goes in its place.
//!
//! It does not wait for room in a socket: what passes here is small, and one at a time.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt;
use slab::Slab;

/// Marks the event of the listener: no connection has this number.
const LISTENER: u64 = u64::MAX;

/// Events taken at once.
const EVENTS: usize = 64;

/// The buffer that everything is read into.
const BUFFER: usize = 64 << 10;

/// The client and the program.
type Pair = [TcpStream; 2];

struct Relay {
    epoll: OwnedFd,
    listener: TcpListener,
    origin: u16,
    pairs: Slab<Pair>,
    /// What goes to the program, and what to the client, in place of what has come.
    prepared: Option<[Vec<u8>; 2]>,
    buffer: Vec<u8>,
}

/// Serves until it is killed. The arguments: a port, that of the program, and perhaps two files
/// with what goes to the program and to the client.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let [port, origin, prepared @ ..] = arguments else {
        return Err(io::Error::other("relay PORT ORIGIN [TOLD ANSWERED]"));
    };
    let prepared = match prepared {
        [told, answered] => Some([fs::read(told)?, fs::read(answered)?]),
        _ => None,
    };
    let [port, origin] = [port, origin].map(|port| port.parse().map_err(io::Error::other));
    let mut relay = Relay::new(port?, origin?, prepared)?;
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        match epoll::wait(&relay.epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            // As when strace looks on.
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            if event.data.u64() == LISTENER {
                relay.accept()?;
            } else {
                relay.pass_on(usize::try_from(event.data.u64()).map_err(io::Error::other)?);
            }
        }
    }
}

impl Relay {
    fn new(port: u16, origin: u16, prepared: Option<[Vec<u8>; 2]>) -> io::Result<Relay> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        // Its clients inherit it.
        sockopt::set_tcp_nodelay(&listener, true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Relay { epoll, listener, origin, pairs: Slab::new(), prepared, buffer: vec![0; BUFFER] })
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((client, _)) = self.listener.accept() {
            let pair = [client, TcpStream::connect(("127.0.0.1", self.origin))?];
            let place = self.pairs.vacant_entry();
            for (stream, side) in pair.iter().zip(0..) {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let data = EventData::new_u64(2 * place.key() as u64 + side);
                epoll::add(&self.epoll, stream, data, EventFlags::IN | EventFlags::ET)?;
            }
            place.insert(pair);
        }
        Ok(())
    }

    /// Brings to one side what the other has sent. `at` is twice the pair's number, and the side.
    fn pass_on(&mut self, at: usize) {
        // The other side's end may have come first.
        let Some(pair) = self.pairs.get_mut(at / 2) else { return };
        let [from, to] = [at % 2, 1 - at % 2];
        match pair[from].read(&mut self.buffer) {
            Ok(count @ 1..) => {
                let bytes = match &self.prepared {
                    Some(prepared) => &prepared[from],
                    None => &self.buffer[..count],
                };
                if pair[to].write_all(bytes).is_err() {
                    self.pairs.remove(at / 2);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => drop(self.pairs.remove(at / 2)),
        }
    }
}
