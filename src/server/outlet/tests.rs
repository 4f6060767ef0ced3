//! Files, pipes and syslogs that are full, away, slow, renamed; and what is lost then.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::*;

/// How long a test waits for anything before it fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A folder that is gone when this is.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn outlet(target: &LogTarget, limit: usize) -> Outlet {
    Outlet::open(target, "test log", limit).unwrap().unwrap()
}

fn file(path: &Path) -> Outlet {
    outlet(&LogTarget::File(path.into()), 1 << 20)
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < DEADLINE, "it never came to this: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Whether losses are over.
fn is_calm(outlet: &Outlet) -> bool {
    outlet.shared.lock().losing.is_none()
}

#[test]
fn a_file_gets_all_lines_in_order() {
    let folder = Folder::new();
    let path = folder.path("log");
    fs::write(&path, "old\n").unwrap();
    let outlet = file(&path);
    let mut expected = "old\n".to_owned();
    for number in 0..1000 {
        let line = format!("{number}\n");
        outlet.give(line.as_bytes());
        expected += &line;
    }
    assert!(outlet.flush());
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(outlet.lost(), 0);
}

#[test]
fn the_end_of_an_outlet_waits_for_its_lines() {
    let folder = Folder::new();
    let path = folder.path("log");
    let outlet = file(&path);
    (0..1000).for_each(|_| outlet.give(b"line\n"));
    drop(outlet);
    assert_eq!(fs::read_to_string(&path).unwrap(), "line\n".repeat(1000));
}

#[test]
fn a_thread_that_has_nothing_to_do_ends_and_another_one_goes_on() {
    let folder = Folder::new();
    let path = folder.path("log");
    let outlet = file(&path);
    for round in 1..=3 {
        outlet.give(b"line\n");
        wait_until("there is no thread", || outlet.shared.lock_sink().is_some());
        assert_eq!(fs::read_to_string(&path).unwrap(), "line\n".repeat(round));
    }
}

#[test]
fn a_file_that_was_renamed_and_opened_anew_loses_no_line() {
    let folder = Folder::new();
    let path = folder.path("log");
    let outlet = file(&path);
    for round in 0..20 {
        for number in 0..100 {
            outlet.give(format!("{}\n", round * 100 + number).as_bytes());
        }
        fs::rename(&path, folder.path(&format!("log.{round}"))).unwrap();
        outlet.reopen().unwrap();
        outlet.give(format!("{round} is over\n").as_bytes());
    }
    assert!(outlet.flush());
    assert!(fs::read_to_string(&path).unwrap().ends_with("19 is over\n"), "it is the old one");
    let mut names: Vec<_> = (0..20).map(|round| folder.path(&format!("log.{round}"))).collect();
    names.push(path);
    let text: String = names.iter().map(|name| fs::read_to_string(name).unwrap()).collect();
    let mut lines = text.lines();
    for round in 0..20 {
        for number in 0..100 {
            assert_eq!(lines.next(), Some(&*(round * 100 + number).to_string()));
        }
        assert_eq!(lines.next(), Some(&*format!("{round} is over")));
    }
    assert_eq!(lines.next(), None);
    assert_eq!(outlet.lost(), 0);
}

#[test]
fn a_file_that_cannot_be_opened_anew_stays_the_one_it_was() {
    let folder = Folder::new();
    fs::create_dir(folder.path("sub")).unwrap();
    let path = folder.path("sub/log");
    let outlet = file(&path);
    fs::rename(folder.path("sub"), folder.path("gone")).unwrap();
    let error = outlet.reopen().unwrap_err().to_string();
    assert!(error.contains("sub/log"), "{error}");
    outlet.give(b"line\n");
    assert!(outlet.flush());
    assert_eq!(fs::read_to_string(folder.path("gone/log")).unwrap(), "line\n");
    // What is no file has nothing to open.
    outlet_of_syslog(&folder.path("none")).reopen().unwrap();
}

#[test]
fn a_full_disk_loses_lines_and_counts_them() {
    let outlet = outlet(&LogTarget::File("/dev/full".into()), 1 << 20);
    outlet.give(b"1\n2\n");
    assert!(outlet.flush());
    outlet.give(b"3\n");
    assert!(outlet.flush());
    assert_eq!(outlet.lost(), 3);
    assert!(outlet.shared.lock().losing.as_ref().is_some_and(|losing| losing.fails));
}

#[test]
fn a_fifo_that_nobody_reads_stops_nobody_and_gives_its_lines_to_who_comes() {
    let folder = Folder::new();
    let path = folder.path("log");
    mkfifoat(CWD, &path, Mode::RWXU).unwrap();
    let outlet = outlet(&LogTarget::File(path.clone()), 100_000);
    let line = format!("{}\n", "x".repeat(99));
    let mut given = 0;
    // More than the pipe and the queue take.
    while outlet.lost() < 1000 {
        outlet.give(line.as_bytes());
        given += 1;
        assert!(given < 10_000);
    }
    assert!(!is_calm(&outlet));
    assert!(!outlet.flush(), "nobody has read anything");
    let mut reader = OpenOptions::new().read(true).open(&path).unwrap();
    let mut read = vec![0; (given - 1000) * 100];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(read, line.repeat(given - 1000).as_bytes(), "no line is torn");
    wait_until("it is over", || is_calm(&outlet));
    outlet.give(b"one more\n");
    let mut last = [0; 9];
    reader.read_exact(&mut last).unwrap();
    assert_eq!((&last, outlet.lost()), (b"one more\n", 1000));
}

#[test]
fn the_end_of_an_outlet_that_nobody_reads_comes_all_the_same() {
    let folder = Folder::new();
    let path = folder.path("log");
    mkfifoat(CWD, &path, Mode::RWXU).unwrap();
    let outlet = outlet(&LogTarget::File(path), 100_000);
    for _ in 0..300 {
        outlet.give(&b"xxxxxxxxx\n".repeat(100));
    }
    assert!(outlet.lost() > 0, "it takes more than pipe and queue have room for");
    let shared = Arc::clone(&outlet.shared);
    let began = Instant::now();
    drop(outlet);
    assert!(began.elapsed() < 3 * PATIENCE);
    assert!(shared.lost.load(Ordering::Relaxed) > 9000, "what waited is lost, too");
}

#[test]
fn a_line_that_is_longer_than_the_queue_has_room_in_an_empty_one() {
    let folder = Folder::new();
    let path = folder.path("log");
    let outlet = outlet(&LogTarget::File(path.clone()), 1);
    let line = format!("{}\n", "x".repeat(KEPT));
    outlet.give(line.as_bytes());
    assert!(outlet.flush());
    assert_eq!(fs::read_to_string(&path).unwrap(), line);
}

fn outlet_of_syslog(path: &Path) -> Outlet {
    outlet(&LogTarget::Syslog(path.into()), 1 << 20)
}

/// The next message, without its time and its process.
fn hear(syslog: &UnixDatagram) -> (String, String) {
    syslog.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut message = [0; 8192];
    let length = syslog.recv(&mut message).unwrap();
    let message = str::from_utf8(&message[..length]).unwrap();
    let (priority, rest) = message.split_once('>').unwrap();
    let (time, rest) = rest.split_at(15);
    assert!(matches!(time.as_bytes(), [_, _, _, b' ', _, _, b' ', _, _, b':', ..]), "{message}");
    let tag = format!(" oneloop[{}]: ", std::process::id());
    (priority.to_owned(), rest.strip_prefix(&tag).expect(message).to_owned())
}

#[test]
fn syslog_gets_a_message_for_each_line_with_its_severity() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let syslog = UnixDatagram::bind(&path).unwrap();
    let outlet = outlet_of_syslog(&path);
    outlet.give(b"plain\n<3>bad\n<7>quiet\n");
    for expected in [("<30", "plain"), ("<27", "bad"), ("<31", "quiet")] {
        let (priority, text) = hear(&syslog);
        assert_eq!((priority.as_str(), text.as_str()), expected);
    }
    assert_eq!(outlet.lost(), 0);
}

