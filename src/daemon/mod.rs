//! Floor 3, being a daemon: what the process may have, and what signals ask of the loop.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::server::Server;

/// How a server's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every exchange was finished.
    Drained,
    /// A second signal, or the drain's deadline, came first.
    Cut,
}

/// Lets this process open as many descriptors as its hard limit allows. The soft limit is low for
/// the sake of programs that use select(2), which this is not. Returns how many that is, if
/// limited.
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let result = setrlimit(Resource::Nofile, raised);
    if result.is_ok() { limit.maximum } else { limit.current }
}

/// From now on SIGTERM, SIGINT, SIGHUP and SIGUSR1 are for [`run`] to act on. Until then they end
/// the process at once and leave a Unix-domain socket lying about, so nobody should be told of the
/// server before.
///
/// # Errors
/// Those of [`Server::watch_signals`].
pub fn heed_signals(server: &mut Server) -> io::Result<()> {
    server.watch_signals(&[SIGTERM, SIGINT, SIGHUP, SIGUSR1])
}

/// Runs `server` until SIGTERM or SIGINT ends it. The first begins its graceful end
/// ([`Server::drain`]); a second one ends it now. SIGUSR1 reopens the logs. At SIGHUP, `reload` is
/// called: it knows what the server is to go by, and says what has become of it. However many of
/// them come in during one turn, it is called once.
///
/// # Errors
/// Those of [`Server::turn`].
pub fn run(server: &mut Server, mut reload: impl FnMut(&mut Server)) -> io::Result<Ended> {
    let mut is_ending = false;
    loop {
        server.turn()?;
        let mut is_stale = false;
        while let Some(signal) = server.next_signal() {
            match signal {
                SIGHUP => is_stale = true,
                SIGUSR1 => reopen_logs(server),
                _ if is_ending => return Ok(Ended::Cut),
                _ => {
                    log::info!("ending: finishing what is under way; a second signal ends it now");
                    server.drain();
                    is_ending = true;
                }
            }
        }
        if is_stale && is_ending {
            log::info!("ending: the configuration is not read again");
        } else if is_stale {
            reload(server);
        }
        if server.is_over() {
            return Ok(if server.clients() == 0 { Ended::Drained } else { Ended::Cut });
        }
    }
}

fn reopen_logs(server: &mut Server) {
    match server.reopen_logs() {
        Ok(()) => log::info!("the access log is reopened"),
        Err(error) => log::error!("cannot reopen the access log, which goes on as it was: {error}"),
    }
}
