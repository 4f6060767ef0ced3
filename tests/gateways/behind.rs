//! Behind a load balancer: whom a connection or a request is from, wherever somebody is told.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::origin::Origin;
use super::programs;
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::{DEADLINE, Daemon, wait_until};

const ASK: &str = "GET /environment HTTP/1.1\r\nHost: a.example\r\n";
const FROM_IPV4: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A daemon that shows whom it takes its clients for, and the origin that it tells.
struct World {
    daemon: Daemon,
    folder: Folder,
    origin: Origin,
}

impl World {
    fn start(server: &str) -> World {
        let (folder, origin) = (Folder::new(), Origin::answering(ANSWER));
        let file = folder.write("oneloop.toml", configuration(server, &folder, &origin));
        World { daemon: Daemon::configured(&file, ""), folder, origin }
    }

    fn reload(&self, server: &str) {
        let text = configuration(server, &self.folder, &self.origin);
        self.folder.write("oneloop.toml", text);
        self.daemon.signal("HUP");
        self.daemon.says("reloaded");
    }

    /// The variables of a program that is asked on a new connection, which begins with `header`.
    fn told(&self, header: impl AsRef<[u8]>, fields: &str) -> Value {
        let mut client = self.daemon.connect();
        client.send(header);
        client.send(format!("{ASK}{fields}\r\n"));
        environment(&client.response(false).content)
    }

    /// Waits for a line about this client and this status at the end of the access log.
    fn logs(&self, client: &str, status: u16) -> Value {
        let mut line = Value::Null;
        wait_until("there is such a line", || {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            line =
                log.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).unwrap());
            line["client"] == client && line["status"] == status
        });
        line
    }

    /// All that comes back on a new connection that says `bytes`.
    fn exchange(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        let mut client = self.daemon.connect();
        client.send(bytes);
        client.read_to_end()
    }
}

fn configuration(server: &str, folder: &Folder, origin: &Origin) -> String {
    folder.write("www/file.txt", "a file");
    let folder = folder.path().display();
    format!(
        "[server]\n{server}\n[log]\naccess = {{ to = \"{folder}/log\", format = \"json\" }}\n\
         [[site]]\nroot = \"{folder}/www\"\n\
         [[site.route]]\npath = \"/environment\"\ncgi = {{ program = \"{}\" }}\n\
         [[site.route]]\npath = \"/origin\"\nproxy = {{ to = \"{}\" }}\n\
         [[site.route]]\npath = \"/inner\"\nallow = [\"192.0.2.0/24\"]\n\
         respond = {{ content = \"in\" }}\n",
        programs("cgi/environment.py").display(),
        origin.url()
    )
}

fn environment(content: &[u8]) -> Value {
    let mut said: Value = serde_json::from_slice(content).unwrap();
    said["environment"].take()
}

/// A listener whose clients from 127.0.0.1 begin with a header.
const SENDERS: &str = "listen = [{ addr = \"127.0.0.1:0\", proxy-protocol = \"127.0.0.1\" }]";

/// The same in the binary form, from 192.0.2.7 too, with more behind the addresses.
fn binary() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13".to_vec();
    header.extend([192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb, 4, 0, 4, 0, 0, 0, 0]);
    header
}

#[test]
fn what_a_header_says_is_told_everywhere() {
    let world = World::start(SENDERS);
    for header in [FROM_IPV4.as_bytes(), &binary()] {
        let told = world.told(header, "");
        for (name, value) in [
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_PORT", "4711"),
            ("SERVER_ADDR", "198.51.100.1"),
            ("SERVER_PORT", "443"),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
        world.logs("192.0.2.7", 200);
        let mut client = world.daemon.connect();
        client.send(header);
        // For the whole of the connection.
        assert_eq!(client.get("/inner").status, 200);
        assert_eq!(client.get("/origin").text(), "ok");
        let head = world.origin.heads().pop().unwrap().to_ascii_lowercase();
        assert!(head.contains("\r\nx-forwarded-for: 192.0.2.7\r\n"), "{head}");
        assert!(head.contains("for=192.0.2.7;"), "{head}");
    }
    let told = world.told("PROXY TCP6 2001:db8::9 ::1 4711 443\r\n", "");
    assert_eq!(told["REMOTE_ADDR"], "2001:db8::9");
    let mut other = world.daemon.connect();
    other.send("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n");
    assert_eq!(other.get("/inner").status, 403);
}

#[test]
fn a_header_may_come_in_pieces_and_with_requests_behind_it() {
    let world = World::start(SENDERS);
    for header in [FROM_IPV4.as_bytes(), &binary()] {
        let request = b"GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
        let bytes = [header, request, request].concat();
        for cut in 1..header.len() + 3 {
            let mut client = world.daemon.connect();
            client.send(&bytes[..cut]);
            // So that it is no longer on its way when the rest is sent.
            wait_until("it was read", || unread(&client) == 0);
            client.send(&bytes[cut..]);
            assert_eq!(client.response(false).text(), "in", "cut at {cut}");
            assert_eq!(client.response(false).text(), "in", "cut at {cut}");
        }
    }
}

/// Bytes of `client` that the server has not read.
fn unread(client: &Client) -> u32 {
    let (here, there) =
        (client.stream.local_addr().unwrap().port(), client.stream.peer_addr().unwrap().port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (here, there) = (format!(":{here:04X}"), format!(":{there:04X}"));
    let line = table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words[1].ends_with(&there) && words[2].ends_with(&here);
        is_it.then(|| words[4].rsplit_once(':').unwrap().1.to_owned())
    });
    // Not there yet: it has not been accepted.
    line.map_or(1, |bytes| u32::from_str_radix(&bytes, 16).unwrap())
}

