//! What the access log says of exchanges with programs that do not go well: each has its line, and
//! the line has the reason, where the form has a place for it.

use std::io::Write;
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use socket2::SockRef;

use super::origin::{Origin, route};
use super::{World, json, pid};
use crate::support::folder::Folder;
use crate::support::running::wait_until;

/// An origin that says some of an answer, and then nothing any more.
fn silent() -> Origin {
    Origin::start(|mut wire| {
        let head = wire.head().unwrap_or_default();
        wire.write(if head.contains("/chunked") {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
        });
        wire.wait();
    })
}

#[test]
fn an_answer_that_is_cut_for_its_time_has_a_line_with_the_reason() {
    let origin = silent();
    for format in ["json", "combined"] {
        let world = World::logging(format, &route(&origin, ", timeout = \"1s\""));
        for (target, version) in [("/length", 1), ("/chunked", 1), ("/old", 0), ("/chunked/old", 0)]
        {
            let mut client = world.connect();
            client.send(format!("GET {target} HTTP/1.{version}\r\nHost: a\r\n\r\n"));
            let head = client.begin();
            assert!(client.whole_or_cut(&head).is_err(), "{target} looks whole");
            let line = world.line_with(&format!("\"GET {target} HTTP"));
            if format == "json" {
                let line = json(&line);
                assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &3.into()), "{line}");
                assert!(line["why"].as_str().is_some_and(|why| why.len() > 10), "{line}");
            } else {
                assert!(line.contains("\" 200 3 \"-\" \"-\""), "{line}");
            }
        }
    }
}

#[test]
fn an_answer_whose_client_leaves_has_a_line_with_the_reason() {
    let origin = silent();
    let script = "[[site.route]]\npath = \"/cgi/*\"\n\
                  cgi = { root = \"@PROGRAMS/cgi\", environment = { GATE = \"@GATE\" } }\n";
    let limits = "[limits]\nhalf-closed = \"200ms\"\n";
    let world = World::within(Folder::new(), limits, &[script, &route(&origin, "")].concat());
    for target in ["/length", "/chunked", "/cgi/steps.sh?content"] {
        for end in ["in-peace", "by-reset"] {
            let mut client = world.connect();
            client.send(format!("GET {target}&{end} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let head = client.begin();
            assert_eq!(head.status, 200);
            match target {
                "/length" => assert_eq!(client.exactly(3), b"abc"),
                "/chunked" => client.expect_in_chunks("abc"),
                _ => client.expect_in_chunks("first\n"),
            }
            if end == "by-reset" {
                SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(client);
            let reason = world.reason(&format!("{target}&{end}"));
            assert!(reason.is_some_and(|why| why.len() > 10), "{target} {end}");
        }
    }
    world.assert_well();
}

#[test]
fn content_for_a_program_that_is_refused_has_a_line_with_the_reason() {
    let origin = Origin::start(|mut wire| {
        wire.head();
        wire.wait();
    });
    let limits = "[limits]\ncontent = { timeout = \"300ms\" }\n";
    let routes = format!(
        "[[site.route]]\npath = \"/cgi/*\"\ncontent = {{ bytes = \"1KiB\" }}\n\
         cgi = {{ root = \"@PROGRAMS/cgi\", environment = {{ GATE = \"@GATE\" }} }}\n\
         [[site.route]]\npath = \"/up/*\"\ncontent = {{ bytes = \"1KiB\" }}\n\
         proxy = {{ to = \"{}\" }}\n",
        origin.url()
    );
    let world = World::within(Folder::new(), limits, &routes);
    let large = format!("Transfer-Encoding: chunked\r\n\r\n7d0\r\n{}\r\n", "x".repeat(2000));
    let cases = [
        ("Content-Length: 10\r\n\r\n12345", 408),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\n123", 408),
        ("Content-Length: 1000000\r\n\r\n", 413),
        (&large, 413),
        ("Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n", 400),
    ];
    let mut without = Vec::new();
    for path in ["/cgi/mark.sh", "/up/"] {
        for ((content, status), number) in cases.iter().zip(0..) {
            let mut client = world.connect();
            client.send(format!("POST {path}?{number} HTTP/1.1\r\nHost: a\r\n{content}"));
            assert_eq!(client.response(false).status, *status, "{path} {content:?}");
            let line = world.line_with(&format!("{path}?{number}"));
            let line = json(&line);
            assert_eq!(line["request"], format!("POST {path}?{number} HTTP/1.1"));
            assert_eq!(line["status"], *status, "{line}");
            if line["why"].as_str().is_none_or(|why| why.len() <= 10) {
                without.push(line.to_string());
            }
        }
    }
    assert!(without.is_empty(), "{without:#?}");
    assert!(!world.path("gate.mark").exists(), "a program was started");
    world.assert_well();
}

#[test]
fn the_reason_of_one_answer_is_not_that_of_the_next() {
    let origin = Origin::start(drop);
    let world = World::start(&format!(
        "[[site.route]]\npath = \"/p\"\nproxy = {{ to = \"{}\" }}\n",
        origin.url()
    ));
    let mut client = world.connect();
    client.send("GET /p HTTP/1.1\r\nHost: a\r\n\r\nGET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response(false).status, 502);
    assert_eq!(client.response(false).text(), "a file");
    assert!(world.reason("GET /p ").is_some());
    assert_eq!(world.reason("GET /file.txt "), None);
}

/// Behind the request whose answer is cut there are more, which the server will never take up. To
/// close then is to reset the connection, and that takes what was sent before from the client.
#[test]
fn an_answer_before_one_that_is_cut_arrives() {
    for query in ["content", "length"] {
        let world = World::start(
            "[[site.route]]\npath = \"/cgi/*\"\n\
             cgi = { root = \"@PROGRAMS/cgi\", environment = { GATE = \"@GATE\" } }\n",
        );
        let mut client = world.connect();
        client.send(format!(
            "GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n\
             GET /cgi/steps.sh?{query} HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        let mut writer = client.stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            let _ = writer.write_all(&b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50_000));
        });
        let ids = world.written("gate.ids");
        let script = ids.split(' ').next().unwrap().parse().unwrap();
        wait_until("both answers have begun", || {
            let mut all = [0; 4096];
            let count = client.stream.peek(&mut all).unwrap();
            all[..count].windows(6).any(|six| six == b"first\n")
        });
        kill_process(pid(script), Signal::KILL).unwrap();
        assert!(world.reason("/cgi/steps.sh").is_some());
        let all = String::from_utf8(client.read_to_fin()).unwrap();
        let (_, rest) = all.split_once("\r\n\r\na file").expect("the first answer is whole");
        let (head, content) = rest.split_once("\r\n\r\n").expect("the second one has its head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let expected = if query == "length" { "first\n" } else { "6\r\nfirst\n\r\n" };
        assert_eq!(content, expected);
        drop(client);
        sender.join().unwrap();
        world.assert_well();
    }
}
