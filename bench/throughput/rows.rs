//! The rows of the table: what is asked for in each, and how.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::answer::{self, Ask};
use crate::browser::BROWSER;
use crate::generator::Count;
use crate::responder;
use crate::servers::{Behind, Mode, Peer, Server};

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A file of 1 KiB.
    Small,
    /// The same, with the fields that a browser sends.
    Browser,
    /// One of many files of 1 KiB.
    Many,
    /// A file of 100 KiB.
    Middle,
    /// A file of 64 MiB.
    Large,
    /// A file of 1 KiB that has not changed.
    NotModified,
    /// A file that is not there.
    Missing,
    /// A file of 1 KiB that another server has.
    Proxied,
    /// 1 KiB from a FastCGI responder.
    FastCgi,
    /// 1 KiB from a CGI program.
    Cgi,
    /// 1 KiB from a script for /bin/sh.
    Shell,
    /// 1 KiB out of the middle of 10 MiB.
    Range,
}

/// One row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) what: What,
    pub(crate) connections: usize,
    pub(crate) idle: usize,
    pub(crate) depth: usize,
    pub(crate) closes: bool,
    pub(crate) mode: Mode,
    /// How long it runs at least, before the time counts and then: until every file has been asked
    /// for, and whoever looks once a second whether a file has changed has done so.
    pub(crate) least: Duration,
}

const PLAIN: Row = Row {
    name: "small",
    says: "1 KiB file, 64 persistent connections",
    what: What::Small,
    connections: 64,
    idle: 0,
    depth: 1,
    closes: false,
    mode: Mode::Silent,
    least: Duration::from_millis(60),
};

pub(crate) const ROWS: [Row; 19] = [
    PLAIN,
    Row { name: "logged", says: "the same, access log on", mode: Mode::Logged, ..PLAIN },
    Row { name: "watched", says: "the same, the inspector open", mode: Mode::Watched, ..PLAIN },
    Row {
        name: "browser",
        says: "1 KiB file, a browser's 800 bytes of fields",
        what: What::Browser,
        ..PLAIN
    },
    Row {
        name: "many",
        says: "10,000 files of 1 KiB at random",
        what: What::Many,
        least: Duration::from_secs(1),
        ..PLAIN
    },
    Row { name: "pipelined", says: "1 KiB file, 16-deep pipelining", depth: 16, ..PLAIN },
    Row { name: "middle", says: "100 KiB file", what: What::Middle, ..PLAIN },
    Row {
        name: "large",
        says: "64 MiB file, 4 connections: CPU ms per GiB",
        what: What::Large,
        connections: 4,
        ..PLAIN
    },
    Row { name: "connect", says: "1 KiB file, a new connection each", closes: true, ..PLAIN },
    Row { name: "thousand", says: "1 KiB file, 1,000 connections", connections: 1000, ..PLAIN },
    Row {
        name: "ten-thousand",
        says: "1 KiB file, 10,000 connections",
        connections: 10_000,
        ..PLAIN
    },
    Row { name: "idle", says: "64 connections beside 9,900 idle ones", idle: 9900, ..PLAIN },
    Row { name: "not-modified", says: "304 by If-None-Match", what: What::NotModified, ..PLAIN },
    Row { name: "missing", says: "404", what: What::Missing, ..PLAIN },
    Row { name: "range", says: "1 KiB range of a 10 MiB file", what: What::Range, ..PLAIN },
    Row {
        name: "proxied",
        says: "reverse proxy of 1 KiB, persistent",
        what: What::Proxied,
        mode: Mode::Relaying,
        ..PLAIN
    },
    Row {
        name: "fastcgi",
        says: "FastCGI, 1 KiB, persistent",
        what: What::FastCgi,
        mode: Mode::Relaying,
        ..PLAIN
    },
    Row {
        name: "cgi",
        says: "CGI program, 1 KiB, with its own time",
        what: What::Cgi,
        connections: 8,
        mode: Mode::Spawning,
        least: Duration::from_millis(500),
        ..PLAIN
    },
    Row {
        name: "shell",
        says: "CGI script for /bin/sh, with its own time",
        what: What::Shell,
        connections: 8,
        mode: Mode::Spawning,
        least: Duration::from_millis(500),
        ..PLAIN
    },
];

