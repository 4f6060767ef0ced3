//! **Stages with queues between them (SEDA in small).**
//!
//! *Idea.* An answer is made on an assembly line: *accept* takes clients in, *read* waits for all of
//! them and reads, *answer* parses, routes and makes the answer, *send* writes it and gives the client
//! back to *read*. Each stage has its own threads and a bounded queue before it, by which one sees
//! where it is too slow.
//!
//! *History.* SEDA (SOSP 2001), Haboob and Sandstorm. The queues were to keep a server well behaved
//! under any load, each stage with as many threads as it needs.
//!
//! *Weakness.* Each request goes through three threads: it is handed on under locks, wakes somebody
//! up, and finds other caches. Matt Welsh wrote in 2010 that he would do without most of the stages.
//! Parsing and answering are one stage here, for what was parsed borrows from what was read.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use crate::laboratory::ground::Ground;
use crate::laboratory::line::{Client, Wants};

/// Clients that wait before a stage, at the most.
const QUEUE: usize = 1024;

/// Clients are new, or come back.
const NEWS: Token = Token(usize::MAX);

/// Where a client sits while it waits for its socket.
#[derive(Default)]
struct Seat {
    client: Option<Client>,
    /// What its socket was ready for while it was under way.
    readable: bool,
    writable: bool,
}

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), NEWS)?);
    let (back, news) = channel();
    let (answer, to_answer) = sync_channel::<Client>(QUEUE);
    let (send, to_send) = sync_channel::<Client>(QUEUE);
    let (grounds, sender) = (ground.clone(), send.clone());
    stage(ground.size, to_answer, move || {
        let (site, sender) = (grounds.site(), sender.clone());
        move |mut client| {
            client.answer(&site);
            drop(sender.send(client));
        }
    });
    let (returned, bell) = (back.clone(), Arc::clone(&waker));
    stage(ground.size, to_send, move || {
        let (returned, bell) = (returned.clone(), Arc::clone(&bell));
        move |mut client| {
            client.send();
            let _ = returned.send(client).map(|()| bell.wake());
        }
    });
    let listener = listener.try_clone()?;
    thread::spawn(move || {
        loop {
            match listener.accept() {
                Ok((stream, _)) => drop(back.send(Client::new(stream)).map(|()| waker.wake())),
                Err(error) => super::rest_if_exhausted(&error).expect("the listener works"),
            }
        }
    });
    let mut seats: Slab<Seat> = Slab::new();
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        let mut here: Vec<Client> = Vec::new();
        for event in &events {
            if let Some(seat) = seats.get_mut(event.token().0) {
                seat.readable |= event.is_readable() || event.is_read_closed();
                seat.writable |= event.is_writable();
                here.extend(seat.client.take());
            }
        }
        here.extend(news.try_iter());
        for mut client in here {
            let seat = *client.seat.get_or_insert_with(|| {
                let seat = seats.insert(Seat::default());
                let (socket, both) =
                    (client.stream.as_raw_fd(), Interest::READABLE | Interest::WRITABLE);
                drop(poll.registry().register(&mut SourceFd(&socket), Token(seat), both));
                seat
            });
            let place = &mut seats[seat];
            let next = match client.wants {
                Wants::Answers => Some(&answer),
                Wants::Room => std::mem::take(&mut place.writable).then_some(&send),
                Wants::Input if std::mem::take(&mut place.readable) => {
                    client.read().then_some(&answer)
                }
                Wants::Input => None,
                // Its socket goes with it.
                Wants::Nothing => {
                    seats.remove(seat);
                    continue;
                }
            };
            match next {
                Some(next) => next.send(client).map_err(io::Error::other)?,
                None => place.client = Some(client),
            }
        }
    }
}

/// Starts a stage: threads that take clients out of its queue. Each does with them what `make` says,
/// which it calls on its own.
fn stage<W: FnMut(Client)>(
    size: usize,
    queue: Receiver<Client>,
    make: impl Fn() -> W + Send + Sync + 'static,
) {
    let (queue, make) = (Arc::new(Mutex::new(queue)), Arc::new(make));
    for _ in 0..size {
        let (queue, make) = (Arc::clone(&queue), Arc::clone(&make));
        thread::spawn(move || {
            let mut work = make();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(client) = next else { return };
                work(client);
            }
        });
    }
}
