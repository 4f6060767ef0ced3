//! What the made-up clients say, and the site that they say it to.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tempfile::TempDir;

use super::backend::{FASTCGI, HTTP, SCGI};
use super::program::{ACTS, Act};
use super::world::Promises;
use crate::site::body::Produced;
use crate::site::handler::{Request, Response};
use crate::site::program::{
    Cgi, Endpoint, FastCgi, HostField, Kind, Program, Proxy, Scgi, Scripts, Upstream,
};
use crate::site::router::Router;
use crate::site::rule::Settings;
use crate::site::{Site, files};

/// A folder with a small, a middling and a large file, for as long as the test runs.
pub(super) struct Files(TempDir);

impl Files {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, length) in [("small", 100), ("middling", 20_000), ("large", 70_000)] {
            let content: Vec<u8> =
                (0..length).map(|at| b"abcdefghijklmnopqrstuvw"[at % 23]).collect();
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        Files(folder)
    }

    /// Gives each of them other content.
    pub(super) fn change(&self) {
        for name in ["small", "middling", "large"] {
            std::fs::write(self.0.path().join(name), "otherwise").unwrap();
        }
    }
}

/// How the programs of one world are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programs {
    /// How many exchanges each may have at once.
    pub(super) at_once: usize,
    /// How long each may say nothing.
    pub(super) timeout: Duration,
}

/// What one client may ask of programs.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is about another thing")]
pub(super) struct Wants {
    /// Anything at all.
    pub(super) programs: bool,
    /// What takes all the time there is.
    pub(super) late: bool,
    /// What is answered before all of it was heard.
    pub(super) hasty: bool,
    /// Another protocol.
    pub(super) tunnel: bool,
}

/// The site: files, an echo, content made in steps with pauses, answers that come later, and
/// programs in four protocols.
pub(super) fn site(files: &Files, promises: &Promises, programs: Programs) -> Site {
    let promises = Rc::clone(promises);
    let mut router = Router::new()
        .files("/*", files::Files::new(&files.0).unwrap())
        .post("/echo", |request: &Request<'_>| Response::bytes("text/plain", request.content()))
        .get("/steps", |_: &Request<'_>| {
            let mut step = 0;
            Response::produced("text/plain", move |out: &mut Vec<u8>| {
                step += 1;
                out.extend(std::iter::repeat_n(b'.', step * 7 % 50));
                Ok(match step {
                    9 => Produced::End,
                    4 => Produced::Pause(Duration::from_millis(30)),
                    _ => Produced::More,
                })
            })
        })
        .any("/later", move |_: &Request<'_>| {
            let (promise, response) = Response::later();
            promises.borrow_mut().push(promise);
            response
        });
    for (pattern, kind) in kinds() {
        let Programs { at_once, timeout } = programs;
        let program = Program { at_once, timeout, queue: 100, ..Program::new(kind) };
        let settings = Settings { content_limit: Some(CONTENT), ..Settings::default() };
        router = router.program(pattern, program).settings(pattern, settings);
    }
    router.build().unwrap()
}

/// Bytes of content that programs may be sent.
const CONTENT: u64 = 3_000;

/// The programs, and where they are. Nobody is at port 1.
fn kinds() -> Vec<(&'static str, Kind)> {
    let upstream = |ports: &[u16]| {
        let to = |&port| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        Upstream { persistent: 2, ..Upstream::new(ports.iter().map(to).collect()) }
    };
    let proxy = |ports: &[u16]| {
        let host = HostField::Keep;
        Kind::Proxy(Proxy { upstream: upstream(ports), strip: None, host })
    };
    let script = std::env::current_exe().unwrap();
    vec![
        ("/cgi/*", Kind::Cgi(Cgi::new(Scripts::One(script)))),
        (
            "/fastcgi/*",
            Kind::FastCgi(FastCgi {
                upstream: upstream(&[FASTCGI]),
                root: None,
                whole_path: false,
                index: None,
            }),
        ),
        ("/scgi/*", Kind::Scgi(Scgi { upstream: upstream(&[SCGI]), root: None })),
        ("/proxy/*", proxy(&[HTTP])),
        ("/pair/*", proxy(&[1, HTTP])),
        ("/away/*", proxy(&[1])),
    ]
}