#[test]
fn a_syslog_that_comes_goes_and_comes_back_gets_what_is_said_while_it_is_there() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let outlet = outlet_of_syslog(&path);
    outlet.give(b"1\n2\n");
    assert!(outlet.flush());
    assert_eq!(outlet.lost(), 2);
    let syslog = UnixDatagram::bind(&path).unwrap();
    wait_until("it is found", || {
        outlet.give(b"3\n");
        outlet.flush();
        syslog.set_nonblocking(true).unwrap();
        let is_there = syslog.recv(&mut [0; 100]).is_ok();
        syslog.set_nonblocking(false).unwrap();
        is_there
    });
    let lost = outlet.lost();
    wait_until("it is over", || is_calm(&outlet));
    // One that takes the place of another is found at once.
    drop(syslog);
    fs::remove_file(&path).unwrap();
    let successor = UnixDatagram::bind(&path).unwrap();
    outlet.give(b"4\n");
    assert_eq!(hear(&successor).1, "4");
    assert_eq!(outlet.lost(), lost);
}

#[test]
fn a_syslog_that_takes_nothing_stops_nobody() {
    let folder = Folder::new();
    let path = folder.path("socket");
    let syslog = UnixDatagram::bind(&path).unwrap();
    let outlet = outlet(&LogTarget::Syslog(path.clone()), 10_000);
    let mut given = 0;
    while outlet.lost() < 100 {
        outlet.give(format!("{given}\n").as_bytes());
        given += 1;
        assert!(given < 10_000);
    }
    // Now it ends, and whoever waits for it is told.
    drop(syslog);
    assert!(outlet.flush());
    fs::remove_file(&path).unwrap();
    let syslog = UnixDatagram::bind(&path).unwrap();
    wait_until("it is found", || {
        outlet.give(b"again\n");
        outlet.flush();
        syslog.set_nonblocking(true).unwrap();
        syslog.recv(&mut [0; 100]).is_ok()
    });
}

#[test]
fn what_leads_to_the_journal_is_known_by_device_and_inode() {
    use std::os::unix::fs::MetadataExt;
    let (reader, writer) = std::io::pipe().unwrap();
    let metadata = File::from(std::os::fd::OwnedFd::from(reader)).metadata().unwrap();
    let (device, inode) = (metadata.dev(), metadata.ino());
    assert!(is_journal(&writer, Some(&format!("{device}:{inode}"))));
    for other in [format!("{device}:{}", inode + 1), format!("{device}"), String::new()] {
        assert!(!is_journal(&writer, Some(&other)), "{other}");
    }
    assert!(!is_journal(&writer, None));
}
