//! A new program takes the place of the one that serves, and nobody notices.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use super::endings::ask;
use super::{World, begin_download, big, config};
use crate::support::folder::Folder;
pub(super) use crate::support::load::Load;
use crate::support::running::{Daemon, wait_until};
pub(super) use crate::support::running::{Successor, upgrade};

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
    // Where there are scripts, the sandbox lets a script pass for the program.
    let scripts = "[[site.route]]\npath = \"/cgi/*\"\ncgi = { root = \"www\" }\n";
    folder.write("www/file.txt", "");
    let file = folder.write("oneloop.toml", config("") + scripts);
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
