//! How scripts end: badly, too late, killed, left alone. The client always gets a correct answer or
//! one that is visibly cut, and no process stays.

use std::io::ErrorKind;
use std::io::Read;

use rustix::process::{Signal, kill_process};

use super::{World, is_alive, pid};
use crate::support::client::Client;
use crate::support::programs::is_there;
use crate::support::running::wait_until;

const SCRIPTS: &str = r#"
[[site.route]]
path = "/cgi/*"
cgi = { root = "@PROGRAMS/cgi", environment = { GATE = "@GATE" } }
[[site.route]]
path = "/hasty/*"
cgi = { root = "@PROGRAMS/cgi", environment = { GATE = "@GATE" }, timeout = "300ms" }
"#;

/// A script that has come so far, its client, and the processes.
struct Midway {
    world: World,
    client: Client,
    script: u32,
    child: u32,
}

impl Midway {
    /// Starts `steps.sh`, and waits until it waits.
    fn start(folder: &str, query: &str) -> Midway {
        let world = World::start(SCRIPTS);
        let mut client = world.connect();
        client.send(format!("GET /{folder}/steps.sh?{query} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let ids = world.written("gate.ids");
        let (script, child) = ids.split_once(' ').unwrap();
        let (script, child) = (script.parse().unwrap(), child.parse().unwrap());
        Midway { world, client, script, child }
    }

    /// The same, and its client has seen that its answer has begun.
    fn answering(folder: &str, query: &str) -> Midway {
        let mut midway = Midway::start(folder, query);
        let head = midway.client.begin();
        assert_eq!(head.status, 200);
        if query == "length" {
            assert_eq!(midway.client.exactly(6), b"first\n");
        } else {
            midway.client.expect_in_chunks("first\n");
        }
        midway
    }

    fn kill(&self) {
        kill_process(pid(self.script), Signal::KILL).unwrap();
    }

    /// Nothing of the script's group is left, not even a zombie of the server's.
    fn assert_gone(&self) {
        wait_until("the whole group ends", || !is_alive(self.script) && !is_alive(self.child));
        wait_until("the script is waited for", || super::state(self.script).is_none());
    }
}

#[test]
fn what_no_program_should_say_is_a_502_with_its_reason() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    for query in ["nothing", "no-end", "no-field", "no-type", "bad-status", "control", "exit"] {
        let answer = client.get(&format!("/cgi/answer.sh?{query}"));
        assert_eq!(answer.status, 502, "{query}");
        assert!(!answer.text().contains("this is no field"), "{query} was passed on");
        let reason = world.daemon.says("answer.sh");
        assert!(reason.trim().len() > 10, "{query}: {reason:?} is no reason");
    }
    assert_eq!(client.get("/file.txt").text(), "a file");
    world.assert_well();
}

#[test]
fn killed_before_its_head_or_in_it_gives_a_502() {
    for query in ["before", "head"] {
        let mut midway = Midway::start("cgi", query);
        midway.kill();
        assert_eq!(midway.client.response(false).status, 502, "{query}");
        midway.assert_gone();
        assert_eq!(midway.client.get("/file.txt").text(), "a file");
        midway.world.assert_well();
    }
}

#[test]
fn killed_in_its_content_gives_a_cut_answer() {
    let mut midway = Midway::answering("cgi", "content");
    midway.kill();
    let mut rest = Vec::new();
    let end = midway.client.stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it looks whole: {end:?}");
    midway.assert_gone();
    midway.world.assert_well();
    let mut midway = Midway::answering("cgi", "length");
    midway.kill();
    assert_eq!(midway.client.read_to_end(), b"");
    midway.assert_gone();
}

/// The end of the connection is the end of the content for such a client: only a reset tells it
/// that there should have been more.
#[test]
fn killed_in_its_content_an_http_1_0_client_sees_a_reset() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    client.send("GET /cgi/steps.sh?content HTTP/1.0\r\n\r\n");
    let head = client.begin();
    assert_eq!((head.status, client.exactly(6)), (200, b"first\n".to_vec()));
    let ids = world.written("gate.ids");
    let script = ids.split(' ').next().unwrap().parse().unwrap();
    kill_process(pid(script), Signal::KILL).unwrap();
    let end = client.stream.read_to_end(&mut Vec::new());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn too_late_with_its_head_gives_a_504() {
    for query in ["before", "head"] {
        let mut midway = Midway::start("hasty", query);
        assert_eq!(midway.client.response(false).status, 504, "{query}");
        midway.assert_gone();
        midway.world.daemon.says("steps.sh");
        assert_eq!(midway.client.get("/file.txt").text(), "a file");
    }
}

#[test]
fn too_late_with_its_content_gives_a_cut_answer() {
    let mut midway = Midway::answering("hasty", "content");
    let mut rest = Vec::new();
    let _ = midway.client.stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it looks whole");
    midway.assert_gone();
    midway.world.assert_well();
}

#[test]
fn when_its_client_leaves_its_whole_group_is_killed() {
    for query in ["before", "head", "content"] {
        let midway = if query == "content" {
            Midway::answering("cgi", query)
        } else {
            Midway::start("cgi", query)
        };
        assert!(is_alive(midway.script) && is_alive(midway.child));
        let Midway { world, client, script, child } = midway;
        drop(client);
        let midway = Midway { client: world.connect(), world, script, child };
        midway.assert_gone();
        midway.world.assert_well();
    }
}

#[test]
fn when_the_server_ends_every_group_is_killed() {
    let text = format!("{SCRIPTS}\n");
    let world =
        World::within(crate::support::folder::Folder::new(), "[limits]\ndrain = \"100ms\"", &text);
    let mut client = world.connect();
    client.send("GET /cgi/steps.sh?content HTTP/1.1\r\nHost: a\r\n\r\n");
    client.begin();
    client.expect_in_chunks("first\n");
    let ids = world.written("gate.ids");
    let ids: Vec<u32> = ids.split(' ').map(|id| id.parse().unwrap()).collect();
    world.daemon.signal("TERM");
    let World { daemon, folder } = world;
    assert_eq!(daemon.wait(), Some(0));
    wait_until("all of them end", || !ids.iter().any(|&id| is_alive(id)));
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it looks whole");
    drop(folder);
}

#[test]
fn a_graceful_end_waits_for_a_script() {
    let mut midway = Midway::answering("cgi", "content");
    midway.world.daemon.signal("TERM");
    // The server has heard it when nobody can connect any more.
    let address = midway.world.daemon.address;
    wait_until("nobody listens", || std::net::TcpStream::connect(address).is_err());
    midway.world.open_gate();
    midway.client.expect_in_chunks("second\n");
    assert!(midway.client.chunk().is_empty());
    drop(midway.client);
    assert_eq!(midway.world.daemon.wait(), Some(0));
}

#[test]
fn a_client_that_leaves_in_a_flood_stops_it() {
    let midway = Midway::answering("cgi", "content-flood");
    midway.world.open_gate();
    let Midway { world, mut client, script, child } = midway;
    client.exactly(100_000);
    drop(client);
    let midway = Midway { client: world.connect(), world, script, child };
    midway.assert_gone();
    midway.world.assert_well();
}

#[test]
fn a_reader_that_rests_makes_the_script_rest() {
    let midway = Midway::answering("cgi", "content-flood");
    let before = midway.world.peak();
    midway.world.open_gate();
    // Everything between script and client is full when the script has waited for long enough to
    // be seen waiting twice at the same place.
    let path = format!("/proc/{}/io", midway.script);
    let written = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        super::children(midway.script)
            .iter()
            .filter_map(|id| std::fs::read_to_string(format!("/proc/{id}/io")).ok())
            .chain([text])
            .collect::<String>()
    };
    let mut last = String::new();
    let mut same = 0;
    wait_until("the script rests", || {
        let now = written();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same > 50
    });
    let grown = midway.world.peak() - before;
    assert!(grown < 8 << 20, "the server has grown by {grown} bytes");
    midway.world.assert_well();
}

