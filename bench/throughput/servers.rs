//! The servers that are measured, and how each is started. Their configurations are in
//! bench/peers/.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::machine::{Group, Processes};

/// Which lines of the configurations are in force, beside those that always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `@silent@`: without an access log.
    Silent,
    /// `@logged@`: with one.
    Logged,
    /// `@relaying@`: and `@silent@`, and with routes to programs that run.
    Relaying,
    /// `@spawning@`: and `@silent@`, and with a route to programs that are started.
    Spawning,
    /// `@watched@`: and `@silent@`, and somebody looks on.
    Watched,
}

impl Mode {
    pub(crate) const ALL: [Mode; 5] =
        [Mode::Silent, Mode::Logged, Mode::Relaying, Mode::Spawning, Mode::Watched];

    /// Whether files are all that is asked for.
    pub(crate) fn has_files_only(self) -> bool {
        matches!(self, Mode::Silent | Mode::Logged | Mode::Watched)
    }

    /// What `line` says in this mode.
    fn reads(self, line: &str) -> Option<&str> {
        let Some((word, rest)) = line.strip_prefix('@').and_then(|rest| rest.split_once("@ "))
        else {
            return Some(line);
        };
        let holds = match word {
            "silent" => self != Mode::Logged,
            "logged" => self == Mode::Logged,
            "relaying" => self == Mode::Relaying,
            "spawning" => self == Mode::Spawning,
            "watched" => self == Mode::Watched,
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
    /// The file in bench/peers/, if there is one.
    configuration: &'static str,
    /// Behind the program's name; `@file@` is the configuration.
    arguments: &'static [&'static str],
    /// The program that starts CGI programs for it, and its arguments, if it leaves that to one.
    spawner: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// What stands for `@sendfile@` in the configuration.
    sendfile: &'static str,
    /// The argument that makes it say its version, if there is one.
    version: &'static str,
}

const PLAIN: Peer = Peer {
    name: "",
    program: "",
    configuration: "",
    arguments: &[],
    spawner: &[],
    environment: &[],
    sendfile: "",
    version: "-v",
};

/// All of them. oneloop is one of them.
pub(crate) const PEERS: [Peer; 9] = [
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
        // With 8 processes, one for each client, it takes a tenth more.
        spawner: &["fcgiwrap", "-c", "1", "-s", "unix:@folder@/fcgiwrap"],
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
        name: "haproxy",
        program: "haproxy",
        configuration: "haproxy.cfg",
        arguments: &["-db", "-f", "@file@"],
        ..PLAIN
    },
    // A program around that library, with one answer to all requests: see bench/README.md.
    Peer {
        name: "libreactor",
        program: "libreactor-server",
        arguments: &["@port@", "@root@/many/0.txt"],
        version: "",
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

/// The file with what a server says.
const SAID: &str = "said";

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

impl Peer {
    /// Where its program is, if it is installed.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        find(self.program)
    }

    /// What it says of its version.
    pub(crate) fn version(&self) -> String {
        if self.version.is_empty() {
            return "?".to_owned();
        }
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
        let configured = folder.join(self.configuration);
        let fill = |text: &str| {
            text.replace("@origin@", &behind.origin.to_string())
                .replace("@responder@", &behind.responder.to_string())
                .replace("@programs@", &behind.programs.to_string_lossy())
                .replace("@port@", &port.to_string())
                .replace("@root@", &root.to_string_lossy())
                .replace("@folder@", &folder.to_string_lossy())
                .replace("@file@", &configured.to_string_lossy())
                .replace("@sendfile@", self.sendfile)
        };
        if !self.configuration.is_empty() {
            let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers");
            let template = fs::read_to_string(peers.join(self.configuration))?;
            let lines = template.lines().filter_map(|line| mode.reads(line));
            fs::write(&configured, fill(&lines.flat_map(|line| [line, "\n"]).collect::<String>()))?;
        }
        let start = |mut command: Command, arguments: &[&str]| {
            command.args(arguments.iter().map(|argument| fill(argument)));
            let environment = self.environment.iter().copied();
            Server::spawn(command, environment, folder)
        };
        let spawner = match self.spawner {
            [program, arguments @ ..] if mode == Mode::Spawning => {
                let started = Spawner::start(program, |command| start(command, arguments));
                let telling = |error| format!("{} for CGI programs: {error}", self.name);
                Some(started.map_err(|error| io::Error::other(telling(error)))?)
            }
            _ => None,
        };
        let child = start(Command::new(self.path().unwrap_or_default()), self.arguments)?;
        let server =
            Server { name: self.name, address: address(port), child, spawner }.listening(folder)?;
        if mode == Mode::Watched {
            look_on(&folder.join("admin"))?;
        }
        Ok(server)
    }
}

/// Takes all that the inspector at this path has to tell, as long as there is somebody who tells.
fn look_on(path: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(b"GET /inspect/events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut told = vec![0; 64 << 10];
    let begun = stream.read(&mut told)?;
    if !told[..begun].starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other("the inspector tells nothing"));
    }
    thread::spawn(move || while stream.read(&mut told).is_ok_and(|count| count > 0) {});
    Ok(())
}

