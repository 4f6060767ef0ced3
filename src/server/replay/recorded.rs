//! The network of a server that is recorded: each call goes on to another network, and what came of
//! it to whoever writes it down. What the server makes of it is not known here.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crc32fast::Hasher;

use super::asked::{Asked, Call};
use super::scribe::Scribe;
use super::words::{Word, put_all, put_bytes, put_result};
use super::{Head, Tape, stamp, sum_of};
use crate::server::listener::{Address, PathOwner};
use crate::server::net::{Net, Ready, Wake};
use crate::server::peers::PeerId;
use crate::server::spawner::{Ending, Job};
use crate::server::timers::Millis;
use crate::site::program::Endpoint;

/// A network, and a recording of what it says.
#[derive(Debug)]
pub struct Recorded<N, W: Write = File> {
    inner: N,
    scribe: Scribe<W>,
}

impl<N: Net, W: Write> Recorded<N, W> {
    /// From now on what `inner` says is written to `sink`, up to `most` bytes.
    ///
    /// # Errors
    /// Those of write(2), and where `most` is too little for `head` already.
    pub fn begin(inner: N, sink: W, most: u64, head: &Head) -> io::Result<Self> {
        let mut bytes = Vec::new();
        head.put(&mut bytes);
        Ok(Recorded { inner, scribe: Scribe::new(sink, most, &bytes)? })
    }

    /// The network whose calls are recorded.
    #[cfg(test)]
    pub(in super::super) fn inner(&mut self) -> &mut N {
        &mut self.inner
    }

    /// Takes away what was written.
    #[cfg(test)]
    pub(in super::super) fn take<T>(&mut self, take: impl FnOnce(&mut W) -> T) -> T {
        self.scribe.look(take)
    }

    fn note<T: Word>(&self, asked: Asked, answer: &T) {
        self.scribe.note(asked, |out| answer.put(out));
    }

    /// Writes down what was read into `buffer`.
    fn note_read(&self, asked: Asked, result: &io::Result<usize>, buffer: &[u8]) {
        self.scribe.note(asked, |out| {
            put_result(result.as_ref(), out, |&count, out| put_bytes(&buffer[..count], out));
        });
    }
}

impl<N: Net, W: Write + Send + 'static> Tape for Recorded<N, W> {
    fn begin(&mut self) -> io::Result<()> {
        self.scribe.begin_thread()
    }

    fn turned(&mut self, moments: u64, sum: u32) -> bool {
        let asked = Asked::of(Call::Turned).amount(moments).sum(sum);
        self.note(asked, &());
        true
    }

    fn end(&mut self) {
        self.note(Asked::of(Call::End), &());
        self.scribe.end();
    }
}

impl<N: Net, W: Write> Net for Recorded<N, W> {
    fn now(&self) -> Millis {
        Millis(self.nanos() / 1_000_000)
    }

    fn nanos(&self) -> u64 {
        let time = self.inner.nanos();
        self.scribe.note_time(Call::Nanos, time, |clocks| &mut clocks.nanos);
        time
    }

    fn hold(&mut self, is_held: bool) {
        self.inner.hold(is_held);
        self.note(Asked::of(Call::Hold).amount(is_held.into()), &());
    }

    fn unix_time(&self) -> u64 {
        let time = self.inner.unix_time();
        self.scribe.note_time(Call::UnixTime, time, |clocks| &mut clocks.seconds);
        time
    }

    fn chance(&mut self) -> u64 {
        let number = self.inner.chance();
        self.note(Asked::of(Call::Chance), &number);
        number
    }

    fn resident(&mut self) -> Option<u64> {
        let bytes = self.inner.resident();
        self.note(Asked::of(Call::Resident), &bytes);
        bytes
    }

    fn listen(&mut self, address: &Address, listener: PeerId) -> io::Result<(Address, PathOwner)> {
        let result = self.inner.listen(address, listener);
        let asked = asked_to_listen(address, listener);
        self.scribe.note(asked, |out| {
            put_result(result.as_ref(), out, |(address, _), out| address.put(out));
        });
        result
    }

    fn next_signal(&mut self) -> Option<i32> {
        let signal = self.inner.next_signal();
        self.note(Asked::of(Call::NextSignal), &signal);
        signal
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let before = ready.len();
        let result = self.inner.wait(ready, timeout);
        self.scribe.note(asked_to_wait(timeout), |out| {
            put_result(result.as_ref(), out, |(), out| put_all(&ready[before..], out));
        });
        result
    }

    fn waker(&self) -> Wake {
        self.inner.waker()
    }

    fn heard(&mut self, next: impl FnOnce() -> Option<PeerId>) -> Option<PeerId> {
        let peer = self.inner.heard(next);
        self.note(Asked::of(Call::Heard), &peer);
        peer
    }

    fn has_word(&mut self, look: impl FnMut() -> bool) -> bool {
        let has_word = self.inner.has_word(look);
        self.note(Asked::of(Call::HasWord), &has_word);
        has_word
    }

    fn has_visitor(&mut self, listener: PeerId) -> bool {
        let has_visitor = self.inner.has_visitor(listener);
        self.note(Asked::about(Call::HasVisitor, listener), &has_visitor);
        has_visitor
    }

