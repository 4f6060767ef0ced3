//! What the inspector answers: its page, its events, its recording, and who gets how much of it.

use std::net::TcpStream;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::{PROGRAMS, World};
use crate::support::client::Client;
use crate::support::running::wait_until;

/// One who watches.
struct Watcher(Client);

impl Watcher {
    fn new(world: &World) -> Watcher {
        let mut client = Client::connect(world.admin);
        client.send("GET /inspect/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let head = client.begin();
        assert_eq!(head.status, 200);
        assert_eq!(head.field("Content-Type"), Some("text/event-stream"));
        assert_eq!(head.field("Cache-Control"), Some("no-store"));
        assert_eq!(head.field("Transfer-Encoding"), Some("chunked"));
        Watcher(client)
    }

    /// The next event. Each is one line and an empty one, in one chunk.
    fn event(&mut self) -> Value {
        let chunk = String::from_utf8(self.0.chunk()).unwrap();
        let data = chunk.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
        assert!(!data.contains('\n'), "{data}");
        serde_json::from_str(data).unwrap()
    }

    /// The first event from now on that is as wanted.
    fn wait(&mut self, what: &str, mut is_wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut event = Value::Null;
        wait_until(what, || {
            event = self.event();
            is_wanted(&event)
        });
        event
    }
}

fn recording(world: &World, query: &str) -> Value {
    let response = world.ask(&format!("/inspect/recording.json{query}"));
    assert_eq!(response.status, 200, "{query}: {}", response.text());
    assert_eq!(response.field("Content-Type"), Some("application/json"));
    serde_json::from_str(response.text()).unwrap()
}

/// The values of one column of a table.
fn column<'t>(table: &'t Value, name: &str) -> Vec<&'t Value> {
    let names = table["columns"].as_array().unwrap();
    let at = names.iter().position(|known| known == name).unwrap();
    table["rows"].as_array().unwrap().iter().map(|row| &row[at]).collect()
}

