//! What is under way across a reload that takes away all that it is about: it goes on to its end by
//! what it began with, and what comes behind it goes by the new configuration.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use super::super::{begin_download, big};
use super::{World, configuration, word};
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::{Daemon, wait_until};

/// Says something, waits for the file `go`, and says the rest.
const SLOW: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nbegun,'\n\
                    while ! [ -e ../go ]; do sleep 0.01; done\nprintf ended\n";

/// Says how many bytes of content it was sent.
const COUNT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nwc -c | tr -d ' \\n'\n";

/// An origin that changes the protocol, and then says again what it hears.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo";
        stream.write_all(format!("{switch}\r\n\r\n").as_bytes()).unwrap();
        let mut buffer = [0; 1000];
        while let Ok(count) = stream.read(&mut buffer)
            && count > 0
        {
            stream.write_all(&buffer[..count]).unwrap();
        }
    });
    address
}

fn script(folder: &Folder, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.write(name, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn world() -> World {
    let folder = Folder::new();
    folder.write("www/big.bin", big());
    script(&folder, "cgi/slow.sh", SLOW);
    script(&folder, "cgi/count.sh", COUNT);
    let route = |path: &str, action: &str| format!("[[site.route]]\npath = \"{path}\"\n{action}\n");
    let proxy = format!("proxy = {{ to = \"http://{}\" }}", echo());
    let site = word("old")
        + &route("/tunnel", &proxy)
        + &route("/slow", "cgi = { program = \"cgi/slow.sh\", timeout = \"60s\" }")
        + &route("/count", "cgi = { program = \"cgi/count.sh\", processes = 1 }");
    let file = folder.write("oneloop.toml", configuration("", &site));
    World { daemon: Daemon::configured(&file, ""), folder }
}

/// An upload to the script that counts, half of which has come.
fn begin_upload(world: &World) -> Client {
    let mut client = world.connect();
    client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n");
    client.send("Expect: 100-continue\r\n\r\n");
    assert_eq!(client.begin().status, 100, "it has been taken up");
    client.send(vec![b'x'; 50_000]);
    client
}

#[test]
fn what_is_under_way_ends_as_it_began() {
    let world = world();
    let mut slow = world.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(slow.begin().status, 200);
    slow.expect_in_chunks("begun,");
    let mut tunnel = world.connect();
    tunnel.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(tunnel.begin().status, 101);
    let mut uploads = [begin_upload(&world), begin_upload(&world)];
    let mut download = world.connect();
    begin_download(&mut download);
    let mut late = world.connect();
    assert_eq!(late.get("/word").text(), "old");

    // Nothing is left of all that; and not even its content would be allowed any more.
    let limits = "[limits]\ncontent = { bytes = \"1KiB\" }\n";
    let site = word("new").replace("root = \"www\"\n", "");
    world.reload(&configuration("", &format!("{limits}{site}")), "reloaded");
    for target in ["/slow", "/count", "/tunnel", "/big.bin"] {
        assert_eq!(world.connect().get(target).status, 404, "{target}");
    }
    assert_eq!(late.get("/word").text(), "new");

    // Both want the only process there may be of a program that nobody else knows any more.
    for client in &mut uploads {
        client.send(vec![b'x'; 50_000]);
    }
    for client in &mut uploads {
        assert_eq!(client.response(false).text(), "100000");
        assert_eq!(client.get("/count").status, 404);
        assert_eq!(client.get("/word").text(), "new");
    }
    tunnel.send("still here");
    assert_eq!(tunnel.exactly(10), b"still here");
    fs::write(world.path("go"), "").unwrap();
    slow.expect_in_chunks("ended");
    assert!(slow.chunk().is_empty());
    assert_eq!(slow.get("/word").text(), "new");
    download.finish();
    assert!(download.read_to_fin().ends_with(&big()), "the download was cut off");
    drop(tunnel);
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.wait(), Some(0));
}

/// Descriptors of the daemon that are sockets.
fn sockets(world: &World) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", world.daemon.child.id())).unwrap();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[test]
fn connections_kept_for_programs_go_with_the_configuration() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let origin = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4000];
        assert!(stream.read(&mut buffer).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        stream.read(&mut buffer).map_or(usize::MAX, |count| count)
    });
    let folder = Folder::new();
    let route = "[[site.route]]\npath = \"/p\"\n";
    let proxy = format!("{route}proxy = {{ to = \"http://{address}\" }}\n");
    folder.write("www/file.txt", "");
    let file = folder.write("oneloop.toml", configuration("", &(word("old") + &proxy)));
    let world = World { daemon: Daemon::configured(&file, ""), folder };
    let before = sockets(&world);
    assert_eq!(world.connect().get("/p").text(), "hi");
    world.reload(&configuration("", &word("new")), "reloaded");
    assert_eq!(origin.join().unwrap(), 0, "it is told of the end");
    wait_until("its socket is closed", || sockets(&world) == before);
}