    fn accept(&mut self, listener: PeerId, client: PeerId) -> io::Result<Option<SocketAddr>> {
        let result = self.inner.accept(listener, client);
        self.note(asked_to_accept(listener, client), &result);
        result
    }

    fn watch(&mut self, client: PeerId) -> io::Result<()> {
        let result = self.inner.watch(client);
        self.note(Asked::about(Call::Watch, client), &result);
        result
    }

    fn read(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(peer, buffer);
        let asked = Asked::about(Call::Read, peer).amount(buffer.len() as u64);
        self.note_read(asked, &result, buffer);
        result
    }

    fn write(&mut self, peer: PeerId, parts: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        let result = self.inner.write(peer, parts, more);
        self.note(asked_to_write(peer, parts, more), &result);
        result
    }

    fn read_at_hand(&mut self, file: &File, bytes: &mut [u8], offset: u64) -> bool {
        let is_there = self.inner.read_at_hand(file, bytes, offset);
        let asked = Asked::of(Call::ReadAtHand).amount(bytes.len() as u64);
        self.note(asked.sum(stamp(file, offset)), &is_there);
        is_there
    }

    fn fetch(&mut self, peer: PeerId, file: &Arc<File>, offset: u64, length: usize) -> bool {
        let is_there = self.inner.fetch(peer, file, offset, length);
        let asked = Asked::about(Call::Fetch, peer).amount(length as u64);
        self.note(asked.sum(stamp(file, offset)), &is_there);
        is_there
    }

    fn send_file(
        &mut self,
        peer: PeerId,
        file: &File,
        offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let result = self.inner.send_file(peer, file, offset, length);
        let asked = Asked::about(Call::SendFile, peer).amount(length as u64);
        self.note(asked.sum(stamp(file, offset)), &result);
        result
    }

    fn finish(&mut self, peer: PeerId) {
        self.inner.finish(peer);
        self.note(Asked::about(Call::Finish, peer), &());
    }

    fn close(&mut self, peer: PeerId) {
        self.inner.close(peer);
        self.note(Asked::about(Call::Close, peer), &());
    }

    fn abort(&mut self, peer: PeerId) {
        self.inner.abort(peer);
        self.note(Asked::about(Call::Abort, peer), &());
    }

    fn shrink(&mut self, slots: usize) {
        self.inner.shrink(slots);
        self.note(Asked::of(Call::Shrink).amount(slots as u64), &());
    }

    fn local_address(&self, peer: PeerId) -> Option<SocketAddr> {
        let address = self.inner.local_address(peer);
        self.note(Asked::about(Call::LocalAddress, peer), &address);
        address
    }

    fn connect(&mut self, endpoint: &Endpoint, gateway: PeerId) -> io::Result<()> {
        let result = self.inner.connect(endpoint, gateway);
        self.note(asked_to_connect(endpoint, gateway), &result);
        result
    }

    fn spawn(&mut self, job: Job, gateway: PeerId) -> io::Result<()> {
        let asked = Asked::about(Call::Spawn, gateway).sum(sum_of(&job));
        let result = self.inner.spawn(job, gateway);
        self.note(asked, &result);
        result
    }

    fn error(&mut self, peer: PeerId) -> Option<io::Error> {
        let error = self.inner.error(peer);
        self.note(Asked::about(Call::Error, peer), &error);
        error
    }

    fn read_complaints(&mut self, peer: PeerId, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read_complaints(peer, buffer);
        let asked = Asked::about(Call::ReadComplaints, peer).amount(buffer.len() as u64);
        self.note_read(asked, &result, buffer);
        result
    }

    fn ended(&mut self, peer: PeerId) -> Option<Ending> {
        let ending = self.inner.ended(peer);
        self.note(Asked::about(Call::Ended, peer), &ending);
        ending
    }

    fn kill(&mut self, peer: PeerId) {
        self.inner.kill(peer);
        self.note(Asked::about(Call::Kill, peer), &());
    }
}

/// What a listener is known by.
pub(super) fn asked_to_listen(address: &Address, listener: PeerId) -> Asked {
    Asked::about(Call::Listen, listener).sum(crc32fast::hash(address.to_string().as_bytes()))
}

/// What a wait is known by.
pub(super) fn asked_to_wait(timeout: Option<Duration>) -> Asked {
    let asked = Asked::of(Call::Wait);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    timeout.map_or(asked, |timeout| asked.amount(micros(timeout)))
}

/// What an accept is known by: the client will have this name.
pub(super) fn asked_to_accept(listener: PeerId, client: PeerId) -> Asked {
    let name = u64::from(client.generation) << 32 | u64::from(client.key);
    Asked::about(Call::Accept, listener).amount(name)
}

/// What a write is known by: all that was to be written.
pub(super) fn asked_to_write(peer: PeerId, parts: &[IoSlice<'_>], more: bool) -> Asked {
    let mut sum = Hasher::new();
    sum.update(&[more.into()]);
    for part in parts {
        sum.update(part);
    }
    let length: usize = parts.iter().map(|part| part.len()).sum();
    Asked::about(Call::Write, peer).amount(length as u64).sum(sum.finalize())
}

/// What a connection is known by.
pub(super) fn asked_to_connect(endpoint: &Endpoint, gateway: PeerId) -> Asked {
    Asked::about(Call::Connect, gateway).sum(crc32fast::hash(endpoint.to_string().as_bytes()))
}
