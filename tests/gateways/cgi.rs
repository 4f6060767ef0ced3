//! What a CGI script is told, and how its answer is passed on.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{PYTHON, World, json, programs};
use crate::support::client::Response;
use crate::support::programs::is_there;

const SCRIPTS: &str = r#"
[[site.route]]
path = "/cgi/*"
cgi = { root = "@PROGRAMS/cgi", environment = { GATE = "@GATE", LANG = "C.UTF-8" } }
"#;

/// The answer to a query of `answer.sh`.
fn answer(world: &World, query: &str) -> Response {
    world.connect().get(&format!("/cgi/answer.sh?{query}"))
}

#[test]
fn the_environment_is_complete_and_nothing_else() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    let local = client.stream.local_addr().unwrap();
    let fields = [
        ("X-A", "one"),
        ("X_A", "an alias"),
        ("X.A", "another alias"),
        ("Proxy", "http://attacker.example"),
        ("Cookie", "a=1"),
        ("X-Twice", "one"),
        ("x-twice", "two"),
        ("Content-Type", "text/plain"),
        ("Authorization", "Basic c2VjcmV0OnNlY3JldA=="),
        ("Connection", "X-Hop"),
        ("X-Latin", "caf\u{e9}"),
    ];
    let target = "/cgi/environment.py/a%20b/%C3%A4?q=1&r=%20";
    let answer = json(client.request("POST", target, &fields, b"12345").text());
    let file = programs("cgi/environment.py").display().to_string();
    let root = world.path("www").display().to_string();
    let found: BTreeMap<String, String> =
        serde_json::from_value(answer["environment"].clone()).unwrap();
    let port = world.daemon.address.port().to_string();
    let remote_port = local.port().to_string();
    let expected = [
        ("CONTENT_LENGTH", "5"),
        ("CONTENT_TYPE", "text/plain"),
        ("DOCUMENT_ROOT", &root),
        ("GATE", &world.path("gate").display().to_string()),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_AUTHORIZATION", "Basic c2VjcmV0OnNlY3JldA=="),
        ("HTTP_COOKIE", "a=1"),
        ("HTTP_HOST", "localhost"),
        ("HTTP_X_A", "one"),
        ("HTTP_X_LATIN", "caf\u{c3}\u{a9}"),
        ("HTTP_X_TWICE", "one, two"),
        ("LANG", "C.UTF-8"),
        ("PATH", found.get("PATH").map_or("", String::as_str)),
        ("PATH_INFO", "/a b/\u{c3}\u{a4}"),
        ("PATH_TRANSLATED", &format!("{root}/a b/\u{c3}\u{a4}")),
        ("QUERY_STRING", "q=1&r=%20"),
        ("REDIRECT_STATUS", "200"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_HOST", "127.0.0.1"),
        ("REMOTE_PORT", &remote_port),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_URI", target),
        ("SCRIPT_FILENAME", &file),
        ("SCRIPT_NAME", "/cgi/environment.py"),
        ("SERVER_ADDR", "127.0.0.1"),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", &port),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", &format!("oneloop/{}", env!("CARGO_PKG_VERSION"))),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
    assert!(found["PATH"].contains("/bin"));
    assert_eq!(answer["arguments"], Value::Array(Vec::new()));
    assert_eq!(answer["directory"], programs("cgi").display().to_string());
}

#[test]
fn a_query_is_no_argument() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(SCRIPTS);
    let answer = json(world.connect().get("/cgi/environment.py?-s+--help").text());
    assert_eq!(answer["arguments"], Value::Array(Vec::new()));
    assert_eq!(answer["environment"]["QUERY_STRING"], "-s+--help");
    assert_eq!(answer["environment"]["PATH_INFO"], Value::Null);
    assert_eq!(answer["environment"]["CONTENT_LENGTH"], Value::Null);
}

