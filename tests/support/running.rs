//! A real server on a port of its own: in a thread of the test, or as the daemon it is shipped as.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use oneloop::server::{Address, Options, Server, Stopper};
use oneloop::site::Site;

use super::client::Client;

/// How long a test waits for anything before it fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server in a thread. It drains when this is dropped.
pub(crate) struct Running {
    addresses: Vec<Address>,
    admin: Option<Address>,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Serves `site` on any free port of the loopback.
    pub(crate) fn start(site: impl FnOnce() -> Site + Send + 'static) -> Running {
        Running::with(Options::default(), site)
    }

    /// Serves `site` with `options`; on any free port of the loopback if they name no address.
    pub(crate) fn with(
        mut options: Options,
        site: impl FnOnce() -> Site + Send + 'static,
    ) -> Running {
        if options.listen.is_empty() {
            options.listen.push(Address::Tcp(([127, 0, 0, 1], 0).into()));
        }
        let (sender, receiver) = mpsc::channel();
        // A site stays on its thread, so it is made there.
        let thread = std::thread::spawn(move || {
            let mut server = Server::new(&options, site()).unwrap();
            let (admin, stopper) = (server.admin_address(), server.stopper());
            sender.send((server.local_addresses(), admin, stopper)).unwrap();
            server.run().unwrap();
        });
        let (addresses, admin, stopper) =
            receiver.recv_timeout(DEADLINE).expect("the server starts");
        Running { addresses, admin, stopper, thread: Some(thread) }
    }

    /// The first address, which is an IP address and port.
    pub(crate) fn address(&self) -> SocketAddr {
        match self.addresses[0] {
            Address::Tcp(address) => address,
            Address::Unix(_) => panic!("the first address is a path"),
        }
    }

    /// Where it shows how it is doing.
    pub(crate) fn admin(&self) -> SocketAddr {
        match self.admin {
            Some(Address::Tcp(address)) => address,
            Some(Address::Unix(_)) | None => panic!("there is no such address"),
        }
    }

    /// All of them that are an IP address and port.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let tcp = |address: &Address| match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        };
        self.addresses.iter().filter_map(tcp).collect()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Sends `bytes` on a connection of their own; returns all that comes back until the server
    /// closes.
    pub(crate) fn exchange(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut client = self.connect();
        client.send(bytes);
        client.read_to_end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server panicked");
        }
    }
}

/// The daemon, as a process. It is killed when this is dropped.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    /// The lines it writes to its standard output, after the one with its first address.
    said: Receiver<String>,
}

impl Daemon {
    /// Starts `oneloop` with `arguments`, which make it listen on port 0 of 127.0.0.1, and waits
    /// until it has said where.
    pub(crate) fn start(arguments: &[&str]) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
        command.args(arguments);
        Daemon::spawn(command)
    }

    /// Starts `oneloop -c file` in a shell that has run `prelude` before, perhaps an `ulimit`. What
    /// it has to say of itself comes on its standard output, too.
    pub(crate) fn configured(file: &Path, prelude: &str) -> Daemon {
        let script = format!("{prelude}\nexec \"$0\" -c \"$1\" 2>&1");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_oneloop")]).arg(file);
        Daemon::spawn(command)
    }

    /// Starts `command`, which becomes `oneloop` in the end.
    pub(crate) fn spawn(mut command: Command) -> Daemon {
        let mut child = command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        // Whatever else it says is read and dropped, so that it never waits for a full pipe.
        std::thread::spawn(move || {
            while let Some(Ok(line)) = lines.next() {
                let _ = sender.send(line);
            }
        });
        let deadline = Instant::now() + DEADLINE;
        let address = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = receiver.recv_timeout(left).expect("the daemon says where it listens");
            if let Some((_, rest)) = line.split_once("http://127.0.0.1:") {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                break SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
            }
        };
        Daemon { child, address, said: receiver }
    }

    /// Waits for a line with `part` in it, and returns what stands behind.
    pub(crate) fn says(&self, part: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.said.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("the daemon never says {part:?}"));
            if let Some((_, rest)) = line.split_once(part) {
                return rest.to_owned();
            }
        }
    }

    /// All that it has said until now and nobody has asked for.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.try_iter().collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends a signal by its name, as `kill` does.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end of the process; returns its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the daemon ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process that has taken over. It is killed when this is dropped.
pub(crate) struct Successor(pub(crate) u32);

impl Successor {
    /// Waits until `daemon` says that another process serves.
    pub(crate) fn of(daemon: &Daemon) -> Successor {
        let rest = daemon.says("upgrade: process ");
        Successor(rest.split(' ').next().unwrap().parse().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) -> bool {
        let id = self.0.to_string();
        Command::new("kill").args(["-s", name, &id]).output().unwrap().status.success()
    }

    /// Whether it is there, and not only to be reaped.
    pub(crate) fn lives(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// Ends it as a daemon is ended.
    pub(crate) fn end(self) {
        assert!(self.signal("TERM"));
        wait_until("the successor ends", || !self.lives());
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

pub(crate) fn upgrade(daemon: &Daemon) -> Successor {
    daemon.signal("USR2");
    Successor::of(daemon)
}

/// Asks again and again, with little rests, until `condition` holds; fails after [`DEADLINE`].
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
