//! Logs that cannot be written, or not as fast as they come: requests do not notice, and no line is
//! lost that is not counted.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::{World, config};
use crate::support::folder::Folder;
use crate::support::programs::skipped;
use crate::support::running::{DEADLINE, Daemon, wait_until};

/// Asks so many times; returns that number.
fn ask(daemon: &Daemon, times: usize) -> usize {
    let mut client = daemon.connect();
    for _ in 0..times {
        assert_eq!(client.get("/file.txt").text(), "0123456789");
    }
    times
}

/// Asks until the daemon says that lines are lost.
fn ask_until_lost(daemon: &Daemon, said: &mut Vec<String>) -> usize {
    let mut asked = 0;
    wait_until("lines are lost", || {
        asked += ask(daemon, 100);
        said.extend(daemon.said());
        said.iter().any(|line| line.contains("cannot write the access log"))
    });
    asked
}

/// How many lines were lost, as the daemon says when it is over.
fn lost(daemon: &Daemon) -> usize {
    let rest = daemon.says("the access log is written again; ");
    rest.split(' ').next().unwrap().parse().unwrap()
}

fn fifo(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    mkfifoat(CWD, &path, Mode::RWXU).unwrap();
    path
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

#[test]
fn a_disk_that_is_full_for_a_while_loses_what_it_says_and_tears_no_line() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    fs::create_dir(folder.path().join("disk")).unwrap();
    let to = "[log]\naccess = { to = \"./disk/log\", format = \"common\" }";
    let file = folder.write("oneloop.toml", config(to));
    // Large enough for what is still on its way to it when it is seen to be full.
    let mount = "mount -t tmpfs -o size=64k none disk";
    let mut may = Command::new("unshare");
    may.args(["-rm", "sh", "-c", mount]).current_dir(folder.path());
    if !may.status().is_ok_and(|status| status.success()) {
        return skipped("there may be no small disk (unshare -rm, mount)");
    }
    let mut command = Command::new("unshare");
    let script = format!("{mount} && exec \"$0\" -c \"$1\" 2>&1");
    command.args(["-rm", "sh", "-c", &script, env!("CARGO_BIN_EXE_oneloop")]).arg(&file);
    command.current_dir(folder.path());
    let daemon = Daemon::spawn(command);
    let mut said = Vec::new();
    let mut asked = ask_until_lost(&daemon, &mut said);
    // The disk is seen by nobody but the daemon.
    let root = PathBuf::from(format!("/proc/{}/root", daemon.child.id()));
    let log = root.join(folder.path().strip_prefix("/").unwrap()).join("disk/log");
    assert_eq!(fs::metadata(&log).unwrap().len(), 64 << 10);
    let full = fs::read(&log).unwrap();
    let before = memchr::memchr_iter(b'\n', &full).count();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap();
    asked += ask(&daemon, 3);
    let lost = lost(&daemon);
    let after = fs::read_to_string(&log).unwrap();
    assert!(after.ends_with('\n'), "{after}");
    assert_eq!(before + after.lines().count() + lost, asked, "{after}");
    // What was begun before stands in front.
    let begun = full.rsplit(|&byte| byte == b'\n').next().unwrap();
    let first = [str::from_utf8(begun).unwrap(), after.lines().next().unwrap()].concat();
    assert!(first.ends_with("\"GET /file.txt HTTP/1.1\" 200 10"), "{first}");
    assert!(first.starts_with("127.0.0.1 - - ["), "{first}");
    let again = said.iter().filter(|line| line.contains("cannot write the access log")).count();
    assert_eq!(again, 1, "it is said once: {said:?}");
}

#[test]
fn a_fifo_that_nobody_reads_stops_no_answer_and_has_all_lines_but_those_that_were_counted() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let fifo = fifo(&folder, "fifo");
    let file = folder.write(
        "oneloop.toml",
        config("[log]\naccess = { to = \"./fifo\", format = \"common\" }\nqueue = \"4KiB\""),
    );
    let daemon = Daemon::configured(&file, "");
    let mut said = Vec::new();
    let mut asked = ask_until_lost(&daemon, &mut said);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(fs::File::open(fifo).unwrap()).lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    let lost = lost(&daemon);
    asked += ask(&daemon, 3);
    for _ in 0..asked - lost {
        let line = receiver.recv_timeout(DEADLINE).expect("it is there");
        assert!(line.ends_with("\"GET /file.txt HTTP/1.1\" 200 10"), "{line}");
    }
    let more = receiver.recv_timeout(Duration::from_millis(50));
    assert!(more.is_err(), "{lost} of {asked} were lost: {more:?}");
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
}

