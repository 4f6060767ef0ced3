//! What origins are told of a client's request.

use super::*;
use crate::http::target::Target;

/// The lines that every request of these tests ends in, but for their values.
fn forwarding(version: &str) -> String {
    format!(
        "Forwarded: for=192.0.2.7;host=h;proto=http\r\nX-Forwarded-For: 192.0.2.7\r\n\
         X-Forwarded-Host: h\r\nX-Forwarded-Proto: http\r\nVia: {version} oneloop\r\n"
    )
}

/// What is passed on of `fields` in a GET, without the lines that are always there.
fn passed(fields: &str) -> String {
    let bytes = pass(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes()).bytes;
    let rest = bytes.strip_prefix("GET /t HTTP/1.1\r\nHost: origin\r\n").expect("the beginning");
    let rest = rest.strip_suffix("\r\n").expect("the empty line");
    rest.replace(&forwarding("1.1"), "")
}

#[test]
fn a_request_as_it_is_passed_on() {
    let request =
        b"PURGE http://h/a?b HTTP/1.1\r\nhost: other\r\nAccept: a\r\nX: \xe4\r\naccept: b\r\n\r\n";
    assert_eq!(
        pass(request).bytes,
        format!(
            "PURGE /t HTTP/1.1\r\nHost: origin\r\nAccept: a\r\nX: \u{e4}\r\naccept: b\r\n{}\r\n",
            forwarding("1.1")
        )
    );
    assert_eq!(
        pass(b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n").bytes,
        format!("GET /t HTTP/1.1\r\nHost: origin\r\n{}\r\n", forwarding("1.0"))
    );
}

#[test]
fn what_holds_for_one_connection_stays_here() {
    for field in [
        "Connection: close",
        "Connection: keep-alive, TE",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eDp5",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: websocket",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        "Proxy: http://evil/",
        "Connection: x-a, , X-B\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3",
        "X-A: 1\r\nConnection: y\r\nConnection: x-a",
        "X-Forwarded-Proto: https",
        "x-forwarded-port: 1\r\nX-Forwarded-: 2\r\nX-Forwarded-Host: i",
        "X_Forwarded_Proto: https\r\nx_forwarded-for: 1\r\nTransfer_Encoding: x\r\nPROXY: 1",
        "Content_Length: 5",
    ] {
        assert_eq!(passed(&format!("{field}\r\n")), "", "{field}");
    }
}

#[test]
fn what_holds_end_to_end_is_passed_on() {
    for field in [
        "Authorization: Basic eDp5",
        "Range: bytes=0-1\r\nIf-Range: \"a\"",
        "Cache-Control: no-transform",
        "Max-Forwards: 3",
        "Proxies: 1\r\nConnections: 2\r\nX-Forwarded: 3",
        "api_key: 1\r\nA-b_c: 2",
        "Empty:",
        "X: \u{e4}\t b",
    ] {
        let lines = format!("{field}\r\n");
        let expected = lines.replace("Empty:", "Empty: ").replace('\u{e4}', "\u{c3}\u{a4}");
        assert_eq!(passed(&lines), expected, "{field}");
    }
}

#[test]
fn connection_cannot_take_away_what_an_origin_relies_on() {
    let fields = "Authorization: a\r\nCookie: b\r\nX-Real-IP: c\r\n";
    let named = "Connection: authorization, cookie, x-real-ip, host, forwarded, via, \
                 x-forwarded-for, x-forwarded-host, x-forwarded-proto\r\n";
    assert_eq!(passed(&format!("{fields}{named}")), fields);
    let posted = pass(
        b"POST / HTTP/1.1\r\nHost: h\r\nConnection: content-length, transfer-encoding\r\n\
          Content-Length: 3\r\n\r\n",
    );
    assert!(posted.bytes.contains("\r\nContent-Length: 3\r\n"));
}

#[test]
fn how_often_a_request_may_be_passed_on_is_counted_down() {
    let far = u64::MAX - 1;
    for (method, said, passed) in [
        ("OPTIONS", "1", "0"),
        ("OPTIONS", "0010", "9"),
        ("TRACE", "3", "2"),
        ("OPTIONS", "99999999999999999999999", &*far.to_string()),
        ("GET", "3", "3"),
        ("options", "3", "3"),
        ("OPTIONS", "-1", "-1"),
        ("OPTIONS", "+1", "+1"),
        ("OPTIONS", "x", "x"),
        ("OPTIONS", "", ""),
        ("OPTIONS", "1, 2", "1, 2"),
        ("OPTIONS", "3\r\nmax-forwards: 4", "3\r\nmax-forwards: 4"),
    ] {
        let request = format!("{method} / HTTP/1.1\r\nHost: h\r\nMax-Forwards: {said}\r\n\r\n");
        let bytes = pass(request.as_bytes()).bytes;
        assert!(bytes.contains(&format!("\r\nMax-Forwards: {passed}\r\n")), "{said}: {bytes}");
    }
}

#[test]
fn a_name_that_could_be_taken_for_another_is_left_out() {
    assert_eq!(passed("X-User: a\r\nX_User: b\r\nx_USER: c\r\n"), "X-User: a\r\n");
    assert_eq!(passed("X_User: b\r\nx_USER: c\r\n"), "X_User: b\r\nx_USER: c\r\n");
    assert_eq!(passed("A-b_c: 1\r\nA_b-c: 2\r\n"), "");
    // There are origins for whom every other byte is as good as `-`, too.
    assert_eq!(passed("X.Forwarded.For: a\r\nContent.Length: 5\r\nTransfer~Encoding: x\r\n"), "");
    assert_eq!(passed("X-User: a\r\nX.User: b\r\nx+USER: c\r\n"), "X-User: a\r\n");
    assert_eq!(passed("X.User: b\r\nX!: c\r\n"), "X.User: b\r\nX!: c\r\n");
}

#[test]
fn a_connection_of_thousands_of_names_costs_little() {
    let named = "a, ".repeat(15_000);
    let lines = (0..250).map(|at| format!("x-{at}: 1\r\n")).collect::<Vec<_>>().concat();
    let fields = format!("Connection: {named}x-249, x-3\r\n{lines}");
    assert_eq!(passed(&fields).lines().count(), 248);
}

/// The value of the only line of `name`.
fn value<'a>(passed: &'a Passed, name: &str) -> &'a str {
    let mut lines = passed.bytes.lines().filter_map(|line| line.split_once(": "));
    let (_, value) = lines.find(|(known, _)| *known == name).expect("the line is there");
    assert!(lines.all(|(known, _)| known != name), "{name} is there twice");
    value
}

