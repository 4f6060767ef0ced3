//! A change that nothing can be told of is seen within a second; and where all should have been
//! told, within ten.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use super::super::Site;
use super::super::cache::CacheLimits;
use super::super::root::Root;
use super::super::watch::{Lead, Watches, is_on_telling};
use super::watching::later;
use super::{Scratch, at};

fn watching(directories: usize, scratch: &Scratch) -> Site {
    let limits = CacheLimits { directories, ..CacheLimits::default() };
    Scratch::site_with(scratch.files(), limits)
}

#[test]
fn beyond_the_limit_of_watches_changes_are_seen_within_a_second() {
    let scratch = Scratch::new();
    for name in ["a/x", "b/x", "c/x"] {
        scratch.write(name, "old");
    }
    // The root and one more.
    let site = watching(2, &scratch);
    for target in ["/a/x", "/b/x", "/c/x"] {
        assert_eq!(later(&site, 0, target).text(), "old");
        assert_eq!(later(&site, 0, "/b/none").status, 404);
    }
    assert_eq!(site.watches.held(), 2);
    assert_eq!(site.cache.absent(), 0, "nobody would tell that something is there now");
    for name in ["a/x", "b/x", "c/x", "b/none"] {
        fs::write(scratch.www().join(name), "new").unwrap();
    }
    assert_eq!(later(&site, 0, "/a/x").text(), "new");
    assert_eq!(later(&site, 999, "/b/x").text(), "old");
    assert_eq!(later(&site, 999, "/b/none").text(), "new");
    assert_eq!(later(&site, 1000, "/b/x").text(), "new");
    assert_eq!(later(&site, 1000, "/c/x").text(), "new");
}

#[test]
fn a_write_by_another_name_is_seen_within_a_second() {
    let scratch = Scratch::new();
    let path = scratch.write("x", "one");
    fs::create_dir(scratch.0.path().join("elsewhere")).unwrap();
    let other = scratch.0.path().join("elsewhere/name");
    let site = scratch.site();
    assert_eq!(later(&site, 0, "/x").text(), "one");
    // The name is made when the file is known already.
    fs::hard_link(&path, &other).unwrap();
    assert_eq!(later(&site, 0, "/x").text(), "one");
    fs::write(&other, "other").unwrap();
    assert_eq!(later(&site, 1000, "/x").text(), "other");
}

/// A file system that tells all, or one of those on which everything is looked at each second.
fn looked_at_after(scratch: &Scratch) -> u64 {
    if is_on_telling(File::open(&scratch.0).unwrap()) { 10_000 } else { 1000 }
}

#[test]
fn what_cannot_be_told_is_seen_when_it_is_looked_at_once_more() {
    let scratch = Scratch::new();
    let path = scratch.write("x", "one");
    let site = scratch.site();
    let after = looked_at_after(&scratch);
    assert_eq!(later(&site, 0, "/x").text(), "one");
    assert_eq!(later(&site, 1000, "/x").text(), "one");
    // All that could be known then is that the file has one name.
    let other = scratch.0.path().join("other");
    fs::hard_link(&path, &other).unwrap();
    fs::write(&other, "two").unwrap();
    assert_eq!(later(&site, 999 + after, "/x").text(), "one");
    assert_eq!(later(&site, 1000 + after, "/x").text(), "two");
    // What is told is seen at once all the same.
    fs::write(&path, "three").unwrap();
    assert_eq!(later(&site, 1001 + after, "/x").text(), "three");
}

#[test]
fn a_file_with_two_names_is_looked_at_each_second() {
    let scratch = Scratch::new();
    let path = scratch.write("x", "one");
    let other = scratch.0.path().join("other");
    fs::hard_link(&path, &other).unwrap();
    let site = scratch.site();
    assert_eq!(later(&site, 0, "/x").text(), "one");
    assert_eq!(later(&site, 1000, "/x").text(), "one");
    fs::write(&other, "other").unwrap();
    assert_eq!(later(&site, 1999, "/x").text(), "one");
    assert_eq!(later(&site, 2000, "/x").text(), "other");
}

#[test]
fn what_a_link_leads_to_is_looked_at_each_second() {
    let scratch = Scratch::new();
    let path = scratch.write("d/x", "one");
    let www = scratch.www();
    symlink("d/x", www.join("to-file")).unwrap();
    symlink("nothing/x", www.join("to-nothing")).unwrap();
    symlink("nothing", www.join("to-no-directory")).unwrap();
    let site = scratch.site();
    let targets = ["/to-file", "/to-nothing", "/to-no-directory/x"];
    let texts = |milliseconds| {
        targets.map(|target| {
            let got = later(&site, milliseconds, target);
            if got.status == 200 { got.text().to_owned() } else { String::new() }
        })
    };
    // What is not there is kept when it is asked for once more.
    for milliseconds in [0, 1, 1001] {
        assert_eq!(texts(milliseconds), ["one", "", ""]);
    }
    assert_eq!(site.cache.absent(), 2);
    fs::write(&path, "two").unwrap();
    // Nothing is told of what is made here: nobody asks for it, so nobody watches it.
    fs::create_dir(scratch.0.path().join("made")).unwrap();
    fs::write(scratch.0.path().join("made/x"), "made").unwrap();
    fs::rename(scratch.0.path().join("made"), www.join("nothing")).unwrap();
    assert_eq!(texts(2001), ["two", "made", "made"]);
}

#[test]
fn a_file_system_that_others_change_too_does_not_tell_all() {
    let tells_all = |root: &Path, below: &[u8]| {
        let root = Root::open_directory(root).unwrap();
        match Watches::new(9).lead(&root, below, at(0)) {
            Lead::Watched(trail) => trail.tells_all(),
            lead => panic!("{lead:?}"),
        }
    };
    assert!(!tells_all(Path::new("/proc"), b""));
    assert!(!tells_all(Path::new("/proc"), b"sys/kernel"));
    assert!(!tells_all(Path::new("/"), b"proc/sys"));
    let scratch = Scratch::new();
    scratch.write("d/x", "x");
    symlink("d", scratch.www().join("l")).unwrap();
    let is_telling = looked_at_after(&scratch) > 1000;
    assert_eq!(tells_all(&scratch.www(), b"d"), is_telling);
    assert!(!tells_all(&scratch.www(), b"l"));
}
