//! A hundred thousand malformed requests, each on a connection of its own to one living server. It
//! refuses them one by one, panics at none, and after each it still serves.
//!
//! Whether what it understands of them is right, the unit tests of `http` say, with a second
//! opinion.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use fastrand::Rng;
use oneloop::server::{Address, Limits, Options};
use oneloop::site::handler::{Request, Response};
use oneloop::site::router::Router;

use crate::support::client::Client;
use crate::support::running::Running;
use crate::support::spoil::spoiled;

/// Malformed requests, all clients taken together: those alone that were refused.
const WANTED: u32 = 100_000;

/// Clients at a time.
const CLIENTS: u64 = 3;

/// Listeners. A connection's end keeps its port from going the same way again for a minute, and
/// there are 28,000 ports to each.
const LISTENERS: usize = 8;

/// What became of a spoiled request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// What came last, if not all of it, was malformed, and the connection was closed.
    Refused(u16),
    /// All of it made sense after all, as far as the server has to know.
    Answered,
    /// It came to an end before it was whole, and so did the connection.
    Unfinished,
}

/// Takes the answers apart, to the last byte.
fn outcome(mut answers: &[u8]) -> Result<Outcome, &'static str> {
    let mut outcome = Outcome::Unfinished;
    while !answers.is_empty() {
        let end = answers.windows(4).position(|four| four == b"\r\n\r\n").ok_or("half a head")?;
        let head = std::str::from_utf8(&answers[..end]).map_err(|_| "a head not in ASCII")?;
        answers = &answers[end + 4..];
        let line = head.strip_prefix("HTTP/1.1 ").ok_or("no status line")?;
        let status: u16 = line[..3].parse().map_err(|_| "no status")?;
        if status < 200 {
            continue;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(Ok(0), str::parse).map_err(|_| "no length")?;
        // The answer to HEAD has the length of what it does not have.
        let is_head_only = answers.is_empty() || answers.starts_with(b"HTTP/1.1 ");
        let length: usize = if is_head_only { 0 } else { length };
        answers = answers.get(length..).ok_or("half an answer")?;
        let is_last = head.lines().any(|line| line == "Connection: close");
        if is_last && !answers.is_empty() {
            return Err("something behind the last answer");
        }
        outcome = match status {
            400 | 413 | 414 | 417 | 431 | 505 if is_last => Outcome::Refused(status),
            500 => return Err("a bug"),
            _ => Outcome::Answered,
        };
    }
    Ok(outcome)
}

/// Sends spoiled requests until so many of them were refused. Returns how many were not.
fn run(server: &Running, seed: u64, wanted: u32) -> u32 {
    let mut random = Rng::with_seed(seed);
    let addresses = server.addresses();
    let (mut refused, mut others) = (0, 0);
    let mut beside = server.connect();
    while refused < wanted {
        let input = spoiled(&mut random);
        let mut client = Client::connect(addresses[random.usize(..addresses.len())]);
        client.send(&input);
        client.finish();
        let answers = client.read_to_fin();
        match outcome(&answers) {
            Ok(Outcome::Refused(_)) => refused += 1,
            Ok(Outcome::Answered | Outcome::Unfinished) => others += 1,
            Err(what) => panic!(
                "{what} in the answer to \"{}\":\n{}",
                input.escape_ascii(),
                String::from_utf8_lossy(&answers)
            ),
        }
        let good = beside.get("/good");
        assert_eq!((good.status, good.text()), (200, "hello"), "after {}", input.escape_ascii());
    }
    others
}

/// Counts the panics of one thread, those that are caught as well.
fn count_panics(of: thread::ThreadId) -> Arc<AtomicU32> {
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == of {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        before(info);
    }));
    count
}

#[test]
fn after_each_of_a_hundred_thousand_malformed_requests_the_server_still_serves() {
    let limits = Limits { persistent_requests: u32::MAX, ..Limits::default() };
    let listen = vec![Address::Tcp(([127, 0, 0, 1], 0).into()); LISTENERS];
    let (say, said) = channel();
    let server = Running::with(Options { listen, limits, ..Options::default() }, move || {
        say.send(thread::current().id()).unwrap();
        let hello = |_: &Request<'_>| Response::text("hello");
        Router::new().get("/", hello).get("/good", hello).build().unwrap()
    });
    let panics = count_panics(said.recv().unwrap());
    let share = WANTED.div_ceil(u32::try_from(CLIENTS).unwrap());
    let others: u32 = thread::scope(|scope| {
        let start = |seed| {
            scope.spawn({
                let server = &server;
                move || run(server, seed, share)
            })
        };
        let clients: Vec<_> = (1..=CLIENTS).map(start).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(panics.load(Ordering::Relaxed), 0, "the server has panicked");
    assert!(others < WANTED, "{others} of the requests were not malformed");
}
