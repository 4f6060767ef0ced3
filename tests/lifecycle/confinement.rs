//! What a server gives up before it serves: root's rights, files, system calls.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use seccompiler::{SeccompAction, SeccompFilter};

use super::{
    World, config,
    upgrade::{Successor, upgrade},
};
use crate::support::folder::Folder;
use crate::support::programs::skipped;
use crate::support::running::{Daemon, wait_until};

/// A user that owns nothing, and has no number less on any system.
const NOBODY: u32 = 65534;

/// What only root can try.
fn is_root() -> bool {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        skipped("only root can become another user");
    }
    is_root
}

/// A script that says of itself what stands in /proc/self/status, and does what it is asked to.
const SCRIPT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n\
                      case $QUERY_STRING in\n\
                      status) exec cat /proc/self/status;;\n\
                      write) for at in $PLACES; do\n\
                      (echo x >$at/new) 2>/dev/null && echo yes || echo no; done;;\n\
                      read) for at in $PLACES; do\n\
                      [ \"$(cat $at/file 2>/dev/null)\" = secret ] && echo yes || echo no; done;;\n\
                      signal) (kill -URG $PPID) 2>/dev/null && echo yes || echo no;;\n\
                      namespace) (unshare -U true) 2>/dev/null && echo yes || echo no;;\n\
                      esac\n";

fn write_script(folder: &Folder) {
    let script = folder.write("cgi/script", SCRIPT);
    fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
}

/// Lines of a `status` file, by their names.
fn status(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name, value.trim())).collect()
}

/// Which threads the process has, by their names; none, if it has ended. All of them are confined,
/// and `user`'s.
fn confined_threads(process: u32, user: u32) -> Vec<String> {
    let mut names = Vec::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return names };
    for task in tasks {
        // One may end meanwhile.
        let text = task.and_then(|task| fs::read_to_string(task.path().join("status")));
        let Ok(text) = text else { continue };
        assert_confined(&text, user);
        names.push(status(&text)["Name"].to_owned());
    }
    names
}

fn assert_confined(text: &str, user: u32) {
    let status = status(text);
    assert_eq!((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "{text}");
    assert_eq!(status["Uid"], [user.to_string().as_str(); 4].join("\t"), "{text}");
    if user != 0 {
        assert!(!status["Groups"].split(' ').any(|group| group == "0"), "{text}");
        assert_eq!(status["CapEff"].trim_matches('0'), "", "{text}");
    }
}

/// Serves as nobody, from a folder where nobody may write, but for its logs. The program lies in
/// it, for another user need not see the one of this test.
fn as_nobody(listen: &str, more: &str) -> World {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("log")).unwrap();
    std::os::unix::fs::chown(folder.path().join("log"), Some(NOBODY), None).unwrap();
    folder.write("www/file.txt", "0123456789");
    folder.write("htpasswd", fs::read("conf/demo.htpasswd").unwrap());
    write_script(&folder);
    let program = folder.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_oneloop"), &program).unwrap();
    let file = folder.write("oneloop.toml", nobody_config(listen, more));
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" -c \"$1\" 2>&1"]).args([&program, &file]);
    World { daemon: Daemon::spawn(command), folder }
}

fn nobody_config(listen: &str, more: &str) -> String {
    let text = format!(
        "[server]\nlisten = [{listen}]\nuser = \"{NOBODY}\"\nsandbox = \"require\"\n\
         pid-file = \"pid\"\n[log]\naccess.to = \"log/access.log\"\n"
    );
    config(&text) + more
}

/// A folder that no process needs: none of those for temporary files, which all may use, and in one
/// of which this project may lie.
fn outside() -> tempfile::TempDir {
    let home = std::env::var("HOME").unwrap_or_default();
    let places = [env!("CARGO_TARGET_TMPDIR"), &home, "/srv", "/mnt"].map(Path::new);
    let temporary = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let is_outside = |place: &&Path| {
        place.canonicalize().is_ok_and(|place| !temporary.iter().any(|one| place.starts_with(one)))
    };
    let made = places.iter().filter(|place| is_outside(place)).find_map(|place| {
        let folder = tempfile::Builder::new().prefix("oneloop-tests-").tempdir_in(place);
        folder.ok()
    });
    made.expect("a folder that may be written to, and is not one for temporary files")
}

