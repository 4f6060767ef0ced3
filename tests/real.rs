//! Real clients, a real site: the Python documentation as Debian packages it, more than a thousand
//! files, crawled, compared byte by byte, downloaded in pieces and browsed.
//!
//! The daemon is the one that is shipped. Which programs are used, and how, each room below knows.

mod balanced;
mod browser;
mod crawl;
mod downloads;
mod goaccess;
mod load;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::folder::Folder;
use crate::support::running::Daemon;

/// The documentation, where the package python3-doc installs it.
const DOCUMENTATION: &str = "/usr/share/doc/python3/html";

/// A page that is there if the documentation is.
const INDEX: &str = "/usr/share/doc/python3/html/index.html";

/// The documentation from a configuration file. Two of its scripts are links to other packages, so
/// it is served as a part of the folder that holds them all.
const DOCUMENTATION_SITE: &str = r#"
[[site]]
root = "/usr/share"
precompressed = ["br", "gz"]
"#;

/// What the access log says of one request.
#[derive(Debug)]
struct Exchange {
    method: String,
    target: String,
    status: u64,
}

/// The daemon with a configuration file.
struct Served {
    daemon: Daemon,
    folder: Folder,
}

impl Served {
    /// Serves what `text` says, a configuration without `[server]` and `[log]`.
    fn start(text: &str) -> Self {
        let folder = Folder::new();
        let log = folder.path().join("access.log");
        let listen = "server.listen = \"127.0.0.1:0\"\n";
        let log = format!("log.access = {{ to = '{}', format = \"json\" }}\n", log.display());
        let file = folder.write("site.toml", [listen, &log, text].concat());
        // Where it listens, a server with a configuration says in its log.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" -c \"$1\" 2>&1", env!("CARGO_BIN_EXE_oneloop")]).arg(file);
        Served { daemon: Daemon::spawn(command), folder }
    }

    fn url(&self, path: &str) -> String {
        self.daemon.url() + path
    }

    /// Ends the daemon; returns what it has logged.
    fn end(self) -> Vec<Exchange> {
        self.daemon.signal("TERM");
        assert_eq!(self.daemon.wait(), Some(0));
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        let entry = |line: &str| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let mut words = entry["request"].as_str().unwrap().split(' ').map(str::to_owned);
            Exchange {
                method: words.next().unwrap(),
                target: words.next().unwrap(),
                status: entry["status"].as_u64().unwrap(),
            }
        };
        log.lines().map(entry).collect()
    }
}

/// The file that a target below `root` is for; a query does not choose another one.
fn on_disk(root: &str, target: &str) -> PathBuf {
    let path = target.split(['?', '#']).next().unwrap();
    let path: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
    let path = String::from_utf8(path).unwrap();
    Path::new(root).join(path.trim_start_matches('/'))
}

/// Runs a program in `folder`; returns what it has written.
fn run(folder: &Folder, program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir(folder.path()).output().unwrap()
}

/// The same for a program that must succeed; returns its standard output.
fn succeed(folder: &Folder, program: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(folder, program, arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{program} {arguments:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}
