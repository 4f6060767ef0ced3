//! Many requests at once, by programs that count what fails. How fast they are is not looked at.

use super::{Served, succeed};
use crate::support::folder::Folder;
use crate::support::programs::is_there;

/// A small file and one that takes several writes.
fn store() -> (Served, Folder) {
    let folder = Folder::new();
    folder.write("www/small.txt", "small");
    folder.write("www/medium.bin", vec![b'm'; 300_000]);
    let root = folder.path().join("www");
    (Served::start(&format!("[[site]]\nroot = '{}'\n", root.display())), folder)
}

#[test]
fn ab_sees_no_request_fail() {
    if !is_there("ab") {
        return;
    }
    let (served, folder) = store();
    for (requests, path, persist) in
        [("4000", "/small.txt", true), ("1000", "/small.txt", false), ("500", "/medium.bin", true)]
    {
        let url = served.url(path);
        let mut arguments = vec!["-q", "-n", requests, "-c", "32"];
        arguments.extend(persist.then_some("-k"));
        let said = succeed(&folder, "ab", &[&arguments[..], &[&url]].concat());
        let value = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map_or("", |line| line.trim_start_matches(':').trim())
        };
        assert_eq!(value("Complete requests"), requests, "{said}");
        assert_eq!(value("Failed requests"), "0", "{said}");
        assert_eq!(value("Non-2xx responses"), "", "{said}");
        assert!(!persist || value("Keep-Alive requests") == requests, "{said}");
    }
    let log = served.end();
    assert!(log.len() >= 5500 && log.iter().all(|entry| entry.status == 200));
}

#[test]
fn wrk_sees_no_request_fail() {
    if !is_there("wrk") {
        return;
    }
    let (served, folder) = store();
    for path in ["/small.txt", "/medium.bin"] {
        let url = served.url(path);
        let said = succeed(&folder, "wrk", &["-t1", "-c64", "-d1s", &url]);
        assert!(said.contains("Requests/sec"), "{said}");
        assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    }
}
