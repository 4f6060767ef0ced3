//! Requests that are refused: with which answer, that it arrives, and that the connection ends.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use oneloop::server::Limits;

use super::{SMALL, World};
use crate::support::running::DEADLINE;

/// A status, and requests that get it and nothing after it.
const REFUSED: [(u16, &[&str]); 7] = [
    (
        400,
        &[
            // Line ends and bytes that may stand nowhere.
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n",
            "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            // Fields.
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX\u{fc}: b\r\n\r\n",
            // Hosts.
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:70000\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n",
            // Framing.
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nx",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nx",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n\
             0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            // Chunks, after a head that was in order.
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             1\r\nxy\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             11111111111111111\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX y\r\n\r\n",
            // Request lines, and what is no HTTP at all.
            "GET\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / \r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1\r\nHost: a\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
            "SSH-2.0-OpenSSH_9.9\r\n",
        ],
    ),
    (404, &["GET /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"]),
    (405, &["PUT /file.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"]),
    (
        413,
        &[
            "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n",
            "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10485761\r\n\r\n",
        ],
    ),
    (417, &["POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx"]),
    (
        501,
        &[
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ],
    ),
    (
        505,
        &[
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/0.9\r\n\r\n",
            "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        ],
    ),
];

#[test]
fn every_refusal_arrives_and_is_the_last_word() {
    let world = World::start();
    for (status, requests) in REFUSED {
        for request in requests {
            is_refused(&world, request.as_bytes(), status);
        }
    }
    world.still_serves();
}

/// The answer, whole and not cut off by a reset, and then the end.
fn is_refused(world: &World, request: &[u8], status: u16) {
    let mut client = world.connect();
    client.send(request);
    let shown = String::from_utf8_lossy(&request[..request.len().min(100)]).into_owned();
    let response = client.response(false);
    assert_eq!(response.status, status, "{shown:?}");
    assert_eq!(response.field("Connection"), Some("close"), "{shown:?}");
    assert_eq!(response.field("Server"), Some("oneloop"));
    assert!(response.field("Date").is_some());
    // Whatever it goes on to say is not taken for a request any more.
    let _ = client.stream.write_all(b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    client.finish();
    assert_eq!(client.read_to_fin(), b"", "{shown:?}");
}

#[test]
fn what_is_larger_than_its_limit_gets_the_status_for_it() {
    let world = World::start();
    let long = "a".repeat(20_000);
    is_refused(&world, format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), 414);
    is_refused(&world, format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), 501);
    is_refused(&world, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n").as_bytes(), 431);
    // Refused as soon as it is clear, without the rest.
    is_refused(&world, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}").as_bytes(), 431);
    let many = "X: y\r\n".repeat(100);
    is_refused(&world, format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes(), 431);
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    is_refused(&world, format!("{chunked}1;{long}").as_bytes(), 400);
    is_refused(&world, format!("{chunked}0\r\nX: {long}").as_bytes(), 431);
    world.still_serves();
    // One less is not too much.
    let most = "X: y\r\n".repeat(99);
    let mut client = world.connect();
    client.send(format!("GET /hello HTTP/1.1\r\nHost: a\r\n{most}\r\n"));
    assert_eq!(client.response(false).text(), "hello\n");
}

#[test]
fn content_over_the_limit_of_its_route_is_refused_when_it_is_over() {
    let world = World::start();
    let chunked = "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk =
        |size: u64| format!("{size:x}\r\n{}\r\n", "x".repeat(usize::try_from(size).unwrap()));
    let mut client = world.connect();
    client.send(format!("{chunked}{}0\r\n\r\n", chunk(SMALL)));
    assert_eq!(client.response(false).status, 200);
    is_refused(&world, format!("{chunked}{}0\r\n\r\n", chunk(SMALL + 1)).as_bytes(), 413);
    let parts = chunk(SMALL / 4).repeat(4) + &chunk(1);
    is_refused(&world, format!("{chunked}{parts}").as_bytes(), 413);
    is_refused(
        &world,
        format!("{chunked}ffffffffffffffff\r\n{}", "x".repeat(1001)).as_bytes(),
        413,
    );
}

#[test]
fn the_answer_survives_megabytes_that_nobody_wants() {
    let world = World::start();
    let heads = [
        ("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n", 413),
        ("PUT /file.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 405),
        ("BAD\r\n", 400),
    ];
    for (head, status) in heads {
        let mut client = world.connect();
        client.send(head);
        // A client that says all it has to say before it listens.
        client.send(vec![b'x'; 8_000_000]);
        client.finish();
        let response = client.response(false);
        assert_eq!((response.status, response.field("Connection")), (status, Some("close")));
        assert_eq!(client.read_to_fin(), b"");
    }
    world.still_serves();
}

#[test]
fn one_that_ends_while_it_is_still_listened_to_is_heard_to_the_end() {
    let world = World::start();
    // Over a Unix-domain socket a reset shows even after the server has said that it is done.
    let mut client = UnixStream::connect(world.folder.path().join("socket")).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(b"BAD\r\n").unwrap();
    client.read_exact(&mut [0; 15]).unwrap();
    // Its last bytes and its end are found together.
    world.while_it_stands(|| {
        client.write_all(&vec![b'x'; 20_000]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    });
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("an end in good order");
    assert!(rest.ends_with(b"</html>\n"), "{}", String::from_utf8_lossy(&rest));
}

#[test]
fn nobody_is_listened_to_for_ever() {
    let linger_timeout = Duration::from_millis(200);
    let world = World::with(Limits { linger_timeout, ..Limits::default() });
    let mut client = world.connect();
    client.send("BAD\r\n");
    assert_eq!(client.response(false).status, 400);
    let started = Instant::now();
    let words = vec![b'x'; 64 << 10];
    let ended = loop {
        match client.stream.write_all(&words) {
            Ok(()) => assert!(started.elapsed() < DEADLINE, "it is still listened to"),
            Err(error) => break error.kind(),
        }
    };
    assert!(matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{ended}");
    world.still_serves();
}

#[test]
fn a_client_that_resets_harms_nobody() {
    let world = World::start();
    let (_, content) = world.big_file();
    for request in ["", "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n", "POST /echo HTTP/1.1\r\nHost:"]
    {
        let mut client = world.connect();
        client.send(request);
        socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let client = world.connect();
    client.stream.shutdown(Shutdown::Both).unwrap();
    assert_eq!(world.connect().get("/big.bin").content, content);
}
