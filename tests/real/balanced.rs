//! Two oneloops behind a real HAProxy, which is configured as conf/haproxy.cfg has it: one after
//! the other is replaced, and no request fails.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::load::Load;
use crate::support::programs::is_there;
use crate::support::running::{Daemon, Successor, upgrade, wait_until};

const HAPROXY: &str = "/usr/sbin/haproxy";

/// Each world of this process has three ports from here on.
static PORTS: AtomicU16 = AtomicU16::new(8080);

/// How HAProxy calls its servers.
const SERVERS: [&str; 2] = ["first", "second"];

/// HAProxy, and the two behind it. All listen at an address of the loopback that nobody else uses,
/// so that a port which is given up for a moment is taken by nobody.
struct World {
    servers: [Option<Daemon>; 2],
    /// It ends before what it connects to.
    haproxy: Child,
    folder: Folder,
    address: SocketAddr,
}

impl World {
    /// With HAProxy configured as it is shipped, but for addresses, and for lines with one of these
    /// words in them.
    fn without(words: &[&str]) -> World {
        let folder = Folder::new();
        folder.write("www/file.txt", "0123456789");
        let [_, a, b, c] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 64 | (a & 0x3f), b, c);
        let port = PORTS.fetch_add(3, Ordering::Relaxed);
        for (number, port) in [port + 1, port + 2].into_iter().enumerate() {
            let text = format!(
                "[server]\n\
                 listen = [\"127.0.0.1:0\", \
                 {{ addr = \"{address}:{port}\", proxy-protocol = \"127.0.0.1\" }}]\n\
                 [log]\naccess = {{ to = \"./{number}.log\", format = \"json\" }}\n\
                 [[site]]\nroot = \"www\"\n\
                 [[site.route]]\npath = \"/healthz\"\nrespond = {{ status = 200 }}\n"
            );
            folder.write(&format!("{number}.toml"), text);
        }
        let servers = [0, 1].map(|number| Some(start(&folder, number)));
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/haproxy.cfg");
        let mut text = fs::read_to_string(shipped).unwrap();
        for (there, here) in [
            ("/run/haproxy.sock", folder.path().join("haproxy.sock").display().to_string()),
            ("bind :80", format!("bind {address}:{port}")),
            ("first  10.0.0.11:8080", format!("first {address}:{}", port + 1)),
            ("second 10.0.0.12:8080", format!("second {address}:{}", port + 2)),
            // So that the test need not wait for as long.
            ("inter 1s", "inter 50ms".to_owned()),
        ] {
            let is_there = text.lines().any(|line| !line.starts_with('#') && line.contains(there));
            assert!(is_there, "{there}");
            text = text.replace(there, &here);
        }
        let is_kept = |line: &&str| !words.iter().any(|word| line.contains(word));
        let text: String = text.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
        let file = folder.write("haproxy.cfg", text);
        let haproxy = Command::new(HAPROXY).args(["-db", "-f"]).arg(file).spawn().unwrap();
        let world = World { servers, haproxy, folder, address: SocketAddr::from((address, port)) };
        for number in [0, 1] {
            world.wait_for(number, "UP");
        }
        world
    }

    /// The oneloop of this number.
    fn server(&self, number: usize) -> &Daemon {
        self.servers[number].as_ref().expect("it is only gone while it is replaced")
    }

    /// Waits until HAProxy takes a server to be in this state.
    fn wait_for(&self, number: usize, state: &str) {
        let socket = self.folder.path().join("haproxy.sock");
        wait_until(&format!("{} is {state}", SERVERS[number]), || {
            let Ok(mut stream) = UnixStream::connect(&socket) else { return false };
            stream.write_all(b"show stat\n").unwrap();
            let mut table = String::new();
            stream.read_to_string(&mut table).unwrap();
            let mut line =
                table.lines().filter(|line| line.split(',').nth(1) == Some(SERVERS[number]));
            line.next().is_some_and(|line| line.split(',').nth(17) == Some(state))
        });
    }

    fn log(&self, number: usize) -> Vec<Value> {
        let log: PathBuf = self.folder.path().join(format!("{number}.log"));
        let log = fs::read_to_string(log).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Keeps HAProxy busy while `work` is done.
    fn under_load(&mut self, work: impl FnOnce(&mut World, &Load)) {
        Load::during(self.address, |load| {
            load.goes_on();
            work(self, load);
            load.goes_on();
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.haproxy.kill();
        let _ = self.haproxy.wait();
    }
}

fn start(folder: &Folder, number: usize) -> Daemon {
    Daemon::configured(&folder.path().join(format!("{number}.toml")), "")
}

#[test]
fn two_that_are_restarted_in_turn_fail_no_request() {
    if !is_there(HAPROXY) {
        return;
    }
    let mut world = World::without(&[]);
    world.under_load(|world, load| {
        for round in 0..6 {
            let number = round % 2;
            let daemon = world.servers[number].take().unwrap();
            daemon.signal("TERM");
            assert_eq!(daemon.wait(), Some(0));
            load.goes_on();
            world.servers[number] = Some(start(&world.folder, number));
            // Whoever restarts them waits for the one before the other.
            world.wait_for(number, "UP");
        }
    });
}

#[test]
fn two_that_are_upgraded_in_turn_fail_no_request() {
    if !is_there(HAPROXY) {
        return;
    }
    // Nothing is closed that somebody may still use, so nothing needs to be sent twice.
    let mut world = World::without(&["retr", "redispatch"]);
    // None of them is let go before the end: each serves until HAProxy has left it.
    let mut successors: [Vec<Successor>; 2] = [Vec::new(), Vec::new()];
    world.under_load(|world, load| {
        for round in 0..6 {
            let number = round % 2;
            let successor = match successors[number].last() {
                None => upgrade(world.server(number)),
                Some(last) => {
                    assert!(last.signal("USR2"));
                    Successor::of(world.server(number))
                }
            };
            successors[number].push(successor);
            load.goes_on();
        }
    });
}

#[test]
fn whom_haproxy_speaks_for_is_who_the_log_names() {
    if !is_there(HAPROXY) {
        return;
    }
    let world = World::without(&[]);
    // The socket of this client is that of another address.
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 3), 0));
    for _ in 0..4 {
        let mut client = Client::connect_from(from, world.address);
        assert_eq!(client.get("/file.txt").text(), "0123456789");
    }
    for number in [0, 1] {
        wait_until("both were asked", || {
            world.log(number).iter().any(|line| line["client"] == "127.0.0.3")
        });
        for line in world.log(number) {
            let is_check = line["request"] == "GET /healthz HTTP/1.0";
            let client = if is_check { "127.0.0.1" } else { "127.0.0.3" };
            assert_eq!((&line["client"], &line["status"]), (&client.into(), &200.into()), "{line}");
        }
    }
}
