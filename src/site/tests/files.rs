//! Files as answers: which file, with what fields, whole, in part, or not at all.

use std::fmt::Write;
use std::fs;

use super::super::error_page::ErrorPages;
use super::super::files::Files;
use super::super::representation::{Circumstances, Representation};
use super::super::root::{Facts, Root};
use super::super::route_fields::RouteFields;
use super::super::router::Router;
use super::super::rule::Settings;
use super::super::{Site, SiteOptions, Symlinks};
use super::{Got, Scratch, TODAY, ask, get, set_modified};
use crate::http::negotiation::Coding;

#[test]
fn a_file_is_answered_with_its_validators() {
    let scratch = Scratch::new();
    scratch.write("a.html", "<p>Hello");
    let site = scratch.site();
    let got = get(&site, "/a.html?x");
    assert_eq!((got.status, got.text()), (200, "<p>Hello"));
    assert_eq!(got.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(got.field("Last-Modified"), Some("Sun, 09 Sep 2001 01:46:40 GMT"));
    assert_eq!(got.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(got.field("Vary"), None);
    let etag = got.field("ETag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with("-8-3b9aca00.0\""), "{etag}");
    // HEAD is told the same, and whoever sends it leaves the content out.
    assert_eq!(ask(&site, "HEAD /a.html", &[]), got);
}

#[test]
fn large_files_are_answered_like_small_ones() {
    let scratch = Scratch::new();
    let content: Vec<u8> =
        (0..200_000u32).map(|number| number.to_le_bytes()[number as usize % 3]).collect();
    scratch.write("large", &content);
    scratch.write("small", &content[..65536]);
    scratch.write("empty", "");
    let site = scratch.site();
    assert!(get(&site, "/large").content == content);
    assert!(get(&site, "/small").content == content[..65536]);
    assert_eq!(get(&site, "/empty").content, b"");
    let got = ask(&site, "GET /large", &["Range: bytes=65530-65540"]);
    assert_eq!(got.field("Content-Range"), Some("bytes 65530-65540/200000"));
    assert_eq!(got.content, content[65530..=65540]);
}

#[test]
fn a_path_is_no_index() {
    let scratch = Scratch::new();
    scratch.write("sub/index.html", "below");
    let files = Files::new(scratch.www()).unwrap().index(["sub/index.html"]);
    let site = Router::new().files("/*", files).build().unwrap();
    assert_eq!(get(&site, "/").status, 404);
    assert_eq!(get(&site, "/sub/index.html").status, 200);
}

#[test]
fn a_directory_is_its_index_file_and_ends_in_a_slash() {
    let scratch = Scratch::new();
    scratch.write("index.html", "root");
    scratch.write("d/index.htm", "second");
    scratch.write("e f/x", "x");
    scratch.write("g/index.html/x", "an index that is a directory");
    let files = scratch.files().index(["index.html", "index.htm"]);
    let site = Router::new().files("/*", files).build().unwrap();
    assert_eq!(get(&site, "/").text(), "root");
    assert_eq!(get(&site, "/d/").text(), "second");
    assert_eq!(get(&site, "/g/").status, 404);
    assert_eq!(get(&site, "/e%20f/").status, 404);
    for (target, location) in [
        ("/d", "/d/"),
        ("/d?a=b/c?d", "/d/?a=b/c?d"),
        ("/e%20f", "/e%20f/"),
        ("//d", "/d/"),
        ("/%64", "/d/"),
        ("http://evil.example/d", "/d/"),
    ] {
        let got = get(&site, target);
        assert_eq!((got.status, got.field("Location")), (301, Some(location)), "{target}");
    }
}

#[test]
fn no_redirect_leads_to_another_host() {
    let scratch = Scratch::new();
    scratch.write("evil.example/x", "");
    scratch.write("\\evil.example/x", "");
    let site = scratch.site();
    for target in ["//evil.example", "/\\evil.example", "/%5Cevil.example", "/.//evil.example"] {
        let got = get(&site, target);
        let location = got.field("Location").unwrap();
        assert!(location.starts_with("/evil") || location.starts_with("/%5Cevil"), "{location}");
    }
}

#[test]
fn a_prefix_is_left_out_when_files_are_looked_up_below_another_root() {
    let scratch = Scratch::new();
    scratch.write("a/b.txt", "b");
    scratch.write("exact", "e");
    let site = Router::new()
        .files("/files/*", scratch.files())
        .files("/{who}/data/*", scratch.files())
        .files("/exact", scratch.files())
        .files("*.txt", scratch.files())
        .build()
        .unwrap();
    for path in ["/files/a/b.txt", "/me/data/a/b.txt", "/a/b.txt"] {
        assert_eq!(get(&site, path).text(), "b", "{path}");
    }
    assert_eq!(get(&site, "/exact").text(), "e");
    assert_eq!(get(&site, "/files/files/a/b.txt").status, 404);
    assert_eq!(get(&site, "/files/a").field("Location"), Some("/files/a/"));
}

#[test]
fn directories_are_listed_where_that_is_wanted() {
    let scratch = Scratch::new();
    scratch.write("d/<b>.txt", "12345");
    scratch.write("d/sub/x", "");
    scratch.write("d/.secret", "");
    std::os::unix::fs::symlink("../../outside", scratch.www().join("d/away")).unwrap();
    std::os::unix::fs::symlink("sub", scratch.www().join("d/in")).unwrap();
    fs::write(scratch.0.path().join("outside"), "").unwrap();
    let listing = |symlinks| {
        let files = scratch.files().listing(true).symlinks(symlinks);
        Router::new().files("/*", files).build().unwrap()
    };
    let site = listing(Symlinks::Inside);
    let got = get(&site, "/d/");
    assert_eq!(got.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(got.field("Vary"), Some("Accept"));
    let text = got.text();
    assert!(text.contains("&lt;b&gt;.txt") && text.contains("sub/") && text.contains("in/"));
    assert!(!text.contains("secret") && !text.contains("away"), "{text}");
    assert_eq!(ask(&site, "HEAD /d/", &[]), got);
    let got = ask(&site, "GET /d/", &["Accept: application/json"]);
    assert_eq!(got.field("Content-Type"), Some("application/json"));
    assert_eq!(got.field("Vary"), Some("Accept"));
    assert!(got.text().contains("<b>.txt") && !got.text().contains("away"));
    assert!(!get(&listing(Symlinks::Deny), "/d/").text().contains("in/"));
    assert!(get(&listing(Symlinks::Follow), "/d/").text().contains("away"));
    assert_eq!(get(&scratch.site(), "/d/").status, 404);
}

fn precompressed(scratch: &Scratch) -> Site {
    let codings = [Coding::Br, Coding::Zstd, Coding::Gzip];
    Router::new().files("/*", scratch.files().precompressed(codings)).build().unwrap()
}

#[test]
fn compressed_siblings_are_chosen_by_accept_encoding() {
    let scratch = Scratch::new();
    scratch.write("a.js", "plain");
    scratch.write("a.js.br", "brotli");
    scratch.write("a.js.gz", "gzip");
    scratch.write("b.js", "alone");
    scratch.write("c.js.br", "without a plain one");
    scratch.write("d.js", "newer");
    set_modified(&scratch.write("d.js.br", "stale"), 999_999_999);
    scratch.write("e.js", "beside a directory");
    scratch.write("e.js.br/x", "");
    let site = precompressed(&scratch);
    let mut tags = Vec::new();
    for (accept, coding, content) in [
        ("br, gzip", Some("br"), "brotli"),
        ("gzip", Some("gzip"), "gzip"),
        ("gzip, br;q=0.5", Some("gzip"), "gzip"),
        ("zstd", None, "plain"),
        ("br;q=0, *", Some("gzip"), "gzip"),
        ("", None, "plain"),
    ] {
        let field = format!("Accept-Encoding: {accept}");
        let got = ask(&site, "GET /a.js", &[&field]);
        assert_eq!((got.field("Content-Encoding"), got.text()), (coding, content), "{accept}");
        assert_eq!(got.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(got.field("Vary"), Some("Accept-Encoding"));
        let tag = got.field("ETag").unwrap().to_owned();
        let match_field = format!("If-None-Match: {tag}");
        let got = ask(&site, "GET /a.js", &[&field, &match_field]);
        assert_eq!((got.status, got.field("Vary")), (304, Some("Accept-Encoding")));
        let got = ask(&site, "GET /a.js", &[&field, "Range: bytes=1-2"]);
        assert_eq!(got.content, &content.as_bytes()[1..3]);
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3);
    assert_eq!(get(&site, "/a.js").text(), "plain");
    let none = ask(&site, "GET /a.js", &["Accept-Encoding: identity;q=0, zstd"]);
    assert_eq!(none.status, 406);
    for (path, content) in [("/b.js", "alone"), ("/d.js", "newer"), ("/e.js", "beside a directory")]
    {
        let got = ask(&site, &format!("GET {path}"), &["Accept-Encoding: br"]);
        assert_eq!((got.text(), got.field("Vary")), (content, None), "{path}");
    }
    assert_eq!(ask(&site, "GET /c.js", &["Accept-Encoding: br"]).status, 404);
    // Asked for by its own name it is a file like any other.
    let got = get(&site, "/a.js.gz");
    assert_eq!((got.field("Content-Encoding"), got.text()), (None, "gzip"));
}

#[test]
fn preconditions_decide_in_the_order_of_the_rfc() {
    let scratch = Scratch::new();
    scratch.write("x", "content");
    let cache_control = vec![
        ("Cache-Control".to_owned(), "no-cache".to_owned()),
        ("Content-Language".to_owned(), "en".to_owned()),
    ];
    let settings = Settings { fields: cache_control, ..Settings::default() };
    let site = Router::new().files("/*", scratch.files()).settings("/x", settings).build().unwrap();
    let whole = get(&site, "/x");
    let tag = whole.field("ETag").unwrap();
    let date = whole.field("Last-Modified").unwrap();
    let line = |name: &str, value: &str| format!("{name}: {value}");
    let before = "Sun, 09 Sep 2001 01:46:39 GMT";
    for (fields, status) in [
        (vec![line("If-None-Match", tag)], 304),
        (vec![line("If-None-Match", &format!("W/{tag}, \"a\""))], 304),
        (vec![line("If-None-Match", "*")], 304),
        (vec![line("If-None-Match", "\"a\"")], 200),
        (vec![line("If-None-Match", "\"a\""), line("If-Modified-Since", date)], 200),
        (vec![line("If-Modified-Since", date)], 304),
        (vec![line("If-Modified-Since", before)], 200),
        (vec![line("If-Match", tag)], 200),
        (vec![line("If-Match", "\"a\"")], 412),
        (vec![line("If-Match", &format!("W/{tag}"))], 412),
        (vec![line("If-Match", "\"a\""), line("If-None-Match", tag)], 412),
        (vec![line("If-Unmodified-Since", date)], 200),
        (vec![line("If-Unmodified-Since", before)], 412),
        (vec![line("If-None-Match", tag), line("Range", "bytes=0-1")], 304),
        (vec![line("If-Range", tag), line("Range", "bytes=0-1")], 206),
        (vec![line("If-Range", "\"a\""), line("Range", "bytes=0-1")], 200),
        (vec![line("If-Range", "\"a\""), line("Range", "bytes=99-")], 200),
        (vec![line("If-Range", date), line("Range", "bytes=0-1")], 206),
        (vec![line("If-Range", before), line("Range", "bytes=0-1")], 200),
    ] {
        let lines: Vec<&str> = fields.iter().map(|line| &**line).collect();
        let got = ask(&site, "GET /x", &lines);
        assert_eq!(got.status, status, "{fields:?}");
        if status == 304 {
            let fields = format!("ETag: {tag}\r\nCache-Control: no-cache\r\n");
            assert_eq!((got.fields, got.content), (fields, vec![]));
        }
    }
    // A file that is not there has no state to compare.
    for line in ["If-Match: *", "If-None-Match: *", "Range: bytes=0-1"] {
        assert_eq!(ask(&site, "GET /nothing", &[line]).status, 404, "{line}");
    }
}

#[test]
fn ranges_are_parts_of_the_whole() {
    let scratch = Scratch::new();
    let content: Vec<u8> = (0..1000u32).map(|number| b'a' + (number % 26) as u8).collect();
    scratch.write("x.txt", &content);
    scratch.write("empty", "");
    let site = scratch.site();
    let whole = get(&site, "/x.txt");
    for (range, content_range) in [
        ("bytes=0-0", "bytes 0-0/1000"),
        ("bytes=990-", "bytes 990-999/1000"),
        ("bytes=-5", "bytes 995-999/1000"),
        ("bytes=0-9,5-20", "bytes 0-20/1000"),
        ("bytes=0-99999", "bytes 0-999/1000"),
    ] {
        let got = ask(&site, "GET /x.txt", &[&format!("Range: {range}")]);
        assert_eq!((got.status, got.field("Content-Range")), (206, Some(content_range)));
        let (first, last) = content_range[6..].split_once('/').unwrap().0.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!(got.content, content[first..=last], "{range}");
        assert_eq!(
            got.fields.replace(&format!("Content-Range: {content_range}\r\n"), ""),
            whole.fields
        );
    }
    for range in ["bytes=1000-", "bytes=-0", "bytes=2000-3000,1000-"] {
        let got = ask(&site, "GET /x.txt", &[&format!("Range: {range}")]);
        assert_eq!(
            (got.status, got.field("Content-Range")),
            (416, Some("bytes */1000")),
            "{range}"
        );
        assert_eq!(got.field("ETag"), None);
    }
    for (request, range) in [
        ("GET /x.txt", "bytes=5-4"),
        ("GET /x.txt", "lines=0-1"),
        ("GET /x.txt", "bytes=0-999,0-999"),
        ("HEAD /x.txt", "bytes=0-1"),
    ] {
        assert_eq!(ask(&site, request, &[&format!("Range: {range}")]), whole, "{request} {range}");
    }
    assert_eq!(ask(&site, "GET /empty", &["Range: bytes=0-"]).status, 200);
}

#[test]
fn several_ranges_are_parts_of_a_multipart() {
    let scratch = Scratch::new();
    let content: Vec<u8> = (0..100_000u32).map(|number| b'a' + (number % 26) as u8).collect();
    scratch.write("large.txt", &content);
    scratch.write("small.txt", &content[..5000]);
    let site = scratch.site();
    for (path, length) in [("/large.txt", 100_000), ("/small.txt", 5000)] {
        let got = ask(&site, &format!("GET {path}"), &["Range: bytes=4000-4009,0-1,-2"]);
        assert_eq!((got.status, got.field("Content-Range")), (206, None));
        let kind = got.field("Content-Type").unwrap();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let mut expected = String::new();
        for (first, last) in [(4000, 4009), (0, 1), (length - 2, length - 1)] {
            let part = std::str::from_utf8(&content[first..=last]).unwrap();
            write!(
                expected,
                "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Range: bytes {first}-{last}/{length}\r\n\r\n{part}"
            )
            .unwrap();
        }
        write!(expected, "\r\n--{boundary}--\r\n").unwrap();
        assert_eq!(got.text(), expected);
    }
}

#[test]
fn versions_and_files_never_share_a_tag() {
    let scratch = Scratch::new();
    let mut tags = std::collections::HashSet::new();
    let mut tag = |name: &str| {
        let tag = get(&scratch.site(), name).field("ETag").unwrap().to_owned();
        assert!(tags.insert(tag.clone()), "{name}: {tag}");
    };
    scratch.write("a", "1");
    scratch.write("b", "1");
    tag("/a");
    tag("/b");
    // The same file for two codings: a link to itself in place of something compressed.
    fs::hard_link(scratch.www().join("b"), scratch.www().join("b.gz")).unwrap();
    let site = precompressed(&scratch);
    let [plain, compressed] = ["identity", "gzip"].map(|coding| {
        let got = ask(&site, "GET /b", &[&format!("Accept-Encoding: {coding}")]);
        got.field("ETag").unwrap().to_owned()
    });
    assert_ne!(plain, compressed);
    // Longer, of the same time.
    scratch.write("a", "12");
    tag("/a");
    // As long, of another second.
    set_modified(&scratch.www().join("a"), 1_000_000_001);
    tag("/a");
    // Another file under the same name, as long and as old.
    scratch.write("c", "34");
    set_modified(&scratch.www().join("c"), 1_000_000_001);
    fs::rename(scratch.www().join("c"), scratch.www().join("a")).unwrap();
    tag("/a");
}

#[test]
fn content_belongs_to_its_validators_though_somebody_writes_meanwhile() {
    let scratch = Scratch::new();
    let root = Root::open_directory(&scratch.www()).unwrap();
    for (before, after) in [(10, 20), (20, 10), (10, 0), (10, 70_000), (70_000, 10)] {
        let path = scratch.write("x", vec![b'a'; before]);
        let opened = root.open(b"x").unwrap();
        // What was found is not what is there any more, when it comes to reading it.
        fs::write(&path, vec![b'b'; after]).unwrap();
        let facts = Facts::of_file(&opened.file).unwrap();
        let circumstances = Circumstances {
            media_type: "a/b",
            coding: Coding::Identity,
            varies: false,
            fields: &RouteFields::default(),
            memory: 65_535,
            now: TODAY,
            waits: true,
        };
        let representation = Representation::new(opened, &circumstances).unwrap();
        let tag = String::from_utf8(representation.etag.to_vec()).unwrap();
        if before < 65_536 {
            assert!(super::drain(representation.body()) == vec![b'b'; after], "{before} {after}");
            assert!(tag.starts_with(&format!("\"{:x}-{after:x}-", facts.inode)), "{tag}");
        } else {
            // Too large for memory: whoever sends it notices that it has become shorter.
            assert_eq!(representation.body().length(), Some(before as u64));
            assert!(tag.starts_with(&format!("\"{:x}-{before:x}-", facts.inode)), "{tag}");
        }
    }
}

#[test]
fn a_date_that_is_still_to_come_is_not_told() {
    let scratch = Scratch::new();
    set_modified(&scratch.write("x", "x"), TODAY + 1_000_000);
    let got = get(&scratch.site(), "/x");
    assert_eq!(got.field("Last-Modified"), Some("Mon, 21 Sep 2026 14:13:20 GMT"));
}

#[test]
fn errors_show_the_pages_of_the_site_and_keep_their_status() {
    let scratch = Scratch::new();
    scratch.write("404.html", "own 404");
    scratch.write("404.html.gz", "own 404, compressed");
    scratch.write("4xx.html", "own 4xx");
    let mut errors = ErrorPages::default();
    for (key, path) in [("404", "/404.html"), ("4xx", "/4xx.html"), ("412", "/gone.html")] {
        errors.set(key, path).unwrap();
    }
    let fields = vec![
        ("Cache-Control".to_owned(), "immutable".to_owned()),
        ("X-A".to_owned(), "1".to_owned()),
    ];
    let settings = Settings { fields, errors, ..Settings::default() };
    let site = Router::new()
        .files("/*", scratch.files().precompressed([Coding::Gzip]))
        .settings("/*", settings)
        .build()
        .unwrap();
    for _ in 0..2 {
        let got = ask(&site, "GET /nothing", &["If-None-Match: *", "Range: bytes=0-1"]);
        assert_eq!((got.status, got.text()), (404, "own 404"));
        let fields =
            "Content-Type: text/html; charset=utf-8\r\nVary: Accept-Encoding\r\nX-A: 1\r\n";
        assert_eq!(got.fields, fields);
        let got = ask(&site, "GET /nothing", &["Accept-Encoding: gzip"]);
        assert_eq!((got.status, got.text()), (404, "own 404, compressed"));
        assert_eq!(got.field("Content-Encoding"), Some("gzip"));
    }
    let got = ask(&site, "DELETE /4xx.html", &[]);
    assert_eq!((got.status, got.text()), (405, "own 4xx"));
    assert_eq!(got.field("Allow"), Some("GET, HEAD, OPTIONS"));
    let got = ask(&site, "GET /404.html", &["If-Match: \"a\""]);
    assert!(got.status == 412 && got.text().contains("412"));
    assert_eq!(get(&site, "/404.html").status, 200);
}

#[test]
fn an_application_answers_navigations_and_nothing_else() {
    let scratch = Scratch::new();
    scratch.write("index.html", "app");
    scratch.write("real/x", "x");
    let settings = Settings { fallback: Some("/index.html".into()), ..Settings::default() };
    let site = Router::new().files("/*", scratch.files()).settings("/*", settings).build().unwrap();
    let html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
    for (request, fields, status) in [
        ("GET /users/7", vec![html], 200),
        ("HEAD /users/7", vec![html], 200),
        ("GET /users/7/", vec![], 200),
        ("GET /v1.2/page", vec![], 200),
        ("GET /real/", vec![html], 200),
        ("GET /users/7", vec!["Accept: */*"], 200),
        ("GET /users/7", vec![html, "Sec-Fetch-Mode: navigate"], 200),
        ("GET /users/7", vec!["Accept: */*", "Sec-Fetch-Mode: cors"], 404),
        ("GET /users/7", vec!["Accept: application/json"], 404),
        ("GET /missing.js", vec![html], 404),
        ("GET /users/a.b", vec![html], 404),
        ("GET /.hidden", vec![html], 404),
        ("POST /users/7", vec![html], 405),
    ] {
        let got = ask(&site, request, &fields);
        assert_eq!(got.status, status, "{request} {fields:?}");
        assert_eq!(got.text() == "app", status == 200, "{request}");
    }
    let tag = get(&site, "/users/7").field("ETag").unwrap().to_owned();
    assert_eq!(ask(&site, "GET /users/8", &[&format!("If-None-Match: {tag}")]).status, 304);
    assert_eq!(get(&site, "/real").status, 301);
}

#[test]
fn routes_decide_the_media_type_before_the_table_does() {
    let scratch = Scratch::new();
    scratch.write("a.txt", "x");
    scratch.write("b.foo", "x");
    scratch.write("c.svgz", "x");
    scratch.write("c.svgz.gz", "twice compressed");
    let fields = |name: &str, value: &str| Settings {
        fields: vec![(name.to_owned(), value.to_owned())],
        ..Settings::default()
    };
    let router = Router::new()
        .files("/*", scratch.files().precompressed([Coding::Gzip]))
        .settings("*.txt", fields("content-type", "text/x-own"))
        .settings("*.svgz", fields("Content-Encoding", "gzip"));
    let mut options = SiteOptions::default();
    options.media_types.add("foo", "text/foo").unwrap();
    let site = Site::new(vec![(vec![], router)], options).unwrap();
    let kind = |got: &Got| got.field("Content-Type").map(str::to_owned);
    assert_eq!(kind(&get(&site, "/a.txt")).as_deref(), Some("text/x-own"));
    assert_eq!(kind(&get(&site, "/b.foo")).as_deref(), Some("text/foo; charset=utf-8"));
    let got = ask(&site, "GET /c.svgz", &["Accept-Encoding: gzip"]);
    assert_eq!((got.field("Content-Encoding"), got.text()), (Some("gzip"), "x"));
}
