//! Whether every architecture answers every workload, byte by byte, and what is wrong as it should:
//! this is what `cargo test` does with the laboratory. Nothing is measured.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::clients::Clients;
use super::load::Load;
use super::measure;
use super::place::Place;
use super::player::Player;
use super::workloads::{self, Demand, What, Workload};
use crate::architectures::{self, Architecture, SERVES_ONE};

/// Threads, processes or loops, where there is something to choose.
const SIZE: usize = 4;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long clients go on at a time.
const MOMENT: Duration = Duration::from_millis(5);

/// What raw bytes get: how the answer begins, and how it ends.
const RAW: [(&str, &str, &str); 5] = [
    ("GET /100 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n", ""),
    ("HEAD /100 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n"),
    (
        "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\n",
        "",
    ),
    ("GET /100 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", ""),
    (
        "GET /10240 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-9,9000-9009\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\n",
        "--\r\n",
    ),
];

/// Bytes behind a request that is refused: more than sockets hold, so that they come when the
/// refusal has gone out.
const GOES_ON: usize = 8 << 20;

/// # Errors
/// Which architecture does what wrong.
pub(crate) fn main(words: &[String]) -> Result<(), String> {
    // As other test programs, it can be asked for its tests, or for those with a name.
    if words.iter().any(|word| word == "--list") {
        println!("architectures: test");
        return Ok(());
    }
    let is_option = |word: &&String| word.starts_with('-') || word.parse::<u32>().is_ok();
    let mut names = words.iter().filter(|word| !is_option(word));
    if !names.all(|name| "architectures".contains(&**name)) {
        println!("architectures: it is not asked for");
        return Ok(());
    }
    let place = Place::new().map_err(|error| error.to_string())?;
    for architecture in &architectures::ALL {
        check(architecture, &place).map_err(|error| format!("{}: {error}", architecture.name))?;
    }
    println!("architectures: {} answer all there is", architectures::ALL.len());
    Ok(())
}

fn check(architecture: &Architecture, place: &Place) -> io::Result<()> {
    let mut player = place.start(architecture, SIZE)?;
    for (request, begin, end) in RAW {
        let answer = exchange(player.address(), request, false)?;
        if !answer.starts_with(begin) || !answer.ends_with(end) {
            return Err(io::Error::other(format!("{request:?} gets {answer:?}")));
        }
    }
    // It is refused, and goes on talking: the refusal reaches it all the same.
    let long = format!("{}{}", RAW[3].0, "x".repeat(GOES_ON));
    let refused = exchange(player.address(), &long, false)?;
    if !refused.starts_with(RAW[3].1) {
        return Err(io::Error::other(format!("who talks on when refused gets {refused:?}")));
    }
    let half = exchange(player.address(), "GET /100 HTTP/1.1\r\nHost: a\r\n\r\n", true)?;
    if !half.starts_with("HTTP/1.1 200 OK\r\n") {
        return Err(io::Error::other(format!("who has said all it has to say gets {half:?}")));
    }
    for (at, workload) in workloads::ALL.iter().enumerate() {
        let is_cold = workload.what == What::Cold && place.files.can_be_cold()?;
        if workload.what == What::Cold && !is_cold {
            continue;
        }
        answer(&mut player, workload, at, architecture.name == SERVES_ONE, place)
            .map_err(|error| io::Error::other(format!("{}: {error}", workload.name)))?;
    }
    Ok(())
}

/// Has a few clients ask until each has some answers.
fn answer(
    player: &mut Player,
    workload: &'static Workload,
    at: usize,
    serves_one: bool,
    place: &Place,
) -> io::Result<()> {
    let most = workload.clients(&[1000]).into_iter().max().unwrap_or(workload.active);
    let demand = Demand { workload, at, clients: most, rate: None };
    let asked = place.asked(&demand)?;
    let load = measure::load(player, &asked, &demand);
    // As few of each kind as show whether they are served.
    let load = if serves_one {
        Load { active: 1, idle: 0, slow: 0, ..load }
    } else {
        Load { active: 3, idle: load.idle.min(1), slow: load.slow.min(1), ..load }
    };
    let mut clients = Clients::new(&load)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = clients.closed_loop(MOMENT)?;
        if let Some(error) = seen.first_error {
            return Err(io::Error::other(error));
        }
        if seen.unanswered == 0 && seen.shares.iter().all(|&share| share > 0) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("clients have no answer: {:?}", seen.shares)));
        }
    }
}

/// Sends `request`, and hears the answer to the end of the connection. `is_all`: the client ends
/// its own direction first.
fn exchange(address: SocketAddr, request: &str, is_all: bool) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    if is_all {
        stream.shutdown(Shutdown::Write)?;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
