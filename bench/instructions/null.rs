//! A network that is not there: one client, who asks the same again and again.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use oneloop::server::net::{Net, Ready, Wake};
use oneloop::server::peers::PeerId;
use oneloop::server::timers::Millis;

/// What is known of it from outside.
#[derive(Default)]
pub(crate) struct Seen {
    /// Where the client comes in.
    pub(crate) listener: Cell<Option<PeerId>>,
    /// Answers, one write each.
    pub(crate) answers: Cell<u32>,
    /// Bytes of the last one.
    pub(crate) length: Cell<usize>,
}

/// The network.
pub(crate) struct Null {
    /// What the client asks each time.
    request: Vec<u8>,
    client: Option<PeerId>,
    seen: Rc<Seen>,
}

impl Null {
    pub(crate) fn new(request: String, seen: &Rc<Seen>) -> Null {
        Null { request: request.into_bytes(), client: None, seen: Rc::clone(seen) }
    }
}

impl Net for Null {
    fn now(&self) -> Millis {
        Millis(u64::from(self.seen.answers.get()) / 100)
    }

    fn unix_time(&self) -> u64 {
        1_700_000_000
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, _timeout: Option<Duration>) -> io::Result<()> {
        let peer = self.client.or(self.seen.listener.get()).expect("somebody listens");
        let flags = (true, true, false, false);
        let (readable, writable, read_closed, broken) = flags;
        ready.push(Ready { peer, readable, writable, read_closed, broken, fetched: false });
        Ok(())
    }

    fn waker(&self) -> Wake {
        Arc::new(|| ())
    }

    fn has_visitor(&mut self, _listener: PeerId) -> bool {
        self.client.is_none()
    }

    fn accept(&mut self, _: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>> {
        if self.client.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.client = Some(client);
        Ok(Some(([127, 0, 0, 1], 1).into()))
    }

    fn watch(&mut self, _client: PeerId) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, _peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        buffer[..self.request.len()].copy_from_slice(&self.request);
        Ok(self.request.len())
    }

    fn write(&mut self, _: PeerId, parts: &[IoSlice<'_>], _more: bool) -> io::Result<usize> {
        let length = parts.iter().map(|part| part.len()).sum();
        self.seen.answers.set(self.seen.answers.get() + 1);
        self.seen.length.set(length);
        Ok(length)
    }

    fn send_file(&mut self, _: PeerId, _: &File, _: u64, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn finish(&mut self, _peer: PeerId) {}

    fn close(&mut self, _peer: PeerId) {
        self.client = None;
    }
}
