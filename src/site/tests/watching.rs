//! A change that is told of is seen by the next request, whatever changes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use super::super::cache::CacheLimits;
use super::super::files::Files;
use super::super::root::Symlinks;
use super::super::router::Router;
use super::super::{Answer, Block, Now, Site};
use super::{Got, Scratch, answer_at, ask_at, at, get};
use crate::http::negotiation::Coding;

/// Status and content, for a client that takes Brotli; asked for twice, for what is missing is
/// remembered the second time.
fn seen(site: &Site, target: &str) -> (u16, String) {
    let [first, second] = [(); 2].map(|()| {
        let got = ask_at(site, at(0), &format!("GET {target}"), &["Accept-Encoding: br"]);
        let content = String::from_utf8(got.content).unwrap();
        (got.status, if got.status == 200 { content } else { String::new() })
    });
    assert_eq!(first, second);
    first
}

fn ok(content: &str) -> (u16, String) {
    (200, content.to_owned())
}

const MISSING: (u16, String) = (404, String::new());

/// What a request is answered with `milliseconds` after the first, when everything has long been as
/// it is.
pub(super) fn later(site: &Site, milliseconds: u64, target: &str) -> Got {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    ask_at(site, Now { unix: unix + 10, ..at(milliseconds) }, &format!("GET {target}"), &[])
}

#[test]
fn content_of_the_same_length_is_new_at_once() {
    let scratch = Scratch::new();
    let path = scratch.write("a/x", "0000");
    let site = scratch.site();
    let mut file = File::options().write(true).open(&path).unwrap();
    for number in 0..300 {
        let content = format!("{number:04}");
        match number % 3 {
            0 => fs::write(&path, &content).unwrap(),
            1 => {
                fs::write(scratch.www().join("new"), &content).unwrap();
                fs::rename(scratch.www().join("new"), &path).unwrap();
                file = File::options().write(true).open(&path).unwrap();
            }
            _ => {
                use std::os::unix::fs::FileExt;
                file.write_all_at(content.as_bytes(), 0).unwrap();
            }
        }
        assert_eq!(seen(&site, "/a/x"), ok(&content));
        assert_eq!(seen(&site, "/a/x"), ok(&content));
    }
}

#[test]
fn a_large_file_is_new_at_once() {
    let scratch = Scratch::new();
    let path = scratch.write("x", "a".repeat(100_000));
    let site = scratch.site();
    assert_eq!(seen(&site, "/x"), ok(&"a".repeat(100_000)));
    assert_eq!(site.cache.held().1, 1);
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(b"b").unwrap();
    assert_eq!(seen(&site, "/x"), ok(&("a".repeat(100_000) + "b")));
    fs::remove_file(&path).unwrap();
    assert_eq!(seen(&site, "/x"), MISSING);
    assert_eq!(site.cache.held().1, 0);
}

/// Something that happens to the file system.
type Change = fn(&Path);

#[test]
fn what_appears_where_nothing_was_is_there_at_once() {
    let appears: [(&str, &str, Change); 6] = [
        ("in the root", "/x", |www| fs::write(www.join("x"), "x").unwrap()),
        ("in a directory", "/d/x", |www| fs::write(www.join("d/x"), "x").unwrap()),
        ("a directory with it", "/e/f/x", |www| {
            fs::create_dir_all(www.join("new/f")).unwrap();
            fs::write(www.join("new/f/x"), "x").unwrap();
            fs::rename(www.join("new"), www.join("e")).unwrap();
        }),
        ("a file that is a directory now", "/file/x", |www| {
            fs::remove_file(www.join("file")).unwrap();
            fs::create_dir(www.join("file")).unwrap();
            fs::write(www.join("file/x"), "x").unwrap();
        }),
        ("an index", "/d/", |www| fs::write(www.join("d/index.html"), "x").unwrap()),
        ("a link", "/l", |www| {
            fs::write(www.join("d/x"), "x").unwrap();
            symlink("d/x", www.join("l")).unwrap();
        }),
    ];
    for (what, target, appear) in appears {
        let scratch = Scratch::new();
        scratch.write("d/other", "other");
        scratch.write("file", "file");
        let site = scratch.site();
        assert_eq!(get(&site, target).status, 404, "{what}");
        assert_eq!(site.cache.absent(), 0, "{what}");
        assert_eq!(seen(&site, target), MISSING, "{what}");
        assert_eq!(site.cache.absent(), 1, "{what}");
        appear(&scratch.www());
        assert_eq!(seen(&site, target), ok("x"), "{what}");
        assert_eq!(site.cache.absent(), 0, "{what}");
    }
}