#[test]
fn lists_of_who_has_passed_it_on_are_extended() {
    let passed = pass(
        b"GET / HTTP/1.1\r\nHost: h\r\nForwarded: for=\"[::1]:2\";by=_a , for=b\r\nVia: 1.0 a\r\n\
          X-Forwarded-For: 10.0.0.1\r\nforwarded: proto=https\r\nx-forwarded-for: 10.0.0.2, x\r\n\
          X-Forwarded-For:\r\nVia: 1.1 b (c)\r\n\r\n",
    );
    assert_eq!(
        value(&passed, "Forwarded"),
        "for=\"[::1]:2\";by=_a , for=b, proto=https, for=192.0.2.7;host=h;proto=http"
    );
    assert_eq!(value(&passed, "X-Forwarded-For"), "10.0.0.1, 10.0.0.2, x, 192.0.2.7");
    assert_eq!(value(&passed, "Via"), "1.0 a, 1.1 b (c), 1.1 oneloop");
    assert_eq!(value(&passed, "X-Forwarded-Host"), "h");
}

#[test]
fn a_malformed_forwarded_is_dropped_whole() {
    for forwarded in [
        "for=\"",
        "for=\"a\\\"",
        "for=a\"b",
        "for=\"a\"b",
        "for",
        "=a",
        "for=",
        "for=a b",
        "for=a;;x",
        "for=[::1]",
        "for=a, \"",
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nForwarded: for=c\r\nForwarded: {forwarded}\r\n\r\n"
        );
        let passed = pass(request.as_bytes());
        let expected = "for=192.0.2.7;host=h;proto=http";
        assert_eq!(value(&passed, "Forwarded"), expected, "{forwarded}");
    }
    for forwarded in ["for=\"a\\\"b,;\"", "for=a;", ";for=a", "for=a; by=b;x=\"\"", "a=b,,c=d"] {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\nForwarded: {forwarded}\r\n\r\n");
        let passed = pass(request.as_bytes());
        let expected = format!("{forwarded}, for=192.0.2.7;host=h;proto=http");
        assert_eq!(value(&passed, "Forwarded"), expected);
    }
}

