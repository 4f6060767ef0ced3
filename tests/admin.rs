//! The admin listener: metrics, the status page, whether the server lives and is ready. Counters
//! are held against what the test itself has done.

#![allow(clippy::float_cmp, reason = "what is counted here are whole numbers")]

mod accessible;
mod browsing;
mod exposition;
mod inspector;
mod listener;
mod stepping;

use std::net::SocketAddr;
use std::time::Duration;

use exposition::Metrics;
use socket2::SockRef;

use crate::support::client::{Client, Response};
use crate::support::folder::Folder;
use crate::support::running::{Daemon, wait_until};

/// The daemon with an admin listener, and the folder it serves.
struct World {
    daemon: Daemon,
    admin: SocketAddr,
    folder: Folder,
}

impl World {
    /// Serves `file.txt` and a file too large for sockets to hold. `limits` are of `[limits]`.
    fn start(limits: &str, routes: &str) -> World {
        World::logging("{ to = \"none\" }", limits, routes)
    }

    /// One whose loop can be held.
    fn steppable(limits: &str, routes: &str) -> World {
        let prelude = "export ONELOOP_STEP=1";
        let world = World::prepared(prelude, "{ to = \"none\" }", limits, routes);
        let gone = Client::connect(world.admin).request("POST", "/inspect/go", &[], b"");
        assert_eq!(gone.status, 200);
        world
    }

    fn logging(log: &str, limits: &str, routes: &str) -> World {
        World::prepared("", log, limits, routes)
    }

    fn prepared(prelude: &str, log: &str, limits: &str, routes: &str) -> World {
        let folder = Folder::new();
        folder.write("www/file.txt", "0123456789");
        folder.write("www/big.bin", vec![b'x'; 24 << 20]);
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [limits]\n{limits}\n[log]\naccess = {log}\n[[site]]\nroot = \"www\"\n{routes}"
        );
        let text = text.replace("@FOLDER", &folder.path().display().to_string());
        let text = text
            .replace("@CGI", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateways/programs/cgi"));
        let file = folder.write("oneloop.toml", text);
        let daemon = Daemon::configured(&file, prelude);
        let port = daemon.says("status and metrics on http://127.0.0.1:");
        let port = port.trim_end_matches('/').parse().unwrap();
        World { daemon, admin: SocketAddr::from(([127, 0, 0, 1], port)), folder }
    }

    fn connect(&self) -> Client {
        self.daemon.connect()
    }

    fn ask(&self, path: &str) -> Response {
        Client::connect(self.admin).get(path)
    }

    fn metrics(&self) -> Metrics {
        metrics(self.admin)
    }

    /// Waits until the series has this value.
    fn wait_for(&self, series: &str, value: f64) {
        wait_until(&format!("{series} is {value}"), || {
            (self.metrics().get(series) - value).abs() < 0.5
        });
    }
}

fn metrics(admin: SocketAddr) -> Metrics {
    let response = Client::connect(admin).get("/metrics");
    let text = response.text();
    assert_eq!(
        response.field("Content-Type"),
        Some("text/plain; version=0.0.4; charset=utf-8"),
        "{text}"
    );
    Metrics::read(text)
}

const PROGRAMS: &str = r#"
[[site.route]]
path = "/ping"
respond = { content = "pong" }
[[site.route]]
path = "/old"
redirect = { to = "/new" }
[[site.route]]
path = "/cgi/*"
cgi = { root = "@CGI", processes = 1, queue = 1, environment = { GATE = "@FOLDER/gate" } }
[[site.route]]
path = "/gone/*"
proxy = { to = "http://127.0.0.1:1" }
"#;

