//! Which fields an origin sees, and which ones of its own a client sees.

use super::World;
use super::origin::{Origin, route};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The field lines of a request's head, names in small letters, sorted.
fn fields(head: &str) -> Vec<String> {
    let lines = head.trim_end().split("\r\n").skip(1);
    let mut fields: Vec<String> = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            format!("{}: {value}", name.to_ascii_lowercase())
        })
        .collect();
    fields.sort();
    fields
}

/// What the origin sees of `request`, whose host is `a.example`.
fn seen(more: &str, request: &str) -> (String, Vec<String>) {
    let origin = Origin::answering(ANSWER);
    let world = World::start(&route(&origin, more));
    let mut client = world.connect();
    client.send(request);
    assert_eq!(client.response(false).text(), "ok");
    let heads = origin.heads();
    let [head] = &heads[..] else { panic!("{heads:?}") };
    (head.lines().next().unwrap().to_owned(), fields(head))
}

#[test]
fn a_plain_request_gains_what_a_proxy_adds() {
    let (line, fields) = seen("", "GET /a?b HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n");
    assert_eq!(line, "GET /a?b HTTP/1.1");
    assert_eq!(
        fields,
        [
            "accept: */*",
            "forwarded: for=127.0.0.1;host=a.example;proto=http",
            "host: a.example",
            "via: 1.1 oneloop",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: a.example",
            "x-forwarded-proto: http",
        ]
    );
}

#[test]
fn what_proxies_before_have_said_is_extended() {
    let (_, fields) = seen(
        "",
        "GET / HTTP/1.0\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.1\r\n\
         Forwarded: for=192.0.2.1\r\nVia: 1.0 fred\r\nX-Forwarded-Proto: https\r\n\r\n",
    );
    for expected in [
        "x-forwarded-for: 192.0.2.1, 127.0.0.1",
        "forwarded: for=192.0.2.1, for=127.0.0.1;host=a.example;proto=http",
        "via: 1.0 fred, 1.0 oneloop",
    ] {
        assert!(fields.contains(&expected.to_owned()), "{expected}\n{fields:#?}");
    }
}

#[test]
fn what_is_for_one_hop_stays_on_it() {
    let (_, fields) = seen(
        "",
        "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, X-Hop, \"\r\nX-Hop: 1\r\n\
         Connection: x-other\r\nX-Other: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n\
         TE: trailers, deflate\r\nProxy-Authorization: Basic YTpi\r\nUpgrade: h2c\r\nX-End: 3\r\n\
         \r\n",
    );
    for gone in [
        "connection",
        "keep-alive",
        "x-hop",
        "x-other",
        "proxy-connection",
        "proxy-auth",
        "upgrade",
    ] {
        let there = fields.iter().find(|field| field.starts_with(&format!("{gone}:")));
        assert_eq!(there, None);
    }
    assert!(fields.contains(&"x-end: 3".to_owned()), "{fields:?}");
}

#[test]
fn connection_cannot_take_away_what_the_origin_must_know() {
    let (_, fields) = seen(
        "",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\
         Connection: Host, Content-Length, X-Forwarded-For, Via\r\n\r\n",
    );
    for there in ["host: a.example", "x-forwarded-for: 127.0.0.1", "via: 1.1 oneloop"] {
        assert!(fields.contains(&there.to_owned()), "{there}\n{fields:#?}");
    }
}

