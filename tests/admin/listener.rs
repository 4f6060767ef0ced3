//! What stands where on the admin listener, who gets there, and that it is there when it is needed.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use oneloop::server::{Limits, Options, Server};
use oneloop::site::handler::{Request, Response};
use oneloop::site::router::Router;
use serde_json::Value;

use super::World;
use crate::support::client::Client;
use crate::support::running::{Running, wait_until};

/// What the server says of itself.
fn status(world: &World) -> Value {
    serde_json::from_str(world.ask("/status.json").text()).unwrap()
}

#[test]
fn each_page_is_in_its_place() {
    let world = World::start("", "");
    assert_eq!(world.connect().get("/file.txt").status, 200);
    let mut client = Client::connect(world.admin);
    let page = client.get("/");
    assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert!(page.field("Content-Security-Policy").is_some());
    assert!(page.text().contains("<th scope=\"row\"><bdi>/*</bdi></th>"), "{}", page.text());
    let json = client.request("GET", "/", &[("Accept", "application/json")], b"");
    assert_eq!(json.field("Content-Type"), Some("application/json"));
    let json: Value = serde_json::from_str(json.text()).unwrap();
    let routes = json["requests"]["by_route"].as_array().unwrap();
    assert!(routes.iter().any(|route| route["route"] == "/*" && route["2xx"] == 1), "{json}");
    for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let response = client.get(path);
        assert_eq!((response.status, response.text()), (200, text));
        assert_eq!(response.field("Cache-Control"), Some("no-store"));
    }
    assert_eq!(client.request("HEAD", "/metrics", &[], b"").status, 200);
    assert_eq!(client.get("/file.txt").status, 404, "the site is not here");
    let refused = client.request("POST", "/metrics", &[], b"x");
    assert_eq!((refused.status, refused.field("Allow")), (405, Some("GET, HEAD")));
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.response(false).status, 400);
    assert_eq!(world.connect().get("/metrics").status, 404, "nor is that on the site");
}

#[test]
fn whoever_looks_on_is_neither_counted_nor_logged() {
    let world = World::logging("{ to = \"@FOLDER/access.log\" }", "", "");
    assert_eq!(world.connect().get("/file.txt").status, 200);
    let counted = |world: &World| {
        let metrics = world.metrics();
        [
            "oneloop_requests_total",
            "oneloop_request_heads_total",
            "oneloop_received_bytes_total",
            "oneloop_sent_bytes_total",
            "oneloop_connections_accepted_total",
        ]
        .map(|start| metrics.sum(start).to_string())
    };
    let before = counted(&world);
    for path in ["/", "/metrics", "/nothing"] {
        world.ask(path);
    }
    Client::connect(world.admin).send("nonsense\r\n\r\n");
    assert_eq!(counted(&world), before);
    let log = world.folder.path().join("access.log");
    wait_until("the line is written", || fs::read_to_string(&log).unwrap().lines().count() > 0);
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1);
}

#[test]
fn a_full_server_can_be_looked_at() {
    let world = World::start("connections = 1", "");
    let mut loading = world.connect();
    loading.send("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(loading.exactly(15), b"HTTP/1.1 200 OK");
    let mut waiting = world.connect();
    waiting.send("GET /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_until("the limit is reached", || {
        world.metrics().get("oneloop_limit_hits_total{limit=\"connections\"}") >= 1.0
    });
    // More of these than there are places: the idle ones go.
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(world.admin)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/healthz").status, 200);
    }
    assert!(world.metrics().get("oneloop_admin_connections") <= 8.0);
    assert_eq!(world.metrics().sum("oneloop_connections{"), 1.0);
    drop(loading);
    assert!(waiting.read_to_end().ends_with(b"0123456789"));
}

