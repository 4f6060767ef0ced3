//! Origins that are not there, say nothing, make no sense, or end at the wrong moment: the client
//! gets a correct answer or one that is visibly cut, and never what an origin said wrongly.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use super::origin::{Origin, route};
use super::{World, json};
use crate::support::client::Client;
use crate::support::running::wait_until;

const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 26\r\n\r\n\
                      abcdefghijklmnopqrstuvwxyz";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n\
                       5\r\nabcde\r\n15;a=1\r\nfghijklmnopqrstuvwxyz\r\n0\r\nX-Trailer: t\r\n\r\n";
const CLOSE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdefghijklmnopqrstuvwxyz";
const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\
                       Content-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz";
const CONTENT: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// Asks for `target`, on a connection that ends with the answer.
fn ask(world: &World, target: &str) -> Client {
    let mut client = world.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    client
}

/// What a client makes of the answer to `target`: status, content, whether it looks whole.
fn outcome(world: &World, target: &str) -> (u16, Result<Vec<u8>, Vec<u8>>) {
    let mut client = ask(world, target);
    let mut head = client.begin();
    while head.status < 200 {
        head = client.begin();
    }
    (head.status, client.whole_or_cut(&head))
}

/// An origin that says the first so many bytes of an answer, and ends: by a reset, or in peace.
fn cutting() -> Origin {
    Origin::start(|mut wire| {
        let head = wire.head().unwrap_or_default();
        let mut words = head.split(['/', ' ']).filter(|word| !word.is_empty()).skip(1);
        let (Some(answer), Some(cut), Some(end)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        let answer = match answer {
            "length" => LENGTH,
            "chunked" => CHUNKED,
            "close" => CLOSE,
            _ => INTERIM,
        };
        wire.write(&answer[..cut.parse().unwrap()]);
        if end == "reset" {
            wire.reset();
        }
    })
}

#[test]
fn an_origin_may_end_at_any_byte() {
    let origin = cutting();
    let world = World::start(&route(&origin, ""));
    for (name, answer) in
        [("length", LENGTH), ("chunked", CHUNKED), ("close", CLOSE), ("interim", INTERIM)]
    {
        let head = answer.rfind("\r\n\r\n").unwrap();
        // The last empty line of a chunked answer is not that of its head.
        let head = if name == "chunked" { answer.find("\r\n\r\n").unwrap() } else { head } + 4;
        for cut in 0..=answer.len() {
            for end in ["reset", "peace"] {
                let target = format!("/{name}/{cut}/{end}");
                let (status, content) = outcome(&world, &target);
                let is_whole = match (name, end) {
                    ("close", "peace") => cut >= head,
                    ("close", _) => false,
                    _ => cut == answer.len(),
                };
                match (status, content) {
                    (502, Ok(page)) => {
                        assert!(!is_whole || end == "reset", "{target}");
                        assert!(!page.windows(5).any(|five| five == b"abcde"), "{target}");
                    }
                    (200, Ok(content)) => {
                        assert!(is_whole, "{target} looks whole");
                        let expected =
                            if name == "close" { &CONTENT[..cut - head] } else { CONTENT };
                        assert_eq!(content, expected, "{target}");
                    }
                    (200, Err(content)) => {
                        assert!(!is_whole || end == "reset", "{target} was cut");
                        assert!(cut >= head && CONTENT.starts_with(&content), "{target}");
                    }
                    (status, content) => panic!("{target}: {status} {content:?}"),
                }
            }
        }
    }
    world.assert_well();
}

/// What no proxy may pass on. That these heads are all there is of each answer makes no difference.
const MALFORMED: [&str; 26] = [
    "\r\n\r\n",
    "hello\r\n\r\n",
    "HTTP/1.1\r\n\r\n",
    "HTTP/1.1 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 099 Odd\r\n\r\n",
    "HTTP/1.1 +20 OK\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n",
    "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX(A): b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-A: b\0c\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-A: b\rc\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n1",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n12",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
];

#[test]
fn what_makes_no_sense_is_a_502() {
    let origin = Origin::start(|mut wire| {
        let head = wire.head().unwrap_or_default();
        let number = head.split(['/', ' ']).find_map(|word| word.parse::<usize>().ok());
        if let Some(answer) = number.and_then(|number| MALFORMED.get(number)) {
            wire.write(answer);
        }
    });
    let world = World::start(&route(&origin, ""));
    for (answer, number) in MALFORMED.iter().zip(0..) {
        let (status, content) = outcome(&world, &format!("/{number}"));
        assert_eq!(status, 502, "{answer:?}");
        let page = String::from_utf8(content.unwrap()).unwrap();
        assert!(page.contains("502"), "{answer:?}: {page}");
    }
    world.assert_well();
}

#[test]
fn a_head_without_end_is_a_502() {
    let origin = Origin::start(|mut wire| {
        wire.head();
        wire.write("HTTP/1.1 200 OK\r\n");
        for number in 0..20_000 {
            wire.write(format!("X-{number}: {number}\r\n"));
        }
        wire.wait();
    });
    let world = World::start(&route(&origin, ""));
    assert_eq!(outcome(&world, "/").0, 502);
    let endless = Origin::start(|mut wire| {
        wire.head();
        for _ in 0..100_000 {
            wire.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        }
        wire.wait();
    });
    let world = World::start(&route(&endless, ", timeout = \"500ms\""));
    let mut client = ask(&world, "/");
    let mut head = client.begin();
    while head.status == 103 {
        head = client.begin();
    }
    assert!(matches!(head.status, 502 | 504), "{}", head.status);
}

#[test]
fn chunks_that_make_no_sense_cut_the_answer() {
    for chunk in ["x\r\n", "-1\r\n", "fffffffffffffffff\r\n", "5\r\nabcdefg", "5 5\r\nabcde\r\n"] {
        let origin = Origin::answering(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n{chunk}0\r\n\r\n"
        ));
        let world = World::start(&route(&origin, ""));
        let (status, content) = outcome(&world, "/");
        match (status, content) {
            (502, Ok(_)) => {}
            (200, Err(content)) => assert!(b"ababcde".starts_with(&content[..]), "{chunk:?}"),
            other => panic!("{chunk:?}: {other:?}"),
        }
    }
}

