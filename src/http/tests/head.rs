//! Heads: every form that is taken, and every way to be refused.

use super::*;
use crate::http::target::Target;

/// Ways to be refused: with which status, why (the beginning of it), and by which bytes.
pub(super) type Refused = &'static [(u16, &'static str, &'static [&'static [u8]])];

/// What cannot begin a request. The inputs go as far as it takes to know that.
#[rustfmt::skip]
pub(super) const STARTS: Refused = &[
    (400, "this port speaks HTTP, and this looks like TLS", &[b"\x16\x03\x01\x02\x00\x01"]),
    (400, "a request begins with its method", &[
        b" GET / HTTP/1.1", b"\tGET", b"\n", b"\nGET / HTTP/1.1", b"\rGET", b"\r\r\n", b"\r\n\r\n",
        b"\r\n\n", b"\r\n GET", b"\0", b":", b"/ HTTP/1.1", b"\"GET", b"\x7f", b"\xef\xbb\xbfGET",
    ]),
    (400, "a line ends in a bare line feed", &[
        b"GET / HTTP/1.1\n", b"GET\n", b"GET /\n HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: h\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\n", b"GET / HTTP/1.1\r\n\n",
        b"GET / HTTP/1.1\r\nHost:\nh\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nX\n: y\r\n\r\n",
        b"\r\nGET / HTTP/1.1\n",
    ]),
    (400, "the request line has no version", &[
        b"GET /\r\n", b"GET\r\n", b"GET \r\n", b"GET / HTTP/1.1 \r\n", b"GET / HTTP/1.1\t \r\n",
        b"GET / http/1.1\r\n", b"GET / Http/1.1\r\n", b"GET /HTTP/1.1\r\n", b"GET /\tHTTP/1.1\r\n",
        b"GET / HTTPS/1.1\r\n", b"GET / ICY/1.1\r\n", b"GET / HTTP 1.1\r\n",
        b"GET / HTTP/1.1\rX: y\r\n",
    ]),
    (400, "the version is malformed", &[
        b"GET / HTTP/\r\n", b"GET / HTTP/1\r\n", b"GET / HTTP/1.\r\n", b"GET / HTTP/.1\r\n",
        b"GET / HTTP/11\r\n", b"GET / HTTP/1.10\r\n", b"GET / HTTP/01.1\r\n", b"GET / HTTP/1,1\r\n",
        b"GET / HTTP/1.x\r\n", b"GET / HTTP/2\r\n", b"GET / HTTP/1.1\r\r\n",
        b"GET / HTTP/1.1\t\r\n", b"GET / HTTP/1.1\0\r\n", b"GET / HTTP/-1.1\r\n",
    ]),
    (505, "this server speaks HTTP/1.1 and HTTP/1.0", &[
        b"PRI * HTTP/2.0\r\n", b"GET / HTTP/2.0\r\n", b"GET / HTTP/3.0\r\n", b"GET / HTTP/0.9\r\n",
        b"GET / HTTP/1.2\r\n", b"GET / HTTP/9.9\r\n",
    ]),
];

