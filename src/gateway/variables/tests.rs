//! What programs are told of requests, in whole tables.

use std::collections::BTreeMap;

use super::*;
use crate::gateway::Script;
use crate::http::Limits;
use crate::http::forwarded::Forwarded;
use crate::http::head::{Head, HeadSpace};

/// Lends the call that `request` makes to `script`: a head with LF for line ends, without its empty
/// line.
pub(in crate::gateway) fn with_call<R>(
    request: &str,
    script: &Script,
    user: impl FnOnce(Call<'_>) -> R,
) -> R {
    let bytes = format!("{}\r\n\r\n", request.trim_end().replace('\n', "\r\n"));
    let mut space = HeadSpace::new();
    let head = Head::parse(bytes.as_bytes(), &mut space, &Limits::default()).unwrap();
    user(Call {
        client: Some("192.0.2.1:1234".parse().unwrap()),
        server: Some("192.0.2.9:8080".parse().unwrap()),
        ..Call::new(&head, script)
    })
}

/// All variables of `call`; a name that is told twice is a failure.
pub(in crate::gateway) fn told(call: &Call<'_>) -> BTreeMap<String, String> {
    let mut table = BTreeMap::new();
    variables(call, |name, value| {
        let [name, value] = [name, value].map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        assert!(!name.contains('\0') && !value.contains('\0'));
        assert_eq!(table.insert(name.clone(), value), None, "{name} is told twice");
    });
    table
}

/// A script with all its parts.
pub(in crate::gateway) fn script() -> Script {
    Script {
        name: b"/cgi/a.py".to_vec(),
        path_info: b"/x y".to_vec(),
        file: Some("/srv/cgi/a.py".into()),
        root: Some("/srv/www/".into()),
    }
}

fn of(request: &str) -> BTreeMap<String, String> {
    with_call(request, &script(), |call| told(&call))
}

#[track_caller]
fn check(table: &BTreeMap<String, String>, expected: &[(&str, Option<&str>)]) {
    for &(name, value) in expected {
        assert_eq!(table.get(name).map(String::as_str), value, "{name}");
    }
}

#[test]
fn a_whole_request_is_told() {
    let request = "POST /cgi/a.py/x%20y?q=1&%41 HTTP/1.1\nHost: example.com:81\nAccept: */*\n\
        Content-Type: text/plain\nContent-Length: 5\nX-One: 1";
    let environment = [("MODE".to_owned(), "test".to_owned())];
    let table = with_call(request, &script(), |call| {
        told(&Call { content_length: Some(5), environment: &environment, ..call })
    });
    let expected = [
        ("CONTENT_LENGTH", "5"),
        ("CONTENT_TYPE", "text/plain"),
        ("DOCUMENT_ROOT", "/srv/www/"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_ACCEPT", "*/*"),
        ("HTTP_HOST", "example.com:81"),
        ("HTTP_X_ONE", "1"),
        ("MODE", "test"),
        ("PATH_INFO", "/x y"),
        ("PATH_TRANSLATED", "/srv/www/x y"),
        ("QUERY_STRING", "q=1&%41"),
        ("REDIRECT_STATUS", "200"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_HOST", "192.0.2.1"),
        ("REMOTE_PORT", "1234"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_URI", "/cgi/a.py/x%20y?q=1&%41"),
        ("SCRIPT_FILENAME", "/srv/cgi/a.py"),
        ("SCRIPT_NAME", "/cgi/a.py"),
        ("SERVER_ADDR", "192.0.2.9"),
        ("SERVER_NAME", "example.com"),
        ("SERVER_PORT", "8080"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", concat!("oneloop/", env!("CARGO_PKG_VERSION"))),
    ];
    let table: Vec<(&str, &str)> = table.iter().map(|(name, v)| (&**name, &**v)).collect();
    assert_eq!(table, expected);
}

#[test]
fn what_is_not_there_is_not_told() {
    let empty = Script::default();
    let table = with_call("GET / HTTP/1.0", &empty, |call| told(&Call { client: None, ..call }));
    let absent = [
        "AUTH_TYPE",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "DOCUMENT_ROOT",
        "HTTPS",
        "HTTP_HOST",
        "PATH_INFO",
        "PATH_TRANSLATED",
        "REMOTE_ADDR",
        "REMOTE_HOST",
        "REMOTE_PORT",
        "REMOTE_USER",
        "SCRIPT_FILENAME",
    ];
    check(&table, &absent.map(|name| (name, None)));
    check(
        &table,
        &[
            ("QUERY_STRING", Some("")),
            ("SCRIPT_NAME", Some("")),
            ("SERVER_NAME", Some("192.0.2.9")),
            ("SERVER_PROTOCOL", Some("HTTP/1.0")),
        ],
    );
    let rootless = Script { root: None, ..script() };
    let table = with_call("GET / HTTP/1.0", &rootless, |call| told(&call));
    check(&table, &[("PATH_INFO", Some("/x y")), ("PATH_TRANSLATED", None)]);
}

#[test]
fn whom_a_request_is_from_is_told_in_place_of_who_has_sent_it() {
    let forwarded = |client: &str, is_secure| {
        Some(Forwarded { client: Some(client.parse().expect(client)), is_secure })
    };
    let ask = |forwarded| {
        with_call("GET / HTTP/1.0", &script(), |call| told(&Call { forwarded, ..call }))
    };
    let table = ask(forwarded("203.0.113.7", true));
    check(&table, &[("REMOTE_ADDR", Some("203.0.113.7")), ("REMOTE_HOST", Some("203.0.113.7"))]);
    check(&table, &[("REQUEST_SCHEME", Some("https")), ("HTTPS", Some("on"))]);
    check(&table, &[("REMOTE_PORT", None), ("SERVER_PORT", Some("8080"))]);
    let table = ask(forwarded("192.0.2.1", false));
    check(&table, &[("REMOTE_ADDR", Some("192.0.2.1")), ("REMOTE_PORT", Some("1234"))]);
    check(&table, &[("REQUEST_SCHEME", Some("http")), ("HTTPS", None)]);
    let table = ask(Some(Forwarded { client: None, is_secure: true }));
    check(&table, &[("REMOTE_ADDR", None), ("REMOTE_PORT", None), ("HTTPS", Some("on"))]);
}

#[test]
fn server_and_client_are_told_whatever_the_socket() {
    let table = of("GET / HTTP/1.1\nHost: [2001:db8::1]:81");
    check(&table, &[("SERVER_NAME", Some("[2001:db8::1]")), ("SERVER_PORT", Some("8080"))]);
    let ask = |request, server: Option<&str>, client: &str| {
        let server = server.map(|text| text.parse().unwrap());
        let client = Some(client.parse().unwrap());
        with_call(request, &script(), |call| told(&Call { client, server, ..call }))
    };
    let table = ask("GET / HTTP/1.0", Some("[2001:db8::9]:80"), "[2001:db8::2]:5");
    check(&table, &[("SERVER_NAME", Some("[2001:db8::9]")), ("SERVER_ADDR", Some("2001:db8::9"))]);
    check(&table, &[("REMOTE_ADDR", Some("2001:db8::2")), ("REMOTE_PORT", Some("5"))]);
    // A socket for both families shows IPv4 clients as IPv6 ones.
    let table = ask("GET / HTTP/1.0", Some("[::ffff:192.0.2.9]:80"), "[::ffff:192.0.2.1]:5");
    check(&table, &[("SERVER_NAME", Some("192.0.2.9")), ("REMOTE_ADDR", Some("192.0.2.1"))]);
    for (request, name, port) in [
        ("GET / HTTP/1.0", "localhost", "80"),
        ("GET / HTTP/1.1\nHost: a", "a", "80"),
        ("GET / HTTP/1.1\nHost: a:81", "a", "81"),
        ("GET http://b:82/ HTTP/1.1\nHost: a:81", "b", "82"),
    ] {
        let table = ask(request, None, "192.0.2.1:5");
        check(&table, &[("SERVER_NAME", Some(name)), ("SERVER_PORT", Some(port))]);
        check(&table, &[("SERVER_ADDR", None)]);
    }
}

#[test]
fn the_target_is_told_as_it_was_sent() {
    for (target, uri, query) in [
        ("/a%2e//b", "/a%2e//b", ""),
        ("/./a%3Bb%41|?c|", "/./a%3Bb%41|?c|", "c|"),
        ("/a?", "/a?", ""),
        ("/a??b?%20", "/a??b?%20", "?b?%20"),
        ("http://h/a?b", "/a?b", "b"),
        ("http://h", "/", ""),
        ("http://h?b", "/?b", "b"),
    ] {
        let table = of(&format!("GET {target} HTTP/1.1\nHost: h"));
        check(&table, &[("REQUEST_URI", Some(uri)), ("QUERY_STRING", Some(query))]);
    }
    check(&of("OPTIONS * HTTP/1.1\nHost: h"), &[("REQUEST_URI", Some("*"))]);
}

#[test]
fn the_host_that_was_asked_for_is_the_only_one_told() {
    let table = of("GET http://b:82/ HTTP/1.1\nHost: a:81");
    check(&table, &[("HTTP_HOST", Some("b:82")), ("SERVER_NAME", Some("b"))]);
}

#[test]
fn several_lines_of_a_name_are_one_variable() {
    let table =
        of("GET / HTTP/1.1\nHost: h\nX-A: 1\ncookie: a=1\nx-a: 2\nCookie: b=2\nX-A:\nX-B: 3");
    check(&table, &[("HTTP_X_A", Some("1, 2, ")), ("HTTP_X_B", Some("3"))]);
    check(&table, &[("HTTP_COOKIE", Some("a=1; b=2"))]);
    let table = of("GET / HTTP/1.1\nHost: h\nContent-Type: a/b\ncontent-type: c/d");
    check(&table, &[("CONTENT_TYPE", None), ("HTTP_CONTENT_TYPE", None)]);
}

#[test]
fn no_field_becomes_what_it_is_not() {
    let table = of("GET / HTTP/1.1\nHost: h\nProxy: http://evil/\npROXY: http://evil/\n\
        X_User: root\nX.User: root\nX-Us~er: root\nX!: root\nHTTPS: on\nAuth-Type: none\n\
        Remote-User: root\nPath: /evil\nLD-Preload: /evil.so");
    let told: Vec<&str> =
        table.keys().map(String::as_str).filter(|name| name.starts_with("HTTP")).collect();
    let expected = [
        "HTTP_AUTH_TYPE",
        "HTTP_HOST",
        "HTTP_HTTPS",
        "HTTP_LD_PRELOAD",
        "HTTP_PATH",
        "HTTP_REMOTE_USER",
    ];
    assert_eq!(told, expected);
}

#[test]
fn fields_between_client_and_server_are_not_told() {
    let table = of("POST / HTTP/1.1\nHost: h\nConnection: upgrade, TE\nKeep-Alive: 5\n\
        TE: trailers\nTransfer-Encoding: chunked\nTrailer: X\nUpgrade: h2c\n\
        Proxy-Connection: close\nProxy-Authorization: Basic x");
    let fields = table.keys().filter(|name| name.starts_with("HTTP_"));
    assert_eq!(fields.collect::<Vec<_>>(), ["HTTP_HOST"]);
}

#[test]
fn a_password_is_told_to_whoever_is_to_check_it() {
    let request = "GET / HTTP/1.1\nHost: h\nAuthorization: Basic eDp5";
    let open = of(request);
    check(&open, &[("HTTP_AUTHORIZATION", Some("Basic eDp5")), ("REMOTE_USER", None)]);
    let known = with_call(request, &script(), |call| told(&Call { user: Some("x"), ..call }));
    check(&known, &[("HTTP_AUTHORIZATION", None), ("REMOTE_USER", Some("x"))]);
    check(&known, &[("AUTH_TYPE", Some("Basic"))]);
}

#[test]
fn the_configuration_has_the_last_word_on_each_name() {
    let environment = [
        ("REQUEST_SCHEME", "https"),
        ("HTTP_X_A", "ours"),
        ("TWICE", "first"),
        ("TWICE", "second"),
        ("EMPTY", ""),
        ("", "no name"),
        ("A=B", "no name"),
        ("NUL\0", "x"),
        ("VALUE", "nul\0"),
        ("SERVER_NAME", "nul\0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let table = with_call("GET / HTTP/1.1\nHost: h\nX-A: theirs", &script(), |call| {
        told(&Call { environment: &environment, ..call })
    });
    check(&table, &[("REQUEST_SCHEME", Some("https")), ("HTTP_X_A", Some("ours"))]);
    check(&table, &[("TWICE", Some("second")), ("EMPTY", Some("")), ("SERVER_NAME", None)]);
    check(&table, &[("", None), ("A=B", None), ("NUL\0", None), ("VALUE", None)]);
}

#[test]
fn paths_are_told_byte_by_byte() {
    let bytes = Script { name: b"/\xff".to_vec(), path_info: b"/\xfe".to_vec(), ..script() };
    let mut seen = Vec::new();
    with_call("GET / HTTP/1.0", &bytes, |call| {
        variables(&call, |name, value| {
            if matches!(name, b"SCRIPT_NAME" | b"PATH_INFO" | b"PATH_TRANSLATED") {
                seen.push(value.to_vec());
            }
        });
    });
    assert_eq!(seen, [&b"/\xff"[..], b"/\xfe", b"/srv/www/\xfe"]);
}
