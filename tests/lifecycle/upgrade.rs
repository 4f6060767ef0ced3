//! A new program takes the place of the one that serves, and nobody notices.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::endings::ask;
use super::{World, begin_download, big, config};
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::{Daemon, wait_until};

/// The process that has taken over. It is killed when this is dropped.
pub(super) struct Successor(pub(super) u32);

impl Successor {
    /// Waits until `daemon` says that another process serves.
    pub(super) fn of(daemon: &Daemon) -> Successor {
        let rest = daemon.says("upgrade: process ");
        Successor(rest.split(' ').next().unwrap().parse().unwrap())
    }

    pub(super) fn signal(&self, name: &str) -> bool {
        let id = self.0.to_string();
        Command::new("kill").args(["-s", name, &id]).output().unwrap().status.success()
    }

    /// Whether it is there, and not only to be reaped.
    pub(super) fn lives(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// Ends it as a daemon is ended.
    pub(super) fn end(self) {
        assert!(self.signal("TERM"));
        wait_until("the successor ends", || !self.lives());
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

pub(super) fn upgrade(daemon: &Daemon) -> Successor {
    daemon.signal("USR2");
    Successor::of(daemon)
}

#[test]
fn the_new_one_serves_new_clients_and_the_old_one_ends_with_its_own() {
    let world = World::start("[limits]\npersistent = { idle = \"60s\" }");
    let (mut loading, mut idle) = (world.connect(), world.connect());
    begin_download(&mut loading);
    assert_eq!(idle.get("/file.txt").field("Connection"), None);
    fs::write(world.path("oneloop.toml"), {
        let port = world.daemon.address.port();
        let server = format!("[server]\nlisten = \"127.0.0.1:{port}\"");
        config(&server) + "[[site.route]]\npath = \"/new\"\nrespond = { content = \"new\" }\n"
    })
    .unwrap();
    let successor = upgrade(&world.daemon);
    assert_eq!(world.connect().get("/new").text(), "new");
    assert!(successor.lives());
    // Whoever was idle is not let go: one more answer says that the connection ends.
    let answer = idle.get("/file.txt");
    assert_eq!((answer.text(), answer.field("Connection")), ("0123456789", Some("close")));
    assert_eq!(idle.read_to_fin(), b"");
    assert!(loading.exactly(big().len()).len() == big().len());
    drop((loading, idle));
    assert_eq!(world.daemon.wait(), Some(0));
    successor.end();
}

/// Clients that ask again and again, and count their answers. Each answer must be whole.
pub(super) struct Load {
    address: SocketAddr,
    is_over: AtomicBool,
    answers: AtomicU32,
}

impl Load {
    pub(super) const CLIENTS: u32 = 24;

    /// Keeps `address` busy while `work` is done.
    pub(super) fn during(address: SocketAddr, work: impl FnOnce(&Load)) {
        let load = Load { address, is_over: AtomicBool::new(false), answers: AtomicU32::new(0) };
        std::thread::scope(|scope| {
            let load = &load;
            for number in 0..Load::CLIENTS {
                scope.spawn(move || load.ask(number));
            }
            let over = Over(&load.is_over);
            work(load);
            drop(over);
        });
    }

    fn ask(&self, number: u32) {
        // Some persist, some do not.
        let fields = [("Connection", "close")];
        let fields = if number.is_multiple_of(4) { &fields[..] } else { &[] };
        while !self.is_over.load(Ordering::Acquire) {
            let mut client = Client::connect(self.address);
            let mut ends = false;
            while !ends && !self.is_over.load(Ordering::Acquire) {
                let answer = client.request("GET", "/file.txt", fields, b"");
                assert_eq!((answer.status, answer.text()), (200, "0123456789"));
                ends = answer.field("Connection") == Some("close");
                self.answers.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until all clients have been answered some times more.
    pub(super) fn goes_on(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        wait_until("all are answered", || {
            self.answers.load(Ordering::Relaxed) > before + 4 * Load::CLIENTS
        });
    }
}

/// Ends the load, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn ten_upgrades_under_load_lose_no_request() {
    let world = World::start("[limits]\npersistent = { idle = \"2s\" }");
    let mut last: Option<Successor> = None;
    Load::during(world.daemon.address, |load| {
        for _ in 0..10 {
            load.goes_on();
            let next = match &last {
                None => upgrade(&world.daemon),
                Some(last) => {
                    assert!(last.signal("USR2"));
                    Successor::of(&world.daemon)
                }
            };
            // Each is asked by all before its own time is over.
            load.goes_on();
            if let Some(before) = last.replace(next) {
                wait_until("the one before ends", || !before.lives());
            }
        }
    });
    assert_eq!(world.daemon.wait(), Some(0), "the first of them");
    last.unwrap().end();
}

#[test]
fn a_path_stays_with_whoever_serves() {
    let folder = Folder::new();
    let (socket, other) = (folder.path().join("socket"), folder.path().join("other"));
    let listen = |paths: &str| format!("[server]\nlisten = [\"127.0.0.1:0\", {paths}]");
    let both = format!("\"unix:{}\", \"unix:{}\"", socket.display(), other.display());
    let world = World::start(&listen(&both));
    let one = format!("\"unix:{}\"", socket.display());
    fs::write(world.path("oneloop.toml"), config(&listen(&one))).unwrap();
    let successor = upgrade(&world.daemon);
    assert_eq!(world.daemon.wait(), Some(0));
    assert!(socket.exists(), "the old one has removed it");
    wait_until("nobody listens at the other path any more", || !other.exists());
    assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("\r\n\r\n0123456789"));
    successor.end();
    assert!(!socket.exists(), "the new one has left it behind");
}

/// The server goes on after an upgrade that has failed: with the same sockets, and as before.
fn goes_on(world: &World, socket: &Path) {
    world.daemon.says("no upgrade, this server goes on");
    let first = world.daemon.child.id();
    assert_eq!(fs::read_to_string(world.path("pid")).unwrap(), format!("{first}\n"));
    assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
    assert!(ask(UnixStream::connect(socket).unwrap()).ends_with("0123456789"));
}

#[test]
fn what_cannot_serve_changes_nothing() {
    let folder = Folder::new();
    let (socket, program) = (folder.path().join("socket"), folder.path().join("program"));
    fs::copy(env!("CARGO_BIN_EXE_oneloop"), &program).unwrap();
    let good = config(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\", \"unix:{}\"]\npid-file = \"pid\"\n\
         [limits]\nupgrade = {{ start = \"1s\" }}",
        socket.display()
    ));
    let file = folder.write("oneloop.toml", &good);
    folder.write("www/file.txt", "0123456789");
    let script = "exec \"$0\" -c \"$1\" 2>&1";
    let mut command = Command::new("sh");
    command.args(["-c", script]).args([&program, &file]);
    let world = World { daemon: Daemon::spawn(command), folder };
    let upgrade = || world.daemon.signal("USR2");

    // What means nothing, what names what is not there, an address that is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("[\"{}\"", taken.local_addr().unwrap());
    let bad = [
        (good.replace("listen", "lisen"), "unknown key `lisen`"),
        (good.replace("www", "nowhere"), "nowhere"),
        (good.replace("\"pid\"", "\"/proc/pid\""), "cannot write /proc/pid"),
        (good.replace("[\"127.0.0.1:0\"", &taken), "cannot listen on 127.0.0.1:"),
    ];
    for (text, complaint) in bad {
        fs::write(world.path("oneloop.toml"), text).unwrap();
        upgrade();
        world.daemon.says(complaint);
        goes_on(&world, &socket);
    }
    fs::write(world.path("oneloop.toml"), good).unwrap();

    // A file that is no program, one that ends at once, one that never says anything.
    let replace = |text: &str| {
        fs::remove_file(&program).unwrap();
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    };
    for text in ["no program", "#!/bin/sh\nexit 3", "#!/bin/sh\nexec sleep 60"] {
        replace(text);
        upgrade();
        goes_on(&world, &socket);
    }
    // What is running, where there is no file any more.
    fs::remove_file(&program).unwrap();
    upgrade();
    let successor = Successor::of(&world.daemon);
    assert_eq!(fs::read_to_string(world.path("pid")).unwrap(), format!("{}\n", successor.0));
    assert_eq!(world.daemon.wait(), Some(0));
    assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("0123456789"));
    let pid_file = world.folder.path().join("pid");
    assert!(pid_file.exists(), "the old one has removed it");
    successor.end();
    assert!(!pid_file.exists() && !socket.exists(), "something is left behind");
}

#[test]
fn an_end_while_the_new_one_starts_ends_both() {
    let folder = Folder::new();
    let program = folder.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_oneloop"), &program).unwrap();
    let file = folder.write("oneloop.toml", config(""));
    folder.write("www/file.txt", "");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" -c \"$1\" 2>&1"]).args([&program, &file]);
    let daemon = Daemon::spawn(command);
    fs::remove_file(&program).unwrap();
    let started = folder.path().join("started");
    let script =
        format!("#!/bin/sh\necho $$ >{0}.new\nmv {0}.new {0}\nexec sleep 60", started.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    daemon.signal("USR2");
    wait_until("the new one has started", || started.exists());
    let new = Successor(fs::read_to_string(&started).unwrap().trim().parse().unwrap());
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    wait_until("the new one is gone", || !new.lives());
}
