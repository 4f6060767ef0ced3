//! Step mode: the loop is held, and lets through what it is asked to. Who is held back is neither
//! served nor late.

use std::process::Command;

use oneloop::site::handler::{Request, Response};
use oneloop::site::router::Router;
use serde_json::Value;

use super::{PROGRAMS, World};
use crate::support::client::{self, Client};
use crate::support::folder::Folder;
use crate::support::running::{Daemon, Running, upgrade, wait_until};

/// One who lets events through.
struct Stepper(Client);

impl Stepper {
    fn new(world: &World) -> Stepper {
        Stepper(Client::connect(world.admin))
    }

    fn post(&mut self, path: &str) -> client::Response {
        self.0.request("POST", path, &[], b"")
    }

    /// Has the loop do this. Returns how it is held.
    fn command(&mut self, path: &str) -> Value {
        let response = self.post(path);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        serde_json::from_str(response.text()).unwrap()
    }

    /// Waits until somebody is ready. Returns what that is, and why it is next.
    fn next(&mut self) -> (String, String) {
        let mut next = Value::Null;
        wait_until("somebody is ready", || {
            next = self.command("/inspect/hold")["next"].clone();
            !next.is_null()
        });
        let text = |name: &str| next[name].as_str().unwrap().to_owned();
        (text("what"), text("why"))
    }

    /// Lets the next event through, whatever it is.
    fn step(&mut self) -> (String, String) {
        let next = self.next();
        self.command("/inspect/step");
        next
    }
}

fn pair(what: &str, why: &str) -> (String, String) {
    (what.to_owned(), why.to_owned())
}

/// Whether `client` has been answered already.
fn is_answered(client: &Client) -> bool {
    client.stream.set_nonblocking(true).unwrap();
    let is_there = client.stream.peek(&mut [0]).is_ok();
    client.stream.set_nonblocking(false).unwrap();
    is_there
}

#[test]
fn each_event_waits_to_be_let_through() {
    let world = World::steppable("", "");
    let mut stepper = Stepper::new(&world);
    assert_eq!(stepper.command("/inspect/hold")["before"], "event");
    let mut client = world.connect();
    client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(stepper.step(), pair("listener", "ready"));
    assert_eq!(stepper.next(), pair("client", "new"));
    assert!(!is_answered(&client), "it was served before");
    stepper.step();
    assert_eq!(client.response(false).text(), "0123456789");
    client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    // The epoll may tell once more of what the client can do since it is watched.
    wait_until("it is answered", || {
        assert_eq!(stepper.step(), pair("client", "ready"));
        is_answered(&client)
    });
    assert_eq!(client.response(false).status, 200);
    assert_eq!(stepper.command("/inspect/go"), Value::Null);
    assert_eq!(world.connect().get("/file.txt").status, 200, "it goes on");
    let refused = stepper.post("/inspect/step");
    assert_eq!((refused.status, refused.text()), (409, "the loop is not held\n"));
}

