//! What a recorded server has to do with the rest of the system: signals, systemd, other files.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::{path, replay, site};
use crate::support::folder::Folder;
use crate::support::programs::is_there;
use crate::support::running::{DEADLINE, Daemon, wait_until};

/// A configuration with `server` and an access log, and a command that records a server by it after
/// a shell has run `prelude`.
fn recorded(folder: &Folder, prelude: &str, server: &str) -> (PathBuf, Command) {
    let log = folder.path().join("access.log");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[log]\naccess = {{ to = \"{}\" }}\n\
         [[site]]\nroot = \"site\"\n",
        log.display()
    );
    let configuration = folder.write("a.toml", text);
    let recording = folder.path().join("a.rec");
    let script = format!("{prelude}\nexec \"$0\" record \"$1\" -c \"$2\" 2>&1");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_oneloop"), path(&recording)]);
    command.arg(configuration).env_remove("RUST_LOG");
    (recording, command)
}

/// What comes of a command that fails: what it says.
fn fails(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8([stdout, stderr].concat()).unwrap()
}

#[test]
fn a_signal_to_reload_or_to_upgrade_changes_nothing_and_logs_are_reopened() {
    let folder = site();
    let (recording, command) = recorded(&folder, "", "");
    let daemon = Daemon::spawn(command);
    for signal in ["HUP", "USR2"] {
        daemon.signal(signal);
        daemon.says("nothing is read again, and nothing upgraded");
    }
    let (log, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    assert_eq!(daemon.connect().get("/").status, 200);
    wait_until("there is a line", || fs::metadata(&log).is_ok_and(|facts| facts.len() > 0));
    fs::rename(&log, &old).unwrap();
    daemon.signal("USR1");
    daemon.says("the logs are reopened");
    assert_eq!(daemon.connect().get("/nothing").status, 404);
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    let [new, old] = [&log, &old].map(|path| fs::read_to_string(path).unwrap());
    assert!(new.contains("/nothing") && !old.contains("/nothing"), "{old}\n{new}");
    let (code, _, errors) = replay(&[path(&recording), "-q"]);
    assert_eq!((code, &*errors), (Some(0), ""));
}

#[test]
fn systemd_is_told_and_the_number_of_the_process_is_in_its_file() {
    let folder = site();
    let (socket, pid_file) = (folder.path().join("notify"), folder.path().join("pid"));
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let hears = || {
        let mut buffer = [0; 256];
        let count = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let prelude = format!("export NOTIFY_SOCKET='{}'", socket.display());
    let (_, command) =
        recorded(&folder, &prelude, &format!("pid-file = \"{}\"", pid_file.display()));
    let daemon = Daemon::spawn(command);
    assert_eq!(hears(), "READY=1");
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", daemon.child.id()));
    daemon.signal("TERM");
    assert_eq!(hears(), "STOPPING=1");
    assert_eq!(daemon.wait(), Some(0));
    assert!(!pid_file.exists());
}

#[test]
fn what_a_recorded_server_does_not_do_for_systemd_is_refused() {
    let folder = site();
    let socket = folder.path().join("notify");
    let _manager = UnixDatagram::bind(&socket).unwrap();
    let prelude = format!("export NOTIFY_SOCKET='{}' WATCHDOG_USEC=1000000", socket.display());
    let (recording, command) = recorded(&folder, &prelude, "");
    let said = fails(command);
    assert!(said.contains("set WatchdogSec=0 as long") && !recording.exists(), "{said}");
    if !is_there("python3") {
        return;
    }
    // As systemd does: a socket that listens, as descriptor 3, and then the server.
    let pass = "import os, socket, sys\n\
                one = socket.create_server(('127.0.0.1', 0))\n\
                os.dup2(one.fileno(), 3)\n\
                os.set_inheritable(3, True)\n\
                os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
                os.execv(sys.argv[1], ['oneloop', *sys.argv[2:]])";
    let mut command = Command::new("python3");
    command.args(["-c", pass, env!("CARGO_BIN_EXE_oneloop"), "record", path(&recording)]);
    command.arg(folder.path().join("site"));
    let said = fails(command);
    assert!(said.contains("stop the socket unit as long") && !recording.exists(), "{said}");
}

#[test]
fn where_no_server_starts_there_is_no_recording() {
    let folder = site();
    let (recording, root) = (folder.path().join("a.rec"), folder.path().join("site"));
    let record = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
        command.args(["record", path(&recording), path(&root)]).args(words);
        let said = fails(command);
        assert!(!recording.exists(), "{said}");
        said
    };
    let said = record(&["-p", "0", "--most", "100B"]);
    let (name, what) = said.split_once(": 100 bytes (--most) are too few: ").unwrap();
    assert!(name.ends_with("/a.rec") && what.contains("with the configuration"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(record(&["-p", &port]).contains("cannot listen on "));
}

#[test]
fn what_is_no_file_is_not_replayed() {
    let mut command = Command::new("sh");
    let script = "echo oneloop | \"$0\" replay /dev/stdin";
    command.args(["-c", script, env!("CARGO_BIN_EXE_oneloop")]);
    let said = fails(command);
    assert_eq!(said, "oneloop: /dev/stdin: it is read twice, and so has to be a file: save it\n");
}
