//! The life of a server: how it begins, what it bears, and how it ends.

mod admin;
mod bare;
mod confinement;
mod dump;
mod endings;
mod handlers;
mod log;
mod lost_lines;
mod messages;
mod overload;
mod reload;
mod shortage;
mod systemd;
mod upgrade;
mod vanishing;
mod workers;

use std::path::PathBuf;

use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::Daemon;

/// The daemon, and the folder with its files and its configuration.
struct World {
    daemon: Daemon,
    folder: Folder,
}

impl World {
    /// Serves `file.txt` and a file too large for sockets to hold, as the tables in `more` have it.
    fn start(more: &str) -> World {
        World::after("", more)
    }

    /// The same, with a shell that runs `prelude` first.
    fn after(prelude: &str, more: &str) -> World {
        let folder = Folder::new();
        folder.write("www/file.txt", "0123456789");
        folder.write("www/big.bin", big());
        let file = folder.write("oneloop.toml", config(more));
        World { daemon: Daemon::configured(&file, prelude), folder }
    }

    fn connect(&self) -> Client {
        self.daemon.connect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A configuration that listens on any port and logs nothing, unless `more` says otherwise.
fn config(more: &str) -> String {
    let mut text = String::new();
    if !more.contains("[server]") {
        text += "[server]\nlisten = \"127.0.0.1:0\"\n";
    }
    if !more.contains("[log]") {
        text += "[log]\naccess = { to = \"none\" }\n";
    }
    format!("{text}{more}\n[[site]]\nroot = \"www\"\n")
}

/// 24 MiB of which no two parts are alike.
fn big() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.u64(..).to_le_bytes()).take(3 << 20).flatten().collect()
}

/// Begins to download the large file, and reads no more of it than the status.
fn begin_download(client: &mut Client) {
    client.send("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.exactly(15), b"HTTP/1.1 200 OK");
}
