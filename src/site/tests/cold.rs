//! Files that are not in memory.

use std::fs::{self, File};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::super::files::Files;
use super::super::handler::{Later, Settled};
use super::super::router::Router;
use super::super::{Answer, Site};
use super::{Got, answer_again, answer_at, at, get};
use crate::site::cold::tests::{ATTEMPTS, chill, on_disk, tells};

/// Asks for a file that is not in memory, under one name and another, until the kernel has not been
/// faster: the name, and what comes later.
fn ask_for_cold(site: &Site, folder: &std::path::Path) -> (String, Later) {
    // All are there before the first is asked for: from then on the site is told of changes.
    let path = |number: usize| folder.join(number.to_string());
    (0..ATTEMPTS).for_each(|number| fs::write(path(number), "cold").unwrap());
    for number in 0..ATTEMPTS {
        chill(&File::open(path(number)).unwrap());
        let request = format!("GET /{number}");
        if let Answer::Later(later) = answer_at(site, at(0), &request, &[]) {
            return (request, later);
        }
    }
    panic!("the loop has read it each time");
}

#[test]
fn a_small_file_that_is_not_in_memory_is_asked_for_again() {
    if !tells() {
        return;
    }
    let folder = tempfile::tempdir_in(on_disk()).unwrap();
    let files = Files::new(folder.path()).unwrap();
    let site = Router::new().files("/*", files).build().unwrap();
    let (request, mut later) = ask_for_cold(&site, folder.path());
    let (sender, receiver) = channel();
    later.ring(Box::new(move || sender.send(()).expect("the test waits")));
    receiver.recv_timeout(Duration::from_secs(20)).expect("it is read");
    assert!(matches!(later.take(), Some(Settled::AskAgain)));
    let Answer::Reply(reply) = answer_again(&site, at(0), &request, &[]) else {
        panic!("it is asked for once more");
    };
    assert_eq!(Got::from(reply).text(), "cold");
    chill(&File::open(folder.path().join(&request["GET /".len()..])).unwrap());
    assert_eq!(get(&site, &request["GET ".len()..]).text(), "cold", "it is kept");
}
