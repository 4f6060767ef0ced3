//! The documentation, all of it: by crawlers, which follow its links, and by a list of its files.

use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{DOCUMENTATION, DOCUMENTATION_SITE, INDEX, Served, on_disk, run, succeed};
use crate::support::client::{Client, Response};
use crate::support::folder::Folder;
use crate::support::programs::is_there;
use crate::support::running::Daemon;

/// What a crawler says that rewrites nothing and asks for what pages need as well.
const CRAWL: [&str; 6] = [
    "--no-config",
    "--no-verbose",
    "--recursive",
    "--level=inf",
    "--no-parent",
    "--no-host-directories",
];

/// All of a path's characters that need no escape.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[test]
fn a_crawler_gets_every_page_that_links_lead_to() {
    if !(is_there("wget") && is_there(INDEX)) {
        return;
    }
    let daemon = Daemon::start(&[DOCUMENTATION, "--port=0", "--symlinks=follow"]);
    let folder = Folder::new();
    let url = daemon.url() + "/";
    let crawl = run(&folder, "wget", &[&CRAWL[..], &["--directory-prefix=mirror", &url]].concat());
    let said = String::from_utf8_lossy(&crawl.stderr);
    for target in failures(&said, &url) {
        let file = on_disk(DOCUMENTATION, &target);
        assert!(!file.exists(), "{} is there, but wget could not get it\n{said}", file.display());
    }
    let mirror = folder.path().join("mirror");
    let count = files(&mirror).iter().map(|file| assert_same(&mirror, file, DOCUMENTATION)).count();
    assert!(count > 500, "{count} files were found by their links\n{said}");
}

#[test]
fn a_mirror_is_brought_up_to_date_without_a_byte() {
    if !(is_there("wget") && is_there(INDEX)) {
        return;
    }
    let served = Served::start(DOCUMENTATION_SITE);
    let folder = Folder::new();
    let url = served.url("/doc/python3/html/tutorial/");
    let mirror = [&CRAWL[..], &["--timestamping", "--directory-prefix=.", &url]].concat();
    succeed(&folder, "wget", &mirror);
    let first = files(folder.path());
    for file in &first {
        assert_same(folder.path(), file, "/usr/share");
        let on_disk = fs::metadata(Path::new("/usr/share").join(file)).unwrap();
        let copy = fs::metadata(folder.path().join(file)).unwrap();
        let age = |file: &fs::Metadata| file.modified().unwrap();
        assert!(age(&copy) <= age(&on_disk), "{} has another date", file.display());
    }
    // Asks for heads, and compares dates and lengths.
    succeed(&folder, "wget", &[&mirror[..], &["--no-if-modified-since"]].concat());
    assert_eq!(files(folder.path()), first);
    let log = served.end();
    let good = |method: &str| {
        log.iter().filter(|entry| entry.method == method && entry.status == 200).count()
    };
    assert!(first.len() > 15 && good("GET") == first.len(), "{log:?}");
    assert!(good("HEAD") >= first.len(), "{log:?}");
}

#[test]
fn quick_mode_serves_every_file_of_the_documentation() {
    if is_there(INDEX) {
        let daemon = Daemon::start(&[DOCUMENTATION, "--port=0", "--symlinks=follow"]);
        compare_all(daemon.connect(), "");
    }
}

#[test]
fn a_configuration_serves_every_file_of_the_documentation() {
    if is_there(INDEX) {
        let served = Served::start(DOCUMENTATION_SITE);
        compare_all(served.daemon.connect(), "/doc/python3/html");
        let log = served.end();
        assert!(log.iter().all(|entry| matches!(entry.status, 200 | 206 | 304 | 404)));
    }
}

#[test]
fn links_out_of_the_documentation_are_followed_if_that_is_said() {
    if !is_there(INDEX) {
        return;
    }
    let script = "/_static/jquery.js";
    let content = fs::read(on_disk(DOCUMENTATION, script)).unwrap();
    let links = fs::symlink_metadata(on_disk(DOCUMENTATION, script)).unwrap();
    assert!(links.is_symlink(), "the package has changed: another link must be found");
    for (symlinks, expected) in [("follow", 200), ("inside", 404), ("deny", 404)] {
        let flag = format!("--symlinks={symlinks}");
        let daemon = Daemon::start(&[DOCUMENTATION, "--port=0", &flag]);
        let answer = daemon.connect().get(script);
        assert_eq!(answer.status, expected, "{symlinks}");
        assert!(expected == 404 || answer.content == content);
    }
}

