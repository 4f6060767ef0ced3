//! Many requests on one connection: their order, how many, and whose turn it is.

use std::io::{Read, Write};

use oneloop::server::Limits;

use super::World;

#[test]
fn pipelined_requests_are_answered_in_order_whatever_answers_them() {
    let world = World::start();
    let mut client = world.connect();
    let round = "GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n\
                 GET /later HTTP/1.1\r\nHost: a\r\n\r\n\
                 POST /echo?1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
                 GET /produced HTTP/1.1\r\nHost: a\r\n\r\n\
                 HEAD /file.txt HTTP/1.1\r\nHost: a\r\n\r\n\
                 POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2\r\nde\r\n0\r\n\r\n\
                 PUT /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\r\n\r\nx\
                 \r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(round.repeat(50));
    for _ in 0..50 {
        assert_eq!(client.response(false).text(), "0123456789");
        assert_eq!(client.response(false).text(), "as promised\n");
        assert_eq!(client.response(false).text(), "POST 1 abc");
        assert_eq!(client.response(false).text(), "line 1\nline 2\nline 3\n");
        assert_eq!(client.response(true).field("Content-Length"), Some("10"));
        assert_eq!(client.response(false).text(), "POST - de");
        assert_eq!(client.response(false).status, 405);
        assert_eq!(client.response(false).status, 204);
    }
    assert_eq!(client.get("/hello").text(), "hello\n");
}

#[test]
fn pipelined_answers_leave_in_one_write() {
    let world = World::start();
    let mut client = world.connect();
    client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(16));
    // What is written in one call arrives in one piece: all of it can be read at once.
    let mut buffer = vec![0; 1 << 20];
    let read = client.stream.read(&mut buffer).unwrap();
    assert_eq!(super::count(&buffer[..read], "\r\n\r\n0123456789"), 16);
    assert!(buffer[..read].ends_with(b"\r\n\r\n0123456789"));
}

#[test]
fn a_byte_at_a_time_gives_the_same_as_all_at_once() {
    let world = World::start();
    let requests = "GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n\
                    POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\n\
                    GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let without_date = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n")
    };
    let at_once = without_date(world.server.exchange(requests));
    let mut client = world.connect();
    for byte in requests.bytes() {
        client.send([byte]);
    }
    let one_by_one = without_date(client.read_to_end());
    assert!(at_once.contains("POST - abc") && at_once.contains("404 Not Found"), "{at_once}");
    assert_eq!(at_once, one_by_one);
}

#[test]
fn http_1_0_persists_if_it_asks_to() {
    let world = World::start();
    let mut client = world.connect();
    client.send("GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n".repeat(3));
    for _ in 0..3 {
        let response = client.response(false);
        assert_eq!(response.field("Connection"), Some("keep-alive"));
        assert_eq!(response.text(), "hello\n");
    }
    client.send("GET /hello HTTP/1.0\r\n\r\nGET /hello HTTP/1.0\r\n\r\n");
    let response = client.response(false);
    assert_eq!(response.field("Connection"), Some("close"));
    assert!(client.is_closed(), "and no answer to the second one");
    // Chunks mean nothing to it: such content ends with the connection.
    for field in ["", "Connection: keep-alive\r\n"] {
        let request = format!("GET /produced HTTP/1.0\r\n{field}\r\n");
        let answer = String::from_utf8(world.server.exchange(request)).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nConnection: close") && !head.contains("Encoding"), "{head}");
        assert_eq!(content, "line 1\nline 2\nline 3\n");
    }
}

#[test]
fn close_means_close_and_what_was_pipelined_behind_it_is_not_answered() {
    let world = World::start();
    for option in ["close", "Close", "x, CLOSE", "keep-alive, close", "close\r\nConnection: x"] {
        let mut client = world.connect();
        let first = format!("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: {option}\r\n\r\n");
        client.send(first + &"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000));
        let response = client.response(false);
        assert_eq!((response.status, response.field("Connection")), (200, Some("close")));
        assert_eq!(client.read_to_fin(), b"", "{option}");
    }
}

#[test]
fn a_connection_ends_after_as_many_requests_as_are_allowed() {
    let limits = Limits { persistent_requests: 3, ..Limits::default() };
    let world = World::with(limits);
    let mut client = world.connect();
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5));
    for connection in [None, None, Some("close")] {
        assert_eq!(client.response(false).field("Connection"), connection);
    }
    assert_eq!(client.read_to_fin(), b"");
    world.still_serves();
}

#[test]
fn ten_thousand_pipelined_requests_do_not_starve_the_client_beside_them() {
    const HOG: usize = 10_000;
    let limits = Limits { persistent_requests: 20_000, ..Limits::default() };
    let share = limits.turn_requests as usize;
    let world = World::with(limits);
    let (mut hog, mut other) = (world.connect(), world.connect());
    for client in [&mut hog, &mut other] {
        assert!(client.get("/count").text().parse::<usize>().is_ok());
    }
    // While the server stands still, the hog fills its socket and the other one says its word.
    let request = "GET /count HTTP/1.1\r\nHost:a\r\n\r\n";
    let mut writer = hog.stream.try_clone().unwrap();
    let pipeline = world.while_it_stands(|| {
        hog.send(request.repeat(100));
        let pipeline = std::thread::spawn(move || {
            writer.write_all(request.repeat(HOG - 100).as_bytes()).unwrap();
        });
        other.send(request);
        pipeline
    });
    let before: usize = other.response(false).text().parse().unwrap();
    for _ in 0..HOG {
        assert_eq!(hog.response(false).status, 200);
    }
    pipeline.join().unwrap();
    assert_eq!(hog.get("/count").text(), (HOG + 4).to_string());
    assert!(before <= 2 * share + 3, "{before} requests had their answer before the other's one");
}