#[test]
fn every_thread_and_script_is_another_users_and_confined() {
    if !is_root() {
        return;
    }
    let world = as_nobody(
        "\"127.0.0.1:0\", \"unix:socket\"",
        "[[site.route]]\npath = \"/cgi/*\"\ncgi = { root = \"cgi\" }\n\
         [[site.route]]\npath = \"/private\"\nauth.basic = \"htpasswd\"\n\
         [[site.route]]\npath = \"/named\"\nproxy = { to = \"http://localhost:9\" }\n",
    );
    let script = world.connect().get("/cgi/script?status");
    assert_confined(script.text(), NOBODY);
    // A name is looked up, and nobody listens there.
    assert_eq!(world.connect().get("/named").status, 502);
    let mut client = world.connect();
    client.send("GET /private HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n\r\n");
    assert_eq!(client.response(false).status, 401);
    let mut seen = Vec::new();
    wait_until("all threads were there", || {
        world.connect().get("/file.txt");
        seen.extend(confined_threads(world.daemon.child.id(), NOBODY));
        let wanted = ["oneloop-spawn", "oneloop-log", "oneloop-verify"];
        wanted.iter().all(|name| seen.iter().any(|seen| seen == name))
    });
    for path in ["log/access.log", "socket"] {
        assert_eq!(fs::metadata(world.path(path)).unwrap().uid(), NOBODY, "{path}");
    }
}

#[test]
fn logs_reload_and_upgrade_go_on_without_root() {
    if !is_root() {
        return;
    }
    let world = as_nobody("\"127.0.0.1:0\"", "");
    world.connect().get("/file.txt");
    let log = world.path("log/access.log");
    wait_until("the log is written", || fs::read(&log).is_ok_and(|log| !log.is_empty()));
    fs::rename(&log, world.path("log/old.log")).unwrap();
    world.daemon.signal("USR1");
    wait_until("the log is opened anew", || {
        world.connect().get("/file.txt");
        fs::read(&log).is_ok_and(|log| !log.is_empty())
    });
    // Without root there is no other port below 1024, and nothing is changed.
    let port = world.daemon.address.port();
    let ours = format!("\"127.0.0.1:{port}\"");
    let file = world.path("oneloop.toml");
    let more = "[[site.route]]\npath = \"/new\"\nrespond = { content = \"new\" }\n";
    fs::write(&file, nobody_config(&format!("{ours}, \"127.0.0.1:77\""), more)).unwrap();
    world.daemon.signal("HUP");
    world.daemon.says("cannot listen on 127.0.0.1:77");
    world.daemon.says("Ports below 1024 need root");
    assert_eq!(world.connect().get("/new").status, 404);
    // Nor are there passwords that only root may read.
    let secret = world.folder.write("secret", fs::read("conf/demo.htpasswd").unwrap());
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let guarded = format!(
        "{more}[[site.route]]\npath = \"/p/*\"\nauth = {{ basic = \"secret\", realm = \"p\" }}\n"
    );
    fs::write(&file, nobody_config(&ours, &guarded)).unwrap();
    world.daemon.signal("HUP");
    world.daemon.says("secret: Permission denied");
    assert_eq!(world.connect().get("/new").status, 404);
    // Nor by a new program; then the old one goes on.
    fs::write(&file, nobody_config(&format!("{ours}, \"127.0.0.1:77\""), more)).unwrap();
    world.daemon.signal("USR2");
    world.daemon.says("no upgrade, this server goes on");
    fs::write(&file, nobody_config(&ours, more)).unwrap();
    world.daemon.signal("HUP");
    world.daemon.says("reloaded");
    assert_eq!(world.connect().get("/new").text(), "new");
    let successor = upgrade(&world.daemon);
    assert_eq!(fs::read_to_string(world.path("pid")).unwrap(), format!("{}\n", successor.0));
    assert!(confined_threads(successor.0, NOBODY).contains(&"program".to_owned()));
    assert_eq!(world.daemon.wait(), Some(0));
    successor.end();
    // It may not remove it, where nobody may write; an empty file names nobody.
    assert_eq!(fs::read_to_string(world.folder.path().join("pid")).unwrap(), "");
}