/// The row that goes by the clock. It has a table of its own.
pub(crate) const PACED: Row = Row {
    name: "paced",
    says: "1 KiB file, 64 persistent connections, open loop",
    // One in a thousand is then ten.
    least: Duration::from_secs(1),
    ..PLAIN
};

/// How many files there are in the row `many`.
const FILES: usize = 10_000;

const SMALL: usize = 1 << 10;
// Names and lengths of the others.
const MIDDLE: (&str, usize) = ("middle.txt", 100 << 10);
const LARGE: (&str, usize) = ("large.txt", 64 << 20);
const RANGED: (&str, usize) = ("ranged.txt", 10 << 20);

/// The first byte of the range.
const RANGE_FROM: usize = 5_000_000;

impl Row {
    /// Whether a server can be measured in this row.
    pub(crate) fn takes(&self, peer: &Peer) -> bool {
        if self.mode == Mode::Watched {
            return peer.name == "oneloop"; // Nobody else can be looked at so.
        }
        match peer.name {
            // No file, no difference.
            "nginx-sendfile" => self.mode.has_files_only(),
            // They start no CGI programs.
            "h2o" | "caddy" => self.mode != Mode::Spawning,
            "haproxy" => self.what == What::Proxied,
            "libreactor" => {
                let is_small = matches!(self.what, What::Small | What::Browser);
                is_small && self.mode == Mode::Silent && !self.closes
            }
            _ => true,
        }
    }

    /// What one answer, or one GiB, has cost: microseconds, or milliseconds.
    pub(crate) fn cost(&self, spent: Duration, count: Count) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        if self.what == What::Large {
            spent.as_secs_f64() * 1e3 / (count.bytes as f64 / (1_u64 << 30) as f64)
        } else {
            spent.as_secs_f64() * 1e6 / count.answers as f64
        }
    }

    /// What `server` is asked for, as often as the row says at once, and what it must answer. The
    /// limit program gives the same answer to all.
    pub(crate) fn asks(
        &self,
        server: SocketAddr,
        is_limit: bool,
        files: &Files,
    ) -> io::Result<Vec<Ask>> {
        let close = if self.closes { "Connection: close\r\n" } else { "" };
        let request = |path: &str, fields: &str| {
            format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n{fields}{close}\r\n").into_bytes()
        };
        let one = |path: &str, fields: &str, status, content: &Rc<[u8]>| {
            let request = request(path, fields).repeat(self.depth);
            vec![Ask { request, status, content: Rc::clone(content) }]
        };
        let small = &files.many[0];
        Ok(match self.what {
            What::Small => one("many/0.txt", "", 200, small),
            What::Proxied => one("proxied/0.txt", "", 200, small),
            What::FastCgi => one("fastcgi/answer", "", 200, small),
            What::Cgi => one("cgi/answer", "", 200, small),
            What::Shell => one("cgi/answer.sh", "", 200, small),
            What::Browser => {
                one("many/0.txt", &format!("{BROWSER}Accept-Encoding: identity\r\n"), 200, small)
            }
            What::Many => {
                let content = |number: usize| if is_limit { 0 } else { number };
                let ask = |number| Ask {
                    request: request(&format!("many/{number}.txt"), ""),
                    status: 200,
                    content: Rc::clone(&files.many[content(number)]),
                };
                (0..FILES).map(ask).collect()
            }
            What::Middle => one(MIDDLE.0, "", 200, &files.middle),
            What::Large => one(LARGE.0, "", 200, &files.large),
            What::NotModified => {
                let (head, _) = answer::exchange(server, &request("many/0.txt", ""))?;
                let etag = head.etag.unwrap_or_default();
                one("many/0.txt", &format!("If-None-Match: {etag}\r\n"), 304, &Rc::from([]))
            }
            What::Missing => {
                let (_, page) = answer::exchange(server, &request("none.txt", ""))?;
                one("none.txt", "", 404, &page.into())
            }
            What::Range => {
                let range = format!("Range: bytes={RANGE_FROM}-{}\r\n", RANGE_FROM + SMALL - 1);
                one(RANGED.0, &range, 206, &files.range)
            }
        })
    }

    /// Starts the least that could do the work of this row.
    pub(crate) fn limit(
        &self,
        name: &'static str,
        folder: &Path,
        files: &Files,
        behind: Behind<'_>,
    ) -> io::Result<Server> {
        fs::create_dir_all(folder)?;
        let [answer, told] = ["answer", "told"].map(|name| folder.join(name));
        fs::write(&answer, self.answer(files))?;
        let keep = Path::new(if self.closes { "close" } else { "keep" });
        let behind_port = |port: u16| PathBuf::from(port.to_string());
        let start = |kind, arguments: &[&Path]| Server::bare(name, kind, folder, arguments);
        match self.what {
            What::Middle => start("limit", &[&answer, keep, &files.root.join(MIDDLE.0)]),
            What::Large => start("limit", &[&answer, keep, &files.root.join(LARGE.0)]),
            What::Proxied => start("relay", &[&behind_port(behind.origin)]),
            What::FastCgi => {
                fs::write(&told, responder::request())?;
                start("relay", &[&behind_port(behind.responder), &told, &answer])
            }
            What::Cgi => start("spawning", &[&behind.programs.join("answer")]),
            What::Shell => start("spawning", &[&behind.programs.join("answer.sh")]),
            What::Small
            | What::Browser
            | What::Many
            | What::NotModified
            | What::Missing
            | What::Range => start("limit", &[&answer, keep]),
        }
    }

    /// What the limit program answers; without the content where that is sent from a file.
    fn answer(&self, files: &Files) -> Vec<u8> {
        let (status, content): (&str, &[u8]) = match self.what {
            What::Middle => ("200 OK", &files.middle),
            What::Large => ("200 OK", &files.large),
            What::NotModified => ("304 Not Modified", &[]),
            What::Missing => ("404 Not Found", b"There is nothing here.\n"),
            What::Range => ("206 Partial Content", &files.range),
            What::Small
            | What::Browser
            | What::Many
            | What::Proxied
            | What::FastCgi
            | What::Cgi
            | What::Shell => ("200 OK", &files.many[0]),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"1234567-89abcdef\"\r\n\
             Accept-Ranges: bytes\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        let is_in_file = matches!(self.what, What::Middle | What::Large);
        [head.as_bytes(), if is_in_file { &[] } else { content }].concat()
    }
}

