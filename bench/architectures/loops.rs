//! **N event loops (SYMPED).**
//!
//! *Idea.* As many loops as there are processors, each with its own clients. Each has a listening
//! socket at the same address (SO_REUSEPORT), and the kernel deals clients out. They share nothing.
//!
//! *History.* Zeus had a process for each processor in 1995; Pariag and others (EuroSys 2007)
//! called it SYMPED and found it as good as the best of the others. nginx, lighttpd, h2o and Envoy
//! are such. SO_REUSEPORT came with Linux 3.9 (2013).
//!
//! *Weakness.* A client stays with its loop: one loop can have too many while another one rests.
//! What one has in memory, the others read again. On one processor it is one loop, with switches
//! between them for nothing.

use std::io;
use std::net::TcpListener;
use std::thread;

use oneloop::server::Address;
use oneloop::server::handing_over::bind_for_several;
use oneloop::server::listener::Wanted;

use crate::laboratory::ground::Ground;

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    // It was bound so that others can be beside it.
    let address = Address::Tcp(listener.local_addr()?);
    let wanted = Wanted { address: &address, is_admin: false };
    let others = bind_for_several(wanted, ground.size.saturating_sub(1), &mut Vec::new())?;
    for other in others {
        let (other, ground) =
            (TcpListener::from(std::os::fd::OwnedFd::from(other)), ground.clone());
        thread::spawn(move || super::helpers::serve(&other, &ground));
    }
    super::helpers::serve(listener, ground)
}