/// The last of so many successors, and the number of filters that hold for its system calls.
fn succeeded(daemon: &Daemon, times: usize) -> (Successor, String) {
    let mut last = upgrade(daemon);
    for _ in 1..times {
        assert!(last.signal("USR2"));
        last = Successor::of(daemon);
    }
    let text = fs::read_to_string(format!("/proc/{}/status", last.0)).unwrap();
    (last, status(&text)["Seccomp_filters"].to_owned())
}

#[test]
fn successors_are_confined_once_however_many_there_are() {
    let world = World::start("");
    // Landlock does not hold more than 16 at once.
    let (last, filters) = succeeded(&world.daemon, 20);
    assert_eq!(filters, "1");
    last.end();
}

#[test]
fn successors_are_told_of_half_a_sandbox_too() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let text = config("[server]\nlisten = \"127.0.0.1:0\"\nsandbox = \"auto\"\n");
    let file = folder.write("oneloop.toml", &text);
    let daemon = where_there_is_no(libc::SYS_landlock_create_ruleset, || {
        Daemon::configured(&file, "unset ONELOOP_SANDBOX")
    });
    // One of them is this test's.
    let (last, filters) = succeeded(&daemon, 3);
    assert_eq!(filters, "2");
    // Those system calls are the server's own.
    let programs = "[[site.route]]\npath = \"/cgi/*\"\ncgi = { root = \"www\" }\n";
    folder.write("oneloop.toml", text + programs);
    assert!(last.signal("HUP"));
    daemon.says("the sandbox does not let this process make the system calls of programs");
    assert_eq!(daemon.connect().get("/file.txt").text(), "0123456789");
    last.end();
}

#[test]
fn a_reload_that_needs_more_files_than_were_allowed_changes_nothing() {
    let other = outside();
    fs::create_dir_all(other.path().join("sites/new")).unwrap();
    fs::write(other.path().join("sites/new/a.txt"), "new").unwrap();
    let other = other.path().canonicalize().unwrap();
    let site = |more: &str| {
        let listen = "listen = \"127.0.0.1:0\"\nsandbox = \"require\"";
        let root = other.join("sites/new").display().to_string();
        config(&format!("[server]\n{listen}\n{more}"))
            + &format!("[[site.route]]\npath = \"/new/*\"\nfiles.root = \"{root}\"\n")
    };
    let world = World::start("[server]\nlisten = \"127.0.0.1:0\"\nsandbox = \"require\"\n");
    fs::write(world.path("oneloop.toml"), site("")).unwrap();
    world.daemon.signal("HUP");
    let said = world.daemon.says("the sandbox does not let this process ");
    assert_eq!(said, format!("read {}/sites/new, and cannot be opened any more", other.display()));
    world.daemon.says("server.reach");
    assert_eq!(world.connect().get("/new/a.txt").status, 404);
    // Nor by a successor, which is not confined less.
    world.daemon.signal("USR2");
    world.daemon.says("the sandbox does not let this process ");
    world.daemon.says("no upgrade, this server goes on");
    // The first program of a site is such a thing, too.
    let programs = "[[site.route]]\npath = \"/cgi/*\"\ncgi = { root = \"www\" }\n";
    fs::write(world.path("oneloop.toml"), config("") + programs).unwrap();
    world.daemon.signal("HUP");
    world.daemon.says("the sandbox does not let this process read, execute");
    assert_eq!(world.connect().get("/file.txt").text(), "0123456789");

    // What was said before, it can have.
    let reach = format!("reach = \"{}/sites\"\n", other.display());
    let listen = "[server]\nlisten = \"127.0.0.1:0\"\nsandbox = \"require\"\n";
    let world = World::start(&format!("{listen}{reach}"));
    fs::write(world.path("oneloop.toml"), site(&reach)).unwrap();
    world.daemon.signal("HUP");
    world.daemon.says("reloaded");
    assert_eq!(world.connect().get("/new/a.txt").text(), "new");
}