#[test]
fn a_script_is_stepped_through_from_its_first_event_to_its_last() {
    let world = World::steppable("", PROGRAMS);
    let mut stepper = Stepper::new(&world);
    stepper.command("/inspect/hold?event");
    let mut client = world.connect();
    client.send("GET /cgi/hello.sh HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut events = vec![stepper.step(), stepper.step()];
    assert_eq!(events, [pair("listener", "ready"), pair("client", "new")]);
    while !is_answered(&client) {
        events.push(stepper.step());
    }
    assert!(events.len() > 2, "the script's output is an event: {events:?}");
    assert!(events[2..].iter().all(|(what, _)| what == "client" || what == "program"));
    stepper.command("/inspect/go");
    assert_eq!(client.response(false).status, 200);
}

#[test]
fn a_turn_is_let_through_as_a_whole() {
    let world = World::steppable("", "");
    let mut kept: Vec<Client> = (0..3).map(|_| world.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.get("/file.txt").status, 200);
    }
    let mut stepper = Stepper::new(&world);
    assert_eq!(stepper.command("/inspect/hold?turn")["before"], "turn");
    for client in &mut kept {
        client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    wait_until("all are answered", || {
        stepper.command("/inspect/step?turn");
        kept.iter().all(is_answered)
    });
    for client in &mut kept {
        assert_eq!(client.response(false).status, 200);
    }
}

#[test]
fn a_server_that_is_held_can_be_ended() {
    let world = World::steppable("", "");
    let mut stepper = Stepper::new(&world);
    let mut client = world.connect();
    assert_eq!(client.get("/file.txt").status, 200);
    stepper.command("/inspect/hold");
    client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    stepper.next();
    world.daemon.signal("TERM");
    assert_eq!(client.response(false).status, 200);
    drop(client);
    assert_eq!(world.daemon.wait(), Some(0));
}

#[test]
fn of_a_loop_that_was_told_to_go_on_nobody_is_warned() {
    let world = World::steppable("", "");
    let mut stepper = Stepper::new(&world);
    stepper.command("/inspect/hold");
    stepper.command("/inspect/go");
    assert_eq!(world.connect().get("/file.txt").status, 200);
    drop(stepper);
    world.daemon.signal("TERM");
    let mut lines = Vec::new();
    wait_until("it says that it ends", || {
        lines.extend(world.daemon.said());
        lines.iter().any(|line| line.contains("ended"))
    });
    assert!(!lines.iter().any(|line| line.contains("step mode")), "{lines:?}");
}

#[test]
fn the_successor_of_a_loop_that_was_let_go_on_goes_on() {
    let folder = Folder::new();
    folder.write("a.txt", "here");
    let root = folder.path().to_str().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1", env!("CARGO_BIN_EXE_oneloop")]);
    command.args([root, "-p", "0", "--step"]);
    let daemon = Daemon::spawn(command);
    let said = daemon.says("Inspector on http://");
    let admin = said.strip_suffix("/inspect").unwrap();
    let gone = Client::connect(admin.parse().unwrap()).request("POST", "/inspect/go", &[], b"");
    assert_eq!(gone.status, 200);
    assert_eq!(daemon.connect().get("/a.txt").text(), "here");
    let successor = upgrade(&daemon);
    assert_eq!(daemon.connect().get("/a.txt").text(), "here");
    successor.end();
}

#[test]
fn commands_of_strangers_are_not_heard() {
    let world = World::steppable("", "");
    let mut stepper = Stepper::new(&world);
    for (fields, status) in [
        (&[("Host", "a.example")][..], 421),
        (&[("Host", "localhost"), ("Origin", "http://a.example")], 403),
        (&[("Host", "localhost"), ("Origin", "null")], 403),
    ] {
        let lines = fields.iter().map(|(name, is)| format!("{name}: {is}\r\n"));
        let fields = lines.collect::<Vec<_>>().concat();
        stepper.0.send(format!("POST /inspect/hold HTTP/1.1\r\n{fields}Content-Length: 0\r\n\r\n"));
        assert_eq!(stepper.0.response(false).status, status, "{fields}");
        stepper.0.send(format!("GET /status.json HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(stepper.0.response(false).status, status, "{fields}");
    }
    assert_eq!(stepper.post("/inspect/step").status, 409, "it is held by nobody");
    let refused = Stepper::new(&World::start("", "")).post("/inspect/hold");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("--step"), "{}", refused.text());
    assert_eq!(stepper.post("/inspect/hold?nonsense").status, 404);
    assert_eq!(stepper.0.get("/inspect/hold").status, 404);
    assert_eq!(world.connect().get("/file.txt").status, 200);
}

#[test]
fn a_server_can_begin_held() {
    let folder = Folder::new();
    folder.write("file.txt", "0123456789");
    let root = folder.path().to_str().unwrap();
    let daemon = Daemon::start(&[root, "-p", "0", "--step", "--log", "none"]);
    let url = daemon.says("Inspector on http://");
    let admin = url.strip_suffix("/inspect").unwrap().parse().unwrap();
    let mut client = daemon.connect();
    client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut stepper = Stepper(Client::connect(admin));
    assert_eq!(stepper.next(), pair("listener", "ready"));
    assert!(!is_answered(&client));
    stepper.command("/inspect/go");
    assert_eq!(client.response(false).text(), "0123456789");
    let configured = folder.write("a.toml", "[[site]]\nroot = \".\"\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    let refused = command.args(["--step", "-c"]).arg(configured).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("--step needs an inspector"), "{error}");
}

#[test]
fn a_kept_connection_to_a_program_is_told_in_step_mode_too() {
    let origin = Running::start(|| {
        Router::new().get("/api", |_: &Request<'_>| Response::text("far")).build().unwrap()
    });
    let route = format!(
        "[[site.route]]\npath = \"/api\"\nproxy = {{ to = \"http://{}\" }}\n",
        origin.address()
    );
    let world = World::steppable("", &route);
    let mut client = world.connect();
    assert_eq!(client.get("/api").text(), "far");
    let mut stepper = Stepper::new(&world);
    stepper.command("/inspect/hold");
    client.send("GET /api HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("it is answered", || {
        stepper.step();
        is_answered(&client)
    });
    assert_eq!(client.response(false).text(), "far");
}
