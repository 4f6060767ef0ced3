//! What scripts complain of: it comes into the log, but no script can fill the log or keep the loop
//! to itself.

use super::{World, is_alive};
use crate::support::folder::Folder;
use crate::support::running::wait_until;

/// Lines and bytes of one script's complaints that may be logged, and a few words around them.
const LINES: usize = 1_000;
const BYTES: usize = 64 << 10;

fn routes(timeout: &str) -> String {
    format!(
        "[[site.route]]\npath = \"/cgi/*\"\n[site.route.cgi]\nroot = \"@PROGRAMS/cgi\"\n\
         environment = {{ GATE = \"@GATE\" }}\ntimeout = \"{timeout}\"\n\
         processes = 1\nqueue = 0\n"
    )
}

#[test]
fn one_that_complains_for_ever_stops_nobody_and_is_ended() {
    let world = World::start(&routes("1s"));
    let mut client = world.connect();
    client.send("GET /cgi/trouble.sh?complain HTTP/1.1\r\nHost: a\r\n\r\n");
    let script = world.written("gate.id").parse().unwrap();
    let mut other = world.connect();
    for _ in 0..20 {
        assert_eq!(other.get("/file.txt").text(), "a file");
    }
    assert_eq!(client.response(false).status, 504);
    wait_until("it ends", || !is_alive(script));
    assert_eq!(client.get("/file.txt").text(), "a file");
    world.assert_well();
}

#[test]
fn of_many_complaints_the_first_are_logged_and_then_that_there_are_more() {
    let world = World::start(&routes("1s"));
    assert_eq!(world.connect().get("/cgi/trouble.sh?complain").status, 504);
    let mut said = Vec::new();
    wait_until("its end is logged", || {
        said.extend(world.daemon.said());
        said.iter().any(|line| line.contains("(504"))
    });
    let (complaints, rest): (Vec<String>, Vec<String>) =
        said.into_iter().partition(|line| line.ends_with("says: y"));
    // Each of them is two bytes long as the script says it.
    assert!(complaints.len() >= 100, "only {} of them are logged", complaints.len());
    assert!(complaints.len() <= LINES, "{} of them are logged", complaints.len());
    let of_it: Vec<&String> = rest.iter().filter(|line| line.contains("trouble.sh")).collect();
    let cuts = of_it.iter().filter(|line| !line.contains("(504")).count();
    assert_eq!(cuts, 1, "one line says that more is not logged: {of_it:#?}");
    // The next one may complain again.
    wait_until("there is room", || world.connect().get("/cgi/answer.sh?complain").status == 200);
    world.daemon.says("says: one");
    world.assert_well();
}

#[test]
fn how_much_of_them_is_logged_can_be_said() {
    let limits = "[limits]\ncomplaints = { lines = 1, bytes = \"1KiB\" }\n";
    let world = World::within(Folder::new(), limits, &routes("5s"));
    assert_eq!(world.connect().get("/cgi/answer.sh?complain").status, 200);
    world.daemon.says("says: one");
    let more = world.daemon.says("answer.sh says ");
    assert_eq!(more, "more than is logged of one exchange");
}

#[test]
fn long_complaints_are_not_logged_for_ever_either() {
    let world = World::start(&routes("1s"));
    assert_eq!(world.connect().get("/cgi/trouble.sh?moan").status, 504);
    let mut said = Vec::new();
    wait_until("its end is logged", || {
        said.extend(world.daemon.said());
        said.iter().any(|line| line.contains("(504"))
    });
    let logged: usize = said.iter().map(|line| line.matches("moan ").count() * 5).sum();
    assert!((1..=BYTES).contains(&logged), "{logged} bytes of them are logged");
}

#[test]
fn one_that_has_answered_and_complains_for_ever_is_ended() {
    let world = World::start(&routes("1s"));
    let mut client = world.connect();
    assert_eq!(client.get("/cgi/trouble.sh?grumble").text(), "fine");
    let script = world.written("gate.id").parse().unwrap();
    assert_eq!(client.get("/file.txt").text(), "a file");
    wait_until("it ends", || !is_alive(script));
    wait_until("its place is free", || client.get("/cgi/hello.sh").status == 200);
    let said = world.daemon.said();
    let complaints = said.iter().filter(|line| line.ends_with("says: y")).count();
    assert!(complaints <= LINES, "{complaints} of its complaints are logged");
    world.assert_well();
}
