//! Results that nobody has measured, as they might be: with curves that fall off, draws, failures
//! and figures that are not known. Names and figures are made up.

use fastrand::Rng;

use super::report::data::{
    Cell, Check, Entrant, Kind, Latency, Results, Sample, Tried, Workload, tells,
};

/// Name, idea, kind, size, answers per second, how steeply it falls with more clients, µs of
/// processor time, switches, KiB per connection.
type Made = (&'static str, &'static str, Kind, Option<usize>, f64, f64, f64, f64, f64);

const MADE: [Made; 13] = [
    (
        "iterative",
        "One client at a time: whoever comes second waits until the first has gone.",
        Kind::Architecture,
        None,
        31e3,
        0.9,
        9.0,
        1.0,
        0.2,
    ),
    (
        "process-per-connection",
        "A new process for each client, as inetd does it.",
        Kind::Architecture,
        None,
        18e3,
        0.5,
        30.0,
        1.9,
        410.0,
    ),
    (
        "preforked",
        "Processes that are there before the clients; each has one client at a time.",
        Kind::Architecture,
        Some(64),
        33e3,
        0.2,
        17.0,
        1.4,
        60.0,
    ),
    (
        "thread-per-connection",
        "A thread for each client.",
        Kind::Architecture,
        None,
        41e3,
        0.25,
        16.0,
        1.2,
        38.0,
    ),
    (
        "thread-pool",
        "Some threads, and a bounded queue before them.",
        Kind::Architecture,
        Some(32),
        39e3,
        0.12,
        17.0,
        1.3,
        9.0,
    ),
    (
        "staged",
        "Accept, parse, answer and send each have a queue and a thread (SEDA in small).",
        Kind::Architecture,
        Some(4),
        27e3,
        0.1,
        28.0,
        2.7,
        4.2,
    ),
    (
        "oneloop",
        "One thread waits for all clients at once (SPED).",
        Kind::Architecture,
        None,
        61e3,
        0.06,
        10.0,
        0.08,
        0.9,
    ),
    (
        "loop-with-helpers",
        "One loop, and helpers that read ahead what is not in memory (AMPED).",
        Kind::Architecture,
        Some(2),
        60.4e3,
        0.06,
        10.2,
        0.1,
        1.0,
    ),
    (
        "loops",
        "As many loops as processors (SYMPED).",
        Kind::Architecture,
        Some(2),
        74e3,
        0.09,
        10.8,
        0.12,
        1.1,
    ),
    ("nginx", "Version 1.26, two workers.", Kind::Peer, None, 58e3, 0.08, 11.3, 0.1, 1.4),
    ("lighttpd", "Version 1.4, one process.", Kind::Peer, None, 47e3, 0.1, 14.1, 0.07, 2.1),
    ("apache", "Version 2.4, event.", Kind::Peer, None, 29e3, 0.22, 30.0, 1.6, 14.0),
    ("<mine> & \"yours\"", "Somebody else's.", Kind::Url, None, 22e3, 0.1, 0.0, 0.0, 0.0),
];

