//! A daemon that has a few descriptors, and many times as many clients. What they do with it is
//! known here; that a good client is answered all the while, and what the daemon does with its
//! time, is measured.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::http::Connection;
use super::load::STACK;
use super::process::{Daemon, Process, wait_until};
use super::{three, write_table};

/// How long all clients are there.
const LASTS: Duration = Duration::from_secs(20);

/// How long they all stand still, with half a request each.
const STILL: Duration = Duration::from_secs(5);

/// The most of a processor that a daemon may take that has nothing to do.
const AT_REST: f64 = 0.1;

/// Bytes of a download.
const LARGE: usize = 1 << 20;

/// What the many clients share.
struct Crowd {
    address: SocketAddr,
    is_over: AtomicBool,
    answers: AtomicUsize,
    /// Persistent connections that were ended before the next request: there was no room.
    let_go: AtomicUsize,
    /// Requests on new connections that got no whole answer.
    failed: AtomicUsize,
}

/// What one of them does.
#[derive(Clone, Copy)]
enum Habit {
    /// Asks once, and then keeps the connection for nothing.
    Idle,
    /// Asks again and again.
    Asking,
    /// Takes a large file, slowly.
    Downloading,
}

/// How many failures there were.
pub(crate) fn shortage(clients: usize, descriptors: usize) -> io::Result<usize> {
    let folder = Folder::new();
    folder.write("www/small.txt", [b's'; 1024]);
    folder.write("www/large.bin", vec![b'l'; LARGE]);
    let config = "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"unix:./admin\"\n\
                  [log]\naccess = { to = \"./access.log\" }\n[[site]]\nroot = \"www\"\n";
    folder.write("oneloop.toml", config);
    let mut daemon = Daemon::start(&folder, &format!("ulimit -n {descriptors}"))?;
    let (address, process) = (daemon.address, daemon.process());
    for _ in 0..5 {
        Connection::open(address)?.get("/small.txt")?;
        Connection::open(address)?.get("/large.bin")?;
    }
    let before = settled(process)?;
    println!(
        "{descriptors} descriptors, {clients} clients; {before} descriptors are open at rest.\n"
    );
    write_table(&["", "answers", "p50 ms", "p99 ms", "longest ms", "failed", "processor / wall"]);
    let mut failures = good("alone", address, process, Duration::from_secs(2))?.0;
    let crowd = Arc::new(Crowd {
        address,
        is_over: AtomicBool::new(false),
        answers: AtomicUsize::new(0),
        let_go: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
    });
    let threads = crowd.gather(clients)?;
    failures += good("beside them", address, process, LASTS)?.0;
    crowd.is_over.store(true, Ordering::Release);
    // Who still waits in the line of the kernel is answered, too, or has gone.
    for thread in threads {
        let _ = thread.join();
    }
    failures += stand_still(address, process, clients)?;
    let after = settled(process)?;
    failures += good("when they have gone", address, process, Duration::from_secs(2))?.0;
    let after = after.max(settled(process)?);
    let [answers, let_go, failed] =
        [&crowd.answers, &crowd.let_go, &crowd.failed].map(|count| count.load(Ordering::Relaxed));
    println!("\nThe many had {answers} answers, {let_go} idle ones were let go, {failed} failed.");
    println!("Descriptors: {before} before, {after} after.");
    Ok(failures + failed + after.saturating_sub(before))
}

/// How many descriptors a process has when their number changes no more.
fn settled(process: Process) -> io::Result<usize> {
    let (mut last, mut since) = (process.descriptors()?, Instant::now());
    wait_until("its descriptors are at rest", || {
        let now = process.descriptors().unwrap_or(0);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_secs(1)
    })?;
    Ok(last)
}