#[test]
fn who_asks_and_whom() {
    for (client, host, forwarded, address) in [
        (Some("192.0.2.7:1"), "a.b:80", "for=192.0.2.7;host=\"a.b:80\"", "192.0.2.7"),
        (Some("[2001:db8::1]:1"), "[::1]", "for=\"[2001:db8::1]\";host=\"[::1]\"", "2001:db8::1"),
        (Some("[::ffff:192.0.2.7]:1"), "a%2e", "for=192.0.2.7;host=a%2e", "192.0.2.7"),
        (None, "a;b,c", "for=unknown;host=\"a;b,c\"", "unknown"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let passed = pass_of(request.as_bytes(), client, None);
        assert_eq!(value(&passed, "Forwarded"), format!("{forwarded};proto=http"));
        assert_eq!(value(&passed, "X-Forwarded-For"), address);
        assert_eq!(value(&passed, "X-Forwarded-Host"), host);
        assert_eq!(value(&passed, "Host"), "origin");
    }
    let passed = pass(b"GET / HTTP/1.0\r\nX-Forwarded-Host: i\r\n\r\n");
    assert_eq!(value(&passed, "Forwarded"), "for=192.0.2.7;proto=http");
    assert!(!passed.bytes.contains("X-Forwarded-Host"), "nobody has named a host");
}

#[test]
fn upgrades_are_offered_where_they_can_happen() {
    let offer = |version: &str, fields: &str| {
        let request = format!("GET / HTTP/1.{version}\r\nHost: h\r\n{fields}\r\n");
        let bytes = pass(request.as_bytes()).bytes;
        let lines = bytes.lines().filter(|line| {
            line.starts_with("Connection: ") || line.to_lowercase().starts_with("upgrade: ")
        });
        lines.collect::<Vec<_>>().join("|")
    };
    let asks = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(offer("1", asks), "Connection: upgrade|Upgrade: websocket");
    assert_eq!(offer("0", asks), "", "HTTP/1.0 has none");
    assert_eq!(offer("1", &format!("{asks}Content-Length: 1\r\n")), "");
    assert_eq!(offer("1", &format!("{asks}Transfer-Encoding: chunked\r\n")), "");
    assert_eq!(offer("1", "Upgrade: websocket\r\n"), "", "Connection does not name it");
    assert_eq!(offer("1", "Connection: upgrade\r\n"), "");
    for (protocols, offered) in [
        ("h2c", ""),
        ("HTTP/2.0, TLS/1.0,H2C, h2", ""),
        ("h2c, websocket", "Connection: upgrade|Upgrade: websocket"),
        (
            "a/1, b c, a/, /b, websocket\r\nUpgrade: d",
            "Connection: upgrade|Upgrade: a/1, websocket, d",
        ),
    ] {
        let fields = format!("Connection: upgrade\r\nUpgrade: {protocols}\r\n");
        assert_eq!(offer("1", &fields), offered, "{protocols}");
    }
}

/// The framing lines of a request with `fields`, and the content that follows for the pieces
/// `content`.
fn sent(fields: &str, length: Option<u64>, content: &[&str]) -> (String, String, bool) {
    let request = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let Passed { mut exchange, bytes } = pass_of(request.as_bytes(), None, length);
    let framing = bytes.lines().filter(|line| {
        ["Content-Length", "Transfer-Encoding", "Expect"].iter().any(|name| line.starts_with(name))
    });
    let framing = framing.collect::<Vec<_>>().join("|");
    let mut out = Vec::new();
    for piece in content {
        exchange.send(piece.as_bytes(), &mut out);
    }
    exchange.finish(&mut out);
    assert!(matches!(exchange.receive(b"HTTP/1.1 204 N\r\n\r\n"), Ok((18, Inbound::Head(_)))));
    assert_eq!(exchange.receive(b""), Ok((0, Inbound::End)));
    (framing, String::from_utf8(out).unwrap(), exchange.is_reusable())
}

/// Fields, length that has become known, pieces of content; what is written of both, and whether
/// the connection stays.
type Case = (&'static str, Option<u64>, &'static [&'static str], &'static str, &'static str, bool);

#[test]
fn content_is_framed_anew_and_never_more_than_announced() {
    let cases: [Case; 12] = [
        ("", None, &["x"], "", "", true),
        ("Content-Length: 0\r\n", None, &["x"], "Content-Length: 0", "", true),
        ("Content-Length: 005\r\n", None, &["he", "", "llo"], "Content-Length: 5", "hello", true),
        ("Content-Length: 5\r\n", Some(5), &["hello"], "Content-Length: 5", "hello", true),
        ("Content-Length: 5\r\n", None, &["hel", "loGET"], "Content-Length: 5", "hello", true),
        ("Content-Length: 5\r\n", None, &["hello", "GET /"], "Content-Length: 5", "hello", true),
        ("Content-Length: 5\r\n", None, &["hell"], "Content-Length: 5", "hell", false),
        (
            "Transfer-Encoding: chunked\r\n",
            None,
            &["hello", "", "0123456789abcdef"],
            "Transfer-Encoding: chunked",
            "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
            true,
        ),
        ("Transfer-Encoding: chunked\r\n", Some(2), &["ok"], "Content-Length: 2", "ok", true),
        ("Transfer-Encoding: chunked\r\n", Some(0), &[], "Content-Length: 0", "", true),
        (
            "Expect: 100-continue\r\nContent-Length: 1\r\n",
            None,
            &["a"],
            "Content-Length: 1|Expect: 100-continue",
            "a",
            true,
        ),
        ("Expect: 100-continue\r\n", None, &[], "", "", true),
    ];
    for (fields, length, content, framing, bytes, reusable) in cases {
        let expected = (framing.to_owned(), bytes.to_owned(), reusable);
        assert_eq!(sent(fields, length, content), expected, "{fields}");
    }
}

#[test]
fn a_connection_with_content_still_owed_is_not_used_again() {
    for framing in ["Content-Length: 2", "Transfer-Encoding: chunked"] {
        let request = format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
        let mut exchange = pass(request.as_bytes()).exchange;
        exchange.send(b"a", &mut Vec::new());
        assert!(exchange.receive(b"HTTP/1.1 204 N\r\n\r\n").is_ok());
        assert_eq!(exchange.receive(b""), Ok((0, Inbound::End)));
        assert!(!exchange.is_reusable(), "{framing}");
    }
}

/// What an origin is asked for where `text` is, and the path that routes have seen.
fn asked(text: &str, strip: Option<&str>) -> Option<(String, Vec<u8>)> {
    let mut scratch = Vec::new();
    let parsed = Target::parse(text, false, false).ok()?;
    let path = parsed.resolve(&mut scratch).ok()?;
    let mut out = Vec::new();
    target(&parsed, path, strip, &mut out);
    Some((String::from_utf8(out).unwrap(), path.to_vec()))
}

#[test]
fn targets_are_spelled_as_the_client_spells_them() {
    for (text, strip, expected) in [
        ("/", None, "/"),
        ("/a/b?", None, "/a/b?"),
        ("/a%3Bb;c%2B+%26&%40@%3a:", None, "/a%3Bb;c%2B+%26&%40@%3a:"),
        ("/%61%2e%2E%2ea/%7E/", None, "/%61%2e%2E%2ea/%7E/"),
        ("/%2561%25", None, "/%2561%25"),
        ("/%C3%a4/%ff", None, "/%C3%a4/%ff"),
        ("http://h/%3B?%3B", None, "/%3B?%3B"),
        ("http://h?q", None, "/?q"),
        ("/api/%3B", Some("/api"), "/%3B"),
        ("/api/%3B", Some("/api/"), "/%3B"),
        ("/api/", Some("/api"), "/"),
        ("/api?%3B", Some("/api"), "/?%3B"),
        ("/api%3B", Some("/api"), "/api%3B"),
        ("/x/api/%3B", Some("/api"), "/x/api/%3B"),
        ("/api/%3B", Some("/"), "/api/%3B"),
    ] {
        assert_eq!(asked(text, strip).expect("it is one").0, expected, "{text}");
    }
}

#[test]
fn targets_with_more_than_escapes_to_resolve_are_made_anew() {
    for (text, strip, expected) in [
        ("/a/../%3Bb%20%25", None, "/;b%20%25"),
        ("/./%3B", None, "/;"),
        ("/a/%2E%2e/%3B", None, "/;"),
        ("/%3B/%2e", None, "/;/"),
        ("//%3B", None, "/;"),
        ("/a//%3B//", None, "/a/;/"),
        ("/%61pi/%3B", Some("/api"), "/;"),
        ("/api//%3B", Some("/api"), "/;"),
        ("/x/../api/%3B", Some("/api"), "/;"),
        ("/api/../api/%3B", Some("/api"), "/;"),
        ("/api/..", Some("/api"), "/"),
        ("/api/../%3B", Some("/api"), "/;"),
        ("/%61/%3B", Some("/%61"), "/a/;"),
        ("/%61/a/%3B", Some("/%61"), "/a/a/;"),
    ] {
        assert_eq!(asked(text, strip).expect("it is one").0, expected, "{text}");
    }
    // An index stands for its directory: the client has not asked for it by name.
    let mut out = Vec::new();
    let parsed = Target::Origin { path: "/%61/", query: Some("q") };
    target(&parsed, b"/a/index b", None, &mut out);
    assert_eq!(out, b"/a/index%20b?q");
}

#[test]
fn what_may_not_stand_in_a_uri_is_escaped() {
    for (text, expected) in [
        ("/\"<>[]\\^`{|}%3B", "/%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D%3B"),
        ("/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"),
        ("/./\"<>[]\\^`{|}%3B%7f%0d%0a", "/%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D;%7F%0D%0A"),
        ("/?\"<>[]\\^`{|}", "/?%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D"),
        ("/?/?a=b&-._~!$'()*+,;:@%20%u0041%", "/?/?a=b&-._~!$'()*+,;:@%20%u0041%"),
    ] {
        assert_eq!(asked(text, None).expect("it is one").0, expected, "{text}");
    }
}

/// Whatever the spelling, an origin that decodes once comes to the path that routes have seen.
#[test]
fn targets_mean_the_path_that_routes_have_seen() {
    const PIECES: [&str; 18] = [
        "/", "/", "a", "api", ".", "..", "%2e", "%2E%2e", "%61", "%3B", ";", "%25", "%2561", "%20",
        "\\", "|", "\"", "%ff",
    ];
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..50_000 {
        let mut text = String::from("/");
        for _ in 0..random.usize(..9) {
            text.push_str(PIECES[random.usize(..PIECES.len())]);
        }
        let strip = random.bool().then_some("/api");
        let Some((out, path)) = asked(&text, strip) else { continue };
        let expected = match (strip, &path[..]) {
            (Some(_), b"/api") => b"/",
            (Some(_), [b'/', b'a', b'p', b'i', rest @ ..]) if rest[0] == b'/' => rest,
            (Some(_) | None, whole) => whole,
        };
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(&out).collect();
        assert_eq!(decoded, expected, "{text} as {out}");
        let valid =
            |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte);
        assert!(out.bytes().all(valid), "{out}");
    }
}

#[test]
fn behind_a_proxy_that_is_believed_the_scheme_is_the_clients() {
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n";
    let client = Some("203.0.113.7".parse().unwrap());
    for (is_secure, proto) in [(true, "https"), (false, "http")] {
        let forwarded = Some(Forwarded { client, is_secure });
        let passed = pass_from(request, Some("192.0.2.7:5000"), None, forwarded);
        assert_eq!(value(&passed, "X-Forwarded-For"), "203.0.113.7, 192.0.2.7");
        assert_eq!(value(&passed, "X-Forwarded-Proto"), proto);
        assert_eq!(value(&passed, "Forwarded"), format!("for=192.0.2.7;host=h;proto={proto}"));
    }
}