#[test]
fn workers_are_confined_and_a_reload_gives_them_what_it_names() {
    let other = outside();
    fs::write(other.path().join("a.txt"), "new").unwrap();
    let server = "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2\nsandbox = \"require\"\n";
    let world = World::start(server);
    let route =
        format!("[[site.route]]\npath = \"/new/*\"\nfiles.root = \"{}\"\n", other.path().display());
    fs::write(world.path("oneloop.toml"), config(server) + &route).unwrap();
    world.daemon.signal("HUP");
    wait_until("the new ones serve", || world.connect().get("/new/a.txt").status == 200);
    let supervisor = world.daemon.child.id();
    let text = fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
    assert_eq!((status(&text)["NoNewPrivs"], status(&text)["Seccomp"]), ("1", "0"));
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    let workers = fs::read_to_string(children).unwrap();
    let user = fs::metadata("/proc/self").unwrap().uid();
    let threads = |worker: &str| confined_threads(worker.parse().unwrap(), user);
    let workers = workers.split_whitespace().map(threads);
    // Beside the new ones there may be some of before that are about to end.
    assert!(workers.filter(|threads| !threads.is_empty()).count() >= 2);
}

#[test]
fn scripts_reach_their_own_folder_the_system_and_what_they_are_told_of() {
    // Where everybody may write, they may as well; so this is elsewhere.
    let place = outside();
    let place = place.path().canonicalize().unwrap();
    let names = ["cgi", "www", "hidden", "told", "reached"];
    let places: Vec<String> =
        names.iter().map(|name| place.join(name).display().to_string()).collect();
    for place in &places {
        fs::create_dir_all(place).unwrap();
        fs::write(Path::new(place).join("file"), "secret").unwrap();
    }
    fs::write(place.join("cgi/script"), SCRIPT).unwrap();
    fs::set_permissions(place.join("cgi/script"), PermissionsExt::from_mode(0o755)).unwrap();
    let route = |sandbox: &str| {
        let (all, told, reached) = (places.join(" "), &places[3], &places[4]);
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nsandbox = \"{sandbox}\"\n\
             [log]\naccess.to = \"none\"\n[[site]]\nroot = \"www\"\n\
             [[site.route]]\npath = \"/cgi/*\"\n[site.route.cgi]\nroot = \"cgi\"\n\
             descriptors = 40\nfile = \"4KiB\"\nreach = \"{reached}\"\n\
             environment = {{ PLACES = \" {all}\", TOLD = \"{told}\" }}\n"
        );
        fs::write(place.join("oneloop.toml"), text).unwrap();
        place.join("oneloop.toml")
    };
    let answers = |daemon: &Daemon, what: &str| {
        let answer = daemon.connect().get(&format!("/cgi/script?{what}"));
        answer.text().trim().replace('\n', " ")
    };
    let daemon = Daemon::configured(&route("require"), "");
    assert_eq!(answers(&daemon, "read"), "yes no no yes yes");
    assert_eq!(answers(&daemon, "write"), "no no no yes yes");
    assert_eq!(
        (answers(&daemon, "signal"), answers(&daemon, "namespace")),
        ("no".into(), "no".into())
    );
    // The server itself reads what it serves.
    assert_eq!(daemon.connect().get("/file").text(), "secret");
    drop(daemon);
    let daemon = Daemon::configured(&route("off"), "unset ONELOOP_SANDBOX");
    assert_eq!(answers(&daemon, "read"), "yes yes yes yes yes");
    assert_eq!(answers(&daemon, "signal"), "yes");
}

