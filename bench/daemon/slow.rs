//! A good client beside slowhttptest, which takes connections and is slow on them, in its four
//! modes.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::http::Connection;
use super::process::Daemon;
use super::{three, write_table};

/// The good client's p99 beside an attack is to be at most so many times the quiet one's.
const GOAL: f64 = 2.0;

/// The time between two requests of the good client.
const PACE: Duration = Duration::from_millis(2);

/// How long it is quiet before and after each mode.
const QUIET: Duration = Duration::from_secs(5);

/// Of the file that is asked for slowly.
const LARGE: usize = 1 << 20;

const ACCEPTED: &str = "oneloop_connections_accepted_total ";

const MODES: [(&str, &[&str]); 4] = [
    ("slow head (-H)", &["-H", "-i", "2", "-x", "24"]),
    ("slow content (-B)", &["-B", "-i", "2", "-x", "10", "-s", "8192"]),
    ("slow reading (-X)", &["-X", "-n", "2", "-z", "32", "-w", "512", "-y", "1024", "-k", "3"]),
    ("ranges (-R)", &["-R", "-a", "10", "-b", "3000", "-t", "GET"]),
];

/// How many modes the good client has noticed too much of.
pub(crate) fn slow(connections: usize, seconds: usize) -> io::Result<usize> {
    let folder = Folder::new();
    folder.write("www/small.txt", [b's'; 1024]);
    folder.write("www/large.bin", vec![b'l'; LARGE]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateways/programs/cgi/hello.sh");
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"unix:./admin\"\n\
         [log]\naccess = {{ to = \"./access.log\" }}\n[[site]]\nroot = \"www\"\n\
         [[site.route]]\npath = \"/form\"\ncgi = {{ program = \"{script}\" }}\n"
    );
    folder.write("oneloop.toml", config);
    let daemon = Daemon::start(&folder, "")?;
    println!("slowhttptest with {connections} connections, {seconds} s for each mode\n");
    write_table(&[
        "mode",
        "attackers at once",
        "in all",
        "p50 ms",
        "p99 ms",
        "quiet p50",
        "quiet p99",
        "× p50",
        "× p99",
        "failed",
    ]);
    let (mut failures, mut too_slow) = (0, 0);
    let mut before = Good::during(daemon.address, QUIET);
    for (name, options) in MODES {
        let accepted = sum(&daemon, ACCEPTED)?;
        let Some(mut attack) = attack(daemon.address, options, connections, seconds)? else {
            println!("\nslowhttptest is not installed: all modes are left out.");
            return Ok(0);
        };
        // Its connections come at a rate; they are all there after two seconds.
        thread::sleep(Duration::from_secs(2));
        let reached = sum(&daemon, "oneloop_connections{")?;
        let during = Good::during(daemon.address, Duration::from_secs(seconds as u64 - 3));
        let reached = reached.max(sum(&daemon, "oneloop_connections{")?);
        let in_all = (sum(&daemon, ACCEPTED)? - accepted).saturating_sub(during.opened);
        attack.kill()?;
        attack.wait()?;
        thread::sleep(Duration::from_secs(1));
        let after = Good::during(daemon.address, QUIET);
        let quiet = before.times.iter().chain(&after.times).copied().collect::<Vec<f64>>();
        let ([half, most, _], [quiet_half, quiet_most, _]) = (three(&during.times), three(&quiet));
        let (by_half, by_most) = (half / quiet_half, most / quiet_most);
        let failed = during.failed + after.failed;
        println!(
            "| {name} | {reached} | {in_all} | {half:.2} | {most:.2} | {quiet_half:.2} \
             | {quiet_most:.2} | {by_half:.2} | {by_most:.2} | {failed} |"
        );
        failures += failed;
        too_slow += usize::from(by_most > GOAL);
        before = after;
    }
    println!("\nModes in which p99 is more than {GOAL} times the quiet one: {too_slow}.");
    Ok(failures + too_slow)
}

/// Begins an attack; nothing if there is nobody who could.
fn attack(
    address: SocketAddr,
    options: &[&str],
    connections: usize,
    seconds: usize,
) -> io::Result<Option<Child>> {
    let path = if options.contains(&"-B") { "form" } else { "large.bin" };
    // Those that ask for ranges are soon done, so they come one after the other.
    let is_quick = options.contains(&"-R");
    let (connections, rate) =
        if is_quick { (connections * seconds, connections) } else { (connections, connections) };
    let [connections, rate, seconds] =
        [connections, rate, seconds + 60].map(|number| number.to_string());
    let started = Command::new("slowhttptest")
        .args(options)
        .args(["-c", &connections, "-r", &rate, "-l", &seconds, "-p", "5", "-v", "0"])
        .args(["-u", &format!("http://{address}/{path}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(child) => Ok(Some(child)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The sum of what the daemon counts under names that begin so.
fn sum(daemon: &Daemon, name: &str) -> io::Result<u64> {
    let text = daemon.admin("/metrics")?;
    let samples = text.lines().filter(|line| line.starts_with(name));
    Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

/// What a client sees that asks at a steady pace, in turn on a persistent connection and on a new
/// one.
#[derive(Default)]
struct Good {
    times: Vec<f64>,
    failed: usize,
    /// Connections.
    opened: u64,
}

impl Good {
    fn during(address: SocketAddr, lasts: Duration) -> Good {
        let (begin, mut good) = (Instant::now(), Good::default());
        let mut kept = None;
        for number in 0.. {
            let due = begin + PACE * number;
            if due > begin + lasts {
                break;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let asked = Instant::now();
            let mut other = None;
            let slot = if number % 2 == 0 { &mut kept } else { &mut other };
            good.opened += u64::from(slot.is_none());
            let client = slot.take().map_or_else(|| Connection::open(address), Ok);
            let answer = client.and_then(|mut client| Ok((client.get("/small.txt")?, client)));
            match answer {
                Ok((head, client)) if head.status == 200 => {
                    good.times.push(asked.elapsed().as_secs_f64() * 1000.0);
                    *slot = head.persists.then_some(client);
                }
                Ok(_) | Err(_) => good.failed += 1,
            }
        }
        good
    }
}
