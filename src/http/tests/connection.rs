//! The connection's two halves: what is taken, what is framed, what may happen next.

use super::framing::{post, post_chunked};
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

    for fields in ["Expect: 100-continue", "Expect: 100-continue\r\nContent-Length: 0"] {
        let (mut connection, _) = told(&post(fields, b""));
        assert!(!connection.awaits_continue() && !invited(&mut connection), "{fields}");
    }

    let cut = |connection: &mut Connection| assert!(!connection.cut(), "no content has begun");
    for end in [Connection::close_reading, Connection::refuse, cut] {
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

/// All of the answer with `status` and `content` to `input`, and what may happen next.
fn exchange(input: &[u8], status: Status, length: Option<u64>, content: &[u8]) -> (String, Turn) {
    let (mut connection, _) = told(input);
    let mut out = b"before".to_vec();
    connection.respond(status, b"X: y\r\n", length, DATE, &mut out);
    connection.send(content, &mut out);
    connection.finish(&mut out);
    let answer = String::from_utf8(out).unwrap();
    (answer.strip_prefix("before").unwrap().to_owned(), connection.turn())
}

#[test]
fn answers_are_framed_for_whom_they_are_for() {
    const OK: &str = "200 OK";
    // Version and Connection of the request; status and length of the answer; the fields that are
    // added; the content of an answer to GET; whether the connection persists.
    for (version, said, status, length, fields, content, persists) in [
        ("1.1", "x", OK, Some(5), "Content-Length: 5\r\n", "hello", true),
        ("1.1", "x", OK, Some(0), "Content-Length: 0\r\n", "", true),
        ("1.1", "x", OK, None, "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", true),
        ("1.1", "x", "404 Not Found", Some(5), "Content-Length: 5\r\n", "hello", true),
        ("1.1", "x", "204 No Content", Some(0), "", "", true),
        ("1.1", "x", "204 No Content", None, "", "", true),
        ("1.1", "x", "304 Not Modified", Some(5), "", "", true),
        ("1.1", "x", "304 Not Modified", None, "", "", true),
        ("1.1", "close", OK, Some(5), "Content-Length: 5\r\nConnection: close\r\n", "hello", false),
        ("1.1", "close", OK, Some(0), "Content-Length: 0\r\nConnection: close\r\n", "", false),
        (
            "1.1",
            "close",
            OK,
            None,
            "Transfer-Encoding: chunked\r\nConnection: close\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            false,
        ),
        ("1.1", "close", "204 No Content", Some(0), "Connection: close\r\n", "", false),
        ("1.1", "close", "304 Not Modified", None, "Connection: close\r\n", "", false),
        ("1.0", "x", OK, Some(5), "Content-Length: 5\r\nConnection: close\r\n", "hello", false),
        ("1.0", "x", OK, None, "Connection: close\r\n", "hello", false),
        ("1.0", "x", "204 No Content", Some(0), "Connection: close\r\n", "", false),
        (
            "1.0",
            "keep-alive",
            OK,
            Some(5),
            "Content-Length: 5\r\nConnection: keep-alive\r\n",
            "hello",
            true,
        ),
        ("1.0", "keep-alive", OK, None, "Connection: close\r\n", "hello", false),
        ("1.0", "keep-alive", "204 No Content", None, "Connection: keep-alive\r\n", "", true),
        ("1.0", "keep-alive", "304 Not Modified", Some(5), "Connection: keep-alive\r\n", "", true),
    ] {
        let code = status[..3].parse().ok().and_then(Status::from_code).unwrap();
        for method in ["GET", "HEAD"] {
            let input =
                format!("{method} / HTTP/{version}\r\nHost: h\r\nConnection: {said}\r\n\r\n");
            let sent = if length == Some(0) || code.forbids_content() { "" } else { "hello" };
            let (answer, turn) = exchange(input.as_bytes(), code, length, sent.as_bytes());
            let date = String::from_utf8_lossy(DATE);
            let head = format!("HTTP/1.1 {status}\r\nServer: oneloop\r\nDate: {date}\r\nX: y\r\n");
            let content = if method == "GET" { content } else { "" };
            assert_eq!(answer, format!("{head}{fields}\r\n{content}"), "{input}");
            assert_eq!(turn, if persists { Turn::Next } else { Turn::Close }, "{input} {answer}");
        }
    }
}

#[test]
fn a_status_without_a_registered_phrase_keeps_its_space() {
    let status = Status::from_code(299).unwrap();
    let (answer, _) = exchange(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", status, Some(0), b"");
    assert!(answer.starts_with("HTTP/1.1 299 \r\n"), "{answer}");
}

/// Where `connection` stands, in a word for each question it answers.
fn state(connection: &Connection) -> String {
    let words = [
        (connection.is_idle(), "idle"),
        (connection.is_in_head(), "head"),
        (connection.is_in_content(), "content"),
        (connection.owes_answer(), "owes-answer"),
        (connection.owes_content(), "owes-content"),
        (connection.awaits_continue(), "awaits"),
        (connection.is_mutual_end(), "mutual-end"),
    ];
    let words: Vec<_> = words.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
    format!("{} {:?}", words.join(" "), connection.content_left()).trim().to_owned()
}

/// Tells `input`; returns the bytes taken.
fn tell(connection: &mut Connection, input: &[u8]) -> Result<usize, Refusal> {
    let mut space = HeadSpace::new();
    connection.receive(input, &mut space, &Limits::default()).map(|(used, _)| used)
}

#[test]
fn an_exchange_goes_through_its_states() {
    let mut connection = Connection::new();
    let mut out = Vec::new();
    assert_eq!(state(&connection), "idle Some(0)");
    assert_eq!(tell(&mut connection, b""), Ok(0));
    assert_eq!(tell(&mut connection, b"\r"), Ok(0));
    assert_eq!(tell(&mut connection, b"\r\n"), Ok(0));
    assert_eq!(state(&connection), "idle Some(0)");
    assert_eq!(tell(&mut connection, &EXPECTANT[..10]), Ok(0));
    assert_eq!(state(&connection), "head Some(0)");
    assert_eq!(connection.turn(), Turn::Stay);
    assert_eq!(tell(&mut connection, EXPECTANT), Ok(EXPECTANT.len()));
    assert_eq!(state(&connection), "content owes-answer awaits Some(3)");
    assert_eq!(tell(&mut connection, b""), Ok(0));
    assert_eq!(state(&connection), "content owes-answer awaits Some(3)");
    assert_eq!(tell(&mut connection, b"ab"), Ok(2));
    assert_eq!(state(&connection), "content owes-answer Some(1)");
    assert!(!invited(&mut connection));
    assert_eq!(tell(&mut connection, b"cGET"), Ok(1));
    assert_eq!(state(&connection), "content owes-answer Some(0)");
    assert_eq!(tell(&mut connection, b"GET"), Ok(0));
    assert_eq!(state(&connection), "owes-answer Some(0)");
    assert_eq!(connection.turn(), Turn::Stay);
    connection.respond(Status::OK, b"", Some(7), DATE, &mut out);
    assert_eq!(state(&connection), "owes-content Some(0)");
    assert_eq!(connection.turn(), Turn::Stay);
    connection.sent(3);
    connection.send(b"def", &mut out);
    assert_eq!(state(&connection), "owes-content Some(0)");
    assert_eq!(tell(&mut connection, b"GET / HTTP/1.1\n"), Ok(0));
    connection.sent(1);
    assert_eq!(state(&connection), "Some(0)");
    assert_eq!(tell(&mut connection, b"GET / HTTP/1.1\n"), Ok(0));
    assert_eq!(connection.turn(), Turn::Next);
    assert_eq!(state(&connection), "idle Some(0)");
    assert_eq!(connection.turn(), Turn::Stay);
    let head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    assert_eq!(tell(&mut connection, head), Ok(head.len()));
    assert_eq!(state(&connection), "owes-answer mutual-end Some(0)");
    connection.respond(Status::OK, b"", Some(0), DATE, &mut out);
    assert_eq!(connection.turn(), Turn::Close);
    assert_eq!(connection.turn(), Turn::Close);
    // It has asked for an end, but has not said all it had to say.
    let (connection, _) = told(&post("Connection: close\r\nContent-Length: 3", b""));
    assert_eq!(state(&connection), "content owes-answer Some(3)");
}

#[test]
fn request_content_that_is_still_unread_ends_the_connection() {
    let chunked = post_chunked(b"3\r\nabc\r\n0\r\n\r\n");
    let known = post("Content-Length: 3", b"abc");
    for (input, steps) in [(&chunked, 3), (&known, 3)] {
        for read in 1..=steps {
            let mut connection = Connection::new();
            let mut taken = 0;
            for _ in 0..read {
                taken += tell(&mut connection, &input[taken..]).unwrap();
            }
            let is_read = read == steps;
            assert_eq!(connection.is_in_content(), !is_read);
            let mut out = Vec::new();
            connection.respond(Status::OK, b"", Some(0), DATE, &mut out);
            let says_close = String::from_utf8_lossy(&out).contains("Connection: close\r\n");
            assert_eq!(says_close, !is_read);
            assert_eq!(connection.turn(), if is_read { Turn::Next } else { Turn::Close });
        }
    }
}

#[test]
fn requests_are_taken_one_after_the_other() {
    let requests = [
        b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        post("Content-Length: 5", b"GET /"),
        post_chunked(b"5\r\nGET /\r\n0\r\n\r\n"),
        b"\r\nHEAD /2 HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        b"GET /3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec(),
        b"GET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
    ];
    let input = requests.concat();
    let story = Story::at_once(&input);
    let heads: Vec<_> = story
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Head { bytes, .. } => Some(&input[bytes.clone()]),
            Event::Content(_) | Event::End | Event::Refused(_) | Event::Close => None,
        })
        .collect();
    assert_eq!(heads.len(), 6);
    for (head, request) in heads.iter().zip(&requests) {
        assert!(request.starts_with(head));
    }
    assert_eq!(story.events.last(), Some(&Event::Close));
    assert_eq!(story.taken, input.len() - requests[6].len());
}

