//! What the site answers. The head has been parsed before, and nothing is written.
//!
//! All of it is asked in one moment: the look whether a file has changed is one for all requests
//! of a turn, and not in these rows.

use std::hint::black_box;
use std::path::Path;

use oneloop::http::Limits;
use oneloop::http::head::{Head, HeadSpace};
use oneloop::http::status::Status;
use oneloop::site::body::Body;
use oneloop::site::files::Files;
use oneloop::site::router::Router;
use oneloop::site::rule::RouteNumber;
use oneloop::site::{Answer, Inquiry, Now, Reply, Site};

use super::rows::{FILE, LARGER_FILE, Work, content, request};
use super::told::told;

/// What the time is, all the time.
const NOW: Now = Now { monotonic_ms: 0, unix: 1_700_000_000, moment: 1 };

/// How often it is asked for first, so that it is kept: a path where nothing is, the second time.
const BEFORE: usize = 3;

/// A fixed answer, where the site has `count` routes in its folders.
pub(crate) fn route(count: usize) -> Work {
    const IN_FOLDER: usize = 10;
    let path = |at: usize| format!("/folder-{}/route-{}", at / IN_FOLDER, at % IN_FOLDER);
    let mut router = Router::new();
    for at in 0..count {
        router = router.respond(&path(at), Status::OK, path(at).into_bytes());
    }
    let path = path(count / 2);
    ask(router.build().unwrap(), request(&path, ""), |reply| {
        assert_eq!((reply.status, gather(reply.body)), (Status::OK, path.into_bytes()));
    })
}

/// A small file, all of it.
pub(crate) fn whole(root: &Path) -> Work {
    ask_files(root, request(FILE.0, ""), |reply| {
        assert_eq!((reply.status, gather(reply.body)), (Status::OK, content(FILE.1)));
    })
}

/// The same, for whom has it already.
pub(crate) fn not_modified(root: &Path) -> Work {
    let asked = request(FILE.0, "");
    let fields = with_inquiry(&asked, |inquiry| answer(&files(root), inquiry).fields.to_vec());
    let fields = String::from_utf8(fields).unwrap();
    let etag = fields.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    ask_files(root, request(FILE.0, &format!("If-None-Match: {etag}\r\n")), |reply| {
        assert_eq!((reply.status, reply.body.length()), (Status::NOT_MODIFIED, Some(0)));
    })
}

/// A path where nothing is.
pub(crate) fn missing(root: &Path) -> Work {
    ask_files(root, request("/nothing.txt", ""), |reply| {
        let page = String::from_utf8(gather(reply.body)).unwrap();
        assert_eq!(reply.status, Status::NOT_FOUND);
        assert!(page.contains("404"), "{page}");
    })
}

/// Some bytes of a file.
pub(crate) fn range(root: &Path) -> Work {
    ask_files(root, request(LARGER_FILE.0, "Range: bytes=1000-1999\r\n"), |reply| {
        let part = content(LARGER_FILE.1)[1000..2000].to_vec();
        assert_eq!((reply.status, gather(reply.body)), (Status::PARTIAL_CONTENT, part));
    })
}

/// Bytes from three places of a file.
pub(crate) fn ranges(root: &Path) -> Work {
    let asked = request(LARGER_FILE.0, "Range: bytes=0-999,4000-4999,-1000\r\n");
    ask_files(root, asked, |reply| {
        assert_eq!(reply.status, Status::PARTIAL_CONTENT);
        let fields = String::from_utf8(reply.fields.to_vec()).unwrap();
        let (_, boundary) = fields.lines().next().unwrap().split_once("boundary=").unwrap();
        let length = LARGER_FILE.1;
        let mut expected = Vec::new();
        for first in [0, 4000, length - 1000] {
            let last = first + 999;
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Range: bytes {first}-{last}/{length}\r\n\r\n"
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&content(length)[first..=last]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(gather(reply.body), expected);
    })
}

/// Asks a site of files.
fn ask_files(root: &Path, request: String, check: impl FnOnce(Reply)) -> Work {
    told(|| ask(files(root), request, check))
}

fn files(root: &Path) -> Site {
    Router::new().files("/*", Files::new(root).unwrap()).build().unwrap()
}

/// Asks `site`; `check` sees an answer first.
fn ask(site: Site, request: String, check: impl FnOnce(Reply)) -> Work {
    with_inquiry(&request, |inquiry| {
        for _ in 1..BEFORE {
            answer(&site, inquiry);
        }
        check(answer(&site, inquiry));
    });
    Box::new(move |times| {
        with_inquiry(&request, |inquiry| {
            for _ in 0..times {
                black_box(answer(&site, black_box(inquiry)));
            }
        });
    })
}

fn with_inquiry<T>(request: &str, ask: impl FnOnce(&Inquiry<'_>) -> T) -> T {
    let mut space = HeadSpace::new();
    let head = Head::parse(request.as_bytes(), &mut space, &Limits::default()).unwrap();
    // Only the first answer has to wait for a file, if it is not in memory: so it may.
    ask(&Inquiry { head: &head, client: None, content: None, again: true, now: NOW })
}

fn answer(site: &Site, inquiry: &Inquiry<'_>) -> Reply {
    match site.answer(inquiry, &mut RouteNumber::default()) {
        Answer::Reply(reply) => reply,
        other @ (Answer::Content { .. } | Answer::Later(_) | Answer::Gateway(_)) => {
            panic!("{other:?}")
        }
    }
}

/// The bytes of content that is in memory.
fn gather(mut body: Body) -> Vec<u8> {
    match &mut body {
        Body::Empty => Vec::new(),
        Body::Bytes { bytes, at, end } => bytes[*at..*end].to_vec(),
        Body::Parts(parts) => {
            let mut all = Vec::new();
            while let Some(piece) = parts.current() {
                all.append(&mut gather(std::mem::take(piece)));
            }
            all
        }
        Body::File { .. } | Body::Produced(_) => panic!("it is not in memory: {body:?}"),
    }
}