/// A client that comes anew for each request, for a while: its failures, and the part of a
/// processor that the daemon took.
fn good(
    name: &str,
    address: SocketAddr,
    process: Process,
    lasts: Duration,
) -> io::Result<(usize, f64)> {
    let (begin, before) = (Instant::now(), process.processor_time()?);
    let (mut times, mut failed) = (Vec::new(), 0);
    while begin.elapsed() < lasts {
        let asked = Instant::now();
        match Connection::open(address).and_then(|mut client| client.get("/small.txt")) {
            Ok(head) if head.status == 200 => times.push(asked.elapsed().as_secs_f64() * 1000.0),
            Ok(_) | Err(_) => failed += 1,
        }
        thread::sleep(Duration::from_millis(5));
    }
    let took = process.processor_time()?.saturating_sub(before);
    let share = took.as_secs_f64() / begin.elapsed().as_secs_f64();
    let ([half, most, all], count) = (three(&times), times.len());
    println!("| {name} | {count} | {half:.1} | {most:.1} | {all:.1} | {failed} | {share:.2} |");
    Ok((failed, share))
}

/// All descriptors are taken, others wait for one, and nobody says a word: one who has nothing to
/// do shall do nothing. Whether it did more.
fn stand_still(address: SocketAddr, process: Process, clients: usize) -> io::Result<usize> {
    let mut all = Vec::new();
    for _ in 0..clients {
        let mut client = Connection::open(address)?;
        client.send(b"GET /small.txt HTTP/1.1\r\nHost: loc")?;
        all.push(client);
    }
    let (begin, before) = (Instant::now(), process.processor_time()?);
    thread::sleep(STILL);
    let took = process.processor_time()?.saturating_sub(before);
    let share = took.as_secs_f64() / begin.elapsed().as_secs_f64();
    let open = process.descriptors()?;
    println!("| all stand still, {open} descriptors open | | | | | | {share:.2} |");
    Ok(usize::from(share > AT_REST))
}

impl Crowd {
    fn gather(self: &Arc<Self>, clients: usize) -> io::Result<Vec<JoinHandle<()>>> {
        let client = |number: usize| {
            let habit = match number % 10 {
                0..5 => Habit::Idle,
                5..8 => Habit::Asking,
                _ => Habit::Downloading,
            };
            let crowd = Arc::clone(self);
            thread::Builder::new().stack_size(STACK).spawn(move || crowd.be(habit, number as u64))
        };
        (0..clients).map(client).collect()
    }

    /// One client, until all go.
    fn be(&self, habit: Habit, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        while !self.is_over.load(Ordering::Acquire) {
            let done = Connection::open(self.address).and_then(|mut client| match habit {
                Habit::Idle => {
                    let _ = self.ask(&mut client)?;
                    client.stream.set_read_timeout(Some(Duration::from_millis(500)))?;
                    while !self.is_over.load(Ordering::Acquire) {
                        if !is_open(&client) {
                            self.let_go.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                    }
                    Ok(())
                }
                Habit::Asking => {
                    while self.ask(&mut client)? && !self.is_over.load(Ordering::Acquire) {
                        thread::sleep(Duration::from_millis(random.u64(..200)));
                    }
                    Ok(())
                }
                Habit::Downloading => self.download(&mut client),
            });
            if done.is_err() {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(random.u64(..1000)));
        }
    }

    /// One request. Whether there was an answer: a persistent connection may have been ended.
    fn ask(&self, client: &mut Connection) -> io::Result<bool> {
        let is_new = client.answers == 0;
        match client.get("/small.txt") {
            Ok(head) if head.status == 200 => {
                self.answers.fetch_add(1, Ordering::Relaxed);
                Ok(head.persists)
            }
            Ok(head) => Err(io::Error::other(format!("answered with {}", head.status))),
            Err(error) if is_new => Err(error),
            Err(_) => {
                self.let_go.fetch_add(1, Ordering::Relaxed);
                Ok(false)
            }
        }
    }

    fn download(&self, client: &mut Connection) -> io::Result<()> {
        client.send(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let head = client.head()?;
        thread::sleep(Duration::from_millis(300));
        client.content(&head)?;
        self.answers.fetch_add(1, Ordering::Relaxed);
        if client.content.len() == LARGE { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    }
}

/// Waits for a while for the server's end of a connection.
fn is_open(client: &Connection) -> bool {
    match client.stream.peek(&mut [0]) {
        Ok(_) => false,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}
