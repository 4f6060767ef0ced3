//! Many clients that ask and ask, and look at what they get. What happens to the server meanwhile
//! is not known here.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::WORDS;

/// Threads that the connections are divided among.
const THREADS: usize = 4;

/// Requests on a connection until it begins anew.
const REQUESTS: usize = 50;

/// An answer that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(10);

const REQUEST: &[u8] = b"GET /word HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What came of it.
#[derive(Default)]
pub(crate) struct Seen {
    /// Milliseconds from each request to its answer.
    pub(crate) times: Vec<f64>,
    pub(crate) failed: usize,
    pub(crate) lasted: Duration,
}

/// Clients on threads of their own.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    begin: Instant,
    threads: Vec<JoinHandle<Seen>>,
}

struct Client {
    stream: TcpStream,
    left: usize,
    asked_at: Instant,
}

impl Load {
    /// All connections are there when this returns.
    pub(crate) fn start(address: SocketAddr, connections: usize) -> io::Result<Load> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let begin = Instant::now();
        for thread in 0..THREADS {
            let count = connections / THREADS + usize::from(thread < connections % THREADS);
            // They do not all begin anew at once.
            let clients: io::Result<Vec<Client>> =
                (0..count).map(|at| Client::new(address, 1 + at % REQUESTS)).collect();
            let (clients, is_over) = (clients?, Arc::clone(&is_over));
            threads.push(thread::spawn(move || ask(address, clients, &is_over)));
        }
        Ok(Load { is_over, begin, threads })
    }

    /// Has every request answered that was asked, and ends.
    pub(crate) fn end(self) -> Seen {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for thread in self.threads {
            // One that has panicked has failed.
            let seen = thread.join().unwrap_or_else(|_| Seen { failed: 1, ..Seen::default() });
            all.times.extend(seen.times);
            all.failed += seen.failed;
        }
        all.lasted = self.begin.elapsed();
        all
    }
}

impl Client {
    fn new(address: SocketAddr, left: usize) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, left, asked_at: Instant::now() })
    }

    fn ask(&mut self) -> io::Result<()> {
        self.asked_at = Instant::now();
        self.stream.write_all(REQUEST)
    }

    /// Reads an answer, which must be a right one.
    fn hear(&mut self) -> io::Result<f64> {
        let mut answer = Vec::new();
        let mut buffer = [0; 1_000];
        while !WORDS.iter().any(|word| answer.ends_with(format!("\r\n\r\n{word}").as_bytes())) {
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&buffer[..count]),
            }
        }
        let is_right = answer.starts_with(b"HTTP/1.1 200 OK\r\n");
        self.left = self.left.saturating_sub(1);
        let took = self.asked_at.elapsed().as_secs_f64() * 1000.0;
        if is_right { Ok(took) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Asks on all connections and then hears all answers, again and again.
fn ask(address: SocketAddr, mut clients: Vec<Client>, is_over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !is_over.load(Ordering::Relaxed) {
        for client in &mut clients {
            if client.left > 0 {
                continue;
            }
            match Client::new(address, REQUESTS) {
                Ok(fresh) => *client = fresh,
                Err(_) => seen.failed += 1,
            }
        }
        // One that cannot ask cannot hear either, and counts once.
        let asked: Vec<bool> = clients.iter_mut().map(|client| client.ask().is_ok()).collect();
        for (client, asked) in clients.iter_mut().zip(asked) {
            match client.hear() {
                Ok(time) if asked => seen.times.push(time),
                Ok(_) => {}
                Err(_) => {
                    seen.failed += 1;
                    client.left = 0;
                }
            }
        }
    }
    seen
}
