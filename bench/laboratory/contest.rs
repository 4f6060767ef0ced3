//! Who takes part, and how large each of them is.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::answer::{self, Ask};
use super::data::{Entrant, Kind, Tried};
use super::load::Target;
use super::measure;
use super::options::{Options, Url};
use super::place::{Asked, Place};
use super::player::Player;
use super::run::Round;
use super::servers::PEERS;
use super::workloads::{self, Beside, What, Workload};
use crate::architectures::{self, Architecture};

/// Clients while a size or a rate is searched.
pub(crate) const SEARCHING: usize = 64;

/// How often each is tried.
const TRIES: usize = 3;

/// Who takes part.
pub(crate) struct Contestant {
    pub(crate) player: Player,
    pub(crate) entrant: Entrant,
    /// The most clients that it is measured with.
    most: usize,
    /// Descriptors that it has open for each.
    each: u64,
    /// What a server is asked for that somebody else has started.
    pub(crate) own: Option<Asked>,
}

/// All that are wanted and can be had.
///
/// # Errors
/// Where one cannot be started that is a part of this program.
pub(crate) fn gather(
    options: &Options,
    place: &Place,
    time: Duration,
    notes: &mut Vec<String>,
) -> io::Result<Vec<Contestant>> {
    let mut all = Vec::new();
    let wanted = |one: &&Architecture| Options::wants(&options.arch, one.name);
    for architecture in architectures::ALL.iter().filter(wanted) {
        all.push(enter(architecture, place, time)?);
    }
    for peer in PEERS.iter().filter(|peer| options.peer.iter().any(|name| name == peer.name)) {
        if peer.path().is_none() {
            notes.push(format!("{}: it is not installed.", peer.name));
            continue;
        }
        match place.start_peer(peer) {
            Ok(player) => all.push(Contestant {
                player,
                entrant: entrant(peer.name, &format!("version {}", peer.version()), Kind::Peer),
                most: usize::MAX,
                each: 1,
                own: None,
            }),
            Err(error) => notes.push(format!("{}: it does not start: {error}.", peer.name)),
        }
    }
    for (name, url) in &options.url {
        match visit(url) {
            Ok((player, own)) => all.push(Contestant {
                player,
                entrant: entrant(name, &format!("http://{}{}", url.authority, url.path), Kind::Url),
                most: usize::MAX,
                each: 1,
                own: Some(own),
            }),
            Err(error) => notes.push(format!("{name}: {error}.")),
        }
    }
    Ok(all)
}

fn entrant(name: &str, idea: &str, kind: Kind) -> Entrant {
    Entrant { name: name.to_owned(), idea: idea.to_owned(), kind, size: None, search: Vec::new() }
}

/// An architecture, with the number of threads, processes or loops that answers the most. Where two
/// come as near as tries differ, the smaller one is taken.
fn enter(architecture: &Architecture, place: &Place, time: Duration) -> io::Result<Contestant> {
    let mut entrant = entrant(architecture.name, architecture.idea, Kind::Architecture);
    let Architecture { most, each, sizes, .. } = *architecture;
    if sizes.is_empty() {
        let player = place.start(architecture, 1)?;
        return Ok(Contestant { player, entrant, most, each, own: None });
    }
    let mut best: Option<(f64, Player)> = None;
    for &size in sizes {
        let mut player = place.start(architecture, size)?;
        let rate = rate(&mut player, place, time)?;
        entrant.search.push(Tried { size, rate });
        if best.as_ref().is_none_or(|(before, _)| rate > before * NEAR) {
            entrant.size = Some(size);
            best = Some((rate, player));
        }
    }
    let (_, player) = best.ok_or_else(|| io::Error::other("there is no size to try"))?;
    Ok(Contestant { player, entrant, most, each, own: None })
}

/// What is no difference between two sizes.
const NEAR: f64 = 1.05;

/// Answers per second to one small file: the median of some tries.
///
/// # Errors
/// Where there are none.
fn rate(player: &mut Player, place: &Place, time: Duration) -> io::Result<f64> {
    let mut rates =
        (0..TRIES).map(|_| rate_once(player, place, time)).collect::<io::Result<Vec<f64>>>()?;
    rates.sort_by(f64::total_cmp);
    Ok(rates[TRIES / 2])
}

/// The same once.
///
/// # Errors
/// As before.
pub(crate) fn rate_once(player: &mut Player, place: &Place, time: Duration) -> io::Result<f64> {
    let round = Round::small(SEARCHING);
    let sample = measure::measure(player, &place.asked(&round)?, &round, time)?;
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let answers = sample.answers as f64;
    Ok(answers / sample.seconds)
}

/// A third of what one loop answers in a second, or else the first who takes part.
///
/// # Errors
/// Where nobody takes part.
pub(crate) fn third(all: &mut [Contestant], place: &Place, time: Duration) -> io::Result<f64> {
    let at = all.iter().position(|one| one.entrant.name == architectures::ONE_LOOP).unwrap_or(0);
    let nobody = || io::Error::other("there is nobody to be measured");
    let first = all.get_mut(at).ok_or_else(nobody)?;
    if first.own.is_some() {
        return Err(io::Error::other("beside a URL alone, say which --rate"));
    }
    Ok((rate(&mut first.player, place, time)? / 3.0).round())
}

/// What a server answers that somebody else has started.
fn visit(url: &Url) -> io::Result<(Player, Asked)> {
    let player = Player::at(url)?;
    let request =
        format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", url.path, url.authority).into_bytes();
    let (head, content) = answer::exchange(player.address(), &request)?;
    let ask = Ask { request, status: head.status, content: Rc::from(content) };
    let targets = vec![Target { ask, cold: None }];
    Ok((player, Asked { targets, choices: vec![0], long: vec![0] }))
}

impl Contestant {
    /// Why it is not measured under this load, if it is not.
    pub(crate) fn why_not(&self, round: &Round, place: &Place) -> Option<String> {
        let Workload { what, beside, closes, .. } = *round.workload;
        let has_slow = matches!(beside, Beside::Slow(_));
        let is_simple = what == What::File(workloads::SMALL) && !has_slow && !closes;
        match self.entrant.kind {
            Kind::Architecture if round.clients > self.most => {
                Some(format!("not with more than {} clients", self.most))
            }
            Kind::Architecture if round.clients as u64 * self.each > place.spare() => {
                Some(format!(
                    "it opens {} files for each client, and a process may open {} (ulimit -n)",
                    self.each, place.descriptors
                ))
            }
            Kind::Peer if !round.workload.is_of_files() => Some("it serves files only".to_owned()),
            Kind::Url if !is_simple => Some("it is asked for its own URL only".to_owned()),
            Kind::Architecture | Kind::Peer | Kind::Url => None,
        }
    }
}