/// Where a program is, if it is installed.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    folders.map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// A running server. It is stopped when this is dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
    spawner: Option<Spawner>,
}

/// The program beside a server that starts CGI programs.
struct Spawner {
    child: Child,
    /// It does not wait for its children.
    group: Group,
}

impl Spawner {
    fn start(
        program: &str,
        start: impl FnOnce(Command) -> io::Result<Child>,
    ) -> io::Result<Spawner> {
        let missing = || io::Error::other(format!("{program} is not installed"));
        let path = find(program).ok_or_else(missing)?;
        let group = Group::new()?;
        Ok(Spawner { child: start(group.command(&path))?, group })
    }
}

impl Drop for Spawner {
    /// Its processes do not end because they are asked to.
    fn drop(&mut self) {
        self.group.kill();
        let _ = self.child.wait();
    }
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
        let child = Server::spawn(command, [], folder)?;
        Server { name, address: address(port), child, spawner: None }.listening(folder)
    }

    /// Without the environment of this program: some hand theirs on to CGI programs, which then
    /// look for libraries where cargo would have its own found.
    fn spawn(
        mut command: Command,
        environment: impl IntoIterator<Item = (&'static str, &'static str)>,
        folder: &Path,
    ) -> io::Result<Child> {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", folder).envs(environment);
        let said = File::options().append(true).create(true).open(folder.join(SAID))?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        command.current_dir(folder).spawn()
    }

    /// Waits until it listens.
    fn listening(mut self, folder: &Path) -> io::Result<Server> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            let has_ended = self.child.try_wait()?.is_some();
            if has_ended || Instant::now() > deadline {
                let said = fs::read_to_string(folder.join(SAID))?;
                return Err(io::Error::other(format!("{} does not listen: {said}", self.name)));
            }
            thread::sleep(Duration::from_micros(100));
        }
        Ok(self)
    }

    /// The processes that it has now.
    pub(crate) fn processes(&self) -> io::Result<Processes> {
        let spawner = self.spawner.as_ref().map(|spawner| spawner.child.id());
        Processes::of([self.child.id()].into_iter().chain(spawner))
    }

    /// The processor time, user and system, that all of it has used.
    pub(crate) fn time(&self) -> io::Result<Duration> {
        let own = Processes::of([self.child.id()])?.time();
        let spawner = self.spawner.as_ref().map_or(Ok(Duration::ZERO), |one| one.group.time());
        Ok(own + spawner?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Asks a process to end, which takes those that came from it with it; kills it if that does not
/// help.
fn end(child: &mut Child) {
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let _ = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port that is free now. Nobody else is expected to take it before the server does.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
