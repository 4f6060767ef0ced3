//! A client on an assembly line: what each stage does with it. Nobody waits here; who waits, and on
//! which thread, is not known.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::thread;

use oneloop::site::Site;
use oneloop::site::body::{Body, Produced};

use super::talk::{Next, READ, Talk};

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Something to be read.
    Input,
    /// Room in its socket.
    Room,
    /// To be answered once more: not all that was read could be.
    Answers,
    /// To have the rest of what it says dropped, until it ends: else that would reset the
    /// connection before it has read its answer.
    End,
    /// Nothing more: it is over.
    Nothing,
}

/// One client.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Where it sits, once it has a seat.
    pub(crate) seat: Option<usize>,
    pub(crate) wants: Wants,
    talk: Talk,
    sent: usize,
    /// What goes out behind the answers that were gathered: from this byte on, so many.
    file: Option<(Arc<File>, u64, u64)>,
    /// What it wants when all that is sent.
    then: Wants,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Client {
        let is_usable = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
        Client {
            stream,
            seat: None,
            wants: if is_usable.is_ok() { Wants::Input } else { Wants::Nothing },
            talk: Talk::new(),
            sent: 0,
            file: None,
            then: Wants::Input,
        }
    }

    /// Reads what is there, by way of `buffer`. Returns whether there is something to answer, if it
    /// be an end.
    pub(crate) fn read(&mut self, buffer: &mut [u8; READ]) -> bool {
        let mut has_read = false;
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return has_read,
                Ok(0) | Err(_) => {
                    self.talk.end_input();
                    return true;
                }
                Ok(count) => {
                    has_read = true;
                    self.talk.input.extend_from_slice(&buffer[..count]);
                    // A short read means that there is no more, but for an end.
                    if count < READ {
                        return true;
                    }
                }
            }
        }
    }

    /// Drops what is there, by way of `buffer`. Returns whether that was all it will ever say.
    pub(crate) fn drop_input(&mut self, buffer: &mut [u8; READ]) -> bool {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Ok(0) | Err(_) => return true,
                Ok(_) => {}
            }
        }
    }

    /// Makes the answers to what was read.
    pub(crate) fn answer(&mut self, site: &Site) {
        self.then = loop {
            match self.talk.advance(site) {
                Next::Read => break Wants::Input,
                Next::Close if self.talk.connection.is_mutual_end() => break Wants::Nothing,
                Next::Close => break Wants::End,
                Next::Send(Body::File { file, offset, left }) => {
                    self.file = Some((file, offset, left));
                    break Wants::Answers;
                }
                Next::Send(body) => {
                    if self.gather(body).is_err() {
                        // What has begun and is not whole is seen by the client.
                        let _ = self.talk.connection.cut();
                    }
                }
            }
        };
    }

    /// What lies in the memory of one thread cannot go to another: it is copied.
    fn gather(&mut self, body: Body) -> io::Result<()> {
        let Talk { connection, output, .. } = &mut self.talk;
        match body {
            Body::Empty => {}
            Body::Bytes { bytes, at, end } => connection.send(&bytes[at..end], output),
            Body::File { file, offset, left } => {
                let mut part = vec![0; usize::try_from(left).map_err(io::Error::other)?];
                file.read_exact_at(&mut part, offset)?;
                connection.send(&part, output);
            }
            Body::Parts(mut parts) => {
                while let Some(piece) = parts.current() {
                    self.gather(std::mem::take(piece))?;
                }
            }
            Body::Produced(mut producer) => {
                let mut made = Vec::new();
                loop {
                    match producer.produce(&mut made)? {
                        Produced::More => {}
                        Produced::Pause(pause) => thread::sleep(pause),
                        Produced::End => break,
                    }
                }
                connection.send(&made, output);
                connection.finish(output);
            }
        }
        Ok(())
    }

    /// Sends as much as the socket takes.
    pub(crate) fn send(&mut self) {
        self.wants = match self.try_send() {
            Ok(()) => self.then,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Wants::Room,
            Err(_) => Wants::Nothing,
        };
        if matches!(self.wants, Wants::End | Wants::Nothing) {
            // Whoever else has the socket open does not keep the client waiting.
            drop(self.stream.shutdown(Shutdown::Write));
        }
    }

    fn try_send(&mut self) -> io::Result<()> {
        while self.sent < self.talk.output.len() {
            self.sent += self.stream.write(&self.talk.output[self.sent..])?;
        }
        self.talk.output.clear();
        self.sent = 0;
        while let Some((file, offset, left)) = &mut self.file {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            match rustix::fs::sendfile(&self.stream, &**file, Some(offset), most)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => {
                    *left -= count as u64;
                    self.talk.connection.sent(count as u64);
                }
            }
            if *left == 0 {
                self.file = None;
            }
        }
        Ok(())
    }
}
