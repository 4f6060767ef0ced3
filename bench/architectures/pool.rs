//! **A pool of threads behind a bounded queue.**
//!
//! *Idea.* One thread accepts and puts clients into a queue. Some threads take them out, one after
//! the other, and serve each to its end. Where the queue is full, nobody is accepted.
//!
//! *History.* The application servers of the last thirty years; Apache's worker module (2002) is
//! such pools in several processes. Starting a thread costs nothing any more, and the load that the
//! machine takes on has a limit.
//!
//! *Weakness.* It is that of the processes that are there before: a persistent connection that is
//! silent keeps a thread, and so a pool has to be as large as there are clients, or let them go
//! early. How large it should be nobody knows beforehand: it is searched.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::threads::STACK;
use crate::laboratory::ground::Ground;
use crate::laboratory::talk;

/// Clients that wait for a thread, at the most. The others wait in the kernel.
const QUEUE: usize = 64;

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    let (queue, clients) = sync_channel(QUEUE);
    let clients = Arc::new(Mutex::new(clients));
    for _ in 0..ground.size {
        let (clients, ground) = (Arc::clone(&clients), ground.clone());
        thread::Builder::new().stack_size(STACK).spawn(move || work(&clients, &ground))?;
    }
    drop(clients);
    loop {
        match listener.accept() {
            // It waits while the queue is full; somebody takes from it as long as this goes on.
            Ok((stream, _)) => queue.send(stream).map_err(io::Error::other)?,
            Err(error) => super::rest_if_exhausted(&error)?,
        }
    }
}

/// One of the threads. Its site lives as long as it does, so it can keep files.
fn work(clients: &Mutex<Receiver<TcpStream>>, ground: &Ground) {
    let site = ground.site();
    loop {
        let next = clients.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(stream) = next else { return };
        drop(talk::serve(&stream, &site));
    }
}
