//! A request's content on its way into a script.

use std::io::Write;

use super::{PYTHON, World, chunked, json, random_bytes, sha256};
use crate::support::programs::is_there;

const SCRIPTS: &str = r#"
[[site.route]]
path = "/cgi/*"
cgi = { root = "@PROGRAMS/cgi", environment = { GATE = "@GATE" } }
[[site.route]]
path = "/small/*"
cgi = { root = "@PROGRAMS/cgi", environment = { GATE = "@GATE" } }
content = { bytes = "1KiB" }
errors = { 413 = "/file.txt" }
"#;

/// Neither a round number, nor one that memory alone would keep.
const LENGTH: usize = (3 << 20) + 17;

#[test]
fn content_of_any_framing_arrives_whole_and_counted() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(SCRIPTS);
    for length in [1, 1000, 70_000, LENGTH] {
        let content = random_bytes(length as u64, length);
        let mut client = world.connect();
        let fields = [("Content-Type", "application/x-test")];
        let plain = client.request("POST", "/cgi/content.py", &fields, &content);
        client.send(
            "POST /cgi/content.py HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-test\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
        );
        client.send(chunked(&content));
        for answer in [plain, client.response(false)] {
            assert_eq!(answer.status, 200, "{}", answer.text());
            let said = json(answer.text());
            assert_eq!(said["said"], length.to_string());
            assert_eq!(said["length"], length);
            assert_eq!(said["type"], "application/x-test");
            assert_eq!(said["coding"], serde_json::Value::Null);
            assert_eq!(said["sha256"], sha256(&content));
        }
    }
    world.assert_well();
}

#[test]
fn no_content_and_empty_content() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    let none = json(client.get("/cgi/content.py").text());
    assert_eq!((&none["said"], &none["length"]), (&serde_json::Value::Null, &0.into()));
    for framing in ["Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
        client.send(format!("POST /cgi/content.py HTTP/1.1\r\nHost: a\r\n{framing}"));
        let empty = json(client.response(false).text());
        assert_eq!(empty["length"], 0, "{framing}");
        assert!(matches!(empty["said"].as_str(), None | Some("0")), "{framing}");
    }
}

#[test]
fn who_waits_to_be_asked_for_content_is_asked() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    client.send(
        "POST /cgi/content.py HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.response(false).status, 100);
    client.send("12345");
    assert_eq!(json(client.response(false).text())["length"], 5);
}

#[test]
fn too_much_content_starts_no_program() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    let answer = client.request("POST", "/small/mark.sh", &[], &[b'x'; 1025]);
    assert_eq!((answer.status, answer.text()), (413, "a file"));
    // Much content is refused before it comes, and little where it is asked for.
    for field in ["Content-Length: 1000000", "Content-Length: 1025\r\nExpect: 100-continue"] {
        let mut client = world.connect();
        client.send(format!("POST /small/mark.sh HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"));
        assert_eq!(client.response(false).status, 413);
    }
    let mut client = world.connect();
    client.send("POST /small/mark.sh HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    // It may be answered and closed before all of it is sent.
    let _ = client.stream.write_all(&chunked(&[b'x'; 1025]));
    let answer = client.response(false);
    assert_eq!((answer.status, answer.text()), (413, "a file"));
    assert!(!world.path("gate.mark").exists(), "a program was started");
    let mut client = world.connect();
    assert_eq!(client.request("POST", "/small/mark.sh", &[], &[b'x'; 1024]).text(), "ran");
    assert!(world.path("gate.mark").exists());
}

#[test]
fn half_of_some_content_starts_no_program() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    client.send("POST /cgi/mark.sh HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    client.finish();
    client.read_to_end();
    world.assert_well();
    assert!(!world.path("gate.mark").exists(), "a program was started");
}

#[test]
fn a_script_need_not_read_its_content() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    let content = random_bytes(9, LENGTH);
    for _ in 0..3 {
        let answer = client.request("POST", "/cgi/answer.sh?length", &[], &content);
        assert_eq!(answer.text(), "0123456789");
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    let mut requests = Vec::new();
    for number in 0..20 {
        write!(
            requests,
            "POST /cgi/hello.sh/{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\
             {number:02}GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        .unwrap();
    }
    client.send(requests);
    for number in 0..20 {
        let expected = format!("sh: POST /{number} {number:02}\n");
        assert_eq!(client.response(false).text(), expected);
        assert_eq!(client.response(false).text(), "a file");
    }
}
