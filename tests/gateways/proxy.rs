//! Real origin servers behind the proxy: Flask under gunicorn, and Node.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;

use super::{PYTHON, Started, World, chunked, json, programs, random_bytes, sha256};
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::programs::is_there;
use crate::support::running::wait_until;

/// A real origin server, and the server before it.
struct Proxied {
    world: World,
    origin: Started,
}

impl Proxied {
    /// Passes everything below `/o/` on to what `command` starts.
    fn start(folder: Folder, command: &Command) -> Proxied {
        let origin = Started::serving(command);
        let route = format!(
            "[[site.route]]\npath = \"/o/*\"\ncontent = {{ bytes = \"1GiB\" }}\n\
             proxy = {{ to = \"{}\", strip = \"/o\" }}\n",
            origin.url()
        );
        Proxied { world: World::within(folder, "", &route), origin }
    }

    fn flask() -> Option<Proxied> {
        let library = "/usr/lib/python3/dist-packages/flask/__init__.py";
        if !(is_there(PYTHON) && is_there("/usr/bin/gunicorn") && is_there(library)) {
            return None;
        }
        let mut command = Command::new("/usr/bin/gunicorn");
        command.args(["--bind", "127.0.0.1:0", "--workers", "2", "--threads", "4", "--chdir"]);
        command.arg(programs("")).arg("flask_application:application");
        Some(Proxied::start(Folder::new(), &command))
    }

    fn node() -> Option<Proxied> {
        if !is_there("/usr/bin/node") {
            return None;
        }
        let folder = Folder::new();
        let mut command = Command::new("/usr/bin/node");
        command.arg(programs("origin.js")).arg(folder.path().join("gate"));
        Some(Proxied::start(folder, &command))
    }

    fn connect(&self) -> Client {
        self.world.connect()
    }
}

#[test]
fn a_flask_application_under_gunicorn() {
    let Some(proxied) = Proxied::flask() else { return };
    let mut client = proxied.connect();
    let answer = client.get("/o/");
    assert_eq!(answer.text(), "you asked http://localhost/\n");
    let cookies = answer.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    assert_eq!(cookies.count(), 2);
    let fields = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = client.request("POST", "/o/form?q=x%20y", &fields, b"name=J%C3%BCrgen");
    let expected = r#"{"name":"Jürgen","query":"x y","address":"127.0.0.1"}"#;
    assert_eq!(json(answer.text()), json(expected));
    assert_eq!(client.get("/o/lines").text().lines().count(), 5000);
    let moved = client.get("/o/redirect");
    assert_eq!((moved.status, moved.field("Location")), (302, Some("http://localhost/")));
    assert_eq!(client.get("/o/broken").status, 500);
    assert_eq!(client.get("/o/missing").status, 404);
    assert_eq!(client.request("HEAD", "/o/lines", &[], b"").status, 200);

    let file = random_bytes(6, 3 << 20);
    let mut content =
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n"
            .to_vec();
    content.extend_from_slice(&file);
    content.extend_from_slice(b"\r\n--b--\r\n");
    let fields = [("Content-Type", "multipart/form-data; boundary=b")];
    let plain = client.request("POST", "/o/upload", &fields, &content);
    client.send(
        "POST /o/upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n",
    );
    client.send(chunked(&content));
    for answer in [plain, client.response(false)] {
        assert_eq!(json(answer.text())["sha256"], sha256(&file));
    }
    proxied.world.assert_well();
}

#[test]
fn many_clients_of_gunicorn_at_once() {
    let Some(proxied) = Proxied::flask() else { return };
    let address = proxied.world.daemon.address;
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                for _ in 0..10 {
                    assert_eq!(client.get("/o/").text(), "you asked http://localhost/\n");
                }
            });
        }
    });
    proxied.world.assert_well();
}