/// Whole heads with a request line that is not one.
#[rustfmt::skip]
pub(super) const LINES: Refused = &[
    (400, "the request line is malformed", &[
        b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET / / HTTP/1.1", b"GET HTTP/1.1",
        b"GET  HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\t HTTP/1.1", b"GET /a b HTTP/1.1",
        b"G@T / HTTP/1.1", b"G\0T / HTTP/1.1", b"GET: / HTTP/1.1", b"G\xe9T / HTTP/1.1",
        b"GET /\0 HTTP/1.1", b"GET /\x01 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET /\x0b HTTP/1.1",
        b"GET /\xff HTTP/1.1",
    ]),
    (400, "the request line has no version", &[b"GET /\r HTTP/1.1", b"G\rT / HTTP/1.1"]),
    (400, "a field name is invalid", &[
        b"GET / HTTP/1.1\r\n X: y", b"GET / HTTP/1.1\r\n\tX: y", b"GET / HTTP/1.1\r\n ",
        b"GET / HTTP/1.1\r\n Host: h",
    ]),
    (400, "the target has a byte that may not stand in a URI", &[
        b"GET /\xc3\xa4 HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET http://h/# HTTP/1.1",
        b"OPTIONS *# HTTP/1.1",
    ]),
    (400, "the target is neither a path nor an absolute URI", &[
        b"GET a HTTP/1.1", b"GET * HTTP/1.1", b"get * HTTP/1.1", b"options * HTTP/1.1",
        b"OPTIONS ** HTTP/1.1", b"GET ?q HTTP/1.1", b"GET h:80 HTTP/1.1", b"GET ftp://h/ HTTP/1.1",
        b"GET http:/h HTTP/1.1", b"GET ://h/ HTTP/1.1", b"GET file:///etc/passwd HTTP/1.1",
        b"GET \\ HTTP/1.1", b"GET httpx://h/ HTTP/1.1",
    ]),
    (400, "the target's authority is invalid", &[
        b"GET http:// HTTP/1.1", b"GET http:///p HTTP/1.1", b"GET http://u@h/ HTTP/1.1",
        b"GET http://u:p@h/ HTTP/1.1", b"GET http://h:x/ HTTP/1.1", b"GET http://h:65536/ HTTP/1.1",
        b"GET http://:80/ HTTP/1.1", b"GET http://[::1/ HTTP/1.1", b"GET http://h\\@e/ HTTP/1.1",
        b"GET http://?q HTTP/1.1", b"GET https://a:1:2/ HTTP/1.1",
    ]),
    (421, "https is not spoken on this port", &[
        b"GET https://a/ HTTP/1.1", b"GET HTTPS://a:443?q HTTP/1.0",
    ]),
    (400, "the target of CONNECT must be host:port", &[
        b"CONNECT / HTTP/1.1", b"CONNECT h HTTP/1.1", b"CONNECT h: HTTP/1.1",
        b"CONNECT :443 HTTP/1.1", b"CONNECT http://h:443 HTTP/1.1", b"CONNECT * HTTP/1.1",
        b"CONNECT u@h:443 HTTP/1.1", b"CONNECT h:443/ HTTP/1.1",
    ]),
];

/// Field lines that no field section may have, behind a good request line and Host.
#[rustfmt::skip]
pub(super) const FIELDS: Refused = &[
    (400, "a field name is invalid", &[
        b"X : y", b"X\t: y", b": y", b":", b" X: y", b"\tX: y", b"X: y\r\n z", b"X: y\r\n\tz",
        b"X:\r\n y", b"X: y\r\n : z", b"X", b"X y: z", b"X;: y", b"X\"Y\": z", b"X(: y", b"X/: y",
        b"X@: y", b"X[: y", b"X\\: y", b"X\0: y", b"X\x01: y", b"X\x7f: y", b"\xc3\xa4: y",
        b"X\r: y", b"\x0bX: y", b"X\xa0: y", b"=: y", b"GET / HTTP/1.1",
    ]),
    (400, "a field value has a byte that may not stand there", &[
        b"X: a\rb", b"X: a\r\r", b"X:\r", b"X:\rb", b"X: a\0", b"X: \0", b"X:\0a", b"X: a\x01b",
        b"X: a\x1b[0m", b"X: a\x7fb", b"X: \x0b", b"X: a\x0c", b"X: a\x08", b"X: a\x1f",
    ]),
    (400, "a line end is malformed", &[b"\rX: y", b"\r ", b"X: y\r\n\rZ"]),
    (400, "Host is there twice", &[b"Host: h", b"host: other", b"X: y\r\nHOST:"]),
    (400, "Content-Length is there twice", &[
        b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 5\r\ncontent-length: 5",
        b"Content-Length: 0\r\nContent-Length: 0", b"Content-Length:\r\nX: y\r\nContent-Length: 5",
    ]),
    (400, "Content-Length is not a number", &[
        b"Content-Length:", b"Content-Length: ", b"Content-Length: +5", b"Content-Length: -5",
        b"Content-Length: -0", b"Content-Length: 5, 5", b"Content-Length: 5,",
        b"Content-Length: ,5", b"Content-Length: 5 5", b"Content-Length: 0x5",
        b"Content-Length: 5h", b"Content-Length: a", b"Content-Length: 5.0", b"Content-Length: 5e1",
        b"Content-Length: 5;", b"Content-Length: \"5\"", b"Content-Length: 1_000",
        b"Content-Length: \xd9\xa5", b"Content-Length: 5\xa0",
        b"Content-Length: 18446744073709551616",
        b"Content-Length: 99999999999999999999999999999999999999999",
    ]),
    (400, "Content-Length and Transfer-Encoding contradict each other", &[
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked",
        b"Content-Length: x\r\nTransfer-Encoding:",
        b"Transfer-Encoding: identity\r\nContent-Length: 5",
    ]),
    (400, "Transfer-Encoding is empty", &[
        b"Transfer-Encoding:", b"Transfer-Encoding: ,", b"Transfer-Encoding: , ,",
    ]),
    (400, "content cannot be chunked twice", &[
        b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: chunked,,CHUNKED",
    ]),
    (400, "chunked must be the last transfer coding", &[
        b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: chunked, \"",
    ]),
    (501, "the only transfer coding known here is chunked", &[
        b"Transfer-Encoding: gzip", b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity", b"Transfer-Encoding: identity, chunked",
        b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding: chunke",
        b"Transfer-Encoding: \"chunked\"",
    ]),
    (417, "the only expectation known here is 100-continue", &[
        b"Expect: 200-ok", b"Expect: 100-continue, 200-ok",
        b"Expect: 200-ok\r\nExpect: 100-continue", b"Expect: 100", b"Expect: 100-continue;x",
        b"Expect: 100 continue",
    ]),
];

