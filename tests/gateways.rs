//! Programs behind the server, and real ones: scripts in six languages, git, php-fpm, gunicorn,
//! uvicorn, Node. Each test starts what it needs on a port or a socket of its own, and ends it.
//!
//! The programs are in tests/gateways/programs/. Where one must wait for the test, it waits until
//! there is a file, the *gate*; nothing here sleeps and hopes.

mod behind;
mod both_ways;
mod cgi;
mod cgi_content;
mod cgi_endings;
mod cgi_limits;
mod chunks;
mod complaints;
mod fastcgi;
mod forwarded;
mod git;
mod languages;
mod line;
mod origin;
mod origins;
mod php;
mod pool;
mod proxy;
mod reasons;
mod retries;
mod scgi;
mod tunnels;
mod websocket;

use std::fmt::Write;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::{Daemon, wait_until};

/// Debian's interpreter, which has the libraries that its packages bring.
const PYTHON: &str = "/usr/bin/python3";

/// What shows that the server is well, whatever the other routes do.
const WELL: &str = "[[site.route]]\npath = \"/well\"\nrespond = { content = \"well\" }\n";

/// The daemon, and the folder with its configuration and whatever its programs leave behind.
struct World {
    daemon: Daemon,
    folder: Folder,
}

impl World {
    /// Serves `www/`, in which there is a file, and what `routes` say. `@GATE` in them is the path
    /// of the gate, `@FOLDER` that of the folder, `@PROGRAMS` that of the programs.
    fn start(routes: &str) -> World {
        World::within(Folder::new(), "", routes)
    }

    /// Does `work` while the server stands still: it finds all of it at once when it goes on.
    fn while_stopped(&self, work: impl FnOnce()) {
        let server = self.daemon.child.id();
        kill_process(pid(server), Signal::STOP).unwrap();
        wait_until("it is stopped", || state(server).is_some_and(|(state, _)| state == 'T'));
        work();
        kill_process(pid(server), Signal::CONT).unwrap();
    }

    /// The same in a folder that is there already, with more tables before those of the site.
    fn within(folder: Folder, tables: &str, routes: &str) -> World {
        World::made(folder, "json", "", tables, routes)
    }

    /// The same with an access log in another form than JSON.
    fn logging(format: &str, routes: &str) -> World {
        World::made(Folder::new(), format, "", "", routes)
    }

    /// The same under strace, which is told `arguments` and writes to `trace` in the folder.
    fn traced(arguments: &str, tables: &str, routes: &str) -> World {
        let folder = Folder::new();
        let trace = folder.path().join("trace").display().to_string();
        let prelude = format!("exec strace -D -o {trace} {arguments} \"$0\" -c \"$1\" 2>&1");
        World::made(folder, "json", &prelude, tables, routes)
    }

    fn made(folder: Folder, format: &str, prelude: &str, tables: &str, routes: &str) -> World {
        folder.write("www/file.txt", "a file");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n\
             [log]\naccess = {{ to = \"@FOLDER/access.log\", format = \"{format}\" }}\n\
             {tables}\n[[site]]\nroot = \"@FOLDER/www\"\n{routes}{WELL}"
        );
        let path = folder.path().display().to_string();
        let text = text.replace("@GATE", "@FOLDER/gate").replace("@FOLDER", &path);
        let text = text.replace("@PROGRAMS", &programs("").display().to_string());
        let file = folder.write("oneloop.toml", text);
        World { daemon: Daemon::configured(&file, prelude), folder }
    }

    fn connect(&self) -> Client {
        self.daemon.connect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets the programs that wait for it go on.
    fn open_gate(&self) {
        self.folder.write("gate", "");
    }

    /// What a file holds that a program writes in one go and by another name first.
    fn written(&self, name: &str) -> String {
        let path = self.path(name);
        wait_until(&format!("{name} is written"), || path.exists());
        fs::read_to_string(path).unwrap()
    }

    /// The line of the access log with `part` in it, as soon as it is there.
    fn line_with(&self, part: &str) -> String {
        let mut line = None;
        wait_until(&format!("there is a line with {part}"), || {
            let text = fs::read_to_string(self.path("access.log")).unwrap();
            let mut whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            line = whole.find(|line| line.contains(part)).map(str::to_owned);
            line.is_some()
        });
        line.unwrap()
    }

    /// Why that answer is an error or was cut; none if the log says nothing of it.
    fn reason(&self, part: &str) -> Option<String> {
        json(&self.line_with(part))["why"].as_str().map(str::to_owned)
    }

    /// The loop has seen all that was sent to it before.
    fn catch_up(&self) {
        // What has come later may be seen in the same turn, but not in the one before.
        for _ in 0..2 {
            assert_eq!(self.connect().get("/well").text(), "well");
        }
    }

    /// The server answers, and has not panicked.
    fn assert_well(&self) {
        assert_eq!(self.connect().get("/well").text(), "well");
        let said = self.daemon.said();
        assert!(!said.iter().any(|line| line.contains("panic")), "{said:#?}");
    }

    /// Peak memory of the server so far, in bytes.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.child.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

/// A program that is no part of the server. With it ends its whole process group.
struct Started {
    daemon: Daemon,
}

impl Started {
    /// Starts `command`, which says `http://127.0.0.1:` and its port on either of its outputs.
    fn serving(command: &Command) -> Started {
        let mut whole = Command::new("sh");
        whole.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).process_group(0);
        whole.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            whole.env(name, value.expect("nothing is taken from the environment"));
        }
        whole.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        Started { daemon: Daemon::spawn(whole) }
    }

    fn port(&self) -> u16 {
        self.daemon.address.port()
    }

    fn url(&self) -> String {
        self.daemon.url()
    }

    /// Sends a signal to all of its processes.
    fn signal_all(&self, signal: Signal) {
        let _ = kill_process_group(pid(self.daemon.child.id()), signal);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.signal_all(Signal::KILL);
    }
}

/// The path of a program that the tests bring with them.
fn programs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateways/programs").join(name)
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.try_into().unwrap()).expect("no process has the number 0")
}

/// Whether a process is there and has not ended; one that nobody has asked about yet has.
fn is_alive(id: u32) -> bool {
    state(id).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Whether there is something to read.
fn has_answer(client: &Client) -> bool {
    client.stream.set_nonblocking(true).unwrap();
    let count = client.stream.peek(&mut [0]);
    client.stream.set_nonblocking(false).unwrap();
    count.is_ok()
}

/// State and parent of a process.
fn state(id: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

/// The children of a process, zombies among them.
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let ids = entries.filter_map(|name| name.to_str()?.parse().ok());
    ids.filter(|&id| state(id).is_some_and(|(_, known)| known == parent)).collect()
}

/// Bytes of which no two parts are alike.
fn random_bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// `content`, as chunks of different sizes.
fn chunked(content: &[u8]) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(content.len() as u64);
    let mut out = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (chunk, next) = rest.split_at(random.usize(1..=rest.len().min(50_000)));
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = next;
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn sha256(content: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let mut text = String::new();
    for byte in Sha256::digest(content) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
