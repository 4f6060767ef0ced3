//! Files whose content is not in memory: it is not the loop that reads them.

use std::fs::{self, File};
use std::io::IoSliceMut;
use std::path::Path;

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::support::programs::skipped;
use crate::support::running::Daemon;

/// Writes a file and has the kernel forget its content. Whether it did, and would say so.
fn write_cold(path: &Path, content: &[u8]) -> bool {
    fs::write(path, content).unwrap();
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    let forget = || fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    forget();
    let mut last = [0];
    let at = content.len() as u64 - 1;
    let read = preadv2(&file, &mut [IoSliceMut::new(&mut last)], at, ReadWriteFlags::NOWAIT);
    // Asking for it may have begun to fetch it.
    file.sync_all().unwrap();
    forget();
    read == Err(Errno::AGAIN)
}

/// How many threads of the daemon are there to read files.
fn readers(daemon: &Daemon) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap();
    // A thread may end while it is looked at.
    let name = |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm"));
    let is_reader =
        |task: &fs::DirEntry| name(task).is_ok_and(|name| name.starts_with("oneloop-read"));
    tasks.filter(|task| is_reader(task.as_ref().unwrap())).count()
}

#[test]
fn files_that_are_not_in_memory_are_read_by_another_thread() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 7).to_le_bytes()[0]).collect();
    // (how long, which bytes are asked for)
    for (length, range) in [(1_000, ""), (3_000_000, ""), (3_000_000, "bytes=2000000-2000999")] {
        let mut attempts = 0;
        while !is_read_by_another(&content[..length], range) {
            attempts += 1;
            assert!(attempts < 20, "it is the loop that reads: {length} {range}");
        }
    }
}

/// Fetches `content`, or the `range` of it, that is not in memory unless the kernel has been
/// faster: whether another thread has read it.
fn is_read_by_another(content: &[u8], range: &str) -> bool {
    // The system's temporary folder is often in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if !write_cold(&folder.path().join("file"), content) {
        skipped("no file can be made here that is on a disk and not in memory");
        return true;
    }
    let daemon = Daemon::start(&["-p", "0", "--log", "none", folder.path().to_str().unwrap()]);
    let mut client = daemon.connect();
    assert_eq!(readers(&daemon), 0);
    let field = if range.is_empty() { String::new() } else { format!("Range: {range}\r\n") };
    for _ in 0..3 {
        client.send(format!("GET /file HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
        let response = client.response(false);
        if range.is_empty() {
            assert!(response.status == 200 && response.content == content);
        } else {
            assert_eq!(response.status, 206);
            assert!(response.content == content[2_000_000..2_001_000]);
        }
    }
    readers(&daemon) > 0
}
