//! The site as a whole: requests in, replies out, over real directories.

mod caching;
mod cold;
mod confinement;
mod exposure;
mod files;
mod handlers;
mod instead;
mod programs;
mod routing;
mod scripts;
mod untold;
mod watching;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::body::{Body, Produced};
use super::cache::CacheLimits;
use super::files::Files;
use super::router::Router;
use super::rule::RouteNumber;
use super::{Answer, Inquiry, Now, Reply, Site, SiteOptions};
use crate::http::Limits;
use crate::http::head::{Head, HeadSpace};

/// A directory that goes when its test ends.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Scratch {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("www")).unwrap();
        Scratch(folder)
    }

    /// The root that is served; what stands beside it must never be.
    fn www(&self) -> PathBuf {
        self.0.path().join("www")
    }

    /// Writes a file into the root, last changed well in the past.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.www().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_modified(&path, 1_000_000_000);
        path
    }

    fn files(&self) -> Files {
        Files::new(self.www()).unwrap()
    }

    /// A site of `files` that remembers so much.
    fn site_with(files: Files, cache: CacheLimits) -> Site {
        let options = SiteOptions { cache, ..SiteOptions::default() };
        Site::new(vec![(vec![], Router::new().files("/*", files))], options).unwrap()
    }

    /// The root's files as they are served without any option.
    fn site(&self) -> Site {
        Router::new().files("/*", self.files()).build().unwrap()
    }
}

fn set_modified(path: &Path, unix: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A reply, all of it.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    status: u16,
    fields: String,
    content: Vec<u8>,
    user: Option<String>,
}

impl Got {
    /// The value of the only line of `name`.
    fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.lines().filter_map(|line| {
            line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name))
        });
        let value = values.next().map(|(_, value)| value);
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

impl From<Reply> for Got {
    fn from(reply: Reply) -> Got {
        let fields = String::from_utf8(reply.fields.to_vec()).unwrap();
        assert!(fields.is_empty() || fields.ends_with("\r\n"), "{fields:?}");
        for line in fields.split_terminator("\r\n") {
            assert!(line.contains(": ") && !line.contains(['\r', '\n']), "{line:?}");
        }
        let user = reply.user.as_deref().map(str::to_owned);
        Got { status: reply.status.code(), fields, content: drain(reply.body), user }
    }
}

fn drain(body: Body) -> Vec<u8> {
    let length = body.length();
    let content = match body {
        Body::Empty => Vec::new(),
        Body::Bytes { bytes, at, end } => bytes[at..end].to_vec(),
        Body::File { file, offset, left } => {
            let mut content = vec![0; usize::try_from(left).unwrap()];
            file.read_exact_at(&mut content, offset).unwrap();
            content
        }
        Body::Parts(mut parts) => {
            let mut content = Vec::new();
            while let Some(piece) = parts.current() {
                content.extend(drain(std::mem::take(piece)));
            }
            content
        }
        Body::Produced(mut produce) => {
            let mut content = Vec::new();
            while produce.produce(&mut content).unwrap() != Produced::End {}
            content
        }
    };
    assert!(length.is_none_or(|length| length == content.len() as u64));
    content
}

/// An afternoon in 2026.
const TODAY: u64 = 1_790_000_000;

/// `milliseconds` after the first request, by a request that has just come in.
fn at(milliseconds: u64) -> Now {
    static MOMENT: AtomicU64 = AtomicU64::new(0);
    let moment = MOMENT.fetch_add(1, Ordering::Relaxed);
    Now { monotonic_ms: 5_000 + milliseconds, unix: TODAY + milliseconds / 1000, moment }
}

/// Asks with a request line's method and target and some field lines.
fn answer_at(site: &Site, now: Now, request: &str, fields: &[&str]) -> Answer {
    answer_to(site, now, request, fields, false)
}

/// The same, once another thread has done what it was to do for it.
fn answer_again(site: &Site, now: Now, request: &str, fields: &[&str]) -> Answer {
    answer_to(site, now, request, fields, true)
}

fn answer_to(site: &Site, now: Now, request: &str, fields: &[&str], again: bool) -> Answer {
    let has_host = fields.iter().any(|line| line.starts_with("Host: "));
    let host = if has_host { "" } else { "Host: h\r\n" };
    let lines = fields.join("\r\n");
    let end = if lines.is_empty() { "" } else { "\r\n" };
    let text = format!("{request} HTTP/1.1\r\n{host}{lines}{end}\r\n");
    let mut space = HeadSpace::new();
    let head = Head::parse(text.as_bytes(), &mut space, &Limits::default()).expect(request);
    let client = Some([192, 0, 2, 1].into());
    let inquiry = Inquiry { head: &head, client, content: None, again, now };
    site.answer(&inquiry, &mut RouteNumber::default())
}

fn ask_at(site: &Site, now: Now, request: &str, fields: &[&str]) -> Got {
    match answer_at(site, now, request, fields) {
        Answer::Reply(reply) => reply.into(),
        Answer::Content { .. } | Answer::Later(_) | Answer::Gateway(_) => {
            panic!("{request}: not answered at once")
        }
    }
}

fn ask(site: &Site, request: &str, fields: &[&str]) -> Got {
    ask_at(site, at(0), request, fields)
}

fn get(site: &Site, target: &str) -> Got {
    ask(site, &format!("GET {target}"), &[])
}