/// Runs where one system call does not exist, neither for what it starts.
fn where_there_is_no<T: Send>(call: libc::c_long, run: impl FnOnce() -> T + Send) -> T {
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let rules = BTreeMap::from([(call, Vec::new())]);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, arch).unwrap();
    let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
    // It holds for a thread.
    let run = move || {
        seccompiler::apply_filter(&filter).unwrap();
        run()
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// Starts the daemon without a system call, for a second.
fn without(call: libc::c_long, sandbox: &str) -> std::process::Output {
    let folder = Folder::new();
    folder.write("www/file.txt", "");
    let server = format!("[server]\nlisten = \"127.0.0.1:0\"\nsandbox = \"{sandbox}\"\n");
    let file = folder.write("oneloop.toml", config(&server));
    where_there_is_no(call, || {
        let mut command = Command::new("timeout");
        command.args(["-s", "TERM", "1", env!("CARGO_BIN_EXE_oneloop"), "-c"]).arg(&file);
        command.env_remove("ONELOOP_SANDBOX").output().unwrap()
    })
}

#[test]
fn a_sandbox_that_is_required_and_not_to_be_had_is_an_error() {
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let output = without(libc::SYS_landlock_create_ruleset, "require");
    assert_eq!(output.status.code(), Some(1));
    let expected = "oneloop: the sandbox is required, and this system lacks Landlock, which Linux \
                    has from 5.13 on\nWith server.sandbox = \"auto\" the server does without.\n";
    assert_eq!(said(&output), expected);
    let output = without(libc::SYS_seccomp, "require");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("lacks seccomp: "), "{}", said(&output));
    // Else it is told of, and the server serves until it is asked to end.
    let output = without(libc::SYS_landlock_create_ruleset, "auto");
    let said = said(&output);
    assert!(said.contains("the sandbox lacks Landlock, ") && said.contains("listening"), "{said}");
    assert!(said.contains("confined by seccomp\n"), "{said}");
}

/// Nobody reads what it complains of, so one thread never ends.
#[test]
fn a_log_that_nobody_reads_keeps_no_other_thread_out_of_the_sandbox() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let socket = folder.path().join("socket");
    let server = format!("[server]\nlisten = \"unix:{}\"\n", socket.display());
    // Of these the second gives the scripts of the first away, which is worth a warning.
    let routes = "[[site.route]]\npath = \"*.sh\"\ncgi = { root = \"www\" }\n\
                  [[site.route]]\npath = \"/files/*\"\nfiles = {}\n";
    let file = folder.write("oneloop.toml", config(&server) + routes);
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while (&writer).write(&[b'\n'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    command.arg("-c").arg(&file).env("ONELOOP_SANDBOX", "auto").stderr(writer);
    let mut child = command.spawn().unwrap();
    let status_of = |task: &fs::DirEntry| {
        let path = task.path();
        let name = fs::read_to_string(path.join("comm")).unwrap();
        let text = fs::read_to_string(path.join("status")).unwrap();
        (name.trim().to_owned(), status(&text)["Seccomp"].to_owned())
    };
    let threads = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        tasks.map(|task| status_of(&task.unwrap())).collect::<BTreeMap<_, _>>()
    };
    let expected = [("oneloop", "2"), ("oneloop-log", "0")];
    let expected = expected.map(|(name, held)| (name.to_owned(), held.to_owned())).into();
    wait_until("it is confined", || threads() == expected);
    drop(reader);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn root_writes_to_no_file_that_another_user_has_pointed_to() {
    if !is_root() {
        return;
    }
    let world = as_nobody("\"127.0.0.1:0\"", "");
    let victim = world.path("victim");
    let log = world.path("log/access.log");
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink(&victim, &log).unwrap();
    let file = world.path("oneloop.toml");
    let output = Command::new(world.path("program")).arg("-c").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("symbolic link") && !victim.exists(), "{said}");
}

#[test]
fn a_socket_that_somebody_has_removed_keeps_no_worker_from_starting() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let socket = folder.path().join("socket");
    let listen = format!("\"127.0.0.1:0\", \"unix:{}\"", socket.display());
    let server = format!("[server]\nlisten = [{listen}]\nuser = \"{NOBODY}\"\nworkers = 2\n");
    let world = World::start(&server);
    let before = super::workers::workers(world.daemon.child.id(), 2);
    fs::remove_file(&socket).unwrap();
    super::workers::kill(before[0], "KILL");
    wait_until("there is another one", || {
        let now = super::workers::workers(world.daemon.child.id(), 2);
        !now.contains(&before[0]) && now.iter().all(|worker| has_seccomp(*worker))
    });
    assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
}

/// Whether a process is confined, which it is once it serves.
fn has_seccomp(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    status.is_ok_and(|status| status.contains("\nSeccomp:\t2\n"))
}