#[test]
fn who_has_proved_to_be_somebody_is_named() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(
        r#"
[[site.route]]
path = "/cgi/*"
cgi = { root = "@PROGRAMS/cgi" }
auth = { basic = "@PROGRAMS/../../../conf/demo.htpasswd", realm = "a" }
"#,
    );
    let fields = [("Authorization", "Basic dmlzaXRvcjpsb29w")];
    let mut client = world.connect();
    assert_eq!(client.get("/cgi/environment.py").status, 401);
    let answer = client.request("GET", "/cgi/environment.py", &fields, b"");
    let found = &json(answer.text())["environment"];
    assert_eq!(found["REMOTE_USER"], "visitor");
    assert_eq!(found["AUTH_TYPE"], "Basic");
    assert_eq!(found["HTTP_AUTHORIZATION"], Value::Null);
}

#[test]
fn redirects_lead_within_the_server_or_to_elsewhere() {
    let world = World::start(SCRIPTS);
    let local = answer(&world, "local");
    assert_eq!((local.status, local.text()), (200, "sh: GET /there \n"));
    assert_eq!(local.field("Location"), None);
    let client = answer(&world, "client");
    assert_eq!(client.status, 302);
    assert_eq!(client.field("Location"), Some("https://example.org/elsewhere"));
    let document = answer(&world, "client-document");
    assert_eq!((document.status, document.text()), (301, "<p>moved"));
    assert_eq!(document.field("Location"), Some("https://example.org/a"));
    assert_eq!(document.field("Content-Type"), Some("text/html"));
    // One that leads to itself ends.
    let endless = answer(&world, "local-loop");
    assert!(endless.status >= 500, "{}", endless.status);
    world.assert_well();
}

#[test]
fn redirects_are_counted_for_each_request() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    client.send("GET /cgi/answer.sh?local HTTP/1.1\r\nHost: a\r\n\r\n".repeat(25));
    for number in 0..25 {
        let answer = client.response(false);
        assert_eq!((answer.status, answer.text()), (200, "sh: GET /there \n"), "{number}");
    }
}

#[test]
fn a_local_redirect_stays_with_the_host_that_was_asked() {
    let second = "[[site]]\nhost = \"a.example\"\n";
    let other = "[[site.route]]\npath = \"/cgi/hello.sh/there\"\nrespond = { content = \"a\" }\n";
    let world = World::start(&[SCRIPTS, second, SCRIPTS, other].concat());
    for (target, host, version, text) in [
        ("", "a.example", 1, "a"),
        ("", "b.example", 1, "sh: GET /there \n"),
        // The target outranks Host (RFC 9112 §3.2.2).
        ("http://a.example", "b.example", 1, "a"),
        ("HTTP://a.EXAMPLE:81", "b.example", 1, "a"),
        ("http://b.example", "a.example", 1, "sh: GET /there \n"),
        ("http://a.example", "", 0, "a"),
    ] {
        let host = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
        let mut client = world.connect();
        client.send(format!("GET {target}/cgi/answer.sh?local HTTP/1.{version}\r\n{host}\r\n"));
        let answer = client.response(false);
        assert_eq!((answer.status, answer.text()), (200, text), "{target} {host}");
    }
}

#[test]
fn status_and_fields_are_the_scripts_own() {
    let world = World::start(SCRIPTS);
    let teapot = answer(&world, "status");
    assert_eq!((teapot.status, teapot.text()), (418, "short and stout"));
    assert_eq!(teapot.field("X-Tea"), Some("green"));
    assert_eq!(teapot.field("Status"), None);
    assert_eq!(answer(&world, "no-content").status, 204);
    let lines = answer(&world, "crlf");
    assert_eq!((lines.field("X-Line"), lines.text()), (Some("crlf"), "line\r\n"));
    // How it is framed is not for a script to say.
    assert_eq!(answer(&world, "smuggle").status, 502);
    let exited = answer(&world, "exit-after");
    assert_eq!((exited.status, exited.text()), (200, "all of it"));
}

