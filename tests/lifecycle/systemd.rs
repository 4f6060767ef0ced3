//! What systemd and the server have to say to each other. systemd is played by the test: it is a
//! socket that hears, and a program that passes sockets before it becomes the server.

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::endings::ask;
use super::upgrade::Successor;
use super::{World, config};
use crate::support::folder::Folder;
use crate::support::programs::is_there;
use crate::support::running::{DEADLINE, Daemon, wait_until};

/// Binds what its arguments name, as systemd does for a socket unit: `127.0.0.1` is any free port
/// of it, `/path` a socket there, `pipe` is no socket. Then it becomes the server.
const PASS: &str = r#"
import fcntl, os, socket, sys
kept = []
names, config, places = sys.argv[1], sys.argv[2], sys.argv[3:]
for place in places:
    if place == "pipe":
        kept.append(os.pipe()[0])
        continue
    unix = place.startswith("/")
    one = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
    one.bind(place if unix else (place, 0))
    one.listen()
    kept.append(one.detach())
high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100) for number in kept]
for number, at in enumerate(high):
    os.dup2(at, 3 + number, inheritable=True)
os.environ.update(LISTEN_FDS=str(len(places)), LISTEN_FDNAMES=names, LISTEN_PID=str(os.getpid()))
os.dup2(1, 2)
os.execv(os.environ["SERVER"], ["oneloop", "-c", config])
"#;

/// A server that is given sockets at `places`, and the folder with its files and its configuration.
fn activated(listen: &str, names: &str, places: &[&str]) -> (Command, Folder) {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let file = folder.write("oneloop.toml", config(&format!("[server]\nlisten = {listen}")));
    let mut command = Command::new("python3");
    command.args(["-c", PASS, names]).arg(file).args(places);
    command.env("SERVER", env!("CARGO_BIN_EXE_oneloop")).env_remove("RUST_LOG");
    (command, folder)
}

#[test]
fn passed_sockets_are_found_by_their_addresses_and_their_paths_stay() {
    if !is_there("python3") {
        return;
    }
    let sockets = Folder::new();
    let socket = sockets.path().join("socket");
    let path = socket.to_str().unwrap();
    // The last one is not passed, and is bound.
    let own = sockets.path().join("own");
    let listen = format!("[\"unix:{path}\", \"127.0.0.1:0\", \"unix:{}\"]", own.display());
    let (command, folder) = activated(&listen, "web:app", &["127.0.0.1", path]);
    let daemon = Daemon::spawn(command);
    let world = World { daemon, folder };
    assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
    for path in [&socket, &own] {
        assert!(ask(UnixStream::connect(path).unwrap()).ends_with("0123456789"));
    }
    // An upgrade takes them along, and knows whose the path is.
    world.daemon.signal("USR2");
    let successor = Successor::of(&world.daemon);
    assert_eq!(world.daemon.wait(), Some(0));
    assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("0123456789"));
    successor.end();
    assert!(socket.exists(), "it is systemd's");
    assert!(!own.exists(), "it is the server's own");
}