#[test]
fn the_page_needs_nothing_from_outside_and_runs_one_script() {
    let world = World::start("", "");
    let mut client = Client::connect(world.admin);
    let page = client.get("/inspect");
    assert_eq!(page.status, 200);
    assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));
    let policy = page.field("Content-Security-Policy").unwrap();
    for part in ["default-src 'none'", "script-src 'sha256-", "style-src 'sha256-"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(policy.contains("connect-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    for outside in ["src=", "url(", "@import", "<link", "innerHTML", " style=", " onclick"] {
        assert!(!text.contains(outside), "{outside}");
    }
    assert!(text.contains(policy.split("; frame-ancestors").next().unwrap()), "in the page, too");
    assert_eq!(client.request("HEAD", "/inspect", &[], b"").status, 200);
    let refused = client.request("POST", "/inspect", &[], b"");
    assert_eq!((refused.status, refused.field("Allow")), (405, Some("GET, HEAD")));
    for path in ["/inspect/", "/inspect/page", "/inspect/events/x"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    assert_eq!(client.request("HEAD", "/inspect/events", &[], b"").status, 200);
    assert!(client.get("/").text().contains("href=\"/inspect\""));
    let trace = client.get("/inspect/trace.json");
    assert_eq!(
        trace.field("Content-Disposition"),
        Some("attachment; filename=\"oneloop-trace.json\"")
    );
    let trace: Value = serde_json::from_str(trace.text()).unwrap();
    assert!(trace.is_array() || trace["traceEvents"].is_array(), "{trace}");
    let foreign = [("Origin", "http://a.example")];
    for path in ["/inspect", "/inspect/events", "/inspect/recording.json"] {
        assert_eq!(client.request("GET", path, &foreign, b"").status, 403, "{path}");
    }
}

#[test]
fn an_event_tells_what_has_happened_since_the_one_before() {
    let world = World::start("", PROGRAMS);
    let mut watcher = Watcher::new(&world);
    let first = watcher.event();
    let routes = first["routes"].as_array().unwrap();
    let ping = routes.iter().position(|route| route["pattern"] == "/ping").unwrap();
    let place = routes[ping]["place"].as_str().unwrap();
    assert!(place.contains("oneloop.toml:"), "{place}");
    assert_eq!((&first["left_out"], &first["held"]), (&Value::from(0), &Value::Null));
    let mut client = world.connect();
    assert_eq!(client.get("/ping?a").status, 200);
    let mut next = first["turns"].as_array().unwrap().len() as u64;
    let mut is_lit = false;
    let event = watcher.wait("the request is over", |event| {
        assert!(event.get("routes").is_none(), "they are known");
        for turn in event["turns"].as_array().unwrap() {
            assert_eq!(turn[0], next, "no turn is told of twice, and none left out");
            next += 1;
        }
        is_lit |= event["house"].as_str().unwrap().contains('I');
        event["latest"][0][2] == "GET /ping?a HTTP/1.1"
    });
    let latest = &event["latest"][0];
    assert_eq!((&latest[5], &latest[6]), (&Value::from(ping), &Value::from(200)));
    assert!(is_lit, "where something happens is written in a capital letter: {event}");
    // Who looks on is seen, and not counted.
    let event = watcher.event();
    assert_eq!(event["doing"].as_array().unwrap().iter().sum_of(), 1, "{event}");
    assert_eq!(event["nodes"][0], 1, "it is idle");
    assert_eq!(event["counters"]["watching"], 1);
    assert!(event["house"].as_str().unwrap().contains('a'), "{event}");
    assert_eq!(event["steps"].as_array().unwrap().len(), 0, "{event}");
    assert_eq!(event["turns"].as_array().unwrap().len(), 0, "it does not watch itself: {event}");
}

/// The sum of numbers.
trait Sum {
    fn sum_of(self) -> u64;
}

impl<'v, I: Iterator<Item = &'v Value>> Sum for I {
    fn sum_of(self) -> u64 {
        self.map(|value| value.as_u64().unwrap()).sum()
    }
}

#[test]
fn a_recording_has_all_of_it_or_the_part_that_was_asked_for() {
    let world = World::start("", PROGRAMS);
    let mut client = world.connect();
    assert_eq!(client.get("/ping").status, 200);
    assert_eq!(client.get("/cgi/hello.sh").status, 200);
    let all = recording(&world, "");
    let acts = column(&all["moments"], "act");
    for act in ["accepted", "read", "head", "answered", "wrote", "dialed", "heard", "served"] {
        assert!(acts.iter().any(|known| *known == act), "{act} is not in {acts:?}");
    }
    let notes = column(&all["moments"], "note");
    let address = client.stream.local_addr().unwrap().to_string();
    assert!(notes.iter().any(|note| *note == &address), "{notes:?}");
    let [peer] = all["peers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|peer| peer["kind"] == "client")
        .collect::<Vec<_>>()[..]
    else {
        panic!("{all}")
    };
    assert_eq!((&peer["address"], &peer["requests"]), (&Value::from(address), &Value::from(2)));
    assert_eq!((&peer["doing"], &peer["state"]), (&Value::from("idle"), &Value::from("idle idle")));
    // By the slot, and by the name.
    let id = peer["id"].as_str().unwrap();
    for query in [format!("?peer={id}"), format!("?peer={}", id.split('.').next().unwrap())] {
        let own = recording(&world, &query);
        assert!(column(&own["moments"], "peer").iter().all(|peer| *peer == id), "{own}");
        assert_eq!(own["peers"].as_array().unwrap().len(), 1);
        assert_eq!(own["turns"]["rows"].as_array().unwrap().len(), 0);
    }
    // Each turn has its own moments, and all of them together are all of the turns that are over.
    let numbers = column(&all["turns"], "number");
    let mut count = 0;
    for &number in &numbers {
        let part = recording(&world, &format!("?turn={number}"));
        assert_eq!(column(&part["turns"], "number"), [number]);
        assert!(column(&part["moments"], "turn").iter().all(|turn| *turn == number), "{part}");
        count += part["moments"]["rows"].as_array().unwrap().len();
    }
    let turns = column(&all["moments"], "turn");
    assert_eq!(count, turns.iter().filter(|turn| numbers.contains(turn)).count());
    for (query, status) in [
        ("?turn=1000000", 404),
        ("?peer=4000000", 404),
        ("?peer=0.4000000", 404),
        ("?turn=x", 400),
        ("?turn=-1", 400),
        ("?nonsense", 400),
    ] {
        assert_eq!(world.ask(&format!("/inspect/recording.json{query}")).status, status, "{query}");
    }
    // Who has gone is remembered for a while.
    drop(client);
    wait_until("it is gone", || {
        let own = recording(&world, &format!("?peer={id}"));
        own["peers"].as_array().unwrap().is_empty()
            && column(&own["moments"], "act").last() == Some(&&Value::from("closed"))
    });
}

#[test]
fn each_of_several_requests_that_one_write_answers_is_told_of() {
    let world = World::start("", PROGRAMS);
    let mut client = world.connect();
    client.get("/file.txt");
    let lines = ["GET /ping HTTP/1.1", "GET /nothing HTTP/1.1", "GET /old HTTP/1.1"];
    client.send(lines.map(|line| format!("{line}\r\nHost: a\r\n\r\n")).concat());
    for status in [200, 404, 302] {
        assert_eq!(client.response(false).status, status);
    }
    let mut watcher = Watcher::new(&world);
    let event = watcher.wait("all are over", |event| event["latest"][3].is_array());
    let latest = event["latest"].as_array().unwrap();
    let known: Vec<(&Value, &Value)> = latest.iter().map(|one| (&one[2], &one[6])).collect();
    for (at, (line, status)) in lines.iter().zip([200, 404, 302]).enumerate() {
        assert_eq!(known[2 - at], (&Value::from(*line), &Value::from(status)), "{event}");
    }
    let trace: Value = serde_json::from_str(world.ask("/inspect/trace.json").text()).unwrap();
    let requests = trace["traceEvents"].as_array().unwrap().iter();
    let requests = requests.filter(|one| one["cat"] == "request");
    let known: Vec<&Value> = requests.map(|one| &one["args"]["status"]).collect();
    assert_eq!(known, [200, 200, 404, 302]);
}

#[test]
fn a_hostile_line_stays_a_line() {
    let world = World::start("", "");
    let lines = [
        "GET /?</script><script>alert(1)</script> HTTP/1.1",
        "GET /?<!--<script> HTTP/1.1",
        "GET /?\"],\"x\":[\\ HTTP/1.1",
        "GET /?%00%1b[31m'\\u003c HTTP/1.1",
    ];
    for line in lines {
        let mut client = world.connect();
        client.send(format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n"));
        client.read_to_end();
    }
    let all = recording(&world, "");
    let notes = column(&all["moments"], "note");
    let kept: Vec<&str> =
        lines.into_iter().filter(|line| notes.iter().any(|note| note == line)).collect();
    assert!(kept.len() >= 2 && kept[0] == lines[0], "{kept:?} of {notes:?}");
    let mut watcher = Watcher::new(&world);
    let event = watcher.event();
    let latest = event["latest"].as_array().unwrap();
    assert!(latest.iter().any(|exchange| exchange[2] == lines[0]), "{event}");
    let page = world.ask("/inspect/recording.html");
    assert_eq!(
        page.field("Content-Disposition"),
        Some("attachment; filename=\"oneloop-recording.html\"")
    );
    let text = page.text();
    assert_eq!(text.matches("<script").count(), 2, "the recording's and the page's own");
    assert!(text.contains("\\u003c/script>\\u003cscript>alert(1)"), "it is in there");
    let (_, inside) = text.split_once("id=\"recording\">").unwrap();
    let inside: Value = serde_json::from_str(inside.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(inside["routes"], all["routes"]);
}

#[test]
fn so_many_may_watch_and_everybody_else_has_a_place() {
    let world = World::start("", "");
    let mut watchers: Vec<Watcher> = (0..4).map(|_| Watcher::new(&world)).collect();
    assert_eq!(
        watchers[0].wait("all are seen", |event| event["counters"]["watching"] == 4)["held"],
        Value::Null
    );
    let refused = world.ask("/inspect/events");
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("watch already"), "{}", refused.text());
    assert_eq!(world.ask("/metrics").status, 200);
    assert_eq!(world.ask("/inspect").status, 200);
    drop(watchers.pop());
    watchers[0].wait("one has gone", |event| event["counters"]["watching"] == 3);
    watchers.push(Watcher::new(&world));
    watchers.last_mut().unwrap().event();
}

#[test]
fn for_whoever_does_not_read_nothing_piles_up() {
    let world = World::start("send = { timeout = \"1s\" }", PROGRAMS);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    // The system's own buffers are some tens of segments.
    socket.set_tcp_mss(536).unwrap();
    socket.connect(&world.admin.into()).unwrap();
    let mut deaf = Client::over(TcpStream::from(socket));
    deaf.send("GET /inspect/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut watcher = Watcher::new(&world);
    let mut most = 0;
    // Events are large while much happens; the other one goes on to get them.
    wait_until("it is given up", || {
        let mut client = world.connect();
        for _ in 0..200 {
            assert_eq!(client.get("/ping").status, 200);
        }
        let status: Value = serde_json::from_str(world.ask("/status.json").text()).unwrap();
        most = most.max(status["memory"]["by_purpose"]["waiting"].as_u64().unwrap());
        watcher.event()["counters"]["watching"] == 1
    });
    assert!((1..64 << 10).contains(&most), "{most} bytes have waited");
    deaf.read_to_end();
}

#[test]
fn whoever_watches_a_server_that_ends_is_told_so() {
    let world = World::start("drain = \"60s\"", "");
    let mut loading = world.connect();
    loading.send("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(loading.exactly(15), b"HTTP/1.1 200 OK");
    let mut watcher = Watcher::new(&world);
    watcher.wait("it is seen", |event| event["doing"][5] == 1);
    world.daemon.signal("TERM");
    wait_until("the stream ends", || watcher.0.chunk().is_empty());
    assert_eq!(watcher.0.read_to_fin(), b"");
    drop(loading);
    assert_eq!(world.daemon.wait(), Some(0));
}
