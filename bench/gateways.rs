//! What programs cost everybody else: `cargo bench --bench gateways [-- ROUNDS] [first]`.
//!
//! While 200 slow scripts run and one writes a GiB to a slow reader, a static request should be
//! answered as fast as without them, and memory should stay flat. Both are measured in turns, on
//! one server; it prints what it sees, and judges nothing.
//!
//! The server has a processor of its own; the clients, the reader and the scripts share the others.
//! On a machine with few of them they are in each other's way all the same, whoever has started
//! them. So there is a third measurement: the same work is done meanwhile, but not by this server.
//! What lies between that and the second is what the server itself makes of it.
//!
//! Requests are due at a steady pace. One that could not be sent in time, because the answer before
//! it was late, counts from when it was due; one for which only the client woke up late does not.
//!
//! With `first`, the loop and the client take precedence over everything else on the machine, by
//! chrt(1) and as root. What is left then is what the loop itself makes a request wait for.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]
#![allow(clippy::unwrap_used, reason = "a measurement may fail by panicking")]

#[path = "../tests/support/client.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod client;
#[path = "../tests/support/folder.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod folder;
mod percentile;
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

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use client::Client;
use folder::Folder;
use percentile::percentile;
use running::Daemon;

/// Slow scripts at once.
const SCRIPTS: usize = 200;

/// What the large script writes, and how fast its reader takes it.
const LARGE: u64 = 1 << 30;
const BYTES_PER_SECOND: f64 = 96e6;

/// How often each is measured, if nothing is said, and for how long without scripts: about as long
/// as the reader takes.
const ROUNDS: usize = 5;
const ALONE: Duration = Duration::from_secs(11);

/// The time between two static requests.
const PACE: Duration = Duration::from_millis(1);
const PER_SECOND: usize = 1000;

/// The time between two looks at the server's memory.
const LOOK: Duration = Duration::from_millis(250);

/// What happens while static requests are answered.
const PHASES: [&str; 3] = ["alone", "the same work elsewhere", "beside 200 scripts and 1 GiB"];

fn main() {
    let said: Vec<String> = std::env::args().skip(1).collect();
    let rounds = said.iter().find_map(|word| word.parse().ok()).unwrap_or(ROUNDS);
    let folder = Folder::new();
    folder.write("www/file.txt", vec![b'x'; 1024]);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateways/programs/cgi");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = {{ to = \"none\" }}\n\
         [limits]\npersistent = {{ requests = 1000000000 }}\n\
         [[site]]\nroot = \"www\"\n[[site.route]]\npath = \"/cgi/*\"\n\
         cgi = {{ root = '{}', processes = 300, output = \"2GiB\" }}\n",
        scripts.display()
    );
    let places = Places::find();
    let daemon = Daemon::configured(&folder.write("oneloop.toml", text), "");
    places.part(&daemon);
    if said.iter().any(|word| word == "first") {
        prefer(daemon.child.id());
        prefer(std::process::id());
    }
    let mut client = daemon.connect();
    measure(&mut client, &daemon, |started| started.elapsed() > Duration::from_secs(1));
    println!(
        "{:<30}{:>7}{:>9}{:>10}{:>9}{:>9}  RSS, KiB",
        "µs", "number", "p50", "usual p99", "p99", "p99.9"
    );
    let mut p99 = PHASES.map(|_| Vec::new());
    for round in 0..rounds {
        for turn in 0..PHASES.len() {
            // Each stands at each place as often.
            let phase = (round + turn) % PHASES.len();
            let seen = go_through(phase, &mut client, &daemon, &places, &scripts);
            show(PHASES[phase], &seen);
            p99[phase].push(usual_p99(&seen.times));
        }
    }
    for (name, p99) in PHASES.into_iter().zip(&p99) {
        println!("{name}: p99 of the usual second {}", spread(p99, 0));
    }
    let [alone, elsewhere, beside] = p99;
    let over = |below: &[f64]| -> Vec<f64> {
        beside.iter().zip(below).map(|(above, below)| above / below).collect()
    };
    println!("p99 beside the scripts is {} times that without them,", spread(&over(&alone), 2));
    println!("and {} times that with the same work elsewhere", spread(&over(&elsewhere), 2));
}

