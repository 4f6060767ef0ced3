//! **Iterative: one client at a time.**
//!
//! *Idea.* Accept a client, serve it until it leaves, accept the next one. There is one thread, and
//! it waits wherever there is something to wait for.
//!
//! *History.* It is the first server of every textbook (Stevens, *UNIX Network Programming*, calls
//! it so), and was right for services whose answer is one packet: daytime, echo.
//!
//! *Weakness.* Everybody waits for whoever is served, and he for the network. With persistent
//! connections a client that thinks keeps all others from being served; with enough clients most of
//! them see nothing. On one processor, with a client that never pauses, nothing is faster.

use std::io;
use std::net::TcpListener;

use crate::laboratory::ground::Ground;
use crate::laboratory::talk;

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    let site = ground.site();
    loop {
        match listener.accept() {
            // Whatever breaks a connection ends no other.
            Ok((stream, _)) => drop(talk::serve(&stream, &site)),
            Err(error) => super::rest_if_exhausted(&error)?,
        }
    }
}
