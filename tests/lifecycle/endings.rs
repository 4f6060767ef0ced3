//! Where a server listens, and how it ends: by signals, gracefully or at once.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::{World, begin_download, big};
use crate::support::client::{self, Client};
use crate::support::folder::Folder;
use crate::support::programs::is_there;
use crate::support::running::{Daemon, wait_until};

/// Enough for the slowest machine to finish what is under way.
const PATIENT: &str = "[limits]\ndrain = \"60s\"\nlinger = \"1s\"";

#[test]
fn sigterm_finishes_what_is_under_way_and_lets_the_others_go() {
    let world = World::start(PATIENT);
    let (mut loading, mut asking) = (world.connect(), world.connect());
    let (mut idle, mut silent) = (world.connect(), world.connect());
    begin_download(&mut loading);
    assert_eq!(idle.get("/file.txt").status, 200);
    asking.send("GET /file.txt HTTP/1.1\r\nHo");
    // When this one has its answer, all of those before it have been taken in.
    assert_eq!(world.connect().get("/file.txt").status, 200);
    world.daemon.signal("TERM");
    assert_eq!(idle.read_to_fin(), b"");
    assert_eq!(silent.read_to_fin(), b"");
    wait_until("nobody listens any more", || {
        TcpStream::connect(world.daemon.address)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    asking.send("st: a\r\n\r\nGET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = asking.response(false);
    assert_eq!((answer.text(), answer.field("Connection")), ("0123456789", Some("close")));
    assert_eq!(asking.read_to_fin(), b"");
    assert!(loading.read_to_fin().ends_with(&big()), "the download was cut off");
    drop((loading, asking));
    assert_eq!(world.daemon.wait(), Some(0));
}

#[test]
fn sigint_ends_it_as_well_and_so_does_either_if_nobody_is_there() {
    for signal in ["INT", "TERM"] {
        let world = World::start(PATIENT);
        world.daemon.signal(signal);
        assert_eq!(world.daemon.wait(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in ["TERM", "INT"] {
        let world = World::start(PATIENT);
        let (mut loading, mut idle) = (world.connect(), world.connect());
        begin_download(&mut loading);
        assert_eq!(idle.get("/file.txt").status, 200);
        world.daemon.signal("TERM");
        assert_eq!(idle.read_to_fin(), b"", "the first signal has been heard");
        world.daemon.signal(second);
        assert_eq!(world.daemon.wait(), Some(0));
        let rest = loading.read_to_end();
        assert!(rest.len() < big().len(), "nothing was cut off");
    }
}

#[test]
fn a_graceful_end_does_not_wait_for_ever() {
    let world = World::start("[limits]\ndrain = \"200ms\"");
    let mut loading = world.connect();
    begin_download(&mut loading);
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.wait(), Some(0));
    assert!(loading.read_to_end().len() < big().len(), "nothing was cut off");
}

/// A signal must find its handler as soon as anybody can know of the server.
#[test]
fn signals_are_heeded_before_it_says_where_it_listens() {
    if !is_there("strace") {
        return;
    }
    let folder = Folder::new();
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-e", "trace=rt_sigaction,write", "-o"]).arg(&trace);
    command.args([env!("CARGO_BIN_EXE_oneloop"), "-q", "-p", "0"]).arg(folder.path());
    let daemon = Daemon::spawn(command);
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    let mut text = String::new();
    wait_until("the trace is whole", || {
        text = fs::read_to_string(&trace).unwrap();
        text.contains("+++ exited with 0 +++")
    });
    let line = |parts: [&str; 2]| {
        text.lines().position(|line| parts.iter().all(|part| line.contains(part)))
    };
    let said = line(["write(1", "Serving"]).expect("it says where");
    for signal in ["rt_sigaction(SIGTERM, {", "rt_sigaction(SIGINT, {"] {
        let heeded = line([signal, ""]).expect("it has a handler");
        assert!(heeded < said, "{signal}: it can be killed before it has begun\n{text}");
    }
}

/// One request over any kind of stream.
pub(super) fn ask(stream: impl Read + Write) -> String {
    client::ask(stream, "/file.txt").unwrap()
}

#[test]
fn it_listens_on_ipv4_ipv6_and_a_path_at_once() {
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    let ipv6 = if has_ipv6 { "\"[::1]:0\", " } else { "" };
    let folder = Folder::new();
    let socket = folder.path().join("socket");
    let listen = format!("[\"127.0.0.1:0\", {ipv6}\"unix:{}\"]", socket.display());
    let server = format!(
        "[server]\nlisten = {listen}\n[log]\naccess = {{ to = \"stdout\", format = \"common\" }}"
    );
    let world = World::start(&server);
    if has_ipv6 {
        let port = world.daemon.says("http://[::1]:");
        let port = port.trim_end_matches('/').parse().unwrap();
        let address: SocketAddr = ([0, 0, 0, 0, 0, 0, 0, 1], port).into();
        assert_eq!(Client::connect(address).get("/file.txt").text(), "0123456789");
        assert!(world.daemon.says("::1 - - [").contains("\"GET /file.txt HTTP/1.1\" 200 10"));
    }
    assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
    assert!(world.daemon.says("127.0.0.1 - - [").contains(" 200 10"));
    assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("\r\n\r\n0123456789"));
    assert!(world.daemon.says(":: - - [").contains(" 200 10"));
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.wait(), Some(0));
    assert!(!socket.exists(), "the socket's path is in the way of the next one");
}

#[test]
fn a_socket_that_a_killed_server_has_left_is_taken_over() {
    let folder = Folder::new();
    let socket = folder.path().join("socket");
    let listen = format!("[server]\nlisten = [\"127.0.0.1:0\", \"unix:{}\"]", socket.display());
    let world = World::start(&listen);
    world.daemon.signal("KILL");
    assert_eq!(world.daemon.wait(), None);
    assert!(socket.exists());
    let world = World::start(&listen);
    assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("0123456789"));
    drop(world);
}

#[test]
fn what_it_cannot_begin_with_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    folder.write("www/file.txt", "");
    let path = folder.path().display();
    let log = "[log]\naccess = { to = \"nowhere/log\" }";
    let cases = [
        ("[[site]]\nroot = \"missing\"", format!("{path}/missing")),
        ("[[site]]\nroot = \"www/file.txt\"", format!("{path}/www/file.txt")),
        (log, format!("{path}/nowhere")),
        (&format!("[server]\nlisten = \"{taken}\""), format!("{taken}: Address already in use")),
        ("[server]\nlisten = \"192.0.2.1:0\"", "192.0.2.1:0".to_owned()),
        ("[server]\nlisten = \"unix:/missing/socket\"", "unix:/missing/socket".to_owned()),
    ];
    for (text, named) in cases {
        let text = if text.contains("[[site]]") { text } else { &super::config(text) };
        let file = folder.write("oneloop.toml", text);
        let output = Command::new(env!("CARGO_BIN_EXE_oneloop")).arg("-c").arg(file).output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}\n{said}");
        assert!(said.contains(&named), "{named} is not named in\n{said}");
    }
}