#[test]
fn names_are_logged_and_what_nobody_names_is_an_error() {
    if !is_there("python3") {
        return;
    }
    let run = |listen: &str, places: &[&str]| {
        let (mut command, _folder) = activated(listen, "web:", places);
        let Output { status, stdout, .. } = command.output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap())
    };
    let (code, said) = run("\"unix:./socket\"", &["127.0.0.1", "127.0.0.1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("systemd has passed web, which listens on 127.0.0.1:"), "{said}");
    assert!(said.contains("systemd has passed unknown, which listens on 127.0.0.1:"), "{said}");
    assert!(said.contains("systemd has passed a socket for 127.0.0.1:"), "{said}");
    assert!(said.contains("Write `listen = \"127.0.0.1:"), "{said}");
    let (code, said) = run("\"127.0.0.1:0\"", &["pipe"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("descriptor 3 (web), which is of no use"), "{said}");
}

/// systemd's own tool, which starts the server when the first client comes.
#[test]
fn it_is_started_by_the_first_client() {
    if !is_there("systemd-socket-activate") {
        return;
    }
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let socket = folder.path().join("socket");
    let listen = format!("[server]\nlisten = \"unix:{}\"", socket.display());
    let file = folder.write("oneloop.toml", config(&listen));
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--fdname=web", "-l"]).arg(&socket).arg(env!("CARGO_BIN_EXE_oneloop"));
    command.arg("-c").arg(file).stderr(Stdio::null());
    let child = Killed(command.spawn().unwrap());
    wait_until("the tool listens", || UnixStream::connect(&socket).is_ok());
    assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("\r\n\r\n0123456789"));
    drop(child);
    assert!(socket.exists());
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What hears the messages of a server.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Manager {
        let manager = Manager(UnixDatagram::bind(path).unwrap());
        manager.0.set_read_timeout(Some(DEADLINE)).unwrap();
        manager
    }

    /// The next message.
    fn hears(&self) -> String {
        self.hears_within(DEADLINE).expect("a message in time")
    }

    fn hears_within(&self, time: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 1024];
        loop {
            match self.0.recv(&mut buffer) {
                Ok(count) => return Some(String::from_utf8(buffer[..count].to_vec()).unwrap()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// Nothing that has come is left.
    fn forget(&self) {
        while self.hears_within(Duration::from_millis(1)).is_some() {}
    }
}

#[test]
fn systemd_is_told_what_happens_in_order() {
    let folder = Folder::new();
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let world = World::after(&format!("export NOTIFY_SOCKET='{}'", path.display()), "");
    assert_eq!(manager.hears(), "READY=1");
    // An upgrade that fails, and one that does not.
    let good = fs::read_to_string(world.path("oneloop.toml")).unwrap();
    fs::write(world.path("oneloop.toml"), "bad").unwrap();
    world.daemon.signal("USR2");
    let reloading = manager.hears();
    let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
    assert!(micros.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.hears(), "READY=1");
    fs::write(world.path("oneloop.toml"), good).unwrap();
    world.daemon.signal("USR2");
    let successor = Successor::of(&world.daemon);
    assert!(manager.hears().starts_with("RELOADING=1\n"));
    assert_eq!(manager.hears(), format!("READY=1\nMAINPID={}", successor.0));
    // The end of the old one is nothing to tell.
    assert_eq!(world.daemon.wait(), Some(0));
    successor.end();
    assert_eq!(manager.hears(), "STOPPING=1");
    assert_eq!(manager.hears_within(Duration::from_millis(1)), None);
}

#[test]
fn a_supervisor_speaks_for_its_workers() {
    let folder = Folder::new();
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let prelude = format!("export NOTIFY_SOCKET='{}' WATCHDOG_USEC=100000", path.display());
    let server = "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2";
    let world = World::after(&prelude, server);
    let next = || loop {
        let message = manager.hears();
        if message != "WATCHDOG=1" {
            return message;
        }
    };
    assert_eq!(next(), "READY=1");
    world.daemon.signal("HUP");
    assert!(next().starts_with("RELOADING=1\n"));
    assert_eq!(next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
    world.daemon.signal("TERM");
    assert_eq!(next(), "STOPPING=1");
    assert_eq!(world.daemon.wait(), Some(0));
}

#[test]
fn an_abstract_name_is_heard_as_well() {
    let name = format!("oneloop-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager(UnixDatagram::bind_addr(&address).unwrap());
    let world = World::after(&format!("export NOTIFY_SOCKET='@{name}'"), "");
    assert_eq!(manager.hears(), "READY=1");
    world.daemon.signal("TERM");
    assert_eq!(manager.hears(), "STOPPING=1");
    assert_eq!(world.daemon.wait(), Some(0));
}

#[test]
fn the_watchdog_hears_of_a_loop_that_turns_and_not_of_one_that_stands() {
    let folder = Folder::new();
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let prelude =
        format!("export NOTIFY_SOCKET='{}' WATCHDOG_USEC=100000 WATCHDOG_PID=$$", path.display());
    let world = World::after(&prelude, "");
    assert_eq!(manager.hears(), "READY=1");
    for _ in 0..10 {
        assert_eq!(manager.hears(), "WATCHDOG=1", "nobody else keeps it awake");
    }
    world.daemon.signal("STOP");
    wait_until("it has stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", world.daemon.child.id()));
        stat.unwrap().contains(") T ")
    });
    manager.forget();
    assert_eq!(manager.hears_within(Duration::from_millis(500)), None, "it stands still");
    world.daemon.signal("CONT");
    assert_eq!(manager.hears(), "WATCHDOG=1");
    // The number in the environment is that of the first process, and the next is watched as well.
    world.daemon.signal("USR2");
    let successor = Successor::of(&world.daemon);
    assert_eq!(world.daemon.wait(), Some(0));
    manager.forget();
    for _ in 0..10 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
    successor.end();
}

#[test]
fn the_units_are_what_systemd_understands() {
    if !is_there("systemd-analyze") {
        return;
    }
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_oneloop");
    let service = include_str!("../../conf/oneloop.service");
    let service = service.replace("/usr/local/bin/oneloop", program);
    let service = service.replace("Documentation=man:oneloop(1)\n", "");
    let service = folder.write("oneloop.service", service);
    let socket = folder.write("oneloop.socket", include_str!("../../conf/oneloop.socket"));
    let output =
        Command::new("systemd-analyze").arg("verify").args([&service, &socket]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !said.contains("oneloop."), "{said}");
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&service)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "more is open than has to be:\n{said}");
}