/// A request to a program.
fn call(random: &mut Rng, wants: Wants) -> Vec<u8> {
    const PLACES: [&str; 8] =
        ["cgi", "fastcgi", "fastcgi", "scgi", "proxy", "proxy", "pair", "away"];
    // Nobody being there is an answer before the content was heard.
    let places = if wants.hasty { &PLACES[..] } else { &PLACES[..7] };
    let place = places[random.usize(..places.len())];
    let (name, act) = loop {
        let (name, act) = ACTS[random.usize(..ACTS.len())];
        let is_wanted = match act {
            Act::Late | Act::Stuck => wants.late,
            Act::Deaf | Act::Early => wants.hasty,
            Act::Switch => wants.tunnel && matches!(place, "proxy" | "pair"),
            Act::Sized
            | Act::Flow
            | Act::UntilClose
            | Act::Hint
            | Act::Elsewhere
            | Act::Mute
            | Act::Half
            | Act::Bad
            | Act::Cut
            | Act::CutFlow
            | Act::Leaves
            | Act::More
            | Act::Stray
            | Act::Lingers => true,
        };
        if is_wanted {
            break (name, act);
        }
    };
    let count = [0, 1, 50, 50, 3_000, 3_000, 20_000, 200_000][random.usize(..8)];
    let head = |method, fields: &str| {
        format!("{method} /{place}/{name}-{count} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
    };
    if act == Act::Switch {
        let count = count.min(1_000);
        let target = format!("/{place}/{name}-{count}");
        let fields = "Host: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n";
        let head = format!("GET {target} HTTP/1.1\r\n{fields}\r\n").into_bytes();
        return [head, vec![b'z'; count]].concat();
    }
    match random.u8(..8) {
        0 => head("HEAD", ""),
        1..4 => head("GET", ""),
        4 => {
            let mut bytes = head("PUT", "Transfer-Encoding: chunked\r\n");
            for _ in 0..random.usize(..7) {
                let size = random.usize(1..400);
                bytes.extend(format!("{size:x}\r\n{}\r\n", "p".repeat(size)).bytes());
            }
            bytes.extend_from_slice(b"0\r\nT: 1\r\n\r\n");
            bytes
        }
        _ => {
            let length = [0, 1, 50, 2_900, 2_900, 5_000][random.usize(..6)];
            let expects = random.u8(..4) == 0 && length < 3_000;
            let expect = if expects { "Expect: 100-continue\r\n" } else { "" };
            let method = if random.u8(..4) == 0 { "PUT" } else { "POST" };
            let bytes = head(method, &format!("{expect}Content-Length: {length}\r\n"));
            [bytes, vec![b'q'; length]].concat()
        }
    }
}

/// A few requests, one behind the other, the last perhaps broken or cut.
pub(super) fn script(random: &mut Rng, wants: Wants) -> Vec<u8> {
    let mut script = Vec::new();
    let is_whole = random.u8(..6) > 0;
    let wants = Wants { hasty: wants.hasty && is_whole, ..wants };
    for _ in 0..random.usize(..12) {
        let is_call = wants.programs && random.bool();
        let request = if is_call { call(random, wants) } else { request(random) };
        if random.u8(..8) == 0 {
            // Forgiven before a request line (RFC 9112 §2.2).
            script.extend_from_slice(b"\r\n");
        }
        script.extend_from_slice(&request);
        // Whoever has asked for the end says no more (RFC 9112 §9.6).
        if ends(&request) {
            return script;
        }
    }
    if random.u8(..4) == 0 {
        script.extend_from_slice(BROKEN[random.usize(..BROKEN.len())].as_bytes());
    }
    if !is_whole {
        script.truncate(random.usize(..=script.len()));
    }
    script
}

/// As many requests, one behind the other, of which none asks for the end, or for nothing but a
/// refusal.
pub(super) fn long_script(random: &mut Rng, count: usize) -> Vec<u8> {
    let wants = Wants { programs: true, late: false, hasty: false, tunnel: false };
    let mut script = Vec::new();
    for _ in 0..count {
        script.extend(loop {
            let one = if random.u8(..60) == 0 { call(random, wants) } else { request(random) };
            let is_taken = !one.starts_with(b"POST /small") && !one.starts_with(b"POST /later");
            if !ends(&one) && is_taken {
                break one;
            }
        });
    }
    script
}

/// Whether a request asks for the end of its connection, or of its protocol.
fn ends(request: &[u8]) -> bool {
    let has = |text: &str| memchr::memmem::find(request, text.as_bytes()).is_some();
    has("close\r\n") || has("HTTP/1.0\r\n") || has("Upgrade: ")
}

fn request(random: &mut Rng) -> Vec<u8> {
    let connection = match random.u8(..12) {
        0 => "Connection: close\r\n",
        1 => "Connection: keep-alive\r\n",
        _ => "",
    };
    let version = if random.u8(..12) == 0 { "HTTP/1.0" } else { "HTTP/1.1" };
    let target = TARGETS[random.usize(..TARGETS.len())];
    match random.u8(..7) {
        0 => format!("HEAD {target} {version}\r\nHost: a\r\n{connection}\r\n").into_bytes(),
        1 | 2 => {
            let length = [0, 1, 50, 1_000, 2_900, 5_000][random.usize(..6)];
            let target = ["/echo", "/echo", "/small", "/later"][random.usize(..4)];
            let expect = if random.u8(..5) == 0 { "Expect: 100-continue\r\n" } else { "" };
            let fields = format!("Host: a\r\n{connection}{expect}Content-Length: {length}");
            let head = format!("POST {target} {version}\r\n{fields}\r\n\r\n");
            [head.into_bytes(), vec![b'x'; length]].concat()
        }
        3 => {
            let target = ["/echo", "/echo", "/small"][random.usize(..3)];
            let fields = format!("Host: a\r\n{connection}Transfer-Encoding: chunked");
            let head = format!("POST {target} HTTP/1.1\r\n{fields}\r\n\r\n");
            let mut bytes = head.into_bytes();
            for _ in 0..random.usize(..5) {
                let size = random.usize(1..400);
                bytes.extend(format!("{size:x};e=1\r\n{}\r\n", "y".repeat(size)).bytes());
            }
            bytes.extend_from_slice(b"0\r\nT: 1\r\n\r\n");
            bytes
        }
        _ => {
            let range = if random.u8(..4) == 0 { "Range: bytes=5-9,50-60\r\n" } else { "" };
            format!("GET {target} {version}\r\nHost: a\r\n{connection}{range}\r\n").into_bytes()
        }
    }
}

const TARGETS: [&str; 9] = [
    "/small",
    "/small",
    "/middling",
    "/large",
    "/steps",
    "/later",
    "/missing",
    "/%2e%2e/above",
    "http://a/small?q",
];

const BROKEN: [&str; 10] = [
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET /small HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde",
    "\u{16}\u{3}\u{1}\u{0}",
    "BREW /small HTTP/1.1\r\nHost: a\r\n\r\n",
];