#[test]
fn directories_are_made_step_by_step() {
    let scratch = Scratch::new();
    let site = scratch.site();
    assert_eq!(seen(&site, "/a/b/x"), MISSING);
    fs::create_dir(scratch.www().join("a")).unwrap();
    assert_eq!(seen(&site, "/a/b/x"), MISSING);
    fs::create_dir(scratch.www().join("a/b")).unwrap();
    assert_eq!(seen(&site, "/a/b/x"), MISSING);
    fs::write(scratch.www().join("a/b/x"), "x").unwrap();
    assert_eq!(seen(&site, "/a/b/x"), ok("x"));
    fs::rename(scratch.www().join("a"), scratch.www().join("c")).unwrap();
    assert_eq!(seen(&site, "/a/b/x"), MISSING);
    fs::rename(scratch.www().join("c"), scratch.www().join("a")).unwrap();
    assert_eq!(seen(&site, "/a/b/x"), ok("x"));
    fs::remove_dir_all(scratch.www().join("a")).unwrap();
    assert_eq!(seen(&site, "/a/b/x"), MISSING);
}

#[test]
fn the_index_and_compressed_siblings_come_and_go() {
    let scratch = Scratch::new();
    scratch.write("d/second", "second");
    let files = scratch.files().index(["first", "second"]).precompressed([Coding::Br]);
    let site = Router::new().files("/*", files).build().unwrap();
    assert_eq!(seen(&site, "/d/"), ok("second"));
    let br = scratch.www().join("d/second.br");
    fs::write(&br, "brotli").unwrap();
    assert_eq!(seen(&site, "/d/"), ok("brotli"));
    fs::remove_file(&br).unwrap();
    assert_eq!(seen(&site, "/d/"), ok("second"));
    let first = scratch.www().join("d/first");
    fs::write(&first, "first").unwrap();
    assert_eq!(seen(&site, "/d/"), ok("first"));
    fs::remove_file(&first).unwrap();
    assert_eq!(seen(&site, "/d/"), ok("second"));
}

#[test]
fn a_directory_is_replaced_and_so_is_a_link_to_one() {
    let scratch = Scratch::new();
    for release in 0..3 {
        scratch.write(&format!("releases/{release}/deep/x"), format!("{release}"));
    }
    let www = scratch.www();
    symlink("releases/0", www.join("current")).unwrap();
    let site = scratch.site();
    assert_eq!(seen(&site, "/current/deep/x"), ok("0"));
    for release in [1, 2, 0, 1] {
        symlink(format!("releases/{release}"), www.join("next")).unwrap();
        fs::rename(www.join("next"), www.join("current")).unwrap();
        assert_eq!(seen(&site, "/current/deep/x"), ok(&release.to_string()));
    }
    // Nothing is told of what lies behind the link.
    assert_eq!(later(&site, 5000, "/current/deep/x").text(), "1");
    fs::rename(www.join("releases/1"), www.join("releases/old")).unwrap();
    fs::rename(www.join("releases/2"), www.join("releases/1")).unwrap();
    assert_eq!(later(&site, 6000, "/current/deep/x").text(), "2");
    assert_eq!(seen(&site, "/releases/0/deep/x"), ok("0"));
    fs::rename(www.join("releases/0"), www.join("releases/2")).unwrap();
    fs::rename(www.join("releases/old"), www.join("releases/0")).unwrap();
    assert_eq!(seen(&site, "/releases/0/deep/x"), ok("1"));
}

#[test]
fn the_directory_that_is_there_now_is_the_one_that_is_watched() {
    let scratch = Scratch::new();
    scratch.write("a/d/x", "old");
    let site = scratch.site();
    assert_eq!(seen(&site, "/a/d/x"), ok("old"));
    for round in 0..5 {
        fs::rename(scratch.www().join("a"), scratch.www().join(format!("was{round}"))).unwrap();
        let path = scratch.write("a/d/x", format!("new{round}"));
        assert_eq!(seen(&site, "/a/d/x"), ok(&format!("new{round}")));
        fs::write(path, "written").unwrap();
        assert_eq!(seen(&site, "/a/d/x"), ok("written"));
    }
}

