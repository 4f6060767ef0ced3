//! Methods, forms of targets, and hosts.

use super::World;
use crate::support::client::{Client, Response};

/// The fields but for Date, which may move on between two answers.
fn fields(response: &Response) -> Vec<(String, String)> {
    assert!(response.field("Date").is_some());
    let fields = response.fields.iter().filter(|(name, _)| name != "Date");
    fields.cloned().collect()
}

/// A target, fields to ask with, and the status that comes of it.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);

#[test]
fn head_gets_what_get_gets_but_the_content() {
    let world = World::start();
    world.folder.write("file.txt.br", "compressed");
    let mut client = world.connect();
    let etag = client.get("/file.txt").field("ETag").unwrap().to_owned();
    let cases: [Case<'_>; 16] = [
        ("/file.txt", &[], 200),
        ("/", &[], 200),
        ("/folder", &[], 301),
        ("/folder?a=b", &[], 301),
        ("/folder/", &[], 200),
        ("/folder/", &[("Accept", "application/json")], 200),
        ("/old", &[], 301),
        ("/nowhere", &[], 404),
        ("/%2e%2e/x", &[], 400),
        ("/hello", &[], 200),
        ("/echo?q", &[], 200),
        ("/produced", &[], 200),
        ("/later", &[], 200),
        ("/nothing", &[], 204),
        ("/file.txt", &[("If-None-Match", &etag)], 304),
        ("/file.txt", &[("If-Match", "\"other\"")], 412),
    ];
    for (target, conditions, status) in cases {
        let get = client.request("GET", target, conditions, b"");
        let head = client.request("HEAD", target, conditions, b"");
        assert_eq!((get.status, head.status), (status, status), "{target}");
        let mut expected = fields(&get);
        if target == "/echo?q" {
            // The one answer that says which method it was.
            expected.iter_mut().find(|(name, _)| name == "Content-Length").unwrap().1 =
                (get.content.len() + 1).to_string();
        }
        assert_eq!(fields(&head), expected, "{target}");
    }
    // Ranges are for GET alone (RFC 9110 §14.2): HEAD is told of the whole.
    let whole = client.get("/file.txt");
    for range in ["bytes=2-3", "bytes=0-0,5-5", "bytes=99-"] {
        let head = client.request("HEAD", "/file.txt", &[("Range", range)], b"");
        assert_eq!((head.status, fields(&head)), (200, fields(&whole)), "{range}");
    }
}

#[test]
fn head_with_http_1_0_is_told_of_the_end_that_get_would_have() {
    let world = World::start();
    for target in ["/produced", "/file.txt"] {
        for field in ["", "Connection: keep-alive\r\n"] {
            let answer = |method: &str| {
                let mut client = world.connect();
                client.send(format!("{method} {target} HTTP/1.0\r\n{field}\r\n"));
                fields(&client.response(method == "HEAD"))
            };
            assert_eq!(answer("HEAD"), answer("GET"), "{target}");
        }
    }
}

#[test]
fn methods_are_allowed_refused_or_unknown() {
    let world = World::start();
    let mut client = world.connect();
    let cases = [
        ("OPTIONS", "/file.txt", 204, Some("GET, HEAD, OPTIONS")),
        ("OPTIONS", "/hello", 204, Some("GET, HEAD, OPTIONS")),
        ("OPTIONS", "/nowhere", 204, Some("GET, HEAD, OPTIONS")),
        ("POST", "/file.txt", 405, Some("GET, HEAD, OPTIONS")),
        ("DELETE", "/hello", 405, Some("GET, HEAD, OPTIONS")),
        ("TRACE", "/file.txt", 405, Some("GET, HEAD, OPTIONS")),
        ("TRACE", "/hello", 405, Some("GET, HEAD, OPTIONS")),
        ("PROPFIND", "/file.txt", 501, None),
        ("get", "/file.txt", 501, None),
        ("PROPFIND", "/hello", 501, None),
        ("PROPFIND", "/echo", 200, None),
    ];
    for (method, target, status, allow) in cases {
        let response = client.request(method, target, &[("Cookie", "secret")], b"");
        assert_eq!(response.status, status, "{method} {target}");
        assert_eq!(response.field("Allow"), allow, "{method} {target}");
        assert!(!response.text().contains("secret"), "{method} tells what it was told");
    }
    let all = client.request("OPTIONS", "*", &[], b"");
    assert_eq!((all.status, &all.content[..]), (204, &b""[..]));
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert!(all.field("Allow").unwrap().split(", ").any(|allowed| allowed == method));
    }
    assert_eq!(all.field("Content-Length"), None, "RFC 9110 §8.6");
    let tunnel = client.request("CONNECT", "b.example:443", &[], b"");
    assert_eq!(tunnel.status, 405, "no 2xx: that would open a tunnel");
    assert_eq!(client.get("/hello").text(), "hello\n", "the same connection goes on");
}

#[test]
fn every_form_and_spelling_of_a_target_leads_to_the_file() {
    let world = World::start();
    let mut client = world.connect();
    let targets = [
        "/file.txt",
        "/file.txt?",
        "/file.txt?a=/../b&c#"[..].trim_end_matches('#'),
        "/./file.txt",
        "//file.txt",
        "/folder/../file.txt",
        "/folder/%2E%2e/file.txt",
        "/%66ile%2Etxt",
        "http://a.example/file.txt",
        "HTTP://a.example:8080/file.txt?q",
        "http://[::1]/file.txt",
    ];
    for target in targets {
        assert_eq!(client.get(target).text(), "0123456789", "{target}");
    }
    assert_eq!(client.get("http://a.example").text(), "<p>the index</p>\n");
    let bad =
        ["/..", "/../etc/passwd", "/%2e%2e/x", "/a%2fb", "/a%00b", "/a%", "/a%zz", "/%c0%ae/.."];
    for target in bad {
        let response = client.get(target);
        let expected = if target == "/%c0%ae/.." { 200 } else { 400 };
        assert_eq!(response.status, expected, "{target}");
    }
    assert_eq!(client.get("/file.txt/").status, 404);
}

#[test]
fn hosts_are_read_in_every_way_they_are_written() {
    let world = World::start();
    let send = |client: &mut Client, host: &str| {
        client.send(format!("GET /hello HTTP/1.1\r\n{host}\r\n\r\n"));
        client.response(false).status
    };
    let mut client = world.connect();
    let good = [
        "Host: a",
        "host:A.EXAMPLE.",
        "HOST: \t a.example:80 \t ",
        "Host: 127.0.0.1:8080",
        "Host: [::1]",
        "Host: [::1]:8080",
        "Host: a.example:",
        "Host: xn--mnchen-3ya.example",
        "Host: a_b.example",
    ];
    for host in good {
        assert_eq!(send(&mut client, host), 200, "{host}");
    }
    for host in ["Host: [::1]x", "Host: a b", "Host: http://a/", "Host: \u{fc}", "Host: a:99999"] {
        assert_eq!(send(&mut world.connect(), host), 400, "{host}");
    }
}
