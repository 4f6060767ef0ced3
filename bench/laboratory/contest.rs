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
use super::servers::{PEERS, Peer};
use super::workloads::{self, Beside, Demand, What, Workload};
use crate::architectures::{self, Architecture};

/// Clients while a size or a rate is searched.
pub(crate) const SEARCHING: usize = 64;

/// How often each is tried.
const TRIES: usize = 3;

/// Who takes part.
pub(crate) struct Contestant {
    pub(crate) player: Player,
    pub(crate) entrant: Entrant,
    origin: Origin,
    /// What a server is asked for that somebody else has started.
    pub(crate) own: Option<Asked>,
}

/// Where it comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// An architecture, and its size.
    Architecture(&'static Architecture, usize),
    Peer(&'static Peer),
    Url,
}

const ARCHITECTURES: &[Architecture] = &architectures::ALL;
const INSTALLED: &[Peer] = &PEERS;

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
    let is_wanted = |one: &&Architecture| Options::wants(&options.arch, one.name);
    for architecture in ARCHITECTURES.iter().filter(is_wanted) {
        all.push(enter(architecture, place, time)?);
    }
    for peer in INSTALLED.iter().filter(|peer| options.peer.iter().any(|name| name == peer.name)) {
        if peer.path().is_none() {
            notes.push(format!("{}: it is not installed.", peer.name));
            continue;
        }
        match place.start_peer(peer) {
            Ok(player) => {
                let idea = format!("version {}", peer.version());
                let entrant = entrant(peer.name, &idea, Kind::Peer);
                all.push(Contestant { player, entrant, origin: Origin::Peer(peer), own: None });
            }
            Err(error) => notes.push(format!("{}: it does not start: {error}.", peer.name)),
        }
    }
    for (name, url) in &options.url {
        match visit(url) {
            Ok((player, own)) => {
                let idea = format!("http://{}{}", url.authority, url.path);
                let entrant = entrant(name, &idea, Kind::Url);
                all.push(Contestant { player, entrant, origin: Origin::Url, own: Some(own) });
            }
            Err(error) => notes.push(format!("{name}: {error}.")),
        }
    }
    Ok(all)
}

fn entrant(name: &str, idea: &str, kind: Kind) -> Entrant {
    Entrant { name: name.to_owned(), idea: idea.to_owned(), kind, size: None, search: Vec::new() }
}

/// An architecture, with the number of threads, processes or loops that answers the most. Where two
/// come as near as tries differ, the smaller one is taken. A number at which some clients are left
/// without an answer is taken only where it is so at all of them.
fn enter(
    architecture: &'static Architecture,
    place: &Place,
    time: Duration,
) -> io::Result<Contestant> {
    let mut entrant = entrant(architecture.name, architecture.idea, Kind::Architecture);
    if architecture.sizes.is_empty() {
        let player = place.start(architecture, 1)?;
        let origin = Origin::Architecture(architecture, 1);
        return Ok(Contestant { player, entrant, origin, own: None });
    }
    let mut sizes = architecture.sizes.to_vec();
    if !sizes.contains(&place.processors) {
        sizes.push(place.processors);
        sizes.sort_unstable();
    }
    let mut tried = Vec::new();
    for size in sizes {
        tried.push((size, place.start(architecture, size)?, Vec::new()));
    }
    // In turn, as all else.
    for _ in 0..TRIES {
        for (_, player, rates) in &mut tried {
            rates.push(rate_once(player, place, time)?);
        }
    }
    let mut best: Option<(Tried, bool, Player)> = None;
    for (size, player, rates) in tried {
        let (rate, serves_all) = median(rates);
        let tried = Tried { size, rate };
        entrant.search.push(tried);
        let is_better = best.as_ref().is_none_or(|(before, served_all, _)| {
            let is_faster = rate > before.rate * NEAR;
            if serves_all == *served_all { is_faster } else { serves_all }
        });
        if is_better {
            best = Some((tried, serves_all, player));
        }
    }
    let (tried, _, player) = best.ok_or_else(|| io::Error::other("there is no size to try"))?;
    entrant.size = Some(tried.size);
    let origin = Origin::Architecture(architecture, tried.size);
    Ok(Contestant { player, entrant, origin, own: None })
}

/// Most of them can keep up with that, so that the time of an answer is not that of a queue.
const PACE: f64 = 0.2;

/// What is no difference between two sizes.
const NEAR: f64 = 1.05;

/// The median of some tries, and whether every client had some answers in all of them.
fn median(mut tries: Vec<(f64, bool)>) -> (f64, bool) {
    tries.sort_by(|one, other| one.0.total_cmp(&other.0));
    (tries[tries.len() / 2].0, tries.iter().all(|(_, serves_all)| *serves_all))
}

/// Answers per second to one small file; and whether every client had some.
///
/// # Errors
/// Where there are none.
pub(crate) fn rate_once(
    player: &mut Player,
    place: &Place,
    time: Duration,
) -> io::Result<(f64, bool)> {
    let demand = Demand::small(SEARCHING);
    let sample = measure::measure(player, &place.asked(&demand)?, &demand, time)?;
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let answers = sample.answers as f64;
    Ok((answers / sample.seconds, sample.unanswered == 0))
}

/// The rate at which requests come if none is said: a share of what one loop answers in a second,
/// or else the first who takes part.
///
/// # Errors
/// Where nobody takes part.
pub(crate) fn pace(all: &mut [Contestant], place: &Place, time: Duration) -> io::Result<f64> {
    let at = all.iter().position(|one| one.entrant.name == architectures::ONE_LOOP).unwrap_or(0);
    let nobody = || io::Error::other("there is nobody to be measured");
    let first = all.get_mut(at).ok_or_else(nobody)?;
    if first.own.is_some() {
        return Err(io::Error::other("beside a URL alone, say which --rate"));
    }
    let tries = (0..TRIES).map(|_| rate_once(&mut first.player, place, time));
    Ok((median(tries.collect::<io::Result<_>>()?).0 * PACE).round())
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
    /// Starts it anew: what was there before is not in its memory any more.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn restart(&mut self, place: &Place) -> io::Result<()> {
        match self.origin {
            Origin::Architecture(architecture, size) => {
                self.player = place.start(architecture, size)?;
            }
            Origin::Peer(peer) => self.player = place.start_peer(peer)?,
            Origin::Url => {}
        }
        Ok(())
    }

    /// Why it is not measured under this load, if it is not.
    pub(crate) fn why_not(&self, demand: &Demand, place: &Place) -> Option<String> {
        let Workload { what, beside, closes, .. } = *demand.workload;
        match self.origin {
            Origin::Architecture(one, _) if demand.clients > one.most => {
                Some(format!("not with more than {} clients", one.most))
            }
            Origin::Architecture(one, _) if demand.clients as u64 * one.each > place.spare() => {
                Some(format!(
                    "it opens {} files for each client, and a process may open {} (ulimit -n)",
                    one.each, place.descriptors
                ))
            }
            Origin::Peer(_) if !demand.workload.is_of_files() => {
                Some("it serves files only".to_owned())
            }
            Origin::Url
                if what != What::File(workloads::SMALL)
                    || matches!(beside, Beside::Slow(_))
                    || closes =>
            {
                Some("it is asked for its own URL only".to_owned())
            }
            Origin::Architecture(..) | Origin::Peer(_) | Origin::Url => None,
        }
    }
}