#[test]
fn nothing_is_understood_after_a_refusal() {
    let good = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut connection = Connection::new();
    assert!(tell(&mut connection, b"GET / HTTP/1.1\n").is_err());
    for answered in [false, true] {
        assert_eq!(tell(&mut connection, good), Ok(0));
        assert_eq!(state(&connection), if answered { "Some(0)" } else { "owes-answer Some(0)" });
        assert_eq!(connection.turn(), if answered { Turn::Close } else { Turn::Stay });
        if !answered {
            connection.respond(Status::BAD_REQUEST, b"", Some(0), DATE, &mut Vec::new());
        }
    }
}

#[test]
fn content_that_goes_wrong_behind_the_answers_head_does_not_disturb_the_answer() {
    let input = post_chunked(b"x");
    let (mut connection, used) = told(&input);
    let mut out = Vec::new();
    connection.respond(Status::OK, b"", Some(3), DATE, &mut out);
    assert!(tell(&mut connection, &input[used..]).is_err());
    assert_eq!(state(&connection), "owes-content Some(0)");
    connection.send(b"abc", &mut out);
    assert_eq!(connection.turn(), Turn::Close);
}

#[test]
fn an_answer_that_is_cut_ends_the_connection() {
    let get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let begin = |length| {
        let (mut connection, _) = told(get);
        connection.respond(Status::OK, b"", length, DATE, &mut Vec::new());
        connection
    };
    let mut short = begin(Some(5));
    short.send(b"four", &mut Vec::new());
    short.finish(&mut Vec::new());
    assert_eq!(short.turn(), Turn::Close);

    let mut out = Vec::new();
    let mut cut = begin(None);
    cut.send(b"four", &mut out);
    assert!(!cut.cut(), "its length was announced");
    cut.finish(&mut out);
    assert_eq!(out, b"4\r\nfour\r\n", "an end, though there is more");
    assert_eq!(cut.turn(), Turn::Close);
}

#[test]
fn what_is_owed_can_be_written_after_the_client_has_said_its_last() {
    let get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let (mut connection, _) = told(get);
    connection.close_reading();
    assert_eq!(connection.turn(), Turn::Stay);
    let mut out = Vec::new();
    connection.respond(Status::OK, b"", Some(1), DATE, &mut out);
    assert!(out.ends_with(b"\r\nConnection: close\r\n\r\n"));
    connection.send(b"!", &mut out);
    assert_eq!(connection.turn(), Turn::Close);

    let mut silent = Connection::new();
    silent.close_reading();
    assert_eq!(silent.turn(), Turn::Close);
}

#[test]
fn a_205_never_has_content() {
    let mut connection = Connection::new();
    let mut space = HeadSpace::new();
    let input = b"POST / HTTP/1.1\r\nHost: h\r\n\r\n";
    connection.receive(input, &mut space, &Limits::default()).unwrap();
    let mut out = Vec::new();
    connection.respond(Status::RESET_CONTENT, b"", Some(5), DATE, &mut out);
    connection.send(b"abcde", &mut out);
    assert!(out.ends_with(b"Content-Length: 0\r\n\r\n"), "{}", out.escape_ascii());
    assert_eq!(connection.turn(), Turn::Next);
}
