//! What programs cost everybody else: `cargo bench --bench gateways`.
//!
//! While 200 slow scripts run and one writes a GiB to a slow reader, a static request should be
//! answered as fast as without them, and memory should stay flat. Both are measured in turns, on
//! one server; it prints what it sees, and judges nothing.
//!
//! On a machine with few processors, the scripts and the reader are in everybody's way, whoever has
//! started them. So there is a third measurement: the same work is done meanwhile, but not by this
//! server. What lies between that and the second is what the server itself makes of it.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]
#![allow(clippy::unwrap_used, reason = "a measurement may fail by panicking")]

#[path = "../tests/support/client.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod client;
#[path = "../tests/support/folder.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod folder;
#[path = "../tests/support/running.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod running;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use client::Client;
use folder::Folder;
use running::Daemon;

/// Slow scripts at once.
const SCRIPTS: usize = 200;

/// What the large script writes, and how fast its reader takes it.
const LARGE: u64 = 1 << 30;
const BYTES_PER_SECOND: f64 = 96e6;

/// How often each is measured, and for how long without scripts.
const ROUNDS: usize = 3;
const ALONE: Duration = Duration::from_secs(8);

/// The time between two static requests.
const PACE: Duration = Duration::from_millis(1);

fn main() {
    let folder = Folder::new();
    folder.write("www/file.txt", vec![b'x'; 1024]);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateways/programs/cgi");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = {{ to = \"none\" }}\n\
         [limits]\npersistent = {{ requests = 1000000 }}\n\
         [[site]]\nroot = \"www\"\n[[site.route]]\npath = \"/cgi/*\"\n\
         cgi = {{ root = '{}', processes = 300, output = \"2GiB\" }}\n",
        scripts.display()
    );
    let daemon = Daemon::configured(&folder.write("oneloop.toml", text), "");
    let mut client = daemon.connect();
    measure(&mut client, |started| started.elapsed() > Duration::from_secs(1));
    println!("{:<28}{:>9}{:>9}{:>9}{:>11}", "µs", "p50", "p99", "p99.9", "RSS, KiB");
    let (mut alone, mut elsewhere, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let times = measure(&mut client, |started| started.elapsed() > ALONE);
        show("alone", &times, resident(&daemon));
        alone.extend(times);
        let others = Elsewhere::start(&scripts);
        let times = measure(&mut client, |_| others.reader.is_finished());
        show("the same work elsewhere", &times, resident(&daemon));
        elsewhere.extend(times);
        others.end();
        let slow = start_scripts(&daemon);
        let reader = start_reader(&daemon);
        let mut peak = 0;
        let mut count = 0_u32;
        let times = measure(&mut client, |_| {
            count += 1;
            if count.is_multiple_of(100) {
                peak = peak.max(resident(&daemon));
            }
            reader.is_finished()
        });
        reader.join().unwrap();
        show("beside 200 scripts and 1 GiB", &times, peak);
        beside.extend(times);
        drop(slow);
    }
    show("alone, all rounds", &alone, resident(&daemon));
    show("elsewhere, all rounds", &elsewhere, resident(&daemon));
    show("beside, all rounds", &beside, resident(&daemon));
    let [alone, elsewhere, beside] =
        [alone, elsewhere, beside].map(|times| percentile(&times, 0.99));
    println!(
        "p99 beside the scripts is {:.2} times that without them,\n\
         and {:.2} times that with the same work elsewhere",
        beside / alone,
        beside / elsewhere
    );
}

/// Static requests at a steady pace until `is_over`; how long each took, in microseconds, sorted.
fn measure(client: &mut Client, mut is_over: impl FnMut(Instant) -> bool) -> Vec<f64> {
    let started = Instant::now();
    let mut times = Vec::new();
    while !is_over(started) {
        let begun = Instant::now();
        assert_eq!(client.get("/file.txt").content.len(), 1024);
        let took = begun.elapsed();
        times.push(took.as_secs_f64() * 1e6);
        thread::sleep(PACE.saturating_sub(took));
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Clients of slow scripts, each of which has begun to answer.
fn start_scripts(daemon: &Daemon) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..SCRIPTS).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.send("GET /cgi/slow.sh HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.begin().status, 200);
    }
    clients
}

/// What the server does beside static requests, done without it: the same scripts, and a thread
/// that copies what the large one writes to a socket.
struct Elsewhere {
    slow: Vec<Child>,
    large: Child,
    copier: JoinHandle<()>,
    reader: JoinHandle<()>,
}

impl Elsewhere {
    fn start(scripts: &Path) -> Elsewhere {
        let start = |name: &str, stdout: Stdio| {
            let mut command = Command::new(scripts.join(name));
            command.stdin(Stdio::null()).stdout(stdout).spawn().unwrap()
        };
        let slow = (0..SCRIPTS).map(|_| start("slow.sh", Stdio::null())).collect();
        let mut large = start("gibibyte.sh", Stdio::piped());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let reader = read_slowly(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (mut socket, _) = listener.accept().unwrap();
        let mut output = large.stdout.take().unwrap();
        let copier = thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let count @ 1.. = output.read(&mut buffer).unwrap() {
                socket.write_all(&buffer[..count]).unwrap();
            }
        });
        Elsewhere { slow, large, copier, reader }
    }

    fn end(mut self) {
        self.copier.join().unwrap();
        self.reader.join().unwrap();
        self.large.wait().unwrap();
        for script in &mut self.slow {
            script.kill().unwrap();
            script.wait().unwrap();
        }
    }
}

/// A thread that reads what the large script writes, slowly, to its end.
fn start_reader(daemon: &Daemon) -> JoinHandle<()> {
    let mut client = daemon.connect();
    client.send("GET /cgi/gibibyte.sh HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.begin().status, 200);
    read_slowly(client.stream)
}

fn read_slowly(mut stream: TcpStream) -> JoinHandle<()> {
    thread::spawn(move || {
        let started = Instant::now();
        let mut buffer = vec![0; 256 << 10];
        let mut read = 0_u64;
        loop {
            let count = stream.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            read += count as u64;
            #[allow(clippy::cast_precision_loss, reason = "far fewer bytes than 2^52")]
            let due = Duration::from_secs_f64(read as f64 / BYTES_PER_SECOND);
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
        assert!(read > LARGE - (64 << 10), "cut after {read} bytes");
    })
}

/// The server's resident memory, in KiB.
fn resident(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The value below which the part `share` of all lies; `times` are sorted round by round only.
fn percentile(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index below the length"
    )]
    let at = (sorted.len() as f64 * share) as usize;
    sorted[at.min(sorted.len() - 1)]
}

fn show(what: &str, times: &[f64], resident: u64) {
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile(times, share));
    println!("{what:<28}{p50:>9.0}{p99:>9.0}{p999:>9.0}{resident:>11}");
}
