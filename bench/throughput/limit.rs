//! The limit: the least that a program on epoll can do and be taken for a web server. It looks for
//! the blank line at the end of each request, and writes an answer that was made before. It has no
//! parser, no router, no log and no deadlines.
//!
//! It does not understand a request that comes in two pieces: its clients send none.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use memchr::memmem::Finder;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::fs::sendfile;
use rustix::net::{SendFlags, SocketFlags, accept_with, send, sockopt};
use slab::Slab;

/// Marks the event of the listener: no client has this number.
const LISTENER: u64 = u64::MAX;

/// Events taken at once.
const EVENTS: usize = 64;

/// The buffer that every request is read into.
const RECEIVED: usize = 64 << 10;

/// Copies of a small answer that lie one behind the other, so that pipelined ones leave in one
/// write.
const COPIES: usize = 16;

/// The largest answer that is copied.
const SMALL: usize = 16 << 10;

/// What `sendfile` is asked to send at once.
const FILE_CHUNK: usize = 2 << 20;

/// What is answered to every request.
struct Answer {
    /// The head and perhaps the content; if that is small, several times.
    bytes: Vec<u8>,
    /// The length of one of them.
    length: usize,
    /// The content, where it is too large for memory, and its length.
    file: Option<(File, usize)>,
    /// Whether the connection ends behind it.
    closes: bool,
}

struct Client {
    stream: TcpStream,
    /// Bytes of answers that are still to be sent.
    owed: usize,
}

struct Limit {
    epoll: OwnedFd,
    listener: TcpListener,
    clients: Slab<Client>,
    answer: Answer,
    received: Vec<u8>,
    blank_line: Finder<'static>,
}

/// Serves until it is killed. The arguments: a port, the file with the answer, `close` or `keep`,
/// and perhaps the file with the content.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let [port, answer, closes, content @ ..] = arguments else {
        return Err(io::Error::other("limit PORT ANSWER close|keep [CONTENT]"));
    };
    let port = port.parse().map_err(io::Error::other)?;
    let answer = Answer::read(answer, content.first(), closes == "close")?;
    let mut limit = Limit::new(port, answer)?;
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        match epoll::wait(&limit.epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            // As when strace looks on.
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let (client, flags) = (event.data.u64(), event.flags);
            if client == LISTENER {
                limit.accept()?;
            } else {
                limit.serve(usize::try_from(client).map_err(io::Error::other)?, flags);
            }
        }
    }
}

impl Answer {
    fn read(answer: &str, content: Option<&String>, closes: bool) -> io::Result<Answer> {
        let one = fs::read(answer)?;
        let length = one.len();
        let bytes = if length <= SMALL { one.repeat(COPIES) } else { one };
        let file = match content {
            Some(path) => {
                let file = File::open(path)?;
                let length = file.metadata()?.len();
                Some((file, usize::try_from(length).map_err(io::Error::other)?))
            }
            None => None,
        };
        Ok(Answer { bytes, length, file, closes })
    }

    /// The bytes of one answer, with its content.
    fn whole(&self) -> usize {
        self.length + self.file.as_ref().map_or(0, |(_, length)| *length)
    }
}

impl Limit {
    fn new(port: u16, answer: Answer) -> io::Result<Limit> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        // Its clients inherit it.
        sockopt::set_tcp_nodelay(&listener, true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Limit {
            epoll,
            listener,
            clients: Slab::new(),
            answer,
            received: vec![0; RECEIVED],
            blank_line: Finder::new("\r\n\r\n"),
        })
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok(socket) =
            accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
        {
            let client = Client { stream: TcpStream::from(socket), owed: 0 };
            let place = self.clients.vacant_entry();
            let data = EventData::new_u64(place.key() as u64);
            let both = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, &client.stream, data, both)?;
            place.insert(client);
        }
        Ok(())
    }

    /// Does for one client what can be done now.
    fn serve(&mut self, at: usize, flags: EventFlags) {
        let client = &mut self.clients[at];
        let mut lives = true;
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            lives = match client.stream.read(&mut self.received) {
                Ok(0) => false,
                Ok(count) => {
                    let requests = &self.received[..count];
                    assert!(requests.ends_with(b"\r\n\r\n"), "a request in two pieces");
                    client.owed +=
                        self.blank_line.find_iter(requests).count() * self.answer.whole();
                    true
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            };
        }
        if lives && client.owed > 0 {
            lives = client.send(&self.answer).is_ok() && !(self.answer.closes && client.owed == 0);
        }
        if !lives {
            self.clients.remove(at);
        }
    }
}

impl Client {
    /// Sends what is owed, as far as the socket takes it.
    fn send(&mut self, answer: &Answer) -> io::Result<()> {
        while self.owed > 0 {
            let whole = answer.whole();
            let position = (whole - self.owed % whole) % whole;
            let (asked, sent) = match &answer.file {
                Some((file, _)) if position >= answer.length => {
                    let asked = (whole - position).min(FILE_CHUNK);
                    let mut offset = (position - answer.length) as u64;
                    let sent = sendfile(&self.stream, file, Some(&mut offset), asked);
                    (asked, sent.map_err(io::Error::from))
                }
                Some(_) => {
                    let head = &answer.bytes[position..answer.length];
                    let sent = send(&self.stream, head, SendFlags::MORE);
                    (head.len(), sent.map_err(io::Error::from))
                }
                None => {
                    let end = answer.bytes.len().min(position + self.owed);
                    (end - position, self.stream.write(&answer.bytes[position..end]))
                }
            };
            match sent {
                Ok(sent) => {
                    self.owed -= sent;
                    // A full socket. Why `sendfile` sends less than it could, it does not say.
                    if sent < asked && answer.file.is_none() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
