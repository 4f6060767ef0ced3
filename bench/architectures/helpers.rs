//! **An event loop with helpers that read ahead (AMPED).**
//!
//! *Idea.* The loop looks first whether content is in memory (`preadv2` with `RWF_NOWAIT`). If it
//! is not, a helper reads it, and the loop goes on with the others until it is told. This is
//! oneloop as it is delivered.
//!
//! *History.* Flash (USENIX 1999) called it AMPED, asymmetric, and had processes for helpers and
//! `mincore` to look; nginx has threads for it since 2015 (`aio threads`).
//!
//! *Weakness.* Where all is in memory, looking is work for nothing; where nothing is, all go
//! through the helpers, and it becomes a pool. A handler that computes still keeps everybody
//! waiting.

use std::io;
use std::net::TcpListener;

use crate::laboratory::ground::Ground;

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    super::server(listener, ground)?.run()
}