/// What Host may not say.
#[rustfmt::skip]
const HOSTS: &[&str] = &[
    "", " ", ":80", "h:x", "h:-1", "h:+1", "h:65536", "h:80:80", "a b", "a\tb", "u@h", "http://h",
    "h/", "/", "h?q", "h#f", "[::1", "::1", "[::1]x", "[::1]:x", "[g::]", "[]", "a%", "a%4", "a%4g",
    "h\\", "a\"b", "<h>", "\u{e4}", "h, \u{e4}", "a, b",
];

/// `line` as the request line of a request that is otherwise good.
fn with_line(line: &[u8]) -> Vec<u8> {
    [line, b"\r\nHost: h\r\n\r\n"].concat()
}

/// `fields` among the fields of a request that is otherwise good.
fn with_fields(fields: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: h\r\n", fields, b"\r\n\r\n"].concat()
}

/// Every refused head, with its status and why.
pub(super) fn refused() -> Vec<(u16, &'static str, Vec<u8>)> {
    let mut all = Vec::new();
    for (table, whole) in [
        (STARTS, <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>),
        (LINES, with_line),
        (FIELDS, with_fields),
    ] {
        for (status, why, inputs) in table {
            all.extend(inputs.iter().map(|input| (*status, *why, whole(input))));
        }
    }
    for host in HOSTS {
        for target in ["/", "http://h/", "*"] {
            let input = format!("OPTIONS {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            all.push((400, "Host is invalid", input.into_bytes()));
        }
    }
    all
}

/// What `look` sees in the head that is `input`; else the status it is refused with.
pub(super) fn look<T>(input: &[u8], look: impl FnOnce(&Head<'_>) -> T) -> Result<T, u16> {
    let mut space = HeadSpace::new();
    match Connection::new().receive(input, &mut space, &Limits::default()) {
        Ok((used, Received::Head(head))) if used == input.len() => Ok(look(&head)),
        Ok(other) => panic!("{other:?} of {}", input.escape_ascii()),
        Err(refusal) => Err(refusal.status.code()),
    }
}

#[test]
fn every_refusal_has_its_status_and_its_reason() {
    for (status, why, input) in refused() {
        let story = Story::at_once(&input);
        let refusal = story.refusal().map(|refusal| (refusal.status.code(), refusal.why));
        let (got, reason) = refusal.unwrap_or_else(|| panic!("taken: {}", input.escape_ascii()));
        assert_eq!(got, status, "{}: {reason}", input.escape_ascii());
        assert!(reason.starts_with(why), "{}: {reason}", input.escape_ascii());
        assert_eq!(story.events.len(), 2, "{}", input.escape_ascii());
        assert_eq!(story.taken, 0, "{}", input.escape_ascii());
    }
}

#[test]
fn only_a_whole_head_is_parsed() {
    let input = b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";
    let parses = |bytes: &[u8]| {
        let mut space = HeadSpace::new();
        Head::parse(bytes, &mut space, &Limits::default()).is_ok()
    };
    assert!(parses(input));
    for end in 0..input.len() {
        assert!(!parses(&input[..end]), "{}", input[..end].escape_ascii());
    }
    assert!(!parses(&[input, &b"\r\n"[..]].concat()));
    assert!(!parses(&[input, &b"G"[..]].concat()));
}

#[test]
fn host_is_there_once_in_1_1_and_at_most_once_in_1_0() {
    let host = |input: &[u8]| look(input, |head| head.authority.to_owned());
    assert_eq!(host(b"GET / HTTP/1.1\r\n\r\n"), Err(400));
    assert_eq!(host(b"GET http://h/ HTTP/1.1\r\n\r\n"), Err(400));
    assert_eq!(host(b"GET / HTTP/1.0\r\n\r\n").as_deref(), Ok(""));
    assert_eq!(host(b"GET http://h/ HTTP/1.0\r\n\r\n").as_deref(), Ok("h"));
    assert_eq!(host(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Err(400));
    assert_eq!(host(b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), Err(400));
}

#[test]
fn whom_a_request_is_for() {
    for (line, host, expected) in [
        ("GET /p", "h", ("h", "h")),
        ("GET /p", "\t h:80 \t", ("h:80", "h")),
        ("GET /p", "[::1]:8080", ("[::1]:8080", "[::1]")),
        ("GET /p", "[::FFFF:192.0.2.1]", ("[::FFFF:192.0.2.1]", "[::FFFF:192.0.2.1]")),
        ("GET /p", "Example.COM.:", ("Example.COM.:", "Example.COM.")),
        ("GET /p", "192.0.2.1:00080", ("192.0.2.1:00080", "192.0.2.1")),
        ("GET /p", "a_b~c%41!$&'()*+,;=", ("a_b~c%41!$&'()*+,;=", "a_b~c%41!$&'()*+,;=")),
        ("GET http://t:1/p", "h", ("t:1", "t")),
        ("GET HTTP://t", "h", ("t", "t")),
        ("CONNECT t:443", "h", ("t:443", "t")),
        ("CONNECT [::1]:443", "h", ("[::1]:443", "[::1]")),
        ("OPTIONS *", "h:1", ("h:1", "h")),
    ] {
        let input = format!("{line} HTTP/1.1\r\nHost:{host}\r\n\r\n");
        let got = look(input.as_bytes(), |head| (head.authority.to_owned(), head.host.to_owned()));
        let (authority, host) = got.unwrap();
        assert_eq!((&authority[..], &host[..]), expected, "{line}");
    }
}

#[test]
fn every_form_of_target_and_any_method_are_taken() {
    let origin = |path, query| Target::Origin { path, query };
    let absolute = |path, query| Target::Absolute { scheme: "http", authority: "t", path, query };
    for (line, method, target) in [
        ("GET /", "GET", origin("/", None)),
        ("HEAD /?", "HEAD", origin("/", Some(""))),
        ("POST //a//b?c?d=/", "POST", origin("//a//b", Some("c?d=/"))),
        ("PURGE /%zz|{}^`\\\"<>[]", "PURGE", origin("/%zz|{}^`\\\"<>[]", None)),
        ("get /", "get", origin("/", None)),
        ("!#$%&'*+-.^_`|~9 /", "!#$%&'*+-.^_`|~9", origin("/", None)),
        ("OPTIONS *", "OPTIONS", Target::Asterisk),
        ("OPTIONS /*", "OPTIONS", origin("/*", None)),
        ("CONNECT t:1", "CONNECT", Target::Authority("t:1")),
        ("GET http://t", "GET", absolute("/", None)),
        ("OPTIONS http://t?q", "OPTIONS", absolute("/", Some("q"))),
        ("PRI http://t/a://b", "PRI", absolute("/a://b", None)),
    ] {
        let got = look(&with_line(format!("{line} HTTP/1.1").as_bytes()), |head| {
            assert_eq!(head.line, format!("{line} HTTP/1.1").as_bytes());
            assert_eq!(head.method.as_str(), method);
            assert_eq!(head.target, target, "{line}");
        });
        assert_eq!(got, Ok(()), "{line}");
    }
}

#[test]
fn fields_keep_their_order_their_spelling_and_every_byte_they_may_have() {
    let mut value: Vec<u8> = (b'!'..=b'~').chain(0x80..=0xff).collect();
    value.splice(10..10, *b" \t \t ");
    let fields =
        [b"!#$%&'*+-.^_`|~09azAZ: \t", &value[..], b"\t \r\nEmpty:\r\nempty: \t "].concat();
    let got = look(&with_fields(&fields), |head| {
        let lines = head.fields.lines().iter().map(|line| (line.name.to_owned(), line.value));
        lines.map(|(name, value)| (name, value.to_vec())).collect::<Vec<_>>()
    });
    let expected = [
        ("Host".to_owned(), b"h".to_vec()),
        ("!#$%&'*+-.^_`|~09azAZ".to_owned(), value),
        ("Empty".to_owned(), Vec::new()),
        ("empty".to_owned(), Vec::new()),
    ];
    assert_eq!(got.as_deref(), Ok(&expected[..]));
}

#[test]
fn what_a_client_says_about_the_connection_holds() {
    for (version, connection, persistent) in [
        ("1.1", "", true),
        ("1.1", "Connection: close", false),
        ("1.1", "connection: CLOSE", false),
        ("1.1", "Connection: keep-alive", true),
        ("1.1", "Connection: keep-alive, Close", false),
        ("1.1", "Connection: close, keep-alive", false),
        ("1.1", "Connection: x\r\nConnection: y,close,", false),
        ("1.1", "Connection: closed", true),
        ("1.1", "Connection: not close", true),
        ("1.1", "Connection:", true),
        ("1.1", "Proxy-Connection: close", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: x, keep-alive", true),
        ("1.0", "Connection: x\r\nConnection: keep-alive", true),
        ("1.0", "Connection: keep-alive, close", false),
        ("1.0", "Connection: keep alive", false),
        ("1.0", "Keep-Alive: timeout=5", false),
        ("1.0", "Proxy-Connection: keep-alive", false),
    ] {
        let end = if connection.is_empty() { "" } else { "\r\n" };
        let input = format!("GET / HTTP/{version}\r\nHost: h\r\n{connection}{end}\r\n");
        assert_eq!(
            look(input.as_bytes(), |head| head.persistent),
            Ok(persistent),
            "{version} {connection}"
        );
    }
}

#[test]
fn the_one_expectation_is_known_and_means_nothing_in_1_0() {
    for (version, expect, expected) in [
        ("1.1", "X:", Ok(false)),
        ("1.1", "Expect: 100-continue", Ok(true)),
        ("1.1", "EXPECT: 100-CONTINUE", Ok(true)),
        ("1.1", "Expect: 100-continue, 100-continue", Ok(true)),
        ("1.1", "Expect:", Ok(false)),
        ("1.1", "Expect: 100-continues", Err(417)),
        ("1.0", "Expect: 100-continue", Ok(false)),
        ("1.0", "Expect: anything", Ok(false)),
    ] {
        let input = format!("GET / HTTP/{version}\r\nHost: h\r\n{expect}\r\n\r\n");
        assert_eq!(look(input.as_bytes(), |head| head.expects_continue), expected, "{expect}");
    }
}

#[test]
fn a_head_has_at_most_so_many_fields() {
    for (allowed, sent, expected) in [
        (3, 3, None),
        (3, 4, Some(431)),
        (256, 256, None),
        (256, 257, Some(431)),
        (1000, 257, Some(431)),
    ] {
        let lines = "a:\r\n".repeat(sent - 1);
        let input = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let limits = Limits { head_bytes: 4096, head_fields: allowed };
        let story = Story::of(input.as_bytes(), [input.len()], &limits);
        let status = story.refusal().map(|refusal| refusal.status.code());
        assert_eq!(status, expected, "{sent} of {allowed}");
    }
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_is_refused_as_soon_as_it_cannot_be() {
    let input = b"GET /target HTTP/1.1\r\nHost: h\r\nX: yz\r\n\r\n";
    let head_of = |end: usize, head_bytes: usize| {
        let limits = Limits { head_bytes, head_fields: 10 };
        let story = Story::of(input, [end], &limits);
        (story.events.len(), story.refusal().map(|refusal| refusal.status.code()))
    };
    let whole = input.len();
    assert_eq!(head_of(whole, whole), (1, None));
    assert_eq!(head_of(whole, whole - 1), (2, Some(431)));
    // Refused with the last byte there is room for, so a buffer of just that size will do.
    assert_eq!(head_of(whole - 1, whole - 1), (2, Some(431)));
    assert_eq!(head_of(whole - 2, whole - 1), (0, None));
    assert_eq!(head_of(22, 22), (2, Some(431)));
    assert_eq!(head_of(21, 21), (2, Some(414)));
    assert_eq!(head_of(5, 5), (2, Some(414)));
    assert_eq!(head_of(4, 5), (0, None));
    // Not even the method ends.
    assert_eq!(head_of(3, 3), (2, Some(501)));
    assert_eq!(head_of(22, 3), (2, Some(501)));
}
