//! The admin listener through the changes of a server's life: reloads, upgrades, several workers.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::upgrade::upgrade;
use super::workers::{kill, workers};
use super::{World, config};
use crate::support::client;
use crate::support::folder::Folder;
use crate::support::running::wait_until;

/// What is answered at the socket; nothing where nobody listens.
fn ask(socket: &Path, path: &str) -> Option<String> {
    client::ask(UnixStream::connect(socket).ok()?, path).ok()
}

/// Answers of one route, as the process behind the socket has counted them.
fn answers(socket: &Path) -> u64 {
    let text = ask(socket, "/metrics").unwrap();
    let of_files = |line: &&str| {
        line.starts_with("oneloop_requests_total{") && line.contains("route=\"/*\",status=\"2xx\"")
    };
    let line = text.lines().find(of_files).expect(&text);
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn server(more: &str, admin: &Path) -> String {
    format!("[server]\nlisten = \"127.0.0.1:0\"\n{more}\nadmin = \"unix:{}\"", admin.display())
}

#[test]
fn a_reload_moves_it_and_takes_it_away_and_counts_on() {
    let folder = Folder::new();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let world = World::start(&server("", &first));
    assert_eq!(world.connect().get("/file.txt").status, 200);
    assert_eq!(answers(&first), 1);
    let reload = |text: &str| {
        fs::write(world.path("oneloop.toml"), config(text)).unwrap();
        world.daemon.signal("HUP");
        world.daemon.says("reloaded");
    };
    reload(&server("", &second));
    assert!(!first.exists(), "it still listens where it did");
    assert_eq!(world.connect().get("/file.txt").status, 200);
    assert_eq!(answers(&second), 2, "a route keeps its count");
    reload("");
    assert!(!second.exists() && ask(&second, "/").is_none(), "it still listens");
    assert_eq!(world.connect().get("/metrics").status, 404);
}

#[test]
fn an_upgrade_takes_it_over_at_once() {
    let folder = Folder::new();
    let admin = folder.path().join("admin");
    let world = World::start(&server("", &admin));
    // Whoever is still served by the old process does not keep it there.
    let mut idle = world.connect();
    assert_eq!(idle.get("/file.txt").status, 200);
    assert_eq!(answers(&admin), 1);
    let successor = upgrade(&world.daemon);
    // It says so just before it is so.
    wait_until("the old process does not answer", || answers(&admin) == 0);
    for _ in 0..20 {
        assert_eq!(answers(&admin), 0, "the old process answers");
        assert!(ask(&admin, "/readyz").unwrap().ends_with("\r\n\r\nready\n"));
    }
    drop(idle);
    assert_eq!(world.daemon.wait(), Some(0));
    assert!(ask(&admin, "/healthz").unwrap().ends_with("\r\n\r\nok\n"));
    successor.end();
    assert!(!admin.exists(), "it is left behind");
}

#[test]
fn each_worker_has_its_own() {
    let folder = Folder::new();
    let admin = folder.path().join("admin");
    let other = folder.path().join("admin.2");
    let world = World::start(&server("workers = 2", &admin));
    let supervisor = world.daemon.child.id();
    let all = workers(supervisor, 2);
    for _ in 0..20 {
        assert_eq!(world.connect().get("/file.txt").status, 200);
    }
    assert_eq!(answers(&admin) + answers(&other), 20);
    // A process that has died is not ready, and the one in its place has counted nothing.
    kill(all[0], "KILL");
    wait_until("both answer again", || {
        let died = workers(supervisor, 2).contains(&all[0]);
        !died && [&admin, &other].iter().all(|at| ask(at, "/readyz").is_some())
    });
    fs::write(world.path("oneloop.toml"), config(&server("workers = 1", &admin))).unwrap();
    world.daemon.signal("HUP");
    wait_until("the second is gone", || !other.exists());
    assert!(ask(&admin, "/readyz").unwrap().ends_with("ready\n"));
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.wait(), Some(0));
    assert!(!admin.exists(), "it is left behind");
}
