//! The access log of the daemon: its forms, and what it must not do.

use std::fs;

use super::{World, begin_download};
use crate::support::running::wait_until;

/// The lines of the log in the world's folder, as soon as there are `count`.
fn lines(world: &World, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    wait_until("the log has its lines", || {
        let text = fs::read_to_string(world.path("log")).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        lines.len() >= count
    });
    lines
}

/// A daemon that logs in `format`, after a few requests of many kinds.
fn visited(format: &str) -> World {
    let world =
        World::start(&format!("[log]\naccess = {{ to = \"./log\", format = \"{format}\" }}"));
    let mut client = world.connect();
    let fields = [("Referer", "http://b/\"x\""), ("User-Agent", "c\\d \u{fc}")];
    client.request("GET", "/file.txt?q=1", &fields, b"");
    client.request("HEAD", "/file.txt", &[], b"");
    client.request("POST", "/file.txt", &[], b"abc");
    client.send("GET /%0a\"\\ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response(false).status, 404);
    client.send("BAD \x1b[31m\r\n");
    assert_eq!(client.response(false).status, 400);
    let mut download = world.connect();
    begin_download(&mut download);
    world
}

#[test]
fn the_common_form_has_a_line_for_each_exchange_and_no_forged_one() {
    let world = visited("common");
    let lines = lines(&world, 6);
    let expected = [
        r#"] "GET /file.txt?q=1 HTTP/1.1" 200 10"#,
        r#"] "HEAD /file.txt HTTP/1.1" 200 0"#,
        r#"] "POST /file.txt HTTP/1.1" 405 "#,
        r#"] "GET /%0a\x22\x5C HTTP/1.1" 404 "#,
        r#"] "BAD \x1B[31m" 400 "#,
        r#"] "GET /big.bin HTTP/1.1" 200 "#,
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
        assert!(line.contains(expected), "{line}");
    }
    let (_, sent) = lines[5].rsplit_once(' ').unwrap();
    let sent: usize = sent.parse().unwrap();
    assert!(sent > 0 && sent < super::big().len(), "{sent} bytes: it left early");
}

#[test]
fn the_combined_form_has_referer_and_user_agent() {
    let world = visited("combined");
    let lines = lines(&world, 6);
    assert!(
        lines[0].ends_with(r#"" 200 10 "http://b/\x22x\x22" "c\x5Cd \xC3\xBC""#),
        "{}",
        lines[0]
    );
    assert!(lines[1].ends_with(r#"" 200 0 "-" "-""#), "{}", lines[1]);
}

#[test]
fn the_json_form_is_json_whatever_was_sent() {
    let world = visited("json");
    for line in lines(&world, 6) {
        let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(value["client"], "127.0.0.1", "{line}");
        assert!(value["status"].is_u64() && value["bytes"].is_u64(), "{line}");
        if value["status"] == 404 {
            assert_eq!(value["request"], "GET /%0a\"\\ HTTP/1.1");
        }
    }
}

#[test]
fn a_full_disk_stops_no_answer() {
    let world = World::start("[log]\naccess = { to = \"/dev/full\" }");
    let mut client = world.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/file.txt").text(), "0123456789");
    }
    world.daemon.says("cannot write the access log");
    assert_eq!(world.connect().get("/file.txt").text(), "0123456789");
    let complaints = world.daemon.said();
    assert!(complaints.is_empty(), "it has said it before: {complaints:?}");
    world.daemon.signal("TERM");
    assert_eq!(world.daemon.wait(), Some(0));
}

#[test]
fn an_end_logs_what_was_cut_off() {
    let world = World::start(
        "[limits]\ndrain = \"0s\"\n[log]\naccess = { to = \"./log\", format = \"common\" }",
    );
    let mut download = world.connect();
    begin_download(&mut download);
    world.daemon.signal("TERM");
    let lines = lines(&world, 1);
    assert!(lines[0].contains("\"GET /big.bin HTTP/1.1\" 200 "), "{lines:?}");
}