/// Name, what it is, clients, rate, and how much slower it is than a small file.
type Asked = (&'static str, &'static str, &'static [usize], Option<f64>, f64);

const ASKED: [Asked; 14] = [
    ("small", "one small file, again and again", &[1, 10, 100, 1_000, 10_000], None, 1.0),
    ("paced", "one small file at a fixed rate", &[64], Some(20e3), 1.0),
    ("file-100", "a file of 100 B", &[100], None, 0.98),
    ("file-1k", "a file of 1 KiB", &[100], None, 1.0),
    ("file-100k", "a file of 100 KiB", &[100], None, 4.0),
    ("file-10m", "a file of 10 MiB", &[100], None, 260.0),
    ("docs", "a site with documentation, at random", &[100], None, 1.4),
    ("pipelined", "16 requests at a time", &[64], None, 0.3),
    ("close", "a new connection for each request", &[100], None, 4.5),
    ("idle", "64 clients ask, all others wait", &[74, 164, 1_064, 10_064], None, 1.05),
    ("slow", "a WAN: delays and small windows", &[200], None, 40.0),
    ("cold", "files that are not in memory", &[64], None, 12.0),
    ("cgi", "a CGI program", &[16], None, 90.0),
    ("compute", "a handler that computes for 1 ms", &[64], None, 30.0),
];

/// All of it, the same for the same seed.
pub(crate) fn results(rounds: usize, seed: u64) -> Results {
    let mut rng = Rng::with_seed(seed);
    let mut cells = Vec::new();
    for (workload, asked) in ASKED.iter().enumerate() {
        for clients in asked.2 {
            for (entrant, made) in MADE.iter().enumerate() {
                cells.push(cell((entrant, made), (workload, asked), *clients, rounds, &mut rng));
            }
        }
    }
    Results {
        machine: "2026-11-26, 2 × made-up processor at 3.1 GHz, Linux 6.12".into(),
        command: "cargo bench --bench architectures -- --peer nginx,lighttpd,apache".into(),
        version: "0.1.0".into(),
        rounds,
        seconds: 0.5,
        entrants: MADE.iter().map(entrant).collect(),
        workloads: ASKED
            .iter()
            .map(|(name, says, ..)| Workload { name: (*name).into(), says: (*says).into() })
            .collect(),
        cells,
        check: Some(Check { own: vec![61e3, 62e3, 60e3], wrk: vec![59e3, 61e3, 60e3] }),
        notes: vec![
            "wrk is not installed <here>.".into(),
            "The cold disk was left out: the limit of the page cache needs cgroup v2.".into(),
        ],
    }
}

fn entrant(made: &Made) -> Entrant {
    let (name, idea, kind, size, rate, ..) = *made;
    let tried = |tried: usize| {
        let off = (count(tried) / count(size.unwrap_or(1))).ln().abs();
        let unanswered = if size == Some(32) { 1_000 - tried.min(1_000) as u64 } else { 0 };
        let rate = (rate / (1.0 + 0.3 * off)).round();
        Tried { size: tried, rate, clients: 1_000, unanswered }
    };
    let search = match size {
        Some(2) => [1, 2, 4].map(tried).to_vec(),
        Some(_) => [1, 2, 4, 8, 16, 32, 64, 128, 256].map(tried).to_vec(),
        None => Vec::new(),
    };
    Entrant { name: name.into(), idea: idea.into(), kind, size, search }
}

fn cell(
    (entrant, made): (usize, &Made),
    (workload, asked): (usize, &Asked),
    clients: usize,
    rounds: usize,
    rng: &mut Rng,
) -> Cell {
    let failure = match (made.0, asked.0, clients) {
        ("process-per-connection", "small" | "idle", 10_000..) => {
            Some("no more processes: Resource temporarily unavailable (os error 11)")
        }
        ("thread-per-connection", "idle", 10_000..) => Some("no more threads."),
        ("nginx" | "<mine> & \"yours\"", "compute", _) => Some("it has no handler in Rust"),
        (_, _, _) => None,
    };
    let count = if failure.is_some() { 0 } else { rounds };
    let samples = (0..count).map(|_| sample(made, asked, clients, rng)).collect();
    Cell { entrant, workload, clients, rate: asked.3, samples, failure: failure.map(str::to_owned) }
}

fn sample(made: &Made, asked: &Asked, clients: usize, rng: &mut Rng) -> Sample {
    let (_, _, kind, _, rate, steep, cpu, switches, kib) = *made;
    let noise = 0.94 + 0.12 * rng.f64();
    let many = count(clients);
    let alone = 1.0 / (1.0 + 3.0 / many);
    let able = rate * noise * alone * (1.0 - steep * (many.ln() / 10.0).powi(2)) / asked.4;
    let answered = asked.3.map_or(able, |due| able.min(due)).max(0.0);
    let is_known = kind != Kind::Url;
    // Who has one client at a time leaves all others waiting.
    let is_one = made.0 == "iterative" && asked.3.is_none();
    let maybe = |value: f64| is_known.then_some(value * noise);
    let p50 = match asked.3 {
        Some(_) => 90.0 / noise,
        None if is_one => 1e6 / able.max(1.0),
        None => many / able.max(1.0) * 1e6,
    };
    let answers = whole(answered * 0.5);
    let latency = latency(answers, p50, 1.3 + 6.0 * steep * (1.0 + many.ln()), noise);
    Sample {
        seconds: 0.5,
        answers,
        errors: 0,
        clients_busy: 0.9,
        unanswered: match asked.3 {
            Some(due) => whole((due - able).max(0.0) * 0.5),
            None if is_one => whole(many) - 1,
            None => 0,
        },
        latency,
        fairness: if is_one { 1.0 / many } else { 1.0 / (1.0 + steep * steep * many.ln()) },
        time: maybe(cpu * asked.4.sqrt()),
        user: maybe(cpu * 0.35 * asked.4.sqrt()),
        system: maybe(cpu * 0.65 * asked.4.sqrt()),
        voluntary: maybe(switches),
        involuntary: maybe(0.03 * switches + 0.001),
        served: Some(clients),
        memory: is_known.then(|| 3_000 + whole(kib * many * noise)),
        memory_at_rest: is_known.then_some(3_000),
        processes: is_known.then_some(1),
        threads: is_known.then_some(if kib > 30.0 { clients } else { 1 }),
    }
}

/// As if `tail` were how many times as long each further 9 takes.
fn latency(answers: u64, p50: f64, tail: f64, noise: f64) -> Latency {
    let at = |nines: f64| p50 * tail.powf(nines * noise);
    let told = |share: f64, value: f64| tells(answers, share).then_some(value);
    let distribution = (1..60).map(|step| f64::from(step) * 0.08);
    Latency {
        p50: told(0.5, p50),
        p90: told(0.9, at(1.0)),
        p99: told(0.99, at(2.0)),
        p999: told(0.999, at(3.0)),
        most: at(4.5),
        distribution: distribution
            .map(|nines| (1.0 - 10f64.powf(-nines), p50 * tail.powf((nines - 0.3) * noise)))
            .collect(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn count(number: usize) -> f64 {
    number as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, and above 0")]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}
