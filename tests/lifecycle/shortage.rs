//! More clients than there is room for: in the table of connections, or of descriptors.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use oneloop::server::{Limits, Options};
use oneloop::site::handler::{Request, Response};
use oneloop::site::router::Router;

use super::{World, begin_download, big};
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::{Daemon, Running, wait_until};

/// The time that a process has had on the processor.
fn processor_time(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 =
        fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    // A tick is a hundredth of a second on every Linux there is.
    Duration::from_millis(10 * ticks)
}

#[test]
fn without_descriptors_it_goes_on_serving_and_does_not_spin() {
    let world = World::after("ulimit -n 40", "[limits]\nhead = { timeout = \"300ms\" }");
    let mut loading = world.connect();
    begin_download(&mut loading);
    // A hundred that connect and say nothing: none of them can be let go before its time.
    let silent: Vec<Client> = (0..100).map(|_| world.connect()).collect();
    world.daemon.says("no descriptors left");
    let (began, before) = (Instant::now(), processor_time(world.daemon.child.id()));
    // One who comes behind them all has an answer when it is its turn.
    let mut late = world.connect();
    assert_eq!(late.get("/file.txt").text(), "0123456789");
    let took = processor_time(world.daemon.child.id()).saturating_sub(before);
    let lasted = began.elapsed();
    assert!(took < lasted / 4 + Duration::from_millis(50), "{took:?} of {lasted:?}: it spins");
    for mut client in silent {
        assert_eq!(client.read_to_fin(), b"", "it has had its time");
    }
    // Who was being served all the while has lost nothing.
    loading.finish();
    assert!(loading.read_to_fin().ends_with(&big()), "the download was cut off");
    assert_eq!(world.connect().get("/new.txt").status, 404, "there is room for files again");
    let again = world.daemon.said().into_iter().find(|line| line.contains("no descriptors left"));
    assert_eq!(again, None, "one shortage is told of once, however many arrive meanwhile");
}

/// A table that grows later stops the loop for as long as the system likes.
#[test]
fn the_table_of_descriptors_is_large_enough_from_the_beginning() {
    let world = World::after("ulimit -n 2000", "[limits]\nconnections = 1500");
    let status = fs::read_to_string(format!("/proc/{}/status", world.daemon.child.id())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
    assert!(size.trim().parse::<u32>().unwrap() >= 1500, "{size}");
}

#[test]
fn without_descriptors_the_oldest_idle_clients_make_room() {
    const ALLOWED: usize = 40;
    let world = World::after(&format!("ulimit -n {ALLOWED}"), "");
    let descriptors = format!("/proc/{}/fd", world.daemon.child.id());
    let mut clients: VecDeque<Client> = VecDeque::new();
    let visit = |clients: &mut VecDeque<Client>| {
        let mut client = world.connect();
        assert_eq!(client.get("/file.txt").text(), "0123456789");
        clients.push_back(client);
        // Those that came earlier have to be idle for longer, and not in the same millisecond.
        let now = Instant::now();
        wait_until("time goes by", || now.elapsed() > Duration::from_millis(2));
    };
    // What it was started with may lie above the limit and takes nobody's place.
    let taken = || {
        let entries = fs::read_dir(&descriptors).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.parse::<usize>().unwrap() < ALLOWED).count()
    };
    while taken() < ALLOWED {
        assert!(clients.len() < ALLOWED, "it lets clients go though nobody waits for their place");
        visit(&mut clients);
    }
    for _ in 0..100 {
        visit(&mut clients);
        let mut oldest = clients.pop_front().unwrap();
        assert_eq!(oldest.read_to_fin(), b"", "the oldest is let go");
    }
    for mut client in clients {
        assert_eq!(client.get("/file.txt").text(), "0123456789", "and nobody else");
    }
}

#[test]
fn above_the_limit_of_connections_the_oldest_idle_one_makes_room() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let hello = |_: &Request<'_>| Response::text("hello");
    let server = Running::with(options, move || Router::new().get("/", hello).build().unwrap());
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect();
        assert_eq!(client.get("/").text(), "hello");
        clients.push(client);
        // Those that came earlier have to be idle for longer, and not in the same millisecond.
        let now = Instant::now();
        wait_until("time goes by", || now.elapsed() > Duration::from_millis(3));
    }
    assert_eq!(clients[0].get("/").text(), "hello", "the second is the oldest now");
    let mut fourth = server.connect();
    assert_eq!(fourth.get("/").text(), "hello");
    assert_eq!(clients[1].read_to_fin(), b"");
    assert_eq!(clients[0].get("/").text(), "hello");
    assert_eq!(clients[2].get("/").text(), "hello");
}

#[test]
fn where_nobody_is_idle_a_new_client_waits_for_its_turn() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let hello = |_: &Request<'_>| Response::text("hello");
    let server = Running::with(options, move || Router::new().get("/", hello).build().unwrap());
    let mut first = server.connect();
    first.send("GET / HTTP/1.1\r\n");
    let mut second = server.connect();
    second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    second.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(second.stream.peek(&mut [0]).is_err(), "there is no room for it");
    first.send("Host: a\r\nConnection: close\r\n\r\n");
    assert_eq!(first.response(false).text(), "hello");
    second.stream.set_read_timeout(Some(crate::support::running::DEADLINE)).unwrap();
    assert_eq!(second.response(false).text(), "hello");
}

/// A limit of the size of files ends a program that reaches it, but not this one.
#[test]
fn a_file_that_is_too_large_fails_one_request_and_not_the_server() {
    let text = "[server]\nlisten = \"127.0.0.1:0\"\nsandbox = \"off\"\n\
                [log]\naccess = { to = \"none\" }\n\
                [limits]\nspool = { memory = \"1KiB\" }\n[[site]]\nroot = \"www\"\n\
                [[site.route]]\npath = \"/cgi/*\"\ncgi = { root = \"cgi\" }\n";
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n\
                  head -c 100000 /dev/zero > file\necho $?\n";
    let script = folder.write("cgi/write", script);
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.write("oneloop.toml", text);
    // In POSIX, these are blocks of 512 bytes.
    let daemon = Daemon::configured(&file, "ulimit -f 32");
    let mut client = daemon.connect();
    let said = client.request("POST", "/cgi/write", &[], &vec![b'x'; 1 << 20]);
    assert_eq!(said.status, 503);
    drop(client);
    daemon.says("cannot keep request content in a file: File too large");
    assert_eq!(daemon.connect().get("/file.txt").text(), "0123456789");
    // A program that is started ends by the signal, which shells tell as 128 and its number.
    let said = daemon.connect().get("/cgi/write");
    assert_eq!(said.text().trim(), "153");
    assert_eq!(fs::metadata(folder.path().join("cgi/file")).unwrap().len(), 32 * 512);
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
}
