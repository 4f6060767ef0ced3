//! **Stages with queues between them (SEDA in small).**
//!
//! *Idea.* An answer is made on an assembly line: *accept* takes clients in, *read* waits for all
//! of them and reads, *answer* parses, routes and makes the answer, *send* writes it and gives the
//! client back to *read*. Each stage has its own threads and a queue before it, by which one sees
//! where it is too slow. The queues that lead down the line are bounded: whoever finds one full
//! waits. The one that leads back from *send* to *read* must not make anybody wait, for then all
//! stages of the ring could wait for each other; it holds no more clients than there are seats.
//!
//! *History.* SEDA (SOSP 2001), Haboob and Sandstorm. The queues were to keep a server well behaved
//! under any load, each stage with as many threads as it needs.
//!
//! *Weakness.* Each request goes through three threads: it is handed on under locks, wakes somebody
//! up, and finds other caches. Matt Welsh wrote in 2010 that he would do without most of the
//! stages. Parsing and answering are one stage here, for what was parsed borrows from what was
//! read.

use std::io;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::laboratory::ground::Ground;
use crate::laboratory::line::Client;
use crate::laboratory::seats::{Seats, Stage};

/// Clients that wait before a stage, at the most.
const QUEUE: usize = 1024;

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    let mut seats = Seats::new(Ground::limits().connections)?;
    let (enter, entered) = sync_channel(QUEUE);
    // Only clients that have a seat are put into it.
    let (back, returned) = channel();
    let (answer, to_answer) = sync_channel(QUEUE);
    let (send, to_send) = sync_channel(QUEUE);
    let (grounds, sender) = (ground.clone(), send.clone());
    stage(ground.size, to_answer, move || {
        let (site, sender) = (grounds.site(), sender.clone());
        move |mut client: Client| {
            client.answer(&site);
            drop(sender.send(client));
        }
    });
    let bell = seats.bell();
    stage(ground.size, to_send, move || {
        let (back, bell) = (back.clone(), Arc::clone(&bell));
        move |mut client: Client| {
            client.send();
            let _ = back.send(client).map(|()| bell.wake());
        }
    });
    let (listener, bell) = (listener.try_clone()?, seats.bell());
    thread::spawn(move || {
        loop {
            match listener.accept() {
                Ok((stream, _)) => drop(enter.send(Client::new(stream)).map(|()| bell.wake())),
                Err(error) => super::rest_if_exhausted(&error).expect("the listener works"),
            }
        }
    });
    loop {
        let mut here = seats.wait()?;
        here.extend(returned.try_iter());
        here.extend(entered.try_iter());
        for client in here {
            match seats.read(client)? {
                Some((Stage::Answer, client)) => answer.send(client).map_err(io::Error::other)?,
                Some((Stage::Send, client)) => send.send(client).map_err(io::Error::other)?,
                None => {}
            }
        }
    }
}

/// Starts a stage: threads that take clients out of its queue. Each does with them what `make`
/// says, which it calls on its own.
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
