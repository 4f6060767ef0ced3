//! The architectures: the same core, each time with another way of waiting. Each has a file of its
//! own, which begins with its idea, its history and its weakness, and a line here.

mod helpers;
mod iterative;
mod loops;
mod one_loop;
mod pool;
mod preforked;
mod processes;
mod staged;
mod threads;

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use oneloop::server::handing_over::Passed;
use oneloop::server::listener::PathOwner;
use oneloop::server::{Options, Server};

use crate::laboratory::ground::{Ground, Serve};

/// One architecture.
pub(crate) struct Architecture {
    pub(crate) name: &'static str,
    pub(crate) idea: &'static str,
    /// It accepts, and answers until it is killed.
    pub(crate) serve: Serve,
    /// How many threads, processes or loops are tried, of which the best is taken. None: there is
    /// nothing to choose.
    pub(crate) sizes: &'static [usize],
    /// The most clients that it is measured with.
    pub(crate) most: usize,
    /// Descriptors that its process has open for each client.
    pub(crate) each: u64,
}

/// The name of the one that others are compared with.
pub(crate) const ONE_LOOP: &str = "loop";

/// The name of the one that serves nobody else while a client is there.
pub(crate) const SERVES_ONE: &str = "iterative";

/// The name of the one that clients are compared by.
pub(crate) const THREADS: &str = "threads";

/// All of them, from the oldest to the youngest: name, idea, code, sizes to try.
#[rustfmt::skip]
pub(crate) const ALL: [Architecture; 9] = [
    one(SERVES_ONE, "one client at a time", iterative::serve, &[]),
    one("processes", "a process for each connection (inetd)", processes::serve, &[]).up_to(1000),
    one("preforked", "processes that are there before", preforked::serve, &[4, 16, 64, 256]),
    one(THREADS, "a thread for each connection", threads::serve, &[]).opens(3),
    one("pool", "threads behind a bounded queue", pool::serve, &[4, 16, 64, 256, 1024]),
    one("staged", "stages with queues between them (SEDA)", staged::serve, &[1, 2, 4]),
    one(ONE_LOOP, "one event loop (SPED)", one_loop::serve, &[]),
    one("helpers", "an event loop, helpers read ahead (AMPED)", helpers::serve, &[]),
    one("loops", "several event loops (SYMPED)", loops::serve, &[1, 2, 4]),
];

const fn one(
    name: &'static str,
    idea: &'static str,
    serve: Serve,
    sizes: &'static [usize],
) -> Architecture {
    Architecture { name, idea, serve, sizes, most: usize::MAX, each: 1 }
}

impl Architecture {
    const fn up_to(self, most: usize) -> Architecture {
        Architecture { most, ..self }
    }

    const fn opens(self, each: u64) -> Architecture {
        Architecture { each, ..self }
    }
}

/// What the program does where it was started again by one of them, with these words.
pub(crate) fn serve_one(word: &str, ground: &Ground) -> Option<io::Result<()>> {
    match word {
        processes::WORD => Some(processes::serve_one(ground)),
        preforked::WORD => Some(preforked::serve_one(ground)),
        _ => None,
    }
}

/// oneloop's own loop, on this socket.
fn server(listener: &TcpListener, ground: &Ground) -> io::Result<Server> {
    let passed = Passed::new(listener.try_clone()?.into(), PathOwner::Other)?;
    let listen = vec![passed.address().clone()];
    let options = Options { listen, limits: Ground::limits(), ..Options::default() };
    Server::with_sockets(&options, ground.site(), &mut vec![passed]).map_err(io::Error::other)
}

/// How long nobody is accepted where there is no room.
const REST: Duration = Duration::from_millis(10);

/// After an error of accept(2): where there are no descriptors left, it waits for some.
///
/// # Errors
/// Where the listener itself is broken.
fn rest_if_exhausted(error: &io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => thread::sleep(REST),
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK) => {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        // The client has gone again, or a signal came.
        Some(_) | None => {}
    }
    Ok(())
}