#[test]
fn a_server_that_ends_lives_and_is_not_ready() {
    let world = World::start("drain = \"60s\"\nlinger = \"1s\"", "");
    let mut loading = world.connect();
    loading.send("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(loading.exactly(15), b"HTTP/1.1 200 OK");
    assert_eq!(world.ask("/readyz").status, 200);
    let mut watching = Client::connect(world.admin);
    assert_eq!(watching.get("/healthz").status, 200);
    world.daemon.signal("TERM");
    wait_until("it is not ready", || world.ask("/readyz").status == 503);
    assert_eq!(watching.read_to_fin(), b"", "those who are idle are let go");
    let refused = world.ask("/readyz");
    assert_eq!((refused.text(), refused.field("Connection")), ("draining\n", Some("close")));
    assert_eq!(world.ask("/healthz").status, 200);
    assert_eq!(world.metrics().get("oneloop_draining"), 1.0);
    assert_eq!(status(&world)["state"], "draining");
    // Half a request here keeps nobody waiting.
    let mut asking = Client::connect(world.admin);
    asking.send("GET / HTTP/1.1\r\n");
    assert!(loading.read_to_fin().len() > 24 << 20);
    drop(loading);
    assert_eq!(world.daemon.wait(), Some(0));
}

#[test]
fn a_socket_is_as_good_as_a_loopback_address() {
    let folder = crate::support::folder::Folder::new();
    let path = folder.path().join("admin.sock");
    let admin = Some(format!("unix:{}", path.display()).parse().unwrap());
    let server =
        Running::with(Options { admin, ..Options::default() }, || Router::new().build().unwrap());
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
    drop(server);
    assert!(!path.exists(), "it is left behind");
}

#[test]
fn no_server_shows_itself_to_other_machines() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9090"] {
        let options = Options { admin: Some(address.parse().unwrap()), ..Options::default() };
        let error = Server::new(&options, Router::new().build().unwrap()).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(address) && text.contains("127.0.0.1:9090"), "{text}");
    }
}

/// The log has the same words, on a level that is on.
#[test]
fn whoever_holds_the_loop_up_is_named() {
    let limits = Limits { loop_lag: Duration::from_millis(40), ..Limits::default() };
    let admin = Some("127.0.0.1:0".parse().unwrap());
    let server = Running::with(Options { admin, limits, ..Options::default() }, || {
        let slow = |_: &Request<'_>| {
            std::thread::park_timeout(Duration::from_millis(100));
            Response::text("at last")
        };
        let fast = |_: &Request<'_>| Response::text("at once");
        Router::new().get("/slow/{name}", slow).get("/fast", fast).build().unwrap()
    });
    let status = || -> Value {
        let response = Client::connect(server.admin()).get("/status.json");
        serde_json::from_str(response.text()).unwrap()
    };
    assert_eq!(status()["loop"]["last_long_turn"], Value::Null);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    // Alone; before another one in the same packet; behind one; and of one that has ended its side.
    for (at, (before, behind, ends)) in
        [("", "", false), ("", "/fast", false), ("/fast", "", false), ("", "", true)]
            .into_iter()
            .enumerate()
    {
        let mut client = server.connect();
        let slow = format!("/slow/{at}");
        let paths = [before, &slow, behind].into_iter().filter(|path| !path.is_empty());
        let requests: Vec<String> = paths.map(get).collect();
        client.send(requests.concat());
        if ends {
            client.finish();
        }
        for _ in &requests {
            assert_eq!(client.response(false).status, 200);
        }
        // The turn ends behind its answers.
        let mut said = String::new();
        wait_until("it is told of", || {
            said = status()["loop"]["last_long_turn"].as_str().unwrap_or_default().to_owned();
            said.contains(&slow)
        });
        let whose =
            format!("to read and answer, {} \"GET {slow} ", client.stream.local_addr().unwrap());
        assert!(said.contains(&whose), "{said}");
        assert!(said.starts_with('1') && said.contains(" ms of it"), "{said}");
    }
    assert_eq!(status()["limits_hit"]["loop-lag"], 4);
}
