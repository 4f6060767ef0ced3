//! Several workers: all of them serve, one that dies is replaced, and changes reach all.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;

use super::endings::ask;
use super::upgrade::{Load, Successor, upgrade};
use super::{World, config};
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::wait_until;

const TWO: &str = "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2\n\
                   [limits]\npersistent = { idle = \"2s\" }";

/// The processes that a process has started.
fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task");
    let tasks = fs::read_dir(path).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers = |list: String| -> Vec<u32> {
        list.split_whitespace().map(|number| number.parse().unwrap()).collect()
    };
    lists.flat_map(numbers).collect()
}

pub(super) fn kill(process: u32, signal: &str) {
    let id = process.to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
}

fn lives(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The workers of a supervisor, `count` of them.
pub(super) fn workers(supervisor: u32, count: usize) -> Vec<u32> {
    wait_until("there are so many workers", || children(supervisor).len() == count);
    children(supervisor)
}

/// The same configuration with the port that the daemon was given, and something more.
fn rewrite(world: &World, server: &str, more: &str) {
    let port = world.daemon.address.port();
    let listen = format!("[server]\nlisten = [\"127.0.0.1:{port}\"{server}");
    fs::write(world.path("oneloop.toml"), config(&listen) + more).unwrap();
}

const NEW: &str = "[[site.route]]\npath = \"/new\"\nrespond = { content = \"new\" }\n";

#[test]
fn all_serve_and_an_end_reaches_all() {
    let folder = Folder::new();
    let socket = folder.path().join("socket");
    let server = format!(
        "[server]\nlisten = [\"127.0.0.1:0\", \"unix:{}\"]\nworkers = 3\npid-file = \"pid\"",
        socket.display()
    );
    let world = World::start(&server);
    let supervisor = world.daemon.child.id();
    let workers = workers(supervisor, 3);
    let pid_file = world.path("pid");
    wait_until("the number is written", || pid_file.exists());
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{supervisor}\n"));
    // Whoever is stopped does not serve: with all but one stopped, that one has to.
    for alone in &workers {
        let others = || workers.iter().filter(|other| *other != alone);
        others().for_each(|other| kill(*other, "STOP"));
        assert!(ask(UnixStream::connect(&socket).unwrap()).ends_with("0123456789"));
        others().for_each(|other| kill(*other, "CONT"));
    }
    for _ in 0..30 {
        assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
    }
    let mut idle = world.connect();
    assert_eq!(idle.get("/file.txt").status, 200);
    world.daemon.signal("TERM");
    assert_eq!(idle.read_to_fin(), b"");
    let folder = world.folder;
    assert_eq!(world.daemon.wait(), Some(0));
    assert!(!workers.iter().any(|worker| lives(*worker)), "one is left");
    assert!(!socket.exists() && !folder.path().join("pid").exists(), "something is left");
}

#[test]
fn ten_that_are_killed_cost_only_what_they_held() {
    let world = World::start(&TWO.replace("2s", "60s"));
    let supervisor = world.daemon.child.id();
    for _ in 0..10 {
        let before = workers(supervisor, 2);
        let mut kept: Vec<Client> = (0..16).map(|_| world.connect()).collect();
        for client in &mut kept {
            assert_eq!(client.get("/file.txt").status, 200);
        }
        // Whoever comes while it is stopped waits in the queue, in the end for its successor.
        kill(before[0], "STOP");
        let mut waiting: Vec<Client> = (0..16).map(|_| world.connect()).collect();
        for client in &mut waiting {
            client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        kill(before[0], "KILL");
        for client in &mut waiting {
            assert_eq!(client.response(false).text(), "0123456789");
        }
        wait_until("there is another one", || {
            let now = children(supervisor);
            now.len() == 2 && !now.contains(&before[0]) && now.contains(&before[1])
        });
        // Those of the other one can go on; each of the two had some.
        let left = kept.iter().filter(|client| {
            client.stream.set_nonblocking(true).unwrap();
            let looked = client.stream.peek(&mut [0]);
            looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        assert!((1..16).contains(&left.count()), "not just what that worker held was lost");
    }
}

#[test]
fn changes_of_the_configuration_lose_no_request() {
    let world = World::start(TWO);
    let supervisor = world.daemon.child.id();
    Load::during(world.daemon.address, |load| {
        for round in 0..5 {
            load.goes_on();
            let before = workers(supervisor, 2);
            rewrite(&world, "]\nworkers = 2", if round % 2 == 0 { NEW } else { "" });
            world.daemon.signal("HUP");
            wait_until("new workers are there and the old ones gone", || {
                let now = children(supervisor);
                now.len() == 2 && !now.iter().any(|worker| before.contains(worker))
            });
            let status = world.connect().get("/new").status;
            assert_eq!(status, if round % 2 == 0 { 200 } else { 404 });
            load.goes_on();
        }
    });
}

#[test]
fn what_cannot_be_served_changes_nothing_for_workers_either() {
    let world = World::start(TWO);
    let supervisor = world.daemon.child.id();
    let before = workers(supervisor, 2);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!(", \"{}\"]\nworkers = 2", taken.local_addr().unwrap());
    for (server, complaint) in [
        ("]\nwork = 2", "unknown key `work`"),
        (&*taken, "cannot listen on 127.0.0.1:"),
        ("]\npid-file = \"/proc/pid\"\nworkers = 2", "cannot write /proc/pid"),
    ] {
        rewrite(&world, server, "");
        world.daemon.signal("HUP");
        let said = world.daemon.says("no change, this server goes on: ");
        assert!(said.contains(complaint), "{said}");
        wait_until("only the old ones are there", || children(supervisor) == before);
        assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
    }
    // One that is killed comes back under the configuration that holds, not under the bad file.
    fs::write(world.path("oneloop.toml"), "bad").unwrap();
    kill(before[0], "KILL");
    world.daemon.says("is started again");
    wait_until("there is another one", || {
        let now = children(supervisor);
        now.len() == 2 && !now.contains(&before[0])
    });
    for _ in 0..20 {
        assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
    }
}

#[test]
fn upgrades_lose_no_request_whatever_the_number_of_workers() {
    let world = World::start(TWO);
    let mut last: Option<Successor> = None;
    Load::during(world.daemon.address, |load| {
        for count in [2, 1, 3, 2] {
            load.goes_on();
            rewrite(&world, &format!("]\nworkers = {count}"), NEW);
            let next = match &last {
                None => upgrade(&world.daemon),
                Some(last) => {
                    assert!(last.signal("USR2"));
                    Successor::of(&world.daemon)
                }
            };
            if count > 1 {
                workers(next.0, count);
            }
            load.goes_on();
            assert_eq!(world.connect().get("/new").text(), "new");
            if let Some(before) = last.replace(next) {
                wait_until("the one before ends", || !before.lives());
            }
        }
    });
    assert_eq!(world.daemon.wait(), Some(0), "the first of them");
    last.unwrap().end();
}

#[test]
fn workers_end_with_a_supervisor_that_is_killed() {
    let world = World::start(TWO);
    let workers = workers(world.daemon.child.id(), 2);
    world.daemon.signal("KILL");
    assert_eq!(world.daemon.wait(), None);
    wait_until("they end", || !workers.iter().any(|worker| lives(*worker)));
}

#[test]
fn one_that_is_stuck_is_replaced() {
    let folder = Folder::new();
    let path = folder.path().join("notify");
    let _manager = UnixDatagram::bind(&path).unwrap();
    let prelude = format!("export NOTIFY_SOCKET='{}' WATCHDOG_USEC=1000000", path.display());
    let world = World::after(&prelude, TWO);
    let supervisor = world.daemon.child.id();
    let before = workers(supervisor, 2);
    kill(before[0], "STOP");
    world.daemon.says(&format!("process {} is stuck", before[0]));
    wait_until("there is another one", || {
        let now = children(supervisor);
        now.len() == 2 && !now.contains(&before[0])
    });
    // And the other one was heard of all the time.
    assert!(children(supervisor).contains(&before[1]));
    for _ in 0..20 {
        assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
    }
}