#[test]
fn who_sends_none_or_a_malformed_one_is_closed_without_a_word() {
    let world = World::start(SENDERS);
    for bytes in [
        "GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\nGET / HTTP/1.0\r\n\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\nGET / HTTP/1.0\r\n\r\n",
        "\r\n\r\n\0\r\nQUIT\n\x21\x41\0\0",
        "G",
    ] {
        assert_eq!(world.exchange(bytes), b"", "{bytes:?}");
        let line = world.logs("127.0.0.1", 400);
        assert_eq!((&line["request"], &line["bytes"]), (&Value::Null, &0.into()));
        assert!(line["why"].as_str().unwrap().contains("PROXY header"), "{line}");
    }
    // A second one is no request.
    let twice = world.exchange(format!("{FROM_IPV4}{FROM_IPV4}"));
    assert!(twice.starts_with(b"HTTP/1.1 400 "), "{}", twice.escape_ascii());
    world.logs("192.0.2.7", 400);
}

#[test]
fn who_is_slow_has_the_time_of_a_head() {
    let world = World::start(&format!("{SENDERS}\n[limits]\nhead = {{ timeout = \"1s\" }}"));
    let begun = Instant::now();
    let mut slow = world.daemon.connect();
    slow.send("PROXY TCP4 192.0.2.7");
    assert_eq!(slow.read_to_end(), b"");
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(900) && took < DEADLINE / 2, "{took:?}");
}

#[test]
fn the_senders_own_connections_are_its_own() {
    let world = World::start(SENDERS);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for header in [&local[..], b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\x03abc"] {
        let told = world.told(header, "");
        assert_eq!(told["REMOTE_ADDR"], "127.0.0.1");
        assert_eq!(told["SERVER_ADDR"], "127.0.0.1");
    }
    // To see whether we live, some say nothing at all.
    drop(world.daemon.connect());
    let mut client = world.daemon.connect();
    client.send(local);
    client.finish();
    assert_eq!(client.read_to_end(), b"");
}

#[test]
fn others_are_clients_like_any_and_their_header_is_no_request() {
    let world = World::start(SENDERS);
    let mut client = Client::connect_from(([127, 0, 0, 2], 0).into(), world.daemon.address);
    assert_eq!(client.get("/file.txt").text(), "a file");
    world.logs("127.0.0.2", 200);
    for header in [FROM_IPV4.as_bytes(), &binary()] {
        let mut client = Client::connect_from(([127, 0, 0, 2], 0).into(), world.daemon.address);
        client.send([header, b"GET /inner HTTP/1.0\r\n\r\n"].concat());
        let answer = client.read_to_end();
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
        world.logs("127.0.0.2", 400);
    }
}

#[test]
fn a_reload_says_anew_who_sends_a_header() {
    let world = World::start("listen = \"127.0.0.1:0\"");
    let mut before = world.daemon.connect();
    assert_eq!(before.get("/inner").status, 403);
    world.reload(SENDERS);
    assert_eq!(world.told(FROM_IPV4, "")["REMOTE_ADDR"], "192.0.2.7");
    assert_eq!(before.get("/file.txt").status, 200);
    world.reload("listen = \"127.0.0.1:0\"");
    assert_eq!(world.told("", "")["REMOTE_ADDR"], "127.0.0.1");
}

