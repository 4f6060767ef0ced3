//! What the made-up clients say, and the site that they say it to.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;

use super::super::limits::Limits;
use super::world::Promises;
use crate::site::body::Produced;
use crate::site::handler::{Request, Response};
use crate::site::router::Router;
use crate::site::{Site, files};

/// A folder with a small, a middling and a large file, for as long as the test runs.
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("oneloop-sim-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, length) in [("small", 100), ("middling", 20_000), ("large", 70_000)] {
            let content: Vec<u8> =
                (0..length).map(|at| b"abcdefghijklmnopqrstuvw"[at % 23]).collect();
            std::fs::write(path.join(name), content).unwrap();
        }
        Files(path)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The site: files, an echo, content made in steps with pauses, and answers that come later.
pub(super) fn site(files: &Files, promises: &Promises, limits: &Limits) -> Site {
    let promises = Rc::clone(promises);
    let _ = limits;
    Router::new()
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
        })
        .build()
        .unwrap()
}

/// A few requests, one behind the other, the last perhaps broken or cut.
pub(super) fn script(random: &mut Rng) -> Vec<u8> {
    let mut script = Vec::new();
    for _ in 0..random.usize(..12) {
        let request = request(random);
        if random.u8(..8) == 0 {
            // Forgiven before a request line (RFC 9112 §2.2).
            script.extend_from_slice(b"\r\n");
        }
        script.extend_from_slice(&request);
        // Whoever has asked for the end says no more (RFC 9112 §9.6).
        if memchr::memmem::find(&request, b"close\r\n").is_some()
            || memchr::memmem::find(&request, b"HTTP/1.0\r\n").is_some()
        {
            return script;
        }
    }
    if random.u8(..4) == 0 {
        script.extend_from_slice(BROKEN[random.usize(..BROKEN.len())].as_bytes());
    }
    if random.u8(..6) == 0 {
        script.truncate(random.usize(..=script.len()));
    }
    script
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