#[test]
fn a_change_elsewhere_does_not_make_it_new() {
    let scratch = Scratch::new();
    scratch.write("a/x", "x");
    scratch.write("b/y", "y");
    scratch.write("log", "");
    let site = scratch.site();
    let shared = |milliseconds, target: &str| {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let now = Now { unix: unix + 10, ..at(milliseconds) };
        match answer_at(&site, now, &format!("GET {target}"), &[]) {
            Answer::Reply(reply) => match reply.fields {
                Block::Prepared { lines, .. } => lines,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let first = shared(0, "/a/x");
    fs::write(scratch.www().join("b/y"), "z").unwrap();
    fs::write(scratch.www().join("log"), "a line").unwrap();
    fs::write(scratch.www().join("new"), "a name on the way").unwrap();
    fs::write(scratch.www().join("a/new"), "a name beside it").unwrap();
    assert!(Rc::ptr_eq(&first, &shared(0, "/a/x")), "it was compared, and is the same");
    assert!(Rc::ptr_eq(&first, &shared(1500, "/a/x")));
}

#[test]
fn a_lost_event_makes_everything_suspect() {
    let scratch = Scratch::new();
    let a = scratch.write("a", "a");
    let b = scratch.write("d/b", "b");
    let site = scratch.site();
    assert_eq!((seen(&site, "/a"), seen(&site, "/d/b")), (ok("a"), ok("b")));
    assert_eq!(seen(&site, "/d/nothing"), MISSING);
    site.watches.end_all();
    fs::write(&a, "A").unwrap();
    fs::write(&b, "B").unwrap();
    fs::write(scratch.www().join("d/nothing"), "something").unwrap();
    site.watches.overflow();
    assert_eq!((seen(&site, "/a"), seen(&site, "/d/b")), (ok("A"), ok("B")));
    assert_eq!(seen(&site, "/d/nothing"), ok("something"));
    // And it goes on.
    fs::write(&b, "more").unwrap();
    assert_eq!(seen(&site, "/d/b"), ok("more"));
}

#[test]
fn watches_that_the_system_has_ended_are_set_again() {
    let scratch = Scratch::new();
    let path = scratch.write("d/x", "old");
    let site = scratch.site();
    assert_eq!(seen(&site, "/d/x"), ok("old"));
    site.watches.end_all();
    assert_eq!(seen(&site, "/d/x"), ok("old"));
    assert_eq!(site.watches.held(), 2);
    fs::write(&path, "new").unwrap();
    assert_eq!(seen(&site, "/d/x"), ok("new"));
}

#[test]
fn more_events_than_the_queue_holds_are_survived() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
    let limit: usize = limit.map_or(16_384, |text| text.trim().parse().unwrap());
    let scratch = Scratch::new();
    let path = scratch.write("x", "old");
    let others = ["b", "c"].map(|name| scratch.write(name, ""));
    let site = scratch.site();
    assert_eq!(seen(&site, "/x"), ok("old"));
    let mut files: Vec<File> = others.map(|path| File::create(path).unwrap()).into();
    // Events that are alike are told once, so two files take turns.
    for _ in 0..limit.min(100_000) {
        files[0].write_all(b"b").unwrap();
        files.swap(0, 1);
    }
    fs::write(&path, "new").unwrap();
    assert_eq!(seen(&site, "/x"), ok("new"));
    fs::write(&path, "newer").unwrap();
    assert_eq!(seen(&site, "/x"), ok("newer"));
}

#[test]
fn a_watch_goes_when_nobody_needs_it() {
    let scratch = Scratch::new();
    for number in 0..500 {
        scratch.write(&format!("{number}/x"), "x");
    }
    let limits = CacheLimits { entries: 10, ..CacheLimits::default() };
    let site = Scratch::site_with(scratch.files(), limits);
    let mut most = 0;
    for number in 0..500 {
        let target = format!("/{number}/x");
        assert_eq!(seen(&site, &target), ok("x"));
        most = most.max(site.watches.held());
        fs::write(scratch.www().join(&target[1..]), "y").unwrap();
        assert_eq!(seen(&site, &target), ok("y"), "whatever was let go before");
    }
    assert!(most <= 65 + 11, "{most} directories are watched for 10 files");
}

#[test]
fn a_watch_that_has_ended_is_set_again() {
    let scratch = Scratch::new();
    scratch.write("d/x", "first");
    let site = scratch.site();
    for round in 0..20 {
        let content = format!("{round}");
        fs::remove_dir_all(scratch.www().join("d")).unwrap();
        scratch.write("d/x", &content);
        assert_eq!(seen(&site, "/d/x"), ok(&content));
        fs::write(scratch.www().join("d/x"), "again").unwrap();
        assert_eq!(seen(&site, "/d/x"), ok("again"));
    }
    assert_eq!(site.watches.held(), 2);
}

#[test]
fn what_is_not_there_has_room_of_its_own() {
    let scratch = Scratch::new();
    scratch.write("x", "x");
    let limits = CacheLimits { entries: 4, absences: 8, ..CacheLimits::default() };
    let site = Scratch::site_with(scratch.files(), limits);
    assert_eq!(seen(&site, "/x"), ok("x"));
    for number in 0..100 {
        assert_eq!(get(&site, &format!("/other{number}")).status, 404);
        assert_eq!(seen(&site, &format!("/{number}")), MISSING);
        assert_eq!(seen(&site, &format!("/{number}/deeper/y")), MISSING);
    }
    assert_eq!((site.cache.held().0, site.cache.absent()), (1, 8));
    assert_eq!(site.watches.held(), 1, "made-up names cost no watch");
    let long = format!("/{}", "x".repeat(600));
    assert_eq!(seen(&site, &long), MISSING);
    assert_eq!(seen(&site, "/99"), MISSING);
    assert_eq!(site.cache.absent(), 8);
    // What was a file and then nothing, and the other way round, is in one place only.
    fs::remove_file(scratch.www().join("x")).unwrap();
    assert_eq!(seen(&site, "/x"), MISSING);
    assert_eq!(site.cache.held().0, 0);
    fs::write(scratch.www().join("99"), "it").unwrap();
    assert_eq!(seen(&site, "/99"), ok("it"));
    assert_eq!((site.cache.held().0, site.cache.absent()), (1, 7));
}

#[test]
fn without_a_kernel_that_resolves_paths_it_is_the_same() {
    let scratch = Scratch::new();
    let path = scratch.write("a/b/x", "old");
    for symlinks in [Symlinks::Deny, Symlinks::Inside, Symlinks::Follow] {
        let files: Files = scratch.files().symlinks(symlinks).walk_always();
        let site = Router::new().files("/*", files).build().unwrap();
        fs::write(&path, "old").unwrap();
        assert_eq!(seen(&site, "/a/b/x"), ok("old"));
        assert_eq!(seen(&site, "/a/c/x"), MISSING);
        fs::write(&path, "new").unwrap();
        assert_eq!(seen(&site, "/a/b/x"), ok("new"));
        fs::create_dir(scratch.www().join("a/c")).unwrap();
        assert_eq!(seen(&site, "/a/c/x"), MISSING);
        fs::write(scratch.www().join("a/c/x"), "there").unwrap();
        assert_eq!(seen(&site, "/a/c/x"), ok("there"));
        fs::remove_dir_all(scratch.www().join("a/c")).unwrap();
    }
}

#[test]
fn a_cached_file_becomes_forbidden_or_missing_by_its_directory() {
    let scratch = Scratch::new();
    scratch.write("d/x", "x");
    let site = scratch.site();
    assert_eq!(seen(&site, "/d/x"), ok("x"));
    let away: PathBuf = scratch.0.path().join("away");
    fs::rename(scratch.www().join("d"), &away).unwrap();
    assert_eq!(seen(&site, "/d/x"), MISSING);
    // A name that is hidden leads nowhere, and is not watched for.
    assert_eq!(get(&site, "/.d/x").status, 404);
    assert_eq!(site.cache.absent(), 1);
}
