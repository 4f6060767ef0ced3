//! In a folder with nothing in it but the server, its libraries and its configuration: as in the
//! container of conf/Containerfile, and with not even /proc, /dev or /tmp. There is none to be had
//! here, so what the files about it say is held against each other.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use oneloop::server::Limits;
use rustix::process::geteuid;

use crate::support::folder::Folder;
use crate::support::programs::{is_there, skipped};
use crate::support::running::Daemon;

/// Somebody who owns nothing and is in no group.
const NOBODY: &str = "65534:65534";

/// A folder that the server can have for its root. A static program would need no libraries.
fn bare(config: &str) -> Folder {
    let folder = Folder::new();
    folder.write("srv/www/index.html", "from scratch");
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

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(name)).unwrap()
}

/// What stands behind `key` in each line that begins with it.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let value = |line: &'a str| Some(line.trim_start().strip_prefix(key)?.trim());
    text.lines().filter_map(value).collect()
}

#[test]
fn what_is_said_of_the_container_fits_together() {
    let (recipe, manifest) = (shipped("Containerfile"), shipped("kubernetes.yaml"));
    let config = shipped("container.toml");
    let number = |key| values(&manifest, key)[0].parse::<u64>().unwrap();
    // Nobody is cut off who could have ended: the wait before the signal, and the one behind it.
    let drain = Limits::default().drain_timeout.as_secs();
    assert!(number("terminationGracePeriodSeconds:") > number("seconds:") + drain);
    assert!(!config.contains("drain"));
    assert_eq!(values(&manifest, "containerPort:"), values(&recipe, "EXPOSE"));
    assert!(config.contains(&format!("0.0.0.0:{}", values(&recipe, "EXPOSE")[0])));
    for path in values(&manifest, "path:") {
        assert!(config.contains(&format!("path    = \"{path}\"")), "{path}");
    }
    let [user] = values(&recipe, "USER")[..] else { panic!("one user") };
    assert_eq!(user, NOBODY);
    let ids = [values(&manifest, "runAsUser:"), values(&manifest, "runAsGroup:")].concat();
    assert_eq!(ids.join(":"), NOBODY);
    let [command] = values(&recipe, "CMD")[..] else { panic!("one command") };
    let [mount, ..] = values(&manifest, "mountPath:")[..] else { panic!("mounts") };
    assert!(command.contains(&format!("\"{mount}/oneloop.toml\"")), "{command} {mount}");
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
    // Without /proc nobody can tell that there is no other thread: there is no sandbox.
    command.env_remove("ONELOOP_SANDBOX");
    Some(command)
}

#[test]
fn it_serves_where_there_is_nothing_else() {
    if !is_there("ldd") {
        return;
    }
    let config = shipped("container.toml");
    for said in ["0.0.0.0:8080", "to = \"stderr\"", "root = \"/srv/www\""] {
        assert!(config.contains(said), "{said}");
    }
    let config = config.replace("0.0.0.0:8080", "127.0.0.1:0").replace("stderr", "stdout");
    let more = "[[site.route]]\npath = \"/later/*\"\ncgi = { root = \"/srv/www\" }\n";
    let folder = bare(&(config + more));
    let Some(command) = chroot(&folder) else { return };
    let daemon = Daemon::spawn(command);
    let mut client = daemon.connect();
    assert_eq!(client.get("/").text(), "from scratch");
    assert_eq!(client.get("/healthz").status, 200);
    assert_eq!(client.get("/none").status, 404);
    // What is not there is missed when it is wanted, and by whom it is wanted.
    assert_eq!(client.get("/later/index.html").status, 403);
    assert_eq!(client.get("/").text(), "from scratch");
    daemon.signal("HUP");
    daemon.says("reloaded");
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
}
