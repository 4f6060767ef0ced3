//! Reloads and reopened logs while clients ask and ask: no request fails, and no line is lost.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::{configuration, old, word};
use crate::support::client::Client;
use crate::support::running::wait_until;

const CLIENTS: usize = 8;

/// Clients that ask for the word until they are told to end: on a connection that they keep for
/// some requests.
struct Load {
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(address: SocketAddr) -> Load {
        let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let visit = |_| {
            let (is_over, answers) = (Arc::clone(&is_over), Arc::clone(&answers));
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let mut client = Client::connect(address);
                    for _ in 0..5 {
                        let answer = client.get("/word");
                        assert_eq!(answer.status, 200);
                        assert!(["old", "new"].contains(&answer.text()), "{answer:?}");
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let threads = (0..CLIENTS).map(visit).collect();
        Load { is_over, answers, threads }
    }

    /// Waits until each client has had an answer since, more or less.
    fn go_on(&self) {
        let enough = self.answers.load(Ordering::Relaxed) + 2 * CLIENTS;
        wait_until("clients are answered", || self.answers.load(Ordering::Relaxed) >= enough);
    }

    /// Ends it; how many answers there were.
    fn end(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("every request is answered");
        }
        self.answers.load(Ordering::Relaxed)
    }
}

#[test]
fn a_hundred_reloads_fail_no_request() {
    let world = old();
    let load = Load::start(world.daemon.address);
    for round in 0..100 {
        // Another listener comes and goes with every second one.
        let socket = format!(", \"unix:{}\"", world.path("socket").display());
        let (listen, says) = if round % 2 == 0 { (&*socket, "new") } else { ("", "old") };
        world.reload(&configuration(listen, &word(says)), "reloaded");
        assert_eq!(world.word(), says);
        if round % 10 == 0 {
            load.go_on();
        }
    }
    load.end();
}

#[test]
fn logs_are_reopened_without_a_lost_line() {
    let world = old();
    world.reload(&configuration("", &word("new")).replace("none", "./log"), "reloaded");
    let load = Load::start(world.daemon.address);
    let mut lines = 0;
    let count = |path| fs::read_to_string(path).unwrap().lines().count();
    for _ in 0..10 {
        load.go_on();
        fs::rename(world.path("log"), world.path("log.1")).unwrap();
        world.daemon.signal("USR1");
        world.daemon.says("the logs are reopened");
        // Nothing is written to the former one any more.
        lines += count(world.path("log.1"));
    }
    let answers = load.end();
    world.daemon.signal("TERM");
    let log = world.path("log");
    assert_eq!(world.daemon.wait(), Some(0));
    assert_eq!(lines + count(log), answers);
}