#[test]
fn over_a_unix_domain_socket_all_send_one_or_none() {
    let folder = Folder::new();
    let path = folder.path().join("socket");
    let world = World::start(&format!(
        "listen = [\"127.0.0.1:0\", {{ addr = \"unix:{}\", proxy-protocol = \"unix\" }}]",
        path.display()
    ));
    let exchange = |bytes: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        String::from_utf8(all).unwrap()
    };
    let said = exchange(&format!("{FROM_IPV4}GET /inner HTTP/1.0\r\n\r\n"));
    assert!(said.ends_with("\r\n\r\nin"), "{said}");
    world.logs("192.0.2.7", 200);
    assert_eq!(exchange("GET /inner HTTP/1.0\r\n\r\n"), "");
    // Local clients are let in everywhere, and the balancer is one. Whom it does not know is not.
    let ask = "GET /inner HTTP/1.0\r\n\r\n";
    let unknown = exchange(&format!("PROXY UNKNOWN\r\n{ask}"));
    assert!(unknown.starts_with("HTTP/1.1 403 "), "{unknown}");
    let local = exchange(&format!("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0{ask}"));
    assert!(local.ends_with("\r\n\r\nin"), "{local}");
    assert_eq!(world.told("", "")["REMOTE_ADDR"], "127.0.0.1");
}

const FORWARDERS: &str = "listen = \"127.0.0.1:0\"\ntrusted-forwarders = \"127.0.0.0/8\"";

#[test]
fn what_a_trusted_forwarder_says_is_told_everywhere() {
    let world = World::start(FORWARDERS);
    let fields = "X-Forwarded-For: 203.0.113.1, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
    let told = world.told("", fields);
    for (name, value) in
        [("REMOTE_ADDR", "192.0.2.7"), ("REQUEST_SCHEME", "https"), ("HTTPS", "on")]
    {
        assert_eq!(told[name], value, "{name}");
    }
    assert_eq!(told["REMOTE_PORT"], Value::Null);
    world.logs("192.0.2.7", 200);
    let mut client = world.daemon.connect();
    let ours = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")];
    assert_eq!(client.request("GET", "/inner", &ours, b"").status, 200);
    // The next request on the same connection is from somebody else.
    assert_eq!(client.request("GET", "/inner", &[ours[1]], b"").status, 403);
    world.logs("127.0.0.1", 403);
    assert_eq!(client.request("GET", "/origin", &ours, b"").text(), "ok");
    let head = world.origin.heads().pop().unwrap().to_ascii_lowercase();
    assert!(head.contains("\r\nx-forwarded-for: 192.0.2.7, 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("\r\nx-forwarded-proto: https\r\n"), "{head}");
    assert!(head.contains(";proto=https\r\n"), "{head}");
}

#[test]
fn who_is_not_trusted_changes_nothing() {
    let fields = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
                  Forwarded: for=192.0.2.7;proto=https\r\n";
    for server in ["", "trusted-forwarders = \"10.0.0.0/8\"", "trusted-forwarders = \"unix\""] {
        let world = World::start(&format!("listen = \"127.0.0.1:0\"\n{server}"));
        let told = world.told("", fields);
        assert_eq!((&told["REMOTE_ADDR"], &told["HTTPS"]), (&"127.0.0.1".into(), &Value::Null));
        assert_eq!(told["REQUEST_SCHEME"], "http");
        world.logs("127.0.0.1", 200);
        // And is not refused for what is not looked at.
        assert_eq!(world.told("", "Forwarded: for=\"\r\n")["REMOTE_ADDR"], "127.0.0.1");
        world.reload(FORWARDERS);
        assert_eq!(world.told("", fields)["REMOTE_ADDR"], "192.0.2.7");
    }
}

#[test]
fn forwarded_is_believed_in_place_of_the_other_where_that_is_said() {
    let world = World::start(&format!("{FORWARDERS}\nforwarded-field = \"Forwarded\""));
    let fields = "X-Forwarded-For: 203.0.113.1\r\nForwarded: for=192.0.2.7;proto=https\r\n";
    let told = world.told("", fields);
    assert_eq!((&told["REMOTE_ADDR"], &told["HTTPS"]), (&"192.0.2.7".into(), &"on".into()));
    let answer = world.exchange(format!("{ASK}Forwarded: for=\"192.0.2.7\r\n\r\n"));
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
}

#[test]
fn a_proxy_that_is_told_of_by_a_header_may_be_a_trusted_forwarder() {
    let world = World::start(&format!("{SENDERS}\ntrusted-forwarders = \"203.0.113.0/24\""));
    let header = "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n";
    assert_eq!(world.told(header, "X-Forwarded-For: 192.0.2.7\r\n")["REMOTE_ADDR"], "192.0.2.7");
    assert_eq!(world.told(FROM_IPV4, "X-Forwarded-For: 1.2.3.4\r\n")["REMOTE_ADDR"], "192.0.2.7");
}
