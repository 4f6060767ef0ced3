//! **A thread for each connection.**
//!
//! *Idea.* One thread accepts, and starts another one for each client. That one waits wherever
//! there is something to wait for; the others go on.
//!
//! *History.* As old as threads are cheap: Java's servers before 2002, MySQL, sshd's cousins. Knot
//! and Capriccio (2003) made threads of 100,000 clients and asked why one should ever write events;
//! with the scheduler and NPTL of Linux 2.6 the kernel's own came near.
//!
//! *Weakness.* Each client has a stack, and a place in the scheduler's tree; to go from one to the
//! other is a context switch. Whatever they share needs a lock: here they share nothing, for a site
//! does not leave its thread, and so each builds its own when its client comes, and finds no file
//! in memory.

use std::io;
use std::net::TcpListener;
use std::thread;

use crate::laboratory::ground::Ground;
use crate::laboratory::talk;

/// Bytes of a thread's stack. The system would give 2 MiB of addresses, of which nobody uses more.
pub(crate) const STACK: usize = 256 << 10;

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let ground = ground.clone();
                let one = move || drop(talk::serve(&stream, &ground.small_site()));
                // Where there are no more threads to be had, this client is let go.
                drop(thread::Builder::new().stack_size(STACK).spawn(one));
            }
            Err(error) => super::rest_if_exhausted(&error)?,
        }
    }
}
