//! The connection's two halves: what is taken, what is framed, what may happen next.

use super::*;

#[test]
fn the_bytes_taken_for_a_head_can_be_parsed_again() {
    for input in
        [&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"]
    {
        let story = Story::at_once(input);
        assert_eq!(story.taken, input.len());
        let mut space = HeadSpace::new();
        let head = Head::parse(input, &mut space, &Limits::default());
        assert_eq!(head.map(|head| head.line), Ok(&b"GET / HTTP/1.1"[..]));
    }
    let mut space = HeadSpace::new();
    let twice = b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(Head::parse(twice, &mut space, &Limits::default()).is_err());
}

/// What is answered to `input`, with content of a length that is not known.
fn answer_to(input: &[u8], status: Status) -> String {
    let mut connection = Connection::new();
    let mut space = HeadSpace::new();
    let _ = connection.receive(input, &mut space, &Limits::default());
    let mut out = Vec::new();
    connection.respond(status, b"", None, DATE, &mut out);
    connection.send(b"why", &mut out);
    connection.finish(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_refusal_of_head_has_no_content_and_no_refusal_has_chunks() {
    let answer = answer_to(b"GET / HTTP/1.1\r\n\r\n", Status::BAD_REQUEST);
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nwhy"), "{answer}");
    assert!(!answer.contains("chunked"), "{answer}");
    for input in [
        &b"HEAD / HTTP/1.1\r\n\r\n"[..],
        b"HEAD / HTTP/1.1\n",
        b"HEAD / HTTP/2.0\r\n",
        b"\r\nHEAD / HTTP/1.1\r\n\r\n",
    ] {
        let answer = answer_to(input, Status::BAD_REQUEST);
        assert!(answer.ends_with("\r\nConnection: close\r\n\r\n"), "{answer}");
    }
}

#[test]
fn content_of_unknown_length_ends_a_connection_of_1_0_where_there_could_be_content() {
    let fields = " / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    for method in ["GET", "HEAD"] {
        let request = format!("{method}{fields}");
        let answer = answer_to(request.as_bytes(), Status::OK);
        assert!(answer.contains("\r\nConnection: close\r\n\r\n"), "{answer}");
        for status in [Status::NO_CONTENT, Status::NOT_MODIFIED] {
            let answer = answer_to(request.as_bytes(), status);
            assert!(answer.ends_with("\r\nConnection: keep-alive\r\n\r\n"), "{answer}");
        }
    }
}

/// A connection that has been told `input`, and what it made of it at first.
fn told(input: &[u8]) -> (Connection, usize) {
    let mut connection = Connection::new();
    let mut space = HeadSpace::new();
    let limits = Limits::default();
    let received = connection.receive(input, &mut space, &limits);
    let used = received.map_or(0, |(used, _)| used);
    (connection, used)
}

fn invited(connection: &mut Connection) -> bool {
    let mut out = Vec::new();
    connection.invite_content(&mut out);
    assert!(out.is_empty() || out == b"HTTP/1.1 100 Continue\r\n\r\n");
    !out.is_empty()
}

const EXPECTANT: &[u8] =
    b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n";

#[test]
fn content_is_invited_once_and_not_beside_the_answer() {
    let (mut connection, _) = told(EXPECTANT);
    assert!(connection.awaits_continue());
    assert!(invited(&mut connection));
    assert!(!connection.awaits_continue());
    assert!(!invited(&mut connection));

    let (mut connection, _) = told(EXPECTANT);
    connection.respond(Status::CONTENT_TOO_LARGE, b"", Some(0), DATE, &mut Vec::new());
    assert!(!connection.awaits_continue() && !invited(&mut connection));

    for end in [Connection::close_reading, Connection::refuse, Connection::cut] {
        let (mut connection, _) = told(EXPECTANT);
        end(&mut connection);
        assert!(!connection.awaits_continue() && !invited(&mut connection));
    }
}

#[test]
fn a_connection_that_is_to_end_does_so_at_once_between_requests_else_after_the_answer() {
    let mut connection = Connection::new();
    assert_eq!(connection.turn(), Turn::Stay);
    connection.close_after_answer();
    assert_eq!(connection.turn(), Turn::Close);
    for input in [&b"GET / HTTP/1.1\r\nHo"[..], b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"] {
        let (mut connection, _) = told(input);
        connection.close_after_answer();
        assert_eq!(connection.turn(), Turn::Stay);
    }
}
