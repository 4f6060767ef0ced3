//! The laboratory's clients, against servers that do as they are told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use clap::Parser as _;

use super::answer::Ask;
use super::clients::Clients;
use super::load::{Load, Target};
use super::options::{Options, Url};
use super::progress::Progress;
use super::seen::Seen;
use super::sizes::{Tries, choose};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright";

/// A server that has a thread for each connection, on which it does what `serve` says.
fn server(serve: fn(TcpStream, usize)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream, number));
        }
    });
    address
}

/// Reads so many requests, each of which ends in an empty line; `false` at the end.
fn hear(stream: &mut TcpStream, count: usize) -> bool {
    let mut said = Vec::new();
    let mut byte = [0];
    while memchr::memmem::find_iter(&said, b"\r\n\r\n").count() < count {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        said.push(byte[0]);
    }
    true
}

fn target() -> Vec<Target> {
    let ask = Ask {
        request: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        status: 200,
        content: Rc::from(&b"right"[..]),
    };
    vec![Target { ask, cold: None }]
}

fn load(server: SocketAddr, targets: &[Target]) -> Load<'_> {
    Load {
        server,
        targets,
        choices: &[0],
        long: &[0],
        active: 3,
        idle: 0,
        slow: 0,
        depth: 1,
        closes: false,
    }
}

const MOMENT: Duration = Duration::from_millis(50);

#[test]
fn each_answer_counts_once_and_for_its_client() {
    let address = server(|mut stream, _| {
        while hear(&mut stream, 1) {
            stream.write_all(ANSWER).unwrap();
        }
    });
    let targets = target();
    let load = Load { idle: 2, ..load(address, &targets) };
    let mut clients = Clients::new(&load).unwrap();
    let seen = clients.closed_loop(MOMENT).unwrap();
    assert!(seen.answers > 0 && (seen.errors, seen.unanswered) == (0, 0));
    assert_eq!(seen.shares.len(), 3, "idle clients have no part in it");
    assert_eq!(seen.shares.iter().sum::<u64>(), seen.answers);
    assert_eq!(seen.latency.len(), seen.answers);
}

#[test]
fn a_server_may_close_behind_any_answer_and_pipelined_requests_are_asked_again() {
    // Four come at once; three are answered, and the connection ends.
    let address = server(|mut stream, _| {
        let mut said = [0; 4096];
        let count = stream.read(&mut said).unwrap();
        let asked = memchr::memmem::find_iter(&said[..count], b"\r\n\r\n").count();
        stream.write_all(&ANSWER.repeat(asked.min(3))).unwrap();
    });
    let targets = target();
    let load = Load { depth: 4, ..load(address, &targets) };
    let seen = Clients::new(&load).unwrap().closed_loop(MOMENT).unwrap();
    assert!(seen.answers > 12, "{}", seen.answers);
}

#[test]
fn what_was_due_counts_though_it_could_not_be_asked() {
    // One client is answered once, in the beginning; the others always.
    let address = server(|mut stream, number| {
        let mut answers = 0;
        while hear(&mut stream, 1) {
            answers += 1;
            if number > 0 || answers == 1 {
                stream.write_all(ANSWER).unwrap();
            }
        }
    });
    let targets = target();
    let load = Load { active: 1, ..load(address, &targets) };
    let mut clients = Clients::new(&load).unwrap();
    let seen = clients.open_loop(1000.0, MOMENT).unwrap();
    assert_eq!(seen.answers, 0);
    assert_eq!((seen.served, seen.unanswered), (1, 50));
    assert_eq!(seen.latency.len(), seen.unanswered, "with the time that they have waited");
    assert!(seen.latency.max() >= 50_000);
}

#[test]
fn who_leaves_a_client_standing_pays_for_what_was_due_there() {
    // The second client is never answered, not even in the beginning.
    let address = server(|mut stream, number| {
        while hear(&mut stream, 1) {
            if number != 1 {
                stream.write_all(ANSWER).unwrap();
            }
        }
    });
    let targets = target();
    let load = Load { active: 2, ..load(address, &targets) };
    let mut clients = Clients::new(&load).unwrap();
    // What was asked for in the beginning, and in an earlier load, is nobody's in this one.
    for _ in 0..2 {
        let seen = clients.open_loop(1000.0, MOMENT).unwrap();
        assert_eq!((seen.answers, seen.unanswered), (25, 25));
        assert_eq!(seen.shares, [25, 0]);
        assert_eq!(seen.served, 1, "one has never heard anything");
        assert_eq!(seen.latency.len(), 50);
        // Half of them have waited, and the last of these for as long as answers were waited for.
        assert!(seen.latency.value_at_quantile(0.6) >= 50_000, "{:?}", seen.latency);
    }
}