/// Gives the first thread of a process precedence, and nothing that it starts from now on.
fn prefer(pid: u32) {
    let mut command = Command::new("chrt");
    command.args(["--reset-on-fork", "--rr", "--pid", "20", &pid.to_string()]);
    assert!(command.status().unwrap().success(), "it takes root, and chrt(1)");
}

/// The processors of the server, and of everybody else.
struct Places {
    server: CpuSet,
    others: CpuSet,
}

impl Places {
    fn find() -> Places {
        let all = sched_getaffinity(None).unwrap();
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        let (mut server, mut others) = (CpuSet::new(), CpuSet::new());
        server.set(cores.next().unwrap());
        cores.for_each(|core| others.set(core));
        if others.count() == 0 {
            others = server;
        }
        Places { server, others }
    }

    /// Has the server work in one place, and this program and whatever it starts in the others.
    fn part(&self, daemon: &Daemon) {
        sched_setaffinity(Some(Pid::from_child(&daemon.child)), &self.server).unwrap();
        sched_setaffinity(None, &self.others).unwrap();
    }

    /// Has the scripts of the server work where it does not.
    fn part_scripts(&self, daemon: &Daemon) {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap();
        for task in tasks {
            let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap();
            for pid in children.split_whitespace().map(|pid| pid.parse().unwrap()) {
                sched_setaffinity(Pid::from_raw(pid), &self.others).unwrap();
            }
        }
    }
}

/// What was seen in one phase.
struct Seen {
    /// How long each answer took, in microseconds.
    times: Vec<f64>,
    /// The server's resident memory, in KiB, from time to time.
    resident: Vec<u64>,
}

fn go_through(
    phase: usize,
    client: &mut Client,
    daemon: &Daemon,
    places: &Places,
    scripts: &Path,
) -> Seen {
    match phase {
        0 => measure(client, daemon, |started| started.elapsed() > ALONE),
        1 => {
            let others = Elsewhere::start(scripts, places.server);
            let seen = measure(client, daemon, |_| others.reader.is_finished());
            others.end();
            seen
        }
        _ => {
            let slow = start_scripts(daemon);
            let reader = start_reader(daemon);
            places.part_scripts(daemon);
            let seen = measure(client, daemon, |_| reader.is_finished());
            reader.join().unwrap();
            drop(slow);
            seen
        }
    }
}

/// Static requests at a steady pace until `is_over`.
fn measure(client: &mut Client, daemon: &Daemon, is_over: impl Fn(Instant) -> bool) -> Seen {
    let started = Instant::now();
    let (mut due, mut look_at, mut answered) = (started, started, started);
    let mut seen = Seen { times: Vec::new(), resident: Vec::new() };
    while !is_over(started) {
        let now = Instant::now();
        if now >= look_at && now < due {
            seen.resident.push(resident(daemon));
            look_at = now + LOOK;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let begun = if answered > due { due } else { Instant::now() };
        assert_eq!(client.get("/file.txt").content.len(), 1024);
        answered = Instant::now();
        seen.times.push((answered - begun).as_secs_f64() * 1e6);
        due = due.max(begun) + PACE;
    }
    seen
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
    fn start(scripts: &Path, copying: CpuSet) -> Elsewhere {
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
            sched_setaffinity(None, &copying).unwrap();
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

/// The p99 of each second, in the median: a neighbour who is in the way for some of them does not
/// change it.
fn usual_p99(times: &[f64]) -> f64 {
    let seconds: Vec<f64> =
        times.chunks(PER_SECOND).map(|second| percentile(second, 0.99)).collect();
    percentile(&seconds, 0.5)
}

/// The median of `values`, and the least and the greatest of them.
fn spread(values: &[f64], digits: usize) -> String {
    let [least, median, greatest] = [0.0, 0.5, 1.0].map(|share| percentile(values, share));
    format!("{median:.digits$} ({least:.digits$} to {greatest:.digits$})")
}

fn show(what: &str, seen: &Seen) {
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile(&seen.times, share));
    let (number, usual) = (seen.times.len(), usual_p99(&seen.times));
    let [least, greatest] = [seen.resident.iter().min(), seen.resident.iter().max()];
    print!("{what:<30}{number:>7}{p50:>9.0}{usual:>10.0}{p99:>9.0}{p999:>9.0}  ");
    println!(
        "{} to {}, {} at the end",
        least.unwrap(),
        greatest.unwrap(),
        seen.resident.last().unwrap()
    );
}
