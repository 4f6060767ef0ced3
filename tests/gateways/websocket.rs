//! Connections that change their protocol, through the proxy: WebSocket between a real library and
//! a real application, and the edges between a test and a made-up origin.

use std::io::{ErrorKind, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use super::origin::{Origin, route};
use super::{PYTHON, Started, World, programs};
use crate::support::folder::Folder;
use crate::support::programs::is_there;

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-A: b\r\n\r\n";
const ASK: &str = "GET /e HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

#[test]
fn websockets_between_a_real_client_and_a_real_application() {
    let library = "/usr/lib/python3/dist-packages/websockets/__init__.py";
    if !(is_there(PYTHON) && is_there("/usr/bin/uvicorn") && is_there(library)) {
        return;
    }
    let mut command = Command::new("/usr/bin/uvicorn");
    command.args(["--host", "127.0.0.1", "--port", "0", "--app-dir"]).arg(programs(""));
    command.arg("--ws-max-size=16777216").arg("asgi_application:application");
    let program = Started::serving(&command);
    let world = World::start(&format!(
        "[[site.route]]\npath = \"/ws/*\"\nproxy = {{ to = \"{}\", strip = \"/ws\" }}\n",
        program.url()
    ));
    assert_eq!(world.connect().get("/ws/hello").text(), "hello");
    let url = format!("ws://{}/ws", world.daemon.address);
    let output = Command::new(PYTHON)
        .arg(programs("websocket_client.py"))
        .arg(url)
        .env_remove("http_proxy")
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert_eq!(output.stdout, b"done\n");
    program.daemon.says("closed with 4000");
    world.assert_well();
}

#[test]
fn thousands_of_protocols_do_not_stop_the_loop() {
    let offered: Vec<String> = (0..8000).map(|number| format!("a{number}")).collect();
    let ask = ASK.replace("echo", &offered.join(","));
    let switch = SWITCH.replace("echo", &"A7999,".repeat(10_000));
    let origin = Origin::start(move |mut wire| {
        wire.head();
        wire.write(&switch);
    });
    let limits = "[limits]\nhead = { bytes = \"60KiB\" }\n";
    let world = World::within(Folder::new(), limits, &route(&origin, ""));
    let start = Instant::now();
    for _ in 0..5 {
        let mut client = world.connect();
        client.send(&ask);
        assert_eq!(client.begin().status, 101);
    }
    // To compare each with each takes twice as long.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    world.assert_well();
}

#[test]
fn what_comes_right_behind_the_switch_is_passed_on() {
    let origin = Origin::start(|mut wire| {
        wire.head();
        wire.write([SWITCH, "at once"].concat());
        let said = wire.content(11);
        wire.write(said);
        wire.wait();
    });
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    client.send([ASK, "too "].concat());
    let head = client.begin();
    assert_eq!((head.status, head.field("Upgrade")), (101, Some("echo")));
    assert!(head.field("Connection").unwrap().eq_ignore_ascii_case("upgrade"));
    assert_eq!(head.field("X-A"), Some("b"));
    assert_eq!(client.exactly(7), b"at once");
    client.send("hastily");
    assert_eq!(client.exactly(11), b"too hastily");
    let asked = origin.heads()[0].to_ascii_lowercase();
    assert!(asked.contains("\r\nupgrade: echo\r\n"), "{asked}");
    assert!(asked.contains("\r\nconnection: upgrade\r\n"), "{asked}");
    world.assert_well();
}

#[test]
fn each_side_of_a_tunnel_learns_of_the_others_end() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let origin = Origin::start(move |mut wire| {
        wire.head();
        wire.write(SWITCH);
        if wire.content(5) == b"leave" {
            return;
        }
        wire.wait();
        sender.send("the client has left").unwrap();
    });
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    client.send(ASK);
    assert_eq!(client.begin().status, 101);
    client.send("leave");
    match client.stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        Ok(count) => panic!("{count} bytes out of nowhere"),
    }
    let mut client = world.connect();
    client.send(ASK);
    assert_eq!(client.begin().status, 101);
    client.send("stay.");
    drop(client);
    receiver.recv_timeout(crate::support::running::DEADLINE).unwrap();
    world.assert_well();
}

#[test]
fn an_origin_need_not_switch() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    for _ in 0..2 {
        client.send(ASK);
        assert_eq!(client.response(false).text(), "plain");
    }
    world.assert_well();
}

#[test]
fn a_large_stream_goes_both_ways_at_once() {
    const LENGTH: usize = 20 << 20;
    let origin = Origin::start(|mut wire| {
        wire.head();
        wire.write(SWITCH);
        let mut left = LENGTH;
        while left > 0 {
            let part = wire.content(left.min(100_000));
            assert!(!part.is_empty(), "cut with {left} bytes to come");
            left -= part.len();
            wire.write(part);
        }
        wire.wait();
    });
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    client.send(ASK);
    assert_eq!(client.begin().status, 101);
    let content = super::random_bytes(20, LENGTH);
    let mut writer = client.stream.try_clone().unwrap();
    let sent = content.clone();
    let sender = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    assert!(client.exactly(LENGTH) == content, "something else came back");
    sender.join().unwrap();
    assert!(world.peak() < 100 << 20, "{}", world.peak());
}