#[test]
fn the_queue_of_a_client_has_an_end_and_what_finds_no_room_is_counted() {
    let address = server(|mut stream, _| while hear(&mut stream, 1) {});
    let targets = target();
    let load = Load { active: 1, ..load(address, &targets) };
    let mut clients = Clients::new(&load).unwrap();
    let seen = clients.open_loop(100_000.0, MOMENT).unwrap();
    assert_eq!((seen.answers, seen.unanswered), (0, 5000));
    assert_eq!(seen.latency.len(), 5000);
}

#[test]
fn who_comes_late_is_counted_from_when_it_was_due() {
    // Each answer takes 10 ms, and one is due every 5 ms: each waits for all before it.
    let address = server(|mut stream, _| {
        while hear(&mut stream, 1) {
            thread::sleep(Duration::from_millis(10));
            stream.write_all(ANSWER).unwrap();
        }
    });
    let targets = target();
    let load = Load { active: 1, ..load(address, &targets) };
    let mut clients = Clients::new(&load).unwrap();
    let seen = clients.open_loop(200.0, MOMENT).unwrap();
    assert_eq!(seen.answers + seen.unanswered, 10);
    // The last one was due after 45 ms, and is the tenth.
    assert!(seen.latency.max() >= 100_000 - 45_000, "{}", seen.latency.max());
}

#[test]
fn of_a_closed_loop_each_client_that_waits_counts_once() {
    let address = server(|mut stream, number| {
        while hear(&mut stream, 1) {
            if number != 1 {
                stream.write_all(ANSWER).unwrap();
            }
        }
    });
    let targets = target();
    let load = Load { active: 2, depth: 16, ..load(address, &targets) };
    let seen = Clients::new(&load).unwrap().closed_loop(MOMENT).unwrap();
    assert!(seen.answers > 0);
    assert_eq!(seen.unanswered, 1);
}

#[test]
fn a_wrong_answer_is_an_error_and_a_broken_connection_is_counted() {
    let address = server(|mut stream, _| {
        while hear(&mut stream, 1) {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong").unwrap();
        }
    });
    let targets = target();
    let error = Clients::new(&load(address, &targets)).err().unwrap().to_string();
    assert!(error.contains("wrong content"), "{error}");
    let address = server(|mut stream, _| {
        if hear(&mut stream, 1) {
            stream.write_all(ANSWER).unwrap();
            if hear(&mut stream, 1) {
                stream.write_all(&ANSWER[..10]).unwrap();
            }
        }
    });
    let seen = Clients::new(&load(address, &targets)).unwrap().closed_loop(MOMENT).unwrap();
    assert!(seen.errors > 0);
    assert_eq!(seen.first_error.unwrap(), "the server closes without an answer");
}

