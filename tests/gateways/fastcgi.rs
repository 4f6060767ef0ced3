//! A `FastCGI` application of which the test has every byte in hand.

use super::World;
use super::origin::{Origin, Wire};

/// The last record of a request: no more standard input.
const NO_MORE_INPUT: &[u8] = &[1, 5, 0, 1, 0, 0, 0, 0];
const STDOUT: u8 = 6;
const STDERR: u8 = 7;
const END: u8 = 3;

const CONTENT: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut record = vec![1, kind, 0, 1, length[0], length[1], padding, 0];
    record.extend_from_slice(content);
    record.extend(std::iter::repeat_n(0, padding.into()));
    record
}

/// A whole answer, in records of several kinds; and where its head ends.
fn answer() -> (Vec<u8>, usize) {
    let mut all = record(STDERR, b"odd\n", 4);
    all.extend(record(STDOUT, b"Content-Type: text", 6));
    all.extend(record(STDOUT, b"/plain\r\n\r\n", 0));
    let head = all.len();
    all.extend(record(STDOUT, &CONTENT[..10], 6));
    all.extend(record(STDOUT, &CONTENT[10..], 0));
    all.extend(record(STDOUT, b"", 0));
    all.extend(record(END, &[0; 8], 0));
    (all, head)
}

fn route(origin: &Origin, more: &str) -> String {
    format!(
        "[[site.route]]\npath = \"/app/*\"\nfastcgi = {{ to = \"{}\"{more} }}\n",
        origin.address()
    )
}

/// The next request, all of it; empty if there is none.
fn request(wire: &mut Wire) -> Vec<u8> {
    wire.until(NO_MORE_INPUT)
}

/// The number that the query of a request names.
fn number(request: &[u8]) -> usize {
    let text = String::from_utf8_lossy(request);
    let rest = text.split("cut-").nth(1).unwrap_or("0-");
    rest.split('-').next().unwrap().parse().unwrap()
}

#[test]
fn an_application_may_end_at_any_byte() {
    let (whole, head) = answer();
    let origin = Origin::start(move |mut wire| {
        let request = request(&mut wire);
        wire.write(&whole[..number(&request).min(whole.len())]);
        if request.windows(6).any(|six| six == b"-reset") {
            wire.reset();
        }
    });
    let (whole, _) = answer();
    let world = World::start(&route(&origin, ""));
    for cut in 0..=whole.len() {
        for end in ["peace", "reset"] {
            let target = format!("/app/?cut-{cut}-{end}");
            let mut client = world.connect();
            client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
            let answer = client.begin();
            let is_whole = cut == whole.len();
            match (answer.status, client.whole_or_cut(&answer)) {
                (502, Ok(_)) => assert!(!is_whole || end == "reset", "{target}"),
                (200, Ok(content)) => {
                    assert!(is_whole, "{target} looks whole");
                    assert_eq!(content, CONTENT, "{target}");
                }
                (200, Err(content)) => {
                    assert!(!is_whole || end == "reset", "{target} was cut");
                    assert!(cut >= head && CONTENT.starts_with(&content), "{target}");
                }
                (status, content) => panic!("{target}: {status} {content:?}"),
            }
        }
    }
    world.assert_well();
}

#[test]
fn connections_to_an_application_are_used_again_one_request_at_a_time() {
    let (whole, _) = answer();
    let origin = Origin::start(move |mut wire| {
        while !request(&mut wire).is_empty() {
            wire.write(&whole);
        }
    });
    let world = World::start(&route(&origin, ", persistent = 1"));
    let mut client = world.connect();
    let content = vec![b'x'; 200_000];
    for _ in 0..10 {
        assert_eq!(client.get("/app/").content, CONTENT);
        assert_eq!(client.request("POST", "/app/", &[], &content).content, CONTENT);
    }
    assert_eq!(origin.connections(), 1);
    world.daemon.says("odd");
}

/// An application that ends each request with this status of the protocol, after `said`.
fn refusing(status: u8, said: &'static [u8]) -> Origin {
    Origin::start(move |mut wire| {
        while !request(&mut wire).is_empty() {
            if !said.is_empty() {
                wire.write(record(STDOUT, said, 0));
            }
            wire.write(record(END, &[0, 0, 0, 0, status, 0, 0, 0], 0));
        }
    })
}

#[test]
fn an_application_that_will_not_is_a_502() {
    for (status, name) in [(1, "cannot multiplex"), (3, "unknown role"), (4, "nobody knows")] {
        let origin = refusing(status, b"");
        let world = World::start(&route(&origin, ""));
        let answer = world.connect().get("/app/");
        assert_eq!((answer.status, answer.field("Retry-After")), (502, None), "{name}");
        assert_eq!(origin.connections(), 1);
        world.assert_well();
    }
}

#[test]
fn an_application_that_is_overloaded_is_a_503() {
    let origin = refusing(2, b"");
    let world = World::start(&route(&origin, ", persistent = 1"));
    let mut client = world.connect();
    for _ in 0..2 {
        let answer = client.get("/app/");
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("1")));
    }
    world.assert_well();
    // An answer that has begun by then is not whole.
    let begun = refusing(2, b"Content-Type: text/plain\n\nbegun");
    let world = World::start(&route(&begun, ""));
    let mut client = world.connect();
    client.send("GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.begin();
    assert_eq!(answer.status, 200);
    assert!(client.whole_or_cut(&answer).is_err());
    world.assert_well();
}

#[test]
fn records_that_make_no_sense_are_a_502() {
    let mut version = record(STDOUT, b"Content-Type: text/plain\n\n", 0);
    version[0] = 2;
    let mut other = record(STDOUT, b"Content-Type: text/plain\n\n", 0);
    other[3] = 2;
    let no_head = record(END, &[0; 8], 0);
    let short_end = record(END, &[0; 3], 0);
    for (bytes, name) in [
        (version, "version"),
        (other, "another request"),
        (no_head, "no head"),
        (short_end, "short end"),
        (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), "another protocol"),
    ] {
        let origin = Origin::start(move |mut wire| {
            request(&mut wire);
            wire.write(&bytes);
        });
        let world = World::start(&route(&origin, ""));
        assert_eq!(world.connect().get("/app/").status, 502, "{name}");
        world.assert_well();
    }
}

#[test]
fn an_application_that_says_nothing_is_a_504() {
    let origin = Origin::start(|mut wire| {
        request(&mut wire);
        wire.wait();
    });
    let world = World::start(&route(&origin, ", timeout = \"200ms\""));
    assert_eq!(world.connect().get("/app/").status, 504);
    world.assert_well();
}
