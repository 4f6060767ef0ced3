//! A process as the epoll sees it: three descriptors under one name. Its start and its end are
//! `server/spawner.rs`'s and `server/process.rs`'s.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::unix::pipe;
use mio::{Interest, Registry, Token};

use crate::server::process::Process;
use crate::server::spawner::{Ending, Running};

/// A process that is listened to.
#[derive(Debug)]
pub(super) struct Talking {
    /// Gone once it has ended.
    output: Option<pipe::Receiver>,
    /// Gone once they have ended.
    complaints: Option<pipe::Receiver>,
    process: Process,
}

impl Talking {
    /// What `running` says will be read without waiting.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub(super) fn new(running: Running) -> io::Result<Self> {
        let Running { process, output, complaints } = running;
        let receiver = |pipe| {
            let receiver = pipe::Receiver::from(pipe);
            receiver.set_nonblocking(true).map(|()| receiver)
        };
        let (output, complaints) = (receiver(output)?, receiver(complaints)?);
        Ok(Talking { output: Some(output), complaints: Some(complaints), process })
    }

    /// Reads its standard output; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read(&mut self.output, buffer)
    }

    /// Reads its standard error; 0 at the end.
    pub(super) fn read_complaints(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read(&mut self.complaints, buffer)
    }

    /// See [`Process::ended`].
    pub(super) fn ended(&mut self) -> Option<Ending> {
        self.process.ended()
    }

    /// See [`Process::kill`].
    pub(super) fn kill(&self) {
        self.process.kill();
    }

    /// Listens no more.
    pub(super) fn into_process(self) -> Process {
        self.process
    }
}

/// Reads from `pipe`, and closes it at its end: a process may live on for long without it.
fn read(pipe: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    let Some(receiver) = pipe else { return Ok(0) };
    let count = receiver.read(buffer)?;
    if count == 0 && !buffer.is_empty() {
        *pipe = None;
    }
    Ok(count)
}

impl Source for Talking {
    fn register(&mut self, registry: &Registry, token: Token, to: Interest) -> io::Result<()> {
        for pipe in self.output.iter_mut().chain(&mut self.complaints) {
            pipe.register(registry, token, to)?;
        }
        SourceFd(&self.process.as_fd().as_raw_fd()).register(registry, token, to)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, to: Interest) -> io::Result<()> {
        for pipe in self.output.iter_mut().chain(&mut self.complaints) {
            pipe.reregister(registry, token, to)?;
        }
        SourceFd(&self.process.as_fd().as_raw_fd()).reregister(registry, token, to)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        for pipe in self.output.iter_mut().chain(&mut self.complaints) {
            pipe.deregister(registry)?;
        }
        SourceFd(&self.process.as_fd().as_raw_fd()).deregister(registry)
    }
}