/// Asks for what is not there, until more of it is logged than pipe and queue take.
#[test]
fn a_standard_error_that_nobody_reads_stops_no_answer() {
    let folder = Folder::new();
    folder.write("file.txt", "0123456789");
    let fifo = fifo(&folder, "fifo");
    let mut command = Command::new("sh");
    let script = "exec \"$0\" . -p 0 -v --log none 2<>fifo";
    command.args(["-c", script, env!("CARGO_BIN_EXE_oneloop")]).current_dir(folder.path());
    let daemon = Daemon::spawn(command);
    let mut client = daemon.connect();
    let long = "/yyyyyyyyy".repeat(200);
    for number in 0..1000 {
        assert_eq!(client.get(&format!("/{number}{long}")).status, 404);
    }
    assert_eq!(client.get("/file.txt").text(), "0123456789");
    // Somebody comes to read, and is told what is missing.
    let mut reader = OpenOptions::new().read(true).open(fifo).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = vec![0; 1 << 16];
        while let Ok(count) = reader.read(&mut text) {
            let _ = sender.send(String::from_utf8_lossy(&text[..count]).into_owned());
        }
    });
    let mut text = String::new();
    while !text.contains("the diagnostic log is written again") {
        text += &receiver.recv_timeout(DEADLINE).expect("it says what was lost");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn an_end_with_a_log_that_nobody_reads_comes_in_time() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    fifo(&folder, "fifo");
    let to = "[log]\naccess = { to = \"./fifo\", format = \"common\" }\nqueue = \"4KiB\"";
    let file = folder.write("oneloop.toml", config(to));
    let daemon = Daemon::configured(&file, "");
    ask_until_lost(&daemon, &mut Vec::new());
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
}

/// The messages that have come, without their time.
fn heard(syslog: &UnixDatagram) -> Vec<String> {
    let mut all = Vec::new();
    let mut message = [0; 8192];
    syslog.set_nonblocking(true).unwrap();
    loop {
        match syslog.recv(&mut message) {
            Ok(length) => {
                let text = str::from_utf8(&message[..length]).unwrap();
                let (priority, rest) = text.split_once('>').unwrap();
                all.push(format!("{priority}>{}", &rest[16..]));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return all;
            }
        }
    }
}

#[test]
fn a_syslog_that_stops_and_comes_back_has_all_lines_but_those_that_were_counted() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let socket = folder.path().join("syslog");
    let to = "[log]\naccess = { to = \"syslog:./syslog\", format = \"common\" }";
    let file = folder.write("oneloop.toml", config(to));
    let syslog = UnixDatagram::bind(&socket).unwrap();
    let daemon = Daemon::configured(&file, "");
    let mut messages = Vec::new();
    let mut asked = ask(&daemon, 5);
    wait_until("they are there", || {
        messages.extend(heard(&syslog));
        messages.len() == asked
    });
    // It stops; for a while nobody is there.
    drop(syslog);
    fs::remove_file(&socket).unwrap();
    let mut said = Vec::new();
    asked += ask_until_lost(&daemon, &mut said);
    let syslog = UnixDatagram::bind(&socket).unwrap();
    wait_until("it is found again", || {
        asked += ask(&daemon, 1);
        let more = heard(&syslog);
        messages.extend_from_slice(&more);
        !more.is_empty()
    });
    let lost = lost(&daemon);
    wait_until("all are there", || {
        messages.extend(heard(&syslog));
        messages.len() + lost == asked
    });
    let begin = format!("<30>oneloop[{}]: 127.0.0.1 - - [", daemon.child.id());
    for message in messages {
        assert!(message.starts_with(&begin), "{message}");
        assert!(message.ends_with("\"GET /file.txt HTTP/1.1\" 200 10"), "{message}");
    }
    assert!(said.iter().any(|line| line.contains("its lines are lost: syslog at ")), "{said:?}");
}

#[test]
fn a_world_that_logs_to_a_file_has_all_lines_when_it_ends() {
    let world = World::start("[log]\naccess = { to = \"./log\", format = \"common\" }");
    let asked = ask(&world.daemon, 2000);
    let log = world.path("log");
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.wait(), Some(0));
    assert_eq!(lines(&log), asked);
}
