//! Floor 3, being a daemon: what signals ask of the loop.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::server::Server;

/// How a server's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every exchange was finished.
    Drained,
    /// A second signal, or the drain's deadline, came first.
    Cut,
}

/// Runs `server` until SIGTERM or SIGINT ends it. The first begins its graceful end
/// ([`Server::drain`]); a second one ends it now.
///
/// # Errors
/// Those of [`Server::turn`] and [`Server::watch_signals`].
pub fn run(server: &mut Server) -> io::Result<Ended> {
    server.watch_signals(&[SIGTERM, SIGINT])?;
    let mut is_ending = false;
    loop {
        server.turn()?;
        while server.next_signal().is_some() {
            if is_ending {
                return Ok(Ended::Cut);
            }
            log::info!("ending: finishing what is under way; a second signal ends it now");
            server.drain();
            is_ending = true;
        }
        if server.is_over() {
            return Ok(if server.clients() == 0 { Ended::Drained } else { Ended::Cut });
        }
    }
}
