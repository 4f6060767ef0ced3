//! The clients beside wrk: whether another generator sees the same.

use std::io;
use std::process::Command;
use std::time::Duration;

use super::contest::{self, Contestant};
use super::data::Check;
use super::place::Place;
use super::player::Player;
use super::workloads;
use crate::architectures;

/// How often each of the two is tried, in turn.
const TRIES: usize = 3;

/// wrk counts whole seconds.
const SECONDS: u64 = 1;

/// Has both ask one loop for the same file by as many connections, and counts what each gets.
///
/// # Errors
/// Where the loop stands still.
pub(crate) fn check(
    all: &mut [Contestant],
    place: &Place,
    notes: &mut Vec<String>,
) -> io::Result<Option<Check>> {
    let one_loop = all.iter_mut().find(|one| one.entrant.name == architectures::ONE_LOOP);
    let Some(one_loop) = one_loop else {
        notes.push(
            "The clients were not compared with wrk: the architecture loop takes no part.".into(),
        );
        return Ok(None);
    };
    if Command::new("wrk").arg("-v").output().is_err() {
        notes.push("The clients were not compared with wrk, which is not installed.".into());
        return Ok(None);
    }
    let mut check = Check { own: Vec::new(), wrk: Vec::new() };
    for _ in 0..TRIES {
        let time = Duration::from_secs(SECONDS);
        let (own, _) = contest::rate_once(&mut one_loop.player, place, time)?;
        check.own.push(own);
        check.wrk.push(wrk(&one_loop.player)?);
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
