//! What clients notice of upgrades: a steady load over many connections, and meanwhile new programs
//! take over, one after the other. `cargo bench --bench upgrade [-- UPGRADES [CONNECTIONS]]`.
//!
//! A request fails if there is no whole answer to it, on a connection that was not said to end.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may panic, and prints")]

#[path = "percentile.rs"]
mod percentile;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use percentile::percentile;

/// How long anything may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest that a client thinks before it asks again, in microseconds.
const THINKS: u64 = 40_000;

/// How long the load goes on before, between and after the upgrades.
const BETWEEN: Duration = Duration::from_secs(1);

const CONTENT: &str = "0123456789";

/// What all clients share.
struct Load {
    address: SocketAddr,
    is_over: AtomicBool,
    connections: AtomicU32,
}

/// What became of one client's requests.
#[derive(Default)]
struct Count {
    /// How long each answer took, in milliseconds.
    times: Vec<f64>,
    failures: Vec<String>,
}

fn main() {
    let mut numbers = std::env::args().filter_map(|word| word.parse::<usize>().ok());
    let (upgrades, clients) = (numbers.next().unwrap_or(10), numbers.next().unwrap_or(1000));
    let folder = std::env::temp_dir().join(format!("oneloop-upgrade-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut first, pid_file) = start(&folder, address);
    let load = Load { address, is_over: AtomicBool::new(false), connections: AtomicU32::new(0) };
    let (mut took, mut all) = (Vec::new(), Count::default());
    let start = Instant::now();
    thread::scope(|scope| {
        let load = &load;
        let client = |seed| {
            let builder = thread::Builder::new().stack_size(64 << 10);
            builder.spawn_scoped(scope, move || load.client(seed)).unwrap()
        };
        let clients: Vec<_> = (0..clients as u64).map(client).collect();
        for _ in 0..upgrades {
            thread::sleep(BETWEEN);
            took.push(upgrade(&pid_file));
            // It is a child of nobody else: without this it would only seem to live.
            let _ = first.try_wait();
        }
        thread::sleep(BETWEEN);
        load.is_over.store(true, Ordering::Release);
        for client in clients {
            let mut count = client.join().unwrap();
            all.times.append(&mut count.times);
            all.failures.append(&mut count.failures);
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    println!("{upgrades} upgrades under {clients} connections, {seconds:.0} s");
    println!("requests {}, failed {}", all.times.len(), all.failures.len());
    println!("connections {}", load.connections.load(Ordering::Relaxed));
    let at = |share| percentile(&all.times, share);
    println!("answers after ms: median {:.1}, p99 {:.1}, last {:.1}", at(0.5), at(0.99), at(1.0));
    println!(
        "from the signal until the new one serves, ms: median {:.0}, longest {:.0}",
        percentile(&took, 0.5),
        percentile(&took, 1.0)
    );
    for failure in all.failures.iter().take(10) {
        println!("  {failure}");
    }
    signal("TERM", &number(&pid_file));
    first.wait().unwrap();
    wait_until(|| !Path::new(&pid_file).exists());
    fs::remove_dir_all(&folder).unwrap();
    assert!(all.failures.is_empty(), "requests have failed");
}

/// Starts the server, and waits until it serves. Returns it, and the path of its pid file.
fn start(folder: &Path, address: SocketAddr) -> (std::process::Child, String) {
    let pid_file = folder.join("pid").to_str().unwrap().to_owned();
    let config = format!(
        "[server]\nlisten = \"{address}\"\npid-file = \"{pid_file}\"\n\
         [log]\naccess = {{ to = \"none\" }}\nerror = {{ level = \"warn\" }}\n\
         [[site]]\n[[site.route]]\nrespond = {{ content = \"{CONTENT}\" }}\n"
    );
    let file = folder.join("oneloop.toml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    let server = command.arg("-c").arg(&file).stdin(Stdio::null()).spawn().unwrap();
    wait_until(|| TcpStream::connect(address).is_ok());
    (server, pid_file)
}

/// Has the program that serves replaced. Returns how long that took, in milliseconds.
fn upgrade(pid_file: &str) -> f64 {
    let (before, start) = (number(pid_file), Instant::now());
    signal("USR2", &before);
    wait_until(|| {
        let now = number(pid_file);
        !now.is_empty() && now != before
    });
    start.elapsed().as_secs_f64() * 1000.0
}

fn number(pid_file: &str) -> String {
    fs::read_to_string(pid_file).unwrap_or_default().trim().to_owned()
}

fn signal(name: &str, process: &str) {
    assert!(Command::new("kill").args(["-s", name, process]).status().unwrap().success());
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came to this");
        thread::sleep(Duration::from_millis(1));
    }
}

impl Load {
    /// Asks again and again, with a new connection whenever an answer says that the last one ends.
    fn client(&self, seed: u64) -> Count {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut count = Count::default();
        let mut stream: Option<TcpStream> = None;
        while !self.is_over.load(Ordering::Acquire) {
            thread::sleep(Duration::from_micros(random.u64(..THINKS)));
            let start = Instant::now();
            let asked = match stream.take() {
                Some(stream) => Ok(stream),
                None => self.connect(),
            };
            match asked.and_then(ask) {
                Ok(kept) => {
                    stream = kept;
                    count.times.push(start.elapsed().as_secs_f64() * 1000.0);
                }
                Err(error) => count.failures.push(error.to_string()),
            }
        }
        count
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }
}

/// One request. Returns the connection if it persists.
fn ask(mut stream: TcpStream) -> io::Result<Option<TcpStream>> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let (mut buffer, mut end) = ([0; 1024], 0);
    loop {
        match stream.read(&mut buffer[end..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => end += count,
        }
        let answer = String::from_utf8_lossy(&buffer[..end]);
        if !answer.starts_with(&"HTTP/1.1 200 OK\r\n"[..end.min(17)]) {
            return Err(io::Error::other(answer.into_owned()));
        }
        if answer.ends_with(&format!("\r\n\r\n{CONTENT}")) {
            let ends = answer.contains("\r\nConnection: close\r\n");
            return Ok((!ends).then_some(stream));
        }
    }
}
