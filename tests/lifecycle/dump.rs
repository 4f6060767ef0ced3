//! SIGQUIT: what the loop did last is in the error log, and the server goes on.

use super::World;
use super::workers::{kill, workers};
use crate::support::running::wait_until;

/// Whether the log has all of these, each behind the one before.
fn tells(said: &[String], parts: &[&str]) -> bool {
    let mut lines = said.iter();
    parts.iter().all(|part| lines.any(|line| line.contains(part)))
}

const PARTS: [&str; 8] = [
    "SIGQUIT: what the loop did last",
    "accepted from 127.0.0.1:",
    "idle/idle -> idle/idle read ",
    "idle/idle -> done/owed head: GET /file.txt?\\x1b HTTP/1.1",
    "done/owed -> done/content answered 200",
    "done/content -> idle/idle wrote ",
    "served for ",
    "this was the last",
];

#[test]
fn what_the_loop_did_last_is_told() {
    let world = World::start("");
    let mut client = world.connect();
    // A byte that no log shall have as it is.
    client.send("GET /file.txt?\u{1b} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response(false).status, 400);
    assert_eq!(world.connect().get("/file.txt").status, 200);
    world.daemon.signal("QUIT");
    let parts = PARTS.map(|part| part.replace("?\\x1b", ""));
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut said = Vec::new();
    wait_until("it is told", || {
        said.extend(world.daemon.said());
        tells(&said, &parts)
    });
    assert!(said.iter().all(|line| !line.contains('\u{1b}')));
    assert_eq!(world.connect().get("/file.txt").status, 200, "it goes on");
}

#[test]
fn a_supervisor_has_its_workers_tell() {
    let world = World::start("[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2");
    let workers = workers(world.daemon.child.id(), 2);
    assert_eq!(world.connect().get("/file.txt").status, 200);
    world.daemon.signal("QUIT");
    let mut said = Vec::new();
    let mut told = |count| {
        said.extend(world.daemon.said());
        let is_told = |line: &&String| line.contains("SIGQUIT: what the loop did last");
        said.iter().filter(is_told).count() == count
    };
    wait_until("both have told", || told(2));
    kill(workers[0], "QUIT");
    wait_until("one has told again", || told(3));
    assert_eq!(world.connect().get("/file.txt").status, 200);
}