#[test]
fn a_length_that_a_script_announces_holds() {
    let world = World::start(SCRIPTS);
    let exact = answer(&world, "length");
    assert_eq!((exact.field("Content-Length"), exact.text()), (Some("10"), "0123456789"));
    let more = answer(&world, "length-more");
    assert_eq!(more.text(), "0123456789");
    let mut client = world.connect();
    client.send("GET /cgi/answer.sh?length-less HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.begin();
    assert_eq!(client.whole_or_cut(&head), Err(b"01234".to_vec()));
}

#[test]
fn the_answer_to_head_has_no_content() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    for (query, length) in [("length", Some("10")), ("status", None)] {
        let target = format!("/cgi/answer.sh?{query}");
        let answer = client.request("HEAD", &target, &[], b"");
        assert_eq!(answer.field("Content-Length"), length, "{query}");
    }
    // Nothing was left on the connection.
    assert_eq!(client.get("/file.txt").text(), "a file");
}

#[test]
fn a_script_may_write_its_whole_head() {
    let world = World::start(SCRIPTS);
    let answer = world.connect().get("/cgi/nph-answer.sh");
    assert_eq!((answer.status, answer.text()), (203, "raw"));
    assert_eq!(answer.field("X-Own"), Some("HTTP/1.1"));
    assert_eq!(answer.field("Content-Type"), Some("text/plain"));
}

#[test]
fn what_a_script_says_is_passed_on_at_once() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    client.send("GET /cgi/steps.sh?content HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.begin();
    assert_eq!(head.field("Content-Type"), Some("text/event-stream"));
    client.expect_in_chunks("first\n");
    world.open_gate();
    client.expect_in_chunks("second\n");
    assert!(client.chunk().is_empty(), "nothing more was said");
    assert_eq!(client.get("/file.txt").text(), "a file");
}

#[test]
fn for_an_http_1_0_client_the_end_of_the_connection_is_the_end() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    client.send("GET /cgi/answer.sh?status HTTP/1.0\r\n\r\n");
    let head = client.begin();
    assert_eq!(head.field("Transfer-Encoding"), None);
    assert_eq!(client.whole_or_cut(&head).unwrap(), b"short and stout");
}

#[test]
fn complaints_come_into_the_log_line_by_line() {
    let world = World::start(SCRIPTS);
    assert_eq!(answer(&world, "complain").text(), "fine");
    for line in ["one", "two ", "half"] {
        let start = world.daemon.says("answer.sh");
        assert!(start.contains(line), "{start:?} instead of {line:?}");
        assert!(!start.contains('\u{1b}'), "{start:?} reaches a terminal");
    }
}

#[test]
fn what_is_not_there_and_what_may_not_run() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    for (path, status) in [
        ("/cgi/missing.sh", 404),
        ("/cgi/missing/hello.sh", 404),
        ("/cgi/not-executable.sh", 403),
        ("/cgi/%2e%2e/scgi.py", 404),
        ("/cgi/hello.sh%00", 400),
    ] {
        assert_eq!(client.get(path).status, status, "{path}");
        if status == 400 {
            client = world.connect();
        }
    }
    let folder = client.get("/cgi/folder");
    assert!(matches!(folder.status, 403 | 404), "{}", folder.status);
}

#[test]
fn two_hundred_requests_leave_nothing_behind() {
    let world = World::start(SCRIPTS);
    let descriptors = format!("/proc/{}/fd", world.daemon.child.id());
    let count = || std::fs::read_dir(&descriptors).unwrap().count();
    let mut client = world.connect();
    for _ in 0..5 {
        assert_eq!(client.request("POST", "/cgi/hello.sh", &[], b"line").status, 200);
    }
    let before = count();
    for _ in 0..200 {
        assert_eq!(client.request("POST", "/cgi/hello.sh", &[], b"line").status, 200);
    }
    let after = count();
    // The pipes and the pidfd of the last one may just be going.
    assert!(after <= before + 4, "{before} descriptors became {after}");
    let id = world.daemon.child.id();
    crate::support::running::wait_until("no zombie is left", || {
        super::children(id).iter().all(|&child| super::is_alive(child))
    });
}