#[test]
fn an_origin_that_is_not_there_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let world = World::start(&format!(
        "[[site.route]]\npath = \"/tcp/*\"\nproxy = {{ to = \"http://{address}\" }}\n\
         [[site.route]]\npath = \"/unix/*\"\nproxy = {{ to = \"unix:@FOLDER/nobody\" }}\n\
         [[site.route]]\npath = \"/name/*\"\nproxy = {{ to = \"http://nowhere.invalid:80\" }}\n\
         [[site.route]]\npath = \"/scgi/*\"\nscgi = {{ to = \"{address}\" }}\n\
         [[site.route]]\npath = \"/fastcgi/*\"\nfastcgi = {{ to = \"{address}\" }}\n"
    ));
    let mut client = world.connect();
    for path in ["/tcp/", "/unix/", "/name/", "/scgi/", "/fastcgi/"] {
        assert_eq!(client.get(path).status, 502, "{path}");
        // Nobody has taken the content, so the connection may end with the answer.
        let mut other = world.connect();
        assert_eq!(other.request("POST", path, &[], b"content").status, 502, "{path}");
    }
    assert_eq!(client.get("/file.txt").text(), "a file");
    world.assert_well();
    let log = || fs::read_to_string(world.path("access.log")).unwrap();
    wait_until("all lines are written", || log().lines().count() >= 11);
    let log = log();
    let reasons: Vec<Value> = log
        .lines()
        .map(json)
        .map(|line| line["why"].clone())
        .filter(|why| !why.is_null())
        .collect();
    assert_eq!(reasons.len(), 10, "{log}");
    assert!(reasons.iter().all(|why| why.as_str().unwrap().starts_with("cannot be ")), "{log}");
}

#[test]
fn an_origin_is_found_by_its_name() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let world = World::start(&format!(
        "[[site.route]]\npath = \"/*\"\nproxy = {{ to = \"http://localhost:{}\" }}\n",
        origin.address().port()
    ));
    let mut client = world.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_origin_that_says_nothing_is_a_504() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let origin = Origin::start(move |mut wire| {
            wire.head();
            wire.write(said);
            wire.wait();
        });
        let world = World::start(&route(&origin, ", timeout = \"200ms\""));
        let (status, page) = outcome(&world, "/");
        assert_eq!((status, page.is_ok()), (504, true), "{said:?}");
        assert_eq!(origin.connections(), 1, "it was asked again");
        world.assert_well();
    }
}

#[test]
fn an_origin_that_falls_silent_is_cut() {
    for (name, answer) in [("length", LENGTH), ("chunked", CHUNKED), ("close", CLOSE)] {
        let origin = Origin::start(move |mut wire| {
            wire.head();
            wire.write(&answer[..answer.len() - 20]);
            wire.wait();
        });
        let world = World::start(&route(&origin, ", timeout = \"200ms\""));
        let (status, content) = outcome(&world, "/");
        assert_eq!((status, content.is_err()), (200, true), "{name}");
        // A client of HTTP/1.0 must see it, too.
        let mut client = world.connect();
        client.send("GET / HTTP/1.0\r\n\r\n");
        let head = client.begin();
        assert!(client.whole_or_cut(&head).is_err(), "{name}");
    }
}

#[test]
fn an_origin_may_answer_before_it_has_all_of_the_content() {
    let origin = Origin::start(|mut wire| {
        wire.head();
        wire.content(1000);
        wire.write("HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!");
    });
    let world = World::start(&(route(&origin, "") + "content = { bytes = \"1GiB\" }\n"));
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    client.send([b'x'; 1000]);
    let answer = client.response(false);
    assert_eq!((answer.status, answer.text()), (413, "no!"));
    world.assert_well();
}

#[test]
fn too_much_content_on_its_way_to_an_origin_is_answered_with_the_routes_page() {
    let origin = Origin::start(|mut wire| {
        wire.head();
        wire.wait();
    });
    let page = "content = { bytes = \"1KiB\" }\nerrors = { 413 = \"/file.txt\" }\n\
                [[site.route]]\npath = \"/file.txt\"\nfiles = {}\n";
    let world = World::start(&(route(&origin, "") + page));
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    // It may be answered and closed before all of it is sent.
    let _ = client.stream.write_all(&super::chunked(&[b'x'; 2000]));
    let answer = client.response(false);
    assert_eq!((answer.status, answer.text()), (413, "a file"));
    world.assert_well();
}

#[test]
fn when_the_client_leaves_the_origin_learns_of_it() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let origin = Origin::start(move |mut wire| {
        let target = wire.head().unwrap_or_default();
        if target.contains("/content") {
            wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        }
        sender.send("asked").unwrap();
        wire.wait();
        sender.send("left").unwrap();
    });
    let world = World::start(&route(&origin, ""));
    for target in ["/silent", "/content"] {
        let mut client = ask(&world, target);
        if target == "/content" {
            client.begin();
        }
        assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok("asked"));
        drop(client);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok("left"), "{target}");
    }
    world.assert_well();
}
