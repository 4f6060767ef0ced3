//! **One event loop (SPED).**
//!
//! *Idea.* One thread waits for all sockets at once and does of each what can be done now. Where a
//! client stands is a state of some words in place of a stack. This is oneloop, but that it waits
//! for the disk itself.
//!
//! *History.* Harvest's cache (1995), Squid, Zeus and thttpd; Flash (USENIX 1999) called it SPED, a
//! single process that is driven by events. `select`, which told all that it was asked about each
//! time, gave way to /dev/poll, kqueue (2000) and epoll (2002).
//!
//! *Weakness.* Whatever takes long keeps everybody waiting: a file that is not in memory, a handler
//! that computes. It uses one processor and no more.

use std::io;
use std::net::TcpListener;

use crate::laboratory::ground::Ground;

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    let mut server = super::server(listener, ground)?;
    server.wait_for_disk();
    server.run()
}