#[test]
fn server_sent_events_of_node_come_at_once() {
    let Some(proxied) = Proxied::node() else { return };
    let mut client = proxied.connect();
    client.send("GET /o/events HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.begin();
    assert_eq!(head.field("Content-Type"), Some("text/event-stream"));
    client.expect_in_chunks("data: first\n\n");
    proxied.world.open_gate();
    client.expect_in_chunks("data: second\n\n");
    assert!(client.chunk().is_empty());
}

#[test]
fn early_hints_of_node_come_early() {
    let Some(proxied) = Proxied::node() else { return };
    let mut client = proxied.connect();
    client.send("GET /o/early HTTP/1.1\r\nHost: a\r\n\r\n");
    let early = client.begin();
    assert_eq!(early.status, 103);
    assert_eq!(early.field("Link"), Some("</style.css>; rel=preload; as=style"));
    proxied.world.open_gate();
    assert_eq!(client.response(false).text(), "late");
    // A client of HTTP/1.0 does not know of them.
    client.send("GET /o/early HTTP/1.0\r\n\r\n");
    let head = client.begin();
    assert_eq!((head.status, client.whole_or_cut(&head)), (200, Ok(b"late".to_vec())));
}

#[test]
fn an_upload_larger_than_memory_is_streamed() {
    const LENGTH: usize = 64 << 20;
    let Some(proxied) = Proxied::node() else { return };
    let mut client = proxied.connect();
    assert_eq!(client.get("/o/length").text(), "12345");
    let before = proxied.world.peak();
    let content = random_bytes(64, LENGTH);
    let framed = chunked(&content);
    client.send("POST /o/upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(&framed);
    let said = json(client.response(false).text());
    assert_eq!((&said["length"], &said["framing"]), (&LENGTH.into(), &"chunked".into()));
    let first = said["sha1"].clone();
    let plain = client.request("POST", "/o/upload", &[], &content);
    let said = json(plain.text());
    assert_eq!(said["framing"], LENGTH.to_string());
    assert_eq!(said["sha1"], first);
    let folder = Folder::new();
    let file = folder.write("content", &content);
    let output = Command::new("sha1sum").arg(file).output().unwrap().stdout;
    assert_eq!(&output[..40], first.as_str().unwrap().as_bytes());
    let grown = proxied.world.peak() - before;
    assert!(grown < 8 << 20, "the server has grown by {grown} bytes");
}

#[test]
fn an_origin_that_rests_makes_the_client_rest() {
    const LENGTH: usize = 64 << 20;
    let Some(proxied) = Proxied::node() else { return };
    let before = proxied.world.peak();
    let mut client = proxied.connect();
    client
        .send(format!("POST /o/reluctant HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"));
    let mut stream = client.stream.try_clone().unwrap();
    let (sender, receiver) = mpsc::channel();
    let writer = std::thread::spawn(move || {
        let content = random_bytes(65, LENGTH);
        for part in content.chunks(1 << 16) {
            stream.write_all(part).unwrap();
            let _ = sender.send(part.len());
        }
    });
    let pause = Duration::from_millis(500);
    let mut taken = 0;
    while let Ok(count) = receiver.recv_timeout(pause) {
        taken += count;
    }
    assert!(taken < LENGTH, "all of it is somewhere");
    let grown = proxied.world.peak() - before;
    assert!(grown < 8 << 20, "the server has grown by {grown} bytes");
    proxied.world.open_gate();
    assert_eq!(json(client.response(false).text())["length"], LENGTH);
    writer.join().unwrap();
}

#[test]
fn a_reader_that_rests_makes_the_origin_rest() {
    const LENGTH: u64 = 256 << 20;
    let Some(proxied) = Proxied::node() else { return };
    let before = proxied.world.peak();
    let mut client = proxied.connect();
    client.send("GET /o/flood HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.begin();
    assert_eq!(head.field("Content-Length"), Some(&*LENGTH.to_string()));
    let written = || json(proxied.connect().get("/o/flooded").text())["written"].as_u64().unwrap();
    let (mut last, mut same) = (0, 0);
    wait_until("the origin rests", || {
        let now = written();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same > 50
    });
    assert!(last < LENGTH / 2, "{last} bytes are somewhere");
    let grown = proxied.world.peak() - before;
    assert!(grown < 8 << 20, "the server has grown by {grown} bytes");
    // It goes on where it was, and ends when nobody wants it any more.
    let block = b"flood".repeat(13_108);
    for _ in 0..512 {
        assert!(client.exactly(1 << 16) == block[..1 << 16]);
    }
    drop(client);
    wait_until("the origin learns of it", || {
        json(proxied.connect().get("/o/flooded").text())["closed"] == true
    });
    proxied.world.assert_well();
}

#[test]
fn trailers_and_lengths_of_node() {
    let Some(proxied) = Proxied::node() else { return };
    let mut client = proxied.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/o/trailers").text(), "content");
        let head = client.request("HEAD", "/o/length", &[], b"");
        assert_eq!(head.field("Content-Length"), Some("5"));
        assert_eq!(client.get("/o/length").text(), "12345");
    }
}

#[test]
fn node_killed_in_an_exchange_is_seen() {
    for (path, has_begun) in [("/o/events", true), ("/o/reluctant", false)] {
        let Some(proxied) = Proxied::node() else { return };
        let mut client = proxied.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = has_begun.then(|| client.begin());
        if has_begun {
            client.expect_in_chunks("data: first\n\n");
        }
        proxied.origin.signal_all(Signal::KILL);
        match head {
            Some(head) => assert_eq!(client.whole_or_cut(&head), Err(Vec::new())),
            None => assert_eq!(client.response(false).status, 502),
        }
        let address = proxied.origin.daemon.address;
        wait_until("its port is closed", || TcpStream::connect(address).is_err());
        assert_eq!(proxied.connect().get("/o/length").status, 502);
        proxied.world.assert_well();
    }
}