#[test]
fn prefix_and_host_are_replaced_where_it_is_asked_for() {
    let origin = Origin::answering(ANSWER);
    let route = format!(
        "[[site.route]]\npath = \"/api/*\"\n\
         proxy = {{ to = \"{}\", strip = \"/api\", host = \"replace\" }}\n",
        origin.url()
    );
    let world = World::start(&route);
    let mut client = world.connect();
    for target in
        ["/api/", "/api/a%20b/%2561?q=%20&r", "/api/x/../y", "/api//twice/%3f", "/api/a%3bb;c|?d|"]
    {
        assert_eq!(client.get(target).status, 200, "{target}");
    }
    let heads = origin.heads();
    let targets: Vec<&str> = heads.iter().map(|head| head.split(' ').nth(1).unwrap()).collect();
    assert_eq!(targets[0], "/");
    assert_eq!(targets[1], "/a%20b/%2561?q=%20&r");
    assert_eq!(targets[2], "/y");
    assert!(targets[3].ends_with("%3F") || targets[3].ends_with("%3f"), "{}", targets[3]);
    assert_eq!(targets[4], "/a%3bb;c%7C?d%7C");
    let host = format!("host: {}", origin.address());
    assert!(heads.iter().all(|head| fields(head).contains(&host)), "{heads:?}");
}

#[test]
fn an_origin_is_asked_for_its_own_name_where_the_client_has_named_none() {
    for request in
        ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nX-Forwarded-Host: a.example\r\n\r\n"]
    {
        let origin = Origin::answering(ANSWER);
        let world = World::start(&route(&origin, ""));
        let mut client = world.connect();
        client.send(request);
        assert_eq!(client.response(false).text(), "ok");
        let fields = fields(&origin.heads()[0]);
        assert!(fields.contains(&format!("host: {}", origin.address())), "{fields:?}");
        assert!(fields.contains(&"forwarded: for=127.0.0.1;proto=http".to_owned()), "{fields:?}");
        assert!(!fields.iter().any(|field| field.contains("x-forwarded-host")), "{fields:?}");
    }
}

#[test]
fn a_client_sees_nothing_of_the_origins_hop() {
    let origin = Origin::answering(
        "HTTP/1.1 404 Gone Fishing\r\nServer: secret/1.0\r\n\
         Date: Mon, 01 Jan 2001 00:00:00 GMT\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\n\
         Set-Cookie: a=1\r\nset-cookie: b=2\r\nVia: 1.1 inner\r\nX-End: 3\r\n\
         Content-Length: 4\r\n\r\nnone",
    );
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    let answer = client.get("/");
    assert_eq!((answer.status, answer.text()), (404, "none"));
    for gone in ["X-Hop", "Keep-Alive", "Proxy-Authenticate"] {
        assert_eq!(answer.field(gone), None, "{gone}");
    }
    assert_eq!(answer.field("Date"), Some("Mon, 01 Jan 2001 00:00:00 GMT"));
    // A gateway need not name itself to clients (RFC 9110 §7.6.3).
    assert_eq!(answer.field("Via"), Some("1.1 inner"));
    assert_eq!(answer.field("X-End"), Some("3"));
    let cookies = answer.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    assert_eq!(cookies.count(), 2);
    assert_eq!(client.get("/").text(), "none");
}

#[test]
fn trailers_are_dropped_both_ways() {
    let origin = Origin::start(|mut wire| {
        while wire.head().is_some() {
            assert!(wire.until(b"0\r\n\r\n").ends_with(b"0\r\n\r\n"));
            wire.write(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                 2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 5\r\n\r\n",
            );
        }
    });
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    for _ in 0..2 {
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n\
             3\r\nabc\r\n0\r\nX-T: 1\r\nHost: b\r\n\r\n",
        );
        assert_eq!(client.response(false).text(), "ok");
    }
    assert_eq!(origin.heads().len(), 2);
}

#[test]
fn methods_of_any_name_are_passed_on() {
    let origin = Origin::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let world = World::start(&route(&origin, ""));
    let mut client = world.connect();
    for method in ["OPTIONS", "PROPFIND", "DELETE", "HEAD", "GET"] {
        assert_eq!(client.request(method, "/", &[], b"").status, 204, "{method}");
    }
    let heads = origin.heads();
    let methods: Vec<&str> = heads.iter().filter_map(|head| head.split(' ').next()).collect();
    assert_eq!(methods, ["OPTIONS", "PROPFIND", "DELETE", "HEAD", "GET"]);
}
