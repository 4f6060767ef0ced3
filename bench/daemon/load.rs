//! Many clients that ask and ask, and look at what they get. What happens to the server meanwhile
//! is not known here.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::http::Connection;
use super::process::wait_until;

/// The longest that a client thinks before it asks again, in microseconds.
const THINKS: u64 = 100_000;

/// Requests on a connection until it begins anew.
const REQUESTS: usize = 50;

/// Bytes of a client's stack.
pub(crate) const STACK: usize = 64 << 10;

/// What the route says, in turn.
pub(crate) const WORDS: [&str; 2] = ["one", "two"];

/// What came of it.
#[derive(Default)]
pub(crate) struct Seen {
    /// Milliseconds from each request to its answer.
    pub(crate) times: Vec<f64>,
    /// Requests without a whole answer, on connections of which that could be foreseen.
    pub(crate) lost: usize,
    /// And on all others.
    pub(crate) failures: Vec<String>,
    pub(crate) lasted: Duration,
}

/// Clients on threads of their own.
pub(crate) struct Load {
    shared: Arc<Shared>,
    begin: Instant,
    threads: Vec<JoinHandle<Seen>>,
}

struct Shared {
    address: SocketAddr,
    is_over: AtomicBool,
    answers: AtomicUsize,
    /// The ports of those who may fail, once.
    may_fail: Mutex<HashSet<u16>>,
}

impl Load {
    /// All clients have been answered when this returns.
    pub(crate) fn start(address: SocketAddr, clients: usize) -> io::Result<Load> {
        let shared = Arc::new(Shared {
            address,
            is_over: AtomicBool::new(false),
            answers: AtomicUsize::new(0),
            may_fail: Mutex::default(),
        });
        let client = |number| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().stack_size(STACK).spawn(move || shared.client(number))
        };
        let threads = (0..clients as u64).map(client).collect::<io::Result<_>>()?;
        let load = Load { shared, begin: Instant::now(), threads };
        load.goes_on()?;
        Ok(load)
    }

    /// Waits for twice as many answers as there are clients.
    pub(crate) fn goes_on(&self) -> io::Result<()> {
        let answers = || self.shared.answers.load(Ordering::Relaxed);
        let before = answers();
        wait_until("clients are answered", || answers() >= before + 2 * self.threads.len())
    }

    /// From now on the clients with these ports may fail, and no others.
    pub(crate) fn may_fail(&self, ports: HashSet<u16>) {
        *self.shared.may_fail.lock().unwrap_or_else(PoisonError::into_inner) = ports;
    }

    /// Has every request answered that was asked, and ends.
    pub(crate) fn end(self) -> Seen {
        self.shared.is_over.store(true, Ordering::Release);
        let mut all = Seen::default();
        for thread in self.threads {
            match thread.join() {
                Ok(seen) => {
                    all.times.extend(seen.times);
                    all.lost += seen.lost;
                    all.failures.extend(seen.failures);
                }
                Err(_) => all.failures.push("a client has panicked".to_owned()),
            }
        }
        all.lasted = self.begin.elapsed();
        all
    }
}

impl Shared {
    /// Asks again and again, with a new connection whenever an answer says that the last one ends,
    /// and now and then.
    fn client(&self, number: u64) -> Seen {
        let mut random = fastrand::Rng::with_seed(number);
        let mut seen = Seen::default();
        let mut kept: Option<Connection> = None;
        while !self.is_over.load(Ordering::Acquire) {
            thread::sleep(Duration::from_micros(random.u64(..THINKS)));
            let begin = Instant::now();
            let connection = kept.take().map_or_else(|| Connection::open(self.address), Ok);
            let mut connection = match connection {
                Ok(connection) => connection,
                Err(error) => {
                    seen.failures.push(format!("connecting: {error}"));
                    continue;
                }
            };
            match ask(&mut connection) {
                Ok(persists) => {
                    seen.times.push(begin.elapsed().as_secs_f64() * 1000.0);
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    kept = (persists && connection.answers < REQUESTS).then_some(connection);
                }
                Err(_) if self.is_expected(&connection) => seen.lost += 1,
                Err(error) => {
                    let age = if connection.answers == 0 { "a new" } else { "an old" };
                    seen.failures.push(format!("on {age} connection: {error}"));
                }
            }
        }
        seen
    }

    fn is_expected(&self, connection: &Connection) -> bool {
        let mut may_fail = self.may_fail.lock().unwrap_or_else(PoisonError::into_inner);
        connection.stream.local_addr().is_ok_and(|address| may_fail.remove(&address.port()))
    }
}

/// One request, whose answer must be a right one. Whether the connection persists.
fn ask(connection: &mut Connection) -> io::Result<bool> {
    let head = connection.get("/word")?;
    let is_word = WORDS.iter().any(|word| connection.content == word.as_bytes());
    if head.status == 200 && is_word {
        Ok(head.persists)
    } else {
        Err(io::Error::other(format!("answered with {}", head.status)))
    }
}
