//! The servers that are measured, and how each is started. Their configurations are in
//! bench/peers/.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::Processes;

/// Which lines of the configurations are in force, beside those that always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `@silent@`: without an access log.
    Silent,
    /// `@logged@`: with one.
    Logged,
    /// `@relaying@`: and `@silent@`, and with a route to another server.
    Relaying,
}

impl Mode {
    pub(crate) const ALL: [Mode; 3] = [Mode::Silent, Mode::Logged, Mode::Relaying];

    /// What `line` says in this mode.
    fn reads(self, line: &str) -> Option<&str> {
        let Some((word, rest)) = line.strip_prefix('@').and_then(|rest| rest.split_once("@ "))
        else {
            return Some(line);
        };
        let holds = match word {
            "silent" => self == Mode::Silent || self == Mode::Relaying,
            "logged" => self == Mode::Logged,
            "relaying" => self == Mode::Relaying,
            _ => return Some(line),
        };
        holds.then_some(rest)
    }
}

/// The programs behind the servers.
#[derive(Clone, Copy)]
pub(crate) struct Behind<'a> {
    /// The port of an HTTP server.
    pub(crate) origin: u16,
    /// The port of a FastCGI responder.
    pub(crate) responder: u16,
    /// The folder of CGI programs.
    pub(crate) programs: &'a Path,
}

/// Where a server is started, and what it serves.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// For its own files; it is made.
    pub(crate) folder: &'a Path,
    pub(crate) root: &'a Path,
    pub(crate) mode: Mode,
    /// What is passed on, and to whom.
    pub(crate) behind: Behind<'a>,
}

/// A server that is configured by a file.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) program: &'static str,
    /// The file in bench/peers/.
    configuration: &'static str,
    /// Behind the program's name; `@file@` is the configuration.
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// What stands for `@sendfile@` in the configuration.
    sendfile: &'static str,
    /// The argument that makes it say its version.
    version: &'static str,
}

const PLAIN: Peer = Peer {
    name: "",
    program: "",
    configuration: "",
    arguments: &[],
    environment: &[],
    sendfile: "",
    version: "-v",
};

/// All of them. oneloop is one of them.
pub(crate) const PEERS: [Peer; 7] = [
    Peer {
        name: "oneloop",
        program: env!("CARGO_BIN_EXE_oneloop"),
        configuration: "oneloop.toml",
        arguments: &["-c", "@file@"],
        version: "--version",
        ..PLAIN
    },
    Peer {
        name: "nginx",
        program: "nginx",
        configuration: "nginx.conf",
        arguments: &["-e", "stderr", "-c", "@file@"],
        sendfile: "off",
        ..PLAIN
    },
    Peer {
        name: "nginx-sendfile",
        program: "nginx",
        configuration: "nginx.conf",
        arguments: &["-e", "stderr", "-c", "@file@"],
        sendfile: "on",
        ..PLAIN
    },
    Peer {
        name: "lighttpd",
        program: "lighttpd",
        configuration: "lighttpd.conf",
        arguments: &["-D", "-f", "@file@"],
        ..PLAIN
    },
    Peer {
        name: "h2o",
        program: "h2o",
        configuration: "h2o.conf",
        arguments: &["-c", "@file@"],
        ..PLAIN
    },
    Peer {
        name: "apache2",
        program: "apache2",
        configuration: "apache2.conf",
        arguments: &["-DFOREGROUND", "-f", "@file@"],
        ..PLAIN
    },
    Peer {
        name: "caddy",
        program: "caddy",
        configuration: "Caddyfile",
        arguments: &["run", "--adapter", "caddyfile", "--config", "@file@"],
        environment: &[("GOMAXPROCS", "1")],
        version: "version",
        ..PLAIN
    },
];

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

impl Peer {
    /// Where its program is, if it is installed.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let path = std::env::var("PATH").unwrap_or_default();
        let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
        folders.map(|folder| Path::new(folder).join(self.program)).find(|path| path.is_file())
    }

    /// What it says of its version.
    pub(crate) fn version(&self) -> String {
        let Ok(output) = Command::new(self.path().unwrap_or_default()).arg(self.version).output()
        else {
            return "?".to_owned();
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let mut words = said.split(|char: char| char.is_whitespace() || char == '/');
        let number = words.find(|word| {
            word.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit())
        });
        number.unwrap_or("?").to_owned()
    }

    /// Starts it on a free port.
    pub(crate) fn start(&self, ground: Ground<'_>) -> io::Result<Server> {
        let Ground { folder, root, mode, behind } = ground;
        fs::create_dir_all(folder)?;
        let port = free_port()?;
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers");
        let template = fs::read_to_string(peers.join(self.configuration))?;
        let lines = template.lines().filter_map(|line| mode.reads(line));
        let text = lines
            .flat_map(|line| [line, "\n"])
            .collect::<String>()
            .replace("@origin@", &behind.origin.to_string())
            .replace("@responder@", &behind.responder.to_string())
            .replace("@programs@", &behind.programs.to_string_lossy())
            .replace("@port@", &port.to_string())
            .replace("@root@", &root.to_string_lossy())
            .replace("@folder@", &folder.to_string_lossy())
            .replace("@sendfile@", self.sendfile);
        let file = folder.join(self.configuration);
        fs::write(&file, text)?;
        let mut command = Command::new(self.path().unwrap_or_default());
        for argument in self.arguments {
            command.arg(argument.replace("@file@", &file.to_string_lossy()));
        }
        command.envs(self.environment.iter().copied()).env("HOME", folder);
        Server::start(self.name, command, port, folder)
    }
}

/// A running server. It is stopped when this is dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts this program as the bare program `kind`, with a port and these arguments.
    pub(crate) fn bare(
        name: &'static str,
        kind: &str,
        folder: &Path,
        arguments: &[&Path],
    ) -> io::Result<Server> {
        fs::create_dir_all(folder)?;
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([kind, &port.to_string()]).args(arguments);
        Server::start(name, command, port, folder)
    }

    /// Starts `command` and waits until it listens.
    fn start(
        name: &'static str,
        mut command: Command,
        port: u16,
        folder: &Path,
    ) -> io::Result<Server> {
        let said = File::create(folder.join("said"))?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        command.env_remove("RUST_LOG").current_dir(folder);
        let child = command.spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Server { name, address, child };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let has_ended = server.child.try_wait()?.is_some();
            if has_ended || Instant::now() > deadline {
                let said = fs::read_to_string(folder.join("said"))?;
                return Err(io::Error::other(format!("{name} does not listen: {said}")));
            }
            thread::sleep(Duration::from_micros(100));
        }
        Ok(server)
    }

    /// The processes that it has now.
    pub(crate) fn processes(&self) -> io::Result<Processes> {
        Processes::of(self.child.id())
    }
}

impl Drop for Server {
    /// Asks its first process to end, which takes the others with it; kills it if that does not
    /// help.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &id]).status();
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now. Nobody else is expected to take it before the server does.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
