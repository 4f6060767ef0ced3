//! Files that change while they are asked for: no request that begins after a change gets what was
//! before.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use oneloop::server::Limits;

use super::World;
use crate::support::client::{Client, Response};

/// How often the file is replaced.
const ROUNDS: u64 = 2000;

/// One version in so many is too large for the server's memory.
const LARGE: u64 = 8;

fn version(number: u64) -> Vec<u8> {
    let mut content = format!("{number:08}").into_bytes();
    content.resize(if number.is_multiple_of(LARGE) { 70_000 } else { 8 }, b'.');
    content
}

/// The number of the version that has come.
fn number(response: &Response) -> u64 {
    assert_eq!(response.status, 200);
    let number = std::str::from_utf8(&response.content[..8]).unwrap().parse().unwrap();
    assert!(response.content == version(number), "not one version");
    number
}

/// Asks for `target` so many times at once.
fn ask(client: &mut Client, target: &str, times: usize) -> Vec<Response> {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(times));
    (0..times).map(|_| client.response(false)).collect()
}

/// Replaces the file again and again, and makes one with the number in its name each time.
fn write(folder: &Path, done: &AtomicU64) {
    for number in 1..=ROUNDS {
        fs::write(folder.join("folder/next"), version(number)).unwrap();
        fs::rename(folder.join("folder/next"), folder.join("folder/file")).unwrap();
        fs::write(folder.join(format!("made/{number}")), "").unwrap();
        done.store(number, Ordering::SeqCst);
    }
}

/// Asks for it until there is no new one, so many times at once.
fn read(mut client: Client, done: &AtomicU64, times: usize) -> u64 {
    let mut rounds = 0;
    loop {
        let before = done.load(Ordering::SeqCst);
        for response in ask(&mut client, "/folder/file", times) {
            let number = number(&response);
            assert!(number >= before, "{number} is what was before {before}");
        }
        // The next one is not there yet, or was not a moment ago.
        ask(&mut client, &format!("/made/{}", before + 1), times);
        for response in ask(&mut client, &format!("/made/{before}"), times) {
            assert_eq!(response.status, 200, "{before} had been made");
        }
        rounds += 1;
        if before == ROUNDS {
            return rounds;
        }
    }
}

/// Asks for it once more behind a request that is not answered yet.
fn read_behind(mut client: Client, done: &AtomicU64) -> u64 {
    const GET: &str = "GET /folder/file HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut rounds = 0;
    loop {
        client.send(GET);
        let before = done.load(Ordering::SeqCst);
        client.send(GET);
        number(&client.response(false));
        let number = number(&client.response(false));
        assert!(number >= before, "{number} is what was before {before}");
        rounds += 1;
        if before == ROUNDS {
            return rounds;
        }
    }
}

#[test]
fn who_asks_after_a_rename_never_gets_what_was_before_it() {
    let limits = Limits { persistent_requests: u32::MAX, ..Limits::default() };
    let world = World::with(limits);
    world.folder.write("folder/file", version(0));
    world.folder.write("made/0", "");
    let done = AtomicU64::new(0);
    let done = &done;
    thread::scope(|scope| {
        let readers = [1, 1, 5].map(|times| {
            let client = world.connect();
            scope.spawn(move || read(client, done, times))
        });
        let client = world.connect();
        let behind = scope.spawn(move || read_behind(client, done));
        write(world.folder.path(), done);
        for reader in readers.into_iter().chain([behind]) {
            assert!(reader.join().unwrap() > 0);
        }
    });
}