#[test]
fn counters_add_up_after_a_load_of_every_kind() {
    let world =
        World::start("head = { bytes = \"2KiB\" }\ncontent = { bytes = \"10B\" }", PROGRAMS);
    let mut sent = 0;
    let mut received = 0;
    let mut ask = |request: &str, status: u16| {
        let mut client = world.connect();
        client.send(request);
        sent += request.len();
        let answer = client.read_to_end();
        received += answer.len();
        let line = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(line.as_bytes()), "{request}: {:?}", &answer[..20]);
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (path, status, times) in [
        ("/file.txt", 200, 7),
        ("/nothing", 404, 3),
        ("/ping", 200, 2),
        ("/old", 302, 4),
        ("/cgi/hello.sh", 200, 2),
        ("/cgi/nothing.sh", 404, 1),
        ("/gone/x", 502, 2),
    ] {
        for _ in 0..times {
            ask(&get(path), status);
        }
    }
    ask("nonsense\r\n\r\n", 400);
    ask(&get(&format!("/{}", "x".repeat(4000))), 414);
    let form = "POST /cgi/hello.sh HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                Content-Length: 99\r\n\r\n";
    ask(&format!("{form}{}", "x".repeat(99)), 413);
    // Two in one packet.
    ask(&format!("GET /ping HTTP/1.1\r\nHost: a\r\n\r\n{}", get("/ping")), 200);
    world.wait_for("oneloop_connections{state=\"linger\"}", 0.0);
    let metrics = world.metrics();
    let counts = metrics.others("oneloop_requests_total{host=");
    let expected = [
        ("\"\",route=\"none\",status=\"4xx\"}", 2.0),
        ("\"*\",route=\"/*\",status=\"2xx\"}", 7.0),
        ("\"*\",route=\"/*\",status=\"4xx\"}", 3.0),
        ("\"*\",route=\"/ping\",status=\"2xx\"}", 4.0),
        ("\"*\",route=\"/old\",status=\"3xx\"}", 4.0),
        ("\"*\",route=\"/cgi/*\",status=\"2xx\"}", 2.0),
        ("\"*\",route=\"/cgi/*\",status=\"4xx\"}", 2.0),
        ("\"*\",route=\"/gone/*\",status=\"5xx\"}", 2.0),
    ];
    assert_eq!(counts, expected.into_iter().collect());
    // Two were none.
    assert_eq!(
        metrics.get("oneloop_request_heads_total"),
        metrics.sum("oneloop_requests_total") - 2.0
    );
    let bytes =
        [metrics.get("oneloop_received_bytes_total"), metrics.get("oneloop_sent_bytes_total")];
    assert_eq!(bytes.map(|bytes| bytes.to_string()), [sent.to_string(), received.to_string()]);
    assert_eq!(metrics.get("oneloop_connections_accepted_total"), 25.0);
    let hits = metrics.others("oneloop_limit_hits_total{limit=");
    let hits: Vec<(&str, f64)> = hits.into_iter().collect();
    assert_eq!(hits, [("\"content.bytes\"}", 1.0), ("\"head\"}", 1.0)]);
    for none in ["oneloop_requests_unanswered_total", "oneloop_answers_cut_total"] {
        assert_eq!(metrics.get(none), 0.0, "{none}");
    }
    let gone = "{host=\"*\",route=\"/gone/*\",endpoint=\"127.0.0.1:1\"}";
    assert_eq!(metrics.get(&format!("oneloop_gateway_unhealthy{gone}")), 1.0);
}

#[test]
fn who_goes_before_the_answer_or_in_it_is_counted() {
    let world = World::start("", PROGRAMS);
    let mut loading = world.connect();
    loading.send("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(loading.exactly(15), b"HTTP/1.1 200 OK");
    let running = "oneloop_gateway_running{host=\"*\",route=\"/cgi/*\",endpoint=\"process\"}";
    let queued = "oneloop_gateway_queued{host=\"*\",route=\"/cgi/*\"}";
    let begin = || {
        let mut client = world.connect();
        client.send("GET /cgi/steps.sh?before HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    };
    let mut first = begin();
    world.wait_for(running, 1.0);
    let second = begin();
    world.wait_for(queued, 1.0);
    assert_eq!(begin().response(false).status, 503, "the queue is full");
    world.wait_for("oneloop_connections{state=\"send\"}", 1.0);
    let metrics = world.metrics();
    assert_eq!(metrics.get("oneloop_limit_hits_total{limit=\"program.queue\"}"), 1.0);
    assert_eq!(metrics.get("oneloop_connections{state=\"program\"}"), 2.0);
    drop(loading);
    world.wait_for("oneloop_answers_cut_total", 1.0);
    // It is reset, so that it cannot be waiting for the rest.
    SockRef::from(&second.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(second);
    world.wait_for(queued, 0.0);
    world.wait_for("oneloop_requests_unanswered_total", 1.0);
    world.folder.write("gate", "");
    assert_eq!(first.response(false).status, 200);
    world.wait_for(running, 0.0);
    assert_eq!(world.metrics().get("oneloop_answers_cut_total"), 1.0);
}

#[test]
fn lines_of_the_log_that_are_lost_are_counted() {
    let world = World::logging("{ to = \"/dev/full\" }", "", "");
    for _ in 0..3 {
        assert_eq!(world.connect().get("/file.txt").status, 200);
    }
    world.wait_for("oneloop_log_lines_lost_total{log=\"access\"}", 3.0);
}

#[test]
fn a_client_that_says_too_little_has_come_up_against_a_limit() {
    let world = World::start("head = { timeout = \"50ms\" }\npersistent = { idle = \"50ms\" }", "");
    let (mut silent, mut slow, mut idle) = (world.connect(), world.connect(), world.connect());
    slow.send("GET / HT");
    assert_eq!(idle.get("/file.txt").status, 200);
    assert_eq!(slow.response(false).status, 408);
    assert_eq!((silent.read_to_end(), idle.read_to_end()), (Vec::new(), Vec::new()));
    world.wait_for("oneloop_limit_hits_total{limit=\"head.timeout\"}", 2.0);
    world.wait_for("oneloop_limit_hits_total{limit=\"persistent.idle\"}", 1.0);
}
