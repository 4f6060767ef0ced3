//! What comes about later: connections and processes, from the first word of them to the last.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::Interest;
use mio::event::Event;
use mio::unix::SourceFd;

use super::Ready;
use super::connecting::{Connecting, Progress};
use super::process::Talking;
use super::socket::Socket;
use super::system::{Slot, System, peer, token};
use crate::server::net::Net;
use crate::server::peers::PeerId;
use crate::server::process::Process;
use crate::server::spawner::Running;

impl System {
    /// What an event means for whom it is about; `None` if nothing yet.
    pub(super) fn heed(&mut self, event: &Event) -> Option<Ready> {
        let id = peer(event.token());
        if id.key == PeerId::DYING {
            self.bury(id.generation);
            return None;
        }
        let told = Ready {
            peer: id,
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            broken: event.is_error() || (event.is_read_closed() && event.is_write_closed()),
            fetched: false,
        };
        let slot = self.slots.get_mut(id.key as usize).and_then(Option::as_mut);
        let Some(slot) = slot.filter(|slot| slot.generation == id.generation) else {
            return Some(told);
        };
        match &mut slot.socket {
            Socket::Connecting(connecting) => {
                let progress = connecting.progress(self.poll.registry(), event.token());
                self.go_on(id, progress, told)
            }
            // Which of its descriptors it is does not show: all of them may have something to read.
            Socket::Process(_) => Some(Ready { readable: true, ..quiet(id) }),
            Socket::TcpListener(_)
            | Socket::UnixListener(_)
            | Socket::Tcp(_)
            | Socket::Unix(_)
            | Socket::Starting { .. }
            | Socket::Failed(_) => Some(told),
        }
    }

    /// A connection has come about, or not.
    fn go_on(&mut self, id: PeerId, progress: Progress, told: Ready) -> Option<Ready> {
        let (socket, ready) = match progress {
            Progress::Pending => return None,
            Progress::Connected(socket) => (socket, told),
            Progress::Failed(error) => (Socket::Failed(Some(error)), broken(id)),
        };
        if let Ok(before) = self.socket(id)
            && let Socket::Connecting(connecting) = std::mem::replace(before, socket)
        {
            self.note_failures(&connecting);
        }
        Some(ready)
    }

    pub(super) fn note_failures(&mut self, connecting: &Connecting) {
        if let Some((name, failed)) = connecting.failed()
            && !failed.is_empty()
        {
            self.resolver.demote(name, failed);
        }
    }

    /// Other threads have rung: takes what they have.
    pub(super) fn collect(&mut self, ready: &mut Vec<Ready>) {
        while let Ok(peer) = self.fetched.1.try_recv() {
            ready.push(Ready { fetched: true, ..quiet(peer) });
        }
        while let Some(started) = self.spawner.next() {
            ready.extend(self.take_in(started.peer, started.running));
        }
        let now = self.now();
        while let Some((id, addresses)) = self.resolver.next(now) {
            let registry = self.poll.registry();
            let slot = self.slots.get_mut(id.key as usize).and_then(Option::as_mut);
            let Some(Slot { generation, socket: Socket::Connecting(connecting) }) = slot else {
                continue;
            };
            if *generation != id.generation {
                continue;
            }
            let begun =
                addresses.and_then(|addresses| connecting.begin(&addresses, registry, token(id)));
            if let Err(error) = begun {
                ready.extend(self.go_on(id, Progress::Failed(error), quiet(id)));
            }
        }
    }

    /// A process runs, or does not. Whoever wanted it may be gone by now.
    fn take_in(&mut self, id: PeerId, running: io::Result<Running>) -> Option<Ready> {
        let Some(&mut Socket::Starting { killed }) = self.find(id) else {
            if let Ok(running) = running {
                self.let_die(running.process, false);
            }
            return None;
        };
        let added = running.and_then(Talking::new).and_then(|talking| {
            if killed {
                talking.kill();
            }
            self.add(id, Socket::Process(Box::new(talking)), Interest::READABLE)
        });
        match added {
            Ok(()) => Some(Ready { writable: true, ..quiet(id) }),
            Err(error) => {
                self.put(id, Socket::Failed(Some(error)));
                Some(broken(id))
            }
        }
    }

    /// Kills a process, and has the epoll say when it can be reaped.
    pub(super) fn let_die(&mut self, mut process: Process, is_watched: bool) {
        process.kill();
        if process.ended().is_some() {
            return;
        }
        let entry = self.dying.vacant_entry();
        let key = u32::try_from(entry.key()).expect("fewer processes than 2³²");
        let token = token(PeerId { key: PeerId::DYING, generation: key });
        let descriptor = process.as_fd().as_raw_fd();
        let (registry, mut source) = (self.poll.registry(), SourceFd(&descriptor));
        let watched = if is_watched {
            registry.reregister(&mut source, token, Interest::READABLE)
        } else {
            registry.register(&mut source, token, Interest::READABLE)
        };
        // If it cannot be watched, for want of memory, it is dropped here: that waits for its end.
        if watched.is_ok() {
            entry.insert(process);
        }
    }

    fn bury(&mut self, key: u32) {
        let key = key as usize;
        if self.dying.get_mut(key).is_some_and(|process| process.ended().is_some()) {
            self.dying.remove(key);
        }
    }
}

/// An event that says nothing about `peer`.
fn quiet(peer: PeerId) -> Ready {
    Ready {
        peer,
        readable: false,
        writable: false,
        read_closed: false,
        broken: false,
        fetched: false,
    }
}

fn broken(peer: PeerId) -> Ready {
    Ready { broken: true, ..quiet(peer) }
}