const TROUBLE: &str = r#"
[[site.route]]
path = "/cgi/*"
[site.route.cgi]
root = "@PROGRAMS/cgi"
environment = { GATE = "@GATE" }
timeout = "2s"
processes = 1
queue = 0
"#;

#[test]
fn one_that_redirects_and_goes_on_for_ever_is_ended_and_its_place_is_free() {
    let world = World::start(TROUBLE);
    let mut client = world.connect();
    assert_eq!(client.get("/cgi/trouble.sh?flood").text(), "well");
    let script = world.written("gate.id").parse().unwrap();
    wait_until("it ends", || !is_alive(script));
    wait_until("its place is free", || client.get("/cgi/hello.sh").status == 200);
    world.assert_well();
}

#[test]
fn one_that_leaves_somebody_behind_has_answered_all_the_same() {
    if !is_there("setsid") {
        return;
    }
    let world = World::start(TROUBLE);
    let mut client = world.connect();
    assert_eq!(client.get("/cgi/trouble.sh?daemon").text(), "abc");
    assert_eq!(client.get("/file.txt").text(), "a file");
    wait_until("its place is free", || client.get("/cgi/hello.sh").status == 200);
    world.open_gate();
    world.assert_well();
}

#[test]
fn a_client_that_has_ended_its_side_gets_what_still_flows() {
    let limits = "[limits]\nhalf-closed = \"1s\"\n";
    let world = World::within(crate::support::folder::Folder::new(), limits, SCRIPTS);
    let mut client = world.connect();
    client.send("GET /cgi/trouble.sh?drip HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.finish();
    assert_eq!(client.begin().status, 200);
    // That takes longer than a client has for whom nothing moves.
    let mut content = Vec::new();
    while content.len() < 5 * 40 {
        let chunk = client.chunk();
        assert!(!chunk.is_empty(), "the end after {} bytes", content.len());
        content.extend(chunk);
    }
    world.open_gate();
    let rest = client.read_to_fin();
    assert!(rest.ends_with(b"0\r\n\r\n"), "it was cut");
    world.assert_well();
}
