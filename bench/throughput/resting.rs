//! What a server takes before it has anything to do: the time until its first answer, memory at the
//! start and for each idle connection, the size of its program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::answer::{self, Ask};
use crate::generator::{Generator, Load};
use crate::machine::{self, Places};
use crate::rows::{Files, ROWS};
use crate::servers::{Behind, Ground, Mode, Peer, Server};
use crate::table::{self, LIMIT};

/// How often each is started.
const STARTS: usize = 7;

/// Idle connections that are held.
const HELD: usize = 9900;

/// How long nothing happens before memory is read.
const PAUSE: Duration = Duration::from_millis(300);

/// Where servers are started, and what they serve.
pub(crate) struct Resting<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) files: &'a Files,
    pub(crate) places: Places,
    pub(crate) behind: Behind<'a>,
}

impl Resting<'_> {
    /// Measures the limit program and `peers` in turn, and prints a table.
    pub(crate) fn measure(&self, peers: &[&Peer]) -> io::Result<()> {
        let all: Vec<Option<&Peer>> =
            [None].into_iter().chain(peers.iter().copied().map(Some)).collect();
        let mut starts = vec![Vec::new(); all.len()];
        for _ in 0..STARTS {
            for (peer, starts) in all.iter().zip(&mut starts) {
                let begun = Instant::now();
                let server = self.start(*peer)?;
                let asks = ROWS[0].asks(server.address, false, self.files)?;
                answer::exchange(server.address, &asks[0].request)?;
                starts.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        println!(
            "\n| at rest | exec to first answer, ms | resident at start, MiB \
             | bytes per idle connection | program, MiB |\n|---|---|---|---|---|"
        );
        for (peer, starts) in all.iter().zip(&starts) {
            let server = self.start(*peer)?;
            let asks = ROWS[0].asks(server.address, false, self.files)?;
            answer::exchange(server.address, &asks[0].request)?;
            thread::sleep(PAUSE);
            let resident = server.processes()?.memory("status", "VmRSS:");
            println!(
                "| {} | {} ± {} | {} | {} | {} |",
                server.name,
                table::short(table::median(starts)),
                table::short(table::spread(starts)),
                mebibytes(resident << 10),
                per_idle_connection(&server, &asks).unwrap_or_else(|_| "–".to_owned()),
                mebibytes(fs::metadata(program(*peer)?)?.len()),
            );
        }
        Ok(())
    }

    fn start(&self, peer: Option<&Peer>) -> io::Result<Server> {
        machine::stay_on(self.places.servers)?;
        let folder = self.folder.join("resting");
        let server = if let Some(peer) = peer {
            let root = &self.files.root;
            let behind = self.behind;
            peer.start(Ground { folder: &folder, root, mode: Mode::Silent, behind })
        } else {
            ROWS[0].limit(LIMIT, &folder, self.files, self.behind)
        };
        machine::stay_on(self.places.clients)?;
        server
    }
}

/// The memory, shared pages divided, that each of many connections takes between two requests.
fn per_idle_connection(server: &Server, asks: &[Ask]) -> io::Result<String> {
    let proportional = || -> io::Result<u64> {
        thread::sleep(PAUSE);
        Ok(server.processes()?.memory("smaps_rollup", "Pss:") << 10)
    };
    let load =
        |idle| Load { server: server.address, asks, connections: 0, idle, depth: 1, closes: false };
    // What the first connection takes, all later ones share.
    let one = Generator::new(load(1))?;
    let before = proportional()?;
    let many = Generator::new(load(HELD))?;
    let taken = proportional()?.saturating_sub(before) / HELD as u64;
    drop((one, many));
    Ok(taken.to_string())
}

/// Where the program lies; the limit program is this one.
fn program(peer: Option<&Peer>) -> io::Result<PathBuf> {
    match peer {
        Some(peer) => peer.path().ok_or(io::ErrorKind::NotFound.into()),
        None => std::env::current_exe(),
    }
}

fn mebibytes(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    table::short(bytes as f64 / f64::from(1 << 20))
}
