//! A browser without a window: it needs all that a page needs, in the order and the number of
//! connections that it likes, and runs what scripts come.

use std::fs;

use super::{DOCUMENTATION_SITE, Exchange, INDEX, Served, on_disk, run};
use crate::support::browser::ALONE;
use crate::support::folder::Folder;
use crate::support::programs::is_there;

/// What a browser sees of a page.
struct Seen {
    /// When all has been loaded and run.
    document: String,
    /// Messages for whoever made the page, among others.
    console: String,
}

/// Loads a page with an empty profile, and lets its scripts run.
fn see(url: &str) -> Seen {
    let folder = Folder::new();
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let begin = ["--kill-after=5s", "60s", "chromium"];
    let ask =
        ["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", &profile, url];
    let flags = [&begin[..], &ALONE, &ask].concat();
    let output = run(&folder, "timeout", &flags);
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Seen { document: text(&output.stdout), console: text(&output.stderr) }
}

#[test]
fn the_documentation_can_be_read_and_searched() {
    if !(is_there("chromium") && is_there(INDEX)) {
        return;
    }
    let served = Served::start(DOCUMENTATION_SITE);
    for (page, expected) in [
        ("/", "Documentation</title>"),
        ("/library/asyncio.html", "Hello World!"),
        ("/search.html?q=epoll", "Search finished, found"),
    ] {
        let seen = see(&served.url(&format!("/doc/python3/html{page}")));
        assert!(seen.document.contains(expected), "{page}: {}", seen.document);
    }
    let log = served.end();
    for script in ["_static/jquery.js", "_static/underscore.js", "searchindex.js"] {
        let target = format!("/doc/python3/html/{script}");
        let is_sent = |entry: &Exchange| entry.target == target && entry.status == 200;
        assert!(log.iter().any(is_sent), "{script} was not asked for: {log:?}");
    }
    for Exchange { target, status, .. } in log.iter().filter(|entry| entry.status >= 400) {
        let is_missing = !on_disk("/usr/share", target).exists();
        assert!(*status == 404 && is_missing, "{status} for {target}");
    }
}

#[test]
fn the_demo_is_seen_as_it_was_meant() {
    if !is_there("chromium") {
        return;
    }
    let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/");
    let text = fs::read_to_string(format!("{conf}demo.toml")).unwrap();
    let (_, sites) = text.split_once("[[site]]").unwrap();
    let mut sites = sites.to_owned();
    for path in ["www", "demo.htpasswd", "cgi-bin"] {
        sites = sites.replace(&format!("\"{path}"), &format!("\"{conf}{path}"));
    }
    let served = Served::start(&format!("[[site]]{sites}"));
    for (page, expected) in [
        ("/", "oneloop is running."),
        ("/old/loop", "One driver, one line"),
        ("/files/letters/", "für später.txt"),
        ("/app/orders/42", ">/app/orders/42</code>"),
        ("/cgi-bin/languages.sh", "Perl"),
        ("/cgi-bin/ring.pl", "<svg"),
        ("/upload.html", "multipart/form-data"),
        ("/nowhere", "No such stop."),
        ("/%2f", "Bad Request"),
    ] {
        let seen = see(&served.url(page));
        assert!(seen.document.contains(expected), "{page}: {}", seen.document);
        let complaint = seen.console.lines().find(|line| line.contains("CONSOLE"));
        let is_expected =
            complaint.is_none_or(|line| line.contains("the server responded with a status"));
        assert!(is_expected, "{page}: {complaint:?}");
    }
    let log = served.end();
    // The pages that the server makes have no icon, so the browser asks for the site's.
    let bad = log.iter().filter(|entry| entry.status >= 400 && entry.target != "/favicon.ico");
    let bad: Vec<_> = bad.map(|entry| (entry.target.as_str(), entry.status)).collect();
    assert_eq!(bad, [("/nowhere", 404), ("/%2f", 400)]);
}
