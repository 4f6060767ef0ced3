//! The rows, and what several of them need. How often they are done, and what is measured, is not
//! known here.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::browser::BROWSER;
use super::folder::Folder;
use super::{answers, loops, protocol};

/// Does a row's operation so many times.
pub(crate) type Work = Box<dyn FnMut(u32)>;

/// One piece of work.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    /// Readies it, with the folder of files, and panics if its result is not right.
    pub(crate) prepare: fn(&Path) -> Work,
}

/// How many requests come at once in the pipelined row. All rows are done a multiple of that many
/// times.
pub(crate) const DEPTH: u32 = 16;

/// The folder of files, and what is in it: its path on the site, and its bytes.
pub(crate) const ROOT: &str = "www";
pub(crate) const FILE: (&str, usize) = ("/small.txt", 1 << 10);
pub(crate) const LARGER_FILE: (&str, usize) = ("/larger.txt", 16 << 10);

pub(crate) const ROWS: [Row; 19] = [
    Row { name: "parse", says: "a head with Host alone", prepare: |_| protocol::parse("", 1) },
    Row {
        name: "parse-browser",
        says: "a browser's head",
        prepare: |_| protocol::parse(&browser(), 1),
    },
    Row {
        name: "parse-dripped",
        says: "the same, in 8 pieces",
        prepare: |_| protocol::parse(&browser(), 8),
    },
    Row { name: "respond", says: "the head of a 200", prepare: |_| protocol::respond() },
    Row {
        name: "chunk-decode",
        says: "16 KiB in chunks of 1 KiB, found",
        prepare: |_| protocol::decode(),
    },
    Row { name: "chunk-encode", says: "the same, written", prepare: |_| protocol::encode() },
    Row { name: "route", says: "a fixed answer, 1 route", prepare: |_| answers::route(1) },
    Row { name: "route-100", says: "the same, 100 routes", prepare: |_| answers::route(100) },
    Row { name: "answer-hot", says: "a file of 1 KiB in the cache", prepare: answers::whole },
    Row {
        name: "answer-304",
        says: "the same, by If-None-Match with its tag",
        prepare: answers::not_modified,
    },
    Row {
        name: "answer-404",
        says: "nothing there, and known to be so",
        prepare: answers::missing,
    },
    Row { name: "range", says: "1,000 of 16 KiB", prepare: answers::range },
    Row { name: "ranges", says: "three times 1,000 of them, multipart", prepare: answers::ranges },
    Row {
        name: "timers",
        says: "one of 10,000 deadlines comes, and is set anew",
        prepare: |_| loops::expire(),
    },
    Row {
        name: "timers-moved",
        says: "one of 10,000 is moved before it comes",
        prepare: |_| loops::postpone(),
    },
    Row {
        name: "exchange",
        says: "a file of 1 KiB, a whole turn of the loop over no network",
        prepare: |root| loops::exchange(root, "", 1),
    },
    Row { name: "recorder", says: "what is remembered of that", prepare: |_| loops::record() },
    Row {
        name: "exchange-browser",
        says: "the same, with a browser's head",
        prepare: |root| loops::exchange(root, &browser(), 1),
    },
    Row {
        name: "exchange-pipelined",
        says: "one of 16 that come at once",
        prepare: |root| loops::exchange(root, "", DEPTH),
    },
];

/// Writes the files. They are always as old, for each digit of a tag costs instructions.
pub(crate) fn write_files(folder: &Folder) {
    let modified = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for (path, length) in [FILE, LARGER_FILE] {
        let file = folder.write(&format!("{ROOT}{path}"), content(length));
        File::options().write(true).open(file).unwrap().set_modified(modified).unwrap();
    }
}

/// Content of so many bytes. No two lines of it are alike.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut content: Vec<u8> =
        (0..length / 8).flat_map(|at| format!("{at:07}\n").into_bytes()).collect();
    content.resize(length, b'\n');
    content
}

/// A request with these fields beside Host.
pub(crate) fn request(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

/// All fields that a browser sends beside Host.
fn browser() -> String {
    format!("{BROWSER}Accept-Encoding: gzip, deflate, br, zstd\r\n")
}
