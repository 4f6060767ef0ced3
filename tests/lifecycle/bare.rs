//! In a folder with nothing in it but the server, its libraries and its configuration: as in a
//! container that is made from scratch, and with not even /proc, /dev or /tmp.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::geteuid;

use crate::support::folder::Folder;
use crate::support::programs::{is_there, skipped};
use crate::support::running::Daemon;

/// Somebody who owns nothing and is in no group.
const NOBODY: &str = "65534:65534";

/// A folder that the server can have for its root. A static program would need no libraries.
fn bare(config: &str) -> Folder {
    let folder = Folder::new();
    folder.write("srv/index.html", "from scratch");
    folder.write("oneloop.toml", config);
    let program = env!("CARGO_BIN_EXE_oneloop");
    fs::copy(program, folder.path().join("oneloop")).unwrap();
    let ldd = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(ldd.stdout).unwrap();
    for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
        folder.write(library.trim_start_matches('/'), fs::read(library).unwrap());
        let copy = folder.path().join(library.trim_start_matches('/'));
        fs::set_permissions(copy, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// What begins a program with `folder` for its root, as somebody without privileges.
fn chroot(folder: &Folder) -> Option<Command> {
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={NOBODY}"));
        command
    } else {
        let allowed = Command::new("unshare").args(["-r", "true"]).status();
        if !allowed.is_ok_and(|status| status.success()) {
            skipped("neither root nor user namespaces are to be had");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["-r", "chroot"]);
        command
    };
    command.arg(folder.path()).args(["/oneloop", "-c", "/oneloop.toml"]);
    Some(command)
}

#[test]
fn it_serves_where_there_is_nothing_else() {
    if !is_there("ldd") {
        return;
    }
    let folder = bare(
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nerror = { to = \"stdout\" }\n\
         [[site]]\nroot = \"/srv\"\n[[site.route]]\npath = \"/up\"\nrespond = { content = \"up\" }\n\
         [[site.route]]\npath = \"/later/*\"\ncgi = { root = \"/srv\" }\n",
    );
    let Some(command) = chroot(&folder) else { return };
    let daemon = Daemon::spawn(command);
    let mut client = daemon.connect();
    assert_eq!(client.get("/").text(), "from scratch");
    assert_eq!(client.get("/up").text(), "up");
    assert_eq!(client.get("/none").status, 404);
    // What is not there is missed when it is wanted, and by whom it is wanted.
    assert_eq!(client.get("/later/index.html").status, 403);
    assert_eq!(client.get("/").text(), "from scratch");
    daemon.signal("HUP");
    daemon.says("reloaded");
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
}
