//! An origin server of which a test has every byte in hand. It knows no HTTP but where a head ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use crate::support::running::DEADLINE;

/// A listener; each of its connections has a thread.
pub(super) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    heads: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// One connection from the server.
pub(super) struct Wire {
    stream: TcpStream,
    pending: Vec<u8>,
    shared: Arc<Shared>,
}

impl Origin {
    /// Lets `serve` talk on each connection, which is closed when it returns.
    pub(super) fn start(serve: impl Fn(Wire) + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (serve, its) = (Arc::new(serve), Arc::clone(&shared));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if its.is_over.load(Ordering::SeqCst) {
                    return;
                }
                its.connections.fetch_add(1, Ordering::SeqCst);
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.set_nodelay(true).unwrap();
                let wire = Wire { stream, pending: Vec::new(), shared: Arc::clone(&its) };
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(wire));
            }
        });
        Origin { address, shared }
    }

    /// Answers every request with the same bytes, on connections that persist.
    pub(super) fn answering(answer: impl Into<Vec<u8>>) -> Origin {
        let answer = answer.into();
        Origin::start(move |mut wire| {
            while wire.head().is_some() {
                wire.write(&answer);
            }
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Whether the end of a connection that was closed here has come to where the server is; the
    /// server may not have looked.
    pub(super) fn is_left(&self) -> bool {
        const CLOSE_WAIT: &str = "08";
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X}", self.address.port());
        table.lines().any(|line| {
            let mut words = line.split_whitespace().skip(2);
            words.next().is_some_and(|remote| remote.ends_with(&port))
                && words.next() == Some(CLOSE_WAIT)
        })
    }

    /// The heads of all requests so far, in the order in which they came in.
    pub(super) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Wire {
    /// The head of the next request, with the empty line; None if there is none any more.
    pub(super) fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.pending.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(self.pending.drain(..end + 4).collect()).unwrap();
                self.shared.heads.lock().unwrap().push(head.clone());
                return Some(head);
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// So many bytes of content, if so many come.
    pub(super) fn content(&mut self, length: usize) -> Vec<u8> {
        while self.pending.len() < length && self.more() {}
        let length = length.min(self.pending.len());
        self.pending.drain(..length).collect()
    }

    /// Everything until `end` has been read, `end` included.
    pub(super) fn until(&mut self, end: &[u8]) -> Vec<u8> {
        while !self.pending.ends_with(end) && self.more() {}
        std::mem::take(&mut self.pending)
    }

    /// Whether more has come.
    fn more(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        let count = self.stream.read(&mut buffer).unwrap_or(0);
        self.pending.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Who does not want it any more does not get it.
    pub(super) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Writes `bytes` from a thread of its own, in pieces of many sizes.
    pub(super) fn pour(&self, bytes: Vec<u8>) -> JoinHandle<()> {
        let mut stream = self.stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(bytes.len() as u64);
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, next) = rest.split_at(random.usize(1..=rest.len().min(30_000)));
                if stream.write_all(piece).is_err() {
                    return;
                }
                rest = next;
            }
        })
    }

    /// Says nothing until the server has closed.
    pub(super) fn wait(mut self) {
        while self.more() {}
    }

    /// Closes so that the server sees a reset.
    pub(super) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// The route that passes everything on to `origin`; `more` are other keys of the proxy.
pub(super) fn route(origin: &Origin, more: &str) -> String {
    format!("[[site.route]]\npath = \"/*\"\nproxy = {{ to = \"{}\"{more} }}\n", origin.url())
}