/// The files that are served.
pub(crate) struct Files {
    pub(crate) root: PathBuf,
    many: Vec<Rc<[u8]>>,
    middle: Rc<[u8]>,
    large: Rc<[u8]>,
    range: Rc<[u8]>,
}

impl Files {
    /// Writes them below `root`, of which no two have the same content.
    pub(crate) fn write(root: &Path) -> io::Result<Files> {
        fs::create_dir_all(root.join("many"))?;
        let mut many = Vec::new();
        for number in 0..FILES {
            let content = text(number, SMALL);
            fs::write(root.join(format!("many/{number}.txt")), &content)?;
            many.push(content);
        }
        let write = |(name, length): (&str, usize)| {
            let content = text(FILES + length, length);
            fs::write(root.join(name), &content).map(|()| content)
        };
        let ranged = write(RANGED)?;
        Ok(Files {
            root: root.to_owned(),
            many,
            middle: write(MIDDLE)?,
            large: write(LARGE)?,
            range: ranged[RANGE_FROM..RANGE_FROM + SMALL].into(),
        })
    }
}

impl Files {
    /// Writes the CGI programs, and the content that all programs answer with, into `folder`.
    /// Returns where the content is.
    pub(crate) fn write_programs(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let content = folder.join("content");
        fs::write(&content, &self.many[0])?;
        // Itself: see `main`.
        fs::copy(std::env::current_exe()?, folder.join("answer"))?;
        let script = folder.join("answer.sh");
        let text = String::from_utf8_lossy(&self.many[0]);
        let fields = format!("Content-Type: text/plain\\r\\nContent-Length: {SMALL}\\r\\n");
        let text = format!("#!/bin/sh\nprintf '{fields}\\r\\n%s' '{text}'\n");
        fs::write(&script, text)?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        Ok(content)
    }
}

/// Text of this length. A line says which text it is, and which of its lines.
fn text(number: usize, length: usize) -> Rc<[u8]> {
    let mut text = Vec::with_capacity(length + 32);
    let mut line = 0;
    while text.len() < length {
        text.extend_from_slice(format!("text {number}, line {line}\n").as_bytes());
        line += 1;
    }
    text.truncate(length);
    text.into()
}