#[test]
fn options_are_understood_or_refused() {
    let read = |words: &[&str]| Options::try_parse_from([&["architectures"], words].concat());
    let none = read(&[]).unwrap();
    assert_eq!(none.clients, [1, 10, 100, 1000, 10_000]);
    assert!(none.rounds >= 5);
    let options =
        read(&["--url", "a=http://[::1]:8080/b/c", "--peer", "nginx,apache", "--rate", "7"]);
    let options = options.unwrap();
    let url = Url { authority: "[::1]:8080".to_owned(), path: "/b/c".to_owned() };
    assert_eq!(options.url, [("a".to_owned(), url)]);
    assert_eq!(options.peer, ["nginx", "apache2"]);
    let options = read(&["--url", "a=http://example.com"]).unwrap();
    let url = Url { authority: "example.com:80".to_owned(), path: "/".to_owned() };
    assert_eq!(options.url, [("a".to_owned(), url)]);
    for bad in ["a=https://b/", "http://b/", "=http://b/", "a=http://", "a"] {
        let error = read(&["--url", bad]).unwrap_err().to_string();
        assert!(error.contains("write NAME=http://ADDRESS:PORT/PATH"), "{error}");
    }
    assert!(read(&["--seconds", "0"]).is_err() && read(&["--rounds", "0"]).is_err());
    let names = ["x".to_owned()];
    assert!(Options::wants(&names, "x") && !Options::wants(&names, "y"));
    assert!(Options::wants(&[], "y"), "where none is named, all are");
    let none = read(&["--arch", "none", "--peer", "nginx"]).unwrap();
    assert_eq!(none.leaves_all_out(), Ok(true));
    assert!(!Options::wants(&none.arch, "loop"));
    let error = read(&["--arch", "none"]).unwrap().leaves_all_out().unwrap_err();
    assert!(error.ends_with("name a --peer or a --url"), "{error}");
    let error = read(&["--arch", "loop,none", "--peer", "nginx"]).unwrap().leaves_all_out();
    assert!(error.unwrap_err().ends_with("no other name goes with it"));
    assert_eq!(read(&["--arch", "loop"]).unwrap().leaves_all_out(), Ok(false));
    let error = Options::check("peer", &["x".to_owned()], &["a", "b"]).unwrap_err();
    assert_eq!(error, "there is no peer x: there are a b");
}

#[test]
fn fairness_is_one_where_all_have_the_same() {
    let is = |shares: &[u64], expected: f64| {
        let seen = Seen { shares: shares.to_vec(), ..Seen::new(0).unwrap() };
        assert!((seen.fairness() - expected).abs() < 1e-9, "{shares:?}");
    };
    is(&[7, 7, 7, 7], 1.0);
    is(&[9, 0, 0, 0], 0.25);
    is(&[0, 0], 0.0);
    is(&[], 0.0);
    is(&[1, 3], 0.8);
}

/// The size that is taken: of tries with a rate and the clients that are left.
fn chosen(tried: &[(usize, &[f64], u64)]) -> usize {
    let seen = |&(size, rates, left): &(usize, &[f64], u64)| Tries {
        rates: rates.to_vec(),
        unanswered: vec![left; rates.len()],
        ..Tries::new(size)
    };
    let all: Vec<Tries> = tried.iter().map(seen).collect();
    all[choose(&all, 1_000).unwrap()].size
}

#[test]
fn the_smallest_size_is_taken_that_is_as_good_as_the_best() {
    let steady = [100.0, 101.0, 99.0];
    assert_eq!(chosen(&[(1, &[80.0; 3], 0), (2, &steady, 0), (4, &[103.0; 3], 0)]), 2);
    // Where tries of the best do not reach it either, it is chance. One alone may have been
    // disturbed.
    let unsteady = [70.0, 130.0, 90.0, 120.0, 121.0];
    assert_eq!(chosen(&[(1, &[80.0; 3], 0), (2, &steady, 0), (4, &unsteady, 0)]), 2);
    assert_eq!(chosen(&[(1, &[80.0; 3], 0), (4, &[120.0; 3], 0)]), 4);
    // However fast, it does not serve all.
    assert_eq!(chosen(&[(64, &[200.0; 3], 936), (1_024, &steady, 0)]), 1_024);
    // One in a hundred may be chance. Where all leave some out, who leaves the fewest is taken.
    assert_eq!(chosen(&[(64, &steady, 9), (1_024, &steady, 0)]), 64);
    assert_eq!(chosen(&[(64, &[200.0; 3], 936), (256, &steady, 744)]), 256);
    assert!(choose(&[], 1).is_none());
}

#[test]
fn the_time_left_is_that_of_all_that_is_still_to_be_done() {
    let mut progress = Progress::new(100.0);
    let seconds = Duration::from_secs;
    assert_eq!(progress.stands(seconds(0)), (0.0, seconds(100)));
    progress.next("a quarter, and it takes as long as was thought", 25.0);
    assert_eq!(progress.stands(seconds(25)), (0.25, seconds(75)));
    progress.less(50.0);
    assert_eq!(progress.stands(seconds(25)), (0.5, seconds(25)));
    let (_, longer) = progress.stands(seconds(50));
    assert!(longer > seconds(30) && longer < seconds(50), "{longer:?}");
    progress.next("more than was thought", 50.0);
    assert_eq!(progress.stands(seconds(50)), (1.0, Duration::ZERO));
    progress.end();
}
