//! The clients beside wrk: whether another generator sees the same.

use std::io;
use std::process::Command;
use std::time::Duration;

use super::contest;
use super::data::Check;
use super::measure;
use super::place::Place;
use super::player::Player;
use super::progress::Progress;
use super::workloads::{self, Demand};
use crate::architectures;

/// How often each of the two is tried, in turn.
const TRIES: usize = 5;

/// wrk counts whole seconds.
const SECONDS: u64 = 1;

pub(crate) fn is_installed() -> bool {
    Command::new("wrk").arg("-v").output().is_ok()
}

/// About how long [`check`] takes, in seconds.
pub(crate) fn lasts() -> f64 {
    let turn = measure::lasts(&Demand::small(contest::SEARCHING), Duration::from_secs(SECONDS));
    #[allow(clippy::cast_precision_loss, reason = "a second or two")]
    let beside = SECONDS as f64;
    std::iter::repeat_n(turn + beside, TRIES).sum()
}

/// Has both ask a thread for each connection for the same file by as many connections, and counts
/// what each gets. That server is slower than either of them, so it is not their own speed that is
/// compared.
///
/// # Errors
/// Where the server stands still.
pub(crate) fn check(
    place: &Place,
    notes: &mut Vec<String>,
    progress: &mut Progress,
) -> io::Result<Option<Check>> {
    if !is_installed() {
        notes.push("The clients were not compared with wrk, which is not installed.".into());
        return Ok(None);
    }
    let Some(threads) = architectures::ALL.iter().find(|one| one.name == architectures::THREADS)
    else {
        return Ok(None);
    };
    let mut player = place.start(threads, 1)?;
    let mut check = Check { own: Vec::new(), wrk: Vec::new() };
    for _ in 0..TRIES {
        #[allow(clippy::cast_precision_loss, reason = "a handful")]
        progress.next("beside wrk", lasts() / TRIES as f64);
        let time = Duration::from_secs(SECONDS);
        let (own, _) = contest::rate_once(&mut player, place, contest::SEARCHING, time)?;
        check.own.push(own);
        check.wrk.push(wrk(&player)?);
    }
    Ok(Some(check))
}

/// What wrk gets, on the processor of the clients, as this thread is.
fn wrk(player: &Player) -> io::Result<f64> {
    let url = format!("http://{}/{}", player.address(), workloads::SMALL);
    let (connections, time) = (contest::SEARCHING.to_string(), format!("{SECONDS}s"));
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", &connections, "-d", &time, &url]);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate = line.and_then(|rest| rest.trim().parse().ok());
    rate.ok_or_else(|| io::Error::other(format!("wrk does not say how many it got: {said}")))
}