#[test]
fn compressed_siblings_that_a_package_brings_are_sent() {
    let script = "/javascript/underscore/underscore.min.js";
    if !(is_there("curl") && is_there("/usr/share/javascript/underscore/underscore.min.js.br")) {
        return;
    }
    let served = Served::start(DOCUMENTATION_SITE);
    let folder = Folder::new();
    let plain = fs::read_to_string(on_disk("/usr/share", script)).unwrap();
    let mut client = served.daemon.connect();
    for (accepted, ending) in [("br", ".br"), ("gzip", ".gz"), ("gzip;q=0.5, br", ".br")] {
        let answer = client.request("GET", script, &[("Accept-Encoding", accepted)], b"");
        let sibling = format!("{}{ending}", on_disk("/usr/share", script).display());
        assert!(answer.content == fs::read(sibling).unwrap(), "{accepted}");
        assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
        assert_eq!(answer.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        let ask = format!("Accept-Encoding: {accepted}");
        let url = served.url(script);
        let decoded = succeed(&folder, "curl", &["-sS", "--compressed", "-H", &ask, &url]);
        assert!(decoded == plain, "{accepted}");
    }
    assert!(client.get(script).content == plain.as_bytes());
}

/// Gets each file of the documentation, which is below `prefix`, on one connection: whole, by HEAD,
/// if it has changed, and in two halves.
fn compare_all(mut client: Client, prefix: &str) {
    let files = files(Path::new(DOCUMENTATION));
    assert!(files.len() > 1000, "the documentation has {} files", files.len());
    for file in &files {
        let content = fs::read(Path::new(DOCUMENTATION).join(file)).unwrap();
        let target = file.to_str().unwrap();
        let target = format!("{prefix}/{}", utf8_percent_encode(target, ESCAPED));
        if file.iter().any(|name| name.as_encoded_bytes().starts_with(b".")) {
            assert_eq!(client.get(&target).status, 404, "{target}");
        } else {
            compare(&mut client, &target, &content);
        }
    }
    assert_eq!(client.get(&format!("{prefix}/no/such.html")).status, 404);
}

fn compare(client: &mut Client, target: &str, content: &[u8]) {
    let whole = client.get(target);
    assert_eq!(whole.status, 200, "{target}");
    assert!(whole.content == content, "{target} is not what is on the disk");
    let head = client.request("HEAD", target, &[], b"");
    assert_eq!((head.status, undated(&head)), (200, undated(&whole)), "{target}");
    let tag = whole.field("ETag").unwrap();
    let unchanged = client.request("GET", target, &[("If-None-Match", tag)], b"");
    assert_eq!((unchanged.status, unchanged.content.len()), (304, 0), "{target}");
    if content.len() > 1 {
        let (first, second) = content.split_at(content.len() / 2);
        let ranges = [format!("bytes=0-{}", first.len() - 1), format!("bytes=-{}", second.len())];
        for (range, part) in ranges.iter().zip([first, second]) {
            let fields = [("Range", range.as_str()), ("If-Range", tag)];
            let answer = client.request("GET", target, &fields, b"");
            assert_eq!(answer.status, 206, "{target} {range}");
            assert!(answer.content == part, "{target} {range}");
        }
    }
}

/// All fields but Date, for that may change between two answers.
fn undated(response: &Response) -> Vec<&(String, String)> {
    response.fields.iter().filter(|(name, _)| name != "Date").collect()
}

/// The files below `root`, links followed, relative to it and in order.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Compares a crawler's copy with the disk. Its name may have a query behind it.
fn assert_same(mirror: &Path, file: &Path, root: &str) {
    let copy = fs::read(mirror.join(file)).unwrap();
    let original = fs::read(on_disk(root, file.to_str().unwrap())).unwrap();
    assert!(copy == original, "{} is not what is on the disk", file.display());
}

/// The targets that wget could not get, from what it says: a line with the URL and a colon, and one
/// with the error.
fn failures(said: &str, url: &str) -> Vec<String> {
    let lines: Vec<&str> = said.lines().collect();
    let errors = (1..lines.len()).filter(|&at| lines[at].contains(" ERROR "));
    let target = |at: usize| {
        assert!(lines[at].contains("ERROR 404: Not Found."), "{}\n{}", lines[at - 1], lines[at]);
        let target = lines[at - 1].strip_prefix(url).and_then(|rest| rest.strip_suffix(':'));
        target.expect("wget names what it could not get").to_owned()
    };
    errors.map(target).collect()
}
